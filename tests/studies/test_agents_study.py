"""The study of agents: interrupted or not it ends alike; its summary, its verdicts, its remarks."""

import json
import shutil

import jax
import numpy as np
import pytest
from launching import launch, num_rows, start, wait_until
from made_up_agents import last_row, recorded, summarised
from records import models_of, rows_of

from configs import ppo
from dla_jax.studies.agents.report import nothing_to_learn, undrawn_environments, undrawn_words
from dla_jax.trials.arms import Trial

SMOKE = "--config=configs/agents.py:smoke"


def assert_same_study(workdir, expected):
    assert rows_of(workdir) == rows_of(expected)
    ours, theirs = models_of(workdir), models_of(expected)
    assert ours.keys() == theirs.keys() and len(ours) == 6
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


@pytest.fixture(scope="module")
def uninterrupted(smoke):
    return smoke("agents")[0]


def test_killed_and_asked_to_stop_it_comes_to_the_same_bits(uninterrupted, tmp_path):
    # Killed while REINFORCE learns, asked to stop while DQN does, then one call at a time, and
    # without a checkpoint.
    workdir = tmp_path / "run"
    shutil.copytree(uninterrupted.parent / "killed", workdir)
    final = workdir / "checkpoints" / "final"
    assert list((final / "reinforce").rglob("training/*")) and not num_rows(workdir, "final/dqn")
    process = start(SMOKE, f"--workdir={workdir}", "--config.cells_at_a_time=2", warm=True)
    is_learning = lambda: num_rows(workdir, "final/dqn") >= 4  # of 24
    wait_until(lambda: process.poll() is not None or is_learning(), seconds=120)
    assert process.poll() is None, "finished before it was stopped"
    process.terminate()
    process.communicate()
    assert process.returncode == 143 and list((final / "dqn").rglob("training/*"))
    other = ("--config.cells_at_a_time=1", "--config.checkpoint_every_evaluations=0")
    answer = launch(SMOKE, f"--workdir={workdir}", *other)
    assert answer.code == 0 and "done before" in answer.err, answer.err
    assert_same_study(workdir, uninterrupted)


def test_the_summary_names_every_run_and_the_rate_that_was_chosen(uninterrupted):
    summary = json.loads((uninterrupted / "summary.json").read_text())
    groups = [run["group"] for run in summary["runs"]]
    assert groups == ["reinforce"] * 2 + ["dqn"] * 2 + ["ppo"] * 2
    assert {row["group"] for row in summary["selection"]} == {"ppo"}
    (chosen,) = [row["lr"] for row in summary["selection"] if row["chosen"]]
    assert {run["lr"] for run in summary["runs"] if run["group"] == "ppo"} == {chosen}
    names = {Trial("final", run["group"], run["seed"], 0.0).name for run in summary["runs"]}
    assert names <= set(rows_of(uninterrupted))


def test_the_summary_says_what_the_evaluations_come_to(uninterrupted):
    summary = json.loads((uninterrupted / "summary.json").read_text())
    for run in summary["runs"]:
        rows = rows_of(uninterrupted)[f"final/{run['group']}/seed{run['seed']}"][:-1]
        keys = ("step", "env_steps", "eval_return")
        due, taken, returns = ([row[name] for row in rows] for name in keys)
        assert (due[1:] == taken[1:]) == (run["group"] != "reinforce")
        first = next((n for n, value in enumerate(returns) if value >= 29.0), None)
        assert run["solved_at"] == (None if first is None else taken[first])
        assert first in (None, 0) or run["solved_after"] == taken[first - 1] < run["solved_at"]
        mean = np.mean(np.interp(due[1:], taken, returns))
        assert run["mean_return"] == pytest.approx(mean)
        torsos, outputs = (1, 2) if run["group"] == "dqn" else (2, 3)
        assert run["num_params"] == (4 + 1) * 16 * torsos + 17 * outputs


def done_rows(config, **values):
    """Return the last rows of a made-up study: values[arm] = (solved_at, return) of each seed."""
    scores = ("eval_return", "late_return", "mean_return", "last_return")
    return [
        last_row(
            arm,
            seed,
            solved_at=solved,
            log2_solved=float(np.log2(solved or config.total_steps)),
            random_return=20.0,
            **dict.fromkeys(scores, value),
        )
        for arm, runs in values.items()
        for seed, (solved, value) in enumerate(runs)
    ]


def verdicts_of(config, **values):
    summary = summarised(config, done_rows(config, **values)).summary
    found = {
        claim["name"]: (claim["verdict"], claim["results"][0]["reason"])
        for claim in summary["claims"]
    }
    return found, summary


def test_runs_that_never_solve_it_are_no_evidence_that_arms_are_alike():
    config = ppo.get_config("cartpole")
    never = [(None, 20.0)] * 16
    found, summary = verdicts_of(config, ppo=never, ppo_limit_is_end=never)
    assert set(found.values()) == {("not decided", "the runs do not vary")}
    assert all(run["censored"] == ["log2_solved"] for run in summary["runs"])
    nearly = [(config.total_steps - 1, 20.0)] * 8 + never[:8]
    found, _ = verdicts_of(config, ppo=nearly, ppo_limit_is_end=never)
    assert found["b_bootstrap_is_faster"] == ("not decided", "runs were cut off at the budget")
    solved = [(100_000 + seed, 500.0 + seed / 100) for seed in range(16)]
    other = [(100_000 - seed, 500.0 - seed / 100) for seed in range(16)]
    found, _ = verdicts_of(config, ppo=solved, ppo_limit_is_end=other)
    # Slower, and hardly better.
    expected = {("does not hold", ""), ("does not hold", "too small to matter")}
    assert set(found.values()) == expected


def test_two_seeds_that_solve_nothing_decide_nothing():
    never = [(None, -900.0)] * 2
    found, _ = verdicts_of(ppo.get_config("smoke"), ppo=never, ppo_limit_is_end=never)
    assert set(found.values()) == {("not decided", "too few seeds")}


def test_an_environment_in_which_every_episode_returns_the_same_is_named():
    config = ppo.get_config("cartpole")
    rows = done_rows(config, ppo=[(None, 20.0)] * 3, ppo_limit_is_end=[(None, 21.0)] * 3)
    (line,) = nothing_to_learn(summarised(config, rows))
    assert line.startswith("ppo: every episode has return 20") and "nothing to learn" in line


def test_an_environment_without_a_picture_is_named():
    config = ppo.get_config("cartpole")
    assert undrawn_environments(recorded(config, [])) == []
    config.env.name = "Reacher-misc"
    assert undrawn_environments(recorded(config, [])) == ["Reacher-misc"]
    assert "No episode of Reacher-misc is drawn" in undrawn_words(["Reacher-misc"])
