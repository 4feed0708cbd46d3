"""BERT, RoBERTa and DistilBERT: one encoder of texts, and the classifier on top of it.

The three differ in positions, token types and the head of a classifier. Devlin et al. 2019,
arXiv:1810.04805; Liu et al. 2019, arXiv:1907.11692; Sanh et al. 2019, arXiv:1910.01108.
"""

import math
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from dla_jax.models.attention import attend
from dla_jax.models.dropout import Dropout
from dla_jax.models.fast_products import fast_dot_general

FAMILIES = ("bert", "roberta", "distilbert")
# What stands for a whole text: means of its tokens (`mean_padded`: of the padding too, as lab B has
# it), one token, or what the family's published classifiers take: BERT's pooler, the first token of
# the others.
POOLINGS = ("mean", "mean_padded", "first", "published")


def gelu(x: jax.Array) -> jax.Array:
    """Return x times the normal distribution function.

    It uses the error function, on CPU faster than the complement that `nn.gelu` takes.
    """
    return 0.5 * x * (1 + jax.lax.erf(x / math.sqrt(2)))


ACTIVATIONS = {"gelu": gelu, "gelu_new": nn.gelu, "relu": nn.relu}


class BertConfig(NamedTuple):
    """Sizes: positions in the table, token types (0: none), layers, heads, width.

    `pooler`: whether there is BERT's.
    `dropout`: of embeddings, attention weights and what each part adds.
    `dtype`: of the computation; parameters, norms' statistics, softmax and logits are float32.
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
    dtype: str = "float32"

    @property
    def block_size(self) -> int:
        """Return how many tokens a text may have.

        RoBERTa counts its positions from behind the padding's.
        """
        return self.max_positions - (self.pad_id + 1 if self.family == "roberta" else 0)

    def embed(self, size: int, name: str) -> nn.Embed:
        """Make a table of vectors that starts normal."""
        init = nn.initializers.normal(0.02)
        return nn.Embed(size, self.n_embd, dtype=self.dtype, name=name, embedding_init=init)

    def dense(self, width: int, name: str) -> nn.Dense:
        """Make a dense layer that starts normal."""
        init = nn.initializers.normal(0.02)
        return nn.Dense(
            width, dtype=self.dtype, kernel_init=init, dot_general=fast_dot_general, name=name
        )

    def norm(self, name: str) -> nn.LayerNorm:
        """Make a LayerNorm (Ba et al. 2016, arXiv:1607.06450)."""
        return nn.LayerNorm(epsilon=self.eps, dtype=self.dtype, name=name)

    def drop(self, train: bool) -> Dropout:
        """Make a dropout, which is on in training alone."""
        return Dropout(self.dropout, deterministic=not train)


def is_text(tokens: jax.Array, length: jax.Array) -> jax.Array:
    """Mark the tokens that are not padding: bool [B, T].

    Args:
      tokens: [B, T], padded behind.
      length: int32 [B], tokens of each text.
    """
    return jnp.arange(tokens.shape[1]) < length[:, None]


def positions_of(config: BertConfig, tokens: jax.Array, length: jax.Array) -> jax.Array:
    """Return each token's row in the table of positions: int32 [T] or [B, T].

    RoBERTa's begin at `pad_id + 1`, and padding has `pad_id`, as its authors' code has it.
    """
    places = jnp.arange(tokens.shape[1])
    if config.family != "roberta":
        return places
    return jnp.where(is_text(tokens, length), places + 1, 0) + config.pad_id


class Embeddings(nn.Module):
    """Add the vectors of tokens, positions and token types, and normalise the sum."""

    config: BertConfig

    @nn.compact
    def __call__(self, tokens, length, types, train):
        config = self.config
        x = config.embed(config.vocab_size, name="word_embeddings")(tokens)
        positions = positions_of(config, tokens, length)
        x = x + config.embed(config.max_positions, name="position_embeddings")(positions)
        if config.type_vocab:
            types = jnp.zeros((1, 1), int) if types is None else types
            x = x + config.embed(config.type_vocab, name="token_type_embeddings")(types)
        return config.drop(train)(config.norm(name="LayerNorm")(x))


class Layer(nn.Module):
    """Add attention and then an MLP to the input, and normalise each sum.

    Returns the attention's weights too.
    """

    config: BertConfig

    @nn.compact
    def __call__(self, x, visible, train):
        config = self.config
        by_head = (*x.shape[:2], config.n_head, -1)
        q, k, v = (
            config.dense(config.n_embd, name=name)(x).reshape(by_head)
            for name in ("query", "key", "value")
        )
        out, weights = attend(q, k, v, visible, drop=config.drop(train))
        out = config.drop(train)(config.dense(config.n_embd, name="attention_output")(out))
        x = config.norm(name="attention_norm")(x + out)
        h = config.dense(config.intermediate, name="intermediate")(x)
        h = config.dense(config.n_embd, name="output")(ACTIVATIONS[config.activation](h))
        return config.norm(name="output_norm")(x + config.drop(train)(h)), weights


class Encoder(nn.Module):
    """Turn every token of a text into a vector that depends on the whole text.

    Args of the call:
      tokens: int32 [B, T], T <= block_size, padded behind.
      length: int32 [B], tokens of each text.
      types: int32 [B, T], which of two texts a token belongs to; None: all to the first.
      train: whether dropout is on; then it needs the rng "dropout".
      frozen_layers: the gradient stops behind so many layers; -1: nowhere, 0: behind the
        embeddings.

    Returns:
      {"hidden": [B, T, n_embd], "attention": float32 [B, n_head, T, T] a layer; "pooled": [B,
      n_embd] where there is a pooler}.
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
            features["pooled"] = jnp.tanh(config.dense(config.n_embd, name="pooler")(x[:, 0]))
        return features


