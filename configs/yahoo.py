"""Fine-tuned encoders of texts: what do lab B's settings cost?

Lab B fine-tunes DistilRoBERTa on the ten topics of Yahoo Answers (Zhang et al. 2015,
arXiv:1509.01626) and reports 75.8 %: title and question without the answer, lower-cased though the
model knows case, always padded to 128 tokens, and the mean over the padding too stands for the
text. TF-IDF stands beside it. Papers: Devlin et al. 2019, arXiv:1810.04805; Sun et al. 2019,
arXiv:1905.05583.

DistilRoBERTa and all-MiniLM-L6-v2 on CSV files of one's own:

    python launch.py --config=configs/yahoo.py \\
        --config.data.path=train.csv --config.data.test_path=test.csv
    python launch.py --config=configs/yahoo.py:minilm \\
        --config.data.path=train.csv --config.data.test_path=test.csv \\
        --config.data.label_column=topic --config.data.text_columns=title,content

Result of `docstrings` (434 s of CPU, six seeds): 78.8 % [74.3, 83.4], with lab B's mean over the
padding 77.0 % [72.2, 81.8], TF-IDF 89.1 %. Result of `ag_news` (a subset of 14,547 training texts,
two seeds): 91.0 % on the 7,600 official test texts, TF-IDF 88.8 %. The preset for a GPU, lab B's
own, has not been run: docs/studies/texts.md.
"""

from ml_collections import ConfigDict

from configs.claims.yahoo import REPORTED, claims
from configs.optimisers import LION
from configs.text_base import TFIDF, set_text_networks, text_base
from dla_jax.config.arguments import SECONDS, Preset, parse_argument

# The mean over the padding too; then every text is padded to `max_length`.
PADDED = {"encoder": {"pooling": "mean_padded"}}
AS_IN_LAB_B = PADDED | {"data": {"lower": True}}


def get_config(argument: str = "") -> ConfigDict:
    """Return the study of a preset; every network is the config with its own overrides."""
    config = base()
    preset = parse_argument(argument, PRESETS).preset
    PRESETS[preset].apply(config)
    lower_cases = preset in ("distilroberta", "smoke")  # elsewhere the tokenizer does so anyway
    config.claims = claims(config.networks.keys(), lower_cases)
    return config


def base() -> ConfigDict:
    """Return every key, with the values that most presets share."""
    config = text_base("finetune")
    # What the report asks.
    config.question = (
        "What does fine-tuning an encoder reach, what do lab B's settings cost, and what does "
        "TF-IDF reach without one?"
    )
    config.model = ConfigDict()
    config.model.name = "encoder"  # encoder, or tfidf with keys of its own
    config.model.dropout = 0.1  # probability that a value is dropped in training
    config.model.frozen_layers = -1  # layers that stay; -1: all is trained; 0: all but embeddings
    return config


def distilroberta(config: ConfigDict) -> None:
    """Set lab B's study: all of Yahoo Answers, without a header.

    Lab B's own optimiser is a network of its own. Three seeds, since each run is long: they show a
    score, and cannot decide a claim.
    """
    config.data.header = False
    config.data.label_column = "0"
    config.data.text_columns = ("1", "2")
    config.data.val_fraction = 0.01
    config.encoder.path = "distilroberta-base"
    config.seeds = tuple(range(3))
    config.lrs = (2e-5, 5e-5)
    config.num_epochs = 2
    config.batch_size = 128
    config.compute_dtype = "bfloat16"
    lion = LION | {"lr": 1.5e-5, "decayed": "all", "clip_norm": 0.0}
    networks = {
        "lab_b": AS_IN_LAB_B | {"optim": lion, "batch_size": 640},
        "lab_b_setting": AS_IN_LAB_B,
        "corrected": {},
        "published_head": {"encoder": {"pooling": "published"}},
    }
    set_text_networks(
        config,
        networks,
        reported={"lab_b": (REPORTED, 0.758)},
        reported_for={"name": "csv", "num_examples": 1_460_000},
    )


def minilm(config: ConfigDict) -> None:
    """Set all-MiniLM-L6-v2 (22.7 million parameters) on a CSV of one's own.

    Two seeds, since each run takes minutes: they show a score, and cannot decide a claim.
    """
    config.lrs = (1e-4,)
    config.seeds = (0, 1)
    set_text_networks(config, {"lab_b_setting": PADDED, "corrected": {}, "tfidf": TFIDF})


def ag_news(config: ConfigDict) -> None:
    """Set all-MiniLM-L6-v2 on AG News, one epoch.

    One network beside TF-IDF, since each run takes minutes.
    """
    minilm(config)
    config.data.name = "ag_news_subset"
    config.num_epochs = 1
    set_text_networks(config, {"corrected": {}, "tfidf": TFIDF})


def docstrings(config: ConfigDict) -> None:
    """Set docstrings: which package do they come from?

    The encoder has two layers of width 64, from scratch.
    """
    config.data.name = "docstrings"
    config.data.val_fraction = 0.1
    config.data.test_fraction = 0.2
    config.encoder.path = ""
    config.encoder.max_length = 64
    config.widths = (32,)
    config.lrs = (3e-3, 1e-2)
    config.select_seeds = (100, 101)  # one says nothing of the spread within a rate
    config.num_epochs = 3
    config.patience = 0
    config.model.dropout = 0.0
    set_text_networks(config, {"lab_b_setting": PADDED, "corrected": {}, "tfidf": TFIDF})


def quick(config: ConfigDict) -> None:
    """Shorten `docstrings`: one layer of width 32, two epochs at a rate that is not searched."""
    docstrings(config)
    config.encoder.n_layer = 1
    config.encoder.n_embd = 32
    config.encoder.intermediate = 64
    config.encoder.vocab_size = 2000
    config.encoder.max_length = 32
    config.widths = ()
    config.lrs = (3e-3,)
    config.select_seeds = (100,)
    config.num_epochs = 2
    config.networks.tfidf.model.strengths = (10.0,)


def smoke(config: ConfigDict) -> None:
    """Shorten `docstrings` to 800 texts, one layer of width 16, one epoch."""
    docstrings(config)
    config.data.num_examples = 800
    config.encoder.n_layer = 1
    config.encoder.n_embd = 16
    config.encoder.intermediate = 32
    config.encoder.vocab_size = 400
    config.encoder.max_length = 32
    config.widths = (16,)
    config.seeds = (0, 1)
    config.lrs = (1e-3, 3e-3)
    config.select_seeds = (100,)
    config.num_epochs = 1
    config.batch_size = 64
    config.log_every_steps = 0
    networks = {
        "lab_b_setting": AS_IN_LAB_B,
        "corrected": {"model": {"frozen_layers": 0}},
        "tfidf": TFIDF,
    }
    set_text_networks(config, networks)
    config.networks.tfidf.model.strengths = (10.0,)
    config.networks.tfidf.model.tolerance = 1e-4


PRESETS = {
    "distilroberta": Preset(distilroberta, "lab B's: Yahoo Answers, a CSV of yours", gpu=True),
    "docstrings": Preset(docstrings, "embedded texts, two layers from scratch", minutes=8),
    "minilm": Preset(minilm, "all-MiniLM-L6-v2 on a CSV of yours, two seeds"),
    "ag_news": Preset(ag_news, "all-MiniLM-L6-v2 on AG News, two runs", minutes=35),
    "quick": Preset(quick, "docstrings with one layer, six seeds", minutes=1),
    "smoke": Preset(smoke, "the smallest, to see that it runs", minutes=SECONDS),
}
