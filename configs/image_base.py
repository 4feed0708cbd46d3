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
    config.experiment = experiment  # the kind of study; leave it
    # Of the runs that are compared; each fixes split, order and initial weights. Six are the fewest
    # that can decide a claim: 2/2^6 = .03 is the smallest p.
    config.seeds = tuple(range(6))
    # Learning rates of which each network gets its own, on validation data.
    config.lrs = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
    config.select_seeds = (100, 101)  # choose the rates; none of them is compared
    # How: full (each rate is trained to its end), or halving (the worse half goes no further than a
    # third of the steps, and the best is chosen at three quarters).
    config.selection = "full"

    config.data = image_data()
    config.model = ConfigDict()
    # Family of networks: cnn, mlp, resnet, lab_a, lab_b or perceptron; each has keys of its own.
    config.model.name = "cnn"
    config.model.norm = "batch"  # after each layer: batch (BatchNorm) or none
    # Initial weights: he, torch_default (PyTorch's), dirac (the identity), orthogonal or
    # looks_linear; with skips and norm none also skipinit or fixup.
    config.model.init = "he"
    config.model.width = 64  # channels of a convolution, units of a dense layer
    config.model.pools = 1  # number of 2x2 max-pools after the stem
    config.compute_dtype = "float32"  # of the computation: float32, or bfloat16 on accelerators

    config.num_epochs = 20  # passes over the training part
    config.batch_size = 128  # images a step, of all devices together
    config.label_smoothing = 0.0  # probability taken from the true class, spread over all; 0: none
    # none, or balanced: each class weighs the same in the loss, however rare it is.
    config.class_weight = "none"
    # The epoch after which BatchNorm stays in evaluation mode, lab C's mistake; 0: never.
    config.freeze_norm_after_epochs = 0
    config.attack = image_attack()
    config.patience = 0  # evaluations without improvement before a run stops; 0: never
    config.optim = optim()

    config.eval_every_epochs = 1  # epochs between two evaluations on validation data
    config.log_every_steps = 100  # steps between rows beside those of evaluations; 0: none
    config.checkpoint_every_steps = 1000  # steps between saved states; 0: only when interrupted
    config.steps_per_call = 32  # steps that run in one compiled call, at most
    config.cells_at_a_time = 0  # runs side by side; 0: one a CPU core, or one on accelerators
    config.parallel = "jit"  # over the devices: jit, or pmap
    return config


def image_data() -> ConfigDict:
    """Return the group `data` of a study of images."""
    data = ConfigDict()
    # digits, mnist, fashion_mnist, cifar10, cifar100, svhn_cropped or folder; hub:OWNER/NAME of
    # the Hugging Face hub; package.module:function of your own
    data.name = "cifar10"
    # A folder with one sub-folder a class, or train/, val/ and test/ with such; with name=folder.
    data.path = placeholder(str)
    # An official test part elsewhere: a folder with one sub-folder a class.
    data.test_path = placeholder(str)
    data.size = 32  # pixels that a folder's images, or the hub's, are resized to
    data.image_column = "image"  # column of the images; with name=hub:OWNER/NAME
    data.label_column = "label"  # column of the classes; with name=hub:OWNER/NAME
    data.skip_bad = False  # whether to go on without a folder's unreadable files
    data.val_fraction = 0.1  # of the training images, which each seed draws for validation
    data.test_fraction = 0.0  # of the images, for testing; 0: the set's own test part
    # Images in all, the same for every seed, for a quick look or small data; 0: all.
    data.num_examples = 0
    # Classes that each seed leaves out of all parts, as strange ones; others for each. 0: none.
    data.left_out = 0
    data.pad = 4  # pixels that training images are shifted by, at most, at random; 0: none
    data.flip = True  # whether half of the training images are flipped left to right, at random
    return data


def image_attack() -> ConfigDict:
    """Return the group `attack` of a study of images, which trains as usual."""
    attack = ConfigDict()
    # How training attacks its batches: standard (not at all), fgsm, fgsm_random_epsilon (lab B's),
    # rs_fgsm, pgd or trades.
    attack.name = "standard"
    attack.epsilon = 8 / 255  # how far a pixel moves at most, of images in [0, 1]
    # How far it moves in a step; empty: 1.25 epsilon of rs_fgsm, 2.5 epsilon / num_steps of others.
    attack.step_size = placeholder(float)
    attack.num_steps = 7  # of pgd and trades
    attack.probability = 0.5  # that fgsm_random_epsilon attacks a batch
    attack.beta = 6.0  # of trades: what it weighs attacked images with, against clean ones
    # go_on, or stop: whether a run ends where FGSM no longer fools the network and PGD does.
    attack.on_overfitting = "go_on"
    return attack


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
        "bottleneck": False,  # blocks of 1x1, 3x3, 1x1 convolutions, not of two 3x3
        "shortcut": True,  # false: none is computed, for the time of a net without skips
        "projection": False,  # whether a shortcut is a 1x1 convolution where shapes change
        # Whether norm and ReLU stand before each convolution of a block, not behind.
        "preactivation": False,
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
        "skip": False,  # whether blocks have a skip; a perceptron has none
        "depth": len(widths),  # layers; of a perceptron its hidden ones
        "widths": widths,  # of its hidden layers, in units
        "dropout": dropout,  # probability that a unit is dropped in training
        "dropout_at": dropout_at,  # behind "every" hidden layer, or the "last"
        "relu_logits": relu_logits,  # whether logits have a ReLU behind them, lab C's slip
    }
    return ConfigDict(model)


def set_networks(config: ConfigDict, networks: dict[str, dict]) -> None:
    """Put the networks of a comparison into its config, and take out what each has its own of.

    A key that would change nothing is a trap.
    """
    # Each gets its own copy of a group that several share, or one flag would change them all.
    own = {name: copy.deepcopy(network) for name, network in networks.items()}
    # What is compared: each network is this config with its own overrides.
    config.networks = ConfigDict(own)
    keys = [set(flatten(network.to_dict())) for network in config.networks.values()]
    common = functools.reduce(set.intersection, keys)
    if "model.name" in common:
        del config.model
    for name in common - set(CARRIED):
        group, _, key = name.rpartition(".")
        if not name.startswith("model."):
            del (config[group] if group else config)[key]
