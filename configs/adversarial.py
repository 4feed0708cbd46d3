"""How little has to change until a network is wrong?

And does training against it help?

Labs: lab B's exercises 2.1, 2.2 and 3.3, lab D's lab 4. Papers: Goodfellow et al. 2015,
arXiv:1412.6572; Madry et al. 2018, arXiv:1706.06083; Wong et al. 2020, arXiv:2001.03994; Zhang et
al. 2019 (TRADES), arXiv:1901.08573; Croce and Hein 2020 (AutoAttack), arXiv:2003.01690.

Images lie in [0, 1], normalisation is part of the network, and epsilon is in image units: 8/255 is
0.0314. Lab B's and lab D's images lie in [-1, 1], so that their epsilons are halved here.

Of the networks of a finished study of images, or of those it trains first; and of your own photo:

    python launch.py --config=configs/adversarial.py --from=runs/try1
    python launch.py --config=configs/adversarial.py --from=runs/try1 --config.image=photo.png \
        --config.target=ship
    python launch.py --config=configs/adversarial.py:digits
"""

from ml_collections import ConfigDict

from configs.claims.adversarial import claims
from configs.image_base import image_base, resnet, set_networks, use_digits
from configs.labs import set_reported
from configs.optimisers import SGD
from dla_jax.config.arguments import SECONDS, Preset, keep, parse_argument

ATTACKS = ("fgsm", "rs_fgsm", "pgd", "pgd_l2", "apgd_ce", "apgd_dlr", "square")


def get_config(argument: str = "") -> ConfigDict:
    """Return attacks on the networks of `--from`, or on those that a preset trains first."""
    preset = PRESETS[parse_argument(argument, PRESETS).preset]
    config = ConfigDict()
    config.experiment = "adversarial"  # the kind of study; leave it
    config.networks = ()  # of the study, as its report names them; (): all
    # Of which attacks the accuracy is measured, in the largest norm (pgd_l2: in the Euclidean one).
    config.attacks = ATTACKS
    config.epsilon = 8 / 255  # how far a pixel moves, of images in [0, 1]; what claims are about
    config.epsilons = tuple(k / 255 for k in (0, 1, 2, 4, 8, 12, 16))  # of the curves
    config.epsilon_l2 = 0.5  # how far an image moves, in the Euclidean norm
    config.num_steps = 20  # of PGD
    config.step_size = 0.25  # of PGD, in epsilons
    config.num_restarts = 2  # of PGD; curves have one
    config.num_apgd_steps = 50  # of APGD
    config.num_queries = 300  # of the Square attack, which sees no gradient
    config.num_images = 200  # test images that are attacked, and of each strange set, at most
    # A class that targeted attacks aim at, by name; "": the first one.
    config.target = ""
    config.image = ""  # a photo, which is attacked instead of test images
    # Strange sets that robust and standard networks are compared on, as in configs/ood.py.
    config.near = ("left_out",)
    config.far = ("gaussian", "turned")  # those less like the training data
    config.folder = ""  # the folder of images that the set `folder` stands for
    config.resize = False  # whether images of other sets are resized to those of the networks
    config.made = ConfigDict()  # the study that is made first
    preset.apply(config)
    config.claims = claims(config.made.networks if config.made else ("standard",))
    return config


def trainings(epsilon: float, num_steps: int) -> dict[str, dict]:
    """Return the ways of training: {name: its group `attack`}.

    Args:
      epsilon: of all but lab B's, which draws it from [0, .05] of images in [0, 1].
      num_steps: of PGD and TRADES.
    """
    several = {"epsilon": epsilon, "num_steps": num_steps}
    return {
        "standard": {"name": "standard"},
        "fgsm_lab_b": {"name": "fgsm_random_epsilon", "epsilon": 0.05, "probability": 0.5},
        "fgsm": {"name": "fgsm", "epsilon": epsilon},
        "rs_fgsm": {"name": "rs_fgsm", "epsilon": epsilon},
        "pgd": several | {"name": "pgd"},
        "trades": several | {"name": "trades", "beta": 6.0},
    }


def study(model: dict, ways: dict[str, dict]) -> ConfigDict:
    """Return the study that trains one network in several ways, in pairs of the same seed.

    Args:
      model: the group `model` of all.
      ways: of `trainings`.
    """
    config = image_base("architectures")
    # What the report asks.
    config.question = "What does training against attacks cost on clean images?"
    config.pair = ("standard", "pgd")  # which the paired runs are about
    config.seeds = tuple(range(8))
    config.select_seeds = (100,)
    config.log_every_steps = 0
    set_networks(
        config, {name: {"model": model, "attack": attack} for name, attack in ways.items()}
    )
    set_reported(config, {})
    config.claims = ConfigDict()
    return config


