"""Policies on gymnasium's environments, against a plain loop over one of them."""

import functools

import gymnasium
import jax.numpy as jnp
import numpy as np
import pytest
from small import nothing_compiled, table

from dla_jax.config.checks import ConfigError
from dla_jax.config.stop import Interrupted, stop_requested
from dla_jax.rl import envs, judge

LEAN = np.float32([[1.0, 0.3, 4.0, 1.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, -1.0, 0.0]])
needs_box2d = functools.partial(pytest.importorskip, "Box2D", reason="needs requirements-box2d.txt")


def lean(actor, obs):
    """Choose an action of CartPole: to the side that the sum of weighted observations is on."""
    return (obs @ actor > 0).astype(int)


def always(actor, obs):
    """Choose one action whatever is seen."""
    return jnp.full(len(obs), actor)


def one_by_one(name, choose, seed, episodes, max_steps=None):
    """Return the returns and lengths of episodes of one environment, one after another."""
    world, found = gymnasium.make(name, max_episode_steps=max_steps), []
    for own in judge.seeds_of(seed, episodes):
        obs, _ = world.reset(seed=own)
        total, length, over = 0.0, 0, False
        while not over:
            obs, reward, terminated, truncated, _ = world.step(choose(obs))
            total, length, over = total + reward, length + 1, terminated or truncated
        found.append((total, length))
    return np.array(found).T


def test_a_policy_plays_whole_episodes_as_a_plain_loop_does():
    for actor in LEAN:
        choose = lambda obs, actor=actor: int(lean(actor, np.float32(obs)))
        returns, _ = one_by_one("CartPole-v1", choose, seed=3, episodes=7)
        found = judge.play("CartPole-v1", lean, actor, 3, 7, max_steps=500)
        assert found.shape == (7,) and found.dtype == np.float64
        np.testing.assert_array_equal(found, returns)
    assert len(set(returns)) > 1 and returns.max() < 20  # the last one falls, sooner or later


def test_every_episode_counts_once_however_long_the_others_are():
    """Those that end early are not played again, and the longest ones are not left out."""
    actor = np.float32([-0.1, 0.0, 1.0, 0.3])  # drifts away, and falls sooner or later
    choose = lambda obs: int(lean(actor, np.float32(obs)))
    returns, lengths = one_by_one("CartPole-v1", choose, seed=0, episodes=30)
    assert np.ptp(lengths) > 100
    found = judge.play("CartPole-v1", lean, actor, 0, 30, max_steps=500)
    np.testing.assert_array_equal(found, returns)


def test_an_episode_is_as_long_as_in_training_at_most():
    limited = judge.play("CartPole-v1", lean, LEAN[0], 0, 4, max_steps=40)
    np.testing.assert_array_equal(limited, [40] * 4)
    choose = lambda obs: int(lean(LEAN[0], np.float32(obs)))
    np.testing.assert_array_equal(one_by_one("CartPole-v1", choose, 0, 4, 40)[0], limited)


def test_the_seed_of_a_run_fixes_its_episodes_and_no_other_has_them():
    play = functools.partial(judge.play, "CartPole-v1", lean, LEAN[1], max_steps=500)
    np.testing.assert_array_equal(play(5, 8), play(5, 8))
    assert not np.array_equal(play(5, 8), play(6, 8))
    seeds = [seed for run in range(50) for seed in judge.seeds_of(run, 100)]
    assert len(set(seeds)) == len(seeds)


def test_continuous_actions_are_clipped_and_scaled_as_in_training():
    """Pendulum's torque has bounds of 2: 0.25 of it is 0.5, and 3 is 2."""
    for given, torque in ((0.25, 0.5), (3.0, 2.0), (-3.0, -2.0)):
        act = lambda actor, obs: jnp.full((len(obs), 1), actor)
        found = judge.play("Pendulum-v1", act, np.float32(given), 1, 3, max_steps=200)
        returns, _ = one_by_one("Pendulum-v1", lambda obs, t=torque: np.float32([t]), 1, 3)
        np.testing.assert_allclose(found, returns, rtol=1e-6)
    space = gymnasium.spaces.Box(np.float32([-1, 0]), np.float32([1, 4]))
    taken = judge.as_taken(space, np.float32([[0.0, 0.0], [1.0, -1.0], [-7.0, 0.5]]))
    np.testing.assert_array_equal(taken, np.float32([[0, 2], [1, 0], [-1, 3]]))


def test_discrete_actions_begin_where_the_environments_do():
    space = gymnasium.spaces.Discrete(3, start=-1)
    assert judge.as_taken(space, np.array([0, 2])) == [-1, 1]


