"""Stands in for the initialisation of large networks, whose compilation takes seconds."""

import jax
import numpy as np

from dla_jax.tasks.image_classifier import variable_shapes

# Repeated; a prime number of them, so that no two channels are alike.
WEIGHTS = np.random.default_rng(0).normal(0, 0.05, 10_007).astype(np.float32)


def init_model(key, *, model, shape) -> tuple[dict, dict]:
    """Return (params, model_state) as `image_classifier.init_model`, without compiling anything.

    The running statistics are those of the start, and all wiring is 1.
    """

    def draw(path, leaf):
        if path[0].key == "params":
            return np.resize(WEIGHTS, leaf.shape)
        return np.full(leaf.shape, path[-1].key != "mean", np.float32)

    drawn = jax.tree_util.tree_map_with_path(draw, dict(variable_shapes(model, shape)))
    return drawn.pop("params"), drawn
