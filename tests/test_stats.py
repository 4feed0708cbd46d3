import itertools
import math

import numpy as np
import pytest
from scipy import special
from scipy import stats as scipy_stats

from dla_jax import stats
from dla_jax.experiments import depth_report

RNG = np.random.default_rng(0)


def test_t_interval_equals_scipy():
    values = RNG.normal(1, 2, 9)
    expected = scipy_stats.ttest_1samp(values, 0).confidence_interval(0.95)
    np.testing.assert_allclose(stats.t_interval(values), (expected.low, expected.high))
    assert stats.t_interval([0.3]) == stats.t_interval([0.3, 0.4]) == (-math.inf, math.inf)


def test_an_accuracy_does_not_leave_0_to_100_per_cent():
    assert stats.accuracy_interval([0.93, 0.99, 1.0])[1] == 1.0 < stats.t_interval([0.93, 0.99, 1.0])[1]
    assert stats.accuracy_interval([0.0, 0.01, 0.08])[0] == 0.0
    inner = [0.5, 0.52, 0.51]
    assert stats.accuracy_interval(inner) == stats.t_interval(inner)


@pytest.mark.parametrize("values", [[0.3, -0.1, 0.2, 0.2, 0.0], [1, 2, 3, 4, 5, 6], [-1, 1], RNG.normal(0.4, 1, 9)])
def test_sign_flip_equals_brute_force(values):
    values = np.asarray(values, float)
    flips = np.array(list(itertools.product([1, -1], repeat=len(values))))
    means = np.abs((flips * values).mean(1))
    expected = (means >= abs(values.mean()) - 1e-12).mean()
    assert stats.sign_flip_p(values) == pytest.approx(expected)


@pytest.mark.parametrize("n", [2, 5, 9, 12])
def test_sign_flip_equals_scipy(n):
    for values in (RNG.normal(0.3, 1, n), np.round(RNG.normal(0, 1, n), 1)):  # and with ties
        expected = scipy_stats.permutation_test((values,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
        assert stats.sign_flip_p(values) == pytest.approx(min(1.0, expected))


def test_sign_flip_p_bounds():
    assert stats.sign_flip_p(np.ones(8)) == stats.smallest_p(8) == 2 / 2**8
    assert stats.sign_flip_p(np.zeros(8)) == 1
    assert stats.sign_flip_p([0.5]) == stats.smallest_p(1) == 1
    assert stats.sign_flip_p(np.arange(1.0, 21)) == pytest.approx(stats.smallest_p(20))  # sampled, not 2^20 patterns


def test_holm_rejects_what_the_step_down_procedure_rejects():
    for _ in range(200):
        p = RNG.uniform(0, 0.2, RNG.integers(1, 7))
        alpha = RNG.uniform(0.01, 0.3)
        rejected = set()
        for rank, i in enumerate(np.argsort(p)):  # Holm 1979: stop at the first that is not below alpha / (m - rank)
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
    np.testing.assert_allclose(depth_report.slope(depths, accuracies), expected)


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
        (np.full(8, 0.001), ">", "not decided"),  # the same, on the claimed side and within the margin
        (np.full(8, 0.3), ">", "holds"),
        (paired(0.002, 0.001), ">", "does not hold"),  # there, but too small to matter
        (paired(-0.002, 0.001), ">", "does not hold"),
    ],
)
def test_the_verdict_rule_on_data_with_a_known_effect(differences, direction, verdict):
    assert stats.judge(differences, direction, margin=0.005).verdict == verdict


def test_why_a_claim_was_not_decided_or_does_not_hold_is_said():
    reason = lambda differences, **options: stats.judge(differences, ">", 0.005, **options).reason  # noqa: E731
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
    assert stats.judge(equal - 0.1, ">", 0.005).verdict == "not decided"


