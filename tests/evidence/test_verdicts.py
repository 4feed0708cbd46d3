"""The verdict rule says of data with a known effect what it should, and no more."""

import math

import numpy as np
import pytest

from dla_jax.evidence import stats, verdicts


def paired(effect, sd, n=10, seed=3):
    noise = np.random.default_rng(seed).normal(0, 1, n)
    return effect + sd * (noise - noise.mean()) / noise.std(ddof=1)


@pytest.mark.parametrize(
    ("differences", "direction", "verdict"),
    [
        (paired(0.03, 0.01), ">", "holds"),
        (paired(0.03, 0.01), "<", "does not hold"),
        (paired(-0.03, 0.01), "<", "holds"),
        (paired(0.0, 0.002), ">", "does not hold"),  # no effect, and precise enough to say so
        (paired(0.0, 0.05), ">", "not decided"),  # no effect, too noisy
        (paired(0.03, 0.05), ">", "not decided"),  # an effect, too noisy
        (paired(0.3, 0.01, n=4), ">", "not decided"),  # 2/2^4 > .05: four seeds cannot decide for
        (paired(0.3, 0.01, n=6), ">", "holds"),
        (paired(0.0, 0.0001, n=5), ">", "not decided"),  # nor that it is within the margin
        (paired(0.0, 0.0001, n=6), ">", "does not hold"),
        ([0.3], ">", "not decided"),
        (np.zeros(8), ">", "not decided"),  # without a spread nothing was tried
        # The same, on the claimed side and within the margin.
        (np.full(8, 0.001), ">", "not decided"),
        (np.full(8, 0.3), ">", "holds"),
        (paired(0.002, 0.001), ">", "does not hold"),  # there, but too small to matter
        (paired(-0.002, 0.001), ">", "does not hold"),
    ],
)
def test_the_verdict_rule_on_data_with_a_known_effect(differences, direction, verdict):
    assert verdicts.judge(differences, direction, margin=0.005).verdict == verdict


def test_why_a_claim_was_not_decided_or_does_not_hold_is_said():
    def reason(differences, **options):
        return verdicts.judge(differences, ">", 0.005, **options).reason

    assert reason([0.0, 0.0]) == "too few seeds"
    assert reason(np.zeros(8)) == "the runs do not vary"
    assert reason(paired(0.0, 0.001), at_least=True) == "runs were cut off at the budget"
    assert reason(paired(0.0, 0.001)) == "within the margin"
    assert reason(paired(0.002, 0.001)) == "too small to matter"
    assert reason(paired(0.3, 0.01)) == reason(paired(0.0, 0.05)) == ""


def test_rounding_is_no_spread():
    """Differences that are equal on paper differ in their last bit: .3 - .2 and .9 - .8."""
    equal = np.array([0.3 - 0.2, 0.9 - 0.8, 0.7 - 0.6, 1.0 - 0.9, 0.5 - 0.4, 0.2 - 0.1])
    assert np.ptp(equal) > 0 and not stats.varies(equal) and stats.varies([0.1, 0.1001])
    assert math.isnan(stats.hedges_g(equal))
    assert verdicts.judge(equal - 0.1, ">", 0.005).verdict == "not decided"


@pytest.mark.parametrize(
    ("effect", "at_least", "at_most", "more", "less"),
    [
        (0.3, True, False, "holds", "does not hold"),
        (0.3, False, True, "not decided", "not decided"),
        (-0.3, False, True, "does not hold", "holds"),
        (-0.3, True, False, "not decided", "not decided"),
        (0.3, True, True, "not decided", "not decided"),
        (0.0, True, False, "not decided", "not decided"),
        (0.0, False, True, "not decided", "not decided"),
        (0.002, False, True, "not decided", "not decided"),
        (-0.002, False, True, "does not hold", "not decided"),
    ],
)
def test_differences_that_are_only_bounds_show_one_side_and_no_absence(
    effect, at_least, at_most, more, less
):
    """At least so large: it may lie above 0, and never below; how far it lies is not known."""
    differences, bounds = paired(effect, 0.0005), {"at_least": at_least, "at_most": at_most}
    for direction, verdict in ((">", more), ("<", less)):
        found = verdicts.judge(differences, direction, 0.005, **bounds)
        assert found.verdict == verdict and found.censored


def test_presence_and_absence_need_the_same_number_of_seeds():
    """Below six neither can be shown, whatever the spread; from six on both can."""
    for n in range(2, 9):
        found = {
            verdicts.judge(paired(effect, 1e-4, n=n), ">", 0.005).verdict
            for effect in (-0.3, 0.0, 0.3)
        }
        assert found == ({"not decided"} if n < 6 else {"does not hold", "holds"})


def test_the_t_interval_alone_or_the_sign_flip_alone_does_not_decide():
    # All positive, p = 2/2^6, but the interval crosses 0.
    outlier = np.array([0.01, 0.011, 0.009, 0.01, 0.01, 0.2])
    assert stats.sign_flip_p(outlier) < 0.05
    assert verdicts.judge(outlier, ">", 0.005).verdict == "not decided"
    four = np.array([0.1, 0.1, 0.1, 0.11])  # the interval is clear of 0, p = 2/2^4
    assert stats.t_interval(four)[0] > 0
    assert verdicts.judge(four, ">", 0.005).verdict == "not decided"


def test_the_rule_is_calibrated():
    """Under no effect at most about 2.5 % of studies may say "holds" (one side of 5 %)."""
    rng = np.random.default_rng(1)
    found = [verdicts.judge(rng.normal(0, 1, 8), ">", 1e-9).verdict for _ in range(600)]
    assert found.count("holds") / 600 < 0.045


@pytest.mark.parametrize(
    ("n", "effect", "holds", "fails"),
    [
        (2, 0.0, (0, 0), (0, 0)),
        (5, 2.0, (0, 0), (0, 0)),
        (6, 0.0, (0, 0.03), (0.15, 0.35)),
        (6, 2.0, (0.7, 0.95), (0, 0)),
        (8, 0.5, (0.15, 0.35), (0.1, 0.3)),
        (16, 0.0, (0, 0.01), (0.93, 1)),
        (16, 2.0, (0.99, 1), (0, 0)),
    ],
)
def test_how_often_the_rule_says_what(n, effect, holds, fails):
    """The table of docs/verdicts.md, of fewer samples, for a margin of 1.

    Effects are in standard deviations of a difference.
    """
    rng, samples = np.random.default_rng((n, int(10 * effect))), 60 if n > 10 else 300
    draws = [rng.normal(effect, 1, n) for _ in range(samples)]
    found = [verdicts.judge(draw, ">", 1.0).verdict for draw in draws]
    for verdict, (low, high) in (("holds", holds), ("does not hold", fails)):
        share = found.count(verdict) / samples
        assert low <= share <= high, (verdict, share)


def test_always_needs_every_contrast():
    assert verdicts.judge_all([]) == "not run"
    assert verdicts.judge_all(["holds", "holds"]) == "holds"
    assert verdicts.judge_all(["holds", "not decided"]) == "not decided"
    assert verdicts.judge_all(["holds", "not decided", "does not hold"]) == "does not hold"
