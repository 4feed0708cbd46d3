"""Returns and advantages against plain loops, closed forms and numbers by hand."""

import functools

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dla_jax.rl.returns import backward_sums, discounted_returns, gae, td_targets

discounted_returns, gae, td_targets = map(jax.jit, (discounted_returns, gae, td_targets))


def rows(seed, shape):
    """Draw (reward, terminated, truncated, value, value of what comes next) at random.

    About a third of the steps end in any way.
    """
    rng = np.random.default_rng(seed)
    reward, value, next_value = rng.normal(size=(3, *shape)).astype(np.float32)
    terminated, truncated = rng.random((2, *shape)) < 0.2
    return reward, terminated, truncated, value, next_value


def returns_of_a_loop(reward, terminated, truncated, next_value, gamma):
    """Sum forwards from every step, as the definition says.

    That is rewards until the episode ends, then what the last state is worth.
    """
    found = np.zeros(reward.shape)
    for at in np.ndindex(reward.shape):
        t, *place = at
        discount = 1.0
        while True:
            here = (t, *place)
            found[at] += discount * reward[here]
            discount *= gamma
            if terminated[here]:
                break
            if truncated[here] or t == len(reward) - 1:
                found[at] += discount * next_value[here]
                break
            t += 1
    return found


def advantages_of_a_loop(reward, terminated, truncated, value, next_value, gamma, lam):
    """Sum discounted errors, from every step to the end of its episode or of the rows."""
    found = np.zeros(reward.shape)
    for at in np.ndindex(reward.shape):
        t, *place = at
        weight = 1.0
        while True:
            here = (t, *place)
            found[at] += weight * (
                reward[here] + (0.0 if terminated[here] else gamma * next_value[here]) - value[here]
            )
            weight *= gamma * lam
            if terminated[here] or truncated[here] or t == len(reward) - 1:
                break
            t += 1
    return found


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.sampled_from([(1,), (7,), (8, 3), (5, 2, 3)]),
    gamma=st.sampled_from([0.0, 0.5, 0.99, 1.0]),
    lam=st.sampled_from([0.0, 0.5, 0.95, 1.0]),
)
def test_returns_and_advantages_are_those_of_plain_loops(seed, shape, gamma, lam):
    reward, terminated, truncated, value, next_value = rows(seed, shape)
    ours = discounted_returns(reward, terminated, truncated, next_value, gamma)
    assert ours.shape == shape and ours.dtype == np.float32
    np.testing.assert_allclose(
        ours, returns_of_a_loop(reward, terminated, truncated, next_value, gamma), atol=2e-5
    )
    ours = gae(reward, terminated, truncated, value, next_value, gamma, lam)
    want = advantages_of_a_loop(reward, terminated, truncated, value, next_value, gamma, lam)
    np.testing.assert_allclose(ours, want, atol=2e-5)


def test_with_lambda_one_advantages_are_returns_less_values():
    """Where the value of what comes next is the value of the next row, errors telescope."""
    reward, terminated, truncated, value, next_value = rows(1, (30, 4))
    on = ~(terminated | truncated)[:-1]
    next_value[:-1][on] = value[1:][on]
    returns = discounted_returns(reward, terminated, truncated, next_value, 0.9)
    np.testing.assert_allclose(
        gae(reward, terminated, truncated, value, next_value, 0.9, 1.0), returns - value, atol=2e-5
    )


def test_with_lambda_zero_advantages_are_errors_of_one_step():
    reward, terminated, truncated, value, next_value = rows(2, (30, 4))
    want = np.where(terminated, reward - value, reward + 0.9 * next_value - value)
    np.testing.assert_allclose(
        gae(reward, terminated, truncated, value, next_value, 0.9, 0.0), want, atol=1e-6
    )
    np.testing.assert_allclose(
        td_targets(reward, terminated, next_value, 0.9) - value, want, atol=1e-6
    )


@pytest.mark.parametrize(
    "terminated, truncated, last",
    [(True, False, 1.0), (False, True, 1.0 + 0.5 * 8.0), (True, True, 1.0)],
)
def test_a_time_limit_is_bootstrapped_and_an_end_is_not(terminated, truncated, last):
    """Rewards 1, 1 | 4 with an episode's end after the second.

    The state there is worth 8, the one after the last row 2.
    """
    flags = np.array([False, terminated, False]), np.array([False, truncated, False])
    reward, next_value = np.float32([1, 1, 4]), np.float32([100, 8, 2])
    want = [1 + 0.5 * last, last, 4 + 0.5 * 2]
    np.testing.assert_allclose(discounted_returns(reward, *flags, next_value, 0.5), want)
    value = np.float32([0.1, 0.2, 0.3])
    first_error = 1 + 0.5 * 100 - 0.1
    # nothing of the third row leaks into the second
    want = [first_error + 0.5 * 0.8 * (last - 0.2), last - 0.2, 5 - 0.3]
    np.testing.assert_allclose(gae(reward, *flags, value, next_value, 0.5, 0.8), want, rtol=1e-6)


@functools.cache
def walk(steps, seed, gamma=0.9):
    """Walk a chain of two states.

    A step leads to 0 or 1 at random. Rewards are 3 in state 0 and -2 in state 1, where 1 of 4 steps
    ends the walk.

    Returns:
      (reward, terminated, truncated, state, next state), [steps] each, and the states' values.
    """
    follow = np.array([[0.5, 0.5], [0.25, 0.5]])
    values = np.linalg.solve(np.eye(2) - gamma * follow, [3.0, -2.0])
    rng, state = np.random.default_rng(seed), 0
    states, nexts, ends, cuts = [], [], [], []
    for t in range(steps):
        after = rng.choice(3, p=[*follow[state], 1 - follow[state].sum()])
        states.append(state)
        nexts.append(after % 2)
        ends.append(after == 2)
        cuts.append(t % 5 == 4)
        state = int(rng.integers(2)) if ends[-1] or cuts[-1] else after
    ends, cuts, states, nexts = map(np.array, (ends, cuts, states, nexts))
    return np.where(states == 0, 3.0, -2.0), ends, cuts, states, nexts, values


@pytest.mark.parametrize("lam", [0.0, 0.8, 1.0])
def test_at_the_true_values_advantages_average_to_zero_in_every_state(lam):
    """They are noise then, whatever lambda, but not with cut-off walks taken for ended ones."""
    reward, ends, cuts, states, nexts, values = walk(20_000, 0)
    assert values[0] > 1 and values[1] < -1

    def means(ends, next_value):
        advantage = np.asarray(gae(reward, ends, cuts, values[states], next_value, 0.9, lam))
        return np.array([advantage[states == s].mean() for s in (0, 1)])

    assert np.abs(means(ends, values[nexts])).max() < 0.08
    assert np.abs(means(ends | cuts, values[nexts])).max() > 0.1


def test_long_sums_lose_no_precision():
    total = np.asarray(
        jax.jit(backward_sums)(np.ones(5000, np.float32), np.full(5000, 0.99, np.float32))
    )
    np.testing.assert_allclose(total[0], 100.0, rtol=1e-5)
    np.testing.assert_allclose(total[-3:], [2.9701, 1.99, 1.0], rtol=1e-6)
