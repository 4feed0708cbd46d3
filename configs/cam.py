"""Class activation maps: where does a network look, is the map right, and what of one's own photo?

Labs: A (maps of 18 own photographs), C (of 16 test images). Papers: CAM (Zhou et al. 2016,
arXiv:1512.04150), Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391), HiResCAM (Draelos and Carin
2020, arXiv:2011.08891); insertion and deletion (Petsiuk et al. 2018, arXiv:1806.07421); forgetting
(Adebayo et al. 2018, arXiv:1810.03292).

    python launch.py --config=configs/cam.py --from=runs/try1    # maps of a study's test images
    python launch.py --config=configs/cam.py:digits    # trains eight small nets first; a minute
    python launch.py --config=configs/cam.py:quick     # six of them, fewer images
    python launch.py --config=configs/cam.py:smoke     # seconds, to see that it runs

Of a photo, or a folder of photos; and of nets that end in more than a mean:

    python launch.py --config=configs/cam.py --from=runs/try1 --config.image=photos
    python launch.py --config=configs/cam.py:method=grad_cam --from=runs/try2

Result of `digits` (98 s of CPU on 2 cores of an AMD EPYC, 8 nets): pixels put back in CAM's order
have 9.0 points [1.5, 16.5] more area than in that of noise; CAM on another image's features, as lab
C's code has it, 1.0 [-3.3, 5.2]. All of it, and maps of CIFAR-10 and of photos: docs/results.md.
"""

from ml_collections import ConfigDict

from configs import rescnn
from configs.claims.cam import claims
from dla_jax.config.arguments import parse_argument
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
    given = parse_argument(argument, ("cam", "digits", "quick", "smoke"), method="cam")
    check_choice("config argument method", given.method, tuple(METHODS))
    config = ConfigDict()
    config.experiment = "cam"
    # Of the study, as its report names it; "": that of the run that is best on validation.
    config.network = ""
    config.layer = "last_conv"  # or a block: blocks/2, blocks2b/0
    config.methods = METHODS[given.method]  # the first is the one that is drawn
    config.image = ""  # a photo, or a folder of photos, instead of test images
    config.scale = 1.0  # short side of a photo for the network, in sides of a training image
    config.num_shown = 16  # test images
    config.num_scored = 100  # test images of each network
    config.num_steps = 64  # of an insertion or deletion curve
    config.blur = 0.25  # standard deviation, in sides of an image, of what insertion begins with
    config.canvas = (3, 5)  # rows and columns of images on the canvas
    config.made = ConfigDict()  # the study that is made first
    if given.preset != "cam":
        config.made = study(given.preset)
    if given.preset == "quick":
        config.num_scored = 40
        config.num_steps = 32
    if given.preset == "smoke":
        config.num_shown = 4
        config.num_scored = 8
        config.num_steps = 4
        config.canvas = (2, 2)
    config.claims = claims(given.method, config.methods)
    return config


def study(preset: str) -> ConfigDict:
    """Return residual CNNs of depth 5 on digits.

    Their maps have as many places as the images have pixels.
    """
    config = rescnn.get_config("smoke" if preset == "smoke" else "digits")
    config.arms = ("residual",)
    config.side_arms = ()
    config.claims = ConfigDict()
    config.depths = (min(depth for depth in config.depths if depth > 1),)
    config.model.pools = 0
    if preset == "digits":
        config.seeds = tuple(range(8))
        config.lrs = (1e-3, 3e-3, 1e-2)
        config.select_seeds = (100, 101)
        config.num_epochs = 20
    if preset == "quick":
        config.seeds = tuple(range(6))
        config.optim.lr = 3e-3
        config.num_epochs = 12
    return config
