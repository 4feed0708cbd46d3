"""Do skips make a 34-layer net better? And is an MLP of any use?

Lab C trains an MLP, ResNet-34, the same net without skips ("ConvNet34") and ResNet-50 on CIFAR-10,
then the middle two ten times for 20 epochs: ten paired runs here. Papers: He et al. 2015,
arXiv:1512.03385.

With the lab's recipe and slips:

    python launch.py --config=configs/resnet34.py:cifar10,as_implemented=true

Result of `digits` (399 s of CPU on 2 cores of an AMD EPYC): with skips 98.1 % [97.8, 98.3], without
97.6 % [97.0, 98.2], a difference of 0.5 points [-0.2, 1.2] in ten paired runs; the MLP reaches
95.7 % [94.4, 97.1], with lab C's ReLU behind its logits 66.3 % [42.2, 90.4]. All of it, and what
was run on CIFAR-10: docs/studies/architectures.md.
"""

from ml_collections import ConfigDict

from configs.claims.resnet34 import claims
from configs.image_base import image_base, perceptron, resnet, set_networks, use_digits
from configs.labs import set_reported
from configs.optimisers import SGD
from dla_jax.config.arguments import SECONDS, Preset, parse_argument
from dla_jax.config.checks import check

REPORTED = {
    "mlp_relu_logits": "completely ineffective",
    "convnet": "no figure",
    "resnet": "better than ConvNet34, no figure",
    "resnet_bottleneck": "no particular difference to ResNet34",
}
SIX = tuple(range(6))  # seeds of what is not of the pair


def get_config(argument: str = "") -> ConfigDict:
    """Return the study of a preset; every network is the config with its own overrides."""
    given = parse_argument(
        argument,
        PRESETS,
        as_implemented=False,  # lab C's nets and recipe with its slips, of cifar10
    )
    check(
        given.preset == "cifar10" or not given.as_implemented,
        f"config argument as_implemented: {given.preset} has no other version; it is for cifar10",
    )
    config = base()
    (published_cifar10 if given.as_implemented else PRESETS[given.preset].apply)(config)
    set_reported(config, REPORTED)
    config.claims = claims(config.networks.keys())
    return config


def base() -> ConfigDict:
    """Return every key, with the values that most presets share."""
    config = image_base("architectures")
    # What the report asks.
    config.question = (
        "Do skips make a 34-layer net better, by how much, and what do they cost? And is an MLP of "
        "any use?"
    )
    config.pair = ("convnet", "resnet")  # which the paired runs are about, seed by seed
    config.seeds = tuple(range(10))  # of the pair; 2/2^10 = .002 is the smallest p
    config.lrs = (0.03, 0.1, 0.3)
    config.optim.update(SGD)
    return config


def networks(depth: int, deeper: int, *widths: int) -> dict[str, dict]:
    """Return nets of lab C, and the matched twin of each residual one.

    `deeper` is the depth of those with bottlenecks, `widths` are those of the MLPs. Beside the
    pair, 6 seeds each.
    """
    model = resnet(skip=True, depth=depth, plain_stages=())
    bottleneck = model | {"depth": deeper, "bottleneck": True}
    dense = {"lrs": (0.01, 0.03, 0.1), "seeds": SIX}
    return {
        "mlp": dense | {"model": perceptron(*widths)},
        "mlp_relu_logits": dense | {"model": perceptron(*widths, relu_logits=True)},
        "convnet": {"model": model | {"skip": False}},
        "resnet": {"model": model},
        # The same function as convnet, for its time alone: at a rate that needs no search.
        "convnet_no_addition": {
            "model": model | {"skip": False, "shortcut": False},
            "optim": {"lr": 0.1},
            "seeds": SIX,
        },
        "resnet_plain_stage_1": {"model": model | {"plain_stages": (1,)}, "seeds": SIX},
        "convnet_bottleneck": {"model": bottleneck | {"skip": False}, "seeds": SIX},
        "resnet_bottleneck": {"model": bottleneck, "seeds": SIX},
    }


