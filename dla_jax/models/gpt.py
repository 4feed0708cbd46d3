"""GPT-2: learned positions, LayerNorm before each part, GELU, and a head that is the embedding.

Radford et al. 2019, "Language models are unsupervised multitask learners". Parameters are named as
in the published weights.
"""

import math
from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp

from dla_jax.models.attention import attend, causal, empty_cache, extend, to_logits
from dla_jax.models.dropout import Dropout
from dla_jax.models.fast_products import fast_dot_general


class GPTConfig(NamedTuple):
    """Sizes: positions, layers, heads, width; and what is chosen beside them.

    `tied`: whether the embedding is the head too, as in GPT-2; else there is one of its own.
    `dropout`: of embeddings, attention weights and what each part adds.
    `dtype`: of the computation; parameters, norms' statistics, softmax and logits are float32.
    """

    vocab_size: int
    block_size: int
    n_layer: int
    n_head: int
    n_embd: int
    tied: bool = True
    dropout: float = 0.0
    dtype: str = "float32"

    def embed(self, size: int, name: str) -> nn.Embed:
        """Make a table of vectors that starts normal."""
        init = nn.initializers.normal(0.02)
        return nn.Embed(size, self.n_embd, dtype=self.dtype, name=name, embedding_init=init)

    def dense(self, width: int, name: str, std: float = 0.02) -> nn.Dense:
        """Make a dense layer that starts normal."""
        init = nn.initializers.normal(std)
        return nn.Dense(
            width, dtype=self.dtype, kernel_init=init, dot_general=fast_dot_general, name=name
        )

    def added(self, name: str) -> nn.Dense:
        """Make the last layer of a part, whose output is added to the part's input.

        It starts smaller, by the root of the number of additions.
        """
        return self.dense(self.n_embd, name=name, std=0.02 / math.sqrt(2 * self.n_layer))

    def norm(self, name: str) -> nn.LayerNorm:
        """Make a LayerNorm (Ba et al. 2016, arXiv:1607.06450)."""
        return nn.LayerNorm(epsilon=1e-5, dtype=self.dtype, name=name)

    def drop(self, train: bool) -> Dropout:
        """Make a dropout, which is on in training alone."""
        return Dropout(self.dropout, deterministic=not train)


class Attention(nn.Module):
    """Apply causal self-attention; return what it adds, its weights, and the keys and values."""

    config: GPTConfig

    @nn.compact
    def __call__(self, x, cache, start, train):
        config = self.config
        by_head = (*x.shape[:2], config.n_head, -1)
        projected = config.dense(3 * config.n_embd, name="c_attn")(x)
        q, k, v = (part.reshape(by_head) for part in jnp.split(projected, 3, axis=-1))
        k, v = extend(cache, k, v, start)
        visible = causal(x.shape[1], k.shape[1], start)
        out, weights = attend(q, k, v, visible, config.drop(train), ordered=cache is None)
        return config.drop(train)(config.added(name="c_proj")(out)), weights, (k, v)


class MLP(nn.Module):
    """Apply two dense layers, the first four times as wide."""

    config: GPTConfig

    @nn.compact
    def __call__(self, x, train):
        config = self.config
        x = nn.gelu(config.dense(4 * config.n_embd, name="c_fc")(x), approximate=True)
        return config.drop(train)(config.added(name="c_proj")(x))


class Block(nn.Module):
    """Add attention and then an MLP to the input; return the attention's weights and keys too."""

    config: GPTConfig

    @nn.compact
    def __call__(self, x, cache, start, train):
        config = self.config
        normalised = config.norm(name="ln_1")(x)
        out, weights, held = Attention(config, name="attn")(normalised, cache, start, train)
        x = x + out
        return x + MLP(config, name="mlp")(config.norm(name="ln_2")(x), train), weights, held


class GPT(nn.Module):
    """Predict each next token of a text from those before it.

    Args of the call:
      tokens: int32 [B, T], T <= block_size, at the positions start .. start + T - 1.
      train: whether dropout is on; then it needs the rng "dropout".
      cache: what `empty_cache` makes, filled by the calls for the positions before `start`; None:
        there are none.
      start: int32 [].

    Returns:
      logits: float32 [B, T, vocab_size].
      features: {"hidden": [B, T, n_embd] before the head, "attention": float32 [B, n_head, T, S] a
        layer, "cache"}.
    """

    config: GPTConfig

    @nn.compact
    def __call__(self, tokens, *, train: bool = False, cache=None, start=0):
        config = self.config
        wte = config.embed(config.vocab_size, name="wte")
        wpe = config.embed(config.block_size, name="wpe")
        x = config.drop(train)(wte(tokens) + wpe(start + jnp.arange(tokens.shape[1])))
        attention, held = [()] * config.n_layer, [()] * config.n_layer
        for i in range(config.n_layer):
            block = Block(config, name=f"h_{i}")
            x, attention[i], held[i] = block(x, cache and cache[i], start, train)
        x = config.norm(name="ln_f")(x)
        if config.tied:
            head = wte.embedding
        else:
            shape = (config.vocab_size, config.n_embd)
            head = self.param("lm_head", nn.initializers.normal(0.02), shape)
        features = {"hidden": x, "attention": tuple(attention), "cache": tuple(held)}
        return to_logits(x, head), features

    def empty_cache(self, batch: int) -> tuple:
        """Make a cache for `block_size` positions."""
        config = self.config
        return empty_cache(
            config.n_layer,
            batch=batch,
            length=config.block_size,
            heads=config.n_head,
            width=config.n_embd // config.n_head,
            dtype=config.dtype,
        )
