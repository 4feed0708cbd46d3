"""The Hessian of a loss, by products with vectors: its largest eigenvalue and its spectrum.

A matrix is given as a function `matvec`: float32 [D] -> float32 [D]; it is symmetric.
"""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

# Accelerators would round the factors of float32 products to ten bits.
_dot = functools.partial(jnp.dot, precision="highest")


def hvp(loss: Callable, params: dict, vector: dict) -> dict:
    """Return the Hessian of a loss times a vector, at the cost of a few gradients.

    Pearlmutter 1994, doi:10.1162/neco.1994.6.1.147: the derivative of the gradient along the
    vector.

    Args:
      loss: params -> float [].
      params, vector: trees of the same shapes and dtypes.

    Returns:
      A tree like `params`.
    """
    return jax.jvp(jax.grad(loss), (params,), (vector,))[1]


def flat_hvp(loss: Callable, params: dict) -> tuple[Callable, int]:
    """Return the Hessian of a loss as (matvec, D), all parameters in one vector."""
    flat, unravel = ravel_pytree(params)

    def matvec(vector):
        return ravel_pytree(hvp(loss, params, unravel(vector)))[0]

    return matvec, flat.size


def lanczos(matvec: Callable, start: jax.Array, num_steps: int) -> tuple[jax.Array, jax.Array]:
    """Reduce a matrix to a tridiagonal one, in the Krylov space of a vector.

    Golub and Van Loan 2013, algorithm 10.1.1; every vector is orthogonalised against all those
    before it, twice, or eigenvalues would come out more than once. Memory: [num_steps + 1, D].

    Args:
      matvec: of the matrix.
      start: float32 [D], not zeros.
      num_steps: products with the matrix.

    Returns:
      alphas: float32 [num_steps], the diagonal.
      betas: float32 [num_steps - 1], beside it. Where the space ends before (it has no more than D
        dimensions) they are 0, and all alphas from there on repeat the first one: an eigenvalue
        within the spectrum, of no weight.
    """

    def step(basis, i):
        image = matvec(basis[i])
        rest = image
        for _ in range(2):
            rest = rest - _dot(_dot(basis, rest), basis)
        beta = jnp.linalg.norm(rest)
        smallest = jnp.finfo(image.dtype).eps * jnp.linalg.norm(image)
        goes_on = beta > smallest
        following = jnp.where(goes_on, rest, 0.0) / jnp.where(goes_on, beta, 1.0)
        outputs = _dot(basis[i], image), jnp.where(goes_on, beta, 0.0)
        return basis.at[i + 1].set(following), outputs

    basis = jnp.zeros((num_steps + 1, len(start)), start.dtype)
    basis = basis.at[0].set(start / jnp.linalg.norm(start))
    _, (alphas, betas) = jax.lax.scan(step, basis, jnp.arange(num_steps))
    betas = betas[:-1]
    ended = jnp.cumsum(betas == 0) > 0
    return alphas.at[1:].set(jnp.where(ended, alphas[0], alphas[1:])), betas


def _quadrature(matvec: Callable, start: jax.Array, num_steps: int) -> tuple[jax.Array, jax.Array]:
    """Return Gauss nodes and weights [num_steps] of a matrix's spectrum, as `start` sees it.

    Golub and Welsch 1969, doi:10.1090/S0025-5718-69-99647-1: the eigenvalues of the tridiagonal
    matrix, and the squares of the first entries of its eigenvectors.
    """
    alphas, betas = lanczos(matvec, start, num_steps)
    tridiagonal = jnp.diag(alphas) + jnp.diag(betas, 1) + jnp.diag(betas, -1)
    nodes, vectors = jnp.linalg.eigh(tridiagonal)
    return nodes, jnp.square(vectors[0])


def top_eigenvalue(matvec: Callable, dim: int, key: jax.Array, num_steps: int) -> jax.Array:
    """Return the largest eigenvalue, with its sign: float32 [].

    Lanczos's estimate from below, which is exact after as many steps as the matrix has different
    eigenvalues, and close long before. It may be negative, where all are.

    Args:
      matvec: of the matrix.
      dim: D.
      key: of the vector to start from.
      num_steps: products with the matrix, 20 to 40 for a network.
    """
    # Gaussian: a vector of signs may be orthogonal to an eigenvector.
    start = jax.random.normal(key, (dim,), jnp.float32)
    return _quadrature(matvec, start, num_steps)[0].max()


def spectral_density(
    matvec: Callable, dim: int, key: jax.Array, num_probes: int, num_steps: int
) -> tuple[jax.Array, jax.Array]:
    """Return the spectrum of a matrix by stochastic Lanczos quadrature.

    Ghorbani et al. 2019, arXiv:1901.10159, algorithm 2, with vectors of random signs. The mean over
    probes of sum_j weights[j] f(nodes[j]) estimates the mean of f over the D eigenvalues; for a
    polynomial f of degree up to 2 num_steps - 1 it has no bias.

    Args:
      matvec: of the matrix.
      dim: D.
      key: of the probes.
      num_probes: P.
      num_steps: m, products with the matrix a probe.

    Returns:
      nodes: float32 [P, m], ascending.
      weights: float32 [P, m], each row sums to 1.
    """

    def one(key):
        return _quadrature(matvec, jax.random.rademacher(key, (dim,), jnp.float32), num_steps)

    return jax.lax.map(one, jax.random.split(key, num_probes))


def smoothed(nodes: jax.Array, weights: jax.Array, grid: jax.Array, width: float) -> jax.Array:
    """Return a density of eigenvalues, each node a Gaussian: it integrates to 1.

    Args:
      nodes, weights: float32 [P, m] (`spectral_density`).
      grid: float [G], eigenvalues.
      width: standard deviation of the Gaussians.

    Returns:
      float32 [G].
    """
    distance = (jnp.asarray(grid)[:, None] - nodes.ravel()) / width
    bumps = jnp.exp(-0.5 * jnp.square(distance)) / (width * math.sqrt(2 * math.pi))
    return _dot(bumps, weights.ravel()) / len(nodes)
