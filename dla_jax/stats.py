"""Statistics of paired runs and the one rule that turns a claim into a verdict."""

import functools
import math
from typing import NamedTuple

import numpy as np
from scipy import special, stats

HOLDS, FAILS, OPEN, NOT_RUN = "holds", "does not hold", "not decided", "not run"
FEWEST = 3  # values that an interval needs: the one of two is some nine times as wide as they lie apart
EXACT_UP_TO = 16  # pairs; beyond, 2^n sign patterns are sampled
SAMPLES = 99_999


def t_interval(values, level: float = 0.95, bounds: tuple[float, float] = (-math.inf, math.inf)) -> tuple[float, float]:
    """Return Student's t confidence interval of the mean of independent values; (-inf, inf) below FEWEST values.

    Args:
      values: float [n], n >= 1.
      level: coverage in (0, 1).
      bounds: what the mean cannot leave, (0, 1) for an accuracy: the interval is cut there, which loses no coverage.
    """
    values = np.asarray(values, float)
    if len(values) < FEWEST:
        return -math.inf, math.inf
    half = stats.t.ppf((1 + level) / 2, len(values) - 1) * stats.sem(values)
    low, high = np.clip((values.mean() - half, values.mean() + half), *bounds)
    return float(low), float(high)


def accuracy_interval(values) -> tuple[float, float]:
    """Return the t-interval of the mean of accuracies float [n], within [0, 1]."""
    return t_interval(values, bounds=(0.0, 1.0))


def varies(values) -> bool:
    """Return whether values differ by more than rounding does."""
    values = np.asarray(values, float)
    return bool(np.ptp(values) > 1e-9 * max(np.abs(values).max(), 1e-3))


def sign_flip_p(differences) -> float:
    """Two-sided p of the sign-flip permutation test of paired differences (Fisher 1935): exact up to 16 pairs.

    Under the null each difference is as likely to carry either sign. The smallest p possible is 2 / 2^n, or 1 when
    all differences are 0.
    """
    differences = np.asarray(differences, float)
    if len(differences) < 2 or not differences.any():
        return 1.0
    if len(differences) <= EXACT_UP_TO:  # at 16 pairs some ninety times as fast as scipy's permutation_test, to the same p
        sums = np.abs(_sign_patterns(len(differences)) @ differences)
        return float(np.mean(sums >= (1 - 1e-9) * abs(differences.sum())))
    result = stats.permutation_test(
        (differences,), lambda x, axis: np.mean(x, axis=axis), permutation_type="samples", vectorized=True,
        n_resamples=SAMPLES, rng=np.random.default_rng(0),
    )  # fmt: skip
    return float(min(1.0, result.pvalue))


@functools.cache
def _sign_patterns(n: int) -> np.ndarray:
    """Return half of the patterns of n signs, float [2^(n - 1), n]: the others are their negatives, with the same size of sum."""
    bits = np.arange(2 ** (n - 1))[:, None] >> np.arange(n) & 1
    return 1.0 - 2.0 * bits


def smallest_p(n: int) -> float:
    """The smallest p that `sign_flip_p` can give for n pairs."""
    return min(1.0, 2.0 / 2**n) if n <= EXACT_UP_TO else 2.0 / (SAMPLES + 1)


def holm(p_values) -> np.ndarray:
    """Holm's step-down adjusted p-values (Holm 1979), in the order given: float [n] -> float [n]."""
    p = np.asarray(p_values, float)
    order = np.argsort(p)
    adjusted = np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order])
    result = np.empty_like(p)
    result[order] = np.minimum(1.0, adjusted)
    return result


def hedges_g(differences) -> float:
    """Paired effect size: mean / sd of the differences times Hedges' exact small-sample correction (Hedges 1981).

    nan when the differences do not vary, or are fewer than FEWEST.
    """
    differences = np.asarray(differences, float)
    df = len(differences) - 1
    if len(differences) < FEWEST or not varies(differences):
        return math.nan
    log_correction = special.gammaln(df / 2) - special.gammaln((df - 1) / 2) - 0.5 * math.log(df / 2)
    return float(differences.mean() / differences.std(ddof=1) * math.exp(log_correction))


def superiority(a, b) -> float:
    """P(a > b) + P(a = b) / 2 over all pairs of values: Mann and Whitney's U / (n m), in [0, 1]."""
    return float(stats.mannwhitneyu(a, b).statistic / (len(a) * len(b)))


def iqm(values, axis: int = 0) -> np.ndarray:
    """Interquartile mean: of the middle half of the values along an axis (Agarwal et al. 2021, arXiv:2108.13264)."""
    return stats.trim_mean(np.asarray(values, float), 0.25, axis=axis)


def bootstrap(strata: list, statistic, level: float = 0.95, samples: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """Return the percentile interval (low, high) of a statistic of runs, redrawn within strata (Agarwal et al. 2021, section 4).

    Args:
      strata: arrays float [n_k, ...], the runs of one task each; what is behind the first axis is kept together.
      statistic: (list of arrays float [samples, n_k, ...]) -> float [samples, ...].
    """
    rng = np.random.default_rng(0)
    redrawn = [np.asarray(runs, float)[rng.integers(len(runs), size=(samples, len(runs)))] for runs in strata]
    low, high = np.quantile(statistic(redrawn), [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high


def iqm_interval(strata: list) -> tuple[np.ndarray, np.ndarray]:
    """The bootstrap interval of the interquartile mean of all runs of all tasks: strata float [n_k, ...]."""
    return bootstrap(strata, lambda redrawn: iqm(np.concatenate(redrawn, 1), axis=1))


def improvement(a, b) -> tuple[float, float, float]:
    """P(a run of a beats one of b), ties counting half, with its bootstrap interval: (p, low, high); a, b: float [n], [m]."""

    def share(redrawn):
        a, b = redrawn
        return np.mean((a[:, :, None] > b[:, None]) + 0.5 * (a[:, :, None] == b[:, None]), axis=(1, 2))

    low, high = bootstrap([a, b], share)
    return superiority(a, b), float(low), float(high)


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
