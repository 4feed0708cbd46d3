"""Deeper plain CNNs stop improving, residual ones do not: is it so?

And by how much, and is it the skip, the initialisation, the normalisation or the learning rate?

Labs: depth studies of CNNs on CIFAR-10 (README, "The labs"). Papers: He et al. 2015,
arXiv:1512.03385 and arXiv:1603.05027.

One more depth, and a published table as it was made: lab A's two architectures, lab B's ReLU before
the addition, the paper's 64,000 steps at one rate. Without that all have matched twins.

    python launch.py --config=configs/rescnn.py:digits,depth=50
    python launch.py --config=configs/rescnn.py:he,as_implemented=true

Result of `digits` (580 s of CPU on 2 cores of an Intel Xeon, 8 seeds): at depth 25 plain 48.3 %
[36.6, 60.0], residual 95.1 % [93.8, 96.3]; the gain from depth 5 to 25 differs by 47.4 points
[36.1, 58.7]. All of it, and what was run on CIFAR-10: docs/studies/depth.md.
"""

from ml_collections import ConfigDict

from configs.claims.depth import claims
from configs.image_base import image_base, resnet, use_digits
from configs.optimisers import LION, SGD
from dla_jax.config.arguments import SECONDS, Preset, parse_argument
from dla_jax.config.checks import check


def get_config(argument: str = "") -> ConfigDict:
    """Return the study of a preset."""
    published = {"lab_a": published_lab_a, "lab_b": published_lab_b, "he": published_he}
    given = parse_argument(
        argument,
        PRESETS,
        depth=0,  # a depth more than the preset has; 0: none
        as_implemented=False,  # a published table's own choices, of lab_a, lab_b and he
    )
    check(
        not given.as_implemented or given.preset in published,
        f"config argument as_implemented: {given.preset} has no other version; it is for lab_a, "
        "lab_b and he",
    )
    config = base()
    apply = published[given.preset] if given.as_implemented else PRESETS[given.preset].apply
    apply(config)
    if given.depth:
        add_depth(config, given.depth)
    config.claims = claims(config)
    return config


def add_depth(config: ConfigDict, depth: int) -> None:
    """Add a depth to those of the study; raise ConfigError for one that is too shallow."""
    shallowest = min(known for known in config.depths if known > 1)
    check(
        depth > shallowest,
        f"config argument depth: {depth} is not below {shallowest}, the first of {config.depths} "
        "that has blocks; give a deeper one",
    )
    config.depths = tuple(sorted({*config.depths, depth}))


def base() -> ConfigDict:
    """Return every key, with the values that most presets share."""
    config = image_base("depth")
    # Layers of the nets that are compared. At depth 1 all arms are one net, "both".
    config.depths = (1, 5, 10, 20, 25)
    # Where the gain from depth is measured from; 0: the smallest depth that has blocks.
    config.reference_depth = 0
    # Kinds of nets: plain or residual, with any of +scaled, +batch or +no_norm, and a start: +he,
    # +torch_default, +dirac, +orthogonal, +looks_linear; of residual nets without norm +skipinit or
    # +fixup. They run at all depths with all seeds.
    config.arms = ("plain", "residual")
    # The other explanations, at fewer depths and seeds; also +shared_lr, at the learning rate of
    # the reference depth.
    config.side_arms = ()
    # Those of `depths` at which side arms run, by number, or reference and deepest.
    config.side_depths = ("reference", "deepest")
    config.num_side_seeds = 6  # side arms run with the first so many of `seeds`
    return config


def cifar10(config: ConfigDict) -> None:
    """Set lab E's depths, with BatchNorm as all the labs have it.

    At two depths also without norm, and from other starts.
    """
    config.side_arms = (
        "plain+no_norm",
        "residual+no_norm",
        "plain+dirac",
        "plain+torch_default",
        "plain+shared_lr",
    )


def digits(config: ConfigDict) -> None:
    """Set the embedded images; without norm, since with it 8x8 digits show no effect of depth."""
    use_digits(config)
    config.model.norm = "none"
    config.model.width = 16
    config.seeds = tuple(range(8))
    # Two seeds of one rate lay up to 27 points apart where it fails, 1 to 24 at the best rate:
    # three of each. For them went 3e-4, which no CNN chose.
    config.lrs = (1e-3, 3e-3, 1e-2, 3e-2)
    config.select_seeds = (100, 101, 102)
    config.selection = "halving"  # of 19 choices 18 as a full grid's, for .56 of its steps
    config.side_arms = (
        "residual+scaled",
        "plain+torch_default",
        "plain+dirac",
        "plain+batch",
        "residual+batch",
        "plain+shared_lr",
    )
    config.num_epochs = 9
    config.batch_size = 64
    config.log_every_steps = 6
    config.checkpoint_every_steps = 0  # a run of seconds starts again


