"""What the studies of texts share: their keys, TF-IDF, and the networks of a comparison."""

import copy

from ml_collections import ConfigDict

from configs.labs import set_reported
from configs.optimisers import optim

# Words and pairs of words that stand in two texts at least; scikit-learn's C is chosen on
# validation.
TFIDF = {
    "model": {
        "name": "tfidf",
        "strengths": (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0),
        "longest": 2,
        "min_texts": 2,
        "max_features": 1_000_000,
        "tolerance": 1e-6,
        "max_iter": 1000,
    },
    "lrs": (1.0,),
}


def text_base(experiment: str) -> ConfigDict:
    """Return the keys that the studies of texts share, with the values that most presets have."""
    config = ConfigDict()
    config.experiment = experiment
    # 2/2^6 = .03 is the smallest p; each seed fixes validation part, order, dropout and head.
    config.seeds = tuple(range(6))
    config.select_seeds = (100,)
    config.lrs = (2e-5, 5e-5, 1e-4)

    config.data = text_data()
    config.encoder = encoder()
    # Tokens that batches are padded to, beside `max_length`; (): always that.
    config.widths = (32, 64)
    config.compute_dtype = "float32"

    config.num_epochs = 3
    config.batch_size = 32
    config.accumulate = 1  # parts a batch is taken in, to save memory
    config.label_smoothing = 0.0
    # Or balanced: a class weighs as much as another in the loss, however rare it is.
    config.class_weight = "none"
    config.patience = 2  # evaluations without improvement before a run stops; 0: never
    config.optim = optim(
        name="adamw",
        schedule="linear",
        warmup_fraction=0.1,
        milestones=(),
        weight_decay=0.01,
        decayed="kernels",
    )
    config.eval_every_epochs = 1
    config.log_every_steps = 20
    config.checkpoint_every_steps = 500  # 0: only when interrupted
    config.steps_per_call = 1  # batches differ in width
    config.cells_at_a_time = 0  # 0: one a core on a CPU, else one
    config.parallel = "jit"
    return config


def text_data() -> ConfigDict:
    """Return the group `data` of a study of texts."""
    data = ConfigDict()
    data.name = "csv"  # or docstrings, ag_news_subset
    data.path = ""
    data.test_path = ""  # without a test file `test_fraction` of the texts are one
    data.header = True  # whether the first row names the columns; else 0 is the first
    data.label_column = "label"
    data.text_columns = ("text",)
    data.lower = False  # lower-cases texts before they become tokens
    data.val_fraction = 0.05
    data.test_fraction = 0.0
    return data


def encoder() -> ConfigDict:
    """Return the group `encoder`."""
    group = ConfigDict()
    # A folder, minilm, or a name of the Hugging Face hub; "": a small one, from scratch.
    group.path = "minilm"
    group.max_length = 128  # tokens, special ones included
    group.pooling = "mean"  # mean, mean_padded, first or published
    # These five matter from scratch alone.
    group.n_layer = 2
    group.n_head = 4
    group.n_embd = 64
    group.intermediate = 256
    group.vocab_size = 4000
    # Of the random weights that are never trained: frozen features without a path.
    group.seed = 0
    return group


def set_text_networks(
    config: ConfigDict,
    networks: dict[str, dict],
    reported: dict[str, tuple[str, float]] | None = None,
    reported_for: dict | None = None,
) -> None:
    """Put networks into a study of texts, with what was reported of each.

    Args:
      reported: {network: (in words, as accuracy)}.
      reported_for: the data of that report, their name and number of texts.
    """
    reported = reported or {}
    config.reported_for = ConfigDict(reported_for or {"name": "", "num_examples": 0})
    # Each gets its own copy of a group that several share, or one flag would change them all.
    own = {name: copy.deepcopy(network) for name, network in networks.items()}
    config.networks = ConfigDict(own)
    set_reported(config, {name: words for name, (words, _) in reported.items()})
    accuracies = {name: accuracy for name, (_, accuracy) in reported.items()}
    config.reported_accuracy = ConfigDict(accuracies)
