"""Statistics of runs: intervals, exact tests, effect sizes."""

import functools
import math

import numpy as np
from scipy import special, stats

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