def digits(config: ConfigDict) -> None:
    """Train a small residual CNN on eight of ten digits in six ways, with eight seeds."""
    model = {"name": "cnn", "norm": "batch", "init": "he", "width": 16, "pools": 1}
    model |= {"depth": 5, "skip": True}
    config.made = study(model, trainings(epsilon=0.1, num_steps=5))
    use_digits(config.made)
    config.made.data.left_out = 2
    config.made.lrs = (1e-2, 3e-2, 1e-1)
    config.made.num_epochs = 15
    config.made.batch_size = 64
    config.made.checkpoint_every_steps = 0  # a run of seconds starts again
    config.epsilon = 0.1
    config.epsilons = (0.0, 0.025, 0.05, 0.1, 0.15, 0.2)
    config.epsilon_l2 = 0.5
    config.num_images = 128
    config.num_queries = 200


def quick(config: ConfigDict) -> None:
    """Shorten `digits`: three ways, six seeds, fewer steps."""
    digits(config)
    keep_ways(config.made, ("standard", "fgsm", "pgd"))
    config.made.seeds = tuple(range(6))
    config.made.optim.lr = 3e-3
    config.made.num_epochs = 8
    config.epsilons = (0.0, 0.05, 0.1, 0.2)
    config.num_apgd_steps = 20
    config.num_queries = 100
    config.num_images = 100


def smoke(config: ConfigDict) -> None:
    """Shorten `digits` to tiny nets, two ways and one epoch."""
    digits(config)
    keep_ways(config.made, ("standard", "pgd"))
    for network in config.made.networks.values():
        network.model.width = 4
        network.model.depth = 2
    config.made.seeds = (0, 1)
    config.made.optim.lr = 1e-2
    config.made.num_epochs = 1
    config.epsilons = (0.0, 0.1)
    config.num_steps = 2
    config.num_restarts = 1
    config.num_apgd_steps = 4
    config.num_queries = 4
    config.num_images = 16


def keep_ways(made: ConfigDict, names: tuple[str, ...]) -> None:
    """Leave out all ways of training but those that are named."""
    for name in set(made.networks) - set(names):
        del made.networks[name]
        del made.reported[name]


def cifar10_small(config: ConfigDict) -> None:
    """Train a small residual CNN on 20,000 images of CIFAR-10 in four ways, on a CPU."""
    model = {"name": "cnn", "norm": "batch", "init": "he", "width": 32, "pools": 2}
    model |= {"depth": 7, "skip": True}
    config.made = study(model, trainings(epsilon=8 / 255, num_steps=3))
    keep_ways(config.made, ("standard", "fgsm", "rs_fgsm", "pgd"))
    config.made.data.left_out = 2
    config.made.seeds = tuple(range(6))
    config.made.data.val_fraction = 0.49  # so that epochs are short
    config.made.optim.lr = 5e-3
    config.made.num_epochs = 3
    config.made.batch_size = 64
    config.far = ("gaussian", "turned")
    config.epsilons = tuple(k / 255 for k in (0, 4, 8, 16))
    config.num_images = 96
    config.num_steps = 10
    config.num_restarts = 1
    config.num_apgd_steps = 10
    config.num_queries = 100


def cifar10(config: ConfigDict) -> None:
    """Train PreActResNet-18 on CIFAR-10 after the recipe of Fast-AT (Wong et al. 2020).

    15 epochs, one cycle to .2 and back, weight decay 5e-4, epsilon 8/255. Their attack has
    BatchNorm in training mode, ours in evaluation mode.
    """
    model = resnet(depth=18, skip=True, plain_stages=(), projection=True, preactivation=True)
    config.made = study(model, trainings(epsilon=8 / 255, num_steps=7))
    config.made.optim.update(SGD)
    config.made.optim.update({"nesterov": False, "warmup_fraction": 0.5})
    config.made.optim.lr = 0.2
    config.made.num_epochs = 15
    config.made.compute_dtype = "bfloat16"
    config.near, config.far = ("cifar100",), ("turned", "permuted")
    config.num_images = 1000
    config.num_apgd_steps = 100
    config.num_queries = 5000
    config.num_steps = 50
    config.num_restarts = 10


PRESETS = {
    "read": Preset(keep, "the networks of --from; half a minute for each small one"),
    "digits": Preset(digits, "trains small nets on digits in six ways first", minutes=3.5),
    "quick": Preset(quick, "three ways, six seeds", minutes=1),
    "smoke": Preset(smoke, "the smallest, to see that it runs", minutes=SECONDS),
    "cifar10_small": Preset(
        cifar10_small, "CIFAR-10, small nets, four ways, six seeds", minutes=40
    ),
    "cifar10": Preset(cifar10, "CIFAR-10, PreActResNet-18 after the recipe of Fast-AT", gpu=True),
}
