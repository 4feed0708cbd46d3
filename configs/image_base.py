"""What studies of images share: their keys, groups `model`, and the networks of a comparison."""

import copy
import functools

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from configs.optimisers import optim
from dla_jax.config.arguments import flatten
from dla_jax.config.overrides import CARRIED


def image_base(experiment: str) -> ConfigDict:
    """Return the keys that every study of images has, with the values that most presets share."""
    config = ConfigDict()
    config.experiment = experiment
    # 2/2^6 = .03 is the smallest p; each seed fixes split, order and initial weights.
    config.seeds = tuple(range(6))
    # Each network gets its own learning rate, on validation, from seeds that no final run has.
    config.lrs = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
    config.select_seeds = (100, 101)  # one cannot show how far a rate's score is noise

    config.data = image_data()
    config.model = ConfigDict()
    config.model.name = "cnn"
    config.model.norm = "batch"
    config.model.init = "he"
    config.model.width = 64
    config.model.pools = 1  # 2x2 max-pools after the stem
    config.compute_dtype = "float32"

    config.num_epochs = 20
    config.batch_size = 128
    config.label_smoothing = 0.0
    # Or balanced: a class weighs as much as another in the loss, however rare it is.
    config.class_weight = "none"
    # Leaves BatchNorm in evaluation mode from then on, lab C's mistake; 0: never.
    config.freeze_norm_after_epochs = 0
    config.patience = 0  # evaluations without improvement before a run stops; 0: never
    config.optim = optim()

    config.eval_every_epochs = 1
    config.log_every_steps = 100  # rows beside those of the evaluations; 0: none
    config.checkpoint_every_steps = 1000  # 0: a run is saved only when interrupted
    config.steps_per_call = 32
    config.cells_at_a_time = 0  # 0: one a CPU core, or one on accelerators
    config.parallel = "jit"  # or pmap, where there are several devices
    return config


def image_data() -> ConfigDict:
    """Return the group `data` of a study of images."""
    data = ConfigDict()
    data.name = "cifar10"
    # For data.name=folder: one sub-folder a class, or train/, val/ and test/ with such.
    data.path = placeholder(str)
    # An official test part elsewhere: a folder with one sub-folder a class.
    data.test_path = placeholder(str)
    data.size = 32  # pixels that a folder's images are resized to
    data.skip_bad = False  # go on without a folder's unreadable files
    data.val_fraction = 0.1
    data.test_fraction = 0.0  # 0: the set's own test part
    data.pad = 4  # pixels of pad-and-crop
    data.flip = True
    return data


def use_digits(config: ConfigDict) -> None:
    """Take the embedded digits: centred, and with a left and a right, so no crops and no flips."""
    config.data.name = "digits"
    config.data.val_fraction = 0.2
    config.data.test_fraction = 0.2
    config.data.pad = 0
    config.data.flip = False


def resnet(**changes) -> dict:
    """Return the group `model` of a ResNet: basic blocks, shortcuts without parameters."""
    model = {
        "name": "resnet",
        "norm": "batch",
        "init": "he",
        "bottleneck": False,
        "shortcut": True,
        "projection": False,
    }
    return model | changes


def perceptron(
    *widths: int,
    dropout: float = 0.0,
    init: str = "he",
    relu_logits: bool = False,
    dropout_at: str = "every",
) -> ConfigDict:
    """Return the group `model` of a net of dense layers that are so wide."""
    model = {
        "name": "perceptron",
        "norm": "none",
        "init": init,
        "skip": False,
        "depth": len(widths),
        "widths": widths,
        "dropout": dropout,
        "dropout_at": dropout_at,
        "relu_logits": relu_logits,
    }
    return ConfigDict(model)


def set_networks(config: ConfigDict, networks: dict[str, dict]) -> None:
    """Put the networks of a comparison into its config, and take out what each has its own of.

    A key that would change nothing is a trap.
    """
    # Each gets its own copy of a group that several share, or one flag would change them all.
    own = {name: copy.deepcopy(network) for name, network in networks.items()}
    config.networks = ConfigDict(own)
    keys = [set(flatten(network.to_dict())) for network in config.networks.values()]
    common = functools.reduce(set.intersection, keys)
    if "model.name" in common:
        del config.model
    for name in common - set(CARRIED):
        group, _, key = name.rpartition(".")
        if not name.startswith("model."):
            del (config[group] if group else config)[key]
