"""Convolutions and matrix products whose gradients are fast on CPU: hooks for Flax's layers."""

import math

import jax
import jax.numpy as jnp
from jax import lax

BLOCK_FLOATS = 1 << 21  # patches of so many numbers fit the cache
FEW_CHANNELS = 4  # of images, say


def convolution(x: jax.Array, kernel: jax.Array, strides, padding, **options) -> jax.Array:
    """Convolve as `lax.conv_general_dilated`, NHWC, with fast gradients: a hook for `nn.Conv`.

    XLA's own weight gradient on CPU is up to 4 times slower than the product of gradient and
    patches below, and 54 times inside a `lax.scan` or `while_loop` (jax-ml/jax#12868). Its input
    gradient, which swaps the kernel's axes by name instead of in memory, misses the fast path as
    well. Accelerators keep XLA's.
    """

    def plain(x, kernel):
        return lax.conv_general_dilated(x, kernel, strides, padding, **options)

    dilations = (options.get(name) or () for name in ("lhs_dilation", "rhs_dilation"))
    dilated = any(rate != 1 for rates in dilations for rate in rates)
    unusual = options.get("feature_group_count", 1) != 1 or dilated
    if jax.default_backend() != "cpu" or unusual:
        return plain(x, kernel)
    pads = padding
    if isinstance(padding, str):
        pads = lax.padtype_to_pads(x.shape[1:3], kernel.shape[:2], strides, padding)

    def forward(x, kernel):
        return plain(x, kernel), (x, kernel)

    def backward(saved, g):
        x, kernel = saved
        of_input = _input_gradient(kernel, g, x.shape[1:3], strides, pads)
        return of_input, _weight_gradient(x, g, kernel.shape, strides, pads)

    fast = jax.custom_vjp(plain)
    fast.defvjp(forward, backward)
    return fast(x, kernel)


def _input_gradient(kernel, g, size: tuple[int, int], strides, pads) -> jax.Array:
    """Return the gradient [B, *size, C] of a convolution's input from that of its output, g."""
    if kernel.shape[2] <= FEW_CHANNELS and all(stride == 1 for stride in strides):
        return _narrow_input_gradient(kernel, g, size, pads)
    window, rows = kernel.shape[:2], g.shape[1:3]
    low = [k - 1 - pad[0] for k, pad in zip(window, pads, strict=True)]
    high = [
        n + k - 2 - (r - 1) * s - lo
        for n, k, r, s, lo in zip(size, window, rows, strides, low, strict=True)
    ]
    return lax.conv_general_dilated(
        g,
        kernel[::-1, ::-1].swapaxes(2, 3),
        window_strides=(1, 1),
        padding=list(zip(low, high, strict=True)),
        lhs_dilation=strides,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def _narrow_input_gradient(kernel, g, size: tuple[int, int], pads) -> jax.Array:
    """Return what `_input_gradient` does, for few input channels and stride 1.

    It is one product, then the sum of its shifted parts. XLA's convolution to few channels is up to
    4 times slower on CPU, and attacks on images spend a part of their time there.
    """
    (high, wide), (channels, width) = kernel.shape[:2], kernel.shape[2:]
    parts = kernel.reshape(-1, width) @ g.reshape(-1, width).T
    parts = parts.reshape(high, wide, channels, *g.shape[:3])

    def shifted(i, j):
        return jnp.pad(parts[i, j], ((0, 0), (0, 0), (i, high - 1 - i), (j, wide - 1 - j)))

    total = sum(shifted(i, j) for i in range(high) for j in range(wide))
    (top, _), (left, _) = pads
    return total[:, :, top : top + size[0], left : left + size[1]].transpose(1, 2, 3, 0)


def _weight_gradient(x, g, shape: tuple[int, ...], strides, pads) -> jax.Array:
    """Return the gradient of a convolution's kernel, of this shape, from that of its output, g.

    Works in blocks of images whose patches fit the cache. Of the two orders of operands g^T p is
    fast, not p^T g.
    """
    block = max(1, min(len(x), BLOCK_FLOATS // math.prod((*g.shape[1:3], *shape[:3]))))
    while len(x) % block:
        block -= 1

    def add(total, images_and_gradients):
        images, grads = images_and_gradients
        rows, grads = patches(images, shape[:2], strides, pads), grads.reshape(-1, g.shape[-1])
        return total + lax.dot_general(grads, rows, (((0,), (0,)), ((), ()))), None

    total = jnp.zeros((g.shape[-1], math.prod(shape[:3])), g.dtype)
    if block == len(x):
        total, _ = add(total, (x, g))
    else:
        blocks = [array.reshape(-1, block, *array.shape[1:]) for array in (x, g)]
        total, _ = lax.scan(add, total, blocks)
    return total.T.reshape(shape)


def patches(x: jax.Array, window: tuple[int, int], strides: tuple[int, int], padding) -> jax.Array:
    """Return the windows of a convolution as rows: [B, H, W, C] -> [B * H' * W', kh * kw * C].

    Args:
      x: the images.
      window, strides: (height, width).
      padding: ((low, high), (low, high)).
    """
    x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    batch, *size, channels = x.shape
    reach = [(n - k) // s * s + 1 for n, k, s in zip(size, window, strides, strict=True)]

    def take(i, j):
        end = (batch, i + reach[0], j + reach[1], channels)
        return lax.slice(x, (0, i, j, 0), end, (1, *strides, 1))

    stacked = jnp.concatenate([take(i, j) for i in range(window[0]) for j in range(window[1])], -1)
    return stacked.reshape(-1, window[0] * window[1] * channels)


def fast_dot_general(
    x: jax.Array, kernel: jax.Array, dimension_numbers, precision=None, preferred_element_type=None
):
    """Multiply as `lax.dot_general`, with fast products: a hook for `nn.Dense`.

    For x [..., in] and kernel [in, out]. XLA's own weight gradient x^T g is up to twice slower on
    CPU than (g^T x)^T, and so are products that are not of two matrices. There `precision` and
    `preferred_element_type` are not looked at. Accelerators keep XLA's.
    """
    if jax.default_backend() != "cpu" or dimension_numbers != (((x.ndim - 1,), (0,)), ((), ())):
        return lax.dot_general(x, kernel, dimension_numbers, precision, preferred_element_type)
    return _fast_product(x, kernel)


def _rows(x: jax.Array) -> jax.Array:
    return x.reshape(-1, x.shape[-1])


def _product(x, kernel):
    return (_rows(x) @ kernel).reshape(*x.shape[:-1], -1)


def _product_forward(x, kernel):
    return _product(x, kernel), (x, kernel)


def _product_backward(saved, g):
    x, kernel = saved
    of_kernel = lax.dot_general(_rows(g), _rows(x), (((0,), (0,)), ((), ()))).T
    return (_rows(g) @ kernel.T).reshape(x.shape), of_kernel


_fast_product = jax.custom_vjp(_product)
_fast_product.defvjp(_product_forward, _product_backward)