def quick(config: ConfigDict) -> None:
    """Shorten `digits`: two depths, the two cures, one seed to choose rates.

    The seeds are enough for a verdict.
    """
    digits(config)
    config.depths = (5, 20)
    config.seeds = tuple(range(6))
    config.side_depths = ("deepest",)
    config.side_arms = ("plain+dirac", "plain+batch")
    config.lrs = (1e-3, 3e-3, 1e-2)
    config.select_seeds = (100,)
    config.selection = "full"  # there is little to save, and one seed to cut by


def smoke(config: ConfigDict) -> None:
    """Shorten `digits` to three small nets."""
    digits(config)
    config.depths = (1, 2, 4)
    config.seeds = (0, 1)
    config.side_arms = ("plain+batch", "plain+shared_lr")
    config.lrs = (3e-3, 1e-2)
    config.select_seeds = (100,)
    config.selection = "full"
    config.model.width = 4
    config.num_epochs = 2


def lab_a(config: ConfigDict) -> None:
    """Set lab A's depths, for matched twins."""
    config.depths = (1, 5, 10, 20, 30, 50)
    config.model.pools = 0


def published_lab_a(config: ConfigDict) -> None:
    """Set lab A's two architectures, one rate for all, no crops or flips, val 10,000."""
    lab_a(config)
    config.model = ConfigDict({"name": "lab_a", "norm": "batch", "init": "torch_default"})
    config.data.val_fraction = 0.2
    config.data.pad = 0
    config.data.flip = False
    config.optim.lr = 1e-4
    config.optim.schedule = "constant"
    config.optim.weight_decay = 1e-4
    config.optim.clip_norm = 0.0


def lab_b(config: ConfigDict) -> None:
    """Set lab B's nets, trained as it did with Lion and one cycle.

    Its AutoAugment is crops and flips here, and never on test.
    """
    config.depths = (9, 17, 48)
    config.model = ConfigDict({"name": "lab_b", "norm": "batch", "init": "torch_default"})
    config.model.as_implemented = False  # whether a ReLU stands before the addition, lab B's slip
    config.lrs = (1e-4, 2e-4, 5e-4, 1e-3)
    config.select_seeds = (100,)  # long runs: a second seed would cost four of each
    config.num_epochs = 60
    config.batch_size = 512
    config.patience = 0
    config.optim.update(LION)
    config.optim.clip_norm = 0.0


def published_lab_b(config: ConfigDict) -> None:
    """Set lab B's nets with its ReLU before the addition, its one rate, batches and patience."""
    lab_b(config)
    config.model.as_implemented = True
    config.num_epochs = 200
    config.batch_size = 2048
    config.patience = 20
    config.optim.lr = 5e-4


def he(config: ConfigDict) -> None:
    """Set the paper's nets, with one cycle, 30 epochs and rates of their own."""
    config.depths = (20, 32, 44, 56, 110)
    config.lrs = (0.03, 0.1, 0.3, 1.0)
    config.num_epochs = 30
    config.select_seeds = (100,)  # long runs
    config.model = ConfigDict(resnet())
    config.optim.update(SGD)


def published_he(config: ConfigDict) -> None:
    """Set the paper's nets with its schedule, 64,000 steps at one rate."""
    he(config)
    config.num_epochs = 182
    config.optim.lr = 0.1
    config.optim.schedule = "multi_step"
    config.optim.milestones = (0.5, 0.75)
    config.optim.nesterov = False
    config.optim.weight_decay = 1e-4


def resnet18(config: ConfigDict) -> None:
    """Set the wide ResNets of lab D, and their plain twins: shortcuts without parameters."""
    he(config)
    config.depths = (18, 34)
    config.lrs = (0.03, 0.1, 0.3)
    config.batch_size = 512
    config.compute_dtype = "bfloat16"
    config.label_smoothing = 0.1


PRESETS = {
    "cifar10": Preset(cifar10, "CIFAR-10, lab E's depths 1 to 25, with BatchNorm", gpu=True),
    "digits": Preset(digits, "embedded 8x8 images, depths 1 to 25, without norm", minutes=4.6),
    "quick": Preset(quick, "digits at two depths, four arms, six seeds", minutes=1),
    "smoke": Preset(smoke, "the smallest, to see that it runs", minutes=SECONDS),
    "lab_a": Preset(lab_a, "CIFAR-10, lab A's depths 1 to 50", gpu=True),
    "lab_b": Preset(lab_b, "CIFAR-10, lab B's 9, 17 and 48 layers", gpu=True),
    "he": Preset(he, "CIFAR-10, ResNet-20 to -110, one cycle, 30 epochs", gpu=True),
    "resnet18": Preset(resnet18, "CIFAR-10, ResNet-18 and -34, and plain twins", gpu=True),
}
