"""Does a wider layer read digits better? An example of a study of one's own: docs/add_a_study.md.

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
    # what the report asks
    config.question = "Does a layer of 64 units read digits better than one of 4, at what size?"
    use_digits(config)
    set_networks(config, {"narrow": {"model": perceptron(4)}, "wide": {"model": perceptron(64)}})
    set_reported(config, {"wide": "as good as it gets"})  # words for each network
    # the two whose runs are drawn in pairs
    config.pair = ("narrow", "wide")
    PRESETS[preset].apply(config)
    better = claim(
        "A wider layer reads digits better",
        HYPOTHESIS,
        "not reported",
        difference("wide", "narrow"),
        example={"wide": 0.97, "narrow": 0.9},
    )
    larger = claim(
        "It takes more than three doublings of the parameters",
        HYPOTHESIS,
        "not reported",
        difference("wide", "narrow"),
        value="log2_params",  # what docs/examples/width_study.py adds to a run
        unit="doublings",
        threshold=3.0,
        margin=0.5,
        example={"wide": 12.0, "narrow": 8.0},
    )
    config.claims = ConfigDict({"a_better": better, "b_larger": larger})
    return config


def smoke(config: ConfigDict) -> None:
    """Shorten it to seconds."""
    config.seeds, config.num_epochs, config.lrs = (0, 1), 1, (0.01,)


PRESETS = {
    "quick": Preset(keep, "six seeds", minutes=0.5),
    "smoke": Preset(smoke, "to see that it runs", minutes=SECONDS),
}
