"""Statistics of paired runs and the one rule that turns a claim into a verdict."""

import math
from typing import NamedTuple

import numpy as np
from scipy import special, stats

HOLDS, FAILS, OPEN = "holds", "does not hold", "not decided"
EXACT_UP_TO = 16  # pairs; beyond, 2^n sign patterns are sampled
SAMPLES = 99_999


def t_interval(values, level: float = 0.95) -> tuple[float, float]:
    """Student's t confidence interval of the mean of independent values; (-inf, inf) for a single one.

    Args:
      values: float [n], n >= 1.
      level: coverage in (0, 1).
    """
    values = np.asarray(values, float)
    if len(values) < 2:
        return -math.inf, math.inf
    half = stats.t.ppf((1 + level) / 2, len(values) - 1) * stats.sem(values)
    return float(values.mean() - half), float(values.mean() + half)


def sign_flip_p(differences) -> float:
    """Two-sided p of the sign-flip permutation test of paired differences (Fisher 1935): exact up to 16 pairs.

    Under the null each difference is as likely to carry either sign. The smallest p possible is 2 / 2^n, or 1 when
    all differences are 0.
    """
    differences = np.asarray(differences, float)
    if len(differences) < 2 or not differences.any():
        return 1.0
    exact = len(differences) <= EXACT_UP_TO
    result = stats.permutation_test(
        (differences,), lambda x, axis: np.mean(x, axis=axis), permutation_type="samples", vectorized=True,
        n_resamples=np.inf if exact else SAMPLES, rng=np.random.default_rng(0),
    )  # fmt: skip
    return float(min(1.0, result.pvalue))


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

    nan when the differences do not vary.
    """
    differences = np.asarray(differences, float)
    df = len(differences) - 1
    if df < 1 or np.ptp(differences) == 0:
        return math.nan
    log_correction = special.gammaln(df / 2) - special.gammaln((df - 1) / 2) - 0.5 * math.log(df / 2) if df > 1 else -math.inf
    return float(differences.mean() / differences.std(ddof=1) * math.exp(log_correction))


def superiority(a, b) -> float:
    """P(a > b) + P(a = b) / 2 over all pairs of values: Mann and Whitney's U / (n m), in [0, 1]."""
    return float(stats.mannwhitneyu(a, b).statistic / (len(a) * len(b)))


def iqm(values, axis: int = 0) -> np.ndarray:
    """Interquartile mean: of the middle half of the values along an axis (Agarwal et al. 2021, arXiv:2108.13264)."""
    return stats.trim_mean(np.asarray(values, float), 0.25, axis=axis)


def bootstrap(strata: list, statistic, level: float = 0.95, samples: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """Percentile interval of a statistic of runs, redrawn within each stratum (Agarwal et al. 2021, section 4).

    Args:
      strata: arrays float [n_k, ...], the runs of one task each; what is behind the first axis is kept together.
      statistic: (list of arrays float [samples, n_k, ...]) -> float [samples, ...].

    Returns:
      (low, high).
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


def slope(depths, accuracies) -> np.ndarray:
    """Least-squares slope of accuracy on log2(depth): depths [D], accuracies [n, D] -> float [n], per doubling."""
    x = np.log2(np.asarray(depths, float))
    x = x - x.mean()
    return np.asarray(accuracies, float) @ x / (x @ x)


class Contrast(NamedTuple):
    """What the paired differences of one contrast say; accuracies and the interval in [-1, 1]."""

    n: int
    mean: float
    low: float
    high: float
    p: float
    smallest_p: float
    hedges_g: float
    verdict: str


def judge(differences, direction: str, margin: float, level: float = 0.95) -> Contrast:
    """The verdict rule.

    `holds`: the t-interval lies wholly on the claimed side of 0 and the sign-flip p < 1 - level. `does not hold`: it
    lies wholly on the other side with p < 1 - level, or wholly inside (-margin, margin). Otherwise `not decided`.

    Args:
      differences: float [n], one a seed.
      direction: ">" or "<", the claimed side of 0.
      margin: the difference below which one would not care, > 0.
    """
    differences = np.asarray(differences, float)
    low, high = t_interval(differences, level)
    p = sign_flip_p(differences)
    positive, negative = low > 0 and p < 1 - level, high < 0 and p < 1 - level
    claimed, opposite = (positive, negative) if direction == ">" else (negative, positive)
    small = -margin < low and high < margin
    verdict = HOLDS if claimed else FAILS if opposite or small else OPEN
    n = len(differences)
    return Contrast(n, float(differences.mean()), low, high, p, smallest_p(n), hedges_g(differences), verdict)


def judge_all(verdicts: list[str]) -> str:
    """A claim "always": holds only if every contrast does, does not hold if one does not."""
    if all(verdict == HOLDS for verdict in verdicts):
        return HOLDS
    return FAILS if FAILS in verdicts else OPEN


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
    """A claim and the runs -> the claim with what was measured and its verdict.

    Args:
      claim: {"statement", "source", "reported", "contrasts": (terms, ...), "direction", "value", "unit", "margin"}: `value`
        is the key of a run that is compared; with several contrasts the claim says "always", and holds only if each does.
      runs: dicts with "group", "seed", "diverged" and the values; of a diverged run an accuracy is chance, others None.

    Returns:
      The claim with "verdict", "results" (a `Contrast` as dict for each contrast, with "terms", "in_favour" and
      "without_diverged": mean and verdict of the pairs that no diverged run touches) and "missing" (groups without a value).
    """
    groups = dict.fromkeys(group for terms in claim["contrasts"] for _, group in terms)
    missing = [group for group in groups if all(run["group"] != group or run[claim["value"]] is None for run in runs)]
    if missing:
        return claim | {"verdict": "not run", "results": [], "missing": missing}
    results = []
    for terms in claim["contrasts"]:
        differences = paired_values(terms, runs, claim["value"])
        diverged = {run["seed"] for run in runs if run["diverged"] and run["group"] in {group for _, group in terms}}
        kept = [difference for seed, difference in differences.items() if seed not in diverged]
        sign = 1 if claim["direction"] == ">" else -1
        results.append(judge(list(differences.values()), claim["direction"], claim["margin"])._asdict() | {
            "terms": [list(term) for term in terms],
            "in_favour": sum(sign * difference > 0 for difference in differences.values()),
            "without_diverged": judge(kept, claim["direction"], claim["margin"])._asdict() if diverged and kept else None,
        })  # fmt: skip
    return claim | {"verdict": judge_all([result["verdict"] for result in results]), "results": results, "missing": []}
