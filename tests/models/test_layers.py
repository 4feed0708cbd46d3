import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from dla_jax.models import layers

NHWC = lax.ConvDimensionNumbers((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))
CASES = [
    ((8, 8, 3), 3, 1, "SAME"),
    ((7, 9, 2), 3, 2, "SAME"),
    ((8, 8, 2), 3, 2, "VALID"),
    ((9, 7, 2), 5, 3, [(2, 1), (0, 2)]),
    ((6, 6, 2), 1, 1, "SAME"),
    ((8, 8, 2), 1, 2, "SAME"),
    ((16, 16, 3), 7, 2, [(3, 3), (3, 3)]),
]


@pytest.mark.parametrize(("shape", "window", "stride", "padding"), CASES)
@pytest.mark.parametrize("batch", [1, 6])
def test_the_fast_convolution_has_the_gradients_of_the_plain_one(
    shape, window, stride, padding, batch
):
    x = jax.random.normal(jax.random.key(0), (batch, *shape))
    kernel = jax.random.normal(jax.random.key(1), (window, window, shape[-1], 4))

    def loss(conv):
        return lambda x, k: jnp.sin(
            conv(x, k, (stride, stride), padding, dimension_numbers=NHWC)
        ).sum()

    ours, plain = (
        jax.value_and_grad(loss(conv), (0, 1))(x, kernel)
        for conv in (layers.convolution, lax.conv_general_dilated)
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-4), ours, plain)


def test_the_weight_gradient_in_blocks_equals_the_one_in_a_piece():
    x = jax.random.normal(jax.random.key(0), (24, 32, 32, 16))  # 24 x 1024 x 144 floats: two blocks
    kernel = jax.random.normal(jax.random.key(1), (3, 3, 16, 8)) / 12

    def loss(conv):
        return lambda k: (conv(x, k, (1, 1), "SAME", dimension_numbers=NHWC) ** 2).mean()

    ours, plain = (
        jax.grad(loss(conv))(kernel) for conv in (layers.convolution, lax.conv_general_dilated)
    )
    np.testing.assert_allclose(ours, plain, rtol=1e-3, atol=1e-5)


def test_the_gradient_of_the_gradient_exists():
    x, kernel = jnp.ones((2, 4, 4, 1)), jax.random.normal(jax.random.key(0), (3, 3, 1, 1))
    conv = lambda conv, k: (conv(x, k, (1, 1), "SAME", dimension_numbers=NHWC) ** 3).sum()
    curvature = lambda f: jax.grad(lambda k: jnp.square(jax.grad(lambda k: conv(f, k))(k)).sum())(
        kernel
    )
    np.testing.assert_allclose(
        curvature(layers.convolution), curvature(lax.conv_general_dilated), rtol=1e-4
    )


@pytest.mark.parametrize("shape", [(3, 3, 64, 64), (256, 128)])
def test_initialisations_have_their_distribution(shape):
    fan_in = np.prod(shape[:-1])
    he = np.asarray(layers.kernel_init("he")(jax.random.key(0), shape, jnp.float32))
    torch = np.asarray(layers.kernel_init("torch_default")(jax.random.key(1), shape, jnp.float32))
    assert he.var() == pytest.approx(2 / fan_in, rel=0.03) and abs(he.mean()) < 0.01 * he.std() * 3
    assert np.abs(he).max() > 3.5 * he.std()  # not truncated
    assert torch.var() == pytest.approx(1 / (3 * fan_in), rel=0.03)
    assert np.abs(torch).max() <= 1 / np.sqrt(fan_in) and np.abs(torch).max() > 0.99 / np.sqrt(
        fan_in
    )


def test_biases():
    assert not np.any(layers.bias_init("he", 9)(jax.random.key(0), (1000,)))
    torch = np.asarray(layers.bias_init("torch_default", 25)(jax.random.key(0), (1000,)))
    assert np.abs(torch).max() <= 0.2 and torch.std() == pytest.approx(0.2 / np.sqrt(3), rel=0.05)


def test_dirac_is_the_identity():
    x = jax.random.normal(jax.random.key(0), (2, 5, 5, 4))
    kernel = layers.dirac(jax.random.key(1), (3, 3, 4, 4))
    np.testing.assert_allclose(
        layers.convolution(x, kernel, (1, 1), "SAME", dimension_numbers=NHWC), x
    )
    np.testing.assert_allclose(x @ layers.dirac(jax.random.key(1), (4, 4)), x)
    assert np.any(
        layers.kernel_init("dirac", square=False)(jax.random.key(0), (3, 4), jnp.float32) % 1
    )  # he where not square


@pytest.mark.parametrize("shape", [(2, 8, 8, 3), (2, 7, 5, 1), (1, 2, 2, 4)])
def test_halving_is_a_max_pool_with_its_gradient(shape):
    h = jax.random.normal(jax.random.key(0), shape)
    pool = lambda h: nn.max_pool(h, (2, 2), (2, 2))
    np.testing.assert_array_equal(layers.halve(h), pool(h))
    weights = jax.random.normal(jax.random.key(1), pool(h).shape)
    np.testing.assert_array_equal(
        *(jax.grad(lambda h, f=f: (f(h) * weights).sum())(h) for f in (layers.halve, pool))
    )


def test_equal_pixels_share_the_gradient_of_their_maximum():
    g = jax.grad(lambda h: layers.halve(h).sum())(jnp.zeros((1, 4, 4, 2)))
    np.testing.assert_array_equal(g, 0.25)