@pytest.mark.parametrize(("effect", "at_least", "at_most", "more", "less"), [
    (0.3, True, False, "holds", "does not hold"), (0.3, False, True, "not decided", "not decided"),
    (-0.3, False, True, "does not hold", "holds"), (-0.3, True, False, "not decided", "not decided"),
    (0.3, True, True, "not decided", "not decided"), (0.0, True, False, "not decided", "not decided"),
    (0.0, False, True, "not decided", "not decided"), (0.002, False, True, "not decided", "not decided"),
    (-0.002, False, True, "does not hold", "not decided"),
])  # fmt: skip
def test_differences_that_are_only_bounds_show_one_side_and_no_absence(effect, at_least, at_most, more, less):
    """At least so large: it may lie above 0, and never below; how far it lies is not known."""
    for direction, verdict in ((">", more), ("<", less)):
        found = stats.judge(paired(effect, 0.0005), direction, 0.005, at_least=at_least, at_most=at_most)
        assert found.verdict == verdict and found.censored


def test_presence_and_absence_need_the_same_number_of_seeds():
    """Below six neither can be shown, whatever the spread; from six on both can."""
    for n in range(2, 9):
        verdicts = {stats.judge(paired(effect, 1e-4, n=n), ">", 0.005).verdict for effect in (-0.3, 0.0, 0.3)}
        assert verdicts == ({"not decided"} if n < 6 else {"does not hold", "holds"})


def test_the_t_interval_alone_or_the_sign_flip_alone_does_not_decide():
    outlier = np.array([0.01, 0.011, 0.009, 0.01, 0.01, 0.2])  # all positive, p = 2/2^6, but the interval crosses 0
    assert stats.sign_flip_p(outlier) < 0.05
    assert stats.judge(outlier, ">", 0.005).verdict == "not decided"
    four = np.array([0.1, 0.1, 0.1, 0.11])  # the interval is clear of 0, p = 2/2^4
    assert stats.t_interval(four)[0] > 0
    assert stats.judge(four, ">", 0.005).verdict == "not decided"


def test_the_rule_is_calibrated():
    """Under no effect it must not say "holds" in more than about 2.5 % of studies (one side of 5 %)."""
    rng = np.random.default_rng(1)
    wrong = np.mean([stats.judge(rng.normal(0, 1, 8), ">", 1e-9).verdict == "holds" for _ in range(600)])
    assert wrong < 0.045


@pytest.mark.parametrize(("n", "effect", "holds", "fails"), [
    (2, 0.0, (0, 0), (0, 0)), (5, 2.0, (0, 0), (0, 0)), (6, 0.0, (0, 0.03), (0.15, 0.35)), (6, 2.0, (0.7, 0.95), (0, 0)),
    (8, 0.5, (0.15, 0.35), (0.1, 0.3)), (16, 0.0, (0, 0.01), (0.93, 1)), (16, 2.0, (0.99, 1), (0, 0)),
])  # fmt: skip
def test_how_often_the_rule_says_what(n, effect, holds, fails):
    """The table of docs/verdicts.md, of fewer samples: effects in standard deviations of a difference, margin 1."""
    rng = np.random.default_rng((n, int(10 * effect)))
    found = [stats.judge(rng.normal(effect, 1, n), ">", 1.0).verdict for _ in range(60 if n > 10 else 300)]
    for verdict, (low, high) in (("holds", holds), ("does not hold", fails)):
        assert low <= found.count(verdict) / len(found) <= high, (verdict, found.count(verdict) / len(found))


def test_always_needs_every_contrast():
    assert stats.judge_all([]) == "not run"
    assert stats.judge_all(["holds", "holds"]) == "holds"
    assert stats.judge_all(["holds", "not decided"]) == "not decided"
    assert stats.judge_all(["holds", "not decided", "does not hold"]) == "does not hold"


def make_runs(**values):
    return [
        {"group": group, "seed": seed, "test_accuracy": value, "diverged": value == 0.1}
        for group, found in values.items()
        for seed, value in found.items()
    ]


def test_contrasts_are_paired_by_seed_whatever_the_order_of_the_runs():
    runs = make_runs(a={0: 0.9, 1: 0.8, 2: 0.7}, b={2: 0.6, 1: 0.75, 0: 0.5, 7: 0.3})
    found = stats.paired_values(((1.0, "a"), (-1.0, "b")), runs[::-1], "test_accuracy")
    assert found == pytest.approx({0: 0.4, 1: 0.05, 2: 0.1})


