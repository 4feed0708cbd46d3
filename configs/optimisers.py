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
        "name": "adam",  # adam, adamw, sgd or lion
        "lr": placeholder(float),  # one peak rate for all, instead of the grid of `lrs`
        "schedule": "cosine",  # of the rate: constant, cosine, linear, one_cycle or multi_step
        "warmup_fraction": 0.0,  # of the steps, in which the rate rises from 0
        "milestones": (0.5, 0.75),  # fractions of the steps, for multi_step
        "decay_factor": 0.1,  # of the rate at each milestone
        "momentum": 0.9,  # of sgd
        "nesterov": False,  # whether sgd looks ahead
        "b1": 0.9,  # decay of the mean gradient, of adam, adamw and lion
        "b2": 0.999,  # decay of the mean squared gradient; of lion, of what it keeps
        "eps": 1e-8,  # of adam and adamw: added to what they divide by
        "weight_decay": 0.0,  # pull of parameters to 0; of sgd and adam it is part of the gradient
        "decayed": "all",  # which parameters decay: all, or kernels alone
        # The gradient's norm at most, 0: any; without it deep plain nets diverge at larger rates.
        "clip_norm": 1.0,
    }
    return ConfigDict(values | changes)