def pool(features: dict, length: jax.Array, how: str) -> jax.Array:
    """Return one vector a text, float32 [B, D].

    Args:
      features: those of the encoder or of a decoder, with "hidden" [B, T, D].
      length: int32 [B], tokens of each text.
      how: one of POOLINGS, or "last" for a decoder, whose last token alone has seen the whole text.
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
    """Compute the logits, float32 [B, num_classes], of pooled vectors [B, D].

    For the pooling "published" it is what the family's published classifiers have, named as
    theirs: a tanh layer in RoBERTa, a ReLU layer in DistilBERT, no inner layer in BERT, whose
    pooler is one. For the others it is lab B's two layers with a ReLU between.
    """

    config: BertConfig
    num_classes: int
    pooling: str

    @nn.compact
    def __call__(self, x, train):
        config, drop = self.config, self.config.drop(train)
        family = config.family if self.pooling == "published" else "lab_b"
        x, last = x.astype(config.dtype), "classifier"
        if family == "lab_b":
            x = nn.relu(config.dense(config.n_embd, name="dense")(x))
        elif family == "roberta":
            x, last = jnp.tanh(config.dense(config.n_embd, name="dense")(drop(x))), "out_proj"
        elif family == "distilbert":
            x = nn.relu(config.dense(config.n_embd, name="pre_classifier")(x))
        init = nn.initializers.normal(0.02)
        logits = nn.Dense(self.num_classes, name=last, kernel_init=init)
        return logits(drop(x).astype(jnp.float32))


class Classifier(nn.Module):
    """Classify texts: encoder, pooling, head.

    Args of the call: those of the encoder.

    Returns:
      logits: float32 [B, num_classes].
      features: the encoder's.
    """

    config: BertConfig
    num_classes: int
    pooling: str

    @nn.compact
    def __call__(self, tokens, length, types=None, *, train: bool = False, frozen_layers: int = -1):
        encoder = Encoder(self.config, name="encoder")
        features = encoder(tokens, length, types, train=train, frozen_layers=frozen_layers)
        pooled = pool(features, length, self.pooling)
        head = Head(self.config, self.num_classes, self.pooling, name="head")
        return head(pooled, train), features
