"""Gradients of fresh networks with one input: the same wiring and start as an arm, no data."""

import functools
import math
import threading

import jax
import jax.numpy as jnp
import numpy as np

from dla_jax.analysis import lesion, shattering
from dla_jax.evidence.rows import brief
from dla_jax.models.mlp import MLP

ONE_AT_A_TIME = threading.Lock()


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


@functools.partial(jax.jit, static_argnames=("model", "mirrored", "lags"))
def walk(keys, grid, skip, branch, *, model, mirrored: bool, lags: tuple[int, ...]):
    """Return dy/dx of fresh networks, a key each, float32 [K, N], and its autocorrelation.

    Args:
      skip, branch: float32 [], factors of all skips and branches.
    """
    images = grid.reshape(-1, 1, 1, 1)

    def one(key):
        key_start, key_biases = jax.random.split(key)
        variables = dict(model.init(key_start, images, train=False))
        params = with_random_biases(key_biases, variables.pop("params"), mirrored)
        ones = variables["wiring"]["blocks"]["skip"]
        wiring = {"blocks": {"skip": skip * ones, "branch": branch * ones}}
        variables = {"params": params, **variables, "wiring": wiring}
        variables = lesion.recompute(model.apply, variables, images)
        scalar = shattering.scalar_function(model.apply, variables)
        gradient = shattering.input_gradient(scalar, grid)
        return gradient, shattering.autocorrelation(gradient, lags)

    return jax.vmap(one)(keys)


def walks(config, model, seed: int) -> dict:
    """Return the gradients of fresh networks of each depth, and their autocorrelations.

    Args:
      model: the group `model` of an arm.

    Returns:
      {"walk_depths": [D], "walk_gradient": [D, N], of the first network of each depth,
      "walk_correlation": [D, lags], the mean over its networks}.
    """
    own, gradients, correlations = config.shattering, [], []
    keys = jax.random.split(jax.random.key(seed), own.num_networks)
    for depth in own.depths:
        scaled = "scaled" in model and model.scaled
        # One at a time, and its result awaited: programs that wait for XLA's few threads side by
        # side have been seen to wait for each other for good.
        with ONE_AT_A_TIME:
            gradient, correlation = jax.device_get(
                walk(
                    keys,
                    grid_of(config),
                    np.float32(model.skip),
                    np.float32(1 / math.sqrt(depth - 1) if scaled else 1.0),
                    model=network(model, own.width, depth),
                    mirrored=model.init == "looks_linear",
                    lags=lags_of(config),
                )
            )
        gradients.append(gradient[0])
        correlations.append(correlation.mean(0))
    return brief(
        {
            "walk_depths": np.array(own.depths),
            "walk_gradient": np.array(gradients),
            "walk_correlation": np.array(correlations),
        }
    )
