"""ResNets and their plain twins (He et al. 2015, arXiv:1512.03385), for small images."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from dla_jax.models.layers import Stack, batch_norm, conv, dense, mean_head, nudged, standardise

# Depth -> blocks a stage, at widths 64, 128, 256, 512 (He et al. 2015, table 1). Others are for small images: n blocks a stage
# at 16, 32, 64, and depth 6n + 2 (section 4.2), or 9n + 2 with bottlenecks (He et al. 2016, arXiv:1603.05027).
WIDE = {False: {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}, True: {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}}
EXPANSION = 4  # of a bottleneck: its output is so many times wider than its 3x3 convolution


def stages_of(
    depth: int, bottleneck: bool = False
) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """(blocks of each stage, width of each stage) of a depth, or None when no ResNet has that depth."""
    if depth in WIDE[bottleneck]:
        return WIDE[bottleneck][depth], (64, 128, 256, 512)
    layers = 9 if bottleneck else 6  # in a block of each of three stages
    return (
        (((depth - 2) // layers,) * 3, (16, 32, 64)) if depth > 2 and depth % layers == 2 else None
    )


def subsample(h: jax.Array, width: int, stride: int) -> jax.Array:
    """The shortcut without parameters ("option A"): every `stride`-th pixel, new channels filled with zeros on both sides.

    Args:
      h: [B, H, W, C], C <= width.

    Returns:
      [B, ceil(H / stride), ceil(W / stride), width].
    """
    missing = width - h.shape[-1]
    return jnp.pad(
        h[:, ::stride, ::stride], ((0, 0), (0, 0), (0, 0), (missing // 2, missing - missing // 2))
    )


class ResidualBlock(nn.Module):
    """h <- relu(skip * shortcut(h) + branch * f(h)) + nudge, f convolutions and norms with ReLUs between.

    Basic: f is 3x3, 3x3. Bottleneck: f is 1x1, 3x3, 1x1, the last to a width 4 times larger (He et al. 2015, figure 5), with the
    stride in the 3x3.
    """

    width: int
    bottleneck: bool
    shortcut: bool
    stride: int
    projection: (
        bool  # a 1x1 convolution as shortcut where shapes change ("option B"), not `subsample`
    )
    init_scheme: str
    dtype: str
    train: bool

    @nn.compact
    def __call__(self, h, skip, branch, nudge=None):
        layer = functools.partial(conv, init=self.init_scheme, dtype=self.dtype, bias=False)
        norm = functools.partial(batch_norm, self.train, self.dtype)
        out = self.width * EXPANSION if self.bottleneck else self.width
        if self.bottleneck:
            f = layer(self.width, h.shape[-1], window=1, name="conv1")(h)
            f = layer(self.width, self.width, stride=self.stride, name="conv2")(
                nn.relu(norm("norm1")(f))
            )
            f = layer(out, self.width, window=1, name="conv3")(nn.relu(norm("norm2")(f)))
            f = norm("norm3")(f)
        else:
            f = layer(out, h.shape[-1], stride=self.stride, name="conv1")(h)
            f = layer(out, out, name="conv2")(nn.relu(norm("norm1")(f)))
            f = norm("norm2")(f)
        if not self.shortcut:
            h = nudged(nn.relu(branch.astype(h.dtype) * f), nudge)
            return h, h
        if f.shape == h.shape:
            shortcut = h
        elif self.projection:
            shortcut = norm("shortcut_norm")(
                layer(out, h.shape[-1], window=1, stride=self.stride, name="shortcut")(h)
            )
        else:
            shortcut = subsample(h, out, self.stride)
        h = nudged(nn.relu(skip.astype(h.dtype) * shortcut + branch.astype(h.dtype) * f), nudge)
        return h, h


class ResNet(nn.Module):
    """Stem 3x3 -> norm -> ReLU -> stages of residual blocks -> mean over the image -> dense.

    Depth 6n + 2 (20, 32, 44, 56, 110, ...) has three stages of n blocks, 18 and 34 have four; with bottlenecks 9n + 2, and 50
    and 101. A stage after the first begins with stride 2.

    Each stage is two stacks of scanned blocks (`layers.Stack`): its first block, "blocks<stage>a", and its others,
    "blocks<stage>b". Plain or residual stands in the collection "wiring", block by block; with shortcuts
    that have no parameters the twins have the very same parameters.

    Args of the call:
      x: float [B, H, W, C] in [0, 1]; normalisation is part of the model.
      train: whether BatchNorm uses, and updates, batch statistics.
      nudge: None, or arrays like some of the features, which are added to them (`layers.nudged`).
      window: None, or the height and width of the features of a training image: the head is then applied to every window of
        that size in the features of a larger image, and the logits are float32 [B, h', w', num_classes].

    Returns:
      logits: float32 [B, num_classes].
      features: {"blocks1a": [1, B, H, W, width], "blocks1b": [n - 1, B, H, W, width], ... outputs of the blocks,
        "last_conv": [B, h, w, width] before the mean}.
    """

    depth: int
    num_classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    bottleneck: bool
    shortcut: bool  # False: a plain net that has no shortcut even to multiply by 0, for its speed
    projection: bool
    init_scheme: str
    dtype: str

    @nn.compact
    def __call__(
        self, x, *, train: bool, nudge: dict | None = None, window: tuple[int, int] | None = None
    ):
        sizes, widths = stages_of(self.depth, self.bottleneck)
        h = standardise(x, self.mean, self.std, self.dtype)
        h = conv(widths[0], h.shape[-1], self.init_scheme, self.dtype, bias=False, name="stem")(h)
        h = nn.relu(batch_norm(train, self.dtype, "stem_norm")(h))
        features, nudge = {}, nudge or {}
        for stage, (size, width) in enumerate(zip(sizes, widths, strict=True), 1):
            for part, length, stride in (("a", 1, min(stage, 2)), ("b", size - 1, 1)):
                if length:
                    block = functools.partial(
                        ResidualBlock,
                        width=width,
                        bottleneck=self.bottleneck,
                        shortcut=self.shortcut,
                        stride=stride,
                        projection=self.projection,
                        init_scheme=self.init_scheme,
                        dtype=self.dtype,
                        train=train,
                    )
                    name = f"blocks{stage}{part}"
                    h, features[name] = Stack(block, length, scan=part == "b", name=name)(
                        h, nudge.get(name)
                    )
        features["last_conv"] = h = nudged(h, nudge.get("last_conv"))
        head = dense(self.num_classes, h.shape[-1], self.init_scheme, jnp.float32, name="head")
        return mean_head(head, h, window), features
