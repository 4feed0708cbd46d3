"""Words for the sentence that answers a study: what arms have, and what their difference shows.

The rule for claims (`verdicts.ruling`) says what is decided.
"""

import math

import numpy as np

from dla_jax.evidence import formatting, stats, tables, verdicts, weighing

# What stands behind a size, where it is not the unit itself; nothing where the sentence says it.
NOUNS = {"nats/char": "nats", "return": ""}


def contrast(
    summary: dict,
    terms: tuple,
    value: str = "test_accuracy",
    unit: str = "points",
    margin: float = 0.005,
    threshold: float = 0.0,
) -> dict:
    """Return what a contrast of arms shows, as `weighing.weigh_contrast` has it.

    Where no seed has a value in each arm it is {"verdict": not decided, "reason": why}.

    Args:
      summary: {"runs", "claims", ...} of a study.
      terms: ((weight, arm), ...).
      margin: the difference below which one would not care, > 0, where no claim says it.
    """
    runs = summary["runs"]
    if not weighing.paired_values(terms, runs, value):
        return {"verdict": verdicts.OPEN, "reason": missing(terms, runs, value), "n": 0}
    margin = margin_of(summary["claims"], terms, value, margin)
    claim = {"value": value, "unit": unit, "direction": ">", "margin": margin}
    found = weighing.weigh_contrast(claim | {"threshold": threshold}, terms, runs)
    return found | {"unit": unit}


def missing(terms: tuple, runs: list[dict], value: str) -> str:
    """Return why no seed has a value in each arm: an arm has none at all, or they share no seed."""
    known = {run["group"] for run in runs if run[value] is not None}
    without = [arm for _, arm in terms if arm not in known]
    return f"no run of {' or '.join(without)} has a value" if without else "no seed in common"


def margin_of(claims: list[dict], terms: tuple, value: str, default: float) -> float:
    """Return the margin of the claim that a contrast answers, so that both decide alike.

    It is the first claim that makes this contrast, in either direction, else the first one that
    compares this value; without any it is the default.
    """

    def weights(contrast, sign: float = 1.0) -> dict[str, float]:
        return {arm: sign * weight for weight, arm in weighing.combined(contrast)}

    either_way = weights(terms), weights(terms, sign=-1.0)
    alike = [claim for claim in claims if claim["value"] == value]
    same = [
        claim
        for claim in alike
        if any(weights(contrast) in either_way for contrast in claim["contrasts"])
    ]
    return next((claim["margin"] for claim in same + alike), default)


def shown(found: dict, more: str, less: str, asked: str) -> str:
    """Return what a contrast shows, as the end of a sentence.

    Args:
      found: as `contrast` returns it.
      more, less: what it means that it lies above, or below, 0; "{size}" stands for how far.
      asked: the open question, beginning with "whether".
    """
    if not found["n"]:
        return f"{asked} is not decided ({found['reason']})"
    if found["verdict"] == verdicts.HOLDS:
        return more.format(size=size(found))
    signed = size(found, sign=True)
    if found["verdict"] == verdicts.FAILS and found["reason"]:
        return f"the difference is too small to matter ({signed})"
    if found["verdict"] == verdicts.FAILS:
        return less.format(size=size(found, side=-1.0))
    reason = f", {found['reason']}" if found["reason"] else ""
    return f"{asked} is not decided ({signed}{reason})"


def size(found: dict, side: float = 1.0, sign: bool = False) -> str:
    """Return `44.6 points [34.0, 55.3]`, or of decades the factor, `2.1 times [1.1, 3.9]`.

    Args:
      found: as `contrast` returns it.
      side: -1 for how far it lies below 0.
      sign: whether it is written with its sign, which a factor has not.
    """
    unit, ends = found["unit"], sorted((side * found["low"], side * found["high"]))
    centre = side * found[found["about"]]
    if unit == "decades":
        return factor(centre, *ends)
    noun = NOUNS.get(unit, unit)
    bounds = formatting.interval(*ends, unit, sign=sign)
    return " ".join(filter(None, (formatting.amount(centre, unit, sign=sign), noun))) + bounds


def factor(centre: float, low: float, high: float) -> str:
    """Return powers of ten as factors, `2.1 times [1.1, 3.9]`, without an interval that is none."""
    words = f"{formatting.digits(10.0**centre)} times"
    if not (math.isfinite(low) and math.isfinite(high)):
        return words
    return f"{words} [{formatting.digits(10.0**low)}, {formatting.digits(10.0**high)}]"


def fraction(runs: list[dict], key: str = "test_accuracy") -> str:
    """Return the mean of a fraction of one over runs, `94.5 % [93.0, 96.1]`."""
    values = [run[key] for run in runs]
    low, high = stats.accuracy_interval(values)
    return f"{tables.percent(np.mean(values))} %{formatting.interval(low, high, sign=False)}"


def counted(*arms: list[dict], thing: str = "seed", counts: str = "count as chance") -> str:
    """Return over how many runs arms were measured: `8 seeds`, `8 and 6 seeds`.

    Behind it stands how many of them diverged, and what these count as.
    """
    numbers = list(dict.fromkeys(len(runs) for runs in arms))
    words = " and ".join([*map(str, numbers[:-1]), formatting.count(numbers[-1], thing)])
    diverged = sum(run["diverged"] for runs in arms for run in runs)
    if not diverged:
        return words
    all_runs = formatting.count(sum(map(len, arms)), "run")
    return f"{words}; {diverged} of {all_runs} diverged and {counts}"


def two_accuracies(found, first: str, second: str, remarks: tuple[str, str] = ("", "")) -> str:
    """Return the sentence that compares the test accuracies of two arms, seed by seed.

    Args:
      found: a finished study.
      first: the arm that is asked about.
      second: what it is compared with.
      remarks: what is said behind their names.
    """
    own, other = found.runs_of(first), found.runs_of(second)
    difference = contrast(found.summary, ((1.0, first), (-1.0, second)))
    ending = shown(
        difference,
        more=f"{first} is {{size}} better",
        less=f"{first} is {{size}} worse",
        asked=f"whether {first} is better",
    )
    return (
        f"{first}{remarks[0]} has a test accuracy of {fraction(own)}, {second}{remarks[1]} of "
        f"{fraction(other)} ({counted(own, other)}): {ending}."
    )


def one_accuracy(found, only: str) -> str:
    """Return the sentence on the test accuracy of a study's only arm."""
    runs = found.runs_of(only)
    return (
        f"{only} has a test accuracy of {fraction(runs)} ({counted(runs)}): there is no other "
        "network to compare it with."
    )


def ranked(found, arms, key: str = "val_accuracy") -> list[str]:
    """Return some arms of a finished study, the one with the largest mean of `key` first."""

    def mean(arm: str) -> float:
        return float(np.mean([run[key] for run in found.runs_of(arm)]))

    return sorted(arms, key=mean, reverse=True)
