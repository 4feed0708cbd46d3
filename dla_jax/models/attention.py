"""What the transformers share: attention over grouped heads, a cache, rotary positions, logits."""

import math

import jax
import jax.numpy as jnp
from jax import lax

MASKED = -1e9  # finite: minus infinity makes nan of a row that is masked whole
# Positions of a causal product that are computed together on CPU; and of so many blocks at most,
# because each is compiled.
BLOCK, BLOCKS = 64, 4


def causal(length: int, span: int, start: jax.Array | int = 0) -> jax.Array:
    """Mark what a decoder may look at: bool [T, S].

    Each of the positions start .. start + T - 1 sees itself and those before it.
    """
    return jnp.arange(span) <= start + jnp.arange(length)[:, None]


def attend(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    visible: jax.Array,
    drop=lambda weights: weights,
    ordered: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """Apply scaled dot-product attention, with the softmax in float32.

    Vaswani et al. 2017, arXiv:1706.03762, equation 1.

    Args:
      q: float [B, T, H, D].
      k, v: float [B, S, G, D]; each serves H / G heads (Ainslie et al. 2023, arXiv:2305.13245).
      visible: bool [T, S], or [B, 1, 1, 1, S] where it differs between texts.
      drop: what dropout makes of the weights.
      ordered: whether `visible` is `causal(T, T)`. On CPU the positions then come in blocks, none
        of which is multiplied with what lies behind it: two blocks save a quarter of the work.

    Returns:
      out: [B, T, H * D].
      weights: float32 [B, H, T, S], rows that sum to one, 0 where nothing is visible.
    """
    batch, length, heads, width = q.shape
    groups, span = k.shape[2], k.shape[1]
    shared = heads // groups
    # Groups first, and the heads of a group as rows of one product: the layout that is fast on CPU.
    q = (q / math.sqrt(width)).reshape(batch, length, groups, shared, width).swapaxes(1, 2)
    q, k, v = q.reshape(batch, groups, -1, width), k.swapaxes(1, 2), v.swapaxes(1, 2)
    visible = jnp.repeat(visible, shared, -2) if visible.ndim == 2 else visible[:, 0]
    step, parts = length, []
    if ordered and jax.default_backend() == "cpu":
        step = max(BLOCK, -(-length // BLOCKS))
    for start in range(0, length, step):
        stop = min(start + step, length)
        seen = stop if ordered else span
        rows = slice(start * shared, stop * shared)  # of what differs between texts: the one row
        looks = visible[..., rows, :seen]
        out, weights = _attend(q[:, :, rows], k[:, :, :seen], v[:, :, :seen], looks, drop)
        parts.append((out, jnp.pad(weights, ((0, 0),) * 3 + ((0, span - seen),))))
    out, weights = (jnp.concatenate(each, 2) for each in zip(*parts, strict=True))
    out = out.reshape(batch, groups, length, shared, width).swapaxes(1, 2)
    weights = weights.reshape(batch, groups, length, shared, span).swapaxes(2, 3)
    return out.reshape(batch, length, -1), weights.reshape(batch, heads, length, span)


def _attend(q, k, v, visible, drop) -> tuple[jax.Array, jax.Array]:
    """Return (out, weights) of queries [B, G, R, D] and of keys and values [B, G, S, D].

    These are [B, G, R, D] and float32 [B, G, R, S].
    """
    scores = jnp.matmul(q, k.swapaxes(2, 3), preferred_element_type=jnp.float32)
    scores = jnp.where(visible, scores, MASKED)
    e = jnp.exp(scores - lax.stop_gradient(scores.max(-1, keepdims=True)))
    total = e.sum(-1, keepdims=True)
    # The softmax divides after the product, where there are fewer numbers. Dropout only scales,
    # so it may come before the division.
    mixed = jnp.matmul(drop(e).astype(v.dtype), v, preferred_element_type=jnp.float32)
    return (mixed / total).astype(v.dtype), e / total


def extend(
    cache: tuple | None, k: jax.Array, v: jax.Array, start: jax.Array | int
) -> tuple[jax.Array, jax.Array]:
    """Return the keys and values that the positions from `start` on attend to.

    Without a cache these are their own; with one, the cache's with their own put in.
    """
    if cache is None:
        return k, v

    def put(held, new):
        return lax.dynamic_update_slice_in_dim(held, new.astype(held.dtype), start, axis=1)

    return put(cache[0], k), put(cache[1], v)


def empty_cache(num_layers: int, batch: int, length: int, heads: int, width: int, dtype) -> tuple:
    """Make a cache for `length` positions: (keys, values) of each layer.

    Keys and values are zeros [batch, length, heads, width] of `dtype`.
    """
    zeros = jnp.zeros((batch, length, heads, width), dtype)
    return tuple((zeros, zeros) for _ in range(num_layers))


def rotate(x: jax.Array, start: jax.Array | int, theta: float) -> jax.Array:
    """Turn pairs of features by angles that grow with the position: rotary positions.

    Pair i of position p is turned by the angle p * theta^(-2i / D) (Su et al. 2021,
    arXiv:2104.09864). A pair is (i, i + D / 2), as in the published weights' files; Meta's own code
    pairs neighbours (2i, 2i + 1).

    Args:
      x: float [B, T, H, D], of the positions start .. start + T - 1.
      start: int32 [].
      theta: base of the angles.

    Returns:
      like `x`, of its dtype.
    """
    half = x.shape[-1] // 2
    frequencies = theta ** (-jnp.arange(half, dtype=jnp.float32) / half)
    angles = (start + jnp.arange(x.shape[1]))[:, None, None] * frequencies
    first, second = jnp.split(x.astype(jnp.float32), 2, axis=-1)
    turned = (
        first * jnp.cos(angles) - second * jnp.sin(angles),
        second * jnp.cos(angles) + first * jnp.sin(angles),
    )
    return jnp.concatenate(turned, -1).astype(x.dtype)


def to_logits(x: jax.Array, embedding: jax.Array) -> jax.Array:
    """Multiply x [B, T, D] and an embedding [V, D], in the dtype of x: logits float32 [B, T, V]."""
    embedding = embedding.astype(x.dtype)
    return jnp.einsum("btd,vd->btv", x, embedding, preferred_element_type=jnp.float32)
