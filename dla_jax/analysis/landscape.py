"""The loss around trained parameters, along filter-normalised directions.

Li et al. 2018, arXiv:1712.09913, section 4: of two networks that compute the same, the one with
larger weights looks flatter along the same direction; so each filter of a direction has the norm of
the network's own.
"""

import zlib
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np


def direction(key: jax.Array, params: dict) -> dict:
    """Draw a random direction, filter-normalised.

    Each kernel is Gaussian, and each of its filters, the weights of one output unit, is scaled to
    the norm of the network's filter. Biases, norms and all other parameters do not move. Networks
    of the same shapes have the same Gaussian numbers under one key, before they are scaled.

    Args:
      key: of these draws.
      params: of one of our nets; kernels are [..., in, out], in a stack of blocks [n, ..., out].

    Returns:
      A tree like `params`.
    """

    def draw(path, leaf):
        keys = [part.key for part in path]
        if keys[-1] != "kernel":
            return jnp.zeros_like(leaf)
        own = jax.random.fold_in(key, np.uint32(zlib.crc32("/".join(keys).encode())))
        noise = jax.random.normal(own, leaf.shape, leaf.dtype)
        axes = tuple(range(int("block" in keys), leaf.ndim - 1))
        return noise * (_norm(leaf, axes) / _norm(noise, axes))

    return jax.tree_util.tree_map_with_path(draw, params)


def _norm(kernel: jax.Array, axes: tuple[int, ...]) -> jax.Array:
    return jnp.sqrt(jnp.square(kernel).sum(axes, keepdims=True))


def surface(
    loss_of_params: Callable,
    params: dict,
    first: dict,
    second: dict,
    alphas: jax.Array,
    betas: jax.Array,
    *,
    chunk: int = 1,
) -> jax.Array:
    """Return the loss on a grid, at params + alpha * first + beta * second.

    Args:
      loss_of_params: params -> float32 []; with BatchNorm, `loss_with_batch_statistics`.
      params: the centre.
      first, second: directions, trees like `params` (`direction`).
      alphas: float [A], along the first direction.
      betas: float [B], along the second.
      chunk: points computed at once; more take more memory, and are slower on CPUs, where
        convolutions with kernels that differ are slow.

    Returns:
      float32 [A, B], row i at alphas[i].
    """

    def loss_at(point):
        alpha, beta = point
        moved = jax.tree.map(lambda p, d, e: p + alpha * d + beta * e, params, first, second)
        return loss_of_params(moved)

    rows, columns = jnp.meshgrid(jnp.asarray(alphas), jnp.asarray(betas), indexing="ij")
    found = jax.lax.map(loss_at, (rows.ravel(), columns.ravel()), batch_size=chunk)
    return found.reshape(rows.shape)


def cut(
    loss_of_params: Callable, params: dict, along: dict, alphas: jax.Array, *, chunk: int = 1
) -> jax.Array:
    """Return the loss on a line, at params + alpha * along.

    Args:
      loss_of_params, params, chunk: as in `surface`.
      along: a direction, a tree like `params`.
      alphas: float [A].

    Returns:
      float32 [A].
    """

    def loss_at(alpha):
        return loss_of_params(jax.tree.map(lambda p, d: p + alpha * d, params, along))

    return jax.lax.map(loss_at, jnp.asarray(alphas), batch_size=chunk)
