"""Where does a network look in an image, and is the map right?

Labs: A (maps of 18 own photographs), C (of 16 test images). Papers: CAM (Zhou et al. 2016,
arXiv:1512.04150), Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391), HiResCAM (Draelos and Carin
2020, arXiv:2011.08891); insertion and deletion (Petsiuk et al. 2018, arXiv:1806.07421); forgetting
(Adebayo et al. 2018, arXiv:1810.03292).

Of a study's test images; of a photo, or a folder of photos; of nets that end in more than a mean:

    python launch.py --config=configs/cam.py --from=runs/try1
    python launch.py --config=configs/cam.py --from=runs/try1 --config.image=photos
    python launch.py --config=configs/cam.py:method=grad_cam --from=runs/try2

Result of `digits` (98 s of CPU on 2 cores of an AMD EPYC, 8 nets): pixels put back in CAM's order
have 9.0 points [1.5, 16.5] more area than in that of noise; CAM on another image's features, as lab
C's code has it, 1.0 [-3.3, 5.2]. All of it, and maps of CIFAR-10 and of photos:
docs/studies/maps.md.
"""

from ml_collections import ConfigDict

from configs import rescnn
from configs.claims.cam import claims
from dla_jax.config.arguments import SECONDS, Preset, keep, parse_argument
from dla_jax.config.checks import check_choice

# another_image is CAM on another image's features, as lab C's code has it for all but the first.
METHODS = {
    "cam": ("cam", "grad_cam", "hires_cam", "random_cam", "random", "edges", "another_image"),
    "grad_cam": ("grad_cam", "hires_cam", "random", "edges"),
    "hires_cam": ("hires_cam", "grad_cam", "random", "edges"),
}


def get_config(argument: str = "") -> ConfigDict:
    """Return maps of the networks of `--from`, or of those that a preset trains first.

    `method=` is the one that the claims are about.
    """
    given = parse_argument(
        argument,
        PRESETS,
        method="cam",  # which the claims are about, and which is drawn: cam, grad_cam, hires_cam
    )
    check_choice("config argument method", given.method, tuple(METHODS))
    config = ConfigDict()
    config.experiment = "cam"  # the command; leave it
    # A network of the study, as its report names it; "": that of the run best on validation.
    config.network = ""
    config.layer = "last_conv"  # whose features are mapped; or a block: blocks/2, blocks2b/0
    config.methods = METHODS[given.method]  # kinds of maps; the first is drawn
    config.image = ""  # a photo, or a folder of photos, instead of test images
    config.scale = 1.0  # short side of a photo for the network, in sides of a training image
    config.num_shown = 16  # test images whose maps are drawn
    config.num_scored = 100  # test images of each network, by which maps are judged
    config.num_steps = 64  # points of an insertion or deletion curve
    config.blur = 0.25  # standard deviation, in sides of an image, of what insertion begins with
    config.canvas = (3, 5)  # rows and columns of images on the canvas
    config.made = ConfigDict()  # the study that is made first
    PRESETS[given.preset].apply(config)
    config.claims = claims(given.method, config.methods)
    return config


def study(preset: str) -> ConfigDict:
    """Return residual CNNs on digits, of the smallest depth of a preset of configs/rescnn.py.

    Their maps have as many places as the images have pixels.
    """
    config = rescnn.get_config(preset)
    config.arms = ("residual",)
    config.side_arms = ()
    config.claims = ConfigDict()
    config.depths = (min(depth for depth in config.depths if depth > 1),)
    config.model.pools = 0
    return config


def digits(config: ConfigDict) -> None:
    """Make eight nets of depth 5 first."""
    config.made = study("digits")
    config.made.seeds = tuple(range(8))
    config.made.lrs = (1e-3, 3e-3, 1e-2)
    config.made.select_seeds = (100, 101)
    config.made.num_epochs = 20


def quick(config: ConfigDict) -> None:
    """Make six nets of depth 5 first, and score fewer images."""
    config.made = study("digits")
    config.made.seeds = tuple(range(6))
    config.made.optim.lr = 3e-3
    config.made.num_epochs = 12
    config.num_scored = 40
    config.num_steps = 32


def smoke(config: ConfigDict) -> None:
    """Make two tiny nets first."""
    config.made = study("smoke")
    config.num_shown = 4
    config.num_scored = 8
    config.num_steps = 4
    config.canvas = (2, 2)


PRESETS = {
    "cam": Preset(keep, "the networks of --from; a minute for each"),
    "digits": Preset(digits, "trains eight small nets on digits first", minutes=1),
    "quick": Preset(quick, "trains six of them, scores fewer images", minutes=1),
    "smoke": Preset(smoke, "the smallest, to see that it runs", minutes=SECONDS),
}
