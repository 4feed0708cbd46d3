"""What the rule says of data with a known effect, and of claims that a grid lacks something for."""

import math

import numpy as np
import pytest

from dla_jax.evidence import stats, verdicts

RNG = np.random.default_rng(0)


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
        (
            np.full(8, 0.001),
            ">",
            "not decided",
        ),  # the same, on the claimed side and within the margin
        (np.full(8, 0.3), ">", "holds"),
        (paired(0.002, 0.001), ">", "does not hold"),  # there, but too small to matter
        (paired(-0.002, 0.001), ">", "does not hold"),
    ],
)
def test_the_verdict_rule_on_data_with_a_known_effect(differences, direction, verdict):
    assert verdicts.judge(differences, direction, margin=0.005).verdict == verdict


def test_why_a_claim_was_not_decided_or_does_not_hold_is_said():
    reason = lambda differences, **options: (
        verdicts.judge(differences, ">", 0.005, **options).reason
    )
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
    for direction, verdict in ((">", more), ("<", less)):
        found = verdicts.judge(
            paired(effect, 0.0005), direction, 0.005, at_least=at_least, at_most=at_most
        )
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
    outlier = np.array(
        [0.01, 0.011, 0.009, 0.01, 0.01, 0.2]
    )  # all positive, p = 2/2^6, but the interval crosses 0
    assert stats.sign_flip_p(outlier) < 0.05
    assert verdicts.judge(outlier, ">", 0.005).verdict == "not decided"
    four = np.array([0.1, 0.1, 0.1, 0.11])  # the interval is clear of 0, p = 2/2^4
    assert stats.t_interval(four)[0] > 0
    assert verdicts.judge(four, ">", 0.005).verdict == "not decided"


def test_the_rule_is_calibrated():
    """Under no effect it must not say "holds" in more than about 2.5 % of studies (one side of 5 %)."""
    rng = np.random.default_rng(1)
    wrong = np.mean(
        [verdicts.judge(rng.normal(0, 1, 8), ">", 1e-9).verdict == "holds" for _ in range(600)]
    )
    assert wrong < 0.045


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
    """The table of docs/verdicts.md, of fewer samples: effects in standard deviations of a difference, margin 1."""
    rng = np.random.default_rng((n, int(10 * effect)))
    found = [
        verdicts.judge(rng.normal(effect, 1, n), ">", 1.0).verdict
        for _ in range(60 if n > 10 else 300)
    ]
    for verdict, (low, high) in (("holds", holds), ("does not hold", fails)):
        assert low <= found.count(verdict) / len(found) <= high, (
            verdict,
            found.count(verdict) / len(found),
        )


def test_always_needs_every_contrast():
    assert verdicts.judge_all([]) == "not run"
    assert verdicts.judge_all(["holds", "holds"]) == "holds"
    assert verdicts.judge_all(["holds", "not decided"]) == "not decided"
    assert verdicts.judge_all(["holds", "not decided", "does not hold"]) == "does not hold"


def make_runs(**values):
    return [
        {"group": group, "seed": seed, "test_accuracy": value, "diverged": value == 0.1}
        for group, found in values.items()
        for seed, value in found.items()
    ]


def test_contrasts_are_paired_by_seed_whatever_the_order_of_the_runs():
    runs = make_runs(a={0: 0.9, 1: 0.8, 2: 0.7}, b={2: 0.6, 1: 0.75, 0: 0.5, 7: 0.3})
    found = verdicts.paired_values(((1.0, "a"), (-1.0, "b")), runs[::-1], "test_accuracy")
    assert found == pytest.approx({0: 0.4, 1: 0.05, 2: 0.1})


def test_a_difference_of_differences_has_the_right_signs():
    seeds = range(8)
    noise = dict(enumerate(RNG.normal(0, 0.001, 8)))
    runs = make_runs(
        res25={s: 0.97 + noise[s] for s in seeds},
        res5=dict.fromkeys(seeds, 0.95),
        plain25=dict.fromkeys(seeds, 0.7),
        plain5={s: 0.96 - noise[s] for s in seeds},
    )
    claim = {
        "contrasts": [((1.0, "res25"), (-1.0, "res5"), (-1.0, "plain25"), (1.0, "plain5"))],
        "direction": ">",
        "value": "test_accuracy",
        "margin": 0.005,
        "unit": "points",
    }
    weighed = verdicts.weigh(claim, runs)
    assert weighed["verdict"] == "holds"
    assert weighed["results"][0]["mean"] == pytest.approx(0.02 + 0.26)
    assert weighed["results"][0]["in_favour"] == 8
    assert verdicts.weigh(claim | {"direction": "<"}, runs)["verdict"] == "does not hold"


def test_diverged_runs_count_and_the_result_without_them_is_shown():
    runs = make_runs(
        a={s: 0.9 + 0.001 * s for s in range(8)},
        b={s: 0.1 if s < 3 else 0.9 + 0.001 * s for s in range(8)},
    )
    result = verdicts.weigh(
        {
            "contrasts": [((1.0, "a"), (-1.0, "b"))],
            "direction": ">",
            "value": "test_accuracy",
            "margin": 0.005,
            "unit": "points",
        },
        runs,
    )["results"][0]
    assert result["mean"] == pytest.approx((0.8 + 0.801 + 0.802) / 8)
    assert result["without_diverged"]["n"] == 5
    assert result["without_diverged"]["mean"] == pytest.approx(0)


