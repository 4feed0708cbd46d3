"""Discounted returns, advantages and targets, with the two ways an episode ends kept apart.

A *terminated* episode is over: nothing comes after it, and the value of what follows is 0. A *truncated* one was cut off by a
time limit: its last state has a value like any other, and is bootstrapped from it (Pardo et al. 2018, arXiv:1712.00378). When
both come together the episode is over. Either way the next row belongs to another episode, so sums over time stop there.
"""

import jax
import jax.numpy as jnp


def backward_sums(terms: jax.Array, factors: jax.Array) -> jax.Array:
    """s_t = terms_t + factors_t * s_{t+1} along axis 0, with s_T = 0: a linear recurrence, in log2(T) parallel steps."""

    def join(later, earlier):
        (a, x), (b, y) = later, earlier
        return a * b, y + b * x

    return jax.lax.associative_scan(join, (factors, terms), reverse=True)[1]


def discounted_returns(reward, terminated, truncated, last_value, gamma) -> jax.Array:
    """Monte-Carlo returns G_t = r_t + gamma G_{t+1}, bootstrapped where a time limit, or the end of the rows, cuts them off.

    Args:
      reward: float32 [T, ...].
      terminated, truncated: bool [T, ...], of the step that `reward` is for.
      last_value: float32 [T, ...], the value of the state that step t led to, before any reset; 0 for no bootstrap. It is used
        where the step is truncated, and in the last row.
      gamma: discount in [0, 1].

    Returns:
      float32 [T, ...].
    """
    cut = truncated | (jnp.arange(len(reward)) == len(reward) - 1).reshape(
        -1, *[1] * (reward.ndim - 1)
    )
    bootstrap = jnp.where(cut & ~terminated, last_value, 0.0)
    return backward_sums(reward + gamma * bootstrap, gamma * (1.0 - (terminated | truncated)))


def td_targets(reward, terminated, next_value, gamma) -> jax.Array:
    """r + gamma V(s') of single steps, V(s') counting as 0 where the episode is over: float32 [...] of the same shapes."""
    return reward + gamma * jnp.where(terminated, 0.0, next_value)


def gae(reward, terminated, truncated, value, next_value, gamma, lam) -> jax.Array:
    """Generalised advantage estimates, equations 11 to 16 of Schulman et al. 2016, arXiv:1506.02438.

    delta_t = r_t + gamma V(s'_t) - V(s_t), where s'_t is what step t led to *before* any reset; the trace gamma * lam is cut at
    every end of an episode, also of one that is bootstrapped.

    Args:
      reward, value, next_value: float32 [T, ...].
      terminated, truncated: bool [T, ...].
      gamma, lam: in [0, 1].

    Returns:
      float32 [T, ...]; value + advantage is the TD(lam) target of the value function.
    """
    delta = td_targets(reward, terminated, next_value, gamma) - value
    return backward_sums(delta, gamma * lam * (1.0 - (terminated | truncated)))
