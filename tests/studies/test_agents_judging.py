"""Runs are judged on gymnasium's environment when they end: which, by what, once."""

from types import SimpleNamespace

import numpy as np
import pytest
from records import rows_of

import dla_jax
from configs import agents
from dla_jax.config.stop import stop_requested
from dla_jax.evidence.rows import read_record
from dla_jax.rl import judge
from dla_jax.studies import running
from dla_jax.studies.agents import training
from dla_jax.studies.agents.judging import VALUES, judged
from dla_jax.training.record import Record
from dla_jax.trials.lease import Lost

SMALL = {
    "env.name": "CartPole-v1",
    "env.judge": "CartPole-v1",
    "runs_at_once": 4,  # tests have four devices
    "seeds": (0, 1),
    "lrs": (1e-3, 3e-3),
    "total_steps": 512,
    "eval_episodes": 6,  # as many as test episodes: one program
    "agent.normalise_obs": True,
    "agent.normalise_reward": False,
}


def small(workdir, **changes):
    return dla_jax.run("configs/ppo.py:smoke", workdir, quiet=True, **SMALL | changes)


def program_of(act):
    """Return what judging reads of a program whose policies act so on CartPole."""
    config = agents.get_config("smoke")
    config.env.judge = "CartPole-v1"
    agent, env = SimpleNamespace(act=act), SimpleNamespace(max_steps=30)
    return SimpleNamespace(config=config, agent=agent, env=env)


def test_the_best_and_the_last_policy_of_a_run_are_played():
    """One holds the pole for 30 steps, the other lets it fall."""
    act = lambda actor, obs: (obs @ actor > 0).astype(int)
    holds, lets = np.float32([1.0, 0.3, 4.0, 1.0]), np.float32([0.0, 0.0, -1.0, 0.0])
    found = judged(program_of(act), (holds, lets), seed=3, diverged=False)
    assert found["judged_return"] == 30 and found["judged_last_return"] < 15
    chance = judge.random_return("CartPole-v1", 3, 6, max_steps=30)
    assert found["judged_random"] == chance and 10 < chance < 30


def test_a_run_that_diverged_is_worth_actions_at_random():
    chance = judge.random_return("CartPole-v1", 3, 6, max_steps=30)
    assert judged(program_of(None), (), 3, diverged=True) == dict.fromkeys(VALUES, chance)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return small(tmp_path_factory.mktemp("judged") / "run").workdir


@pytest.mark.slow
def test_final_runs_are_judged_and_no_others(uninterrupted):
    done = [row for row in read_record(uninterrupted) if row.get("done")]
    final = [row for row in done if row["stage"] == "final"]
    assert len(final) == 4 and len(done) == 8
    for row in final:
        # the same game there: poles fall about as soon, and none stands longer than 30 steps
        assert all(8 <= row[key] <= 30 for key in VALUES)
        assert row["judged_random"] == judge.random_return(
            "CartPole-v1", row["seed"], 6, max_steps=30
        )
    by_seed = {row["seed"]: row["judged_random"] for row in final}
    assert len(set(by_seed.values())) == 2  # episodes of a seed are those of every arm
    assert not any(key in row for row in done if row["stage"] == "select" for key in VALUES)


@pytest.mark.slow
def test_a_run_whose_judging_is_interrupted_is_judged_again_and_not_trained_again(
    uninterrupted, tmp_path, monkeypatch
):
    workdir, real, played = tmp_path / "run", judge.play, []

    def stopped(*given, **more):
        played.append(given)
        if len(played) == 3:  # the first run has both policies judged
            stop_requested.set()
        return real(*given, **more)

    monkeypatch.setattr(judge, "play", stopped)
    with pytest.raises(KeyboardInterrupt):
        small(workdir)
    stop_requested.clear()
    before = read_record(workdir)
    assert sum(bool(row.get("done")) and row["stage"] == "final" for row in before) == 1
    monkeypatch.setattr(judge, "play", real)
    small(workdir)
    assert rows_of(workdir) == rows_of(uninterrupted)
    kept = [row for row in before if not row.get("done")]
    rows = [row for row in read_record(workdir) if "seconds" in row]
    times = {(row["run"], row["step"]): row["seconds"] for row in rows}
    stopped_runs = {row["run"] for row in kept}
    again = [row for row in kept if row["seconds"] != times[row["run"], row["step"]]]
    assert stopped_runs and not again, "trained again"


@pytest.mark.slow
def test_a_worker_whose_run_another_took_over_saves_no_model(tmp_path, monkeypatch):
    trained, scored = [], training.final_scores

    def scores(*given):
        trained.append(True)
        return scored(*given)

    def check():
        if trained:
            raise Lost

    monkeypatch.setattr(training, "final_scores", scores)
    monkeypatch.setattr(running, "Record", lambda *given: Record(*given[:2], check))
    with pytest.raises(Lost):
        small(tmp_path / "run", seeds=(0,), lrs=(1e-3,))
    assert trained and not list(tmp_path.rglob("model"))
