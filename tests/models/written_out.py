"""The parts of networks written out with JAX's own operations."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

X = np.random.default_rng(9).random((2, 32, 32, 3), np.float32)
COMMON = {"num_classes": 10, "mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.4), "dtype": "float32"}


def count_params(model):
    """Return the number of parameters of a network."""
    variables = jax.eval_shape(lambda: model.init(jax.random.key(0), X, train=False))
    return sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))


@functools.partial(jax.jit, static_argnames="model")
def apply(variables, *, model):
    """Return (logits, features) of a network for the images X."""
    return model.apply(variables, X, train=False)


def with_wiring(variables, skip, branch):
    """Return the variables with these factors of every skip and branch."""
    numbers = {"skip": skip, "branch": branch}
    fill = lambda path, leaf: leaf * numbers[path[-1].key]
    return variables | {"wiring": jax.tree_util.tree_map_with_path(fill, variables["wiring"])}


def conv(h, kernel, stride=1, pad=None):
    """Convolve [B, H, W, C] with a kernel [k, k, C, D], padded by `pad`, or as `SAME` is."""
    pad = (kernel.shape[0] - 1) // 2 if pad is None else pad
    return lax.conv_general_dilated(
        h,
        kernel,
        window_strides=(stride, stride),
        padding=[(pad, pad)] * 2,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def norm(h, p, s):
    """Normalise by the statistics s, and scale and shift by the parameters p."""
    return (h - s["mean"]) / jnp.sqrt(s["var"] + 1e-5) * p["scale"] + p["bias"]


def relu(h):
    """Return the positive part."""
    return jnp.maximum(h, 0)


def standardise(x):
    """Give the images the mean 0 and the deviation 1 that the networks compute with."""
    return (x - np.float32(COMMON["mean"])) / np.float32(COMMON["std"])
