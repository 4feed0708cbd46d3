"""MLPs: can one of 20 layers be trained, and which is best for MNIST?

And is it depth that breaks a deep one, or its initialisation?

Lab A reports 96.0 % at depth 5 and 11.5 % at depth 20 on MNIST and concludes that the deep MLP
fails; lab B reports 32.6 % with 784 hidden units, the course's baseline has 94.7 % with 16. Papers:
He et al. 2015, arXiv:1502.01852 (initialisation); He et al. 2016, arXiv:1603.05027
(pre-activation).

With the labs' recipes:

    python launch.py --config=configs/mlp.py:mnist,as_implemented=true

Result of `digits` (278 s of CPU on 2 cores of an AMD EPYC): a plain MLP of depth 20 has 95.3 %
[94.7, 95.8] with He initialisation (16 seeds) and 12.9 % [6.0, 19.8], about chance, with PyTorch's
default (6 seeds). Of `mnist` (339 s of CPU): 784-128-64-10 has 97.9 % [97.8, 98.1], lab B's
784-784-10 98.4 % [98.4, 98.5] at a learning rate of its own (6 seeds). All of it:
docs/studies/depth.md and docs/studies/mnist.md.
"""

from types import SimpleNamespace

from ml_collections import ConfigDict

from configs import rescnn
from configs.claims.mlp import depth_claims, mnist_claims
from configs.image_base import image_base, perceptron, set_networks
from configs.labs import set_reported
from configs.optimisers import LION
from dla_jax.config.arguments import SECONDS, Preset, keep, parse_argument
from dla_jax.config.checks import check

REPORTED = {
    "mlp_16_16": "94.7 % (test)",
    "mlp_784": "32.6 % (test)",
    "mlp_128_64": "no figure",
    "depth_1": "95.95 % (val.)",
    "depth_5": "96.02 % (val.)",
    "depth_10": "91.50 % (val.)",
    "depth_20": "11.46 % (val.)",
    "lab_b": "32.6 % (test), 150 epochs",
}


def get_config(argument: str = "") -> ConfigDict:
    """Return the study of a preset.

    Those not on MNIST are the depth study of configs/rescnn.py with other nets, and take `depth=`.
    """
    given = parse_argument(
        argument,
        PRESETS,
        depth=0,  # a depth more than the preset has, of those on digits; 0: none
        as_implemented=False,  # the labs' own nets and recipes, of mnist
    )
    check(
        given.preset == "mnist" or not given.as_implemented,
        f"config argument as_implemented: {given.preset} has no other version; it is for mnist",
    )
    if given.preset not in ("mnist", "lab_b"):
        return depth_study(argument, given)
    check(
        not given.depth,
        f"config argument depth: {given.preset} compares networks; it is for digits",
    )
    config = mnist_base()
    (published_mnist if given.as_implemented else PRESETS[given.preset].apply)(config)
    set_reported(config, REPORTED)
    config.claims = mnist_claims(config.networks.keys())
    return config


def depth_study(argument: str, given: SimpleNamespace) -> ConfigDict:
    """Return the depth study of an argument, of MLPs; `given` is what it says."""
    config = rescnn.get_config(argument)
    config.model = ConfigDict({"name": "mlp", "norm": "none", "init": "he", "width": 8})
    PRESETS[given.preset].apply(config)
    if given.depth:
        rescnn.add_depth(config, given.depth)
    config.claims = depth_claims(config)
    return config


def larger(config: ConfigDict) -> None:
    """Set the width and the epochs of the studies that are more than a smoke."""
    config.model.width = 64
    config.num_epochs = 20
    config.log_every_steps = 0


def digits(config: ConfigDict) -> None:
    """Set depths that no CNN here has, and side arms also at depth 20."""
    larger(config)
    config.depths = (1, 5, 10, 20, 50)
    config.side_depths = ("reference", 20, "deepest")
    # Unlike CNNs, MLPs do choose 3e-4 at depth 50; two seeds of the best rate lay 0 to 4 points
    # apart, except 19 in the plain one with BatchNorm.
    config.lrs = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
    config.select_seeds = (100, 101)
    # A run takes a second: sixteen see a difference of .74 standard deviations, eight of 1.2.
    config.seeds = tuple(range(16))


