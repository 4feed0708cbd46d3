"""ResNets and their plain twins (He et al. 2015, arXiv:1512.03385), for small images."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from dla_jax.models.layers import (
    Stack,
    conv,
    dense,
    joined,
    let_through,
    mean_head,
    norm_layer,
    nudged,
    standardise,
)
from dla_jax.models.starts import branch_scales, gained, shifted

# Bottlenecks or not -> depth -> blocks a stage, at widths 64, 128, 256, 512 (He et al. 2015,
# table 1). Other depths are for small images: n blocks a stage at 16, 32, 64, and depth 6n + 2
# (section 4.2), or 9n + 2 with bottlenecks (He et al. 2016, arXiv:1603.05027).
WIDE = {False: {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}, True: {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}}
EXPANSION = 4  # of a bottleneck: its output is so many times wider than its 3x3 convolution


def stages_of(
    depth: int, bottleneck: bool = False
) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Return (blocks of each stage, width of each stage), or None when no ResNet has the depth."""
    if depth in WIDE[bottleneck]:
        return WIDE[bottleneck][depth], (64, 128, 256, 512)
    layers = 9 if bottleneck else 6  # in a block of each of three stages
    if depth <= 2 or depth % layers != 2:
        return None
    return ((depth - 2) // layers,) * 3, (16, 32, 64)


def subsample(h: jax.Array, width: int, stride: int) -> jax.Array:
    """Apply the shortcut without parameters ("option A").

    It takes every `stride`-th pixel, and fills new channels with zeros on both sides.

    Args:
      h: [B, H, W, C], C <= width.

    Returns:
      [B, ceil(H / stride), ceil(W / stride), width].
    """
    missing = width - h.shape[-1]
    channels = (missing // 2, missing - missing // 2)
    return jnp.pad(h[:, ::stride, ::stride], ((0, 0), (0, 0), (0, 0), channels))


def added(shortcut, f, skip, branch, routes):
    """Return skip * shortcut + branch * f, the gradient let through as `routes` says (`Stack`).

    Without a shortcut, None, no addition is computed.
    """
    f = branch.astype(f.dtype) * f
    if shortcut is not None:
        return joined(skip.astype(f.dtype) * shortcut, f, routes)
    return f if routes is None else let_through(f, routes["branch"])


class ResidualBlock(nn.Module):
    """Compute h <- relu(skip * shortcut(h) + branch * f(h)) + nudge.

    f is convolutions and norms with ReLUs between. Basic: 3x3, 3x3. Bottleneck: 1x1, 3x3, 1x1, the
    last to a width 4 times larger (He et al. 2015, figure 5), with the stride in the 3x3.

    Fields:
      projection: the shortcut is a 1x1 convolution where shapes change ("option B"), not
        `subsample`.
      norm: without one, "none", the convolutions have biases.
      scalars: the trainable numbers of a start that brings some (`starts.gained`, `shifted`).
      num_blocks: of the whole net, for the start of a branch.
    """

    width: int
    bottleneck: bool
    shortcut: bool
    stride: int
    projection: bool
    norm: str
    scalars: str
    init_scheme: str
    num_blocks: int
    dtype: str
    train: bool

    @nn.compact
    def __call__(self, h, skip, branch, nudge=None, routes=None):
        bias = self.norm == "none"
        layer = functools.partial(conv, init=self.init_scheme, dtype=self.dtype, bias=bias)
        norm = functools.partial(norm_layer, self.norm, self.train, self.dtype)
        f = (self._bottleneck if self.bottleneck else self._basic)(h, layer, norm)
        f = shifted(self, gained(self, f), "bias_out")
        shortcut = self._shortcut(h, f.shape, layer, norm) if self.shortcut else None
        h = nudged(nn.relu(added(shortcut, f, skip, branch, routes)), nudge)
        return h, h

    def _basic(self, h, layer, norm):
        width, scales = self.width, branch_scales(self.init_scheme, 2, self.num_blocks)
        f = shifted(self, h, "bias1")
        f = layer(width, h.shape[-1], stride=self.stride, scale=scales[0], name="conv1")(f)
        f = self._activate(norm(name="norm1")(f), 1)
        return norm(name="norm2")(layer(width, width, scale=scales[1], name="conv2")(f))

    def _bottleneck(self, h, layer, norm):
        width, wide = self.width, self.width * EXPANSION
        scales = branch_scales(self.init_scheme, 3, self.num_blocks)
        f = shifted(self, h, "bias1")
        f = layer(width, h.shape[-1], window=1, scale=scales[0], name="conv1")(f)
        f = self._activate(norm(name="norm1")(f), 1)
        f = layer(width, width, stride=self.stride, scale=scales[1], name="conv2")(f)
        f = self._activate(norm(name="norm2")(f), 2)
        f = layer(wide, width, window=1, scale=scales[2], name="conv3")(f)
        return norm(name="norm3")(f)

    def _activate(self, f, number: int):
        """Apply the ReLU between two layers; the numbers of `fixup` stand before it and behind."""
        f = nn.relu(shifted(self, f, f"bias_relu{number}"))
        return shifted(self, f, f"bias{number + 1}")

    def _shortcut(self, h, shape, layer, norm):
        if h.shape == shape:
            return h
        if not self.projection:
            return subsample(h, shape[-1], self.stride)
        projected = layer(shape[-1], h.shape[-1], window=1, stride=self.stride, name="shortcut")(h)
        return norm(name="shortcut_norm")(projected)


class PreactivationBlock(nn.Module):
    """Compute h <- skip * shortcut(h) + branch * f(h) + nudge.

    f is norm, ReLU, 3x3, norm, ReLU, 3x3 (He et al. 2016, arXiv:1603.05027, figure 4e). A shortcut
    that is a 1x1 convolution takes, as in Fast-AT's net, what the first ReLU puts out, and has no
    norm. Nothing stands behind the addition, so the skip alone passes h on as it is.

    Fields: as those of `ResidualBlock`.
    """

    width: int
    shortcut: bool
    stride: int
    projection: bool
    norm: str
    scalars: str
    init_scheme: str
    num_blocks: int
    dtype: str
    train: bool

    @nn.compact
    def __call__(self, h, skip, branch, nudge=None, routes=None):
        bias = self.norm == "none"
        layer = functools.partial(conv, init=self.init_scheme, dtype=self.dtype, bias=bias)
        norm = functools.partial(norm_layer, self.norm, self.train, self.dtype)
        width, scales = self.width, branch_scales(self.init_scheme, 2, self.num_blocks)
        first = nn.relu(shifted(self, norm(name="norm1")(h), "bias_relu1"))
        f = shifted(self, first, "bias1")
        f = layer(width, h.shape[-1], stride=self.stride, scale=scales[0], name="conv1")(f)
        f = nn.relu(shifted(self, norm(name="norm2")(f), "bias_relu2"))
        f = layer(width, width, scale=scales[1], name="conv2")(shifted(self, f, "bias2"))
        f = gained(self, f)
        shortcut = self._shortcut(h, first, layer) if self.shortcut else None
        h = nudged(added(shortcut, f, skip, branch, routes), nudge)
        return h, h

    def _shortcut(self, h, first, layer):
        if h.shape[-1] == self.width and self.stride == 1:
            return h
        if not self.projection:
            return subsample(h, self.width, self.stride)
        return layer(self.width, h.shape[-1], window=1, stride=self.stride, name="shortcut")(first)


class ResNet(nn.Module):
    """Classify images: stem 3x3 -> norm -> ReLU -> stages of residual blocks -> mean -> dense.

    The mean is that over the image. Depth 6n + 2 (20, 32, 44, 56, 110, ...) has three stages of n
    blocks, 18 and 34 have four; with bottlenecks 9n + 2, and 50 and 101. A stage after the first
    begins with stride 2.

    With `preactivation` norm and ReLU stand before the convolutions of the blocks
    (`PreactivationBlock`), so there are none behind the stem, and one more of each before the mean.
    Depth 18 with projections is Fast-AT's PreActResNet-18 (Wong et al. 2020, arXiv:2001.03994).

    Each stage is two stacks of scanned blocks (`layers.Stack`): its first block, "blocks<stage>a",
    and its others, "blocks<stage>b". Plain or residual stands in the collection "wiring", block by
    block; with shortcuts that have no parameters the twins have the very same parameters.

    Fields:
      shortcut: False for a plain net that has no shortcut even to multiply by 0, for its speed.
      norm, scalars: as in `ResidualBlock`.

    Args of the call:
      x: float [B, H, W, C] in [0, 1]; normalisation is part of the model.
      train: whether BatchNorm uses, and updates, batch statistics.
      nudge: None, or arrays like some of the features, which are added to them (`layers.nudged`);
        "stem", [B, H, W, width of the stem], is added to what enters the first block.
      window: None, or the height and width of the features of a training image: the head is then
        applied to every window of that size in the features of a larger image, and the logits are
        float32 [B, h', w', num_classes].

    Returns:
      logits: float32 [B, num_classes].
      features: {"blocks1a": [1, B, H, W, width], "blocks1b": [n - 1, B, H, W, width], ... outputs
        of the blocks, "last_conv": [B, h, w, width] before the mean}.
    """

    depth: int
    num_classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    bottleneck: bool
    shortcut: bool
    projection: bool
    init_scheme: str
    dtype: str
    norm: str = "batch"
    scalars: str = "none"
    preactivation: bool = False

    @nn.compact
    def __call__(
        self, x, *, train: bool, nudge: dict | None = None, window: tuple[int, int] | None = None
    ):
        sizes, widths = stages_of(self.depth, self.bottleneck)
        h = standardise(x, self.mean, self.std, self.dtype)
        start, bias = self.init_scheme, self.norm == "none"
        stem = functools.partial(conv, widths[0], h.shape[-1], start, self.dtype, bias=bias)
        h = stem(part="stem", name="stem")(h)
        norm = functools.partial(norm_layer, self.norm, train, self.dtype)
        if not self.preactivation:
            h = nn.relu(norm(name="stem_norm")(h))
        features, nudge = {}, nudge or {}
        h = nudged(h, nudge.get("stem"))
        for stage, (size, width) in enumerate(zip(sizes, widths, strict=True), 1):
            first = self._stack(1, width, min(stage, 2), train, name=f"blocks{stage}a", scan=False)
            others = self._stack(size - 1, width, 1, train, name=f"blocks{stage}b", scan=True)
            for stack in (first, others):
                if stack.num_blocks:
                    h, features[stack.name] = stack(h, nudge.get(stack.name))
        if self.preactivation:
            h = nn.relu(norm(name="norm")(h))
        features["last_conv"] = h = nudged(h, nudge.get("last_conv"))
        head = dense(self.num_classes, h.shape[-1], start, jnp.float32, part="head", name="head")
        return mean_head(head, h, window), features

    def _stack(self, num_blocks, width, stride, train, *, name: str, scan: bool) -> Stack:
        kind = functools.partial(ResidualBlock, bottleneck=self.bottleneck)
        block = functools.partial(
            PreactivationBlock if self.preactivation else kind,
            width=width,
            shortcut=self.shortcut,
            stride=stride,
            projection=self.projection,
            norm=self.norm,
            scalars=self.scalars,
            init_scheme=self.init_scheme,
            num_blocks=sum(stages_of(self.depth, self.bottleneck)[0]),
            dtype=self.dtype,
            train=train,
        )
        return Stack(block, num_blocks, scan=scan, name=name)
