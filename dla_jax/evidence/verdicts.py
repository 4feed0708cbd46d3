"""The one rule that turns a claim into a verdict.

A claim that compares arms is about the mean of paired differences: t-interval and sign-flip test. A claim about one arm
has nothing to exchange signs with, and a few seeds cannot show the mean of skewed scores: it is about the median run,
by an exact binomial test, which is right whatever the scores look like.
"""

import math
from typing import NamedTuple

import numpy as np

from dla_jax.evidence.power import seen
from dla_jax.evidence.stats import (
    LEVEL,
    binomial_p,
    hedges_g,
    median_interval,
    sign_flip_p,
    smallest_p,
    t_interval,
    varies,
)

HOLDS, FAILS, OPEN, NOT_RUN = "holds", "does not hold", "not decided", "not run"


class Contrast(NamedTuple):
    """What the differences of one contrast say."""

    n: int
    about: str  # "mean", or "median" for a claim about one arm
    mean: float
    median: float
    low: float  # of the interval of what the claim is about
    high: float
    p: float
    smallest_p: float
    hedges_g: float
    varies: bool  # whether the differences do
    censored: bool  # whether a value among them is only a bound
    resolution: (
        float  # how far the values may be from the truth, on average; the interval is widened by it
    )
    seen: float  # the difference that so many seeds of this spread see in 80 % of studies; nan where it is not known
    verdict: str
    reason: str  # why, where interval and p do not say it; else empty


class Evidence(NamedTuple):
    """What differences say of where their mean, or median, lies."""

    low: float
    high: float
    p_above: float  # two-sided, of the hypothesis that it is not above 0
    p_below: float


def evidence(differences: np.ndarray, about: str, bound: float, resolution: np.ndarray) -> Evidence:
    """Return the interval and the exact p-values of the mean (t, sign flips) or the median (order statistics, binomial).

    Args:
      differences: float [n].
      about: "mean" or "median".
      bound: what the size of a mean cannot exceed; the interval is cut there.
      resolution: float [n] >= 0: how far each difference may be from the truth. Each p-value, and each end of the median's
        interval, is that of the truth least in its favour; the mean's interval is widened by the mean resolution.
    """
    least, most = differences - resolution, differences + resolution
    if about == "median":
        return Evidence(
            median_interval(least)[0],
            median_interval(most)[1],
            binomial_p(least > 0),
            binomial_p(most < 0),
        )
    low, high = t_interval(differences, LEVEL, (-bound, bound))
    wider = float(resolution.mean())
    p_above = sign_flip_p(least) if least.sum() > 0 else 1.0
    p_below = sign_flip_p(most) if most.sum() < 0 else 1.0
    return Evidence(low - wider, high + wider, p_above, p_below)


def judge(
    differences,
    direction: str,
    margin: float,
    bound: float = math.inf,
    at_least: bool = False,
    at_most: bool = False,
    about: str = "mean",
    resolution=0.0,
) -> Contrast:
    """Apply the verdict rule to one contrast.

    Presence: `holds` when the interval lies wholly on the claimed side of 0 and p < .05; `does not hold` when it lies wholly
    on the other side with p < .05. Absence, which comes first: `does not hold` when the interval lies wholly inside
    (-margin, margin), also where it is clear of 0. It needs as much evidence as presence does: enough seeds whose difference
    is not 0 for p < .05 to be possible, differences that vary, and no value that is only a bound. A claim of equality `holds`
    where absence is shown and both one-sided tests at the margin have p < .05 (Schuirmann 1987), and `does not hold` when the
    interval lies wholly beyond the margin with p < .05. Otherwise `not decided`.

    Args:
      differences: float [n], one a seed, n >= 1.
      direction: ">" or "<", the claimed side of 0, or "=".
      margin: the difference below which one would not care, > 0.
      bound: what the size of a mean difference cannot exceed, 1 for accuracies; the interval is cut there.
      at_least, at_most: whether some differences are only known to be so large, or no larger, since a run was cut off at its
        budget: then none is shown to lie below, or above, 0.
      about: "mean" of paired differences, or "median" of the runs of one arm.
      resolution: float [n] or one for all, >= 0: how far each difference may be from the truth.
    """
    differences = np.asarray(differences, float)
    resolution = np.broadcast_to(np.asarray(resolution, float), differences.shape)
    n, spread, apart = len(differences), varies(differences), num_apart(differences)
    found = evidence(differences, about, bound, resolution)
    lower = upper = (
        found  # what is tested for lying below, and above, what the claim is measured from
    )
    edge = margin if direction == "=" else 0.0
    if edge:
        lower, upper = (
            evidence(differences + side * margin, about, math.inf, resolution) for side in (1, -1)
        )
    above = found.low > edge and upper.p_above < 1 - LEVEL
    below = found.high < -edge and lower.p_below < 1 - LEVEL
    inside = -margin < found.low and found.high < margin
    p_equal = max(lower.p_above, upper.p_below)
    if direction == "=":
        claimed, opposite = inside and p_equal < 1 - LEVEL, above or below
    else:
        claimed, opposite = (above, below) if direction == ">" else (below, above)
    bounded = at_least or at_most
    unknown = (above and at_most) or (below and at_least) or (inside and not opposite and bounded)
    verdict, reason = OPEN, ""
    if smallest_p(n) >= 1 - LEVEL:
        reason = "too few seeds"
    elif not spread and (inside or bounded):
        reason = "the runs do not vary"
    elif inside and not opposite and smallest_p(apart) >= 1 - LEVEL:
        reason = "too few seeds differ"
    elif unknown:
        reason = "runs were cut off at the budget"
    elif opposite:
        verdict = FAILS
    elif direction == "=":
        verdict = HOLDS if claimed else OPEN
    elif inside:
        verdict, reason = FAILS, "too small to matter" if claimed else "within the margin"
    elif claimed:
        verdict = HOLDS
    centre = np.median(differences) if about == "median" else differences.mean()
    if direction == "=":
        p = p_equal if inside else upper.p_above if centre > 0 else lower.p_below
    else:
        p = found.p_above if centre > 0 else found.p_below
    return Contrast(
        n=n,
        about=about,
        mean=float(differences.mean()),
        median=float(np.median(differences)),
        low=found.low,
        high=found.high,
        p=p,
        smallest_p=smallest_p(n),
        hedges_g=hedges_g(differences),
        varies=spread,
        censored=bounded,
        resolution=float(resolution.mean()),
        seen=seen(differences, about, equality=direction == "=") + float(resolution.mean()),
        verdict=verdict,
        reason=reason,
    )


