"""What lab B and we say of a fine-tuned encoder of texts."""

from collections.abc import Iterable

from ml_collections import ConfigDict

from configs.labs import HYPOTHESIS, LAB_B
from dla_jax.evidence.claims import alone, answerable, claim, difference

REPORTED = "75.8 % with DistilRoBERTa"
CLAIMS = {
    "a_lab_b_reaches": claim(
        "Fine-tuned DistilRoBERTa reaches 75.8 % on Yahoo Answers",
        LAB_B,
        REPORTED,
        alone("lab_b"),
        value="beyond_reported",
        example={"lab_b": 0.760 - 0.758},  # its own figure is the bound
    ),
    "c_head_matters": claim(
        "The family's own head is better than a mean with two layers",
        HYPOTHESIS,
        "not reported",
        difference("published_head", "corrected"),
        example={"published_head": 77.0, "corrected": 76.0},
    ),
    "d_beats_tfidf": claim(
        "A fine-tuned encoder is better than logistic regression on TF-IDF",
        HYPOTHESIS,
        "not reported",
        difference("corrected", "tfidf"),
        example={"corrected": 76.0, "tfidf": 70.0},
    ),
}


def claims(networks: Iterable[str], lower_cases: bool) -> ConfigDict:
    """Return who claimed what about the networks that are there.

    `lower_cases`: whether lab B's setting does so; otherwise the tokenizer does it for all.
    """
    setting = "Averaging over the padding costs accuracy"
    if lower_cases:
        setting = "Lower-casing and averaging over the padding cost accuracy"
    costs = claim(
        setting,
        HYPOTHESIS,
        "not reported",
        difference("corrected", "lab_b_setting"),
        example={"corrected": 76.0, "lab_b_setting": 74.0},
    )
    return answerable(CLAIMS | {"b_setting_costs": costs}, networks)