def quick(config: ConfigDict) -> None:
    """Set the two cures of a deep MLP, at depths 5 and 20."""
    larger(config)
    config.side_arms = ("plain+torch_default", "residual+scaled")
    config.side_depths = ("reference", 20)


def mnist_base() -> ConfigDict:
    """Return what the studies of MLPs on MNIST share."""
    config = image_base("architectures")
    config.pair = ()  # two networks that are compared seed by seed; (): none
    config.seeds = (0, 1, 2, 3, 4, 5)
    config.lrs = (1e-3, 3e-3, 1e-2)
    config.data.name = "mnist"
    config.data.val_fraction = 1 / 12
    config.data.pad = 0
    config.data.flip = False
    config.num_epochs = 6
    config.log_every_steps = 0
    config.checkpoint_every_steps = 0
    config.optim.clip_norm = 0.0
    # What the report asks.
    config.question = (
        "Which MLP for MNIST? The wider net was reported to fail; is it the net or the recipe?"
    )
    return config


def mnist(config: ConfigDict) -> None:
    """Set the labs' MLPs for MNIST as intended, each at its own learning rate."""
    networks = {
        "mlp_16_16": {"model": perceptron(16, 16)},
        "mlp_128_64": {"model": perceptron(128, 64)},
        "mlp_256_256": {"model": perceptron(256, 256)},
        "mlp_784": {"model": perceptron(784, dropout=0.2)},
    }
    set_networks(config, networks)


def published_mnist(config: ConfigDict) -> None:
    """Set the labs' MLPs for MNIST as implemented, with their recipes."""
    config.lrs = (1e-3,)
    adam = {"lr": 1e-4, "schedule": "constant"}
    networks = {
        "mlp_16_16": {
            "optim": adam,
            "num_epochs": 100,
            "model": perceptron(16, 16, init="torch_default"),
        },
        "mlp_784": {
            "optim": LION | {"lr": 1e-2},
            "num_epochs": 150,
            "patience": 20,
            "batch_size": 16384,
            "model": perceptron(784, dropout=0.2, init="torch_default"),
        },
    }
    for depth in (1, 5, 10, 20):
        widths = (64,) * depth
        networks[f"depth_{depth}"] = {
            "optim": adam | {"weight_decay": 1e-4},
            "num_epochs": 20,
            "model": perceptron(*widths, dropout=0.2, dropout_at="last", init="torch_default"),
        }
    set_networks(config, networks)


def lab_b(config: ConfigDict) -> None:
    """Set lab B's MLP and recipe, Lion with one cycle to 1e-2 in batches of 16,384.

    Beside it stands the same at a rate of its own. 17 steps instead of the lab's up to 500: one
    takes a CPU core a second or two. The cycle is as much shorter.
    """
    config.question = (
        "32.6 % on MNIST with 784 hidden units: is it the net, or the rate of 1e-2, which Lion "
        "takes as it is?"
    )
    config.model = perceptron(784, dropout=0.2, init="torch_default")
    config.optim.update(LION)
    config.lrs = (1e-3, 2e-3, 4e-3)  # in so few steps 3e-4 is too slow
    config.num_epochs = 5
    config.batch_size = 16384
    set_networks(config, {"lab_b": {"optim": {"lr": 1e-2}}, "own_rate": {}})


PRESETS = {
    "mnist": Preset(mnist, "MNIST: the labs' four MLPs, each at its own rate", minutes=2),
    "lab_b": Preset(lab_b, "MNIST: lab B's recipe, and a rate of its own", minutes=2.5),
    "digits": Preset(digits, "embedded 8x8 images, depths 1 to 50", minutes=2),
    "quick": Preset(quick, "digits at depths 5 and 20, four arms, six seeds", minutes=1),
    "smoke": Preset(keep, "the smallest, to see that it runs", minutes=SECONDS),
}