def test_a_difference_of_differences_has_the_right_signs():
    seeds = range(8)
    noise = dict(enumerate(RNG.normal(0, 0.001, 8)))
    runs = make_runs(
        res25={s: 0.97 + noise[s] for s in seeds}, res5=dict.fromkeys(seeds, 0.95),
        plain25=dict.fromkeys(seeds, 0.7), plain5={s: 0.96 - noise[s] for s in seeds},
    )  # fmt: skip
    claim = {
        "contrasts": [((1.0, "res25"), (-1.0, "res5"), (-1.0, "plain25"), (1.0, "plain5"))],
        "direction": ">",
        "value": "test_accuracy",
        "margin": 0.005,
        "unit": "points",
    }
    weighed = stats.weigh(claim, runs)
    assert weighed["verdict"] == "holds"
    assert weighed["results"][0]["mean"] == pytest.approx(0.02 + 0.26)
    assert weighed["results"][0]["in_favour"] == 8
    assert stats.weigh(claim | {"direction": "<"}, runs)["verdict"] == "does not hold"


def test_diverged_runs_count_and_the_result_without_them_is_shown():
    runs = make_runs(a={s: 0.9 + 0.001 * s for s in range(8)}, b={s: 0.1 if s < 3 else 0.9 + 0.001 * s for s in range(8)})
    result = stats.weigh(
        {"contrasts": [((1.0, "a"), (-1.0, "b"))], "direction": ">", "value": "test_accuracy", "margin": 0.005, "unit": "points"},
        runs,
    )["results"][0]
    assert result["mean"] == pytest.approx((0.8 + 0.801 + 0.802) / 8)
    assert result["without_diverged"]["n"] == 5
    assert result["without_diverged"]["mean"] == pytest.approx(0)


def test_a_claim_about_groups_that_were_not_run_says_so():
    runs = make_runs(a={0: 0.9})
    weighed = stats.weigh(
        {"contrasts": [((1.0, "a"), (-1.0, "c"))], "direction": ">", "value": "test_accuracy", "margin": 0.005, "unit": "points"},
        runs,
    )
    assert (weighed["verdict"], weighed["missing"], weighed["results"]) == ("not run", ["c"], [])


def claim_of(*contrasts, **changes):
    return {"contrasts": contrasts, "direction": ">", "value": "test_accuracy", "margin": 0.005, "unit": "points"} | changes


def test_a_claim_without_a_contrast_was_not_run():
    runs = make_runs(a={seed: 0.9 + 0.001 * seed for seed in range(8)})
    for contrasts in ((), (((1.0, "a"), (-1.0, "a")),), (((1.0, "a"), (-1.0, "b"), (1.0, "b"), (-1.0, "a")),)):
        weighed = stats.weigh(claim_of(*contrasts), runs)
        assert (weighed["verdict"], weighed["results"]) == ("not run", []) and weighed["missing"]
    partly = stats.weigh(claim_of(((2.0, "a"), (-1.0, "a")), ((1.0, "a"), (-1.0, "a"))), runs)
    assert [result["terms"] for result in partly["results"]] == [[[1.0, "a"]]]


def test_a_claim_about_nets_without_a_seed_in_common_was_not_run():
    weighed = stats.weigh(claim_of(((1.0, "a"), (-1.0, "b"))), make_runs(a={0: 0.9, 1: 0.8}, b={2: 0.7, 3: 0.6}))
    assert weighed["verdict"] == "not run" and weighed["missing"] == ["a seed that a and b share"]


def test_a_contrast_of_accuracies_stays_within_what_accuracies_can_differ_by():
    runs = make_runs(a={0: 1.0, 1: 0.2, 2: 1.0}, b={0: 0.0, 1: 0.9, 2: 0.05})
    simple = stats.weigh(claim_of(((1.0, "a"), (-1.0, "b"))), runs)["results"][0]
    assert (simple["low"], simple["high"]) == (-1.0, 1.0)
    double = stats.weigh(claim_of(((2.0, "a"), (-2.0, "b"))), runs)["results"][0]
    assert (double["low"], double["high"]) == (-2.0, 2.0)
    other = stats.weigh(claim_of(((1.0, "a"), (-1.0, "b")), unit="doublings"), runs)["results"][0]
    assert other["low"] < -1 and other["high"] > 1


def cut_off_runs(**values):
    """values[group] = [(value, whether the run was cut off), ...] of the seeds."""
    return [{"group": group, "seed": seed, "steps": value, "diverged": False, "censored": ["steps"] * cut}
            for group, found in values.items() for seed, (value, cut) in enumerate(found)]  # fmt: skip


