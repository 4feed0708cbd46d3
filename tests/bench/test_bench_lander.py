"""bench.lunar_lander measures what it says, and says what it lacks."""

import functools
import importlib.util
import sys

import chex
import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import FrozenConfigDict
from scipy import stats

from bench import lunar_box2d, lunar_lander, lunar_returns, lunar_speed, lunar_training, page
from dla_jax.rl import envs, judge, ppo
from dla_jax.studies.agents.programs import make_hyper


def say(monkeypatch, capsys, *words):
    """Return (exit code, standard error's lines) of the benchmark."""
    monkeypatch.setattr(sys, "argv", ["bench.lunar_lander", *words])
    with pytest.raises(SystemExit) as exit:
        lunar_lander.main()
    return exit.value.code, capsys.readouterr().err.splitlines()


@pytest.mark.parametrize("words", [("--nets=box",), ("--rounds=0",), ("--episodes=-1",)])
def test_wrong_input_exits_with_2_and_one_line(words, monkeypatch, capsys):
    code, said = say(monkeypatch, capsys, *words)
    assert code == 2 and len(said) == 1 and "nearness, returns, trained, speed" in said[0]


def test_without_box2d_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    code, said = say(monkeypatch, capsys)
    assert code == 2
    assert said == ["bench.lunar_lander: Box2D is missing; pip install -r requirements-box2d.txt"]


def test_a_workdir_without_a_study_is_refused_before_anything_is_played(
    monkeypatch, capsys, tmp_path
):
    monkeypatch.setattr(page, "need", lambda *names, told: None)
    code, said = say(monkeypatch, capsys, "--nets=returns", f"--workdir={tmp_path}")
    assert code == 2 and len(said) == 1 and str(tmp_path) in said[0] and "--from" not in said[0]


def test_a_study_of_another_environment_is_refused(smoke, monkeypatch, capsys):
    monkeypatch.setattr(page, "need", lambda *names, told: None)
    workdir, _ = smoke("agents")
    code, said = say(monkeypatch, capsys, "--nets=returns", f"--workdir={workdir}")
    assert code == 2 and len(said) == 1 and "LunarLanderJax-v0" in said[0]


def episodes(seed, shift=0.0, count=200):
    rng = np.random.default_rng(seed)
    total, landed = rng.normal(shift, 50, count), rng.random(count) < 0.25
    return lunar_returns.Episodes(total, rng.integers(50, 150, count), landed, ~landed)


def test_the_table_of_returns_tells_equal_worlds_from_others(tmp_path):
    results = {"random": (episodes(0), episodes(1)), "other": (episodes(2), episodes(3, 40.0))}
    lines = lunar_returns.table(results).splitlines()
    cells = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]
    assert len(lines) == 4 and {len(row) for row in cells} == {len(lunar_returns.HEAD)}
    alike, other = cells[2:]
    assert alike[:2] == ["random", "200"] and float(alike[4]) > 0.01 > 1e-6 > float(other[4])
    centre, low, high = map(float, alike[2].translate(str.maketrans("[,]", "   ")).split())
    assert low < centre < high and centre == round(results["random"][0].total.mean(), 1)
    landed = [100 * found.landed.mean() for found in results["random"]]
    assert alike[8] == f"{landed[0]:.1f} % / {landed[1]:.1f} %"
    counts = [[found.landed.sum(), found.crashed.sum()] for found in results["random"]]
    assert float(alike[9]) == pytest.approx(stats.fisher_exact(counts)[1], rel=0.05)
    path = tmp_path / "figure.png"
    told = lunar_returns.draw(results, path)
    assert path.stat().st_size < 150_000 and told.startswith("Mean return")


def test_policies_of_an_arm_are_played_as_one():
    theirs, ours = lunar_returns.together([(episodes(0), episodes(1)), (episodes(2), episodes(3))])
    np.testing.assert_array_equal(theirs.total[:200], episodes(0).total)
    np.testing.assert_array_equal(theirs.landed[200:], episodes(2).landed)
    np.testing.assert_array_equal(ours.length[200:], episodes(3).length)


def test_how_soon_loops_part_is_counted_from_the_first_step():
    assert lunar_lander.first(np.array([False, False, True, True])) == 3
    assert lunar_lander.first(np.array([False])) == np.inf


@pytest.mark.slow
def test_random_play_ends_in_our_world_with_the_time_at_the_latest():
    player, controller = lunar_returns.untrained()
    assert (player.name, controller.name) == ("random", "heuristic")
    found = lunar_returns.our_episodes(player, 12, 0)
    assert (found.crashed | found.landed).mean() > 0.8
    assert not (found.crashed & found.landed).any()
    assert (found.length > 40).all() and (found.length <= 1000).all()
    again = lunar_returns.our_episodes(player, 12, 0)
    np.testing.assert_array_equal(found.total, again.total)


