"""The convolutional nets of the depth study: plain and residual ones differ in one number."""

import functools

import flax.linen as nn
import jax.numpy as jnp

from dla_jax.models.layers import (
    Block,
    Stack,
    conv,
    dense,
    halve,
    mean_head,
    norm_layer,
    nudged,
    standardise,
)
from dla_jax.models.starts import branch_scales


class CNN(nn.Module):
    """Classify images: one stem convolution, then d - 1 pre-activation blocks of one 3x3 each.

    stem 3x3 -> max-pool 2x2 `pools` times -> blocks -> [norm] -> ReLU -> mean over the image ->
    dense; the stem and the blocks make depth d. Whether it is plain or residual stands in the
    collection "wiring" (`layers.Stack`).

    Args of the call:
      x: float [B, H, W, C] in [0, 1]; normalisation is part of the model.
      train: whether BatchNorm uses, and updates, batch statistics.
      nudge: None, or arrays like some of the features, which are added to them (`layers.nudged`);
        "stem", [B, h, w, width], is added to what enters the first block.
      window: None, or the height and width of the features of a training image: the head is then
        applied to every window of that size in the features of a larger image, and the logits are
        float32 [B, h', w', num_classes].

    Returns:
      logits: float32 [B, num_classes].
      features: {"blocks": [d - 1, B, h, w, width] (absent at depth 1), "last_conv": [B, h, w,
        width] before the mean}.
    """

    depth: int
    width: int
    num_classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    pools: int
    norm: str
    init_scheme: str
    dtype: str
    scalars: str = "none"

    @nn.compact
    def __call__(
        self, x, *, train: bool, nudge: dict | None = None, window: tuple[int, int] | None = None
    ):
        h = standardise(x, self.mean, self.std, self.dtype)
        h = conv(self.width, h.shape[-1], self.init_scheme, self.dtype, part="stem", name="stem")(h)
        for _ in range(self.pools):
            h = halve(h)
        features, nudge = {}, nudge or {}
        h = nudged(h, nudge.get("stem"))
        if self.depth > 1:
            start, (scale,) = self.init_scheme, branch_scales(self.init_scheme, 1, self.depth - 1)
            layer = functools.partial(conv, self.width, self.width, start, self.dtype, scale=scale)
            block = functools.partial(
                Block, layer=layer, norm=self.norm, scalars=self.scalars, train=train
            )
            blocks = Stack(block, self.depth - 1, name="blocks")
            h, features["blocks"] = blocks(h, nudge.get("blocks"))
        h = norm_layer(self.norm, train, h.dtype, name="norm")(h)
        features["last_conv"] = h = nudged(nn.relu(h), nudge.get("last_conv"))
        sizes = self.num_classes, self.width
        head = dense(*sizes, self.init_scheme, jnp.float32, part="head", name="head")
        return mean_head(head, h, window), features
