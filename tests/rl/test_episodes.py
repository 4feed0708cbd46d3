"""Whole episodes, all at once and a few at a time: every row is where it belongs."""

import functools
import operator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import make_agent, make_hyper, quickly_compiled

from dla_jax.rl import losses
from dla_jax.rl.envs import Env
from dla_jax.rl.episodes import Manner, play
from dla_jax.rl.networks import Categorical

NUM_ENVS, LONGEST = 12, 80
MANNER = Manner(temperature=jnp.float32(1), greedy=jnp.float32(0), mixture=jnp.float32(0))


def reset(key):
    """Begin an episode with a number of its own and a length of 1 to LONGEST + 20 steps."""
    number = jax.random.uniform(key)
    length = 1 + (number * (LONGEST + 20)).astype(int)
    return jnp.stack([number, 0.0]), (number, length, jnp.int32(0))


def step(key, state, action):
    """Take a step: what is seen is the episode's number and how many steps it has had."""
    number, length, time = state
    time = time + 1
    obs = jnp.stack([number, time.astype(float)])
    reward = action + jax.random.uniform(key)
    return obs, (number, length, time), reward, time >= length, time >= LONGEST


COUNTER = Env(
    name="counter",
    obs_shape=(2,),
    native_shape=(2,),
    num_actions=3,
    action_size=0,
    max_steps=LONGEST,
    reset=reset,
    step=step,
)


def policy(obs):
    """Return a policy that depends on the episode and on the time."""
    return Categorical(jnp.stack([obs[..., 0], obs[..., 1] / 80, 0 * obs[..., 0]], -1))


def episodes_of(key, side_by_side, playing=True):
    return play(COUNTER, NUM_ENVS, policy, key, MANNER, side_by_side, playing)


@functools.cache
def beside_one_that_waits():
    """Return [(Episodes, what they ended with) of a run that plays, of one that does not]."""
    keys = jnp.stack([jax.random.key(3), jax.random.key(4)])
    of_both = quickly_compiled(jax.vmap(functools.partial(episodes_of, side_by_side=4)))
    found = jax.device_get(of_both(keys, playing=jnp.array([True, False])))
    return [jax.tree.map(operator.itemgetter(run), found) for run in (0, 1)]


@functools.cache
def played(side_by_side):
    """Return (Episodes, what they ended with) as NumPy arrays; of 4, of a run beside another."""
    if side_by_side == 4:
        return beside_one_that_waits()[0]
    compiled = quickly_compiled(functools.partial(episodes_of, side_by_side=side_by_side))
    return jax.device_get(compiled(jax.random.key(3)))


@pytest.mark.parametrize("side_by_side", [0, 1, 4])
def test_an_episode_is_its_steps_in_order(side_by_side):
    episodes, last_obs = played(side_by_side)
    numbers = episodes.obs[0, :, 0]
    lengths = np.minimum(1 + (numbers * (LONGEST + 20)).astype(int), LONGEST)
    assert len(set(lengths)) > 6  # they differ, and some reach the limit
    assert LONGEST in lengths
    times = np.arange(len(episodes.obs))[:, None]
    np.testing.assert_array_equal(episodes.alive, times < lengths)
    want = np.stack(np.broadcast_arrays(numbers, times), -1) * episodes.alive[..., None]
    np.testing.assert_array_equal(episodes.obs, want.astype(np.float32))
    np.testing.assert_array_equal(last_obs, np.stack([numbers, lengths], -1).astype(np.float32))
    ends = episodes.alive & (episodes.terminated | episodes.truncated)
    np.testing.assert_array_equal(ends, times == lengths - 1)
    cut_off = (times == LONGEST - 1) & (lengths == LONGEST)
    np.testing.assert_array_equal(episodes.alive & episodes.truncated, cut_off)


@pytest.mark.parametrize("side_by_side", [1, 4])
def test_episodes_are_the_same_however_many_are_played_at_a_time(side_by_side):
    (found, found_last), (want, want_last) = played(side_by_side), played(0)
    np.testing.assert_array_equal(found_last, want_last)
    for name in ("action", "reward"):
        one, other = getattr(found, name), getattr(want, name)
        np.testing.assert_array_equal(one[want.alive], other[want.alive])
    assert len(np.unique(want.action[want.alive])) == 3


def test_who_does_not_play_is_at_no_step():
    """Nor in anybody's way: the tests above look at the episodes of the run beside it."""
    (playing, _), (waiting, _) = beside_one_that_waits()
    assert playing.alive.any() and not waiting.alive.any()


@pytest.mark.parametrize("living", [1, 7, 16, 40])
def test_a_mean_in_blocks_is_that_of_all_living_rows(living):
    rng = np.random.default_rng(living)
    values = rng.normal(size=(10, 4)).astype(np.float32)
    alive = rng.permutation(40).reshape(10, 4) < living
    given = np.where(alive, values, np.float32(1e6))

    def of_rows(rows, alive):
        return {"mean": losses.mean_alive(rows, alive), "square": losses.mean_alive(rows**2, alive)}

    in_blocks = lambda rows, alive: losses.mean_in_blocks(
        of_rows, *losses.living_first(rows, alive), 8
    )
    found = quickly_compiled(in_blocks)(given, alive)
    assert found["mean"] == pytest.approx(values[alive].mean(), rel=1e-4, abs=1e-6)
    assert found["square"] == pytest.approx((values[alive] ** 2).mean(), rel=1e-4)


def test_an_update_is_the_same_however_many_episodes_are_played_at_a_time():
    hyper = make_hyper("reinforce", lr=0.1, ent_coef=0.1)
    after = []
    for side_by_side in (0, 3):
        own = {"num_envs": NUM_ENVS, "side_by_side": side_by_side, "value_steps": 2}
        agent = make_agent("reinforce", COUNTER, hidden=(), optim="sgd", **own)
        if not after:  # the same beginning for both
            state = quickly_compiled(agent.init)(jax.random.key(5), hyper)
        after.append(quickly_compiled(agent.update)(state))
    (all_at_once, metrics), (few, few_metrics) = after
    assert all_at_once.env_steps == few.env_steps
    close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
    jax.tree.map(close, all_at_once.params, few.params)
    jax.tree.map(close, metrics, few_metrics)
    moved = jax.tree.map(lambda x, y: float(np.abs(x - y).max()), few.params, state.params)
    assert max(jax.tree.leaves(moved)) > 1e-3  # so that equality says something
