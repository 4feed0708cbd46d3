"""Finished studies side by side: which network is best, and did a change help?

    python launch.py --config=configs/compare.py --config.runs=runs/try1,runs/try2
    python launch.py --config=configs/compare.py:digits   # makes three studies first; 40 s
    python launch.py --config=configs/compare.py:quick    # two of them, trained for half as long
    python launch.py --config=configs/compare.py:smoke    # three tiny ones; seconds

Result of `digits` (on 2 CPU cores): among MLPs of depth 10 without skips He's initialisation has
96.9 %, PyTorch's default 87.3 % (docs/results.md).

Any supervised study will do: one that writes test accuracies. Networks of the same name in two
studies on the same data are also compared seed by seed.
"""

from types import ModuleType

from ml_collections import ConfigDict

from configs import mlp, rescnn
from dla_jax.config.arguments import parse_argument


def get_config(argument: str = "") -> ConfigDict:
    """Return the comparison of `runs`, or of the studies that a preset makes first."""
    preset = parse_argument(argument, ("runs", "digits", "quick", "smoke")).preset
    config = ConfigDict()
    config.experiment = "compare"
    config.runs = ""  # workdirs of finished studies, with commas between
    config.made = ConfigDict()  # studies, under names, to be made first
    if preset != "runs":
        config.made.he = study(mlp, preset, init="he")
        config.made.torch_default = study(mlp, preset, init="torch_default")
        if preset != "quick":
            config.made.cnn = study(rescnn, preset, init="he")
    return config


def study(family: ModuleType, preset: str, init: str) -> ConfigDict:
    """Return a small depth study on digits: depths 5 and 10, six seeds."""
    config = family.get_config("smoke" if preset == "smoke" else "digits")
    config.model.init = init
    config.side_arms = ()
    config.claims = ConfigDict()
    if preset != "smoke":
        config.depths = (5, 10)
        config.seeds = tuple(range(6))
        config.lrs = (1e-3, 3e-3, 1e-2)
        config.select_seeds = (100, 101)
    if preset == "quick":
        config.lrs = (3e-3, 1e-2)
        config.select_seeds = (100,)
        config.num_epochs = 10
    return config
