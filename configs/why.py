"""Why do skips help? Five diagnostics, and remedies without one.

All labs ask it (lab A 2.1, lab B exercise 3, lab C 2.1, lab E 2.1) and look at the size of
gradients alone (configs/gradients.py). Papers: Veit et al. 2016, arXiv:1605.06431; Balduzzi et al.
2017, arXiv:1702.08591; Li et al. 2018, arXiv:1712.09913; Ghorbani et al. 2019, arXiv:1901.10159.

Of the deepest twins of a finished study, of two of its networks, or of those it trains first:

    python launch.py --config=configs/why.py --from=runs/try1
    python launch.py --config=configs/why.py --from=runs/try1 --config.pair=plain-10,residual-10
    python launch.py --config=configs/why.py:digits

Result of `digits` (293 s of CPU on 2 cores of an AMD EPYC, 8 seeds): a deleted block costs the
plain net 82.7 points [80.8, 84.6] more; around it the loss rises 62 times [50, 76] as far; with
BatchNorm both are equally shattered; a looks-linear start does as well as a skip. All of it:
docs/studies/why.md.
"""

from ml_collections import ConfigDict

from configs.claims.why import claims
from configs.image_base import image_base, resnet, set_networks, use_digits
from configs.labs import set_reported
from configs.optimisers import SGD
from dla_jax.config.arguments import SECONDS, Preset, keep, parse_argument

EIGHT = tuple(range(8))
QUESTION = (
    "Why do skips help: is it lesions, paths, shattered gradients, the landscape or curvature, and "
    "does anything else do what they do?"
)


def get_config(argument: str = "") -> ConfigDict:
    """Return the study of a preset; every network is the config with its own overrides."""
    preset = PRESETS[parse_argument(argument, PRESETS).preset]
    config = reading() if preset.apply is keep else training()
    preset.apply(config)
    if "networks" in config:
        set_reported(config, {})
    config.claims = claims(config.networks if "networks" in config else ("plain", "residual"))
    return config


def reading() -> ConfigDict:
    """Return the keys of a study that reads the networks of `--from`."""
    config = ConfigDict()
    config.experiment = "why"  # the kind of study; leave it
    config.question = QUESTION  # what the report asks
    # A plain and a residual network of the study, as its report names them; (): the deepest twins.
    config.pair = ()
    # What was reported of each network, in words.
    config.reported = ConfigDict({"plain": "pictures", "residual": "pictures"})
    return diagnosed(config, ("plain", "residual"))


def training() -> ConfigDict:
    """Return the keys of a study that trains its networks, with the values most presets share."""
    config = image_base("why")
    # What the report asks.
    config.question = QUESTION
    config.pair = ("plain", "residual")  # the twins, which are compared seed by seed
    config.probe_every_steps = 100  # steps between two measures of curvature
    config.seeds = EIGHT
    config.log_every_steps = 0
    return diagnosed(config, ("plain", "residual"))


def diagnosed(config: ConfigDict, names: tuple[str, ...]) -> ConfigDict:
    """Put the keys of the diagnostics into a config, and return it.

    Args:
      names: of the networks that are diagnosed.
    """
    # Networks whose lesions, paths, landscape and curvature are measured.
    config.diagnosed = names
    config.shattered = names  # networks whose start is given to fresh ones with one input
    config.num_images = 256  # of a part of the data that a diagnostic looks at, at most

    config.lesions = ConfigDict()
    # Numbers of blocks that are deleted together; (): from none to all of them.
    config.lesions.counts = ()
    config.lesions.num_counts = 11  # numbers that stand for (), and numbers of swaps, at most
    config.lesions.num_draws = 16  # random choices of so many blocks, or of so many swaps
    config.lesions.max_swaps = 10  # swaps of two blocks, at most

    config.paths = ConfigDict()
    config.paths.num_routes = 16  # paths of a length, at most
    config.paths.at_once = 16  # paths whose gradients are computed together

    config.shattering = ConfigDict()
    config.shattering.depths = (2, 5, 10, 20, 50)  # of the fresh networks
    config.shattering.num_networks = 16  # fresh ones of a depth and seed
    config.shattering.width = 64  # units of their layers
    config.shattering.points = 256  # inputs
    config.shattering.span = 2.0  # inputs lie from minus this to this
    config.shattering.longest_lag = 64  # steps between two inputs that are compared, at most
    config.shattering.lag = 16  # that the claim is about

    config.landscape = ConfigDict()
    config.landscape.radius = 1.0  # in norms of the network's own filters
    config.landscape.points = 31  # on each axis; odd, so that the network is one of them
    config.landscape.cut_points = 61  # along one direction
    config.landscape.chunk = 1  # points computed together; more need more memory

    config.curvature = ConfigDict()
    config.curvature.num_images = 128  # training images, of num_images
    config.curvature.num_products = 12  # with the Hessian, for its largest eigenvalue
    config.curvature.num_probes = 2  # random vectors for its spectrum
    config.curvature.num_density_products = 24  # with the Hessian, for each of them
    return config