def cifar10(config: ConfigDict) -> None:
    """Set lab C's nets as intended.

    Crops and flips, one cycle, twins without parameters in their shortcuts, in bfloat16.
    """
    set_networks(config, networks(34, 50, 128, 128, 128))
    config.compute_dtype = "bfloat16"


def published_cifar10(config: ConfigDict) -> None:
    """Set lab C's nets and recipe as implemented.

    One rate, no augmentation, 13 of the 16 skips, BatchNorm in evaluation mode after the first
    epoch. Its images are blown up to 128 pixels before a stem that shrinks them four times: every
    stage sees the size that it sees here.
    """
    model = resnet(skip=True, depth=34, plain_stages=()) | {"init": "torch_default"}
    dense = perceptron(128, 128, 128, init="torch_default", relu_logits=True)
    bottleneck = model | {"depth": 50, "bottleneck": True, "projection": True}
    nets = {
        "mlp_relu_logits": {"model": dense, "optim": {"lr": 0.1}, "seeds": SIX},
        "convnet": {"model": model | {"skip": False}},
        "resnet": {"model": model | {"projection": True, "plain_stages": (1,)}},
        "resnet_bottleneck": {"model": bottleneck, "seeds": SIX},
    }
    set_networks(config, nets)
    config.lrs = (1e-3,)
    config.freeze_norm_after_epochs = 1
    config.batch_size = 32
    config.data.val_fraction = 0.2
    config.data.pad = 0
    config.data.flip = False
    config.optim.schedule = "constant"
    config.optim.warmup_fraction = 0.0
    config.optim.nesterov = False
    config.optim.weight_decay = 0.0


def digits(config: ConfigDict) -> None:
    """Set the embedded images, and nets of 14 layers and, with bottlenecks, 20."""
    nets = networks(14, 20, 32, 32, 32)
    for name in ("mlp", "mlp_relu_logits"):
        nets[name]["lrs"] = (0.03, 0.1, 0.3)
    set_networks(config, nets)
    on_digits(config)
    # With CIFAR-10's rates several nets chose the largest: as many rates, moved up.
    config.lrs = (0.05, 0.15, 0.45)
    config.num_epochs = 6


def on_digits(config: ConfigDict) -> None:
    """Take the embedded images, in batches of 64."""
    use_digits(config)
    config.batch_size = 64
    config.log_every_steps = 0
    config.checkpoint_every_steps = 0  # a run of seconds starts again


def quick(config: ConfigDict) -> None:
    """Set small nets of 8 layers, without bottlenecks."""
    nets = networks(8, 11, 32, 32, 32)
    kept = ("mlp", "mlp_relu_logits", "convnet", "resnet", "convnet_no_addition")
    set_networks(config, {name: nets[name] for name in kept})
    on_digits(config)
    config.seeds = SIX
    config.select_seeds = (100,)
    config.num_epochs = 4


def smoke(config: ConfigDict) -> None:
    """Set nets of 8 layers, without bottlenecks, 200 digits, for one epoch."""
    nets = networks(8, 11, 8)
    set_networks(config, {name: nets[name] for name in nets if "bottleneck" not in name})
    on_digits(config)
    config.seeds = (0, 1)
    config.lrs = (0.1,)
    config.num_epochs = 1
    config.batch_size = 32
    config.data.num_examples = 200
    config.select_seeds = (100,)
    for network in config.networks.values():
        network.seeds = (0, 1)
        if "lrs" in network:
            network.lrs = (0.03, 0.1)


PRESETS = {
    "cifar10": Preset(cifar10, "CIFAR-10, lab C's 34 and 50 layers, ten paired runs", gpu=True),
    "digits": Preset(digits, "embedded 8x8 images, 14 and 20 layers", minutes=3),
    "quick": Preset(quick, "digits with 8 layers, five nets, six paired runs", minutes=1),
    "smoke": Preset(smoke, "the smallest, to see that it runs", minutes=SECONDS),
}
