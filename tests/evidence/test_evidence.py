"""Claims of one arm and of equality, thresholds, resolutions and power are as documented."""

import math

import numpy as np
import pytest
import scipy.stats

from dla_jax.evidence import power, report, stats, verdicts, weighing
from dla_jax.evidence.claims import alone, claim, difference

NOISE = np.array([-1.5, -0.7, -0.2, 0.2, 0.7, 1.5])


def runs_of(resolution=None, **values):
    extra = {} if resolution is None else {"resolution": {"score": resolution}}
    return [
        {"group": group, "seed": seed, "score": value, "diverged": False} | extra
        for group, found in values.items()
        for seed, value in enumerate(found)
    ]


def claim_of(*contrasts, **changes):
    settings = {"value": "score", "unit": "nats", "margin": 0.05} | changes
    return claim("statement", "source", "reported", *contrasts, **settings)


def result_of(claim, runs):
    (result,) = weighing.weigh(claim, runs)["results"]
    return result


def verdict_of(claim, runs):
    return result_of(claim, runs)["verdict"]


def test_a_claim_about_one_arm_is_about_its_median_run():
    """Five of six runs lie far above, one far below.

    The mean is below the threshold, and the t-interval crosses it.
    """
    skewed = [1.0, 1.1, 1.2, 1.3, 1.4, -9.0]
    result = result_of(claim_of(alone("a")), runs_of(a=skewed))
    assert result["about"] == "median" and result["median"] == pytest.approx(1.15)
    assert result["mean"] < 0
    assert (result["low"], result["high"]) == (-9.0, 1.4)
    assert result["p"] == pytest.approx(scipy.stats.binomtest(5, 6).pvalue)
    assert result["verdict"] == "not decided"
    assert "median +1.150 nats [−9.000, +1.400]" in report.contrast_words(result, "nats")


@pytest.mark.parametrize("direction", [">", "<"])
@pytest.mark.parametrize("side", [1, -1])
def test_one_arm_has_the_right_side(direction, side):
    runs = runs_of(a=side * (1.0 + 0.1 * NOISE))
    verdict = verdict_of(claim_of(alone("a"), direction=direction), runs)
    assert verdict == ("holds" if (direction == ">") == (side > 0) else "does not hold")


def test_one_arm_needs_six_runs_and_may_lie_within_the_margin():
    assert verdict_of(claim_of(alone("a")), runs_of(a=[1.0, 1.1, 1.2, 1.3, 1.4])) == "not decided"
    assert verdict_of(claim_of(alone("a")), runs_of(a=0.01 * NOISE)) == "does not hold"
    result = result_of(claim_of(alone("a")), runs_of(a=0.02 + 0.01 * NOISE))
    assert (result["verdict"], result["reason"]) == ("does not hold", "too small to matter")


def test_a_claim_about_one_arm_does_not_hold_by_the_luck_of_a_few_seeds():
    """Nine runs in ten are a little too good and one fails.

    A t-interval of the lucky six would be clear of 0.
    """
    lucky = 0.5 + 0.1 * NOISE
    assert stats.t_interval(lucky)[0] > 0 and stats.sign_flip_p(lucky) < 0.05
    rng, wrong = np.random.default_rng(0), {"t": 0, "rule": 0}
    for _ in range(200):
        # The null of the rule: half of the runs lie below the threshold, far below it.
        above, below = rng.uniform(size=8) < 0.5, rng.uniform(0, 0.1, 8)
        values = np.where(above, below, -rng.exponential(5.0, 8))
        wrong["rule"] += verdicts.judge(values, ">", 1e-9, about="median").verdict == "holds"
        skewed = np.where(rng.uniform(size=8) < 0.9, rng.normal(0.5, 0.1, 8), -4.5)  # mean 0
        wrong["t"] += verdicts.judge(skewed, ">", 1e-9).verdict == "holds"
    assert wrong["rule"] / 200 < 0.025 and wrong["t"] / 200 > 0.3


def test_the_interval_of_the_median_is_that_of_the_sign_test():
    """Against scipy: thresholds inside it are those that no sign test of 5 % rejects."""
    values = np.random.default_rng(1).normal(size=11)
    low, high = stats.median_interval(values)
    for threshold in np.linspace(-2, 2, 401):
        rejected = scipy.stats.binomtest(int(np.sum(values > threshold)), 11).pvalue < 0.05
        assert rejected != (low <= threshold <= high)
    assert stats.median_interval(values[:5]) == (-math.inf, math.inf)
    successes = int(np.sum(values > 0))
    one_sided = scipy.stats.binomtest(successes, 11, alternative="greater").pvalue
    assert stats.binomial_p(values > 0) == pytest.approx(min(1.0, 2 * one_sided))


def test_equality_holds_by_two_one_sided_tests_and_fails_beyond_the_margin():
    equal = claim_of(difference("a", "b"), direction="=", margin=0.5)

    def judged(centre, spread):
        return verdict_of(equal, runs_of(a=centre + spread * NOISE, b=[0.0] * 6))

    assert judged(0.0, 0.1) == judged(0.2, 0.1) == judged(-0.2, 0.1) == "holds"
    assert judged(1.0, 0.1) == judged(-1.0, 0.1) == "does not hold"
    assert judged(0.0, 1.0) == judged(0.45, 0.1) == judged(0.6, 0.2) == "not decided"
    five = runs_of(a=0.1 * NOISE[:5], b=[0.0] * 5)  # it takes as much evidence as a difference
    at_the_ceiling = runs_of(a=[0.0] * 6, b=[0.0] * 6)  # no evidence
    assert verdict_of(equal, five) == verdict_of(equal, at_the_ceiling) == "not decided"


