"""The ring against a deque, and samples from it against plain loops over the added rows."""

import collections

import jax
import numpy as np
import pytest

from dla_jax.rl import replay

LENGTH, ENVS = 8, 3


def random_rows(count, seed=0, ends=0.2):
    """Return rows [ENVS, ...] in the order of time; every observation is a number of its own."""
    rng = np.random.default_rng(seed)
    numbers = np.arange(count * ENVS * 2, dtype=np.float32).reshape(count, ENVS, 2, 1)
    return [
        replay.Transition(
            numbers[t, :, 0],
            rng.integers(0, 4, ENVS).astype(np.int32),
            rng.normal(size=ENVS).astype(np.float32),
            numbers[t, :, 1],
            rng.random(ENVS) < ends,
            rng.random(ENVS) < ends,
        )
        for t in range(count)
    ]


start, add, take = (
    jax.jit(replay.start, static_argnums=1),
    jax.jit(replay.add),
    jax.jit(replay.take, static_argnums=4),
)
places_of = jax.jit(replay.sample_places, static_argnums=(2, 3, 4))


def filled(rows):
    ring = start(rows[0], LENGTH)
    for t, row in enumerate(rows):
        ring = add(ring, row, t)
    return jax.device_get(ring)


@pytest.mark.parametrize("count", [3, 8, 9, 21])
def test_the_ring_holds_the_last_rows(count):
    rows = random_rows(count)
    ring, want = filled(rows), collections.deque(rows, maxlen=LENGTH)
    for t, row in zip(range(count - len(want), count), want, strict=True):
        for ours, theirs in zip(
            jax.tree.map(lambda store, t=t: store[t % LENGTH], ring), row, strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)


def every_place(rows, n_step):
    """Return `sample_places` for a fine grid of uniforms in [0, 1), its two ends included."""
    last = np.nextafter(np.float32(1), np.float32(0))
    grid = np.append(np.linspace(0, 1, 400, endpoint=False), last).astype(np.float32)
    row, env = jax.device_get(places_of(np.stack([grid, grid]), rows, LENGTH, ENVS, n_step))
    assert row.dtype == env.dtype == np.int32
    return row, env


@pytest.mark.parametrize("rows", [3, 7, 8, 9, 13, 16, 29])
@pytest.mark.parametrize("n_step", [1, 3])
def test_samples_begin_everywhere_that_all_their_rows_are_there(rows, n_step):
    row, env = every_place(rows, n_step)
    oldest = max(0, rows - LENGTH)
    want = {t % LENGTH for t in range(oldest, rows - n_step + 1)}
    assert set(row.tolist()) == want and set(env.tolist()) == set(range(ENVS))
    counts = np.bincount(row, minlength=LENGTH)[sorted(want)]
    assert counts.max() - counts.min() <= 2, "some places are likelier than others"


def test_row_and_environment_are_chosen_apart():
    uniform = np.random.default_rng(0).random((2, 4000), np.float32)
    row, env = jax.device_get(places_of(uniform, 20, LENGTH, ENVS, 1))
    counts = np.bincount(row * ENVS + env, minlength=LENGTH * ENVS)
    assert len(counts) == LENGTH * ENVS and counts.min() > 4000 / len(counts) * 0.6


def window(rows, t, env, gamma, n_step):
    """Return by a loop what follows step t: (reward, next_obs, terminated, truncated, discount)."""
    total = 0.0
    for k in range(n_step):
        row = rows[t + k]
        total += gamma**k * row.reward[env]
        if row.terminated[env] or row.truncated[env]:
            break
    return total, row.next_obs[env], row.terminated[env], row.truncated[env], gamma ** (k + 1)


@pytest.mark.parametrize("n_step", [1, 3, 5])
def test_windows_are_those_of_a_loop_over_the_rows(n_step):
    """They are so at every place, with the ring's seam and ends of episodes inside the windows."""
    count, gamma = 21, 0.9
    rows = random_rows(count, seed=n_step)
    times, place = np.mgrid[count - LENGTH : count - n_step + 1, 0:ENVS].reshape(2, -1)
    given = filled(rows), times % LENGTH, place, np.float32(gamma), n_step
    found, discount = jax.device_get(take(*given))
    lengths = set()
    for i, (t, env) in enumerate(zip(times, place, strict=True)):
        reward, next_obs, terminated, truncated, factor = window(rows, t, env, gamma, n_step)
        assert found.reward[i] == pytest.approx(reward, abs=1e-5)
        assert discount[i] == pytest.approx(factor, rel=1e-5)
        assert found.next_obs[i] == next_obs
        assert (found.terminated[i], found.truncated[i]) == (terminated, truncated)
        assert (found.obs[i], found.action[i]) == (rows[t].obs[env], rows[t].action[env])
        lengths.add(round(np.log(factor) / np.log(gamma)))
    assert lengths >= {1, n_step}, "no window was cut short"


def test_three_steps_by_hand():
    """Rewards 1, 2, 4; gamma 1/2. They are all three, or two when the second ends the episode."""
    for flags, want in (
        ((0, 0), (3.0, 0.125, 7)),
        ((1, 0), (2.0, 0.25, 6)),
        ((0, 1), (2.0, 0.25, 6)),
        ((1, 1), (2.0, 0.25, 6)),
    ):
        ends = [np.array([[False], [bool(flag)], [False]]) for flag in flags]
        ring = replay.Transition(
            np.zeros((3, 1), np.float32),
            np.zeros((3, 1), int),
            np.float32([[1.0], [2.0], [4.0]]),
            np.float32([[5.0], [6.0], [7.0]]),
            *ends,
        )
        found, discount = take(ring, np.array([0]), np.array([0]), np.float32(0.5), 3)
        assert (found.reward[0], discount[0], found.next_obs[0]) == want
        assert (found.terminated[0], found.truncated[0]) == tuple(bool(flag) for flag in flags)
