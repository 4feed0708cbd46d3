"""Depth study of CNNs: deeper plain nets stop improving, residual ones do not. True, by how much, and why?

Labs: depth studies of CNNs on CIFAR-10 (README, "The labs"). Papers: He et al. 2015, arXiv:1512.03385 and arXiv:1603.05027.

    python launch.py --config=configs/rescnn.py                   # CIFAR-10, depths 1 to 25, matched twins; for a GPU
    python launch.py --config=configs/rescnn.py:digits            # 3.5 to 5 minutes on 2 CPU cores
    python launch.py --config=configs/rescnn.py:digits,depth=50   # one more depth
    python launch.py --config=configs/rescnn.py:quick             # about a minute: two depths, four arms
    python launch.py --config=configs/rescnn.py:smoke             # seconds, to see that it runs

The labs' and papers' own tables, on CIFAR-10, for a GPU:

    python launch.py --config=configs/rescnn.py:lab_a             # depths 1 to 50 as intended: matched twins
    python launch.py --config=configs/rescnn.py:lab_a,as_implemented=true    # as published: two architectures
    python launch.py --config=configs/rescnn.py:lab_b             # 9, 17 and 48 layers with and without skips
    python launch.py --config=configs/rescnn.py:lab_b,as_implemented=true    # with a ReLU before the addition
    python launch.py --config=configs/rescnn.py:he                # ResNet-20 to 110 and plain twins, one-cycle, 30 epochs
    python launch.py --config=configs/rescnn.py:he,as_implemented=true       # as published: 64,000 steps, one rate
    python launch.py --config=configs/rescnn.py:resnet18          # ResNet-18 and -34 and plain twins

Result of `digits` (549 s of CPU on 2 cores of an AMD EPYC, 8 seeds): at depth 25 plain 50.2 % [38.8, 61.7], residual 94.4 %
[93.3, 95.6]; the gain from depth 5 to 25 differs by 44.6 points [34.0, 55.3]. All of it, and what was run on CIFAR-10:
docs/results.md.
"""

import functools

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from configs.claims.depth import claims
from dla_jax.config.arguments import flatten, parse_argument
from dla_jax.config.checks import check
from dla_jax.config.overrides import CARRIED

PRESETS = ("cifar10", "digits", "quick", "smoke", "lab_a", "lab_b", "he", "resnet18")


def get_config(argument: str = "") -> ConfigDict:
    """The study of a preset; `depth=` adds a depth, `as_implemented=true` takes a published table's own choices."""
    given = parse_argument(argument, PRESETS, depth=0, as_implemented=False)
    check(
        not given.as_implemented or given.preset in ("lab_a", "lab_b", "he"),
        f"config argument as_implemented: {given.preset} has no other version; it is for lab_a, lab_b and he",
    )
    config = base()
    {
        "cifar10": cifar10,
        "digits": digits,
        "quick": quick,
        "smoke": smoke,
        "lab_a": lab_a,
        "lab_b": lab_b,
        "he": he,
        "resnet18": resnet18,
    }[given.preset](config, given.as_implemented)
    if given.depth:
        shallowest = min(depth for depth in config.depths if depth > 1)
        check(
            given.depth > shallowest,
            f"config argument depth: {given.depth} is not below {shallowest}, the first of "
            f"{config.depths} that has blocks; give a deeper one",
        )
        config.depths = tuple(sorted({*config.depths, given.depth}))
    config.claims = claims(config)
    return config


