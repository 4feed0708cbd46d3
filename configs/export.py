"""A trained network as a folder for others, with a model card.

    python launch.py --config=configs/export.py --from=runs/yahoo --config.folder=my_model

Classifiers of texts and language models are for transformers. With it and PyTorch:
`pipeline("text-classification", "my_model")("Which tyre?", truncation=True)`, or
`pipeline("text-generation", "my_model")("Nel mezzo")`. Networks for images become ONNX, which needs
`pip install -r requirements-onnx.txt`. The folder's README.md holds data, scores and claims, with
intervals, from the record. docs/usage.md has more.
"""

from ml_collections import ConfigDict

from configs import yahoo
from dla_jax.config.arguments import SECONDS, Preset, keep, parse_argument


def get_config(argument: str = "") -> ConfigDict:
    """Return what to export."""
    preset = parse_argument(argument, PRESETS).preset
    config = ConfigDict()
    config.experiment = "export"  # the command; leave it
    # A network of the study, as its report names it; "": the exportable one best on validation.
    config.network = ""
    config.folder = ""  # the folder to be made; "": `exported` in the workdir
    config.made = ConfigDict()  # a study that is to be made first
    PRESETS[preset].apply(config)
    return config


def smoke(config: ConfigDict) -> None:
    """Make a tiny classifier first."""
    config.made = yahoo.get_config("smoke")
    config.made.seeds = (0,)
    config.made.lrs = (1e-3,)
    config.made.networks = ConfigDict({"published_head": {"encoder": {"pooling": "published"}}})
    config.made.reported = ConfigDict({"published_head": "not in the labs"})
    config.made.claims = ConfigDict()


PRESETS = {
    "export": Preset(keep, "the best network of --from", minutes=SECONDS),
    "smoke": Preset(smoke, "trains a tiny classifier first, to see that it runs", minutes=SECONDS),
}
