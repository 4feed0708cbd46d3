"""What the networks for images share: layers, and the stack of blocks."""

import functools
import math
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from dla_jax.models.fast_products import convolution
from dla_jax.models.starts import bias_init, gained, kernel_init, shifted

NORMS = ("none", "batch")


def conv(
    width: int,
    in_width: int,
    init: str,
    dtype,
    *,
    window: int = 3,
    stride: int = 1,
    bias: bool = True,
    padding="SAME",
    part: str = "inner",
    scale: float = 1.0,
    name: str | None = None,
) -> nn.Conv:
    """Make a convolution with a square window; at stride 1 the image keeps its size.

    Strided windows are padded on both sides as PyTorch does, not on the far side only as `SAME`
    would. `part` and `scale` are for its start (`starts.kernel_init`).
    """
    pad = (window - 1) // 2
    return nn.Conv(
        width,
        (window, window),
        strides=stride,
        dtype=dtype,
        use_bias=bias,
        name=name,
        conv_general_dilated=convolution,
        padding=((pad, pad), (pad, pad)) if padding == "SAME" else padding,
        kernel_init=kernel_init(init, square=width == in_width, part=part, scale=scale),
        bias_init=bias_init(init, window**2 * in_width),
    )


def dense(
    width: int,
    in_width: int,
    init: str,
    dtype,
    *,
    part: str = "inner",
    scale: float = 1.0,
    name: str | None = None,
) -> nn.Dense:
    """Make a dense layer; `part` and `scale` are for its start (`starts.kernel_init`)."""
    return nn.Dense(
        width,
        dtype=dtype,
        name=name,
        kernel_init=kernel_init(init, square=width == in_width, part=part, scale=scale),
        bias_init=bias_init(init, in_width),
    )


def batch_norm(train: bool, dtype, name: str | None = None) -> nn.BatchNorm:
    """Make a BatchNorm with PyTorch's momentum and epsilon; its statistics are always float32.

    Flax keeps a running mean of the biased variance of a batch, the sum of squares over n, PyTorch
    of the unbiased one, over n - 1: n values a channel, batch times height times width. In
    evaluation PyTorch's is n / (n - 1) times ours: 0.02 % more at 64 images of 8 x 8, 1.6 % at 64
    vectors. In training both normalise with the biased one.
    """
    return nn.BatchNorm(use_running_average=not train, momentum=0.9, dtype=dtype, name=name)


def norm_layer(norm: str, train: bool, dtype, name: str | None = None) -> Callable:
    """Make the norm of that name: BatchNorm, or for "none" what passes its input on."""
    return batch_norm(train, dtype, name) if norm == "batch" else _pass_on


def _pass_on(h):
    return h


def standardise(x: jax.Array, mean: tuple[float, ...], std: tuple[float, ...], dtype) -> jax.Array:
    """Give images in [0, 1] zero mean and unit variance per channel, in the computation's dtype."""
    return ((x - jnp.asarray(mean)) / jnp.asarray(std)).astype(dtype)


def halve(h: jax.Array) -> jax.Array:
    """Apply a 2x2 max-pool with stride 2: [B, H, W, C] -> [B, H // 2, W // 2, C].

    It is a maximum of four slices, whose gradient is 20 times faster on CPU than that of a window
    reduction. Of equal pixels each gets a part of the gradient, where a window reduction gives all
    of it to the first.
    """
    rows, columns = (slice(0, size - size % 2) for size in h.shape[1:3])
    even, odd = h[:, rows][:, ::2], h[:, rows][:, 1::2]
    tall = jnp.maximum(even, odd)[:, :, columns]
    return jnp.maximum(tall[:, :, ::2], tall[:, :, 1::2])


def nudged(h: jax.Array, nudge: jax.Array | None) -> jax.Array:
    """Return h + nudge, or h where there is none.

    The gradient with respect to a nudge of zeros is that with respect to h: so Grad-CAM asks for
    the gradient of a layer, without a hook.
    """
    return h if nudge is None else h + nudge.astype(h.dtype)


@jax.custom_vjp
def let_through(h: jax.Array, share: jax.Array) -> jax.Array:
    """Return h itself, and let the share float32 [] of its gradient through."""
    del share
    return h


def _keep_share(h, share):
    return h, share


def _let_share_through(share, gradient):
    return gradient * share.astype(gradient.dtype), jnp.zeros_like(share)


let_through.defvjp(_keep_share, _let_share_through)


def joined(skip: jax.Array, branch: jax.Array, routes: dict | None) -> jax.Array:
    """Return skip + branch, the gradient let through as `routes` says (`Stack`); None: all of it.

    It is a choice of where the gradient goes: the sum is the same whatever the routes.
    """
    if routes is None:
        return skip + branch
    return let_through(skip, routes["skip"]) + let_through(branch, routes["branch"])


