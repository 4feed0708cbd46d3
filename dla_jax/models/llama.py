"""Llama 2: rotary positions, RMSNorm before each part, SwiGLU, grouped-query attention, no biases, a head of its own.

Touvron et al. 2023, arXiv:2307.09288. Parameters are named as in the published weights.
"""

import math
from typing import NamedTuple

import flax.linen as nn

from dla_jax.models.attention import attend, causal, empty_cache, extend, rotate
from dla_jax.models.layers import fast_dot_general, to_logits


class LlamaConfig(NamedTuple):
    """Sizes: longest context, layers, heads of queries and of keys, width, inner width of the gated layer.

    `dropout`, which Llama has none of, is where GPT-2 has it.
    """

    vocab_size: int
    block_size: int
    n_layer: int
    n_head: int
    n_kv_head: int
    n_embd: int
    intermediate: int
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-5
    tied: bool = False
    dropout: float = 0.0
    dtype: str = "float32"  # of the computation; parameters, norms' statistics, softmax and logits are float32

    def dense(self, width: int, name: str, std: float = 0.02) -> nn.Dense:
        """A dense layer that starts normal."""
        init = nn.initializers.normal(std)
        return nn.Dense(
            width,
            use_bias=False,
            dtype=self.dtype,
            kernel_init=init,
            dot_general=fast_dot_general,
            name=name,
        )

    def added(self, name: str) -> nn.Dense:
        """The last layer of a part: what is added starts smaller, by the root of the number of additions."""
        return self.dense(self.n_embd, name, 0.02 / math.sqrt(2 * self.n_layer))

    def norm(self, name: str) -> nn.RMSNorm:
        """RMSNorm (Zhang and Sennrich 2019, arXiv:1910.07467), over the features of one token."""
        return nn.RMSNorm(epsilon=self.norm_eps, dtype=self.dtype, name=name)

    def drop(self, train: bool) -> nn.Dropout:
        """Dropout."""
        return nn.Dropout(self.dropout, deterministic=not train)


class Attention(nn.Module):
    """Causal self-attention; returns what it adds, its weights, and the turned keys and the values."""

    config: LlamaConfig

    @nn.compact
    def __call__(self, x, cache, start, train):
        config, head = self.config, self.config.n_embd // self.config.n_head
        project = lambda heads, name: config.dense(heads * head, name)(x).reshape(
            *x.shape[:2], heads, head
        )
        q, k = project(config.n_head, "q_proj"), project(config.n_kv_head, "k_proj")
        q, k = rotate(q, start, config.rope_theta), rotate(k, start, config.rope_theta)
        k, v = extend(cache, k, project(config.n_kv_head, "v_proj"), start)
        out, weights = attend(q, k, v, causal(x.shape[1], k.shape[1], start), config.drop(train))
        return config.drop(train)(config.added("o_proj")(out)), weights, (k, v)


class MLP(nn.Module):
    """A gated dense layer: down(silu(gate(x)) * up(x)) (Shazeer 2020, arXiv:2002.05202)."""

    config: LlamaConfig

    @nn.compact
    def __call__(self, x, train):
        dense = self.config.dense
        x = nn.silu(dense(self.config.intermediate, "gate_proj")(x)) * dense(
            self.config.intermediate, "up_proj"
        )(x)
        return self.config.drop(train)(self.config.added("down_proj")(x))


class Layer(nn.Module):
    """Attention and MLP, each added to its input."""

    config: LlamaConfig

    @nn.compact
    def __call__(self, x, cache, start, train):
        norm = self.config.norm
        out, weights, held = Attention(self.config, name="self_attn")(
            norm("input_layernorm")(x), cache, start, train
        )
        x = x + out
        return (
            x + MLP(self.config, name="mlp")(norm("post_attention_layernorm")(x), train),
            weights,
            held,
        )


class Llama(nn.Module):
    """The decoder; `n_kv_head` heads of keys and values serve `n_head` of queries.

    Args of the call:
      tokens: int32 [B, T], T <= block_size, at the positions start .. start + T - 1.
      train: whether dropout is on; then it needs the rng "dropout".
      cache: what `empty_cache` makes, filled by the calls for the positions before `start`; None: there are none.
      start: int32 [].

    Returns:
      logits: float32 [B, T, vocab_size].
      features: {"hidden": [B, T, n_embd] before the head, "attention": float32 [B, n_head, T, S] a layer, "cache"}.
    """

    config: LlamaConfig

    @nn.compact
    def __call__(self, tokens, *, train: bool = False, cache=None, start=0):
        config, normal = self.config, nn.initializers.normal(0.02)
        embed_tokens = nn.Embed(
            config.vocab_size,
            config.n_embd,
            dtype=config.dtype,
            name="embed_tokens",
            embedding_init=normal,
        )
        x = config.drop(train)(embed_tokens(tokens))
        attention, held = [()] * config.n_layer, [()] * config.n_layer
        for i in range(config.n_layer):
            x, attention[i], held[i] = Layer(config, name=f"layers_{i}")(
                x, cache and cache[i], start, train
            )
        x = config.norm("norm")(x)
        head = (
            embed_tokens.embedding
            if config.tied
            else self.param("lm_head", normal, (config.vocab_size, config.n_embd))
        )
        return to_logits(x, head), {
            "hidden": x,
            "attention": tuple(attention),
            "cache": tuple(held),
        }

    def empty_cache(self, batch: int) -> tuple:
        """A cache for `block_size` positions."""
        config = self.config
        head = config.n_embd // config.n_head
        return empty_cache(
            config.n_layer, batch, config.block_size, config.n_kv_head, head, config.dtype
        )
