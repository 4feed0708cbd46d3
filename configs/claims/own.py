"""What is asked of a network of one's own: is it more accurate than a small CNN?"""

from ml_collections import ConfigDict

from configs.labs import HYPOTHESIS
from dla_jax.evidence.claims import claim, difference


def claims() -> ConfigDict:
    """Return the claim of configs/own.py."""
    found = {
        "a_more_accurate": claim(
            "Your network is more accurate than a small CNN",
            HYPOTHESIS,
            "not reported",
            difference("own", "cnn"),
            example={"own": 97.0, "cnn": 95.0},
        ),
    }
    return ConfigDict(found)
