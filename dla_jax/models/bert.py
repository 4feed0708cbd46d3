"""BERT, RoBERTa and DistilBERT: one encoder, which differs in positions, token types and the head of a classifier.

Devlin et al. 2019, arXiv:1810.04805; Liu et al. 2019, arXiv:1907.11692; Sanh et al. 2019, arXiv:1910.01108.
"""

import math
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from dla_jax.models.attention import attend
from dla_jax.models.layers import fast_dot_general

FAMILIES = ("bert", "roberta", "distilbert")
# What stands for a whole text: means of its tokens (`mean_padded`: of the padding too, as lab B has it), one token, or what
# the family's published classifiers take: BERT's pooler, the first token of the others.
POOLINGS = ("mean", "mean_padded", "first", "published")
# As the error function has it, which on CPU is faster than the complement that nn.gelu takes.
ACTIVATIONS = {
    "gelu": lambda x: 0.5 * x * (1 + jax.lax.erf(x / math.sqrt(2))),
    "gelu_new": nn.gelu,
    "relu": nn.relu,
}


class BertConfig(NamedTuple):
    """Sizes: positions in the table, token types (0: none), layers, heads, width.

    `dropout`: of embeddings, attention weights and what each part adds. `pooler`: whether there is BERT's.
    """

    family: str
    vocab_size: int
    max_positions: int
    n_layer: int
    n_head: int
    n_embd: int
    intermediate: int
    type_vocab: int = 0
    pad_id: int = 0
    eps: float = 1e-12
    activation: str = "gelu"
    pooler: bool = False
    dropout: float = 0.0
    dtype: str = "float32"  # of the computation; parameters, norms' statistics, softmax and logits are float32

    @property
    def block_size(self) -> int:
        """Tokens that a text may have: RoBERTa counts its positions from behind the padding's."""
        return self.max_positions - (self.pad_id + 1 if self.family == "roberta" else 0)

    def dense(self, width: int, name: str) -> nn.Dense:
        """A dense layer that starts normal."""
        init = nn.initializers.normal(0.02)
        return nn.Dense(
            width, dtype=self.dtype, kernel_init=init, dot_general=fast_dot_general, name=name
        )

    def norm(self, name: str) -> nn.LayerNorm:
        """LayerNorm (Ba et al. 2016, arXiv:1607.06450)."""
        return nn.LayerNorm(epsilon=self.eps, dtype=self.dtype, name=name)

    def drop(self, train: bool) -> nn.Dropout:
        """Dropout."""
        return nn.Dropout(self.dropout, deterministic=not train)


def is_text(tokens: jax.Array, length: jax.Array) -> jax.Array:
    """bool [B, T]: where tokens [B, T] are not padding behind a text of so many tokens, length int32 [B]."""
    return jnp.arange(tokens.shape[1]) < length[:, None]


def positions_of(config: BertConfig, tokens: jax.Array, length: jax.Array) -> jax.Array:
    """Rows of the table of positions: int32 [T] or [B, T].

    RoBERTa's begin at `pad_id + 1`, and padding has `pad_id`, as its authors' code has it.
    """
    places = jnp.arange(tokens.shape[1])
    if config.family != "roberta":
        return places
    return jnp.where(is_text(tokens, length), places + 1, 0) + config.pad_id


class Embeddings(nn.Module):
    """Tokens, positions and token types, added and normalised."""

    config: BertConfig

    @nn.compact
    def __call__(self, tokens, length, types, train):
        config = self.config
        embed = lambda size, name: nn.Embed(
            size,
            config.n_embd,
            dtype=config.dtype,
            name=name,
            embedding_init=nn.initializers.normal(0.02),
        )
        x = embed(config.vocab_size, "word_embeddings")(tokens)
        x = x + embed(config.max_positions, "position_embeddings")(
            positions_of(config, tokens, length)
        )
        if config.type_vocab:
            x = x + embed(config.type_vocab, "token_type_embeddings")(
                jnp.zeros((1, 1), int) if types is None else types
            )
        return config.drop(train)(config.norm("LayerNorm")(x))


