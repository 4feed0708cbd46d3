"""Products, eigenvalues and densities are those of matrices that are written out."""

import functools

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from scipy import stats

from dla_jax.analysis import curvature
from dla_jax.analysis.loss import loss_with_batch_statistics
from dla_jax.models.mlp import MLP

X, LABELS = np.random.default_rng(0).random((8, 3, 3, 1), np.float32), np.arange(8) % 3
COMMON = {"num_classes": 3, "mean": (0.0,), "std": (1.0,), "dtype": "float32"}
NET = MLP(depth=2, width=3, norm="batch", init_scheme="he", **COMMON)


def matrix_of(eigenvalues, seed=0):
    """Return a symmetric matrix float32 with these eigenvalues, in a random basis."""
    noise = np.random.default_rng(seed).standard_normal((len(eigenvalues),) * 2)
    basis = np.linalg.qr(noise)[0]
    return (basis * eigenvalues @ basis.T).astype(np.float32)


def product(matrix):
    return functools.partial(jnp.matmul, matrix)


def test_products_and_the_top_eigenvalue_are_those_of_the_hessian_of_a_network():
    variables = drawn.variables_of(NET, X.shape)
    flat, unravel = ravel_pytree(variables["params"])
    vector = np.random.default_rng(0).standard_normal(flat.size).astype(np.float32)

    @jax.jit
    def found_and_expected(params):
        loss = loss_with_batch_statistics(NET.apply, variables, X, LABELS)
        matvec, dim = curvature.flat_hvp(loss, params)
        assert dim == flat.size
        tree = curvature.hvp(loss, params, unravel(vector))
        top = curvature.top_eigenvalue(matvec, dim, jax.random.key(0), 30)
        hessian = jax.hessian(lambda flat: loss(unravel(flat)))(flat)
        return tree, matvec(vector), top, hessian

    tree, flat_product, top, hessian = found_and_expected(variables["params"])
    hessian = np.asarray(hessian, np.float64)
    scale = np.abs(hessian).max()
    np.testing.assert_allclose(flat_product, hessian @ vector, rtol=1e-3, atol=1e-4 * scale)
    np.testing.assert_array_equal(ravel_pytree(tree)[0], flat_product)
    eigenvalues = np.linalg.eigvalsh(hessian)
    np.testing.assert_allclose(top, eigenvalues[-1], rtol=1e-3)
    assert eigenvalues[0] < -1e-3 * top


_lanczos = jax.jit(
    lambda matrix, start, num_steps: curvature.lanczos(product(matrix), start, num_steps),
    static_argnums=2,
)


def lanczos(matrix, start, num_steps):
    """Return (alphas, betas) as NumPy's, of which no test compiles a further operation."""
    return jax.device_get(_lanczos(matrix, start, num_steps))


def tridiagonal(alphas, betas):
    return np.diag(alphas) + np.diag(betas, 1) + np.diag(betas, -1)


def test_the_tridiagonal_matrix_has_the_moments_of_the_matrix_and_at_last_its_eigenvalues():
    eigenvalues = np.array([-5.0, -1.0, -0.5, 0.1, 0.2, 2.0, 3.0, 10.0])
    matrix = matrix_of(eigenvalues)
    start = np.random.default_rng(1).standard_normal(8).astype(np.float32)
    unit, exact = start / np.linalg.norm(start), matrix.astype(np.float64)
    for num_steps in (1, 3, 8):
        # those of three steps are the first of eight: one program less
        alphas, betas = lanczos(matrix, start, 8 if num_steps > 1 else 1)
        alphas, betas = alphas[:num_steps], betas[: num_steps - 1]
        small = tridiagonal(alphas, betas).astype(np.float64)
        assert small.shape == (num_steps, num_steps) and np.all(betas > 0)
        for power in range(1, 2 * num_steps):
            expected = unit @ np.linalg.matrix_power(exact, power) @ unit
            moment = np.linalg.matrix_power(small, power)[0, 0]
            np.testing.assert_allclose(moment, expected, rtol=1e-4, atol=1e-4 * 10.0**power)
    np.testing.assert_allclose(np.linalg.eigvalsh(small), eigenvalues, atol=1e-4)
    longer = lanczos(matrix, start, 12)
    np.testing.assert_allclose(longer[0], np.append(alphas, [alphas[0]] * 4), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(longer[1], np.append(betas, [0.0] * 4), rtol=1e-4, atol=1e-4)


def test_long_runs_find_each_eigenvalue_once():
    eigenvalues = np.concatenate([np.linspace(-1, 1, 59), [50.0]])
    start = np.random.default_rng(1).standard_normal(60).astype(np.float32)
    alphas, betas = lanczos(matrix_of(eigenvalues), start, 60)
    found = np.linalg.eigvalsh(tridiagonal(alphas, betas))
    np.testing.assert_allclose(found, eigenvalues, atol=2e-3)


KNOWN = np.array([-3.0, -3.0, 0.0, 0.0, 0.0, 0.0, 1.5, 4.0], np.float32)
_density = jax.jit(
    lambda diagonal, num_steps: curvature.spectral_density(
        lambda vector: diagonal * vector, len(diagonal), jax.random.key(0), 5, num_steps
    ),
    static_argnums=1,
)


def density(diagonal, num_steps):
    """Return (nodes, weights) of a diagonal matrix, by five probes."""
    return jax.device_get(_density(diagonal, num_steps))


@pytest.mark.parametrize("num_steps", [4, 20])
def test_the_density_has_the_eigenvalues_with_their_signs_and_multiplicities(num_steps):
    nodes, weights = density(KNOWN, num_steps)
    assert nodes.shape == weights.shape == (5, num_steps)
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-5)
    for value, count in zip(*np.unique(KNOWN, return_counts=True), strict=True):
        near = np.abs(nodes - value) < 1e-3
        np.testing.assert_allclose((weights * near).sum(1), count / 8, atol=1e-4)
    assert nodes.min() > -3.01 and nodes.max() < 4.01


