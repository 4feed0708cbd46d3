"""Losses and targets against numbers by hand."""

import functools

import jax
import numpy as np
import pytest

from dla_jax.rl import losses, returns

CLIP = 0.2


def row(*values):
    return np.array(values, bool if isinstance(values[0], bool) else np.float32)


@functools.partial(jax.jit, static_argnames="huber")
def td_loss(value, target, huber):
    """Return the loss and its gradients, in the value and in the target."""
    of = lambda value, target: losses.td_loss(value, target, huber=huber)
    return of(value, target), *jax.grad(of, argnums=(0, 1))(value, target)


@jax.jit
@jax.value_and_grad
def policy_loss(ratio, advantage):
    return losses.ppo_clip_loss(ratio, advantage, CLIP)


@jax.jit
@jax.value_and_grad
def value_loss(value, target):
    """Return the loss of a value that was 1 when the rollout was played."""
    return losses.ppo_value_loss(value, 1.0, target, CLIP, clipped=True)


@pytest.mark.parametrize(
    ("ratio", "advantage", "want", "slope"),
    [
        (1.0, 2.0, -2.0, -2.0),
        (1.1, 2.0, -2.2, -2.0),  # within the clip
        (0.9, 2.0, -1.8, -2.0),
        (1.5, 2.0, -2.4, 0.0),  # likelier by more than the clip: 1.2 * 2, nothing more to gain
        (0.5, 2.0, -1.0, -2.0),  # moved the wrong way: not clipped, so that it comes back
        (1.5, -2.0, 3.0, 2.0),
        (0.5, -2.0, 1.6, 0.0),  # 0.8 * 2
    ],
)
def test_of_ratio_and_clipped_ratio_the_worse_one_counts(ratio, advantage, want, slope):
    found, gradient = policy_loss(ratio, advantage)
    assert float(found) == pytest.approx(want, rel=1e-6)
    assert float(gradient) == pytest.approx(slope, abs=1e-6)


def test_the_policy_loss_is_a_mean():
    found = losses.ppo_clip_loss(row(1.0, 1.5), row(2.0, -2.0), CLIP)
    assert float(found) == pytest.approx((-2.0 + 3.0) / 2)


@pytest.mark.parametrize(
    ("value", "target", "want", "slope"),
    [
        (1.1, 3.0, 0.5 * 1.9**2, -1.9),  # moved by less than the clip
        (1.5, 3.0, 0.5 * 1.8**2, 0.0),  # moved by 0.5 towards its target: as if by 0.2
        (0.5, 3.0, 0.5 * 2.5**2, -2.5),  # moved away: not clipped, the larger error counts
        (0.5, -1.0, 0.5 * 1.8**2, 0.0),
    ],
)
def test_a_value_that_has_moved_by_the_clip_has_no_gradient(value, target, want, slope):
    found, gradient = value_loss(value, target)
    assert float(found) == pytest.approx(want, rel=1e-6)
    assert float(gradient) == pytest.approx(slope, abs=1e-6)


def test_without_clipping_old_values_do_not_matter():
    value, target = row(1.0, 4.0), row(3.0, 3.0)
    for old in (row(0.0, 0.0), row(9.0, 9.0)):
        found = losses.ppo_value_loss(value, old, target, CLIP, clipped=False)
        assert float(found) == pytest.approx(0.5 * (4 + 1) / 2)


def test_entropy_makes_a_loss_lower():
    assert float(losses.with_entropy_bonus(3.0, 2.0, 0.1)) == pytest.approx(2.8)
    assert losses.with_entropy_bonus(3.0, 2.0, 0.0) == 3.0
    assert jax.grad(losses.with_entropy_bonus, argnums=1)(3.0, 2.0, 0.1) == pytest.approx(-0.1)


def test_errors_of_q_learning_are_squared_or_hubers():
    value, target = row(1.0, 1.0, 1.0), row(1.5, 4.0, -1.0)  # errors -0.5, -3 and 2
    assert float(td_loss(value, target, huber=False)[0]) == pytest.approx((0.25 + 9 + 4) / 3)
    hubers, slopes, of_target = td_loss(value, target, huber=True)
    assert float(hubers) == pytest.approx((0.125 + 2.5 + 1.5) / 3)
    np.testing.assert_allclose(slopes, [-0.5 / 3, -1 / 3, 1 / 3], rtol=1e-6)
    np.testing.assert_array_equal(of_target, 0)


@pytest.mark.parametrize("huber", [False, True])
def test_no_gradient_flows_through_the_target(huber):
    _, slopes, of_target = td_loss(row(1.0, 1.0, 1.0), row(4.0, 2.0, 0.5), huber)
    assert np.all(slopes != 0) and not np.any(of_target)


def test_a_time_limit_is_an_end_only_without_bootstrap():
    terminated = row(False, True, False, True)
    truncated = row(False, False, True, True)
    for bootstrap, want in ((1.0, [False, True, False, True]), (0.0, [False, True, True, True])):
        over = returns.episode_over(terminated, truncated, np.float32(bootstrap))
        np.testing.assert_array_equal(over, want)


@pytest.mark.parametrize(
    ("double", "want"),
    [
        (False, [1 + 0.5 * 8, 1]),
        (True, [1 + 0.5 * 4, 1]),  # the online network's action, with the target network's value
    ],
)
def test_targets_of_q_learning(double, want):
    """Rewards of 1, a discount of 1/2; nothing comes after the second."""
    found = jax.jit(returns.q_targets)(
        target_q=np.tile(row(8.0, 4.0), (2, 1)),
        online_q=np.tile(row(0.0, 1.0), (2, 1)) if double else None,
        reward=row(1.0, 1.0),
        over=row(False, True),
        discount=row(0.5, 0.5),
    )
    np.testing.assert_array_equal(found, want)


ALIVE = np.array([[True, True], [True, False]])


def test_reinforce_raises_the_probability_of_what_was_better_than_expected():
    """Three steps of two episodes; what stands beyond the second's end does not count."""
    log_prob = np.array([[-1.0, -2.0], [-3.0, -9.0]])
    advantage = np.array([[1.0, -1.0], [2.0, 99.0]])
    found, slopes = jax.jit(jax.value_and_grad(losses.reinforce_loss))(log_prob, advantage, ALIVE)
    assert float(found) == pytest.approx(-(-1 * 1 + -2 * -1 + -3 * 2) / 3)
    np.testing.assert_allclose(slopes, [[-1 / 3, 1 / 3], [-2 / 3, 0]], rtol=1e-6)


def test_the_baseline_has_half_the_mean_squared_error():
    value = np.array([[1.0, 2.0], [3.0, 9.0]])
    target = np.array([[2.0, 2.0], [1.0, 99.0]])
    found = losses.reinforce_value_loss(value, target, ALIVE)
    assert float(found) == pytest.approx(0.5 * (1 + 0 + 4) / 3)


def test_means_are_over_steps_that_are_alive():
    values = np.array([[1.0, 2.0], [6.0, np.nan]])
    assert float(losses.mean_alive(values, ALIVE)) == pytest.approx(3.0)