def test_actions_at_random_are_uniform_and_played_once():
    rng_free = judge.random_return("CartPole-v1", 0, 400, max_steps=500)
    # of uniform actions a pole falls after 22 steps, with a standard deviation of 12
    assert rng_free == pytest.approx(22.2, abs=4 * 12 / 20)
    assert judge.random_return("CartPole-v1", 0, 400, max_steps=500) is rng_free
    # a constant torque is far worse than random ones, which are near none
    low, high = -1800, -700
    assert low < judge.random_return("Pendulum-v1", 0, 20, max_steps=200) < high


def test_all_runs_share_one_program():
    judge.warm(lean, LEAN[0], (5, 4))
    with nothing_compiled():
        for actor in LEAN:
            judge.play("CartPole-v1", lean, actor, 0, 5, max_steps=30)


def test_a_stop_is_answered_within_an_episode():
    stop_requested.set()
    with pytest.raises(Interrupted):
        judge.play("CartPole-v1", lean, LEAN[0], 0, 2, max_steps=500)


CART_POLE = envs.make("CartPole-v1", flatten=True)
PENDULUM = envs.make("Pendulum-v1", flatten=True)


@pytest.mark.parametrize(
    ("name", "env", "words"),
    [
        ("CartPole-v9", CART_POLE, ["no 'CartPole-v9'", "did you mean 'CartPole-v1'"]),
        ("LunarLander-v2", CART_POLE, ["no 'LunarLander-v2'", "did you mean 'LunarLander-v3'"]),
        ("Acrobot-v1", CART_POLE, ["of shape (6,)", "CartPole-v1", "(4,)"]),
        ("FrozenLake-v1", CART_POLE, ["Discrete(16)", "(4,)"]),
        ("MountainCar-v0", table([[0, 1], [1, 0]], [[0, 0]] * 2, limit=5), ["Discrete(3)", "of 2"]),
        ("Pendulum-v1", CART_POLE._replace(obs_shape=(3,)), ["of shape (1,)", "one of 2"]),
        ("Pendulum-v1", PENDULUM._replace(action_size=2), ["of shape (1,)", "2 numbers"]),
    ],
)
def test_an_environment_that_does_not_fit_is_refused_in_a_line(name, env, words):
    with pytest.raises(ConfigError) as refused:
        judge.check_judge(name, env)
    message = str(refused.value)
    assert message.startswith("env.judge") and "\n" not in message
    assert all(word in message for word in words), message


@pytest.mark.parametrize("env", [CART_POLE, PENDULUM])
def test_an_environment_is_its_own_judge(env):
    judge.check_judge(env.name, env)


def test_without_box2d_the_line_that_installs_it_is_told(monkeypatch):
    def absent(*given, **more):
        raise gymnasium.error.DependencyNotInstalled("Box2D is not installed, you can install it")

    monkeypatch.setattr(gymnasium, "make", absent)
    with pytest.raises(ConfigError, match=r"pip install -r requirements-box2d\.txt"):
        judge.check_judge("LunarLander-v3", CART_POLE)


@pytest.mark.parametrize("continuous", [False, True])
def test_a_lander_that_always_thrusts_to_the_right_plays_as_in_a_plain_loop(continuous):
    needs_box2d()
    name = "LunarLanderContinuous-v3" if continuous else "LunarLander-v3"
    judge.check_judge(name, envs.make(name.replace("-v3", "Jax-v0"), flatten=True))
    right = np.float32([-1.0, 1.0]) if continuous else 3
    act = (lambda actor, obs: jnp.tile(actor, (len(obs), 1))) if continuous else always
    found = judge.play(name, act, right, 2, 5, max_steps=1000)
    returns, lengths = one_by_one(name, lambda obs: right, 2, 5)
    np.testing.assert_array_equal(found, returns)
    assert (found < -100).all() and (lengths < 300).all()  # it spins, and crashes


def test_a_lander_that_looks_plays_as_in_a_plain_loop():
    needs_box2d()
    actor = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    act = lambda actor, obs: jnp.argmax(obs @ actor, -1)
    found = judge.play("LunarLander-v3", act, actor, 4, 12, max_steps=1000)
    choose = lambda obs: int((np.float32(obs) @ actor).argmax())
    np.testing.assert_array_equal(found, one_by_one("LunarLander-v3", choose, 4, 12)[0])
    # known of actions at random: near -180, with a standard deviation of about 110
    chance = judge.random_return("LunarLander-v3", 0, 100, max_steps=1000)
    assert chance == pytest.approx(-180, abs=45)
