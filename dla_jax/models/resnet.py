"""ResNets and their plain twins (He et al. 2015, arXiv:1512.03385), for small images."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from dla_jax.models.layers import Stack, batch_norm, conv, dense, standardise

# Depth -> blocks a stage, at widths 64, 128, 256, 512 (He et al. 2015, table 1); 6n + 2: n a stage, at 16, 32, 64 (section 4.2).
WIDE = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}


def stages_of(depth: int) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """(blocks of each stage, width of each stage) of a depth, or None when no ResNet has that depth."""
    if depth in WIDE:
        return WIDE[depth], (64, 128, 256, 512)
    return (((depth - 2) // 6,) * 3, (16, 32, 64)) if depth >= 8 and depth % 6 == 2 else None


def subsample(h: jax.Array, width: int, stride: int) -> jax.Array:
    """The shortcut without parameters ("option A"): every `stride`-th pixel, new channels filled with zeros on both sides.

    Args:
      h: [B, H, W, C], C <= width.

    Returns:
      [B, ceil(H / stride), ceil(W / stride), width].
    """
    missing = width - h.shape[-1]
    return jnp.pad(h[:, ::stride, ::stride], ((0, 0), (0, 0), (0, 0), (missing // 2, missing - missing // 2)))


class BasicBlock(nn.Module):
    """h <- relu(skip * shortcut(h) + branch * norm(conv(relu(norm(conv(h))))))."""

    width: int
    stride: int
    projection: bool  # a 1x1 convolution as shortcut where shapes change ("option B"), not `subsample`
    init_scheme: str
    dtype: str
    train: bool

    @nn.compact
    def __call__(self, h, skip, branch):
        layer = functools.partial(conv, self.width, init=self.init_scheme, dtype=self.dtype, bias=False)
        norm = functools.partial(batch_norm, self.train, self.dtype)
        f = layer(in_width=h.shape[-1], stride=self.stride, name="conv1")(h)
        f = layer(in_width=self.width, name="conv2")(nn.relu(norm("norm1")(f)))
        f = norm("norm2")(f)
        if f.shape == h.shape:
            shortcut = h
        elif self.projection:
            shortcut = layer(in_width=h.shape[-1], window=1, stride=self.stride, name="shortcut")(h)
            shortcut = norm("shortcut_norm")(shortcut)
        else:
            shortcut = subsample(h, self.width, self.stride)
        h = nn.relu(skip.astype(h.dtype) * shortcut + branch.astype(h.dtype) * f)
        return h, h


class ResNet(nn.Module):
    """Stem 3x3 -> norm -> ReLU -> stages of basic blocks -> mean over the image -> dense.

    Depth 6n + 2 (20, 32, 44, 56, 110, ...) has three stages of n blocks, 18 and 34 have four. A stage after the first
    begins with stride 2. Each stage is two stacks of scanned blocks (`layers.Stack`): its first block, "blocks<stage>a", and
    its others, "blocks<stage>b". Plain or residual stands in the collection "wiring", block by block; with shortcuts
    that have no parameters the twins have the very same parameters.

    Args of the call:
      x: float [B, H, W, C] in [0, 1]; normalisation is part of the model.
      train: whether BatchNorm uses, and updates, batch statistics.

    Returns:
      logits: float32 [B, num_classes].
      features: {"blocks1a": [1, B, H, W, width], "blocks1b": [n - 1, B, H, W, width], ... outputs of the blocks,
        "last_conv": [B, h, w, width] before the mean}.
    """

    depth: int
    num_classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    projection: bool
    init_scheme: str
    dtype: str

    @nn.compact
    def __call__(self, x, *, train: bool):
        sizes, widths = stages_of(self.depth)
        h = standardise(x, self.mean, self.std, self.dtype)
        h = conv(widths[0], h.shape[-1], self.init_scheme, self.dtype, bias=False, name="stem")(h)
        h = nn.relu(batch_norm(train, self.dtype, "stem_norm")(h))
        features = {}
        for stage, (size, width) in enumerate(zip(sizes, widths, strict=True), 1):
            for part, length, stride in (("a", 1, min(stage, 2)), ("b", size - 1, 1)):
                if length:
                    block = functools.partial(BasicBlock, width=width, stride=stride, projection=self.projection,
                                              init_scheme=self.init_scheme, dtype=self.dtype, train=train)  # fmt: skip
                    name = f"blocks{stage}{part}"
                    h, features[name] = Stack(block, length, scan=part == "b", name=name)(h)
        features["last_conv"] = h
        head = dense(self.num_classes, widths[-1], self.init_scheme, jnp.float32, name="head")
        return head(h.astype(jnp.float32).mean((1, 2))), features