FASTER = claim_of(((1.0, "a"), (-1.0, "b")), value="steps", unit="doublings", margin=0.1, direction="<")


def verdict_of_cut_off(**values):
    found = stats.weigh(FASTER, cut_off_runs(**values))
    return found["verdict"], found["results"][0]["reason"]


def test_runs_that_were_cut_off_at_the_budget_are_bounds_and_not_equal():
    never, noise = [(17.0, True)] * 8, [0.001 * seed for seed in range(8)]
    solved = [(15.0 + value, False) for value in noise]
    late = [(16.999 + value / 10, False) for value in noise]
    assert verdict_of_cut_off(a=never, b=never) == ("not decided", "the runs do not vary")
    assert verdict_of_cut_off(a=solved, b=never) == ("holds", "")  # solved before the others' budget ended
    assert verdict_of_cut_off(a=never, b=solved) == ("does not hold", "")
    assert verdict_of_cut_off(a=late, b=never) == ("not decided", "runs were cut off at the budget")
    assert verdict_of_cut_off(a=late, b=[(17.0, False)] * 8) == ("does not hold", "too small to matter")


def test_budgets_of_other_lengths_are_no_evidence():
    """Nothing was ever solved; the ratio of the budgets must not decide who is faster."""
    assert verdict_of_cut_off(a=[(15.0, True)] * 8, b=[(17.3, True)] * 8) == ("not decided", "the runs do not vary")
    assert verdict_of_cut_off(a=[(15.0 + 0.01 * s, True) for s in range(8)], b=[(17.3, True)] * 8)[0] == "not decided"


def test_a_value_that_is_a_bound_alone_cannot_lie_below_a_threshold():
    runs = cut_off_runs(a=[(-2.0 - 0.01 * s, True) for s in range(8)])
    assert stats.weigh(FASTER | {"contrasts": [((1.0, "a"),)]}, runs)["verdict"] == "not decided"
    assert stats.weigh(FASTER | {"contrasts": [((1.0, "a"),)]}, [run | {"censored": []} for run in runs])["verdict"] == "holds"
    assert (
        stats.weigh(FASTER | {"contrasts": [((1.0, "a"),)]}, [run | {"censored": ["other"]} for run in runs])["verdict"]
        == "holds"
    )


def test_without_diverged_runs_their_bounds_do_not_count():
    runs = cut_off_runs(a=[(15.0 + 0.01 * s, s == 0) for s in range(8)], b=[(17.0, False)] * 8)
    runs[0]["diverged"] = True
    result = stats.weigh(FASTER, runs)["results"][0]
    assert result["censored"] and not result["without_diverged"]["censored"] and result["without_diverged"]["n"] == 7


def test_interquartile_mean_leaves_out_a_quarter_at_each_end():
    assert stats.iqm([0, 1, 2, 3, 4, 5, 6, 1000]) == pytest.approx(np.mean([2, 3, 4, 5]))
    np.testing.assert_allclose(stats.iqm(np.arange(24.0).reshape(8, 3)), [10.5, 11.5, 12.5])


def test_bootstrap_covers_the_mean_about_as_often_as_it_says():
    rng, hits = np.random.default_rng(0), 0
    for _ in range(200):
        low, high = stats.bootstrap([rng.normal(1.0, 2.0, 30)], lambda redrawn: redrawn[0].mean(1), samples=400)
        hits += low < 1.0 < high
    assert 0.88 <= hits / 200 <= 0.98


def test_bootstrap_redraws_within_strata():
    """Two tasks without spread of their own have no interval, however far apart they lie."""
    low, high = stats.iqm_interval([np.full(8, 1.0), np.full(8, 9.0)])
    assert low == high == 5.0
    low, high = stats.iqm_interval([np.array([1.0] * 8 + [9.0] * 8)])
    assert low < 5.0 < high


def test_probability_of_improvement():
    better, low, high = stats.improvement([3, 4, 5, 6], [0, 1, 2, 2])
    assert (better, low, high) == (1.0, 1.0, 1.0)
    assert stats.improvement([1, 1], [1, 1])[0] == 0.5
    p, low, high = stats.improvement([1, 3, 5], [2, 4, 6])
    assert p == pytest.approx(3 / 9) and low < p < high