class Layer(nn.Module):
    """Attention and MLP, each added to its input and then normalised; returns the attention's weights too."""

    config: BertConfig

    @nn.compact
    def __call__(self, x, visible, train):
        config, heads = self.config, (*x.shape[:2], self.config.n_head, -1)
        q, k, v = (
            config.dense(config.n_embd, name)(x).reshape(heads)
            for name in ("query", "key", "value")
        )
        out, weights = attend(q, k, v, visible, config.drop(train))
        x = config.norm("attention_norm")(
            x + config.drop(train)(config.dense(config.n_embd, "attention_output")(out))
        )
        h = ACTIVATIONS[config.activation](config.dense(config.intermediate, "intermediate")(x))
        return config.norm("output_norm")(
            x + config.drop(train)(config.dense(config.n_embd, "output")(h))
        ), weights


class Encoder(nn.Module):
    """The encoder.

    Args of the call:
      tokens: int32 [B, T], T <= block_size, padded behind.
      length: int32 [B], tokens of each text.
      types: int32 [B, T], which of two texts a token belongs to; None: all to the first.
      train: whether dropout is on; then it needs the rng "dropout".
      frozen_layers: the gradient stops behind so many layers; -1: nowhere, 0: behind the embeddings.

    Returns:
      {"hidden": [B, T, n_embd], "attention": float32 [B, n_head, T, T] a layer; "pooled": [B, n_embd] where there is a pooler}.
    """

    config: BertConfig

    @nn.compact
    def __call__(self, tokens, length, types=None, *, train: bool = False, frozen_layers: int = -1):
        config, attention = self.config, []
        visible = is_text(tokens, length)[:, None, None, None]
        x = Embeddings(config, name="embeddings")(tokens, length, types, train)
        for i in range(config.n_layer + 1):
            if i == frozen_layers:
                x = jax.lax.stop_gradient(x)
            if i < config.n_layer:
                x, weights = Layer(config, name=f"layer_{i}")(x, visible, train)
                attention.append(weights)
        features = {"hidden": x, "attention": tuple(attention)}
        if config.pooler:
            features["pooled"] = jnp.tanh(config.dense(config.n_embd, "pooler")(x[:, 0]))
        return features


def pool(features: dict, length: jax.Array, how: str) -> jax.Array:
    """One vector a text, float32 [B, D], of hidden states [B, T, D] and lengths int32 [B].

    `how`: one of POOLINGS, or "last" for a decoder, whose last token alone has seen the whole text.
    """
    hidden = features["hidden"].astype(jnp.float32)
    if how == "published" and "pooled" in features:
        return features["pooled"].astype(jnp.float32)
    if how in ("first", "published"):
        return hidden[:, 0]
    if how == "last":
        return jnp.take_along_axis(hidden, jnp.maximum(length - 1, 0)[:, None, None], axis=1)[:, 0]
    if how == "mean_padded":
        return hidden.mean(1)
    total = jnp.where(is_text(hidden[..., 0], length)[..., None], hidden, 0.0).sum(1)
    return total / jnp.maximum(length, 1)[:, None]


class Head(nn.Module):
    """Logits float32 of pooled vectors [B, D]: for "published" what the family's published classifiers have, named as theirs;
    else lab B's two layers with a ReLU between."""

    config: BertConfig
    num_classes: int
    pooling: str

    @nn.compact
    def __call__(self, x, train):
        config, drop = self.config, self.config.drop(train)
        logits = lambda name: nn.Dense(
            self.num_classes, name=name, kernel_init=nn.initializers.normal(0.02)
        )
        x = x.astype(config.dtype)
        if self.pooling != "published":
            return logits("classifier")(
                drop(nn.relu(config.dense(config.n_embd, "dense")(x))).astype(jnp.float32)
            )
        if config.family == "roberta":
            return logits("out_proj")(
                drop(jnp.tanh(config.dense(config.n_embd, "dense")(drop(x)))).astype(jnp.float32)
            )
        if config.family == "distilbert":
            return logits("classifier")(
                drop(nn.relu(config.dense(config.n_embd, "pre_classifier")(x))).astype(jnp.float32)
            )
        return logits("classifier")(drop(x).astype(jnp.float32))


class Classifier(nn.Module):
    """Encoder, pooling, head.

    Args of the call: those of the encoder. Returns logits float32 [B, num_classes]; the encoder's features.
    """

    config: BertConfig
    num_classes: int
    pooling: str

    @nn.compact
    def __call__(self, tokens, length, types=None, *, train: bool = False, frozen_layers: int = -1):
        features = Encoder(self.config, name="encoder")(
            tokens, length, types, train=train, frozen_layers=frozen_layers
        )
        pooled = pool(features, length, self.pooling)
        return Head(self.config, self.num_classes, self.pooling, name="head")(
            pooled, train
        ), features
