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
        "longest": 2,  # words a feature
        "min_texts": 2,  # that a feature stands in
        "max_features": 1_000_000,
        "tolerance": 1e-6,
        "max_iter": 1000,
    },
    "lrs": (1.0,),
}


def text_base(experiment: str) -> ConfigDict:
    """Return the keys that the studies of texts share, with the values that most presets have."""
    config = ConfigDict()
    config.experiment = experiment  # the kind of study; leave it
    # Of the runs that are compared; each fixes validation part, order, dropout and head. Six are
    # the fewest that can decide a claim: 2/2^6 = .03 is the smallest p.
    config.seeds = tuple(range(6))
    config.select_seeds = (100,)  # choose the learning rates; none of them is compared
    # Learning rates of which each network gets its own, on validation data.
    config.lrs = (2e-5, 5e-5, 1e-4)
    # How: full (each rate is trained to its end), or halving (the worse half goes no further than a
    # third of the steps, and the best is chosen at three quarters).
    config.selection = "full"

    config.data = text_data()
    config.encoder = text_encoder()
    # Tokens that batches are padded to, beside `max_length`; (): always that.
    config.widths = (32, 64)
    config.compute_dtype = "float32"  # of the computation: float32, or bfloat16 on accelerators

    config.num_epochs = 3  # passes over the training part
    config.batch_size = 32  # texts a step, of all devices together
    config.accumulate = 1  # parts a batch is taken in, to save memory
    config.label_smoothing = 0.0  # probability taken from the true class, spread over all; 0: none
    # none, or balanced: each class weighs the same in the loss, however rare (options: none).
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
    config.eval_every_epochs = 1  # epochs between two evaluations on validation data
    config.log_every_steps = 20  # steps between rows beside those of evaluations; 0: none
    config.checkpoint_every_steps = 500  # steps between saved states; 0: only when interrupted
    config.steps_per_call = 1  # steps in one compiled call; 1 where batches differ in width
    config.cells_at_a_time = 0  # runs side by side; 0: one a core on a CPU, else one
    config.parallel = "jit"  # over the devices: jit, or pmap
    return config


def text_data() -> ConfigDict:
    """Return the group `data` of a study of texts."""
    data = ConfigDict()
    # csv, docstrings, ag_news_subset, yahoo_answers_topics, or hub:OWNER/NAME of the Hugging Face
    # hub
    data.name = "csv"
    data.path = ""  # the file of data.name=csv: a text and its label a row
    data.test_path = ""  # a file of test texts; without one `test_fraction` of the texts are that
    data.header = True  # whether the first row names the columns; else 0 is the first
    data.label_column = "label"  # the column that holds the class
    data.text_columns = ("text",)  # the columns that are a text together
    data.lower = False  # lower-cases texts before they become tokens
    data.val_fraction = 0.05  # of the training texts, which each seed draws for validation
    data.test_fraction = 0.0  # of the texts; 0: the official test part, or test_path
    # Texts in all, the same for every seed, for a quick look or small data; 0: all.
    data.num_examples = 0
    return data


def text_encoder() -> ConfigDict:
    """Return the group `encoder`. Its sizes matter from scratch alone, without a path."""
    encoder = ConfigDict()
    # A folder, minilm, or a name of the Hugging Face hub; "": a small one, from scratch.
    encoder.path = "minilm"
    encoder.max_length = 128  # tokens, special ones included; longer texts are cut
    # What stands for a text: the mean over its tokens, mean_padded (padding too, lab B's slip),
    # first (its first token) or published (as the model was published).
    encoder.pooling = "mean"
    encoder.n_layer = 2  # layers, from scratch
    encoder.n_head = 4  # heads of attention, from scratch
    encoder.n_embd = 64  # width of a token, from scratch
    encoder.intermediate = 256  # inner width of a layer, from scratch
    encoder.vocab_size = 4000  # tokens that are learned from the training texts, from scratch
    # Of the random weights that are never trained: frozen features without a path.
    encoder.seed = 0
    return encoder


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
    reported_for = reported_for or {"name": "", "num_examples": 0}
    config.reported_for = ConfigDict(
        {
            "name": reported_for["name"],  # of the data that the reported figures are of
            "num_examples": reported_for["num_examples"],  # their texts, in all
        }
    )
    # Each gets its own copy of a group that several share, or one flag would change them all.
    own = {name: copy.deepcopy(network) for name, network in networks.items()}
    # What is compared: each network is this config with its own overrides.
    config.networks = ConfigDict(own)
    set_reported(config, {name: words for name, (words, _) in reported.items()})
    accuracies = {name: accuracy for name, (_, accuracy) in reported.items()}
    # The accuracy that was reported of each network, between 0 and 1.
    config.reported_accuracy = ConfigDict(accuracies)
