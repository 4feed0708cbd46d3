"""The fully connected family of the depth study: plain and residual MLPs that differ in one number."""

import functools

import flax.linen as nn
import jax.numpy as jnp

from dla_jax.models.layers import Stack, dense


class MLP(nn.Module):
    """Depth d = one stem layer, then d - 1 pre-activation blocks of one dense layer each, then ReLU and the head.

    Whether it is plain or residual stands in the collection "wiring" (`layers.Stack`).

    Args of the call:
      x: float [B, ...] in [0, 1], flattened; normalisation is part of the model.
      train: whether BatchNorm uses, and updates, batch statistics.

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

    @nn.compact
    def __call__(self, x, *, train: bool):
        h = ((x - jnp.asarray(self.mean)) / jnp.asarray(self.std)).astype(self.dtype)
        h = h.reshape(len(h), -1)
        h = dense(self.width, h.shape[-1], self.init_scheme, self.dtype, name="stem")(h)
        features = {}
        if self.depth > 1:
            layer = functools.partial(dense, self.width, self.width, self.init_scheme, self.dtype)
            h, features["blocks"] = Stack(layer, self.depth - 1, self.norm, train, name="blocks")(h)
        if self.norm == "batch":
            h = nn.BatchNorm(use_running_average=not train, momentum=0.9, name="norm")(h)
        features["last_hidden"] = h = nn.relu(h)
        head_init = "he" if self.init_scheme == "dirac" else self.init_scheme  # no identity there, whatever the widths
        head = dense(self.num_classes, self.width, head_init, jnp.float32, name="head")
        return head(h.astype(jnp.float32)), features
