"""What the networks share: initialisations, a convolution that is fast on CPU, and the stack of blocks."""

import functools
import math
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

INITS = ("he", "torch_default", "dirac")
NORMS = ("none", "batch")


def dirac(key: jax.Array, shape: tuple[int, ...], dtype=jnp.float32) -> jax.Array:
    """The identity map as a kernel [..., C, C]: 1 at the centre of the window where input and output channel agree."""
    del key
    identity = jnp.eye(shape[-2], shape[-1], dtype=dtype)
    return jnp.zeros(shape, dtype).at[tuple(size // 2 for size in shape[:-2])].set(identity)


def kernel_init(name: str, *, square: bool = True) -> Callable:
    """Initialisation of a kernel [..., in, out].

    `he`: normal, variance 2 / fan_in (He et al. 2015, arXiv:1502.01852). `torch_default`: uniform in +-1/sqrt(fan_in),
    what PyTorch's Linear and Conv2d do, variance 1 / (3 fan_in). `dirac`: the identity where input and output width
    agree (`square`), else `he`.
    """
    if name == "torch_default":
        return nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
    if name == "dirac" and square:
        return dirac
    return nn.initializers.variance_scaling(2.0, "fan_in", "normal")


def bias_init(name: str, fan_in: int) -> Callable:
    """Initialisation of a bias: zeros, or for `torch_default` uniform in +-1/sqrt(fan_in)."""
    if name != "torch_default":
        return nn.initializers.zeros
    bound = 1 / math.sqrt(fan_in)
    return lambda key, shape, dtype=jnp.float32: jax.random.uniform(
        key, shape, dtype, -bound, bound
    )


def patches(x: jax.Array, window: tuple[int, int], strides: tuple[int, int], padding) -> jax.Array:
    """The windows of a convolution as rows: [B, H, W, C] -> [B * H' * W', kh * kw * C]. `padding`: ((lo, hi), (lo, hi))."""
    x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    rows = [(size - k) // s + 1 for size, k, s in zip(x.shape[1:3], window, strides, strict=True)]
    take = lambda i, j: lax.slice(
        x,
        (0, i, j, 0),
        (
            x.shape[0],
            i + (rows[0] - 1) * strides[0] + 1,
            j + (rows[1] - 1) * strides[1] + 1,
            x.shape[3],
        ),
        (1, *strides, 1),
    )
    stacked = jnp.concatenate([take(i, j) for i in range(window[0]) for j in range(window[1])], -1)
    return stacked.reshape(-1, window[0] * window[1] * x.shape[3])


def convolution(x: jax.Array, kernel: jax.Array, strides, padding, **options) -> jax.Array:
    """`lax.conv_general_dilated`, NHWC, with gradients that are fast on CPU: a hook for `nn.Conv`.

    XLA's own weight gradient on CPU is up to 4 times slower than the product of gradient and patches below, and 54
    times inside a `lax.scan` or `while_loop` (jax-ml/jax#12868); its input gradient, which swaps the kernel's axes by
    name instead of in memory, misses the fast path as well. Accelerators keep XLA's.
    """
    plain = lambda x, kernel: lax.conv_general_dilated(x, kernel, strides, padding, **options)
    unusual = options.get("feature_group_count", 1) != 1 or any(
        any(d != 1 for d in options.get(name) or ()) for name in ("lhs_dilation", "rhs_dilation")
    )
    if jax.default_backend() != "cpu" or unusual:
        return plain(x, kernel)
    window = kernel.shape[:2]
    pads = (
        lax.padtype_to_pads(x.shape[1:3], window, strides, padding)
        if isinstance(padding, str)
        else padding
    )

    def input_gradient(kernel, g, size):
        low = [k - 1 - pad[0] for k, pad in zip(window, pads, strict=True)]
        high = [
            n + k - 2 - (rows - 1) * s - lo
            for n, k, rows, s, lo in zip(size, window, g.shape[1:3], strides, low, strict=True)
        ]
        turned = kernel[::-1, ::-1].swapaxes(2, 3)
        return lax.conv_general_dilated(
            g,
            turned,
            (1, 1),
            list(zip(low, high, strict=True)),
            lhs_dilation=strides,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )

    def weight_gradient(x, g, block_floats=1 << 21):
        # In blocks of images whose patches fit the cache; g^T p, not p^T g, is the fast operand order.
        block = max(1, min(len(x), block_floats // math.prod((*g.shape[1:3], *kernel.shape[:3]))))
        while len(x) % block:
            block -= 1

        def add(total, xg):
            rows, grads = patches(xg[0], window, strides, pads), xg[1].reshape(-1, g.shape[-1])
            return total + lax.dot_general(grads, rows, (((0,), (0,)), ((), ()))), None

        blocks = [array.reshape(-1, block, *array.shape[1:]) for array in (x, g)]
        total = jnp.zeros((g.shape[-1], math.prod(kernel.shape[:3])), g.dtype)
        total = add(total, (x, g))[0] if block == len(x) else lax.scan(add, total, blocks)[0]
        return total.T.reshape(kernel.shape)

    @jax.custom_vjp
    def fast(x, kernel):
        return plain(x, kernel)

    def forward(x, kernel):
        return plain(x, kernel), (x, kernel)

    def backward(saved, g):
        x, kernel = saved
        return input_gradient(kernel, g, x.shape[1:3]), weight_gradient(x, g)

    fast.defvjp(forward, backward)
    return fast(x, kernel)


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
    name: str | None = None,
) -> nn.Conv:
    """A convolution with a square window; at stride 1 the image keeps its size.

    Strided windows are padded on both sides as PyTorch does, not on the far side only as `SAME` would.
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
        kernel_init=kernel_init(init, square=width == in_width),
        bias_init=bias_init(init, window**2 * in_width),
    )


def halve(h: jax.Array) -> jax.Array:
    """2x2 max-pool with stride 2: [B, H, W, C] -> [B, H // 2, W // 2, C].

    As a maximum of four slices, whose gradient is 20 times faster on CPU than that of a window reduction. Of equal pixels
    each gets a part of the gradient, where a window reduction gives all of it to the first.
    """
    rows, columns = (slice(0, size - size % 2) for size in h.shape[1:3])
    even, odd = h[:, rows][:, ::2], h[:, rows][:, 1::2]
    tall = jnp.maximum(even, odd)[:, :, columns]
    return jnp.maximum(tall[:, :, ::2], tall[:, :, 1::2])


def nudged(h: jax.Array, nudge: jax.Array | None) -> jax.Array:
    """h + nudge, or h where there is none. The gradient with respect to a nudge of zeros is that with respect to h: how
    Grad-CAM asks for the gradient of a layer, without a hook."""
    return h if nudge is None else h + nudge.astype(h.dtype)


def mean_head(head: nn.Module, h: jax.Array, window: tuple[int, int] | None) -> jax.Array:
    """A dense layer on the mean of a map [B, h, w, D] -> [B, C]; with a window on the mean of every window: [B, h', w', C].

    The dense layer at every place, then the mean of each window, is the same, and cheaper.
    """
    h = h.astype(jnp.float32)
    return head(h.mean((1, 2))) if window is None else nn.avg_pool(head(h), window)


class FlatDense(nn.Module):
    """A dense layer on a flattened map.

    Args of the call: h [B, h, w, D]; window: None, or the (height, width) that the kernel float32 [height * width * D, C] is for:
      reshaped to [height, width, D, C] it is a convolution, which looks at every window of a larger map.

    Returns:
      [B, C], or with a window [B, h', w', C].
    """

    width: int
    init_scheme: str

    @nn.compact
    def __call__(self, h, window: tuple[int, int] | None = None):
        size = (*(window or h.shape[1:3]), h.shape[-1])
        kernel = self.param(
            "kernel", kernel_init(self.init_scheme, square=False), (math.prod(size), self.width)
        )
        bias = self.param("bias", bias_init(self.init_scheme, math.prod(size)), (self.width,))
        if window is None:
            return h.reshape(len(h), -1) @ kernel + bias
        return (
            lax.conv_general_dilated(
                h,
                kernel.reshape(*size, self.width),
                (1, 1),
                "VALID",
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            )
            + bias
        )


def batch_norm(train: bool, dtype, name: str | None = None) -> nn.BatchNorm:
    """BatchNorm with PyTorch's momentum and epsilon; whatever the dtype, its statistics stay in float32.

    Flax keeps a running mean of the biased variance of a batch, the sum of squares over n, PyTorch
    of the unbiased one, over n - 1: n values a channel, batch times height times width. In evaluation
    PyTorch's is n / (n - 1) times ours: 0.02 % more at 64 images of 8 x 8, 1.6 % at 64 vectors. In
    training both normalise with the biased one.
    """
    return nn.BatchNorm(use_running_average=not train, momentum=0.9, dtype=dtype, name=name)


def standardise(x: jax.Array, mean: tuple[float, ...], std: tuple[float, ...], dtype) -> jax.Array:
    """Images in [0, 1] -> zero mean and unit variance per channel, in the dtype of the computation."""
    return ((x - jnp.asarray(mean)) / jnp.asarray(std)).astype(dtype)


def dense(width: int, in_width: int, init: str, dtype, name: str | None = None) -> nn.Dense:
    """A dense layer."""
    return nn.Dense(
        width,
        dtype=dtype,
        name=name,
        kernel_init=kernel_init(init, square=width == in_width),
        bias_init=bias_init(init, in_width),
    )


class Block(nn.Module):
    """One pre-activation block: h <- skip * h + branch * layer(relu(norm(h))) + nudge  (He et al. 2016, arXiv:1603.05027)."""

    layer: Callable[[], nn.Module]
    norm: str
    train: bool

    @nn.compact
    def __call__(self, h, skip, branch, nudge=None):
        f = batch_norm(self.train, h.dtype, "norm")(h) if self.norm == "batch" else h
        f = self.layer()(nn.relu(f))
        h = nudged(skip.astype(h.dtype) * h + branch.astype(h.dtype) * f, nudge)
        return h, h


class Stack(nn.Module):
    """`num_blocks` blocks of one shape, their parameters stacked [num_blocks, ...] and scanned: one compiled block.

    How the blocks are wired is data, not structure: `skip` and `branch`, float32 [num_blocks], stand in the collection
    "wiring". Plain: skip 0, branch 1. Residual: skip 1. So the arms of a study have the same parameters and run the
    very same compiled program, and a lesion is an edit of two vectors.

    Args of the call: h; nudge: None, or [num_blocks, *h.shape], added to the blocks' outputs.

    Returns:
      h: like the input; outputs: [num_blocks, *h.shape], every block's output.
    """

    block: (
        functools.partial
    )  # of a module class whose call is (h, skip, branch, nudge) -> (h, output)
    num_blocks: int
    scan: bool = True  # False for one block whose output has another shape than its input: leaves without the first axis

    @nn.compact
    def __call__(self, h, nudge=None):
        skip = self.variable("wiring", "skip", jnp.ones, self.num_blocks).value
        branch = self.variable("wiring", "branch", jnp.ones, self.num_blocks).value
        if not self.scan:
            h, output = self.block.func(**self.block.keywords, name="single")(
                h, skip[0], branch[0], None if nudge is None else nudge[0]
            )
            return h, output[None]
        scanned = nn.scan(
            self.block.func,
            variable_axes={"params": 0, "batch_stats": 0},
            split_rngs={"params": True},
            length=self.num_blocks,
        )
        return scanned(**self.block.keywords, name="block")(h, skip, branch, nudge)


def fast_dot_general(
    x: jax.Array, kernel: jax.Array, dimension_numbers, precision=None, preferred_element_type=None
):
    """`lax.dot_general` for x [..., in] and kernel [in, out], with products that are fast on CPU: a hook for `nn.Dense`.

    XLA's own weight gradient x^T g is up to twice slower on CPU than (g^T x)^T, and so are products that are not of two
    matrices. There `precision` and `preferred_element_type` are not looked at. Accelerators keep XLA's.
    """
    if jax.default_backend() != "cpu" or dimension_numbers != (((x.ndim - 1,), (0,)), ((), ())):
        return lax.dot_general(x, kernel, dimension_numbers, precision, preferred_element_type)
    rows = lambda x: x.reshape(-1, x.shape[-1])

    def product(x, kernel):
        return (rows(x) @ kernel).reshape(*x.shape[:-1], -1)

    def backward(saved, g):
        x, kernel = saved
        return (rows(g) @ kernel.T).reshape(x.shape), lax.dot_general(
            rows(g), rows(x), (((0,), (0,)), ((), ()))
        ).T

    fast = jax.custom_vjp(product)
    fast.defvjp(lambda x, kernel: (product(x, kernel), (x, kernel)), backward)
    return fast(x, kernel)


def to_logits(x: jax.Array, embedding: jax.Array) -> jax.Array:
    """Logits float32 [B, T, V] of x [B, T, D] and an embedding [V, D], multiplied in the dtype of x."""
    return jnp.einsum(
        "btd,vd->btv", x, embedding.astype(x.dtype), preferred_element_type=jnp.float32
    )
