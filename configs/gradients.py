"""Does a deep plain net's gradient vanish, and a residual one's not?

Lab B watches the first convolution of its 48-layer nets, lab C mean and variance of the gradient of
each stage of ResNet-34 and of the same net without skips, lab E the mean absolute gradient of the
last dense layer over 150 batches. Papers: He et al. 2015, arXiv:1512.03385, section 4.1; Balduzzi
et al. 2017, arXiv:1702.08591.

Result of `digits` (531 s of CPU on 2 cores of an AMD EPYC, 6 seeds): with BatchNorm the plain net's
gradient does not vanish on its way to the first layer: before the first step it grows tenfold, over
the run it stays as large. That of the last dense layer falls in the residual net (97.9 %), not in
the plain one (86.0 %). Without norm and clipping the residual net's gradient explodes. All of it,
and what was run on CIFAR-10: docs/studies/gradients.md.
"""

from ml_collections import ConfigDict

from configs.claims.gradients import claims
from configs.image_base import image_base, resnet, use_digits
from configs.labs import set_reported
from configs.optimisers import SGD
from dla_jax.config.arguments import SECONDS, Preset, parse_argument

PLAIN, RESIDUAL = {"model": {"skip": False}}, {"model": {"skip": True}}
# Each net has its own best rate, and a gradient depends on it: so each also runs at the rate of the
# other.
SAME_RATE = {
    "plain_same_rate": PLAIN | {"lr_of": "residual"},
    "residual_same_rate": RESIDUAL | {"lr_of": "plain"},
}
CLIPPED, FROZEN = {"optim": {"clip_norm": 1.0}}, {"freeze_norm_after_epochs": 1}
REPORTED = {"plain": "only pictures", "residual": "only pictures"}


def get_config(argument: str = "") -> ConfigDict:
    """Return the study of a preset; every network is the config with its own overrides."""
    config = base()
    PRESETS[parse_argument(argument, PRESETS).preset].apply(config)
    set_reported(config, REPORTED)
    config.claims = claims(config.networks.keys())
    return config


def base() -> ConfigDict:
    """Return every key, with the values that most presets share."""
    config = image_base("gradients")
    # What the report asks.
    config.question = (
        "Does the gradient vanish in the plain net, and neither vanish nor explode in the residual "
        "one?"
    )
    config.pair = ("plain", "residual")  # which the labs look at, compared seed by seed
    config.trace_first_steps = 150  # first steps that have a row each, as lab E watches them
    config.probe_every_steps = 25  # steps between gradients on a batch that stays the same
    config.max_histograms = 20  # of the gradient of each layer in a run, at most
    networks = {
        "plain": PLAIN,
        "residual": RESIDUAL,
        "plain_clipped": PLAIN | CLIPPED,
        "residual_clipped": RESIDUAL | CLIPPED,
        "plain_frozen_norm": PLAIN | FROZEN,
        "residual_frozen_norm": RESIDUAL | FROZEN,
    }
    # What is compared: each network is this config with its own overrides.
    config.networks = ConfigDict(networks | SAME_RATE)
    config.lrs = (3e-3, 1e-2, 3e-2, 1e-1)
    # Momentum, not Adam or Lion: they divide the size of a gradient out again, and clipping would
    # change next to nothing.
    config.optim.update(SGD)
    config.optim.warmup_fraction = 0.2
    config.optim.nesterov = False
    config.log_every_steps = 100
    return config


def cifar10(config: ConfigDict) -> None:
    """Set lab B's deepest net, its ReLU after the addition: 49 convolutions and 3 dense layers."""
    config.model = ConfigDict()
    config.model.name = "lab_b"
    config.model.norm = "batch"
    config.model.init = "torch_default"
    config.model.skip = True  # whether blocks have a skip, in networks that do not say
    config.model.depth = 48  # layers
    config.model.as_implemented = False  # whether a ReLU stands before the addition, lab B's slip
    config.networks.update(shallower(17, 9))


def lab_c(config: ConfigDict) -> None:
    """Set lab C's nets, each of the 16 blocks with a skip or none, shortcuts without parameters."""
    config.model = ConfigDict(resnet(skip=True, depth=34))
    config.model.plain_stages = ()  # stages without skips in a net that has them; 1 is the first


