"""Intervals, exact tests and effect sizes equal scipy's, brute force, or sums by hand."""

import itertools
import math

import numpy as np
import pytest
from scipy import special
from scipy import stats as scipy_stats

from dla_jax.evidence import stats
from dla_jax.studies.depth.report import slope

RNG = np.random.default_rng(0)


def test_t_interval_equals_scipy():
    values = RNG.normal(1, 2, 9)
    expected = scipy_stats.ttest_1samp(values, 0).confidence_interval(0.95)
    np.testing.assert_allclose(stats.t_interval(values), (expected.low, expected.high))
    assert stats.t_interval([0.3]) == stats.t_interval([0.3, 0.4]) == (-math.inf, math.inf)


def test_an_accuracy_does_not_leave_0_to_100_per_cent():
    high = [0.93, 0.99, 1.0]
    assert stats.accuracy_interval(high)[1] == 1.0 < stats.t_interval(high)[1]
    assert stats.accuracy_interval([0.0, 0.01, 0.08])[0] == 0.0
    inner = [0.5, 0.52, 0.51]
    assert stats.accuracy_interval(inner) == stats.t_interval(inner)


@pytest.mark.parametrize(("successes", "n"), [(0, 5), (7, 10), (330, 360), (20, 20)])
def test_proportion_interval_equals_wilsons_formula(successes, n):
    p, z = successes / n, scipy_stats.norm.ppf(0.975)
    half = z * math.sqrt(p * (1 - p) / n + (z / (2 * n)) ** 2)
    low, high = ((p + z**2 / (2 * n) + sign * half) / (1 + z**2 / n) for sign in (-1, 1))
    assert stats.proportion_interval(successes, n) == pytest.approx((low, high), abs=1e-12)


@pytest.mark.parametrize(
    "values", [[0.3, -0.1, 0.2, 0.2, 0.0], [1, 2, 3, 4, 5, 6], [-1, 1], RNG.normal(0.4, 1, 9)]
)
def test_sign_flip_equals_brute_force(values):
    values = np.asarray(values, float)
    flips = np.array(list(itertools.product([1, -1], repeat=len(values))))
    means = np.abs((flips * values).mean(1))
    expected = (means >= abs(values.mean()) - 1e-12).mean()
    assert stats.sign_flip_p(values) == pytest.approx(expected)


@pytest.mark.parametrize("n", [2, 5, 9, 12])
def test_sign_flip_equals_scipy(n):
    for values in (RNG.normal(0.3, 1, n), np.round(RNG.normal(0, 1, n), 1)):  # and with ties
        exact = {"permutation_type": "samples", "n_resamples": np.inf}
        expected = scipy_stats.permutation_test((values,), np.mean, **exact).pvalue
        assert stats.sign_flip_p(values) == pytest.approx(min(1.0, expected))


@pytest.mark.parametrize("n", [17, 24])
def test_sampled_sign_flips_are_those_of_scipy(n):
    for values in (RNG.normal(0.3, 1, n), np.round(RNG.normal(-0.1, 1, n), 1)):  # and with ties
        drawn = {"permutation_type": "samples", "vectorized": True, "n_resamples": stats.SAMPLES}

        def mean(x, axis):
            return np.mean(x, axis=axis)

        expected = scipy_stats.permutation_test(
            (values,), mean, rng=np.random.default_rng(0), **drawn
        ).pvalue
        assert stats.sign_flip_p(values) == pytest.approx(expected, abs=1e-12)


def test_sign_flip_p_bounds():
    assert stats.sign_flip_p(np.ones(8)) == stats.smallest_p(8) == 2 / 2**8
    assert stats.sign_flip_p(np.zeros(8)) == 1
    assert stats.sign_flip_p([0.5]) == stats.smallest_p(1) == 1
    sampled = stats.sign_flip_p(np.arange(1.0, 21))  # not by 2^20 patterns
    assert sampled == pytest.approx(stats.smallest_p(20))


def test_holm_rejects_what_the_step_down_procedure_rejects():
    for _ in range(200):
        p = RNG.uniform(0, 0.2, RNG.integers(1, 7))
        alpha = RNG.uniform(0.01, 0.3)
        rejected = set()
        # Holm 1979: stop at the first that is not below alpha / (m - rank).
        for rank, i in enumerate(np.argsort(p)):
            if p[i] > alpha / (len(p) - rank):
                break
            rejected.add(i)
        assert set(np.flatnonzero(stats.holm(p) <= alpha)) == rejected


def test_hedges_g_is_unbiased_and_equals_its_closed_form():
    values = RNG.normal(1, 1, 7)
    df = 6
    correction = special.gamma(df / 2) / (math.sqrt(df / 2) * special.gamma((df - 1) / 2))
    assert stats.hedges_g(values) == pytest.approx(correction * values.mean() / values.std(ddof=1))
    samples = RNG.normal(0.8, 1, (4000, 5))
    assert np.mean([stats.hedges_g(sample) for sample in samples]) == pytest.approx(0.8, abs=0.03)
    assert math.isnan(stats.hedges_g([0.1, 0.1, 0.1])) and math.isnan(stats.hedges_g([0.1, 0.2]))