def test_the_table_of_speed_is_relative_to_box2d():
    rows = {"Box2D": (1000.0, 1.0), "ours, 16": (8000.0, 2.0)}
    results = {
        name: {"wall": [rate, 2 * rate], "cpu": [rate / 2, rate], "first": first}
        for name, (rate, first) in rows.items()
    }
    last = lunar_speed.table(results).splitlines()[-1]
    assert last.startswith("| ours, 16 | 12,000 (8,000 to 16,000) | 8.0 (8.0 to 8.0) |")
    assert last.endswith("| 2.0 s |")


def test_our_steps_are_counted(monkeypatch):
    cartpole = envs.make("CartPole-v1", flatten=True)  # whose programs are small
    ours = {"LunarLanderJax-v0": cartpole}
    monkeypatch.setattr(lunar_speed.envs, "make", lambda name, flatten: ours[name])
    take, children = lunar_speed.our_steps(4)
    assert (
        take(1) == 4 * lunar_speed.PIECE
        and take(3 * 4 * lunar_speed.PIECE) == 12 * lunar_speed.PIECE
    )
    assert children() == 0


def short_arm():
    """Return the arm that trains in gymnasium's world, with two small updates."""
    arm = lunar_training.lunar_arm()
    arm.config.agent.update({"num_steps": 8, "num_envs": 2, "num_minibatches": 2})
    arm.config.total_steps = 32
    return arm


def test_worlds_of_gymnasium_go_on_by_themselves(monkeypatch):
    monkeypatch.setattr(lunar_training, "WORLD", "CartPole-v1")
    worlds = lunar_training.Worlds(num_envs=2, max_steps=15, seed=3)
    lone = [gymnasium.make("CartPole-v1", max_episode_steps=15) for _ in range(2)]
    seen = [world.reset(seed=own)[0] for world, own in zip(lone, judge.seeds_of(3, 2), strict=True)]
    lengths, rng = [0, 0], np.random.default_rng(0)
    over = []
    for _ in range(60):
        np.testing.assert_array_equal(worlds.obs, seen)
        actions = rng.integers(2, size=2)
        found = worlds.step(actions)
        for i, world in enumerate(lone):
            seen[i], reward, terminated, truncated, _ = world.step(int(actions[i]))
            lengths[i] += 1
            np.testing.assert_array_equal(found.next_obs[i], seen[i])
            told = found.reward[i], found.terminated[i], found.truncated[i]
            assert told == (reward, terminated, truncated)
            assert found.episode_length[i] == found.episode_return[i] == lengths[i]
            if terminated or truncated:
                over.append(truncated)
                seen[i], lengths[i] = world.reset()[0], 0
    assert set(over) == {True, False}  # both kinds of end came


@pytest.mark.slow
def test_what_is_played_outside_is_what_ppo_learns_from(monkeypatch):
    arm = short_arm()
    config = FrozenConfigDict(arm.config.to_dict())
    parts = ppo.make_parts(envs.make("CartPole-v1", flatten=True), config)  # any environment
    hyper = jax.tree.map(jnp.float32, make_hyper(arm.config, 1e-3))
    state = jax.jit(functools.partial(ppo.init, parts))(jax.random.key(0), hyper)
    inside = functools.partial(ppo.collect, parts, state)
    _, raw_obs, rollout = jax.jit(inside)(jax.random.key(1))

    class Worlds:
        """What our world led to in that rollout, step by step."""

        def __init__(self):
            self.obs, self._t = np.asarray(raw_obs[0]), -1

        def step(self, actions):
            self._t += 1
            np.testing.assert_array_equal(actions, rollout.action[self._t])
            self.obs = np.asarray(raw_obs[min(self._t + 1, len(raw_obs) - 1)])
            return jax.tree.map(lambda leaf: np.asarray(leaf[self._t]), rollout.step)

    noise_key = jax.random.split(jax.random.key(1))[0]  # as `ppo.collect` takes it
    again = lunar_training.collect(parts, state, Worlds(), noise_key)
    chex.assert_trees_all_close(tuple(again), (raw_obs, rollout), atol=1e-6)


@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")
def test_a_run_prints_its_tables(monkeypatch, capsys):
    pytest.importorskip("Box2D")
    arm = short_arm()
    monkeypatch.setattr(lunar_box2d, "LIMIT", 64)
    monkeypatch.setattr(lunar_speed, "COPIES", (1,))
    monkeypatch.setattr(lunar_speed, "TOGETHER", 2)
    words = ("--episodes=2", "--seeds=1", "--rounds=1", "--seconds=0.2")
    monkeypatch.setattr(sys, "argv", ["bench.lunar_lander", *words])
    monkeypatch.setattr(lunar_training, "lunar_arm", lambda: arm)
    lunar_lander.main()
    said = capsys.readouterr().out
    for words in ("| in the air |", "| heuristic | 2 | 0.1 |", "| random | 2 |", "| ours, 1 |"):
        assert words in said
    assert "| seed 0 | 2 |" in said and "| all | 2 |" in said
    assert "| gymnasium's async vector |" in said
