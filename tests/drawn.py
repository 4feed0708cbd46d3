"""Draws the variables of a network by numpy.

There is no initialisation to compile, and biases and batch statistics are not trivial.
"""

import jax
import numpy as np


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

    empty = jax.eval_shape(
        lambda: model.init(jax.random.key(0), np.zeros(shape, np.float32), train=False)
    )
    return jax.tree_util.tree_map_with_path(draw, empty)
