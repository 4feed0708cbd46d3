"""The one rule that turns a claim into a verdict."""

import math
from typing import NamedTuple

import numpy as np

from dla_jax.stats import hedges_g, sign_flip_p, smallest_p, t_interval, varies

HOLDS, FAILS, OPEN, NOT_RUN = "holds", "does not hold", "not decided", "not run"


class Contrast(NamedTuple):
    """What the paired differences of one contrast say."""

    n: int
    mean: float
    low: float
    high: float
    p: float
    smallest_p: float
    hedges_g: float
    varies: bool  # whether the differences do
    censored: bool  # whether a value among them is only a bound
    verdict: str
    reason: str  # why, where interval and p do not say it; else empty


def judge(
    differences,
    direction: str,
    margin: float,
    level: float = 0.95,
    bound: float = math.inf,
    at_least: bool = False,
    at_most: bool = False,
) -> Contrast:
    """Apply the verdict rule to one contrast.

    Presence: `holds` when the t-interval lies wholly on the claimed side of 0 and the sign-flip p < 1 - level; `does not
    hold` when it lies wholly on the other side with p < 1 - level. Absence, which comes first: `does not hold` when the
    interval lies wholly inside (-margin, margin), also where it is clear of 0. It needs as much evidence as presence does:
    enough seeds for p < 1 - level to be possible, differences that vary, and no value that is only a bound. Otherwise
    `not decided`.

    Args:
      differences: float [n], one a seed, n >= 1.
      direction: ">" or "<", the claimed side of 0.
      margin: the difference below which one would not care, > 0.
      bound: what the size of a mean difference cannot exceed, 1 for accuracies; the interval is cut there.
      at_least, at_most: whether some differences are only known to be so large, or no larger, since a run was cut off at its
        budget: then none is shown to lie below, or above, 0.
    """
    differences = np.asarray(differences, float)
    low, high = t_interval(differences, level, (-bound, bound))
    n, p, spread = len(differences), sign_flip_p(differences), varies(differences)
    positive, negative = low > 0 and p < 1 - level, high < 0 and p < 1 - level
    claimed, opposite = (positive, negative) if direction == ">" else (negative, positive)
    inside = -margin < low and high < margin
    unknown = (positive and at_most) or (negative and at_least) or (inside and not opposite and (at_least or at_most))
    verdict, reason = OPEN, ""
    if smallest_p(n) >= 1 - level:
        reason = "too few seeds"
    elif not spread and (inside or at_least or at_most):
        reason = "the runs do not vary"
    elif unknown:
        reason = "runs were cut off at the budget"
    elif opposite:
        verdict = FAILS
    elif inside:
        verdict, reason = FAILS, "too small to matter" if claimed else "within the margin"
    elif claimed:
        verdict = HOLDS
    found = (n, float(differences.mean()), low, high, p, smallest_p(n), hedges_g(differences), spread, at_least or at_most)
    return Contrast(*found, verdict, reason)


def judge_all(verdicts: list[str]) -> str:
    """Return the verdict of a claim "always": it holds only if every contrast does, does not hold if one does not."""
    if all(verdict == HOLDS for verdict in verdicts):
        return HOLDS if verdicts else NOT_RUN
    return FAILS if FAILS in verdicts else OPEN


def combined(terms) -> tuple[tuple[float, str], ...]:
    """Return the terms of a contrast with one weight a group, without those that cancel: of a net against itself, none."""
    weights = {}
    for weight, group in terms:
        weights[group] = weights.get(group, 0.0) + float(weight)
    return tuple((weight, group) for group, weight in weights.items() if weight)


