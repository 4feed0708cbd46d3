"""Class activation maps: where does a network look, is the map right, and what does it say of one's own photo?

Labs: A (maps of 18 own photographs), C (of 16 test images). Papers: CAM (Zhou et al. 2016, arXiv:1512.04150), Grad-CAM
(Selvaraju et al. 2017, arXiv:1610.02391), HiResCAM (Draelos and Carin 2020, arXiv:2011.08891); insertion and deletion (Petsiuk
et al. 2018, arXiv:1806.07421); forgetting (Adebayo et al. 2018, arXiv:1810.03292).

    python launch.py --config=configs/cam.py --from=runs/try1                            # maps of a study's test images
    python launch.py --config=configs/cam.py --from=runs/try1 --config.image=photos      # of a photo, or a folder of photos
    python launch.py --config=configs/cam.py:method=grad_cam --from=runs/try2            # nets that end in more than a mean
    python launch.py --config=configs/cam.py:digits          # trains eight small nets first; a minute on 2 CPU cores
    python launch.py --config=configs/cam.py:quick           # six of them, fewer images; less than a minute
    python launch.py --config=configs/cam.py:smoke           # seconds, to see that it runs

Result of `digits` (98 s of CPU on 2 cores of an AMD EPYC, 8 nets): pixels put back in CAM's order have 9.0 points [1.5, 16.5]
more area than in that of noise; CAM on another image's features, as lab C's code has it, 1.0 [-3.3, 5.2]. All of it, and
maps of CIFAR-10 and of photos: docs/results.md.
"""

import functools

from ml_collections import ConfigDict

from configs import rescnn
from configs.claims.depth import LAB_A, LAB_C
from dla_jax.config.arguments import parse_argument
from dla_jax.config.checks import check_choice
from dla_jax.evidence.claims import alone, answerable, claim, difference

ADEBAYO = "Adebayo et al. 2018, arXiv:1810.03292"
# another_image is CAM on another image's features, as lab C's code has it for all images but the first.
METHODS = {
    "cam": ("cam", "grad_cam", "hires_cam", "random_cam", "random", "edges", "another_image"),
    "grad_cam": ("grad_cam", "hires_cam", "random", "edges"),
    "hires_cam": ("hires_cam", "grad_cam", "random", "edges"),
}


def get_config(argument: str = "") -> ConfigDict:
    """Maps of the networks of `--from`, or of those that a preset trains first; `method=`: which the claims are about."""
    given = parse_argument(argument, ("cam", "digits", "quick", "smoke"), method="cam")
    check_choice("config argument method", given.method, tuple(METHODS))
    preset = given.preset
    config = ConfigDict()
    config.experiment = "cam"
    config.network = (
        ""  # of the study, as its report names it; "": that of the run that is best on validation
    )
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
    if preset != "cam":
        config.made = study(preset)
    if preset == "quick":
        config.num_scored, config.num_steps = 40, 32
    if preset == "smoke":
        config.num_shown, config.num_scored, config.num_steps, config.canvas = 4, 8, 4, (2, 2)
    config.claims = claims(given.method, config.methods)
    return config


def study(preset: str) -> ConfigDict:
    """Residual CNNs of depth 5 on digits, whose maps have as many places as the images have pixels."""
    config = rescnn.get_config("smoke" if preset == "smoke" else "digits")
    config.arms, config.side_arms, config.claims = ("residual",), (), ConfigDict()
    config.depths = (min(depth for depth in config.depths if depth > 1),)
    config.model.pools = 0
    if preset == "digits":
        config.seeds, config.lrs, config.select_seeds = (
            tuple(range(8)),
            (1e-3, 3e-3, 1e-2),
            (100, 101),
        )
        config.num_epochs = 20
    if preset == "quick":
        config.seeds, config.optim.lr, config.num_epochs = tuple(range(6)), 3e-3, 12
    return config


def claims(method: str, methods: tuple[str, ...]) -> ConfigDict:
    """What the labs read off their maps by eye, as contrasts of methods, network by network."""
    by_eye = "16 test images and 18 photographs, looked at; no number"
    name = {"cam": "CAM", "grad_cam": "Grad-CAM", "hires_cam": "HiResCAM"}[method]
    scored = functools.partial(claim, value="insertion_auc", margin=0.01)
    found = {
        "a_insertion": scored(
            f"{name} marks what the network uses: its pixels, put back first, bring the class back sooner than those of noise",
            f"{LAB_A}; {LAB_C}",
            by_eye,
            difference(method, "random"),
        ),
        "b_deletion": scored(
            "Its pixels, taken out first, lose the class sooner than those of noise",
            f"{LAB_A}; {LAB_C}",
            by_eye,
            difference(method, "random"),
            direction="<",
            value="deletion_auc",
        ),
        "c_head": scored(
            "The weights of the class matter: features weighted at random are a worse map (insertion)",
            "hypothesis",
            "not reported",
            difference(method, "random_cam"),
        ),
        "d_edges": scored(
            f"{name} knows more than the edges of the image (insertion)",
            ADEBAYO,
            "many maps look like an edge detector's",
            difference(method, "edges"),
        ),
        "e_own_features": scored(
            "A map of another image's features, as implemented for all images but the first, is a worse one (insertion)",
            LAB_C,
            "as implemented: features_blobs[0] for each of 16 images",
            difference(method, "another_image"),
        ),
        "f_outlives": claim(
            f"{name}'s map outlives its network: a rank correlation above .5 with itself when every layer has forgotten (a map "
            "that passes the check does not)",
            f"{ADEBAYO}; the threshold was set after a first run on digits",
            "ImageNet: guided backpropagation's does, Grad-CAM's does not",
            alone(method),
            value="likeness_beyond_half",
            unit="rank correlation",
            margin=0.05,
        ),
    }
    return answerable(found, methods)
