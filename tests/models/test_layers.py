"""Pooling, and the products with fast gradients, against the plain ones."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from dla_jax.models.fast_products import convolution, fast_dot_general
from dla_jax.models.layers import halve

NHWC = lax.ConvDimensionNumbers((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))


def both(of_convolution, *arrays):
    """Return what is computed with the fast convolution, and with the plain one."""
    convolutions = (convolution, lax.conv_general_dilated)
    return jax.jit(lambda *xs: [of_convolution(conv, *xs) for conv in convolutions])(*arrays)


CASES = [
    ((8, 8, 3), 3, 1, "SAME"),
    ((8, 7, 5), 3, 1, "SAME"),
    ((9, 7, 2), 5, 1, [(2, 1), (0, 2)]),
    ((9, 7, 5), 5, 1, [(2, 1), (0, 2)]),
    ((8, 8, 2), 3, 1, "VALID"),
    ((7, 9, 2), 3, 2, "SAME"),
    ((8, 8, 2), 3, 2, "VALID"),
    ((9, 7, 2), 5, 3, [(2, 1), (0, 2)]),
    ((6, 6, 2), 1, 1, "SAME"),
    ((8, 8, 2), 1, 2, "SAME"),
    ((16, 16, 3), 7, 2, [(3, 3), (3, 3)]),
]


@pytest.mark.parametrize(("batch", "case"), [*((6, case) for case in CASES), (1, CASES[7])])
def test_the_fast_convolution_has_the_gradients_of_the_plain_one(batch, case):
    (shape, window, stride, padding), rng = case, np.random.default_rng(0)
    x = rng.standard_normal((batch, *shape), np.float32)
    kernel = rng.standard_normal((window, window, shape[-1], 4), np.float32)

    def loss_and_gradients(conv, x, kernel):
        def loss(x, kernel):
            out = conv(x, kernel, (stride, stride), padding, dimension_numbers=NHWC)
            return jnp.sin(out).sum()

        return jax.value_and_grad(loss, (0, 1))(x, kernel)

    ours, plain = both(loss_and_gradients, x, kernel)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-4), ours, plain)


def test_the_weight_gradient_in_blocks_equals_the_one_in_a_piece():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((24, 32, 32, 16), np.float32)  # 24 x 1024 x 144 floats: two blocks
    kernel = rng.standard_normal((3, 3, 16, 8), np.float32) / 12

    def gradient(conv, x, kernel):
        def loss(kernel):
            return (conv(x, kernel, (1, 1), "SAME", dimension_numbers=NHWC) ** 2).mean()

        return jax.grad(loss)(kernel)

    ours, plain = both(gradient, x, kernel)
    np.testing.assert_allclose(ours, plain, rtol=1e-3, atol=1e-5)


def test_the_gradient_of_the_gradient_exists():
    x = np.ones((2, 4, 4, 1), np.float32)
    kernel = np.random.default_rng(0).standard_normal((3, 3, 1, 1), np.float32)

    def curvature(conv, x, kernel):
        def loss(kernel):
            return (conv(x, kernel, (1, 1), "SAME", dimension_numbers=NHWC) ** 3).sum()

        return jax.grad(lambda kernel: jnp.square(jax.grad(loss)(kernel)).sum())(kernel)

    ours, plain = both(curvature, x, kernel)
    np.testing.assert_allclose(ours, plain, rtol=1e-4)


def test_the_fast_dense_layer_has_the_gradients_of_the_plain_one():
    rng = np.random.default_rng(0)
    shapes = ((2, 7, 5), (5, 3), (2, 7, 3))
    x, kernel, g = (rng.standard_normal(shape, np.float32) for shape in shapes)

    @functools.partial(jax.jit, static_argnums=0)
    def product_and_gradients(dot_general, x, kernel, g):
        out, pull = jax.vjp(lambda *xs: dot_general(*xs, (((2,), (0,)), ((), ()))), x, kernel)
        return out, pull(g)

    ours, grads = product_and_gradients(fast_dot_general, x, kernel, g)
    plain, plain_grads = product_and_gradients(lax.dot_general, x, kernel, g)
    np.testing.assert_allclose(ours, plain, atol=1e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), grads, plain_grads)


@pytest.mark.parametrize("shape", [(2, 8, 8, 3), (2, 7, 5, 1), (1, 2, 2, 4)])
def test_halving_is_a_max_pool_with_its_gradient(shape):
    h = np.random.default_rng(0).standard_normal(shape, np.float32)
    pool = lambda h: nn.max_pool(h, (2, 2), strides=(2, 2))
    weights = np.random.default_rng(1).standard_normal(jax.eval_shape(pool, h).shape, np.float32)
    found_and_gradient = lambda f, h: (f(h), jax.grad(lambda h: (f(h) * weights).sum())(h))
    ours, plain = jax.jit(lambda h: [found_and_gradient(f, h) for f in (halve, pool)])(h)
    jax.tree.map(np.testing.assert_array_equal, ours, plain)


def test_equal_pixels_share_the_gradient_of_their_maximum():
    g = jax.grad(lambda h: halve(h).sum())(jnp.zeros((1, 4, 4, 2)))
    np.testing.assert_array_equal(g, 0.25)
