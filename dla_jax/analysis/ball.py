"""Balls around images: where an attack may go.

Radii are in the units of images in [0, 1], one for all images or one for each.
"""

import jax
import jax.numpy as jnp

from dla_jax.config.checks import check

NORMS = ("linf", "l2")


def project(delta: jax.Array, epsilon: jax.Array | float, norm: str = "linf") -> jax.Array:
    """Return the nearest perturbation in the ball of radius epsilon, image by image.

    Args:
      delta: float32 [B, H, W, C].
      epsilon: float32 [] or [B], at least 0.
      norm: "linf" or "l2".

    Raises:
      ConfigError: another norm.
    """
    _check_norm(norm)
    epsilon = per_image(epsilon, delta)
    if norm == "linf":
        return jnp.clip(delta, -epsilon, epsilon)
    length = _length(delta)
    return delta * jnp.where(length > epsilon, epsilon / jnp.where(length > 0, length, 1), 1)


def clip_to_images(x: jax.Array, delta: jax.Array) -> jax.Array:
    """Return x + delta in [0, 1]: for x in [0, 1] it is not farther from x than delta says."""
    return jnp.clip(x + delta, 0, 1)


def direction(gradient: jax.Array, norm: str = "linf") -> jax.Array:
    """Return the step of length 1 that climbs most, image by image; 0 where the gradient is 0.

    Args:
      gradient: float32 [B, H, W, C].
      norm: "linf": its signs; "l2": the gradient over its length.

    Raises:
      ConfigError: another norm.
    """
    _check_norm(norm)
    if norm == "linf":
        return jnp.sign(gradient)
    # The squares of a sure network's gradients would underflow.
    largest = jnp.abs(gradient).max(tuple(range(1, gradient.ndim)), keepdims=True)
    scaled = gradient / jnp.where(largest > 0, largest, 1)
    return scaled / jnp.maximum(_length(scaled), 1)


def draw(key: jax.Array, x: jax.Array, epsilon: jax.Array | float, norm: str = "linf") -> jax.Array:
    """Draw images uniformly from the balls around x, then clip them to [0, 1].

    Args:
      key: of the draw.
      x: float32 [B, H, W, C] in [0, 1].
      epsilon: float32 [] or [B].
      norm: "linf" or "l2".

    Raises:
      ConfigError: another norm.
    """
    _check_norm(norm)
    if norm == "linf":
        unit = jax.random.uniform(key, x.shape, x.dtype, minval=-1.0)
    else:
        of_direction, of_radius = jax.random.split(key)
        radius = jax.random.uniform(of_radius, len(x), x.dtype) ** (1 / x[0].size)
        towards = direction(jax.random.normal(of_direction, x.shape, x.dtype), norm)
        unit = per_image(radius, x) * towards
    return clip_to_images(x, per_image(epsilon, x) * unit)


def per_image(value: jax.Array | float, x: jax.Array) -> jax.Array:
    """Return one value, or one for each image [B], in a shape that goes with x [B, ...]."""
    return jnp.reshape(value, (-1, *[1] * (x.ndim - 1)))


def _length(delta: jax.Array) -> jax.Array:
    """Return the L2 norm of each image's perturbation, float32 [B, 1, 1, 1]."""
    return jnp.sqrt(jnp.square(delta).sum(tuple(range(1, delta.ndim)), keepdims=True))


def _check_norm(norm: str) -> None:
    check(norm in NORMS, f"norm: {norm!r} is not known; give one of {', '.join(NORMS)}")
