"""Finished studies side by side: which network is best?

    python launch.py --config=configs/compare.py --config.runs=runs/try1,runs/try2

Result of `digits` (on 2 CPU cores): among MLPs of depth 10 without skips He's initialisation has
96.9 %, PyTorch's default 87.3 % (docs/studies/compare.md).

Any supervised study will do: one that writes test accuracies. Networks of the same name in two
studies on the same data are also judged in pairs, seed by seed; --config.pairs=best judges the best
network beside each other one, of whatever width and size, and --config.pairs=all every two.
"""

from types import ModuleType

from ml_collections import ConfigDict

from configs import mlp, rescnn
from dla_jax.config.arguments import SECONDS, Preset, keep, parse_argument


def get_config(argument: str = "") -> ConfigDict:
    """Return the comparison of `runs`, or of the studies that a preset makes first."""
    preset = parse_argument(argument, PRESETS).preset
    config = ConfigDict()
    config.experiment = "compare"  # the command; leave it
    config.runs = ""  # workdirs of finished studies, with commas between
    # Which networks are judged in pairs: those of one name in two studies (same), the best on
    # validation beside each other one (best), or every two (all). All pairs are corrected for.
    config.pairs = "same"
    config.made = ConfigDict()  # studies, under names, to be made first
    PRESETS[preset].apply(config)
    return config


def study(family: ModuleType, preset: str, init: str) -> ConfigDict:
    """Return the depth study of a preset of a family, all nets with one initialisation."""
    config = family.get_config(preset)
    config.model.init = init
    config.side_arms = ()
    config.claims = ConfigDict()
    return config


def small(family: ModuleType, init: str) -> ConfigDict:
    """Return a small depth study on digits: depths 5 and 10, six seeds."""
    config = study(family, "digits", init)
    config.depths = (5, 10)
    config.seeds = tuple(range(6))
    config.lrs = (1e-3, 3e-3, 1e-2)
    config.select_seeds = (100, 101)
    return config


def digits(config: ConfigDict) -> None:
    """Make small studies of MLPs with two initialisations first, and one of CNNs."""
    config.made.he = small(mlp, init="he")
    config.made.torch_default = small(mlp, init="torch_default")
    config.made.cnn = small(rescnn, init="he")


def quick(config: ConfigDict) -> None:
    """Make the two of MLPs first, trained for half as long."""
    for init in ("he", "torch_default"):
        made = small(mlp, init)
        made.lrs = (3e-3, 1e-2)
        made.select_seeds = (100,)
        made.num_epochs = 10
        config.made[init] = made


def smoke(config: ConfigDict) -> None:
    """Make two tiny studies first, of depths 1 and 2."""
    for init in ("he", "torch_default"):
        made = study(mlp, "smoke", init)
        made.depths = (1, 2)
        config.made[init] = made


PRESETS = {
    "runs": Preset(keep, "the finished studies of --config.runs=A,B", minutes=SECONDS),
    "digits": Preset(digits, "makes three small studies first", minutes=0.7),
    "quick": Preset(quick, "makes two of them, trained for half as long", minutes=0.5),
    "smoke": Preset(smoke, "makes two tiny ones, to see that it runs", minutes=SECONDS),
}
