"""Environments: gymnasium's dynamics, and what `advance` makes of an episode's end."""

import functools
from typing import NamedTuple

import gymnasium
import gymnax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dla_jax.config.checks import ConfigError
from dla_jax.rl import envs

quickly_compiled = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)

CONTROL = {  # fields of the state in gymnasium's order, their bounds, tolerance of observations
    "CartPole-v1": (("x", "x_dot", "theta", "theta_dot"), (2.4, 3.0, 0.209, 3.0), 2e-6),
    "Pendulum-v1": (("theta", "theta_dot"), (6.0, 8.0), 5e-6),
    "Acrobot-v1": (
        ("joint_angle1", "joint_angle2", "velocity_1", "velocity_2"),
        (np.pi, np.pi, 4 * np.pi, 9 * np.pi),
        4e-3,
    ),
    "MountainCar-v0": (("position", "velocity"), ((-1.2, 0.499), 0.07), 1e-6),
    "MountainCarContinuous-v0": (("position", "velocity"), ((-1.2, 0.449), 0.07), 1e-6),
}


def random_states(name, count, seed=0):
    """Draw states float32 [count, fields], a third of the cars close to the wall: (states, rng)."""
    rng, bounds = np.random.default_rng(seed), CONTROL[name][1]
    low, high = np.transpose(
        [bound if isinstance(bound, tuple) else (-bound, bound) for bound in bounds]
    )
    states = rng.uniform(low, high, (count, len(low))).astype(np.float32)
    if name.startswith("MountainCar"):
        states[: count // 3] = rng.uniform((-1.2, -0.07), (-1.15, 0), (count // 3, 2))
    return states, rng


def gymnasium_steps(name, states, actions):
    world = gymnasium.make(name).unwrapped
    world.reset(seed=0)
    rows = []
    for state, action in zip(states, actions, strict=True):
        world.state, world.steps_beyond_terminated = np.array(state), None
        obs, reward, terminated, *_ = world.step(action)
        rows.append((obs, reward, terminated))
    return [np.array(column) for column in zip(*rows, strict=True)]


def step_all(env, name, values, actions, step=None):
    """Take one step from each of many states, with `step` instead of the environment's own."""

    @quickly_compiled
    def run(values, actions):
        keys = jax.random.split(jax.random.key(0), len(values))
        states = jax.vmap(env.reset)(keys)[1]
        states = states.replace(**dict(zip(CONTROL[name][0], values.T, strict=True)))
        return jax.vmap(step or env.step)(keys, states, actions)

    return jax.device_get(run(values, actions))


@pytest.mark.parametrize("name", CONTROL)
def test_single_steps_are_those_of_gymnasium(name):
    env, (values, rng) = envs.make(name, flatten=True), random_states(name, 300)
    bound = {"Pendulum-v1": 2.0}.get(name, 1.0)
    if env.num_actions:
        actions = rng.integers(env.num_actions, size=300)
    else:
        actions = rng.uniform(-1, 1, (300, 1)).astype(np.float32)
    theirs = actions if env.num_actions else actions * np.float32(bound)
    want = gymnasium_steps(name, values, theirs)
    obs, _, reward, terminated, truncated = step_all(env, name, values, actions)
    np.testing.assert_allclose(obs, want[0], atol=CONTROL[name][2])
    np.testing.assert_allclose(reward, want[1], atol=1e-5)
    least, most = (bound / env.max_steps for bound in envs.return_bounds(env))
    assert (want[1] >= least).all() and (want[1] <= most).all()
    np.testing.assert_array_equal(terminated, want[2])
    assert not truncated.any()
    if name in ("CartPole-v1", "MountainCar-v0", "MountainCarContinuous-v0"):
        assert 0 < terminated.sum() < 300, "no end was among the steps"


def test_gymnax_itself_lets_the_continuous_car_bounce_off_the_wall():
    name = "MountainCarContinuous-v0"
    values, actions = random_states(name, 60)[0][:20], np.zeros((20, 1), np.float32)
    values[:, 1] = -0.07
    want = gymnasium_steps(name, values, actions)[0]
    game, params = gymnax.make(name)
    step = lambda key, state, action: game.step_env(key, state, action, params)
    theirs = step_all(envs.make(name, flatten=True), name, values, actions, step)[0]
    np.testing.assert_allclose(want, np.tile(np.float32([-1.2, 0]), (20, 1)))
    assert (np.abs(theirs[:, 1] - want[:, 1]) > 0.01).all(), (
        "gymnax is mended: our own class can go"
    )


def test_continuous_actions_are_clipped_to_their_bounds():
    env = envs.make("Pendulum-v1", flatten=True)
    still, actions = np.zeros((4, 2), np.float32), np.float32([[-5.0], [-1.0], [1.0], [7.0]])
    obs, _, reward, *_ = step_all(env, "Pendulum-v1", still, actions)
    np.testing.assert_allclose(reward, -0.001 * 2.0**2, rtol=1e-5)
    np.testing.assert_allclose(obs[:, 2], np.array([-1, -1, 1, 1]) * 3 * 2.0 * 0.05, rtol=1e-5)


LIMIT, SHAPE = 9, (27, 32)  # of an episode, and of the actions [T, E] of CartPole
CART_POLE = envs.make("CartPole-v1", flatten=True, max_steps=LIMIT)


class Rolled(NamedTuple):
    """What some steps of environments led to."""

    begin: envs.Running
    after: envs.Running
    steps: envs.Step  # arrays [T, E]
    drawn: tuple  # (data of the keys, what fresh episodes begin with): arrays [T, E, ...]


@functools.partial(quickly_compiled, static_argnames="env")
def rolled(env, key, actions):
    """Take steps with actions [T, E, ...]: a program for each environment and shape."""
    begin = envs.start(env, key, actions.shape[1])
    drawn = envs.draw(env, jax.random.fold_in(key, 1), *actions.shape[:2])
    take = lambda running, xs: envs.advance(env, running, *xs)
    after, steps = jax.lax.scan(take, begin, (actions, drawn))
    return Rolled(begin, after, steps, (jax.random.key_data(drawn[0]), drawn[1]))


def roll(actions):
    """Take steps of CartPole with actions `SHAPE`: one program for all that is asked of it."""
    actions = np.broadcast_to(np.int32(actions), SHAPE)
    return jax.device_get(rolled(CART_POLE, jax.random.key(7), actions))


def test_advance_is_a_plain_loop_over_episodes():
    """Half of the copies are pushed to the left until the pole falls, the others anywhere."""
    actions, copies = np.random.default_rng(3).integers(0, 2, SHAPE), slice(4, 8)
    actions[:, ::2] = 0
    begin, after, steps, (keys, (fresh_obs, fresh_state)) = roll(actions)
    step = quickly_compiled(lambda key, *at: CART_POLE.step(jax.random.wrap_key_data(key), *at))
    pick = lambda tree, *at: jax.tree.map(lambda x: x[at], tree)
    ends = []
    for e in range(SHAPE[1])[copies]:
        state, total, length = pick(begin.state, e), 0.0, 0
        for t in range(len(actions)):
            obs, state, reward, terminated, truncated = jax.device_get(
                step(keys[t, e], state, actions[t, e])
            )
            total, length = total + float(reward), length + 1
            np.testing.assert_allclose(steps.next_obs[t, e], obs, atol=1e-5)
            assert (steps.terminated[t, e], steps.truncated[t, e]) == (terminated, truncated)
            assert (steps.episode_return[t, e], steps.episode_length[t, e]) == (total, length)
            if terminated or truncated:
                ends.append((length, bool(terminated), bool(truncated)))
                obs, state, total, length = fresh_obs[t, e], pick(fresh_state, t, e), 0.0, 0
        np.testing.assert_allclose(after.obs[e], obs, atol=1e-5)
        assert after.episode_length[e] == length and after.episode_return[e] == total
    assert {truncated for _, _, truncated in ends} == {True, False}
    assert all((length == LIMIT) == truncated for length, _, truncated in ends)
    sums = envs.episode_sums(jax.tree.map(lambda x: x[:, copies], steps))
    assert sums["episodes"] == len(ends)
    assert sums["return_sum"] == sums["length_sum"] == sum(length for length, *_ in ends)


def test_an_episode_begins_with_what_was_drawn_and_ends_with_what_was_before_the_reset():
    pushes = np.arange(SHAPE[0]) % LIMIT % 2  # to the left, to the right, ..., to the left
    _, after, steps, (_, (fresh_obs, _)) = roll(pushes[:, None])
    last = np.arange(SHAPE[0]) % LIMIT == LIMIT - 1
    assert steps.truncated[last].all() and not steps.done[~last].any()
    assert not steps.terminated.any()
    np.testing.assert_array_equal(after.obs, fresh_obs[-1])
    assert len(np.unique(after.obs, axis=0)) == SHAPE[1]
    pushed = np.abs(steps.next_obs[last][..., 1]) > 0.05
    assert pushed.all(), "the cart has been pushed, so it is no beginning"


def test_an_episode_may_fall_and_reach_its_limit_in_one_step():
    """Always pushed to the left, the pole falls after 8 to 10 steps."""
    steps = jax.tree.map(lambda x: x[:LIMIT], roll(0).steps)
    fallen = np.abs(steps.next_obs[..., 2]) > np.deg2rad(12)
    np.testing.assert_array_equal(steps.terminated, fallen)
    first = ~fallen[:-1].any(0)  # still in their first episode at the limit
    np.testing.assert_array_equal(steps.truncated[-1], first)
    assert set(fallen[-1, first]) == {True, False} and not steps.truncated[:-1].any()


def test_whole_numbers_become_one_hot_vectors():
    lake = envs.make("FrozenLake-misc", flatten=False)

    @quickly_compiled
    def walk(keys):
        obs, state = lake.reset(keys[0])
        return obs, jax.vmap(lambda key: lake.step(key, state, 2)[0])(keys)

    keys = jax.random.split(jax.random.key(0), 12)
    obs, after = jax.device_get(walk(keys))
    assert lake.obs_shape == obs.shape and obs.dtype == np.float32
    assert obs.sum() == 1 and obs[0] == 1
    walked = set(after.argmax(-1).tolist())
    assert walked <= {0, 1, int(np.sqrt(len(obs)))} and len(walked) > 1
    rooms = envs.make("FourRooms-misc", flatten=False)
    raw, params = gymnax.make("FourRooms-misc")
    begin = lambda key: (rooms.reset(key)[0], raw.reset_env(key, params)[0])
    for found, want in zip(*map(np.asarray, quickly_compiled(jax.vmap(begin))(keys)), strict=True):
        found = found.reshape(want.size, -1)
        np.testing.assert_array_equal(found.argmax(-1), want.reshape(-1))
        np.testing.assert_array_equal(found.sum(-1), 1)


def go(env, actions):
    """Return the observations [T + 1, E, ...] of environments that take these steps, and no end."""

    @quickly_compiled
    def run(key, actions):
        keys = jax.random.split(key, (len(actions) + 1, actions.shape[1]))
        obs, state = jax.vmap(env.reset)(keys[0])

        def take(state, given):
            obs, state, *_ = jax.vmap(env.step)(given[0], state, given[1])
            return state, obs

        return obs, jax.lax.scan(take, state, (keys[1:], actions))[1]

    begin, rest = jax.device_get(run(jax.random.key(7), actions))
    return np.concatenate([begin[None], rest])


def test_sticky_actions_repeat_what_was_played_before():
    count, chance = 3000, 0.25
    env = envs.make("CartPole-v1", flatten=True, sticky=chance)
    speed = go(env, np.tile(np.array([[1], [0]]), (1, count)))[:, :, 1]
    pushed_right, right_again = np.diff(speed, axis=0) > 0
    # before the first action is action 0
    assert np.mean(pushed_right) == pytest.approx(1 - chance, abs=0.03)
    assert np.mean(right_again[pushed_right]) == pytest.approx(chance, abs=0.03)
    assert not right_again[~pushed_right].any()


def test_sticky_actions_can_be_continuous_and_are_forgotten_as_an_episode_ends():
    env = envs.make("Pendulum-v1", flatten=True, sticky=0.5, max_steps=2)
    assert not env.num_actions and env.action_size == 1
    found = jax.device_get(rolled(env, jax.random.key(7), np.ones((2, 4, 1), np.float32)))
    assert found.steps.next_obs.shape == (2, 4, 3) and np.isfinite(found.steps.next_obs).all()
    assert found.steps.truncated.tolist() == [[False] * 4, [True] * 4]
    fresh = jax.tree.map(lambda x: x[-1], found.drawn[1])
    jax.tree.map(np.testing.assert_array_equal, (found.after.obs, found.after.state), fresh)
    assert not found.begin.state[1].any() and not found.after.state[1].any(), "no last action"


@pytest.mark.parametrize(
    "name, words",
    [
        ("CartPole", "known.*CartPole-v1"),
        ("Cartpole-v1", "did you mean 'CartPole-v1'"),
        ("MNISTBandit-bsuite", "network"),
        ("", "known: "),
    ],
)
def test_other_names_are_refused_in_one_line(name, words):
    with pytest.raises(ConfigError, match=words) as raised:
        envs.check_env(name)
    assert "\n" not in str(raised.value)


OTHERS = ("Breakout-MinAtar", "MemoryChain-bsuite", "BernoulliBandit-misc", "Reacher-misc")
SLOW_OTHERS = ("DeepSea-bsuite", "UmbrellaChain-bsuite", "Swimmer-misc", "PointRobot-misc")


@pytest.mark.parametrize(
    "name", [*OTHERS, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW_OTHERS)]
)
def test_other_environments_take_finite_steps_side_by_side(name):
    env = envs.make(name, flatten=False)
    rng, shape = np.random.default_rng(0), (3, 4)
    if env.num_actions:
        actions = rng.integers(env.num_actions, size=shape)
    else:
        actions = rng.uniform(-1, 1, (*shape, env.action_size)).astype(np.float32)

    @quickly_compiled
    def run(key):
        keys, fresh = envs.draw(env, key, 4, 4)
        begin = envs.Running(*jax.tree.map(lambda x: x[3], fresh), jnp.zeros(4), jnp.zeros(4, int))
        rest = jax.tree.map(lambda x: x[:3], (keys, fresh))
        take = lambda running, xs: envs.advance(env, running, *xs)
        return begin, *jax.lax.scan(take, begin, (actions, rest))

    begin, after, steps = jax.device_get(run(jax.random.key(0)))
    assert begin.obs.shape == after.obs.shape == (4, *env.obs_shape)
    assert steps.next_obs.shape == (3, 4, *env.obs_shape)
    assert [x.dtype for x in (begin.obs, steps.next_obs, steps.reward)] == [np.float32] * 3
    assert all(x.shape == (3, 4) for x in (steps.reward, steps.terminated, steps.truncated))
    assert all(np.isfinite(x).all() for x in (begin.obs, steps.next_obs, steps.reward))
    assert env.max_steps > 0
