"""The Square attack: a random search that sees logits alone, no gradient.

Andriushchenko et al. 2020, arXiv:1912.00049, for the L-infinity ball. Where it beats attacks by the
gradient, the gradient is masked. Conventions as `analysis/attacks.py`.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from dla_jax.analysis.attacks import choose, margin
from dla_jax.analysis.ball import clip_to_images, per_image
from dla_jax.config.checks import check

# Of 10,000 queries, after how many the squares get half as large (section 5 of the paper).
HALVED_AFTER = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)


def side_of(query: jax.Array, num_queries: jax.Array | int, size: tuple, p_init: float):
    """Return the side of the squares at a query, in pixels, int32 [].

    Args:
      query: int32 [], from 0.
      num_queries: of the whole attack; the schedule is stretched to it.
      size: (height, width) of the images.
      p_init: what fraction of the pixels changes at first.
    """
    of_10000 = 10_000 * (query / num_queries)
    halvings = (of_10000 > jnp.array(HALVED_AFTER)).sum()
    side = jnp.round(jnp.sqrt(p_init * size[0] * size[1] / 2.0**halvings))
    return jnp.clip(side, 1, min(size)).astype(jnp.int32)


def inside_of(key: jax.Array, batch: int, side: jax.Array, length: int) -> jax.Array:
    """Draw a square for each image: which of its rows, or columns, are inside, bool [B, length]."""
    first = jax.random.randint(key, (batch, 1), 0, length - side + 1)
    at = jnp.arange(length)
    return (at >= first) & (at < first + side)


def square(
    forward: Callable,
    x: jax.Array,
    labels: jax.Array,
    key: jax.Array,
    epsilon: jax.Array | float,
    num_queries: jax.Array | int,
    *,
    p_init: float = 0.8,
) -> jax.Array:
    """Return images after a random search for a negative margin, by algorithms 1 and 2.

    It starts from vertical stripes of plus or minus epsilon. Every query sets one square of each
    image to plus or minus epsilon, a sign a channel, and keeps it where the margin falls. An image
    that fools the network is left alone, and the search ends when all do.

    Args:
      forward: images float32 [B, H, W, C] -> logits float32 [B, K], each image on its own; it is
        not differentiated.
      x: float32 [B, H, W, C] in [0, 1].
      labels: int32 [B], the true classes.
      key: of the search.
      epsilon: float32 [] or [B].
      num_queries: int32 [], from 1, the stripes among them.
      p_init: what fraction of the pixels the first squares have, in (0, 1].

    Raises:
      ConfigError: p_init is out of range.
    """
    check(0 < p_init <= 1, f"square: p_init={p_init}; give more than 0, at most 1")
    batch, height, width, channels = x.shape
    radius = per_image(epsilon, x)

    def signs(key, shape):
        return radius * jax.random.rademacher(key, (batch, *shape), x.dtype)

    def query(state):
        i, delta, least = state
        of_row, of_column, of_sign = jax.random.split(jax.random.fold_in(key, i), 3)
        side = side_of(i - 1, num_queries, (height, width), p_init)
        rows, columns = (
            inside_of(of_row, batch, side, height),
            inside_of(of_column, batch, side, width),
        )
        inside = rows[:, :, None, None] & columns[:, None, :, None]
        changed = jnp.where(inside, signs(of_sign, (1, 1, channels)), delta)
        found = margin(forward(clip_to_images(x, changed)), labels)
        better = (least >= 0) & (found < least)
        return i + 1, *choose(better, (changed, found), (delta, least))

    def goes_on(state):
        i, _, least = state
        return (i < num_queries) & (least >= 0).any()

    stripes = jnp.broadcast_to(signs(jax.random.fold_in(key, 0), (1, width, channels)), x.shape)
    least = margin(forward(clip_to_images(x, stripes)), labels)
    _, delta, _ = jax.lax.while_loop(goes_on, query, (1, stripes, least))
    return clip_to_images(x, delta)
