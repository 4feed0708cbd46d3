"""A ring of past steps in the compiled state, and samples of one or several steps from it.

Rows of all E environments stand in the order of time, so that n-step returns (Sutton 1988; Hessel
et al. 2018, arXiv:1710.02298) are put together when they are sampled. Where the next row is written
is a function of the number of rows so far, which all runs of one program share: an index that
differed between them would turn each write into a scatter.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Transition(NamedTuple):
    """One step, or several in a row."""

    obs: jax.Array  # float32 [..., obs]
    action: jax.Array  # int32 [...]
    reward: jax.Array  # float32 [...], discounted sum over the steps
    next_obs: jax.Array  # float32 [..., obs]: what the last step led to, before any reset
    terminated: jax.Array  # bool [...]: nothing comes after it
    truncated: jax.Array  # bool [...]: cut off by a time limit


def start(like: Transition, length: int) -> Transition:
    """Return an empty ring: arrays [L, E, ...]. `like`: one row, [E, ...]."""
    return jax.tree.map(lambda row: jnp.zeros((length, *row.shape), row.dtype), like)


def add(ring: Transition, row: Transition, rows_before: jax.Array) -> Transition:
    """Return the ring with a row [E, ...] written over its oldest.

    Args:
      rows_before: int32 [], how many were ever added.
    """
    at = rows_before % len(ring.action)
    put = lambda store, new: jax.lax.dynamic_update_index_in_dim(store, new, at, 0)
    return jax.tree.map(put, ring, row)


def sample_places(
    uniform: jax.Array, rows: jax.Array, length: int, num_envs: int, n_step: int
) -> tuple[jax.Array, jax.Array]:
    """Return where samples begin, such that `n_step` rows from there on are in the ring.

    Args:
      uniform: float32 [2, B] in [0, 1).
      rows: int32 [], how many were ever added, at least `n_step`.

    Returns:
      (row int32 [B], environment int32 [B]).
    """
    filled = jnp.minimum(rows, length)
    # the minimum: rounding could reach count
    pick = lambda u, count: jnp.minimum(jnp.int32(u * count), count - 1)
    row = (rows - filled + pick(uniform[0], filled - n_step + 1)) % length
    return row, pick(uniform[1], num_envs)


def take(
    ring: Transition, row: jax.Array, env: jax.Array, gamma: jax.Array, n_step: int
) -> tuple[Transition, jax.Array]:
    """Return the transitions of `n_step` steps each, or of fewer where an episode ends.

    Returns:
      (Transition [B, ...], discount float32 [B] of the value of `next_obs`: gamma to the number of
      steps).
    """
    length, num_envs = ring.action.shape[:2]
    at = lambda store, k: store.reshape(-1, *store.shape[2:])[(row + k) % length * num_envs + env]
    found = jax.tree.map(lambda store: at(store, 0), ring)
    discount = jnp.full(row.shape, gamma)
    for k in range(1, n_step):
        on = ~(found.terminated | found.truncated)
        later = jax.tree.map(lambda store, k=k: at(store, k), ring)
        select = lambda new, old, on=on: jnp.where(on.reshape(-1, *[1] * (old.ndim - 1)), new, old)
        reward = found.reward + jnp.where(on, discount * later.reward, 0.0)
        found = jax.tree.map(select, later, found)._replace(
            obs=found.obs, action=found.action, reward=reward
        )
        discount = jnp.where(on, discount * gamma, discount)
    return found, discount
