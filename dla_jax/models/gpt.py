"""GPT-2: learned positions, LayerNorm before each part, GELU, and a head that is the embedding.

Radford et al. 2019, "Language models are unsupervised multitask learners". Parameters are named as in the published weights.
"""

import math
from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp

from dla_jax.models.attention import attend, causal, empty_cache, extend
from dla_jax.models.layers import fast_dot_general, to_logits


class GPTConfig(NamedTuple):
    """Sizes: positions, layers, heads, width. `dropout`: of embeddings, attention weights and what each part adds.

    `tied`: whether the embedding is the head too, as in GPT-2; else there is one of its own.
    """

    vocab_size: int
    block_size: int
    n_layer: int
    n_head: int
    n_embd: int
    tied: bool = True
    dropout: float = 0.0
    dtype: str = "float32"  # of the computation; parameters, norms' statistics, softmax and logits are float32

    def dense(self, width: int, name: str, std: float = 0.02) -> nn.Dense:
        """A dense layer that starts normal."""
        init = nn.initializers.normal(std)
        return nn.Dense(
            width, dtype=self.dtype, kernel_init=init, dot_general=fast_dot_general, name=name
        )

    def added(self, name: str) -> nn.Dense:
        """The last layer of a part: what is added starts smaller, by the root of the number of additions."""
        return self.dense(self.n_embd, name, 0.02 / math.sqrt(2 * self.n_layer))

    def norm(self, name: str) -> nn.LayerNorm:
        """LayerNorm (Ba et al. 2016, arXiv:1607.06450)."""
        return nn.LayerNorm(epsilon=1e-5, dtype=self.dtype, name=name)

    def drop(self, train: bool) -> nn.Dropout:
        """Dropout."""
        return nn.Dropout(self.dropout, deterministic=not train)


class Attention(nn.Module):
    """Causal self-attention; returns what it adds, its weights, and the keys and values."""

    config: GPTConfig

    @nn.compact
    def __call__(self, x, cache, start, train):
        config, heads = self.config, (*x.shape[:2], self.config.n_head, -1)
        q, k, v = (
            part.reshape(heads)
            for part in jnp.split(config.dense(3 * config.n_embd, "c_attn")(x), 3, axis=-1)
        )
        k, v = extend(cache, k, v, start)
        out, weights = attend(q, k, v, causal(x.shape[1], k.shape[1], start), config.drop(train))
        return config.drop(train)(config.added("c_proj")(out)), weights, (k, v)


class MLP(nn.Module):
    """Two dense layers, the first four times as wide."""

    config: GPTConfig

    @nn.compact
    def __call__(self, x, train):
        x = nn.gelu(self.config.dense(4 * self.config.n_embd, "c_fc")(x), approximate=True)
        return self.config.drop(train)(self.config.added("c_proj")(x))


class Block(nn.Module):
    """Attention and MLP, each added to its input."""

    config: GPTConfig

    @nn.compact
    def __call__(self, x, cache, start, train):
        out, weights, held = Attention(self.config, name="attn")(
            self.config.norm("ln_1")(x), cache, start, train
        )
        x = x + out
        return x + MLP(self.config, name="mlp")(self.config.norm("ln_2")(x), train), weights, held


class GPT(nn.Module):
    """The decoder.

    Args of the call:
      tokens: int32 [B, T], T <= block_size, at the positions start .. start + T - 1.
      train: whether dropout is on; then it needs the rng "dropout".
      cache: what `empty_cache` makes, filled by the calls for the positions before `start`; None: there are none.
      start: int32 [].

    Returns:
      logits: float32 [B, T, vocab_size].
      features: {"hidden": [B, T, n_embd] before the head, "attention": float32 [B, n_head, T, S] a layer, "cache"}.
    """

    config: GPTConfig

    @nn.compact
    def __call__(self, tokens, *, train: bool = False, cache=None, start=0):
        config = self.config
        embed = lambda size, name: nn.Embed(
            size,
            config.n_embd,
            dtype=config.dtype,
            name=name,
            embedding_init=nn.initializers.normal(0.02),
        )
        wte, wpe = embed(config.vocab_size, "wte"), embed(config.block_size, "wpe")
        x = config.drop(train)(wte(tokens) + wpe(start + jnp.arange(tokens.shape[1])))
        attention, held = [()] * config.n_layer, [()] * config.n_layer
        for i in range(config.n_layer):
            x, attention[i], held[i] = Block(config, name=f"h_{i}")(
                x, cache and cache[i], start, train
            )
        x = config.norm("ln_f")(x)
        own = (config.vocab_size, config.n_embd)
        head = (
            wte.embedding
            if config.tied
            else self.param("lm_head", nn.initializers.normal(0.02), own)
        )
        return to_logits(x, head), {
            "hidden": x,
            "attention": tuple(attention),
            "cache": tuple(held),
        }

    def empty_cache(self, batch: int) -> tuple:
        """A cache for `block_size` positions."""
        config = self.config
        return empty_cache(
            config.n_layer,
            batch,
            config.block_size,
            config.n_head,
            config.n_embd // config.n_head,
            config.dtype,
        )
