"""What does a trained classifier say of your own texts or images?

It writes one line of JSON for each, with every class's probability. A file has a text a line; an
image is a file or a folder.

    python launch.py --config=configs/predict.py --from=runs/yahoo --config.text='Which tyre?'
    python launch.py --config=configs/predict.py --from=runs/yahoo --config.file=questions.txt
    some-program | python launch.py --config=configs/predict.py --from=runs/yahoo
    python launch.py --config=configs/predict.py --from=runs/rescnn --config.image=photos
    python launch.py --config=configs/predict.py --from=runs/rescnn --config.image=photos \
        --config.unfamiliar=true
"""

from ml_collections import ConfigDict

from configs import yahoo
from dla_jax.config.arguments import SECONDS, Preset, keep, parse_argument


def get_config(argument: str = "") -> ConfigDict:
    """Return what to classify."""
    preset = parse_argument(argument, PRESETS).preset
    config = ConfigDict()
    config.experiment = "predict"  # the command; leave it
    # A network of the study, as its report names it; "": that of the run best on validation.
    config.network = ""
    config.text = ""  # one text to classify
    config.file = ""  # a file of a text a line; without text, file and image: standard input
    config.image = ""  # an image, or a folder of images
    # Whether each line says, too, if the image is unlike those that the network was trained on: a
    # score, the higher the more familiar, and if it is below that of 95 % of the validation part.
    config.unfamiliar = False
    config.detector = "knn"  # whose score it is; one of those of configs/ood.py
    config.made = ConfigDict()  # a study that is to be made first
    PRESETS[preset].apply(config)
    return config


def smoke(config: ConfigDict) -> None:
    """Make a tiny classifier first, and give it a text."""
    config.made = yahoo.get_config("smoke")
    config.text = "Return the sum of the elements along an axis."


PRESETS = {
    "predict": Preset(keep, "the best classifier of --from", minutes=SECONDS),
    "smoke": Preset(smoke, "trains a tiny classifier first, to see that it runs", minutes=SECONDS),
}
