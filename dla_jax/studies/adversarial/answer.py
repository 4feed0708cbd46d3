"""The sentence that answers the study: what attacks leave, and what training against them gives."""

from dla_jax.evidence import answers
from dla_jax.plots.attacks import in_both_units
from dla_jax.studies.study import Finished

MARGIN = 0.02  # of accuracy
ALL = "all attacks in the largest norm together"


def compared(found: Finished, first: str, second: str, value: str, better: str) -> str:
    """Return how one network compares with another in one value, in words."""
    difference = answers.contrast(
        found.summary, ((1.0, first), (-1.0, second)), value=value, margin=MARGIN
    )
    told = answers.shown(
        difference,
        more=f"{first} is {{size}} {better}",
        less=f"{first} is {{size}} worse",
        asked=f"whether {first} is better",
    )
    return told.replace("the difference is", f"for {first} the difference is")


def answer(found: Finished) -> str:
    """Return how much the first network loses, and whether training with PGD helps."""
    names = list(found.arms)
    first = "standard" if "standard" in names else names[0]
    runs = found.runs_of(first)
    told = (
        f"At epsilon {in_both_units(found.config.epsilon)} {ALL} take the accuracy of {first} from "
        f"{answers.fraction(runs, 'clean_accuracy')} to {answers.fraction(runs, 'worst_accuracy')} "
        f"({answers.counted(runs)})"
    )
    if "pgd" not in names or first == "pgd":
        return f"{told}."
    return (
        f"{told}; under them {compared(found, 'pgd', first, 'worst_accuracy', 'better')}, and on "
        f"clean images {compared(found, 'pgd', first, 'test_accuracy', 'better')}."
    )
