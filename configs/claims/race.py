"""What lab C and papers say of multiple choice, as contrasts of networks.

Values of a network and a seed (`run_of` in dla_jax/studies/choices/report.py), of the test part:

- test_accuracy: the share of questions whose right option has the highest score; of equal scores
  the first counts, and each seed shuffles the options;
- above_guessing: test_accuracy less one over the number of options; above_guessing_ties: the same
  of the accuracy where equal scores count as right, as lab C counts.
"""

import functools
from collections.abc import Iterable

from ml_collections import ConfigDict

from configs.labs import HYPOTHESIS, LAB_C_TEXTS
from dla_jax.evidence.claims import alone, answerable, claim, difference

REPORTED = "about 38 % of RACE, equal scores counted as right"
RACE = "Lai et al. 2017, arXiv:1704.04683"

accuracy = functools.partial(claim, value="test_accuracy", margin=0.02)


def claims(networks: Iterable[str], one_test_part: bool) -> ConfigDict:
    """Return the claims that these networks can answer.

    Args:
      one_test_part: whether all seeds are tested on the same questions. A rule answers those alike
        whatever the seed, so that seeds decide nothing of it.
    """
    found = frozen_claims() | other_claims() | ({} if one_test_part else rule_claims())
    return answerable(found, networks)


def frozen_claims() -> dict[str, dict]:
    """Return the claims about ranking on frozen features."""
    return {
        "a_ranking": accuracy(
            "A network that ranks frozen features by lab C's recipe is better than guessing",
            LAB_C_TEXTS,
            "RACE, four options: about 38 %, .13 more than guessing",
            alone("lab_c"),
            value="above_guessing",
            figures={"lab_c": 0.13},
        ),
        "b_as_implemented": accuracy(
            "Counted as lab C counts, equal scores as right, it is better than guessing",
            LAB_C_TEXTS,
            "RACE, four options: about 38 %, .13 more than guessing; 26 % for one variant",
            alone("lab_c"),
            value="above_guessing_ties",
            figures={"lab_c": 0.13},
        ),
        "c_margin": accuracy(
            "The margin loss is as good as cross-entropy over the options",
            HYPOTHESIS,
            "not reported; lab C uses the margin loss",
            difference("margin", "softmax"),
            direction="=",
            example={"margin": 0.4, "softmax": 0.4},
        ),
        "d_passage": accuracy(
            "The passage matters to the ranking of frozen features",
            HYPOTHESIS,
            "not reported",
            difference("softmax", "softmax_blind"),
            example={"softmax": 0.4, "softmax_blind": 0.3},
        ),
        "e_beats_words": accuracy(
            "Ranking frozen features is better than the similarity of words (TF-IDF)",
            f"{HYPOTHESIS}; {RACE} has such a rule as its weakest",
            "not reported by the lab; a sliding window of words has 32.2 % of RACE",
            difference("softmax", "tfidf"),
            example={"softmax": 0.4, "tfidf": 0.3},
        ),
    }


def other_claims() -> dict[str, dict]:
    """Return the claims about reading together, and about what needs no passage."""
    return {
        "f_together": accuracy(
            "Reading passage, question and option together is better than lab C's ranking of "
            "frozen features",
            f"{LAB_C_TEXTS}; github.com/NoviScl/BERT-RACE",
            "RACE: BERT-base, fine-tuned, 65.0 %; lab C's ranking about 38 %",
            difference("cross", "lab_c"),
            figures={"cross": 65.0, "lab_c": 38.0},
        ),
        "g_together_softmax": accuracy(
            "It is also better than ranking the products and distances of frozen vectors",
            HYPOTHESIS,
            "not reported",
            difference("cross", "softmax"),
            example={"cross": 0.65, "softmax": 0.4},
        ),
        "h_cross_passage": accuracy(
            "The passage matters to a network that reads it together with the option",
            HYPOTHESIS,
            "not reported",
            difference("cross", "cross_blind"),
            example={"cross": 0.6, "cross_blind": 0.4},
        ),
        "i_windows": accuracy(
            "The best window of a passage that is too long is better than its beginning",
            HYPOTHESIS,
            "not reported",
            difference("cross_windows", "cross"),
            example={"cross_windows": 0.65, "cross": 0.6},
        ),
    }


def rule_claims() -> dict[str, dict]:
    """Return the claims about rules without training."""
    return {
        "j_longest": accuracy(
            "The longest option is right more often than by chance",
            HYPOTHESIS,
            "not reported",
            alone("longest"),
            value="above_guessing",
            example={"longest": 0.1},
        ),
    }