def mean_head(head: nn.Module, h: jax.Array, window: tuple[int, int] | None) -> jax.Array:
    """Apply a dense layer to the mean of a map: [B, h, w, D] -> [B, C].

    With a window, (height, width), it is applied to the mean of every window: [B, h', w', C]. The
    dense layer at every place, then the mean of each window, is the same, and cheaper.
    """
    h = h.astype(jnp.float32)
    return head(h.mean((1, 2))) if window is None else nn.avg_pool(head(h), window)


class FlatDense(nn.Module):
    """Apply a dense layer to a flattened map.

    Args of the call:
      h: [B, h, w, D].
      window: None, or the (height, width) that the kernel float32 [height * width * D, C] is for:
        reshaped to [height, width, D, C] it is a convolution, which looks at every window of a
        larger map.

    Returns:
      [B, C], or with a window [B, h', w', C].
    """

    width: int
    init_scheme: str

    @nn.compact
    def __call__(self, h, window: tuple[int, int] | None = None):
        size = (*(window or h.shape[1:3]), h.shape[-1])
        fan_in = math.prod(size)
        start = kernel_init(self.init_scheme, square=False)
        kernel = self.param("kernel", start, (fan_in, self.width))
        bias = self.param("bias", bias_init(self.init_scheme, fan_in), (self.width,))
        if window is None:
            return h.reshape(len(h), -1) @ kernel + bias
        found = lax.conv_general_dilated(
            h,
            kernel.reshape(*size, self.width),
            window_strides=(1, 1),
            padding="VALID",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        return found + bias


class Block(nn.Module):
    """Compute one pre-activation block (He et al. 2016, arXiv:1603.05027).

    h <- skip * h + branch * layer(relu(norm(h))) + nudge

    Fields:
      scalars: the trainable numbers of a start that brings some (`starts.gained`, `shifted`).
    """

    layer: Callable[[], nn.Module]
    norm: str
    scalars: str
    train: bool

    @nn.compact
    def __call__(self, h, skip, branch, nudge=None, routes=None):
        f = norm_layer(self.norm, self.train, h.dtype, name="norm")(h)
        f = nn.relu(shifted(self, f, "bias1"))
        f = gained(self, self.layer()(shifted(self, f, "bias2")))
        h = joined(skip.astype(h.dtype) * h, branch.astype(h.dtype) * f, routes)
        h = nudged(h, nudge)
        return h, h


class Stack(nn.Module):
    """Apply `num_blocks` blocks of one shape in a scan: one compiled block for all.

    Their parameters are stacked, [num_blocks, ...]. How the blocks are wired is data, not
    structure: `skip` and `branch`, float32 [num_blocks], stand in the collection "wiring". Plain:
    skip 0, branch 1. Residual: skip 1. So the arms of a study have the same parameters and run the
    very same compiled program, and a lesion is an edit of two vectors.

    A collection "routes", which no initialisation makes, says by `skip` and `branch`, float32
    [num_blocks] in [0, 1], which share of the gradient goes back through each block's skip and
    branch. What the blocks compute does not change (`analysis/paths.py`).

    Fields:
      block: of a module class whose call is (h, skip, branch, nudge, routes) -> (h, output).
      scan: False for one block whose output has another shape than its input; its leaves are
        without the first axis.

    Args of the call:
      h: what enters the first block.
      nudge: None, or [num_blocks, *h.shape], added to the blocks' outputs.

    Returns:
      h: like the input.
      outputs: [num_blocks, *h.shape], every block's output.
    """

    block: functools.partial
    num_blocks: int
    scan: bool = True

    @nn.compact
    def __call__(self, h, nudge=None):
        skip = self.variable("wiring", "skip", jnp.ones, self.num_blocks).value
        branch = self.variable("wiring", "branch", jnp.ones, self.num_blocks).value
        routes = None
        if self.has_variable("routes", "skip"):
            routes = {name: self.get_variable("routes", name) for name in ("skip", "branch")}
        if not self.scan:
            single = self.block.func(**self.block.keywords, name="single")
            own = jax.tree.map(lambda leaf: leaf[0], (skip, branch, nudge, routes))
            h, output = single(h, *own)
            return h, output[None]
        scanned = nn.scan(
            self.block.func,
            variable_axes={"params": 0, "batch_stats": 0},
            split_rngs={"params": True},
            length=self.num_blocks,
        )
        return scanned(**self.block.keywords, name="block")(h, skip, branch, nudge, routes)