def base() -> ConfigDict:
    """Every key, with the values that most presets share."""
    config = ConfigDict()
    config.experiment = "depth"

    # The question: depth x arm x seed, paired by seed. "both" stands for all arms at depth 1, where they are one net.
    config.depths = (1, 5, 10, 20, 25)
    config.reference_depth = (
        0  # where the gain from depth is measured from; 0: the smallest depth that has blocks
    )
    config.arms = ("plain", "residual")
    config.seeds = tuple(
        range(6)
    )  # 2/2^6 = .03 is the smallest p; each fixes split, order, initial weights
    # The other explanations, at fewer depths and seeds: what `depths` and `seeds` are shortened to, they follow.
    config.side_arms = ()
    config.side_depths = ("reference", "deepest")  # of depths, by number or these words
    config.num_side_seeds = 6  # the first so many of seeds
    # Each arm at each depth gets its own learning rate, on validation, from seeds that no final run has.
    config.lrs = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
    config.select_seeds = (100, 101)  # one cannot show how far a rate's score is noise

    config.data = ConfigDict()
    config.data.name = "cifar10"
    config.data.path = placeholder(
        str
    )  # for data.name=folder: one sub-folder a class, or train/, val/ and test/ with such
    config.data.test_path = placeholder(
        str
    )  # an official test part elsewhere: a folder with one sub-folder a class
    config.data.size = 32  # pixels that a folder's images are resized to
    config.data.skip_bad = False  # go on without a folder's unreadable files
    config.data.val_fraction = 0.1
    config.data.test_fraction = 0.0  # 0: the set's own test part
    config.data.pad = 4  # pixels of pad-and-crop
    config.data.flip = True

    config.model = ConfigDict()
    config.model.name = "cnn"
    config.model.norm = "batch"
    config.model.init = "he"
    config.model.width = 64
    config.model.pools = 1  # 2x2 max-pools after the stem
    config.compute_dtype = "float32"

    config.num_epochs = 20
    config.batch_size = 128
    config.label_smoothing = 0.0
    config.class_weight = (
        "none"  # or balanced: a class weighs as much as another in the loss, however rare it is
    )
    config.freeze_norm_after_epochs = (
        0  # leaves BatchNorm in evaluation mode from then on, lab C's mistake; 0: never
    )
    config.patience = 0  # evaluations without improvement before a run stops; 0: never
    config.optim = ConfigDict()
    config.optim.name = "adam"
    config.optim.lr = placeholder(float)  # one peak rate for all, instead of the grid above
    config.optim.schedule = "cosine"
    config.optim.warmup_fraction = 0.0
    config.optim.milestones = (0.5, 0.75)  # fractions of the steps, for multi_step
    config.optim.decay_factor = 0.1
    config.optim.momentum = 0.9
    config.optim.nesterov = False
    config.optim.b1 = 0.9
    config.optim.b2 = 0.999
    config.optim.eps = 1e-8
    config.optim.weight_decay = 0.0
    config.optim.decayed = "all"  # or kernels alone
    config.optim.clip_norm = 1.0  # without it deep plain nets diverge at the larger rates

    config.eval_every_epochs = 1
    config.log_every_steps = 100  # rows beside those of the evaluations; 0: none
    config.checkpoint_every_steps = 1000  # 0: a run is saved only when interrupted
    config.steps_per_call = 32
    config.cells_at_a_time = 0  # 0: one a CPU core, or one on accelerators
    config.parallel = "jit"  # or pmap, where there are several devices
    return config


def networks_base(experiment: str) -> ConfigDict:
    """The keys of a study that compares networks of its own instead of arms at several depths."""
    config = base()
    for key in ("depths", "reference_depth", "arms", "side_arms", "side_depths", "num_side_seeds"):
        del config[key]
    config.experiment = experiment
    return config


def cifar10(config: ConfigDict, as_implemented: bool) -> None:
    """Lab E's depths, with BatchNorm as all the labs have it; without norm, and from other starts, at two depths."""
    config.side_arms = (
        "plain+no_norm",
        "residual+no_norm",
        "plain+dirac",
        "plain+torch_default",
        "plain+shared_lr",
    )


def digits(config: ConfigDict, as_implemented: bool) -> None:
    """The embedded set; without norm, since with it 8x8 digits show no effect of depth."""
    # Digits are centred, and have a left and a right: no crops, no flips.
    config.data.update(
        {"name": "digits", "val_fraction": 0.2, "test_fraction": 0.2, "pad": 0, "flip": False}
    )
    config.model.update({"norm": "none", "width": 16})
    config.seeds = tuple(range(8))
    # Two seeds of one rate lay up to 27 points apart where it fails, 1 to 24 at the best rate: three of each. For them went
    # 3e-4, which no CNN chose.
    config.lrs, config.select_seeds = (1e-3, 3e-3, 1e-2, 3e-2), (100, 101, 102)
    config.side_arms = (
        "residual+scaled",
        "plain+torch_default",
        "plain+dirac",
        "plain+batch",
        "residual+batch",
        "plain+shared_lr",
    )
    config.num_epochs, config.batch_size = 9, 64
    config.log_every_steps, config.checkpoint_every_steps = 6, 0  # a run of seconds starts again


def quick(config: ConfigDict, as_implemented: bool) -> None:
    """About a minute: two depths, the two cures, one seed to choose rates; enough seeds for a verdict."""
    digits(config, as_implemented)
    config.depths, config.seeds, config.side_depths = (5, 20), tuple(range(6)), ("deepest",)
    config.side_arms, config.lrs, config.select_seeds = (
        ("plain+dirac", "plain+batch"),
        (1e-3, 3e-3, 1e-2),
        (100,),
    )


