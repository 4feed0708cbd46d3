"""Draws the variables of a network by numpy, and the parameters of a model of texts.

There is no initialisation to compile, and biases and batch statistics are not trivial.
"""

import functools

import jax
import numpy as np


@functools.cache
def shapes_of(model, shape):
    """Return what `model.init` would, each leaf with shape and dtype alone."""
    images = jax.ShapeDtypeStruct(shape, np.float32)
    return jax.eval_shape(lambda x: model.init(jax.random.key(0), x, train=False), images)


def variables_of(model, shape, seed=0):
    """Of a model for images of a shape [B, H, W, C]; the wiring is ones."""
    rng = np.random.default_rng(seed)

    def draw(path, leaf):
        if path[0].key == "wiring":
            return np.ones(leaf.shape, np.float32)
        noise = rng.standard_normal(leaf.shape).astype(np.float32)
        match path[-1].key:
            case "kernel":
                stacked = any(part.key == "block" for part in path)
                return noise * np.float32(np.sqrt(2 / np.prod(leaf.shape[int(stacked) : -1])))
            case "var":
                return np.exp(0.5 * noise)
            case "scale":
                return 1 + 0.2 * noise
        return 0.2 * noise

    return jax.tree_util.tree_map_with_path(draw, shapes_of(model, tuple(shape)))


def params_of(model, *inputs, size):
    """Of a model of texts for such inputs: normal, of this size, and around 1 where a norm scales.

    So every part matters.
    """
    rng = np.random.default_rng(0)

    def draw(path, leaf):
        noise = size * rng.standard_normal(leaf.shape, np.float32)
        return np.float32(path[-1].key == "scale") + np.float32(noise)

    empty = jax.eval_shape(lambda: model.init(jax.random.key(0), *inputs)["params"])
    return jax.tree_util.tree_map_with_path(draw, empty)
