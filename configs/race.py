"""Which answer is right? Multiple choice about a passage.

Lab C's second exercise: features of a frozen encoder and a network that ranks the options, trained
with a margin loss; it reports about 38 % on RACE (Lai et al. 2017, arXiv:1704.04683), and 26 % for
one variant, where guessing has 25 %. It puts the right option first, and counts equal scores as
right, so that a network that says the same of all options would have 100 %. Here every seed
shuffles the options, and the first of equal scores is taken. Beside it stand the same features with
another loss, a network that reads passage, question and option together, and rules without
training: is it the passage that decides?

    python launch.py --config=configs/race.py:docstrings
    python launch.py --config=configs/race.py:race --config.encoder.path=roberta-base
    python launch.py --config=configs/race.py --config.data.path=questions.jsonl
"""

import copy

from ml_collections import ConfigDict

from configs.claims.race import REPORTED, claims
from configs.labs import set_reported
from configs.text_base import text_base
from dla_jax.config.arguments import SECONDS, Preset, keep, parse_argument

# What ranks vectors of a frozen encoder, and what reads all together.
RANKER = {
    "model": {
        "name": "ranker",  # ranker, cross or rule, each with keys of its own
        "passage": True,  # whether it is embedded with the question, or the question alone
        # What the network reads of the two vectors: pair (both), or interactions (their product
        # and distance too).
        "features": "interactions",
        "loss": "softmax",  # over the options, or margin: the right one above each other
        "margin": 1.0,  # of that loss
        "widths": (128,),  # of hidden layers, in units
        "dropout": 0.1,  # probability that a unit is dropped in training
        "standardise": True,  # whether features have mean 0 and variance 1 over the training part
        "init": "he",  # initial weights: he or torch_default (PyTorch's)
    }
}
CROSS = {
    "model": {
        "name": "cross",
        "num_windows": 1,  # of a passage that is too long, the best of which counts; 0: no passage
        "dropout": 0.1,
        "frozen_layers": -1,  # the first layers that are not trained; -1: all are
    }
}


def ranker(**changes) -> dict:
    """Return the overrides of a network that ranks, with changes of its group `model`."""
    return {"model": RANKER["model"] | changes}


def cross(**changes) -> dict:
    """Return the overrides of a network that reads all together, likewise."""
    return {"model": CROSS["model"] | changes}


LAB_C = ranker(features="pair", loss="margin", dropout=0.0) | {"encoder": {"pooling": "first"}}
RULES = ("random", "longest", "tfidf", "cosine")


def rule(name: str) -> dict:
    """Return the overrides of what is not trained."""
    return {
        "model": {
            "name": "rule",
            "rule": name,  # random, longest, tfidf or cosine
        },
        "lrs": (1.0,),
    }


def get_config(argument: str = "") -> ConfigDict:
    """Return the study of a preset; every network is the config with its own overrides."""
    config = base()
    PRESETS[parse_argument(argument, PRESETS).preset].apply(config)
    config.claims = claims(config.networks.keys(), config.data.name in ("race", "dream"))
    return config


def base() -> ConfigDict:
    """Return every key, with the values that most presets share."""
    config = text_base("choices")
    # What the report asks.
    config.question = "Which answer is right, and is it the passage that decides?"
    config.seeds = tuple(range(8))
    config.data = choice_data()
    config.embed_batch_size = 64  # texts that are embedded together
    config.model = ConfigDict(RANKER["model"])
    config.lrs = (1e-3, 3e-3, 1e-2)
    config.num_epochs = 20
    config.batch_size = 64  # questions a step, of all devices together
    config.patience = 0
    config.steps_per_call = 32
    config.optim.schedule = "cosine"
    config.optim.warmup_fraction = 0.1
    config.log_every_steps = 0
    config.checkpoint_every_steps = 0
    networks = {"lab_c": LAB_C}
    networks |= {"margin": ranker(loss="margin"), "softmax": {}}
    networks |= {"softmax_blind": ranker(passage=False)}
    networks |= cross_networks()
    networks |= {name: rule(name) for name in RULES}
    # What is compared: each network is this config with its own overrides.
    config.networks = ConfigDict({name: copy.deepcopy(own) for name, own in networks.items()})
    set_reported(config, {"lab_c": REPORTED})
    return config


def choice_data() -> ConfigDict:
    """Return the group `data` of questions with options."""
    data = ConfigDict()
    data.name = "file"  # docstrings, race, dream or file
    # Of file: JSON lines or CSV. Of dream: the folder with train.json, dev.json and test.json; "":
    # it is fetched.
    data.path = ""
    data.level = "all"  # of race: middle, high or all
    data.lower = False  # lower-cases texts before they become tokens
    # Of the passages, which each seed draws, where the set has no such part of its own.
    data.val_fraction = 0.1
    data.test_fraction = 0.25  # of the passages, likewise
    # Questions to train on, at most, of whole passages that a seed draws; 0: all.
    data.num_train = 0
    return data


