"""Discounted returns, advantages and targets, with the two ways an episode ends kept apart.

A *terminated* episode is over: nothing comes after it, and the value of what follows is 0. A
*truncated* one was cut off by a time limit: its last state has a value like any other, and is
bootstrapped from it (Pardo et al. 2018, arXiv:1712.00378). When both come together the episode is
over. Either way the next row belongs to another episode, so sums over time stop there.
"""

import jax
import jax.numpy as jnp


def episode_over(terminated: jax.Array, truncated: jax.Array, bootstrap) -> jax.Array:
    """Return the steps after which nothing counts any more: bool [...].

    Args:
      terminated, truncated: bool [...].
      bootstrap: 1 or 0: whether a time limit is bootstrapped, or counts as an end.
    """
    return terminated | (truncated & (bootstrap == 0))


def backward_sums(terms: jax.Array, factors: jax.Array) -> jax.Array:
    """Return s_t = terms_t + factors_t * s_{t+1} along axis 0, with s_T = 0.

    This is a linear recurrence, computed in log2(T) parallel steps.

    Args:
      terms, factors: float32 [T, ...].

    Returns:
      float32 [T, ...].
    """

    def join(later, earlier):
        (a, x), (b, y) = later, earlier
        return a * b, y + b * x

    return jax.lax.associative_scan(join, (factors, terms), reverse=True)[1]


def discounted_returns(reward, terminated, truncated, last_value, gamma) -> jax.Array:
    """Return the Monte-Carlo returns G_t = r_t + gamma G_{t+1}.

    They are bootstrapped where a time limit, or the end of the rows, cuts them off.

    Args:
      reward: float32 [T, ...].
      terminated, truncated: bool [T, ...], of the step that `reward` is for.
      last_value: float32 [T, ...], the value of the state that step t led to, before any reset; 0
        for no bootstrap. It is used where the step is truncated, and in the last row.
      gamma: discount in [0, 1].

    Returns:
      float32 [T, ...].
    """
    steps = jnp.arange(len(reward)).reshape(-1, *[1] * (reward.ndim - 1))
    cut = truncated | (steps == len(reward) - 1)
    bootstrap = jnp.where(cut & ~terminated, last_value, 0.0)
    return backward_sums(reward + gamma * bootstrap, gamma * (1.0 - (terminated | truncated)))


def td_targets(reward, terminated, next_value, gamma) -> jax.Array:
    """Return r + gamma V(s') of single steps, with V(s') = 0 where the episode is over.

    All arguments and the result are float32 or bool of one shape [...]; gamma may be a scalar.
    """
    return reward + gamma * jnp.where(terminated, 0.0, next_value)


def q_targets(target_q, online_q, reward, over, discount) -> jax.Array:
    """Return the targets of Q-learning, r + discount * Q_target(s', a'): float32 [B].

    The action a' is the one of the highest value: of the target network (Mnih et al. 2015), or of
    the online network in double Q-learning (van Hasselt et al. 2016, arXiv:1509.06461).

    Args:
      target_q: float32 [B, A], the target network's values of s'.
      online_q: float32 [B, A], the online network's, for double Q-learning; else None.
      reward: float32 [B], r, the discounted sum over the steps from s to s'.
      over: bool [B]: nothing counts after these steps, so that the second term is 0.
      discount: float32 [B], gamma to the number of steps.
    """
    chosen = jnp.argmax(target_q if online_q is None else online_q, -1)
    value = jnp.take_along_axis(target_q, chosen[:, None], -1)[:, 0]
    return td_targets(reward, over, value, discount)


def gae(reward, terminated, truncated, value, next_value, gamma, lam) -> jax.Array:
    """Return generalised advantage estimates.

    Equations 11 to 16 of Schulman et al. 2016, arXiv:1506.02438, from the errors
    delta_t = r_t + gamma V(s'_t) - V(s_t), where s'_t is what step t led to *before* any reset. The
    trace gamma * lam is cut at every end of an episode, also of one that is bootstrapped.

    Args:
      reward, value, next_value: float32 [T, ...].
      terminated, truncated: bool [T, ...].
      gamma, lam: in [0, 1].

    Returns:
      float32 [T, ...]; value + advantage is the TD(lam) target of the value function.
    """
    delta = td_targets(reward, terminated, next_value, gamma) - value
    return backward_sums(delta, gamma * lam * (1.0 - (terminated | truncated)))


def standardised(advantage: jax.Array) -> jax.Array:
    """Return advantages of mean 0 and deviation 1, zeros where all are equal: float32 [B]."""
    return (advantage - advantage.mean()) / (advantage.std() + 1e-8)
