"""What lab C and we say of the features of a frozen transformer."""

from collections.abc import Iterable

from ml_collections import ConfigDict

from configs.labs import HYPOTHESIS, LAB_C_TEXTS
from dla_jax.evidence.claims import alone, answerable, claim, difference

REPORTED = "about 87 % with GPT-2"
CLAIMS = {
    "a_lab_reaches_87": claim(
        "Lab C's MLP, trained by its recipe on frozen features, reaches 87 %",
        LAB_C_TEXTS,
        REPORTED,
        alone("mlp_lab_c"),
        value="beyond_reported",
        example={"mlp_lab_c": 0.88 - 0.87},  # its own figure is the bound
    ),
    "b_recipe_holds_back": claim(
        "Lab C's recipe (plain SGD at 1e-3, PyTorch's initialisation, features as they are) holds "
        "its MLP back",
        HYPOTHESIS,
        "not reported",
        difference("mlp", "mlp_lab_c"),
        example={"mlp": 90.0, "mlp_lab_c": 87.0},
    ),
    "c_hidden_layers_help": claim(
        "Hidden layers on top are better than an exactly solved linear probe",
        HYPOTHESIS,
        "not reported",
        difference("mlp", "linear"),
        example={"mlp": 90.0, "linear": 89.0},
    ),
    "d_features_beat_tfidf": claim(
        "A linear probe on the features is better than one on TF-IDF",
        HYPOTHESIS,
        "not reported",
        difference("linear", "tfidf"),
        example={"linear": 90.0, "tfidf": 88.0},
    ),
}


def claims(networks: Iterable[str]) -> ConfigDict:
    """Return who claimed what about the networks that are there."""
    return answerable(CLAIMS, networks)
