"""What so many runs see: the difference that the verdict rule finds in 80 % of studies."""

import math

import numpy as np
from scipy import optimize, stats

from dla_jax.evidence.stats import LEVEL, binomial_p, varies

POWER = 0.8
# The mean difference, in standard deviations, that so many seeds see in 80 % of studies: simulated
# (tests/evidence/test_coverage.py).
SEEN = {
    6: 1.8,
    7: 1.35,
    8: 1.2,
    9: 1.1,
    10: 1.02,
    11: 0.94,
    12: 0.9,
    13: 0.84,
    14: 0.83,
    15: 0.78,
    16: 0.74,
}


def seen(differences: np.ndarray, about: str, equality: bool = False) -> float:
    """Return what so many normal differences of this spread see in 80 % of studies.

    That is a difference, or for a claim of `equality` the margin within which two equal arms are
    seen to lie. It is nan without a spread, or below six differences.
    """
    n = len(differences)
    if n < min(SEEN) or not varies(differences):
        return math.nan
    if equality:
        factor = equality_factor(n)
    else:
        factor = median_factor(n) if about == "median" else mean_factor(n)
    return float(factor * np.std(differences, ddof=1))


def mean_factor(n: int) -> float:
    """Return how far off the mean of n >= 6 normal differences must lie for the rule to see it.

    In standard deviations, and as often as POWER says.
    """
    most = max(SEEN)
    return SEEN[n] if n in SEEN else SEEN[most] * math.sqrt(most / n)


def equality_factor(n: int) -> float:
    """Return how wide the margin must be for n normal differences around 0 to be seen within it.

    In standard deviations, and as often as POWER says.
    """
    quantiles = stats.t.ppf((1 + LEVEL) / 2, n - 1) + stats.norm.ppf((1 + POWER) / 2)
    return float(quantiles / math.sqrt(n))


def median_factor(n: int) -> float:
    """Return how far off the median of n normal values must lie for the sign test to see it.

    In standard deviations, and as often as POWER says.
    """
    needed = next(k for k in range(n + 1) if binomial_p(np.arange(n) < k) < 1 - LEVEL)
    share = optimize.brentq(lambda q: stats.binom.sf(needed - 1, n, q) - POWER, 0.5, 1.0)
    return float(stats.norm.ppf(share))