def cross_networks() -> dict[str, dict]:
    """Return the networks that read passage, question and option together."""
    shared = {
        "lrs": (2e-5, 5e-5),
        "num_epochs": 3,
        "batch_size": 16,
        "steps_per_call": 1,
        "log_every_steps": 20,
        "checkpoint_every_steps": 500,
        "optim": {"schedule": "linear"},
    }
    return {
        "cross": shared | cross(),
        "cross_windows": shared | cross(num_windows=3),
        "cross_blind": shared | cross(num_windows=0),
    }


def docstrings(config: ConfigDict) -> None:
    """Set the embedded questions: which summary belongs to the text of a docstring?

    The encoder has random weights, which the ranking networks leave as they are.
    """
    config.data.name = "docstrings"
    config.encoder.path = ""
    config.encoder.n_layer = 1
    config.encoder.max_length = 96
    config.widths = (32, 64)
    for name in ("cross", "cross_windows", "cross_blind"):
        network = config.networks[name]
        network.lrs = (1e-3,)
        network.num_epochs = 2
    leave_out(config, "cross_windows")  # a passage fits


def quick(config: ConfigDict) -> None:
    """Shorten `docstrings`: six seeds, fewer networks and rates."""
    docstrings(config)
    leave_out(config, "margin", "cross_blind")
    config.seeds = tuple(range(6))
    config.encoder.max_length = 64
    config.widths = (32,)
    config.lrs = (3e-3,)
    config.num_epochs = 8
    config.networks.cross.num_epochs = 1


def smoke(config: ConfigDict) -> None:
    """Shorten `docstrings`: a tiny encoder, two seeds, one epoch."""
    docstrings(config)
    leave_out(config, "margin", "cross_blind")
    config.data.num_train = 96
    config.seeds = (0, 1)
    config.encoder.n_embd = 16
    config.encoder.intermediate = 32
    config.encoder.vocab_size = 400
    config.encoder.max_length = 32
    config.widths = ()
    config.model.widths = (16,)
    config.lrs = (1e-3, 3e-3)
    config.num_epochs = 1
    config.networks.cross.num_epochs = 1
    config.networks.cross.encoder = {"pooling": "published"}


def minilm(config: ConfigDict) -> None:
    """Set RACE as it is prepared, with all-MiniLM-L6-v2: the last two layers are fine-tuned.

    Once, for the sake of time: the interval over questions says how sure it is.
    """
    config.data.name = "race"
    config.encoder.path = "minilm"
    config.encoder.max_length = 160
    config.widths = (32, 64, 128)
    leave_out(config, "cross_windows")
    for name in ("cross", "cross_blind"):
        network = config.networks[name]
        network.lrs = (1e-4,)
        network.seeds = (0,)
        network.num_epochs = 2
        network.model.frozen_layers = 4


def dream(config: ConfigDict) -> None:
    """Set DREAM (Sun et al. 2019, arXiv:1902.00164), dialogues with three options, with MiniLM.

    A part of its training questions is fine-tuned on, for the sake of time.
    """
    minilm(config)
    config.data.name = "dream"
    leave_out(config, "lab_c")  # its vectors are others, and take as long as all the rest
    for name in ("cross", "cross_blind"):
        network = config.networks[name]
        network.lrs = (5e-4,)
        network.num_epochs = 1
        network.data = {"num_train": 1500}


def race(config: ConfigDict) -> None:
    """Set the whole of RACE, with RoBERTa fine-tuned."""
    config.data.name = "race"
    config.encoder.path = "roberta-base"
    config.encoder.max_length = 512
    config.widths = (128, 256, 384)
    config.compute_dtype = "bfloat16"
    for name in ("cross", "cross_windows", "cross_blind"):
        network = config.networks[name]
        network.encoder = {"pooling": "published"}
        network.lrs = (1e-5, 2e-5)
        network.batch_size = 32
        network.accumulate = 4


def leave_out(config: ConfigDict, *names: str) -> None:
    """Leave out networks, with what was reported of them."""
    for name in names:
        del config.networks[name]
        del config.reported[name]


PRESETS = {
    "own": Preset(keep, "your own questions, JSON lines or CSV; frozen and fine-tuned MiniLM"),
    "docstrings": Preset(docstrings, "embedded questions, an encoder from scratch", minutes=2.6),
    "quick": Preset(quick, "docstrings, six seeds, fewer networks", minutes=1),
    "smoke": Preset(smoke, "the smallest, to see that it runs", minutes=SECONDS),
    "minilm": Preset(minilm, "RACE, all-MiniLM-L6-v2", minutes=15),
    "dream": Preset(dream, "DREAM, all-MiniLM-L6-v2", minutes=30),
    "race": Preset(race, "all of RACE, RoBERTa fine-tuned", gpu=True),
}
