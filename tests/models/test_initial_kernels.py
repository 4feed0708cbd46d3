"""Initial kernels and biases have their distributions, and orthogonal ones keep the norm."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from dla_jax.models.fast_products import convolution
from dla_jax.models.starts import bias_init, kernel_init

NHWC = lax.ConvDimensionNumbers((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))


def drawn(*args, shape, seed=0, **how):
    """Draw a kernel in one program: `args` and `how` as for `kernel_init`."""
    start = kernel_init(*args, **how)
    return jax.device_get(jax.jit(lambda key: start(key, shape, jnp.float32))(jax.random.key(seed)))


@jax.jit
def convolve(x, kernel):
    """Convolve images [B, H, W, C] and keep their size."""
    return convolution(x, kernel, (1, 1), "SAME", dimension_numbers=NHWC)


@pytest.mark.parametrize("shape", [(3, 3, 64, 64), (256, 128)])
def test_initialisations_have_their_distribution(shape):
    fan_in = np.prod(shape[:-1])
    he = drawn("he", shape=shape)
    torch = drawn("torch_default", shape=shape, seed=1)
    assert he.var() == pytest.approx(2 / fan_in, rel=0.03) and abs(he.mean()) < 0.01 * he.std() * 3
    assert np.abs(he).max() > 3.5 * he.std()  # not truncated
    assert torch.var() == pytest.approx(1 / (3 * fan_in), rel=0.03)
    assert 0.99 < np.abs(torch).max() * np.sqrt(fan_in) <= 1


def test_biases():
    assert not np.any(bias_init("he", 9)(jax.random.key(0), (1000,)))
    torch = np.asarray(bias_init("torch_default", 25)(jax.random.key(0), (1000,)))
    assert np.abs(torch).max() <= 0.2 and torch.std() == pytest.approx(0.2 / np.sqrt(3), rel=0.05)


def test_dirac_is_the_identity():
    x = np.random.default_rng(0).standard_normal((2, 5, 5, 4)).astype(np.float32)
    np.testing.assert_allclose(convolve(x, drawn("dirac", shape=(3, 3, 4, 4))), x)
    np.testing.assert_allclose(x @ drawn("dirac", shape=(4, 4)), x)
    assert np.any(drawn("dirac", square=False, shape=(3, 4)) % 1)  # which he draws
    assert np.any(drawn("dirac", part="head", shape=(4, 4)) % 1)


@pytest.mark.parametrize("shape", [(6, 6), (8, 5), (5, 8), (3, 3, 2, 7)])
def test_an_orthogonal_kernel_is_sqrt_2_times_an_orthogonal_matrix(shape):
    kernel = drawn("orthogonal", square=shape[-2] == shape[-1], shape=shape)
    kernel = kernel.reshape(-1, shape[-1])
    shorter = kernel if len(kernel) <= shape[-1] else kernel.T
    np.testing.assert_allclose(shorter @ shorter.T, 2 * np.eye(len(shorter)), atol=1e-5)


def test_a_square_convolution_is_delta_orthogonal_and_keeps_the_norm_of_a_signal():
    kernel = drawn("orthogonal", shape=(3, 3, 5, 5))
    rows, columns = np.nonzero(np.any(kernel, axis=(2, 3)))
    assert (rows.tolist(), columns.tolist()) == ([1], [1])
    x = np.random.default_rng(0).standard_normal((2, 4, 6, 5)).astype(np.float32)
    found = convolve(x, kernel)
    assert np.linalg.norm(found) == pytest.approx(np.sqrt(2) * np.linalg.norm(x), rel=1e-5)
    # A stem sees whole windows, whatever its widths.
    stem = drawn("orthogonal", part="stem", shape=(3, 3, 5, 5))
    assert np.all(np.any(stem, axis=(2, 3)))
