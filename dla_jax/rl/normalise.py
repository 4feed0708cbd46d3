"""Running mean and variance, for observations and rewards whose scale is not known."""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Stats(NamedTuple):
    """Statistics of all values so far, by entry."""

    count: jax.Array  # float32 []
    mean: jax.Array  # float32 [...]
    squares: jax.Array  # float32 [...], the sum of squared differences from the mean


def start(shape: tuple[int, ...]) -> Stats:
    """Return the statistics before any value."""
    return Stats(jnp.float32(0), jnp.zeros(shape), jnp.zeros(shape))


def add(stats: Stats, values: jax.Array) -> Stats:
    """Return the statistics with more values [T, E, ...] (Chan, Golub and LeVeque 1979)."""
    count = jnp.float32(values.shape[0] * values.shape[1])
    mean, total = values.mean((0, 1)), stats.count + count
    squares = jnp.sum((values - mean) ** 2, (0, 1))
    shift = mean - stats.mean
    return Stats(
        total,
        stats.mean + shift * count / total,
        stats.squares + squares + shift**2 * stats.count * count / total,
    )


def deviation(stats: Stats) -> jax.Array:
    """Return the standard deviation, float32 [...]; 1 before any value."""
    variance = jnp.where(stats.count > 0, stats.squares / jnp.maximum(stats.count, 1.0), 1.0)
    return jnp.sqrt(variance + 1e-8)


def centred(values: jax.Array, stats: Stats) -> jax.Array:
    """Return values with mean 0 and deviation 1, clipped to 10 deviations on either side."""
    return jnp.clip((values - stats.mean) / deviation(stats), -10.0, 10.0)
