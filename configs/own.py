"""How good is a network of your own beside a small CNN?

Your network is a class of Flax Linen modules, your images a folder, or what a function returns;
Python looks for both in the current folder, beside launch.py and in $PYTHONPATH:

    python launch.py --config=configs/own.py --config.model.name=docs.examples.shapes:Net \\
        --config.data.name=docs.examples.shapes:shapes --config.data.test_fraction=0
    python launch.py --config=configs/own.py --config.model.name=docs.examples.shapes:Net \\
        --config.model.arguments=width=16

What both have to look like: docs/usage.md.
"""

from ml_collections import ConfigDict

from configs.claims.own import claims
from configs.image_base import image_base, set_networks, use_digits
from configs.labs import set_reported
from dla_jax.config.arguments import SECONDS, Preset, parse_argument


def get_config(argument: str = "") -> ConfigDict:
    """Return the study of a preset: the network of `config.model` beside a small CNN."""
    given = parse_argument(argument, PRESETS)
    config = base()
    PRESETS[given.preset].apply(config)
    set_reported(config, {})
    config.claims = claims()
    return config


def base() -> ConfigDict:
    """Return every key, with the values that most presets share."""
    config = image_base("architectures")
    # What the report asks.
    config.question = "How good is a network of one's own beside a small CNN?"
    config.pair = ("cnn", "own")  # which the paired runs are about, seed by seed
    config.model = ConfigDict()
    # Your class of Flax Linen modules, package.module:Class. Until you give it this one stands in,
    # a single dense layer, and the first lines of a launch and its report say so.
    config.model.name = "dla_jax.models.linear:Linear"
    config.model.arguments = ()  # of the class, as in width=16,depth=2
    use_digits(config)
    config.seeds = tuple(range(8))
    config.lrs = (1e-3, 3e-3, 1e-2)
    config.batch_size = 64
    config.log_every_steps = 0
    cnn = {"name": "cnn", "norm": "batch", "init": "he", "width": 8, "pools": 1}
    cnn |= {"depth": 3, "skip": True}
    set_networks(config, {"own": {}, "cnn": {"model": cnn}})
    return config


def digits(config: ConfigDict) -> None:
    """Set eight seeds of both on the embedded images."""
    config.num_epochs = 15


def quick(config: ConfigDict) -> None:
    """Set six seeds, and fewer epochs."""
    config.seeds = tuple(range(6))
    config.select_seeds = (100,)
    config.num_epochs = 8


def smoke(config: ConfigDict) -> None:
    """Set two seeds of an epoch, at one rate."""
    config.seeds = (0, 1)
    config.lrs = (1e-2,)
    config.num_epochs = 1


PRESETS = {
    "digits": Preset(digits, "your network on embedded 8x8 images, eight seeds", minutes=0.6),
    "quick": Preset(quick, "six seeds of eight epochs", minutes=0.5),
    "smoke": Preset(smoke, "the smallest, to see that it runs", minutes=SECONDS),
}
