"""Llama 2: rotary positions, RMSNorm, SwiGLU, grouped-query attention, no biases, its own head.

Touvron et al. 2023, arXiv:2307.09288. RMSNorm stands before each part. Parameters are named as in
the published weights.
"""

import math
from typing import NamedTuple

import flax.linen as nn

from dla_jax.models.attention import attend, causal, empty_cache, extend, rotate, to_logits
from dla_jax.models.dropout import Dropout
from dla_jax.models.fast_products import fast_dot_general


class LlamaConfig(NamedTuple):
    """Sizes: longest context, layers, heads of queries and of keys, width, inner width of the MLP.

    `dropout`, which Llama has none of, is where GPT-2 has it.
    `dtype`: of the computation; parameters, norms' statistics, softmax and logits are float32.
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
    dtype: str = "float32"

    def dense(self, width: int, name: str, std: float = 0.02) -> nn.Dense:
        """Make a dense layer without bias that starts normal."""
        return nn.Dense(
            width,
            use_bias=False,
            dtype=self.dtype,
            kernel_init=nn.initializers.normal(std),
            dot_general=fast_dot_general,
            name=name,
        )

    def added(self, name: str) -> nn.Dense:
        """Make the last layer of a part, whose output is added to the part's input.

        It starts smaller, by the root of the number of additions.
        """
        return self.dense(self.n_embd, name=name, std=0.02 / math.sqrt(2 * self.n_layer))

    def norm(self, name: str) -> nn.RMSNorm:
        """Make an RMSNorm over the features of one token.

        Zhang and Sennrich 2019, arXiv:1910.07467.
        """
        return nn.RMSNorm(epsilon=self.norm_eps, dtype=self.dtype, name=name)

    def drop(self, train: bool) -> Dropout:
        """Make a dropout, which is on in training alone."""
        return Dropout(self.dropout, deterministic=not train)


class Attention(nn.Module):
    """Apply causal self-attention.

    Returns what it adds, its weights, and the turned keys and the values.
    """

    config: LlamaConfig

    @nn.compact
    def __call__(self, x, cache, start, train):
        config = self.config
        width = config.n_embd // config.n_head

        def project(heads, name):
            projected = config.dense(heads * width, name=name)(x)
            return projected.reshape(*x.shape[:2], heads, width)

        q = project(config.n_head, name="q_proj")
        k = project(config.n_kv_head, name="k_proj")
        q, k = rotate(q, start, config.rope_theta), rotate(k, start, config.rope_theta)
        k, v = extend(cache, k, project(config.n_kv_head, name="v_proj"), start)
        visible = causal(x.shape[1], k.shape[1], start)
        out, weights = attend(q, k, v, visible, config.drop(train), ordered=cache is None)
        return config.drop(train)(config.added(name="o_proj")(out)), weights, (k, v)


class MLP(nn.Module):
    """Apply a gated dense layer: down(silu(gate(x)) * up(x)) (Shazeer 2020, arXiv:2002.05202)."""

    config: LlamaConfig

    @nn.compact
    def __call__(self, x, train):
        config = self.config
        gate = config.dense(config.intermediate, name="gate_proj")(x)
        up = config.dense(config.intermediate, name="up_proj")(x)
        return config.drop(train)(config.added(name="down_proj")(nn.silu(gate) * up))


class Layer(nn.Module):
    """Add attention and then an MLP to the input; return the attention's weights and keys too."""

    config: LlamaConfig

    @nn.compact
    def __call__(self, x, cache, start, train):
        config = self.config
        normalised = config.norm(name="input_layernorm")(x)
        out, weights, held = Attention(config, name="self_attn")(normalised, cache, start, train)
        x = x + out
        normalised = config.norm(name="post_attention_layernorm")(x)
        return x + MLP(config, name="mlp")(normalised, train), weights, held


class Llama(nn.Module):
    """Predict each next token; `n_kv_head` heads of keys and values serve `n_head` of queries.

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

    config: LlamaConfig

    @nn.compact
    def __call__(self, tokens, *, train: bool = False, cache=None, start=0):
        config, normal = self.config, nn.initializers.normal(0.02)
        shape = (config.vocab_size, config.n_embd)
        embed_tokens = nn.Embed(
            *shape, dtype=config.dtype, name="embed_tokens", embedding_init=normal
        )
        x = config.drop(train)(embed_tokens(tokens))
        attention, held = [()] * config.n_layer, [()] * config.n_layer
        for i in range(config.n_layer):
            layer = Layer(config, name=f"layers_{i}")
            x, attention[i], held[i] = layer(x, cache and cache[i], start, train)
        x = config.norm(name="norm")(x)
        head = embed_tokens.embedding if config.tied else self.param("lm_head", normal, shape)
        features = {"hidden": x, "attention": tuple(attention), "cache": tuple(held)}
        return to_logits(x, head), features

    def empty_cache(self, batch: int) -> tuple:
        """Make a cache for `block_size` positions."""
        config = self.config
        return empty_cache(
            config.n_layer,
            batch=batch,
            length=config.block_size,
            heads=config.n_kv_head,
            width=config.n_embd // config.n_head,
            dtype=config.dtype,
        )
