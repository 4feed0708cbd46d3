"""The one rule that turns differences into a verdict.

A claim that compares arms is about the mean of paired differences: t-interval and sign-flip test. A
claim about one arm has nothing to exchange signs with, and a few seeds cannot show the mean of
skewed scores: it is about the median run, by an exact binomial test, which is right whatever the
scores look like.
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
    resolution: float  # how far values may be from the truth, on average; it widens the interval
    seen: float  # what so many seeds of this spread see in 80 % of studies; nan: not known
    verdict: str
    reason: str  # why, where interval and p do not say it; else empty


class Evidence(NamedTuple):
    """What differences say of where their mean, or median, lies."""

    low: float
    high: float
    p_above: float  # two-sided, of the hypothesis that it is not above 0
    p_below: float


class Shown(NamedTuple):
    """Where differences are shown to lie."""

    above: bool  # the differences lie above 0; for equality, above the margin
    below: bool
    inside: bool  # the interval lies within +-margin
    p_equal: float  # the larger p of the two one-sided tests, at the margin or, without it, at 0


def evidence(differences: np.ndarray, about: str, bound: float, resolution: np.ndarray) -> Evidence:
    """Return interval and exact p-values of the mean or the median of differences.

    Those of the mean are by t and sign flips, those of the median by order statistics and the
    binomial.

    Args:
      differences: float [n].
      about: "mean" or "median".
      bound: what the size of a mean cannot exceed; the interval is cut there.
      resolution: float [n] >= 0: how far each difference may be from the truth. Each p-value, and
        each end of the median's interval, is that of the truth least in its favour; the mean's
        interval is widened by the mean resolution.
    """
    least, most = differences - resolution, differences + resolution
    if about == "median":
        low, high = median_interval(least)[0], median_interval(most)[1]
        return Evidence(low, high, binomial_p(least > 0), binomial_p(most < 0))
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
    """Apply the verdict rule, which `ruling` states, to one contrast.

    Args:
      differences: float [n], one a seed, n >= 1.
      direction: ">" or "<", the claimed side of 0, or "=".
      margin: the difference below which one would not care, > 0.
      bound: what the size of a mean difference cannot exceed, 1 for accuracies; the interval is cut
        there.
      at_least, at_most: whether some differences are only known to be so large, or no larger, since
        a run was cut off at its budget: then none is shown to lie below, or above, 0.
      about: "mean" of paired differences, or "median" of the runs of one arm.
      resolution: float [n] or one for all, >= 0: how far each difference may be from the truth.
    """
    differences = np.asarray(differences, float)
    resolution = np.broadcast_to(np.asarray(resolution, float), differences.shape)
    found = evidence(differences, about, bound, resolution)
    # Equality: shifted by the margin, so that below means beyond -margin, and above beyond margin.
    lower = upper = found
    if direction == "=":
        lower = evidence(differences + margin, about, math.inf, resolution)
        upper = evidence(differences - margin, about, math.inf, resolution)
    shown = placed(found, lower, upper, margin, edge=margin if direction == "=" else 0.0)
    verdict, reason = ruling(differences, direction, shown, at_least, at_most)
    centre = np.median(differences) if about == "median" else differences.mean()
    p = upper.p_above if centre > 0 else lower.p_below
    return Contrast(
        n=len(differences),
        about=about,
        mean=float(differences.mean()),
        median=float(np.median(differences)),
        low=found.low,
        high=found.high,
        p=shown.p_equal if direction == "=" and shown.inside else p,
        smallest_p=smallest_p(len(differences)),
        hedges_g=hedges_g(differences),
        varies=varies(differences),
        censored=at_least or at_most,
        resolution=float(resolution.mean()),
        seen=seen(differences, about, equality=direction == "=") + float(resolution.mean()),
        verdict=verdict,
        reason=reason,
    )


def placed(found: Evidence, lower: Evidence, upper: Evidence, margin: float, edge: float) -> Shown:
    """Return where differences are shown to lie.

    Args:
      found: of the differences.
      lower, upper: of the differences as they are tested for lying below and above `edge`.
      edge: how far from 0 they have to lie to be above or below.
    """
    return Shown(
        above=found.low > edge and upper.p_above < 1 - LEVEL,
        below=found.high < -edge and lower.p_below < 1 - LEVEL,
        inside=-margin < found.low and found.high < margin,
        p_equal=max(lower.p_above, upper.p_below),
    )


def ruling(
    differences: np.ndarray, direction: str, shown: Shown, at_least: bool, at_most: bool
) -> tuple[str, str]:
    """Return the verdict and its reason, which is empty where interval and p say it.

    Presence: `holds` when the interval lies wholly on the claimed side of 0 and p < .05; `does not
    hold` when it lies wholly on the other side with p < .05.

    Absence, which comes first: `does not hold` when the interval lies wholly inside (-margin,
    margin), also where it is clear of 0. It needs as much evidence as presence does: enough seeds
    whose difference is not 0 for p < .05 to be possible, differences that vary, and no value that
    is only a bound.

    A claim of equality `holds` where absence is shown and both one-sided tests at the margin have
    p < .05 (Schuirmann 1987), and `does not hold` when the interval lies wholly beyond the margin
    with p < .05. Otherwise `not decided`. Arguments are those of `judge`.
    """
    above, below, inside, p_equal = shown
    if direction == "=":
        claimed, opposite = inside and p_equal < 1 - LEVEL, above or below
    else:
        claimed, opposite = (above, below) if direction == ">" else (below, above)
    bounded, absent = at_least or at_most, inside and not opposite
    if smallest_p(len(differences)) >= 1 - LEVEL:
        return OPEN, "too few seeds"
    if not varies(differences) and (inside or bounded):
        return OPEN, "the runs do not vary"
    if absent and smallest_p(num_apart(differences)) >= 1 - LEVEL:
        return OPEN, "too few seeds differ"
    if (above and at_most) or (below and at_least) or (absent and bounded):
        return OPEN, "runs were cut off at the budget"
    if opposite:
        return FAILS, ""
    if inside and direction != "=":
        return FAILS, "too small to matter" if claimed else "within the margin"
    return HOLDS if claimed else OPEN, ""


def num_apart(differences: np.ndarray) -> int:
    """Return how many differences are not 0, rounding aside.

    Runs that both reach a ceiling say nothing of which is better.
    """
    return int(np.sum(np.abs(differences) > 1e-9 * max(np.abs(differences).max(), 1e-3)))


def judge_all(verdicts: list[str]) -> str:
    """Return the verdict of a claim "always".

    It holds only if every contrast does, and does not hold if one does not.
    """
    if all(verdict == HOLDS for verdict in verdicts):
        return HOLDS if verdicts else NOT_RUN
    return FAILS if FAILS in verdicts else OPEN
