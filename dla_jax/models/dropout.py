"""Dropout of the transformers, whose random bits are a part of a training step's time on CPU."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jax.extend import random

LEVELS = 1 << 16  # values of 16 bits


class Dropout(nn.Module):
    """Put zeros at random places, and divide the others by the probability that they stay.

    Srivastava et al. 2014. As `nn.Dropout`, except that on CPU the probability is rounded
    (`kept`), and that one draw of Threefry decides four numbers instead of one. Accelerators draw
    as `nn.Dropout` does.

    Fields:
      rate: probability of a zero, in [0, 1).
      deterministic: whether nothing is dropped; else the call needs the rng "dropout".
    """

    rate: float
    deterministic: bool

    @nn.compact
    def __call__(self, x):
        if self.rate == 0 or self.deterministic:
            return x
        key, keep = self.make_rng("dropout"), 1 - self.rate
        if jax.default_backend() == "cpu":
            mask, keep = kept(key, keep, x.shape)
        else:
            mask = jax.random.bernoulli(key, keep, x.shape)
        return jnp.where(mask, x / keep, 0)


def kept(key: jax.Array, keep: float, shape: tuple[int, ...]) -> tuple[jax.Array, float]:
    """Draw which numbers stay, 16 bits for each: bool of this shape.

    Threefry (Salmon et al. 2011), JAX's own generator, makes 64 bits of a key and a counter.
    `jax.random.bits` makes one number of them; here they are four.

    Returns:
      the mask; the probability to stay, which is `keep` rounded to a multiple of 2^-16, and at
      least that.
    """
    stays, size = max(1, round(keep * LEVELS)), math.prod(shape)
    draws = -(-size // 4)
    words = random.threefry_2x32(jax.random.key_data(key), lax.iota(jnp.uint32, 2 * draws))
    parts = [
        part < stays
        for word in words.reshape(2, draws)
        for part in (word & (LEVELS - 1), word >> 16)
    ]
    return jnp.concatenate(parts)[:size].reshape(shape), stays / LEVELS
