"""Shattered gradients: how alike are the gradients at neighbouring inputs?

Balduzzi et al. 2017, arXiv:1702.08591: with depth, dy/dx of a plain ReLU net with one input turns
from brown noise into white noise, and that of a residual one does not.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from dla_jax.config.checks import check


def scalar_function(apply: Callable, variables: dict) -> Callable:
    """Return a network of one input and one class as a function float32 [] -> float32 [].

    Args:
      apply: of one of our nets, for images of one pixel and num_classes 1.
      variables: of the network. BatchNorm takes its running statistics; `lesion.recompute` makes
        them those of the grid.
    """

    def f(x):
        logits, _ = apply(variables, jnp.reshape(x, (1, 1, 1, 1)), train=False)
        return logits[0, 0]

    return f


def input_gradient(f: Callable, grid: jax.Array) -> jax.Array:
    """Return dy/dx of a function float [] -> float [] at each point of a grid: [N] -> [N]."""
    return jax.vmap(jax.grad(f))(grid)


def autocorrelation(g: jax.Array, lags: Sequence[int] | None = None) -> jax.Array:
    """Return the autocorrelation of gradients on an even grid.

    It is not centred, so that the gradient of a linear function, a constant, gives 1 at all lags:

        r(k) = (sum_i g[i] g[i + k] / (N - k)) / (sum_i g[i]^2 / N).

    Args:
      g: float [N].
      lags: integers in [0, N), in steps of the grid; None: 0 to N - 1.

    Returns:
      float [lags]; nan where all gradients are 0.

    Raises:
      ConfigError: a lag that no pair has.
    """
    size = len(g)
    lags = np.arange(size) if lags is None else np.asarray(lags)
    for lag in lags:
        check(0 <= lag < size, f"lags: {lag} on a grid of {size} points; give 0 to {size - 1}")
    # Gradients of deep nets may be so small that their squares are 0 in float32.
    g = g / jnp.abs(g).max()
    padded = jnp.concatenate([g, jnp.zeros_like(g)])
    shifted = padded[lags[:, None] + np.arange(size)]
    return (shifted * g).sum(1) / (size - lags) / jnp.square(g).mean()