def smoke(config: ConfigDict, as_implemented: bool) -> None:
    """Seconds."""
    digits(config, as_implemented)
    config.depths, config.seeds, config.side_arms = (
        (1, 2, 4),
        (0, 1),
        ("plain+batch", "plain+shared_lr"),
    )
    config.lrs, config.select_seeds = (3e-3, 1e-2), (100,)
    config.model.width, config.num_epochs = 4, 2


def lab_a(config: ConfigDict, as_implemented: bool) -> None:
    """Lab A's depths. As implemented: its two architectures, one rate for all, no crops or flips, val 10,000."""
    config.depths = (1, 5, 10, 20, 30, 50)
    config.model.pools = 0
    if as_implemented:
        config.model = ConfigDict({"name": "lab_a", "norm": "batch", "init": "torch_default"})
        config.data.update({"val_fraction": 0.2, "pad": 0, "flip": False})
        config.optim.update(
            {"lr": 1e-4, "schedule": "constant", "weight_decay": 1e-4, "clip_norm": 0.0}
        )


def lab_b(config: ConfigDict, as_implemented: bool) -> None:
    """Lab B's nets, trained as it did with Lion and one cycle; its AutoAugment is crops and flips here, and never on test."""
    config.depths = (9, 17, 48)
    config.model = ConfigDict(
        {
            "name": "lab_b",
            "norm": "batch",
            "init": "torch_default",
            "as_implemented": as_implemented,
        }
    )
    config.lrs, config.select_seeds = (
        (1e-4, 2e-4, 5e-4, 1e-3),
        (100,),
    )  # long runs: a second seed would cost four of each
    config.num_epochs, config.batch_size, config.patience = 60, 512, 0
    config.optim.update(
        {
            "name": "lion",
            "schedule": "one_cycle",
            "warmup_fraction": 0.3,
            "weight_decay": 1e-2,
            "b2": 0.99,
            "clip_norm": 0.0,
        }
    )
    if as_implemented:
        config.num_epochs, config.batch_size, config.patience, config.optim.lr = 200, 2048, 20, 5e-4


def resnet(**changes) -> dict:
    """The group `model` of a ResNet: basic blocks, shortcuts without parameters."""
    return {
        "name": "resnet",
        "norm": "batch",
        "init": "he",
        "bottleneck": False,
        "shortcut": True,
        "projection": False,
    } | changes


def he(config: ConfigDict, as_implemented: bool) -> None:
    """The paper's nets. As implemented: its schedule, 64,000 steps at one rate; as intended: one cycle, 30 epochs, own rates."""
    config.depths, config.lrs, config.num_epochs = (20, 32, 44, 56, 110), (0.03, 0.1, 0.3, 1.0), 30
    config.select_seeds = (100,)  # long runs
    config.model = ConfigDict(resnet())
    config.optim.update(
        {
            "name": "sgd",
            "schedule": "one_cycle",
            "warmup_fraction": 0.3,
            "nesterov": True,
            "weight_decay": 5e-4,
            "clip_norm": 0.0,
        }
    )
    if as_implemented:
        config.num_epochs = 182
        config.optim.update(
            {
                "lr": 0.1,
                "schedule": "multi_step",
                "milestones": (0.5, 0.75),
                "nesterov": False,
                "weight_decay": 1e-4,
            }
        )


def resnet18(config: ConfigDict, as_implemented: bool) -> None:
    """The wide ResNets of lab D, and their plain twins: shortcuts without parameters."""
    he(config, as_implemented)
    config.depths = (18, 34)
    config.lrs = (0.03, 0.1, 0.3)
    config.batch_size, config.compute_dtype, config.label_smoothing = 512, "bfloat16", 0.1


def set_networks(config: ConfigDict, networks: dict[str, dict]) -> None:
    """Puts the networks of a comparison into its config, and takes out what each of them has its own of: a key that would change
    nothing is a trap."""
    config.networks = ConfigDict(networks)
    common = functools.reduce(
        set.intersection, (set(flatten(network.to_dict())) for network in config.networks.values())
    )
    if "model.name" in common:
        del config.model
    for group, _, key in (
        name.rpartition(".") for name in common - set(CARRIED) if not name.startswith("model.")
    ):
        del (config[group] if group else config)[key]