def num_apart(differences: np.ndarray) -> int:
    """Return how many differences are not 0 but for rounding: runs that both reach a ceiling say nothing of which is better."""
    return int(np.sum(np.abs(differences) > 1e-9 * max(np.abs(differences).max(), 1e-3)))


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
    by_group = {
        group: {
            run["seed"]: run[value]
            for run in runs
            if run["group"] == group and run[value] is not None
        }
        for _, group in terms
    }
    seeds = sorted(set.intersection(*(set(found) for found in by_group.values())))
    return {seed: sum(weight * by_group[group][seed] for weight, group in terms) for seed in seeds}


def weigh(claim: dict, runs: list[dict]) -> dict:
    """Return a claim with what was measured and its verdict.

    Args:
      claim: {"statement", "source", "reported", "contrasts": (terms, ...), "direction", "value", "unit", "margin",
        "threshold"} as `claims.claim` makes it; without a threshold it is 0.
      runs: dicts with "group", "seed", "diverged" and the values; of a diverged run an accuracy is chance, others None.
        "censored", where there is one, names the values that are at least so large, since the run was cut off at its budget;
        "resolution" says of some values how far they may be from the truth: {value: half-width}.

    Returns:
      The claim with "verdict", "results" (a `Contrast` as dict for each contrast, with "terms", "in_favour" and
      "without_diverged", the same of the pairs that no diverged run touches) and "missing": what the grid lacks.
    """
    contrasts = [terms for terms in map(combined, claim["contrasts"]) if terms]
    missing = absent_from(contrasts, runs, claim["value"])
    if missing:
        return claim | {"verdict": NOT_RUN, "results": [], "missing": missing}
    results = [weigh_contrast(claim, terms, runs) for terms in contrasts]
    return claim | {
        "verdict": judge_all([result["verdict"] for result in results]),
        "results": results,
        "missing": [],
    }


def absent_from(contrasts: list[tuple], runs: list[dict], value: str) -> list[str]:
    """Return what a grid lacks to weigh these contrasts: groups without that value, seeds in common, or a second net."""
    if not contrasts:
        return ["a second net or depth to compare with"]
    groups = dict.fromkeys(group for terms in contrasts for _, group in terms)
    missing = [
        group
        for group in groups
        if all(run["group"] != group or run[value] is None for run in runs)
    ]
    apart = [terms for terms in contrasts if not missing and not paired_values(terms, runs, value)]
    return missing + [
        f"a seed that {' and '.join(group for _, group in terms)} share" for terms in apart
    ]


def weigh_contrast(claim: dict, terms: tuple, runs: list[dict]) -> dict:
    """Return one contrast of a claim as `weigh` does.

    A pair of which runs on both sides were cut off at the budget says nothing: it counts as no difference, which may lie on
    either side, and so leaves the contrast open.
    """
    weights, value, threshold = (
        {group: weight for weight, group in terms},
        claim["value"],
        claim.get("threshold", 0.0),
    )
    differences = {
        seed: found - threshold for seed, found in paired_values(terms, runs, value).items()
    }
    resolution = dict.fromkeys(differences, 0.0)
    own = [run for run in runs if run["group"] in weights and run["seed"] in differences]
    for run in own:
        resolution[run["seed"]] += abs(weights[run["group"]]) * run.get("resolution", {}).get(
            value, 0.0
        )
    diverged = {run["seed"] for run in own if run["diverged"]}
    cut = [
        (run["seed"], weights[run["group"]] > 0) for run in own if value in run.get("censored", ())
    ]
    over, under = ({seed for seed, positive in cut if positive is side} for side in (True, False))
    differences |= dict.fromkeys(over & under, 0.0)
    about = "median" if len(terms) == 1 else "mean"

    def rule(seeds):
        return judge(
            [differences[seed] for seed in seeds],
            claim["direction"],
            claim["margin"],
            bound=bound_of(terms, claim["unit"]) + abs(threshold),
            at_least=any(seed in over for seed in seeds),
            at_most=any(seed in under for seed in seeds),
            about=about,
            resolution=[resolution[seed] for seed in seeds],
        )._asdict()

    kept = [seed for seed in differences if seed not in diverged]
    return rule(list(differences)) | {
        "terms": [list(term) for term in terms],
        "in_favour": sum(favours(difference, claim) for difference in differences.values()),
        "without_diverged": rule(kept) if diverged and kept else None,
    }


def favours(difference: float, claim: dict) -> bool:
    """Return whether one seed alone speaks for a claim."""
    if claim["direction"] == "=":
        return abs(difference) < claim["margin"]
    return difference > 0 if claim["direction"] == ">" else difference < 0


def bound_of(terms: tuple, unit: str) -> float:
    """Return what the size of a contrast cannot exceed: of fractions of one ("points") the weights of either sign."""
    if unit != "points":
        return math.inf
    return max(
        sum(weight for weight, _ in terms if weight > 0),
        -sum(weight for weight, _ in terms if weight < 0),
    )
