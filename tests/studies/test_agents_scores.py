"""What a run's evaluations come to: steps taken, when it was solved, curves on one grid."""

import numpy as np
import pytest
from made_up_agents import last_row, recorded, summarised

from configs import agents, dqn, ppo, reinforce
from dla_jax.studies.agents.figures import curve_of, panels_of
from dla_jax.studies.agents.levels import scored
from dla_jax.studies.agents.report import steps_words
from dla_jax.studies.agents.scores import on_grid, result_of, solved
from dla_jax.studies.agents.study import STUDY
from dla_jax.trials.arms import own_config

SCORES = {"eval_return": 80.0, "last_return": 40.0, "random_return": 9.0}


def row(step, env_steps, eval_return):
    return {
        "step": step,
        "env_steps": env_steps,
        "eval_return": eval_return,
        "env_steps_per_s": 100.0,
        "finite": True,
    }


def evaluations(*found):
    """Return rows of (step of the budget, environment steps, return)."""
    return [row(*each) for each in found]


def config_of(**changes):
    config = agents.get_config("smoke")
    config.update({"total_steps": 400} | changes)
    return config


# Evaluated once an update has reached 100, 200, ..., as REINFORCE is; the last update did not fit
# any more.
LATE = evaluations((0, 0, 9), (100, 140, 20), (200, 260, 80), (300, 310, 80), (400, 310, 40))
EXACT = evaluations((0, 0, 9), (100, 100, 20), (200, 200, 80), (300, 300, 80), (400, 400, 40))


def test_solved_counts_the_steps_that_were_taken():
    found = result_of(config_of(solved_return=75.0), LATE, SCORES, first_update=30)
    assert (found["solved_after"], found["solved_at"]) == (140, 260)
    assert (found["best_step"], found["env_steps"]) == (310, 310)


@pytest.mark.parametrize(
    ("threshold", "after", "at", "low", "high"),
    [
        (75, 140, 260, 140, 260),
        (15, 0, 140, 30, 140),  # between the first update and the first evaluation
        (5, 0, 0, 30, 30),  # before anything was learned
    ],
)
def test_when_it_was_solved_is_the_middle_of_what_is_possible(threshold, after, at, low, high):
    found = solved(LATE, threshold, first_update=30, budget=400)
    assert (found["solved_after"], found["solved_at"]) == (after, at)
    assert found["log2_solved"] == pytest.approx(np.log2(np.sqrt(low * high)))
    assert found["resolution"]["log2_solved"] == pytest.approx(np.log2(np.sqrt(high / low)))


def test_two_evaluations_of_one_policy_leave_the_interval_before_them():
    rows = evaluations((0, 0, 9), (100, 140, 20), (200, 260, 70), (300, 260, 80))
    found = solved(rows, 75, first_update=30, budget=400)
    assert (found["solved_after"], found["solved_at"]) == (140, 260)


def test_a_run_that_is_never_solved_has_its_budget_as_a_bound():
    never = solved(LATE, 99, first_update=30, budget=400)
    assert never["solved_at"] is None and never["solved_after"] is None
    assert never["log2_solved"] == np.log2(400) and never["resolution"] == {"log2_solved": 0.0}
    assert solved(LATE, None, first_update=30, budget=400)["log2_solved"] is None


def test_the_mean_over_training_is_the_area_in_steps_that_were_taken():
    late, exact = (result_of(config_of(), rows, SCORES, first_update=30) for rows in (LATE, EXACT))
    assert exact["mean_return"] == np.mean([20, 80, 80, 40])
    assert exact["late_return"] == np.mean([80, 40])
    at = [9 + 100 / 140 * 11, 20 + 60 / 120 * 60, 80 - 0 / 50, 40]  # at 100, 200, 300 and 400 steps
    assert late["mean_return"] == pytest.approx(np.mean(at))
    assert late["late_return"] == pytest.approx(np.mean(at[2:]))
    # Evaluated later than it was due, a run is not taken for a faster one.
    assert late["mean_return"] < exact["mean_return"]


def test_a_run_that_diverged_counts_as_chance():
    rows = [dict(each) for each in EXACT]
    rows[3]["finite"] = False
    broken = result_of(config_of(solved_return=75.0), rows, SCORES, first_update=30)
    assert broken["diverged_at"] == 300
    assert broken["eval_return"] == broken["mean_return"] == broken["late_return"] == 9.0
    assert not result_of(config_of(), EXACT, SCORES, first_update=30)["diverged"]


def test_a_stretch_without_an_update_does_not_slow_a_run_down():
    rows = [dict(each) for each in LATE]
    rows[-1]["env_steps_per_s"] = 0.0
    assert result_of(config_of(), rows, SCORES, first_update=30)["env_steps_per_s"] == 100.0


def test_values_between_rows_lie_on_the_line_between_them():
    np.testing.assert_allclose(
        on_grid(LATE, [0, 70, 140, 200, 305, 310, 400], "eval_return"),
        [9, 14.5, 20, 50, 80, 40, 40],
    )
    np.testing.assert_array_equal(
        on_grid(EXACT, [0, 100, 200, 300, 400], "eval_return"), [9, 20, 80, 80, 40]
    )
    silent = [each | {"eval_return": None} if each["step"] == 200 else each for each in EXACT]
    np.testing.assert_array_equal(
        on_grid(silent, [0, 100, 150, 200, 250, 300], "eval_return"), [9, 20, *[np.nan] * 3, 80]
    )