def test_the_p_of_equality_is_the_larger_of_the_two_tests():
    values = 0.2 + 0.1 * NOISE
    found = verdicts.judge(values, "=", 0.4)
    assert found.verdict == "holds" and found.p == stats.sign_flip_p(0.4 - values) == 2 / 2**6
    assert verdicts.judge(0.1 * NOISE, "=", 0.12).p > 0.05


def test_equality_is_not_shown_by_runs_that_were_cut_off():
    assert verdicts.judge(0.01 * NOISE, "=", 0.5, at_least=True).verdict == "not decided"
    assert verdicts.judge(1 + 0.01 * NOISE, "=", 0.5, at_least=True).verdict == "does not hold"
    assert verdicts.judge(1 + 0.01 * NOISE, "=", 0.5, at_most=True).verdict == "not decided"


def test_a_threshold_is_what_a_contrast_is_measured_from():
    runs = runs_of(a=1.0 + 0.1 * NOISE, b=[0.0] * 6)
    for threshold, verdict in ((0.5, "holds"), (1.5, "does not hold"), (1.0, "not decided")):
        result = result_of(claim_of(difference("a", "b"), threshold=threshold), runs)
        assert result["verdict"] == verdict
        assert result["mean"] == pytest.approx(1.0 - threshold)
    assert verdict_of(claim_of(alone("a"), threshold=1.5, direction="<"), runs) == "holds"


def test_what_is_known_up_to_a_resolution_decides_only_where_it_would_anyway():
    """a is .6 faster; each of the two may be .25 off (decided still), or .35 (not any more)."""
    values = {"a": -0.6 + 0.02 * NOISE, "b": [0.0] * 6}
    faster = claim_of(difference("a", "b"), direction="<")
    exact = result_of(faster, runs_of(**values))
    for resolution, verdict in ((0.25, "holds"), (0.35, "not decided")):
        result = result_of(faster, runs_of(resolution, **values))
        assert result["verdict"] == verdict
        assert result["resolution"] == pytest.approx(2 * resolution)
        assert result["low"] == pytest.approx(exact["low"] - 2 * resolution)
        assert result["high"] == pytest.approx(exact["high"] + 2 * resolution)
    near = {"a": 0.001 * NOISE, "b": [0.0] * 6}
    assert verdict_of(faster, runs_of(0.0, **near)) == "does not hold"
    # They may differ by more than the margin.
    assert verdict_of(faster, runs_of(0.1, **near)) == "not decided"


def test_what_was_not_decided_says_what_would_have_been_seen():
    found = verdicts.judge(NOISE, ">", 0.05)
    spread = np.std(NOISE, ddof=1)
    assert found.verdict == "not decided" and found.seen == pytest.approx(1.8 * spread)
    words = report.contrast_words(found._asdict() | {"in_favour": 3}, "nats")
    assert words.endswith(f"3 of 6 seeds (80 % power at {1.8 * spread:.3f})")
    for unseen in (NOISE[:5], [1.0] * 6):
        assert math.isnan(verdicts.judge(unseen, ">", 0.05).seen)


def test_the_power_of_the_sign_test_is_that_of_the_binomial():
    """Six of six must lie above: q^6 = .8; of eight likewise."""
    for n in (6, 8):
        assert power.median_factor(n) == pytest.approx(scipy.stats.norm.ppf(0.8 ** (1 / n)))


def test_runs_at_a_ceiling_are_no_evidence_of_equality_or_absence():
    """Fifteen of sixteen pairs reach 500 both: the one seed that differs cannot give p < .05."""
    nearly = [0.0] * 15 + [0.1]
    for direction in (">", "<", "="):
        found = verdicts.judge(nearly, direction, 10.0)
        assert (found.verdict, found.reason) == ("not decided", "too few seeds differ")
    six_differ = [0.0] * 5 + list(0.1 * NOISE)
    assert verdicts.judge(six_differ, ">", 10.0).verdict == "does not hold"
    assert verdicts.judge(six_differ, "=", 10.0).verdict == "holds"


def test_a_p_value_never_speaks_for_the_other_side():
    """A resolution that reaches beyond 0 leaves nothing to be shown.

    A sign flip would call the far side significant.
    """
    for sign in (1, -1):
        found = verdicts.judge(sign * (0.1 + 0.02 * NOISE), "<", 0.05, resolution=0.7)
        assert found.p == 1.0 and found.verdict == "not decided"


def test_the_p_of_a_failed_equality_is_that_of_the_test_beyond_the_margin():
    values = 0.5 + 0.1 * NOISE
    found = verdicts.judge(values, "=", 0.2)
    assert found.verdict == "does not hold" and found.p == stats.sign_flip_p(values - 0.2)


def test_power_knows_of_equality_and_of_the_resolution():
    spread = np.std(NOISE, ddof=1)
    equal = verdicts.judge(NOISE, "=", 0.5)
    expected = (scipy.stats.t.ppf(0.975, 5) + scipy.stats.norm.ppf(0.9)) / math.sqrt(6) * spread
    assert equal.verdict == "not decided" and equal.seen == pytest.approx(expected)
    blurred = verdicts.judge(NOISE, ">", 0.05, resolution=0.3)
    assert blurred.seen == pytest.approx(1.8 * spread + 0.3)
