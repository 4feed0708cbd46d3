"""Does a network know what it does not know?

Detectors of strange images, fitted on what its own classifiers were trained on.

Labs: lab B's exercises 1.1, 1.2 and 3 (Gaussian noise, ODIN), lab D's lab 4 (four classes of
CIFAR-100). Papers: Hendrycks and Gimpel 2017, arXiv:1610.02136; Liang et al. 2018,
arXiv:1706.02690; Zhang et al. 2023 (OpenOOD v1.5), arXiv:2306.09301.

A score is the higher, the more like the training data an image looks. Detectors are fitted on the
training part; their settings are chosen on the `tuning` sets beside the validation part; the `near`
and `far` sets beside the test part are reported, and choose nothing.

Of the networks of a finished study of images, or of those it trains first:

    python launch.py --config=configs/ood.py --from=runs/try1
    python launch.py --config=configs/ood.py --from=runs/try1 --config.far=folder \
        --config.folder=photos
    python launch.py --config=configs/ood.py:digits

Result of `digits` (85 s of CPU on 2 cores of an AMD EPYC, 15 seeds): left-out digits are told by
the softmax, AUROC 94.4 % [92.5, 96.3], and by nothing else better; far sets by distances, 4.1
points [2.7, 5.5] better than by the softmax; ODIN is nowhere better. All of it:
docs/studies/strange.md.
"""

from ml_collections import ConfigDict

from configs import rescnn
from configs.claims.ood import claims
from dla_jax.config.arguments import SECONDS, Preset, keep, parse_argument

DETECTORS = (
    "msp",
    "max_logit",
    "energy",
    "gen",
    "odin",
    "mahalanobis",
    "relative_mahalanobis",
    "knn",
    "vim",
)


def get_config(argument: str = "") -> ConfigDict:
    """Return detectors for the networks of `--from`, or for those that a preset trains first."""
    preset = parse_argument(argument, PRESETS).preset
    config = ConfigDict()
    config.experiment = "ood"  # the kind of study; leave it
    # A network of the study, as its report names it; "": that of the run best on validation.
    config.network = ""
    # Of strange images: the largest softmax (msp), the largest logit, energy, generalised entropy
    # (gen), ODIN, distances (mahalanobis, relative_mahalanobis, knn) and ViM.
    config.detectors = DETECTORS
    # Whose features distances are taken of: last_hidden, last_conv, blocks/3; "": the last layer.
    config.layer = ""
    # Strange sets: left_out (classes that training left out), a prepared set (cifar100, or some of
    # its classes, cifar100/clock+plate), folder, and those made of familiar images: uniform,
    # gaussian, permuted, inverted, turned, blurred. Like the training data, and reported:
    config.near = ("left_out",)
    config.far = ("gaussian", "permuted", "inverted", "turned")  # less like it, and reported
    config.tuning = ("uniform", "blurred")  # by which settings are chosen; not reported
    config.folder = ""  # the folder of images that the set `folder` stands for
    config.resize = False  # whether images of other sets are resized to those of the network
    config.num_images = 1000  # of each part and set that is scored, at most
    config.num_fitted = 50_000  # training images that a detector is fitted on, at most

    config.settings = ConfigDict()  # of which each detector gets its own
    config.settings.temperatures = (1.0, 10.0, 100.0, 1000.0)  # of ODIN
    # Of ODIN, in images of [0, 1]: half of lab B's, whose images are in [-1, 1].
    config.settings.epsilons = (0.0, 0.00025, 0.0005, 0.0007, 0.001, 0.0012, 0.0025, 0.005)
    config.settings.epsilons += (0.01, 0.025)
    config.settings.gammas = (0.01, 0.1, 0.5)  # of the generalised entropy
    config.settings.ks = (1, 5, 10, 20, 50)  # which of the nearest neighbours
    config.settings.dims = (0.25, 0.5, 0.75)  # of ViM's principal space, in dimensions of features
    config.made = ConfigDict()  # the study that is made first
    PRESETS[preset].apply(config)
    config.claims = claims(config.detectors)
    return config


def study(preset: str) -> ConfigDict:
    """Return residual CNNs of depth 5 with BatchNorm, by a preset of configs/rescnn.py."""
    config = rescnn.get_config(preset)
    config.arms = ("residual",)
    config.side_arms = ()
    config.claims = ConfigDict()
    config.depths = (min(depth for depth in config.depths if depth > 1),)
    return config


def digits(config: ConfigDict) -> None:
    """Train fifteen nets first, each on eight of the ten digits.

    Five nets leave out each digit once.
    """
    config.made = study("digits")
    config.made.data.left_out = 2
    config.made.model.norm = "batch"
    config.made.seeds = tuple(range(15))
    config.made.lrs = (1e-3, 3e-3, 1e-2)
    config.made.select_seeds = (100, 101)
    config.made.num_epochs = 20


def quick(config: ConfigDict) -> None:
    """Train six of them for fewer epochs, with fewer settings."""
    digits(config)
    config.made.seeds = tuple(range(6))
    config.made.optim.lr = 3e-3
    config.made.num_epochs = 12
    config.settings.temperatures = (1.0, 1000.0)
    config.settings.epsilons = (0.0, 0.001, 0.005, 0.025)


def smoke(config: ConfigDict) -> None:
    """Train two tiny ones."""
    config.made = study("smoke")
    config.made.data.left_out = 2
    config.num_images = 40
    config.settings.temperatures = (1.0, 1000.0)
    config.settings.epsilons = (0.0, 0.01)
    config.settings.ks = (1, 5)
    config.settings.gammas = (0.1,)
    config.settings.dims = (0.5,)


def cifar10(config: ConfigDict) -> None:
    """Train ResNet-20 on CIFAR-10 first, and show it the sets that OpenOOD has, as far as they go.

    OpenOOD's near sets are CIFAR-100 and TinyImageNet, its far ones MNIST, SVHN, Textures and
    Places365; its networks are ResNet-18.
    """
    config.made = study("he")
    config.made.depths = (20,)
    config.made.seeds = tuple(range(8))
    config.near = ("cifar100",)
    config.far = ("mnist", "fashion_mnist", "svhn_cropped", "permuted", "inverted", "turned")
    config.resize = True
    config.num_images = 10_000


PRESETS = {
    "read": Preset(keep, "the networks of --from; a minute for eight small ones"),
    "digits": Preset(digits, "trains fifteen small nets on eight of ten digits first", minutes=2),
    "quick": Preset(quick, "trains six of them, with fewer settings", minutes=1),
    "smoke": Preset(smoke, "the smallest, to see that it runs", minutes=SECONDS),
    "cifar10": Preset(cifar10, "CIFAR-10, ResNet-20, CIFAR-100 near, four sets far", gpu=True),
}
