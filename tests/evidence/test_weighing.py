"""Claims are weighed on runs: pairs by seed, what a grid lacks, and what is only a bound."""

import numpy as np
import pytest

from dla_jax.evidence import weighing

RNG = np.random.default_rng(0)
A_MINUS_B = ((1.0, "a"), (-1.0, "b"))


def make_runs(**values):
    """Return runs of {group: {seed: accuracy}}; one at chance, .1, has diverged."""
    return [
        {"group": group, "seed": seed, "test_accuracy": value, "diverged": value == 0.1}
        for group, found in values.items()
        for seed, value in found.items()
    ]


def claim_of(*contrasts, **changes):
    own = {"direction": ">", "value": "test_accuracy", "margin": 0.005, "unit": "points"}
    return {"contrasts": contrasts} | own | changes


def test_contrasts_are_paired_by_seed_whatever_the_order_of_the_runs():
    runs = make_runs(a={0: 0.9, 1: 0.8, 2: 0.7}, b={2: 0.6, 1: 0.75, 0: 0.5, 7: 0.3})
    found = weighing.paired_values(A_MINUS_B, runs[::-1], "test_accuracy")
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
    claim = claim_of(((1.0, "res25"), (-1.0, "res5"), (-1.0, "plain25"), (1.0, "plain5")))
    weighed = weighing.weigh(claim, runs)
    assert weighed["verdict"] == "holds"
    assert weighed["results"][0]["mean"] == pytest.approx(0.02 + 0.26)
    assert weighed["results"][0]["in_favour"] == 8
    assert weighing.weigh(claim | {"direction": "<"}, runs)["verdict"] == "does not hold"


def test_diverged_runs_count_and_the_result_without_them_is_shown():
    runs = make_runs(
        a={s: 0.9 + 0.001 * s for s in range(8)},
        b={s: 0.1 if s < 3 else 0.9 + 0.001 * s for s in range(8)},
    )
    result = weighing.weigh(claim_of(A_MINUS_B), runs)["results"][0]
    assert result["mean"] == pytest.approx((0.8 + 0.801 + 0.802) / 8)
    assert result["without_diverged"]["n"] == 5
    assert result["without_diverged"]["mean"] == pytest.approx(0)


def test_a_claim_about_groups_that_were_not_run_says_so():
    runs = make_runs(a={0: 0.9})
    weighed = weighing.weigh(claim_of(((1.0, "a"), (-1.0, "c"))), runs)
    assert (weighed["verdict"], weighed["missing"], weighed["results"]) == ("not run", ["c"], [])


def test_a_claim_without_a_contrast_was_not_run():
    runs = make_runs(a={seed: 0.9 + 0.001 * seed for seed in range(8)})
    against_itself = ((1.0, "a"), (-1.0, "a"))
    nothing = (*A_MINUS_B, (1.0, "b"), (-1.0, "a"))
    for contrasts in ((), (against_itself,), (nothing,)):
        weighed = weighing.weigh(claim_of(*contrasts), runs)
        assert (weighed["verdict"], weighed["results"]) == ("not run", []) and weighed["missing"]
    partly = weighing.weigh(claim_of(((2.0, "a"), (-1.0, "a")), against_itself), runs)
    assert [result["terms"] for result in partly["results"]] == [[[1.0, "a"]]]


def test_a_claim_about_nets_without_a_seed_in_common_was_not_run():
    runs = make_runs(a={0: 0.9, 1: 0.8}, b={2: 0.7, 3: 0.6})
    weighed = weighing.weigh(claim_of(A_MINUS_B), runs)
    assert weighed["verdict"] == "not run" and weighed["missing"] == ["a seed that a and b share"]


def test_a_contrast_of_accuracies_stays_within_what_accuracies_can_differ_by():
    runs = make_runs(a={0: 1.0, 1: 0.2, 2: 1.0}, b={0: 0.0, 1: 0.9, 2: 0.05})

    def interval(claim):
        result = weighing.weigh(claim, runs)["results"][0]
        return result["low"], result["high"]

    assert interval(claim_of(A_MINUS_B)) == (-1.0, 1.0)
    assert interval(claim_of(((2.0, "a"), (-2.0, "b")))) == (-2.0, 2.0)
    low, high = interval(claim_of(A_MINUS_B, unit="doublings"))
    assert low < -1 and high > 1


def cut_off_runs(**values):
    """Return runs of {group: [(value, whether the run was cut off), ...] of the seeds}."""
    runs = []
    for group, found in values.items():
        for seed, (value, cut) in enumerate(found):
            run = {"group": group, "seed": seed, "steps": value, "censored": ["steps"] * cut}
            runs.append(run | {"diverged": False})
    return runs


FASTER = claim_of(A_MINUS_B, value="steps", unit="doublings", margin=0.1, direction="<")


def verdict_of_cut_off(**values):
    found = weighing.weigh(FASTER, cut_off_runs(**values))
    return found["verdict"], found["results"][0]["reason"]


def test_runs_that_were_cut_off_at_the_budget_are_bounds_and_not_equal():
    never, noise = [(17.0, True)] * 8, [0.001 * seed for seed in range(8)]
    solved = [(15.0 + value, False) for value in noise]  # before the others' budget ended
    late = [(16.999 + value / 10, False) for value in noise]
    at_the_end = [(17.0, False)] * 8
    for a, b, verdict, reason in (
        (never, never, "not decided", "the runs do not vary"),
        (solved, never, "holds", ""),
        (never, solved, "does not hold", ""),
        (late, never, "not decided", "runs were cut off at the budget"),
        (late, at_the_end, "does not hold", "too small to matter"),
    ):
        assert verdict_of_cut_off(a=a, b=b) == (verdict, reason)


def test_budgets_of_other_lengths_are_no_evidence():
    """Nothing was ever solved; the ratio of the budgets must not decide who is faster."""
    longer, shorter = [(17.3, True)] * 8, [(15.0, True)] * 8
    found = verdict_of_cut_off(a=shorter, b=longer)
    assert found == ("not decided", "the runs do not vary")
    vary = [(15.0 + 0.01 * s, True) for s in range(8)]
    assert verdict_of_cut_off(a=vary, b=longer)[0] == "not decided"


def test_a_value_that_is_a_bound_alone_cannot_lie_below_a_threshold():
    runs = cut_off_runs(a=[(-2.0 - 0.01 * s, True) for s in range(8)])
    below = FASTER | {"contrasts": [((1.0, "a"),)]}
    assert weighing.weigh(below, runs)["verdict"] == "not decided"
    for names in ([], ["other"]):
        known = [run | {"censored": names} for run in runs]
        assert weighing.weigh(below, known)["verdict"] == "holds"


def test_without_diverged_runs_their_bounds_do_not_count():
    runs = cut_off_runs(a=[(15.0 + 0.01 * s, s == 0) for s in range(8)], b=[(17.0, False)] * 8)
    runs[0]["diverged"] = True
    result = weighing.weigh(FASTER, runs)["results"][0]
    kept = result["without_diverged"]
    assert result["censored"] and not kept["censored"] and kept["n"] == 7
