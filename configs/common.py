"""What the configs of all kinds share: the labs, optimisers, and what was reported of networks.

Neither this file nor common_images.py and common_texts.py is a study: they have no `get_config`.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

LAB_A = "lab A, https://github.com/giovancombo/DLA-Labs"
LAB_B = "lab B, https://github.com/ZappaRoberto/DeepLearningApplications"
LAB_C = (
    "lab C, https://github.com/simogiovannini/"
    "ResNet-vs.-ConvNet-Gradient-and-Performance-Analysis-on-CIFAR10"
)
LAB_C_TEXTS = "lab C, https://github.com/simogiovannini/DLA-lab2"
LAB_D = "lab D, https://github.com/salahjebali/Going-Deeper-With-Residual-Blocks"
LAB_D_LANGUAGE = "lab D, https://github.com/salahjebali/DeepLearningApplications_labs"
LAB_E = "lab E (only its README is public)"
HE = "He et al. 2015, arXiv:1512.03385"
HYPOTHESIS = "hypothesis"

# Lab B's optimiser.
LION = {
    "name": "lion",
    "schedule": "one_cycle",
    "warmup_fraction": 0.3,
    "weight_decay": 1e-2,
    "b2": 0.99,
}
# What ResNets are trained with, as intended.
SGD = {
    "name": "sgd",
    "schedule": "one_cycle",
    "warmup_fraction": 0.3,
    "nesterov": True,
    "weight_decay": 5e-4,
    "clip_norm": 0.0,
}


def optim(**changes) -> ConfigDict:
    """Return the group `optim`: Adam with a cosine, or what `changes` make of it."""
    values = {
        "name": "adam",
        "lr": placeholder(float),  # one peak rate for all, instead of the grid of `lrs`
        "schedule": "cosine",
        "warmup_fraction": 0.0,
        "milestones": (0.5, 0.75),  # fractions of the steps, for multi_step
        "decay_factor": 0.1,
        "momentum": 0.9,
        "nesterov": False,
        "b1": 0.9,
        "b2": 0.999,
        "eps": 1e-8,
        "weight_decay": 0.0,
        "decayed": "all",  # or kernels alone
        "clip_norm": 1.0,  # without it deep plain nets diverge at the larger rates
    }
    return ConfigDict(values | changes)


def set_reported(config: ConfigDict, reported: dict[str, str]) -> None:
    """Put what was reported of each network of the config into it, in words."""
    words = {name: reported.get(name, "not in the labs") for name in config.networks}
    config.reported = ConfigDict(words)
