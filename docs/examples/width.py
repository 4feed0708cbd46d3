"""Does a wider layer make fewer errors? An example of a study of one's own: docs/add_a_study.md.

Its presets and keys:

    python launch.py --config=docs/examples/width.py --help
"""

from ml_collections import ConfigDict

from configs.image_base import image_base, perceptron, set_networks, use_digits
from configs.labs import HYPOTHESIS, set_reported
from dla_jax.config.arguments import SECONDS, Preset, keep, parse_argument
from dla_jax.evidence.claims import claim, difference


def get_config(argument: str = "") -> ConfigDict:
    """Return the study of a preset; `image_base` has the keys that are not set here."""
    preset = parse_argument(argument, tuple(PRESETS)).preset
    config = image_base("docs.examples.width_study:STUDY")
    config.question = "Does a wider layer make fewer errors?"  # that the report answers
    use_digits(config)
    set_networks(config, {"narrow": {"model": perceptron(4)}, "wide": {"model": perceptron(64)}})
    set_reported(config, {"wide": "as good as it gets"})  # words for each network
    config.pair = ("narrow", "wide")  # two networks that are drawn seed by seed; or none
    PRESETS[preset].apply(config)
    fewer = claim(
        "A wider layer makes fewer errors",
        HYPOTHESIS,
        "not reported",
        difference("narrow", "wide"),
        value="errors_in_100",  # what docs/examples/width_study.py adds to a run
        unit="errors in 100",
        margin=0.5,
        example={"narrow": 10.0, "wide": 3.0},
    )
    config.claims = ConfigDict({"a_fewer": fewer})
    return config


def smoke(config: ConfigDict) -> None:
    """Shorten it to seconds."""
    config.seeds, config.num_epochs, config.lrs = (0, 1), 1, (0.01,)


PRESETS = {
    "quick": Preset(keep, "six seeds", minutes=0.5),
    "smoke": Preset(smoke, "to see that it runs", minutes=SECONDS),
}
