"""Gradients of fresh networks with one input: the same wiring and start as an arm, no data."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from dla_jax.analysis import lesion, shattering
from dla_jax.evidence.rows import brief
from dla_jax.models.build import wire
from dla_jax.models.mlp import MLP
from dla_jax.models.starts import SCALARS


def grid_of(config) -> np.ndarray:
    """Return the inputs: float32 [points], even."""
    own = config.shattering
    return np.linspace(-own.span, own.span, own.points, dtype=np.float32)


def lags_of(config) -> tuple[int, ...]:
    """Return the lags of the autocorrelation, in steps of the grid: 0 to the longest."""
    return tuple(range(config.shattering.longest_lag + 1))


def network(model, width: int, depth: int) -> MLP:
    """Return the dense network of a depth with one input and one output, as an arm starts it.

    Args:
      model: the group `model` of the arm.
    """
    return MLP(
        depth=depth,
        width=width,
        num_classes=1,
        mean=(0.0,),
        std=(1.0,),
        norm=model.norm,
        init_scheme=model.init,
        dtype="float32",
        scalars=model.init if model.init in SCALARS else "none",
    )


def with_random_biases(key, params: dict, mirrored: bool) -> dict:
    """Return parameters whose biases are as large as the layer's weights, Gaussian.

    Without biases a ReLU net of one input has one gradient on either side of 0, whatever its depth.

    Args:
      mirrored: whether a layer's second half has the biases of its first one with the other sign,
        as its weights are in a looks-linear net.
    """
    leaves, tree = jax.tree_util.tree_flatten_with_path(params)
    keys = jax.random.split(key, len(leaves))
    changed = []
    for own, (path, leaf) in zip(keys, leaves, strict=True):
        names = [part.key for part in path]
        if names[-1] != "bias" or "norm" in names or names[0] == "head":
            changed.append(leaf)
            continue
        fan_in = functools.reduce(lambda tree, name: tree[name], names[:-1], params)["kernel"]
        noise = jax.random.normal(own, leaf.shape) * math.sqrt(2 / fan_in.shape[-2])
        if mirrored:
            half = noise[..., : leaf.shape[-1] // 2]
            noise = jnp.concatenate([half, -half], axis=-1)
        changed.append(noise)
    return jax.tree_util.tree_unflatten(tree, changed)


@functools.partial(jax.jit, static_argnames=("model", "skip", "branch", "mirrored", "lags"))
def walk(key, grid, *, model, skip: bool, branch: float, mirrored: bool, lags: tuple[int, ...]):
    """Return dy/dx float32 [N] of a fresh network, and its autocorrelation [lags]."""
    images = grid.reshape(-1, 1, 1, 1)
    key_start, key_biases = jax.random.split(key)
    variables = dict(model.init(key_start, images, train=False))
    params = with_random_biases(key_biases, variables.pop("params"), mirrored)
    variables = {"params": params, **wire(variables, skip=skip, branch=branch)}
    variables = lesion.recompute(model.apply, variables, images)
    gradient = shattering.input_gradient(shattering.scalar_function(model.apply, variables), grid)
    return gradient, shattering.autocorrelation(gradient, lags)


def walks(config, model, seed: int) -> dict:
    """Return the gradients of fresh networks of each depth, and their autocorrelations.

    Args:
      model: the group `model` of an arm.

    Returns:
      {"walk_depths": [D], "walk_gradient": [D, N], "walk_correlation": [D, lags]}.
    """
    own, gradients, correlations = config.shattering, [], []
    for depth in own.depths:
        scaled = "scaled" in model and model.scaled
        gradient, correlation = walk(
            jax.random.key(seed),
            grid_of(config),
            model=network(model, own.width, depth),
            skip=model.skip,
            branch=1 / math.sqrt(depth - 1) if scaled else 1.0,
            mirrored=model.init == "looks_linear",
            lags=lags_of(config),
        )
        gradients.append(gradient)
        correlations.append(correlation)
    return brief(
        {
            "walk_depths": np.array(own.depths),
            "walk_gradient": np.array(gradients),
            "walk_correlation": np.array(correlations),
        }
    )