def test_the_curve_of_an_arm_is_of_runs_at_the_same_steps():
    config = agents.get_config("cartpole")
    config.arms.reinforce.seeds = (0, 1, 2)
    other = evaluations((0, 0, 30), (100, 100, 20), (200, 299, 50), (300, 301, 80), (400, 396, 60))
    runs = [LATE, EXACT, other]
    rows = [
        each | {"run": f"final/reinforce/seed{seed}"}
        for seed, run in enumerate(runs)
        for each in run
    ]
    rows.append({"run": "final/reinforce/seed0", "done": True, "step": 400})
    found = curve_of(recorded(config, rows), "reinforce")
    grid = [0, 100, 200, 300, 400]
    at = [
        np.interp(grid, [each["env_steps"] for each in run], [each["eval_return"] for each in run])
        for run in runs
    ]
    assert found["step"] == grid
    np.testing.assert_allclose(found["iqm"], np.mean(at, 0))  # of three runs all
    assert (found["low"] >= 0).all() and (found["high"] <= 500).all()
    assert (found["low"] < found["iqm"]).all()
    assert found["seeds"][2] == ([0, 100, 299, 301, 396], [30, 20, 50, 80, 60])


def between(config, arm, seed, after, at, **values):
    """Return the last row of a made-up run that is solved between two evaluations."""
    found = evaluations((after, after, 0), (at, at, 500))
    known = solved(found, 475.0, first_update=512, budget=config.total_steps)
    scores = ("eval_return", "late_return", "mean_return", "last_return")
    values = dict.fromkeys(scores, 500.0) | {"random_return": 20.0} | known | values
    return last_row(arm, seed, **values)


def faster(config, rows):
    """Return what is found of the claim that bootstrapping solves it in fewer steps."""
    claims = summarised(config, rows).summary["claims"]
    return next(each for each in claims if each["name"] == "b_bootstrap_is_faster")


def test_a_difference_of_one_evaluation_is_not_decided_by_taking_it_for_exact():
    config, rng = ppo.get_config("cartpole"), np.random.default_rng(0)
    # One arm is solved between 10,000 and 20,000 steps, the other between 20,000 and 30,000: they
    # may lie next to each other.
    rows = []
    for seed in range(16):
        shift = int(rng.integers(200))
        rows.append(between(config, "ppo", seed, 10_000 + shift, 20_000 + shift))
        rows.append(between(config, "ppo_limit_is_end", seed, 20_000, 30_000))
    exact = [each | {"resolution": {}} for each in rows]
    assert faster(config, exact)["verdict"] == "holds"
    widened = faster(config, rows)
    assert widened["verdict"] == "not decided"
    (result,) = widened["results"]
    # As far apart as they can be, and as close.
    assert result["low"] < np.log2(10_200 / 30_000) and result["high"] > 0
    far = [
        each | {"log2_solved": each["log2_solved"] - 2} if each["group"] == "ppo" else each
        for each in rows
    ]
    assert faster(config, far)["verdict"] == "holds"


def test_steps_to_solve_are_told_as_the_interval_they_are_known_to_lie_in():
    config = ppo.get_config("cartpole")
    known = ((5_000, 10_000), (20_000, 25_000), (10_000, 15_000))
    runs = [between(config, "ppo", seed, *found) for seed, found in enumerate(known)]

    def words(runs):
        return steps_words(recorded(config, [])._replace(summary={"runs": runs}), "ppo")

    assert words(runs) == "10,000 to 15,000"
    never = solved(EXACT, 500, first_update=512, budget=config.total_steps)
    assert words([*runs, *[each | never for each in runs]]) == "> 500,000"
    # A record from before the steps after which it was solved were known.
    old = [{"group": "ppo", "solved_at": each["solved_at"]} for each in runs]
    assert words(old) == "15,000"


def test_animations_say_how_many_steps_were_taken():
    config = agents.get_config("cartpole")
    watched = {"obs": [[0.0] * 4] * 3, "length": 3, "return": 3.0}
    rows = [row(200, 260, 80) | {"run": "final/reinforce/seed0", "watched": watched}]
    panels = panels_of(recorded(config, rows), "reinforce")
    assert [panel["title"] for panel in panels] == ["260 steps"]


def test_intervals_end_where_no_return_can_lie():
    config = ppo.get_config("cartpole")
    rows = [
        between(config, "ppo", seed, 10_000, 20_000, eval_return=value)
        for seed, value in enumerate((499.0, 500.0, 440.0))
    ]

    def interval():
        study = recorded(config, [])._replace(summary={"runs": rows})
        return scored(study, "ppo", "eval_return")

    found = interval()
    assert found["high"] == 500.0 and found["low"] < 440
    config.env.name = "Reacher-misc"  # of which no bounds are known
    assert interval()["high"] > 500


def test_the_rate_is_that_of_the_better_training():
    def score(*means):
        return STUDY.tuning.score([{"late_return": 500, "mean_return": mean} for mean in means])

    assert score(100, 400) > score(200, 200)


@pytest.mark.parametrize(
    ("module", "preset"),
    [
        (agents, "cartpole"),
        (agents, "budgets"),
        (ppo, "cartpole"),
        (dqn, "targets"),
        (dqn, "gamma"),
        (dqn, "extras"),
        (reinforce, "temperature"),
        (reinforce, "baselines"),
        (reinforce, "gamma"),
    ],
)
def test_enough_seeds_choose_among_enough_rates(module, preset):
    config = module.get_config(preset)
    assert len(config.select_seeds) == 4
    for own in (own_config(config, arm) for arm in config.arms):
        assert own.optim.lr is None and 3 <= len(own.lrs) <= 5
        assert config.solved_return is None or own.total_steps / own.num_evaluations == 5000
