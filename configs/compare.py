"""Finished studies side by side: which network is best, and did a change help?

    python launch.py --config=configs/compare.py --config.runs=runs/try1,runs/try2
    python launch.py --config=configs/compare.py:digits           # makes three small studies first; 40 s on 2 CPU cores
    python launch.py --config=configs/compare.py:quick            # two of them, trained for half as long
    python launch.py --config=configs/compare.py:smoke            # the same with tiny ones; seconds

Result of `digits`: among MLPs of depth 10 without skips He's initialisation has 96.9 %, PyTorch's default 87.3 %
(docs/results.md).

Any supervised study will do: one that writes test accuracies. Networks of the same name in two studies on the same data are also
compared seed by seed.
"""

from ml_collections import ConfigDict

from configs import mlp, rescnn
from dla_jax.config.arguments import parse_argument


def get_config(argument: str = "") -> ConfigDict:
    """The comparison of `runs`, or of the studies that a preset makes first."""
    preset = parse_argument(argument, ("runs", "digits", "quick", "smoke")).preset
    config = ConfigDict()
    config.experiment = "compare"
    config.runs = ""  # workdirs of finished studies, with commas between
    config.made = ConfigDict()  # studies, under names, to be made first
    if preset != "runs":
        made = {
            "he": study(mlp, preset, "he"),
            "torch_default": study(mlp, preset, "torch_default"),
        }
        config.made = ConfigDict(
            made if preset == "quick" else made | {"cnn": study(rescnn, preset, "he")}
        )
    return config


def study(family, preset: str, init: str) -> ConfigDict:
    """A small depth study on digits: depths 5 and 10, six seeds."""
    config = family.get_config("smoke" if preset == "smoke" else "digits")
    config.model.init = init
    config.side_arms, config.claims = (), ConfigDict()
    if preset != "smoke":
        config.depths, config.seeds, config.lrs, config.select_seeds = (
            (5, 10),
            tuple(range(6)),
            (1e-3, 3e-3, 1e-2),
            (100, 101),
        )
    if preset == "quick":
        config.lrs, config.select_seeds, config.num_epochs = (3e-3, 1e-2), (100,), 10
    return config
