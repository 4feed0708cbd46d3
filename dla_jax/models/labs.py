"""The labs' own CNNs as they were implemented, for the claims that hang on how they were built."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from dla_jax.models.layers import (
    FlatDense,
    batch_norm,
    conv,
    dense,
    halve,
    mean_head,
    nudged,
    standardise,
)
from dla_jax.models.resnet import subsample

# What lab B calls the depth -> blocks of each of four stages: 2 convolutions a block, and the stem.
LAB_B_BLOCKS = {9: 1, 17: 2, 32: 4, 48: 6}
INIT = "torch_default"


class LabA(nn.Module):
    """Classify images as lab A's two families do, which differ in much more than the skip.

    Plain: `depth` times conv 3x3, norm, ReLU at full size, then one max-pool, flatten, dropout .2,
    dense.

    Residual: a stem, then `depth` bottleneck blocks
    relu(h + norm(conv 64 <- 16 (relu(norm(conv 16 <- 64 (h)))))), then the mean over the image,
    dense: "depth 50" is 101 convolutions, and no dropout.

    Args of the call:
      x: float [B, H, W, C] in [0, 1].
      train, nudge, window: as `cnn.CNN`; when train it needs the rng "dropout".

    Returns:
      logits: float32 [B, num_classes].
      features: {"layer000": [B, H, W, 64], ... what each layer or block puts out, "last_conv"}.
    """

    depth: int
    residual: bool
    num_classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    dtype: str
    width: int = 64

    @nn.compact
    def __call__(
        self, x, *, train: bool, nudge: dict | None = None, window: tuple[int, int] | None = None
    ):
        def layer(h, width, name):
            h = conv(width, h.shape[-1], INIT, self.dtype, name=name)(h)
            return batch_norm(train, self.dtype, name=f"{name}_norm")(h)

        features, nudge = {}, nudge or {}
        h = standardise(x, self.mean, self.std, self.dtype)
        h = nn.relu(layer(h, self.width, name="stem"))
        for i in range(self.depth if self.residual else self.depth - 1):
            name = f"layer{i:03}"
            if self.residual:
                f = nn.relu(layer(h, self.width // 4, name=f"{name}a"))
                h = nn.relu(h + layer(f, self.width, name=f"{name}b"))
            else:
                h = nn.relu(layer(h, self.width, name=name))
            features[name] = h = nudged(h, nudge.get(name))
        features["last_conv"] = h = nudged(h, nudge.get("last_conv"))
        if self.residual:
            head = dense(self.num_classes, self.width, INIT, jnp.float32, name="head")
            return mean_head(head, h, window), features
        h = nn.Dropout(0.2, deterministic=not train)(halve(h).astype(jnp.float32))
        window = None if window is None else (window[0] // 2, window[1] // 2)
        return FlatDense(self.num_classes, INIT, name="head")(h, window), features


class LabB(nn.Module):
    """Classify images by lab B's net of 9, 17, 32 or 48 layers.

    It has an unpadded stem, four stages at 64, 128, 256, 512, and three dense layers. A block is
    conv 3x3 (same width), norm, ReLU, conv 3x3, norm; a stage's last block then doubles the width
    (except in the last stage) and ends in a max-pool.

    As intended, the branch meets the shortcut before the ReLU, and the shortcut has no parameters:
    plain and residual differ in the collection "wiring" alone. As implemented, a ReLU stands at the
    end of the branch, so that it can only add (He et al. 2016, arXiv:1603.05027, figure 4c), the
    last block has no shortcut, and where shapes change the shortcut is a 1x1 convolution with norm,
    which the plain net has not (`projection`). Without a shortcut the two are the same net.

    Args of the call:
      x: float [B, 32, 32, C] in [0, 1], larger only with a window.
      train, nudge, window: as `cnn.CNN`.

    Returns:
      logits: float32 [B, num_classes].
      features: {"layer000": ..., what each block puts out, "last_conv": [B, 2, 2, 512]}.
    """

    depth: int
    as_implemented: bool
    projection: bool
    num_classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    dtype: str

    @nn.compact
    def __call__(
        self, x, *, train: bool, nudge: dict | None = None, window: tuple[int, int] | None = None
    ):
        num_blocks = 4 * LAB_B_BLOCKS[self.depth]
        skip, branch = self._wiring(num_blocks)
        layer = functools.partial(conv, init=INIT, dtype=self.dtype, bias=False)
        norm = functools.partial(batch_norm, train, self.dtype)
        features, nudge = {}, nudge or {}
        h = standardise(x, self.mean, self.std, self.dtype)
        h = conv(64, h.shape[-1], INIT, self.dtype, padding="VALID", name="stem")(h)
        for i in range(num_blocks):
            name, net_ends = f"layer{i:03}", i + 1 == num_blocks
            stage_ends = (i + 1) % (num_blocks // 4) == 0
            f = self._branch(h, layer, norm, name, stage_ends=stage_ends, net_ends=net_ends)
            f = branch[i] * f
            if not (self.as_implemented and net_ends):
                f = f + skip[i] * self._shortcut(h, f.shape, layer, norm, name)
            features[name] = h = nudged(nn.relu(f), nudge.get(name))
        features["last_conv"] = h = nudged(h, nudge.get("last_conv"))
        h = nn.relu(FlatDense(1024, INIT, name="last1")(h.astype(jnp.float32), window))
        h = nn.relu(dense(1024, 1024, INIT, jnp.float32, name="last2")(h))
        return dense(self.num_classes, 1024, INIT, jnp.float32, name="head")(h), features

    def _wiring(self, num_blocks: int) -> tuple[jax.Array, jax.Array]:
        """Return the factors of every block's shortcut and branch, [num_blocks] each."""

        def ones():
            return {"skip": jnp.ones(num_blocks), "branch": jnp.ones(num_blocks)}

        numbers = self.variable("wiring", "blocks", ones).value
        return numbers["skip"].astype(self.dtype), numbers["branch"].astype(self.dtype)

    def _branch(self, h, layer, norm, name, *, stage_ends: bool, net_ends: bool):
        width = h.shape[-1] * (2 if stage_ends and not net_ends else 1)
        f = layer(h.shape[-1], h.shape[-1], name=f"{name}a")(h)
        f = nn.relu(norm(name=f"{name}a_norm")(f))
        f = norm(name=f"{name}b_norm")(layer(width, h.shape[-1], name=f"{name}b")(f))
        f = nn.relu(f) if self.as_implemented else f
        if net_ends:
            return halve(f)  # what an adaptive pool from 4x4 to 2x2 is
        if stage_ends:
            return nn.max_pool(f, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))
        return f

    def _shortcut(self, h, shape, layer, norm, name):
        if h.shape == shape:
            return h
        if not self.projection:
            return subsample(h, shape[-1], stride=2)
        projected = layer(shape[-1], h.shape[-1], window=1, stride=2, name=f"{name}c")(h)
        return norm(name=f"{name}c_norm")(projected)
