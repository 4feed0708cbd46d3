"""What the transformers share: attention over grouped heads, the decoders' cache, and rotary positions."""

import math

import jax
import jax.numpy as jnp
from jax import lax

MASKED = -1e9  # finite: minus infinity makes nan of a row that is masked whole


def causal(length: int, span: int, start: jax.Array | int = 0) -> jax.Array:
    """What a decoder may look at: bool [T, S], for each of the positions start .. start + T - 1 itself and those before."""
    return jnp.arange(span) <= start + jnp.arange(length)[:, None]


def attend(
    q: jax.Array, k: jax.Array, v: jax.Array, visible: jax.Array, drop=lambda weights: weights
) -> tuple[jax.Array, jax.Array]:
    """Scaled dot-product attention (Vaswani et al. 2017, arXiv:1706.03762, equation 1), softmax in float32.

    Args:
      q: float [B, T, H, D].
      k, v: float [B, S, G, D]; each serves H / G heads (Ainslie et al. 2023, arXiv:2305.13245).
      visible: bool [T, S], or [B, 1, 1, 1, S] where it differs between texts.
      drop: what dropout makes of the weights.

    Returns:
      out: [B, T, H * D]; weights: float32 [B, H, T, S], rows that sum to one, 0 where nothing is visible.
    """
    batch, length, heads, width = q.shape
    groups, span = k.shape[2], k.shape[1]
    by_head = (batch, groups, heads // groups, length, -1)
    # Groups first, and the heads of a group as rows of one product: the layout that is fast on CPU.
    q = (q / math.sqrt(width)).reshape(batch, length, groups, -1, width).transpose(0, 2, 3, 1, 4)
    q, k, v = q.reshape(batch, groups, -1, width), k.swapaxes(1, 2), v.swapaxes(1, 2)
    scores = jnp.matmul(q, k.swapaxes(2, 3), preferred_element_type=jnp.float32).reshape(by_head)
    scores = jnp.where(visible, scores, MASKED)
    e = jnp.exp(scores - lax.stop_gradient(scores.max(-1, keepdims=True)))
    total = e.sum(-1, keepdims=True)
    # The softmax's division comes after the product, on fewer numbers; dropout, which scales, may come before it.
    mixed = jnp.matmul(
        drop(e).astype(v.dtype).reshape(batch, groups, -1, span),
        v,
        preferred_element_type=jnp.float32,
    )
    out = (mixed.reshape(by_head) / total).astype(v.dtype).transpose(0, 3, 1, 2, 4)
    return out.reshape(batch, length, heads * width), (e / total).reshape(
        batch, heads, length, span
    )


def extend(
    cache: tuple | None, k: jax.Array, v: jax.Array, start: jax.Array | int
) -> tuple[jax.Array, jax.Array]:
    """The keys and values that the positions from `start` on attend to: their own, or the cache's with theirs put in."""
    if cache is None:
        return k, v
    put = lambda held, new: lax.dynamic_update_slice_in_dim(
        held, new.astype(held.dtype), start, axis=1
    )
    return put(cache[0], k), put(cache[1], v)


def empty_cache(num_layers: int, batch: int, length: int, heads: int, width: int, dtype) -> tuple:
    """A cache for `length` positions: for each layer keys and values, [batch, length, heads, width]."""
    zeros = jnp.zeros((batch, length, heads, width), dtype)
    return tuple((zeros, zeros) for _ in range(num_layers))


def rotate(x: jax.Array, start: jax.Array | int, theta: float) -> jax.Array:
    """Rotary positions (Su et al. 2021, arXiv:2104.09864): pair i of position p is turned by the angle p * theta^(-2i / D).

    A pair is (i, i + D / 2), as in the published weights' files; Meta's own code pairs neighbours (2i, 2i + 1).

    Args:
      x: float [B, T, H, D], of the positions start .. start + T - 1.
      start: int32 [].
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
