"""The losses of the three methods: pure functions, arrays in, one number out.

A loss is minimised. So what should grow, a policy's objective or its entropy, stands in it with a
minus.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax


def ppo_clip_loss(ratio: jax.Array, advantage: jax.Array, clip_eps: jax.Array) -> jax.Array:
    """Return PPO's clipped policy loss: float32 [].

    -mean(min(r A, clip(r, 1 - eps, 1 + eps) A)), equation 7 of Schulman et al. 2017,
    arXiv:1707.06347. Of the two terms the lower one counts: a ratio beyond the clip has no gradient
    where moving on would make the loss smaller, and its full gradient where it has moved the wrong
    way.

    Args:
      ratio: float32 [B], r, the probability of the action now over that when it was played.
      advantage: float32 [B], A.
      clip_eps: float32 [], eps > 0.
    """
    clipped = jnp.clip(ratio, 1 - clip_eps, 1 + clip_eps)
    return -jnp.minimum(ratio * advantage, clipped * advantage).mean()


def ppo_value_loss(
    value: jax.Array, old_value: jax.Array, target: jax.Array, clip_eps: jax.Array, *, clipped: bool
) -> jax.Array:
    """Return half the mean squared error of values, in returns squared: float32 [].

    mean((V - G)^2) / 2; `clipped`: mean(max((V - G)^2, (V' - G)^2)) / 2 with
    V' = V_old + clip(V - V_old, -eps, eps), as usual implementations have it (Huang et al. 2022,
    detail 9). So a value has no gradient once it has moved by more than eps towards its target.

    Args:
      value: float32 [B], V, of the network that learns.
      old_value: float32 [B], V_old, of the network that played.
      target: float32 [B], G.
      clip_eps: float32 [], eps > 0, in units of returns.
    """
    error = (value - target) ** 2
    if clipped:
        near = old_value + jnp.clip(value - old_value, -clip_eps, clip_eps)
        error = jnp.maximum(error, (near - target) ** 2)
    return 0.5 * error.mean()


def with_entropy_bonus(loss: jax.Array, entropy: jax.Array, ent_coef: jax.Array) -> jax.Array:
    """Return a loss that is lower for a policy of more entropy: float32 [].

    L - c H, the last term of equation 9 of Schulman et al. 2017, arXiv:1707.06347.

    Args:
      loss: float32 [], L.
      entropy: float32 [], H, the mean over observations, in nats.
      ent_coef: float32 [], c >= 0.
    """
    return loss - ent_coef * entropy


def td_loss(value: jax.Array, target: jax.Array, *, huber: bool) -> jax.Array:
    """Return the mean error of Q-learning over a batch: float32 [].

    mean(d^2) with d = Q(s, a) - y (Mnih et al. 2015). `huber`: mean(d^2 / 2 where |d| <= 1, else
    |d| - 1/2), whose slope is at most 1. No gradient flows through the target.

    Args:
      value: float32 [B], Q(s, a) of the actions that were played.
      target: float32 [B], y, as `returns.q_targets` gives it.
    """
    error = value - jax.lax.stop_gradient(target)
    return jnp.mean(optax.huber_loss(error) if huber else error**2)


def reinforce_loss(log_prob: jax.Array, advantage: jax.Array, alive: jax.Array) -> jax.Array:
    """Return REINFORCE's loss, -mean(log pi(a | s) A) (Williams 1992): float32 [].

    Its gradient is the estimate of the policy gradient, with a minus. The mean is over steps, so
    that a long episode weighs more than a short one.

    Args:
      log_prob: float32 [T, E], of the actions that were played.
      advantage: float32 [T, E], A, a constant to the gradient.
      alive: bool [T, E], the steps that belong to episodes.
    """
    return -mean_alive(log_prob * advantage, alive)


def reinforce_value_loss(value: jax.Array, target: jax.Array, alive: jax.Array) -> jax.Array:
    """Return half the mean squared error of the baseline, in returns squared: float32 [].

    Args:
      value, target: float32 [T, E], V(s) and the return from there.
      alive: bool [T, E], the steps that belong to episodes.
    """
    return 0.5 * mean_alive((value - target) ** 2, alive)


def living_first(rows, alive: jax.Array) -> tuple:
    """Return rows [T, E, ...] and `alive` [T, E] as [T x E, ...], those that are alive first."""
    order = jnp.argsort(~alive.reshape(-1), stable=True)
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:])[order], (rows, alive))


def mean_in_blocks(of_rows: Callable, rows, alive: jax.Array, size: int):
    """Return the mean over the living rows of what `of_rows` is a mean of, a few rows at a time.

    Blocks without any are left out: where most rows are of no episode, that is quicker than all at
    once.

    Args:
      of_rows: (rows, alive) -> arrays, each a mean over rows that are alive, as of a gradient.
      rows: arrays [N, ...], as `living_first` returns them.
      alive: bool [N], at least one.
      size: rows of a block, a divisor of N; 0: all at once, in whatever order and shape.
    """
    if not size:
        return of_rows(rows, alive)
    of_rows = jax.jit(of_rows, inline=True)  # so that it is traced once, for shapes and loop
    count = jnp.sum(alive)
    block = lambda i: jax.tree.map(
        lambda x: jax.lax.dynamic_slice_in_dim(x, i * size, size), (rows, alive)
    )

    def add(i, mean):
        weight = jnp.minimum(size, count - i * size) / count
        return jax.tree.map(lambda x, y: x + weight * y, mean, of_rows(*block(i)))

    zeros = jax.tree.map(jnp.zeros_like, jax.eval_shape(lambda: of_rows(*block(0))))
    return jax.lax.fori_loop(0, -(-count // size), add, zeros)


def mean_alive(values: jax.Array, alive: jax.Array) -> jax.Array:
    """Return the mean of values float32 [T, E] over the steps that belong to episodes: float32 [].

    So each step weighs the same, not each episode.
    """
    return jnp.sum(jnp.where(alive, values, 0.0)) / jnp.sum(alive)
