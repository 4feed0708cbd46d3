"""What are the features of a frozen transformer worth beside TF-IDF?

Lab C embeds AG News (Zhang et al. 2015, arXiv:1509.01626) with GPT-2, the mean over a text's
tokens, and trains an MLP 768-512-256-128-4 on the vectors: plain SGD at 1e-3 for 100 epochs, about
87 %, the test part watched all along. Here it is trained by that recipe and by another. The linear
probe beside it is logistic regression, solved exactly, its strength chosen on each run's validation
part; so is that on TF-IDF.

Result of `minilm` (a subset of 14,547 training texts, six seeds, the 7,600 official test texts):
linear probe 88.2 % [87.7, 88.7], MLP 88.7 % [88.4, 88.9], TF-IDF 89.0 % [88.9, 89.1]. Lab C's
recipe stays at 32.4 %: on that subset 100 epochs are 2,700 steps, at the lab they were 23,500, so
that its 87 % are not tested. GPT-2's features have not been run: docs/studies/texts.md.
"""

from ml_collections import ConfigDict

from configs.claims.ag_news import REPORTED, claims
from configs.text_base import TFIDF, set_text_networks, text_base
from dla_jax.config.arguments import SECONDS, Preset, parse_argument

# The linear probe: strengths are scikit-learn's C, solved until no component of the gradient
# exceeds the tolerance. Those beyond 3 take most of the time, and lose on validation.
PROBE = {
    "model": {
        "name": "logistic",
        "strengths": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0),
        "tolerance": 1e-6,
        "max_iter": 1000,
        "standardise": True,
    },
    "lrs": (1.0,),
}
# The lab's recipe, with PyTorch's initialisation.
LAB_C_MLP = {
    "optim": {
        "name": "sgd",
        "lr": 1e-3,
        "momentum": 0.0,
        "schedule": "constant",
        "warmup_fraction": 0.0,
        "weight_decay": 0.0,
        "clip_norm": 0.0,
    },
    "num_epochs": 100,
    "model": {"standardise": False, "init": "torch_default"},
}


def get_config(argument: str = "") -> ConfigDict:
    """Return the study of a preset; every network is the config with its own overrides."""
    config = base()
    PRESETS[parse_argument(argument, PRESETS).preset].apply(config)
    config.claims = claims(config.networks.keys())
    return config


def base() -> ConfigDict:
    """Return every key, with the values that most presets share."""
    config = text_base("features")
    # What the report asks.
    config.question = (
        "What are the features of a transformer worth that is not trained, and what does the "
        "classifier on top matter?"
    )
    config.data.name = "ag_news_subset"
    config.data.val_fraction = 0.05
    config.embed_batch_size = 64  # texts that are embedded together
    config.model = ConfigDict()
    config.model.name = "perceptron"  # perceptron, logistic or tfidf, each with keys of its own
    config.model.widths = (512, 256, 128)  # of its hidden layers, in units
    config.model.dropout = 0.0  # probability that a unit is dropped in training
    # Whether each feature is scaled to mean 0 and variance 1 over the training texts.
    config.model.standardise = True
    config.model.init = "he"  # initial weights: he or torch_default (PyTorch's)
    config.select_seeds = (100, 101)  # one says nothing of the spread within a rate
    config.lrs = (3e-4, 1e-3, 3e-3, 1e-2)
    config.num_epochs = 20
    config.batch_size = 512
    config.patience = 0
    config.optim.schedule = "cosine"
    config.optim.warmup_fraction = 0.0
    config.optim.weight_decay = 0.01
    config.steps_per_call = 50
    config.log_every_steps = 0
    config.checkpoint_every_steps = 0
    set_text_networks(
        config,
        {"mlp_lab_c": LAB_C_MLP, "mlp": {}, "linear": PROBE, "tfidf": TFIDF},
        reported={"mlp_lab_c": (REPORTED, 0.87)},
        reported_for={"name": "ag_news_subset", "num_examples": 127_600},
    )
    return config


def gpt2(config: ConfigDict) -> None:
    """Set lab C's own features."""
    config.encoder.path = "gpt2"
    config.encoder.max_length = 256
    config.widths = (32, 64, 128)
    config.compute_dtype = "bfloat16"


def minilm(config: ConfigDict) -> None:
    """Set the features of all-MiniLM-L6-v2.

    It is a BERT of 6 layers and width 384, trained to embed sentences.
    """
    config.encoder.path = "minilm"


def docstrings(config: ConfigDict) -> None:
    """Set docstrings: which package do they come from?

    Features of an encoder that nobody has trained: what is training worth?
    """
    config.encoder.path = ""
    config.data.name = "docstrings"
    config.data.val_fraction = 0.1
    config.data.test_fraction = 0.2


def quick(config: ConfigDict) -> None:
    """Shorten `docstrings`: a smaller encoder, fewer rates.

    The lab's recipe has a fifth of its epochs.
    """
    docstrings(config)
    config.encoder.n_layer = 1
    config.encoder.max_length = 32
    config.widths = ()
    config.lrs = (3e-3, 1e-2)
    config.select_seeds = (100,)
    config.num_epochs = 10
    config.networks.mlp_lab_c.num_epochs = 20
    config.networks.tfidf.model.strengths = (10.0,)


def smoke(config: ConfigDict) -> None:
    """Shorten `docstrings` to 800 texts: features of a tiny encoder with random weights."""
    docstrings(config)
    config.data.num_examples = 800
    config.batch_size = 128
    config.encoder.n_layer = 1
    config.encoder.n_embd = 16
    config.encoder.intermediate = 32
    config.encoder.max_length = 32
    config.encoder.vocab_size = 400
    config.widths = (16,)
    config.seeds = (0, 1)
    config.lrs = (1e-3, 3e-3)
    config.select_seeds = (100,)
    config.num_epochs = 2
    config.model.widths = (32, 16)
    config.networks.mlp_lab_c.num_epochs = 2
    config.networks.tfidf.model.strengths = (10.0,)
    config.networks.tfidf.model.tolerance = 1e-4


PRESETS = {
    "gpt2": Preset(gpt2, "AG News, features of GPT-2, as lab C", gpu=True),
    "minilm": Preset(minilm, "AG News, features of all-MiniLM-L6-v2", minutes=12),
    "docstrings": Preset(docstrings, "embedded texts, an encoder with random weights", minutes=2.1),
    "quick": Preset(quick, "docstrings with a smaller encoder, six seeds", minutes=1),
    "smoke": Preset(smoke, "the smallest, to see that it runs", minutes=SECONDS),
}