def paired_values(terms, runs: list[dict], value: str) -> dict[int, float]:
    """A linear contrast, run by run: {seed: sum of weight * value of the run of that group and seed}.

    Args:
      terms: ((weight, group), ...).
      runs: dicts with "group", "seed" and `value`.
      value: the key to compare; None in a run that has no such value.

    Returns:
      One entry for each seed that every group of the contrast has a value for.
    """
    by_group = {group: {run["seed"]: run[value] for run in runs if run["group"] == group and run[value] is not None}
                for _, group in terms}  # fmt: skip
    seeds = sorted(set.intersection(*(set(found) for found in by_group.values())))
    return {seed: sum(weight * by_group[group][seed] for weight, group in terms) for seed in seeds}


def weigh(claim: dict, runs: list[dict]) -> dict:
    """Return a claim with what was measured and its verdict.

    Args:
      claim: {"statement", "source", "reported", "contrasts": (terms, ...), "direction", "value", "unit", "margin"}: `value`
        is the key of a run that is compared; with several contrasts the claim says "always", and holds only if each does.
      runs: dicts with "group", "seed", "diverged" and the values; of a diverged run an accuracy is chance, others None.
        "censored", where there is one, names the values that are at least so large, since the run was cut off at its budget.

    Returns:
      The claim with "verdict", "results" (a `Contrast` as dict for each contrast, with "terms", "in_favour" and
      "without_diverged", the same of the pairs that no diverged run touches) and "missing": what the grid lacks.
    """
    contrasts = [terms for terms in map(combined, claim["contrasts"]) if terms]
    missing = absent_from(contrasts, runs, claim["value"])
    if missing:
        return claim | {"verdict": NOT_RUN, "results": [], "missing": missing}
    results = [weigh_contrast(claim, terms, runs) for terms in contrasts]
    return claim | {"verdict": judge_all([result["verdict"] for result in results]), "results": results, "missing": []}


def absent_from(contrasts: list[tuple], runs: list[dict], value: str) -> list[str]:
    """Return what a grid lacks to weigh these contrasts: groups without that value, seeds in common, or a second net."""
    if not contrasts:
        return ["a second net or depth to compare with"]
    groups = dict.fromkeys(group for terms in contrasts for _, group in terms)
    missing = [group for group in groups if all(run["group"] != group or run[value] is None for run in runs)]
    apart = [terms for terms in contrasts if not missing and not paired_values(terms, runs, value)]
    return missing + [f"a seed that {' and '.join(group for _, group in terms)} share" for terms in apart]


def weigh_contrast(claim: dict, terms: tuple, runs: list[dict]) -> dict:
    """Return one contrast of a claim as `weigh` does.

    A pair of which runs on both sides were cut off at the budget says nothing, and counts as no difference.
    """
    differences, weights = paired_values(terms, runs, claim["value"]), {group: weight for weight, group in terms}
    own = [run for run in runs if run["group"] in weights and run["seed"] in differences]
    diverged = {run["seed"] for run in own if run["diverged"]}
    cut = [(run["seed"], weights[run["group"]] > 0) for run in own if claim["value"] in run.get("censored", ())]
    over, under = ({seed for seed, positive in cut if positive is side} for side in (True, False))
    differences |= dict.fromkeys(over & under, 0.0)
    sign = 1 if claim["direction"] == ">" else -1

    def rule(seeds):
        return judge(
            [differences[seed] for seed in seeds],
            claim["direction"],
            claim["margin"],
            bound=bound_of(terms, claim["unit"]),
            at_least=any(seed in over for seed in seeds),
            at_most=any(seed in under for seed in seeds),
        )._asdict()

    kept = [seed for seed in differences if seed not in diverged]
    return rule(list(differences)) | {
        "terms": [list(term) for term in terms],
        "in_favour": sum(sign * difference > 0 for difference in differences.values()),
        "without_diverged": rule(kept) if diverged and kept else None,
    }


def bound_of(terms: tuple, unit: str) -> float:
    """Return what the size of a contrast cannot exceed: of fractions of one ("points") the weights of either sign."""
    if unit != "points":
        return math.inf
    return max(sum(weight for weight, _ in terms if weight > 0), -sum(weight for weight, _ in terms if weight < 0))