def test_few_steps_have_the_moments_of_a_diagonal_matrix_exactly():
    diagonal = np.random.default_rng(0).standard_normal(8).astype(np.float32)
    nodes, weights = density(diagonal, 4)
    for power in range(1, 8):
        moment = (weights * nodes**power).sum(1)
        np.testing.assert_allclose(
            moment, np.full(5, (diagonal**power).mean()), rtol=1e-3, atol=1e-4
        )


def test_the_mean_over_probes_is_the_trace_over_the_dimension():
    matrix = matrix_of(np.arange(-3.0, 9.0))
    find = jax.jit(
        lambda: curvature.spectral_density(product(matrix), 12, jax.random.key(0), 300, 2)
    )
    nodes, weights = jax.device_get(find())
    means = (weights * nodes).sum(1)
    error = means.std(ddof=1) / np.sqrt(300)
    assert 0.01 < error < 0.2
    assert abs(means.mean() - 2.5) < 4 * error


@functools.partial(jax.jit, static_argnames="dim")
def of_multiple_of_one(value, *, dim):
    """Return the top eigenvalue, nodes and weights of a multiple of the unit matrix."""
    matvec, key = lambda vector: value * vector, jax.random.key(1)
    top = curvature.top_eigenvalue(matvec, dim, key, 6)
    return top, *curvature.spectral_density(matvec, dim, key, 2, 6)


@pytest.mark.parametrize(
    ("value", "dim"), [(-2.0, 3), (0.0, 3), pytest.param(5.0, 1, marks=pytest.mark.slow)]
)
def test_a_space_that_ends_early_gives_no_nan_and_keeps_the_sign(value, dim):
    top, nodes, weights = of_multiple_of_one(value, dim=dim)
    np.testing.assert_allclose(top, value, rtol=1e-5)
    np.testing.assert_allclose(nodes, np.full((2, 6), value), rtol=1e-5)
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-5)


def test_the_largest_eigenvalue_is_not_the_largest_by_size():
    matrices = [matrix_of([-9.0, -4.0, -1.0]), matrix_of([-9.0, 0.5, 2.0], seed=1)]
    top = lambda matrix: curvature.top_eigenvalue(product(matrix), 3, jax.random.key(0), 8)
    at_once = jax.jit(jax.vmap(top))(np.stack(matrices))
    np.testing.assert_allclose(at_once, [-1.0, 2.0], rtol=1e-4)
    np.testing.assert_allclose(at_once, [jax.jit(top)(matrix) for matrix in matrices], rtol=1e-4)


def test_probes_at_once_equal_probes_one_by_one():
    matrix = matrix_of(np.arange(-3.0, 9.0))

    @jax.jit
    def at_once_and_probes(key):
        sign = lambda key: jax.random.rademacher(key, (12,), jnp.float32)
        at_once = curvature.spectral_density(product(matrix), 12, key, 3, 4)
        return *at_once, jax.vmap(sign)(jax.random.split(key, 3))

    found = jax.device_get(at_once_and_probes(jax.random.key(7)))
    for nodes, weights, signs in zip(*found, strict=True):
        alphas, betas = lanczos(matrix, signs, 4)
        values, vectors = np.linalg.eigh(tridiagonal(alphas, betas))
        np.testing.assert_allclose(nodes, values, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(weights, vectors[0] ** 2, rtol=1e-3, atol=1e-4)


def test_the_smoothed_density_is_a_mean_of_gaussians_and_integrates_to_1():
    nodes, weights = density(KNOWN, 4)
    grid = np.linspace(-6, 7, 600)
    found = curvature.smoothed(nodes, weights, grid, 0.3)
    np.testing.assert_allclose(np.trapezoid(found, grid), 1, rtol=1e-4)
    expected = np.mean([stats.norm.pdf(grid, value, 0.3) for value in KNOWN], axis=0)
    np.testing.assert_allclose(found, expected, rtol=1e-2, atol=1e-4)
