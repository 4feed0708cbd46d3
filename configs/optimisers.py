"""The group `optim` of configs: Adam with a cosine, lab B's Lion, and SGD as ResNets take it."""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

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