def test_a_claim_about_groups_that_were_not_run_says_so():
    runs = make_runs(a={0: 0.9})
    weighed = verdicts.weigh(
        {
            "contrasts": [((1.0, "a"), (-1.0, "c"))],
            "direction": ">",
            "value": "test_accuracy",
            "margin": 0.005,
            "unit": "points",
        },
        runs,
    )
    assert (weighed["verdict"], weighed["missing"], weighed["results"]) == ("not run", ["c"], [])


def claim_of(*contrasts, **changes):
    return {
        "contrasts": contrasts,
        "direction": ">",
        "value": "test_accuracy",
        "margin": 0.005,
        "unit": "points",
    } | changes


def test_a_claim_without_a_contrast_was_not_run():
    runs = make_runs(a={seed: 0.9 + 0.001 * seed for seed in range(8)})
    for contrasts in (
        (),
        (((1.0, "a"), (-1.0, "a")),),
        (((1.0, "a"), (-1.0, "b"), (1.0, "b"), (-1.0, "a")),),
    ):
        weighed = verdicts.weigh(claim_of(*contrasts), runs)
        assert (weighed["verdict"], weighed["results"]) == ("not run", []) and weighed["missing"]
    partly = verdicts.weigh(claim_of(((2.0, "a"), (-1.0, "a")), ((1.0, "a"), (-1.0, "a"))), runs)
    assert [result["terms"] for result in partly["results"]] == [[[1.0, "a"]]]


def test_a_claim_about_nets_without_a_seed_in_common_was_not_run():
    weighed = verdicts.weigh(
        claim_of(((1.0, "a"), (-1.0, "b"))), make_runs(a={0: 0.9, 1: 0.8}, b={2: 0.7, 3: 0.6})
    )
    assert weighed["verdict"] == "not run" and weighed["missing"] == ["a seed that a and b share"]


def test_a_contrast_of_accuracies_stays_within_what_accuracies_can_differ_by():
    runs = make_runs(a={0: 1.0, 1: 0.2, 2: 1.0}, b={0: 0.0, 1: 0.9, 2: 0.05})
    simple = verdicts.weigh(claim_of(((1.0, "a"), (-1.0, "b"))), runs)["results"][0]
    assert (simple["low"], simple["high"]) == (-1.0, 1.0)
    double = verdicts.weigh(claim_of(((2.0, "a"), (-2.0, "b"))), runs)["results"][0]
    assert (double["low"], double["high"]) == (-2.0, 2.0)
    other = verdicts.weigh(claim_of(((1.0, "a"), (-1.0, "b")), unit="doublings"), runs)["results"][
        0
    ]
    assert other["low"] < -1 and other["high"] > 1


def cut_off_runs(**values):
    """values[group] = [(value, whether the run was cut off), ...] of the seeds."""
    return [
        {
            "group": group,
            "seed": seed,
            "steps": value,
            "diverged": False,
            "censored": ["steps"] * cut,
        }
        for group, found in values.items()
        for seed, (value, cut) in enumerate(found)
    ]


FASTER = claim_of(
    ((1.0, "a"), (-1.0, "b")), value="steps", unit="doublings", margin=0.1, direction="<"
)


def verdict_of_cut_off(**values):
    found = verdicts.weigh(FASTER, cut_off_runs(**values))
    return found["verdict"], found["results"][0]["reason"]


def test_runs_that_were_cut_off_at_the_budget_are_bounds_and_not_equal():
    never, noise = [(17.0, True)] * 8, [0.001 * seed for seed in range(8)]
    solved = [(15.0 + value, False) for value in noise]
    late = [(16.999 + value / 10, False) for value in noise]
    assert verdict_of_cut_off(a=never, b=never) == ("not decided", "the runs do not vary")
    assert verdict_of_cut_off(a=solved, b=never) == (
        "holds",
        "",
    )  # solved before the others' budget ended
    assert verdict_of_cut_off(a=never, b=solved) == ("does not hold", "")
    assert verdict_of_cut_off(a=late, b=never) == ("not decided", "runs were cut off at the budget")
    assert verdict_of_cut_off(a=late, b=[(17.0, False)] * 8) == (
        "does not hold",
        "too small to matter",
    )


def test_budgets_of_other_lengths_are_no_evidence():
    """Nothing was ever solved; the ratio of the budgets must not decide who is faster."""
    assert verdict_of_cut_off(a=[(15.0, True)] * 8, b=[(17.3, True)] * 8) == (
        "not decided",
        "the runs do not vary",
    )
    assert (
        verdict_of_cut_off(a=[(15.0 + 0.01 * s, True) for s in range(8)], b=[(17.3, True)] * 8)[0]
        == "not decided"
    )


def test_a_value_that_is_a_bound_alone_cannot_lie_below_a_threshold():
    runs = cut_off_runs(a=[(-2.0 - 0.01 * s, True) for s in range(8)])
    assert verdicts.weigh(FASTER | {"contrasts": [((1.0, "a"),)]}, runs)["verdict"] == "not decided"
    assert (
        verdicts.weigh(
            FASTER | {"contrasts": [((1.0, "a"),)]}, [run | {"censored": []} for run in runs]
        )["verdict"]
        == "holds"
    )
    assert (
        verdicts.weigh(
            FASTER | {"contrasts": [((1.0, "a"),)]}, [run | {"censored": ["other"]} for run in runs]
        )["verdict"]
        == "holds"
    )


def test_without_diverged_runs_their_bounds_do_not_count():
    runs = cut_off_runs(a=[(15.0 + 0.01 * s, s == 0) for s in range(8)], b=[(17.0, False)] * 8)
    runs[0]["diverged"] = True
    result = verdicts.weigh(FASTER, runs)["results"][0]
    assert (
        result["censored"]
        and not result["without_diverged"]["censored"]
        and result["without_diverged"]["n"] == 7
    )
