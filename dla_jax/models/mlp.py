"""The fully connected nets: plain and residual MLPs that differ in one number, and perceptrons."""

import functools

import flax.linen as nn
import jax.numpy as jnp

from dla_jax.models.layers import Block, Stack, dense, norm_layer, nudged, standardise
from dla_jax.models.starts import branch_scales


class MLP(nn.Module):
    """Classify images: one stem layer, then d - 1 pre-activation blocks of one dense layer each.

    After the blocks come ReLU and the head; the stem and the blocks make depth d. Whether it is
    plain or residual stands in the collection "wiring" (`layers.Stack`).

    Args of the call:
      x: float [B, ...] in [0, 1], flattened; normalisation is part of the model.
      train: whether BatchNorm uses, and updates, batch statistics.
      nudge: None, or arrays like some of the features, which are added to them (`layers.nudged`);
        "stem", [B, width], is added to what enters the first block.

    Returns:
      logits: float32 [B, num_classes].
      features: {"blocks": [d - 1, B, width] (absent at depth 1), "last_hidden": [B, width]}.
    """

    depth: int
    width: int
    num_classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    norm: str
    init_scheme: str
    dtype: str
    scalars: str = "none"

    @nn.compact
    def __call__(self, x, *, train: bool, nudge: dict | None = None):
        h = standardise(x, self.mean, self.std, self.dtype)
        h = h.reshape(len(h), -1)
        sizes = self.width, h.shape[-1]
        h = dense(*sizes, self.init_scheme, self.dtype, part="stem", name="stem")(h)
        features, nudge = {}, nudge or {}
        h = nudged(h, nudge.get("stem"))
        if self.depth > 1:
            start, (scale,) = self.init_scheme, branch_scales(self.init_scheme, 1, self.depth - 1)
            layer = functools.partial(dense, self.width, self.width, start, self.dtype, scale=scale)
            block = functools.partial(
                Block, layer=layer, norm=self.norm, scalars=self.scalars, train=train
            )
            blocks = Stack(block, self.depth - 1, name="blocks")
            h, features["blocks"] = blocks(h, nudge.get("blocks"))
        h = norm_layer(self.norm, train, h.dtype, name="norm")(h)
        features["last_hidden"] = h = nudged(nn.relu(h), nudge.get("last_hidden"))
        sizes = self.num_classes, self.width
        head = dense(*sizes, self.init_scheme, jnp.float32, part="head", name="head")
        return head(h.astype(jnp.float32)), features


class Perceptron(nn.Module):
    """Classify images by dense layers of the given widths with ReLU: 784-128-64-10 and the like.

    Dropout stands behind `every` hidden layer, as lab B has it, or only the `last`, as lab A has
    it. `relu_logits` puts a ReLU behind the head, as lab C has it: a class whose logit is negative
    for all images gets no gradient.

    Args of the call:
      x: float [B, ...] in [0, 1], flattened.
      train: whether dropout is on; then it needs the rng "dropout" where dropout > 0.

    Returns:
      logits: float32 [B, num_classes].
      features: {"last_hidden": [B, widths[-1]]}.
    """

    widths: tuple[int, ...]
    dropout: float
    dropout_at: str  # every or last
    relu_logits: bool
    num_classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    init_scheme: str
    dtype: str

    @nn.compact
    def __call__(self, x, *, train: bool):
        h = standardise(x, self.mean, self.std, self.dtype)
        h = h.reshape(len(h), -1)
        for i, width in enumerate(self.widths):
            part, name = ("stem", "stem") if i == 0 else ("inner", f"layer{i:03}")
            sizes = width, h.shape[-1]
            layer = dense(*sizes, self.init_scheme, self.dtype, part=part, name=name)
            h = nn.relu(layer(h))
            if self.dropout_at == "every" or i + 1 == len(self.widths):
                h = nn.Dropout(self.dropout, deterministic=not train)(h)
        sizes = self.num_classes, h.shape[-1]
        head = dense(*sizes, self.init_scheme, jnp.float32, part="head", name="head")
        logits = head(h.astype(jnp.float32))
        return nn.relu(logits) if self.relu_logits else logits, {"last_hidden": h}