def networks(base: dict) -> dict[str, dict]:
    """Return the twins without and with BatchNorm, and what may stand for a skip, or for the norm.

    Branches beside a skip without norm are divided by the square root of their number, so that the
    signal keeps its size.

    Args:
      base: what all share of the group `model`.
    """
    bare = base | {"norm": "none", "init": "he", "scaled": False}
    plain, residual = bare | {"skip": False}, bare | {"skip": True}
    batch = {"norm": "batch"}
    return {
        "plain": {"model": plain},
        "residual": {"model": residual | {"scaled": True}},
        # The other explanations: the factor of the branches, and a learning rate of its own.
        "residual_unscaled": {"model": residual},
        "residual_same_rate": {"model": residual | {"scaled": True}, "lr_of": "plain"},
        "plain_batch": {"model": plain | batch},
        "residual_batch": {"model": residual | batch},
        "looks_linear": {"model": plain | {"init": "looks_linear"}},
        "orthogonal": {"model": plain | {"init": "orthogonal"}},
        "identity": {"model": plain | {"init": "dirac"}},
        "skipinit": {"model": residual | {"init": "skipinit"}},
        "fixup": {"model": residual | {"init": "fixup"}},
    }


def mlps(config: ConfigDict, depth: int, width: int, names: tuple[str, ...]) -> None:
    """Set dense nets of a depth on the embedded images.

    Args:
      names: of `networks`.
    """
    use_digits(config)
    nets = networks({"name": "mlp", "depth": depth, "width": width})
    set_networks(config, {name: nets[name] for name in names})
    config.lrs = (3e-4, 1e-3, 3e-3, 1e-2)
    config.num_epochs = 12
    config.batch_size = 64
    config.checkpoint_every_steps = 0  # a run of seconds starts again
    shown = ("plain", "residual", "residual_unscaled", "plain_batch", "residual_batch")
    config.shattered = tuple(name for name in (*shown, "looks_linear") if name in names)


def digits(config: ConfigDict) -> None:
    """Set dense nets of 20 layers on the embedded images, without norm as in the papers' theory.

    Diagnosed are also the pair with BatchNorm, and a residual net at the plain one's rate.
    """
    names = tuple(networks({}))
    mlps(config, 20, 64, names)
    config.diagnosed = ("plain", "residual", "plain_batch", "residual_batch", "residual_same_rate")
    config.probe_every_steps = 36


def quick(config: ConfigDict) -> None:
    """Shorten `digits`: the pair and two remedies, six seeds, fewer points."""
    mlps(config, 12, 32, ("plain", "residual", "looks_linear", "skipinit"))
    config.seeds = EIGHT[:6]
    config.lrs = (1e-3, 3e-3, 1e-2)
    config.select_seeds = (100,)
    config.num_epochs = 6
    config.probe_every_steps = 54
    config.landscape.points = 15
    config.landscape.cut_points = 31


def smoke(config: ConfigDict) -> None:
    """Shorten `digits` to 4 layers and one epoch."""
    mlps(config, 4, 8, ("plain", "residual", "looks_linear"))
    config.seeds = (0, 1)
    config.lrs = (3e-3, 1e-2)
    config.select_seeds = (100,)
    config.num_epochs = 1
    config.probe_every_steps = 9
    config.num_images = 32
    config.lesions.num_draws = 2
    config.lesions.max_swaps = 2
    config.paths.num_routes = 2
    config.shattering.depths = (2, 4)
    config.shattering.num_networks = 2
    config.shattering.width = 8
    config.shattering.points = 32
    config.shattering.longest_lag = 8
    config.shattering.lag = 4
    config.landscape.points = 3
    config.landscape.cut_points = 3
    config.curvature.num_images = 16
    config.curvature.num_products = 3
    config.curvature.num_probes = 1
    config.curvature.num_density_products = 3


def resnet20(config: ConfigDict) -> None:
    """Set ResNet-20 on CIFAR-10, its plain twin, and what may stand for skip and norm."""
    resnets(config, depth=20)


def resnet56(config: ConfigDict) -> None:
    """Set ResNet-56 on CIFAR-10, its plain twin, and what may stand for skip and norm."""
    resnets(config, depth=56)


def resnets(config: ConfigDict, depth: int) -> None:
    """Set the ResNets of a depth: the twins have BatchNorm, as He et al. have it.

    A ReLU stands behind their addition: a looks-linear start and the identity are for plain nets.
    """
    nets = networks(resnet(depth=depth, plain_stages=()))
    for name in ("residual", "residual_unscaled", "residual_same_rate"):
        del nets[name]
    set_networks(config, nets)
    config.pair = config.diagnosed = ("plain_batch", "residual_batch")
    config.shattered = ("plain", "plain_batch", "residual_batch", "looks_linear")
    config.optim.update(SGD)
    config.lrs = (0.03, 0.1, 0.3)
    config.select_seeds = (100,)  # long runs
    config.num_epochs = 30
    config.probe_every_steps = 1000
    config.num_images = 1000
    config.landscape.points = 51
    config.landscape.cut_points = 101
    config.landscape.chunk = 8
    config.curvature.num_images = 512
    config.curvature.num_products = 30
    config.curvature.num_density_products = 60


PRESETS = {
    "read": Preset(keep, "the deepest twins of --from; a minute"),
    "digits": Preset(digits, "embedded 8x8 images, 20 layers, eleven nets", minutes=3),
    "quick": Preset(quick, "digits with 12 layers, four nets, six seeds", minutes=1),
    "smoke": Preset(smoke, "the smallest, to see that it runs", minutes=SECONDS),
    "resnet20": Preset(resnet20, "CIFAR-10, ResNet-20 and its plain twin", gpu=True),
    "resnet56": Preset(resnet56, "CIFAR-10, ResNet-56 and its plain twin", gpu=True),
}
