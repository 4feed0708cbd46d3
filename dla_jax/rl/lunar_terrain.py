"""The moon that LunarLander lands on: a line of straight slopes, and what touches it.

Lengths are in metres. Box2D's shapes have a skin: they touch before they meet.
"""

import jax
import jax.numpy as jnp
import numpy as np

from dla_jax.rl.pinned_bodies import cross, rotate

WIDTH, HEIGHT = 20.0, 40 / 3  # of gymnasium's picture, 600 x 400 pixels at 30 a metre
PAD = HEIGHT / 4  # height of the landing pad, before the terrain is smoothed
POINTS = 11  # of the terrain, the ends of its slopes
SPACING = WIDTH / (POINTS - 1)
SKIN = 0.02  # Box2D's polygons touch at two polygon radii


def terrain(key: jax.Array) -> jax.Array:
    """Return the heights [11] of a random terrain, flat at the pad."""
    height = jax.random.uniform(key, (POINTS + 1,), maxval=HEIGHT / 2)
    middle = POINTS // 2
    height = height.at[middle - 2 : middle + 3].set(PAD)
    # the point before the first is the last, as in gymnasium
    return 0.33 * (jnp.roll(height, 1) + height + jnp.roll(height, -1))[:POINTS]


def above(ground: jax.Array, points: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return how far points [P, 2] are from the slope below them, skin included, and its normal."""
    x = jnp.clip(points[:, 0] / SPACING, 0, POINTS - 1 - 1e-4)
    # sums over all slopes, where a lookup would be slower
    here = jnp.arange(POINTS - 1) == jnp.floor(x)[:, None]
    left, rise = (here * ground[:-1]).sum(1), (here * jnp.diff(ground)).sum(1)
    normal = jnp.stack([-rise, jnp.full_like(rise, SPACING)], axis=1)
    normal = normal / jnp.sqrt((normal**2).sum(1, keepdims=True))
    height = left + rise * (points[:, 0] / SPACING - jnp.floor(x))
    return (points[:, 1] - height) * normal[:, 1] - SKIN, normal


def peaks_of(ground: jax.Array) -> jax.Array:
    """Return the ends of the slopes: float32 [11, 2]."""
    return jnp.stack([jnp.arange(POINTS) * SPACING, ground], axis=1)


def touched_slopes(ends: jax.Array, ground: jax.Array, most: float) -> jax.Array:
    """Return which slopes line segments touch: bool [S, 10].

    That is where their part above a slope comes nearer to it than `most`, skin included.

    Args:
      ends: float32 [S, 2, 2], two points of each segment.
    """
    peaks = peaks_of(ground)
    slope = jnp.diff(peaks, axis=0)
    length = jnp.sqrt((slope**2).sum(1, keepdims=True))
    slope = slope / length
    from_peak = ends[:, None] - peaks[:-1, None]  # [S, 10, 2, 2]
    along = (from_peak * slope[:, None]).sum(-1)
    height = cross(slope[:, None], from_peak) - SKIN
    step = along[..., 1:] - along[..., :1]
    step = jnp.where(abs(step) < 1e-6, 1e-6, step)
    # where on the segment, from 0 to 1, it is above the one end of a slope and above the other
    first, last = -along[..., :1] / step, (length - along[..., :1]) / step
    cuts = jnp.concatenate([jnp.minimum(first, last), jnp.maximum(first, last)], axis=-1)
    beside = (cuts[..., 0] > 1) | (cuts[..., 1] < 0)
    rise = height[..., 1:] - height[..., :1]
    lowest = (height[..., :1] + jnp.clip(cuts, 0, 1) * rise).min(-1)
    return ~beside & (lowest <= most)


def polygon_separation(
    corners: np.ndarray, place: jax.Array, angle: jax.Array, ground: jax.Array
) -> jax.Array:
    """Return how far a convex polygon is from the ground, skin included: float32 [].

    It is negative where they overlap, because of a corner or of a peak of the ground.

    Args:
      corners: float32 [C, 2], counter-clockwise, from `place` at angle 0.
    """
    sides = np.roll(corners, -1, 0) - corners
    outward = sides[:, ::-1] * np.float32([1, -1]) / np.hypot(*sides.T)[:, None]
    local = rotate(peaks_of(ground) - place, -angle)
    outside = ((local[:, None] - corners) * outward).sum(-1).max(1) - SKIN
    return jnp.minimum(above(ground, place + rotate(corners, angle))[0].min(), outside.min())