def shallower(*depths: int) -> dict[str, dict]:
    """Return the pair at smaller depths, each at the rate of its deep twin."""
    return {
        f"{name}_{depth}": {"model": {"skip": name == "residual", "depth": depth}, "lr_of": name}
        for depth in depths
        for name in ("plain", "residual")
    }


def without_norm(skip: bool, init: str = "he") -> dict:
    """Return a network without norm."""
    return {"model": {"skip": skip, "norm": "none", "init": init}}


def digits(config: ConfigDict) -> None:
    """Set the embedded images and CNNs of 25 layers.

    They have BatchNorm, as in the labs, or no norm: there nothing but clipping keeps a signal in
    bounds.
    """
    use_digits(config)
    config.model = ConfigDict()
    config.model.name = "cnn"
    config.model.norm = "batch"
    config.model.init = "he"
    config.model.skip = True
    config.model.depth = 25
    config.model.width = 16
    config.model.pools = 1
    del config.networks.plain_frozen_norm
    bare = {
        "plain_no_norm": without_norm(skip=False) | CLIPPED,
        "residual_no_norm": without_norm(skip=True) | CLIPPED,
        # It explodes at rates that the others learn with.
        "residual_no_norm_unclipped": without_norm(skip=True) | {"lrs": (1e-3, 3e-3, 1e-2)},
        # It guesses at every rate that was tried, and what is asked of it is its gradient before
        # the first step.
        "plain_no_norm_torch_default": without_norm(skip=False, init="torch_default")
        | {"optim": {"clip_norm": 1.0, "lr": 0.03}},
    }
    config.networks.update(bare)
    # Two selection seeds; for them went 1e-3, which none chose, and of all but the pair the rates
    # far from what they chose.
    config.lrs = (1e-2, 3e-2, 1e-1, 3e-1)
    config.select_seeds = (100, 101)
    config.networks.residual_frozen_norm.lrs = (3e-3, 1e-2, 3e-2)
    config.networks.plain_no_norm.lrs = (1e-2, 3e-2, 1e-1)
    for name in ("plain_clipped", "residual_clipped", "residual_no_norm"):
        config.networks[name].lrs = (3e-2, 1e-1, 3e-1)
    config.networks.update(shallower(10, 5))
    config.num_epochs = 9
    config.batch_size = 64
    config.probe_every_steps = 10
    config.log_every_steps = 10
    config.checkpoint_every_steps = 0  # a run of seconds starts again


def leave_out(config: ConfigDict, *names: str) -> None:
    """Take networks out of the config."""
    for name in names:
        del config.networks[name]


def quick(config: ConfigDict) -> None:
    """Shorten `digits`: fewer layers, networks and epochs."""
    digits(config)
    config.model.depth = 15
    config.lrs = (1e-2, 3e-2, 1e-1)
    config.select_seeds = (100,)
    config.num_epochs = 4
    leave_out(config, "plain_clipped", "residual_clipped", "residual_frozen_norm", "plain_no_norm")
    leave_out(config, *SAME_RATE, *shallower(10, 5))


def smoke(config: ConfigDict) -> None:
    """Shorten `digits` to 5 layers and two epochs."""
    digits(config)
    config.model.depth = 5
    config.model.width = 4
    config.seeds = (0, 1)
    config.lrs = (1e-2, 3e-2)
    config.select_seeds = (100,)
    config.num_epochs = 2
    config.trace_first_steps = 20
    config.probe_every_steps = 10
    config.max_histograms = 3
    leave_out(config, "plain_clipped", "plain_no_norm", "residual_same_rate")
    leave_out(config, "residual_no_norm_unclipped", "plain_no_norm_torch_default")
    leave_out(config, *shallower(10, 5))
    for network in config.networks.values():
        if "lrs" in network:
            del network.lrs


PRESETS = {
    "cifar10": Preset(cifar10, 'CIFAR-10, lab B\'s "48" layers with and without skips', gpu=True),
    "lab_c": Preset(lab_c, "CIFAR-10, ResNet-34 and its plain twin", gpu=True),
    "digits": Preset(digits, "embedded 8x8 images, 25 layers, fifteen nets", minutes=3.5),
    "quick": Preset(quick, "digits with 15 layers, five nets, six seeds", minutes=1),
    "smoke": Preset(smoke, "the smallest, to see that it runs", minutes=SECONDS),
}