def test_superiority_equals_a_double_loop():
    a, b = RNG.integers(0, 5, 8), RNG.integers(0, 5, 6)
    expected = np.mean([(x > y) + 0.5 * (x == y) for x in a for y in b])
    assert stats.superiority(a, b) == pytest.approx(expected)


def test_slope_equals_polyfit():
    depths, accuracies = [5, 10, 20, 25], RNG.uniform(0, 1, (3, 4))
    expected = np.polyfit(np.log2(depths), accuracies.T, 1)[0]
    np.testing.assert_allclose(slope(depths, accuracies), expected)


def test_interquartile_mean_leaves_out_a_quarter_at_each_end():
    assert stats.iqm([0, 1, 2, 3, 4, 5, 6, 1000]) == pytest.approx(np.mean([2, 3, 4, 5]))
    np.testing.assert_allclose(stats.iqm(np.arange(24.0).reshape(8, 3)), [10.5, 11.5, 12.5])


def test_the_interval_of_the_interquartile_mean_by_hand():
    """Of eight values four are kept; two at each end count as the nearest of them.

    Tukey and McLaughlin 1963.
    """
    values = np.array([5.5, 1.5, 2.0, 5.8, 3.0, 5.0, 1.0, 4.0])  # sorted: 1 1.5 | 2 3 4 5 | 5.5 5.8
    winsorised = np.array([2.0, 2.0, 2.0, 3.0, 4.0, 5.0, 5.0, 5.0])
    error = np.sqrt(np.sum((winsorised - winsorised.mean()) ** 2) / (4 * 3))
    low, high = stats.iqm_interval(values)
    half = scipy_stats.t.ppf(0.975, 3) * error
    np.testing.assert_allclose((low, high), (3.5 - half, 3.5 + half))
    both = stats.iqm_interval(np.stack([values, 2 * values], axis=1))
    np.testing.assert_allclose(both, [[low, 2 * low], [high, 2 * high]])
    assert stats.iqm_interval([1.0, 2.0]) == (-np.inf, np.inf)
    whole = [1.0, 2.0, 4.0]  # nothing is cut
    np.testing.assert_allclose(stats.iqm_interval(whole), stats.t_interval(whole))


def test_what_the_interquartile_mean_cuts_away_still_widens_its_interval():
    """One run in eight fails: the middle half do not vary, the mean does."""
    values = [0.0] + [500.0] * 7
    half = np.diff(stats.t_interval(values))[0] / 2
    np.testing.assert_allclose(stats.iqm_interval(values), (500 - half, 500 + half))


def test_probability_of_improvement():
    better, low, high = stats.improvement([3, 4, 5, 6], [0, 1, 2, 2])
    # Four and four runs do not show that it is certain.
    assert better == high == 1.0 and 0.5 < low < 0.7
    worse = stats.improvement([0, 1, 2, 2], [3, 4, 5, 6])
    np.testing.assert_allclose(worse, (0.0, 0.0, 1 - low))
    assert stats.improvement([1, 1], [1, 1])[0] == 0.5
    p, low, high = stats.improvement([1, 3, 5], [2, 4, 6])
    assert p == pytest.approx(3 / 9) and low < p < high


def test_the_interval_over_clusters_covers_where_that_of_single_answers_does_not():
    """Answers of a cluster are alike, so that questions say less than their number seems to."""
    rng, covered, narrow = np.random.default_rng(0), 0, 0
    for _ in range(60):
        count = rng.integers(3, 8, 40)
        right = np.where(rng.random(40) < 0.4, count, 0)  # all of a cluster, or none
        low, high = stats.cluster_interval(right, count)
        covered += low <= 0.4 <= high
        half = 1.96 * np.sqrt(0.24 / count.sum())
        narrow += abs(right.sum() / count.sum() - 0.4) <= half
    assert covered >= 53 and narrow < 45


def test_the_interval_over_clusters_by_another_library():
    rng = np.random.default_rng(1)
    count = rng.integers(1, 6, 30)
    right = rng.binomial(count, 0.5)
    found = stats.cluster_interval(right, count)

    def ratio(i, axis=-1):
        return right[i].sum(axis) / count[i].sum(axis)

    other = scipy_stats.bootstrap(
        (np.arange(30),), ratio, method="percentile", n_resamples=4000, rng=rng
    ).confidence_interval
    np.testing.assert_allclose(found, other, atol=0.01)
    assert stats.cluster_interval([1, 1], [1, 2]) == (-np.inf, np.inf)
