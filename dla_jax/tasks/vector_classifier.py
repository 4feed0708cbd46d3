"""Classifiers of vectors: the functions of a `training.task.Task`.

The vectors are computed once, and stay on the device.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from dla_jax.training.metrics import accuracy, cross_entropy

CONSTANT = 1e-5  # of the largest value: a spread that is rounding


@functools.partial(jax.jit, static_argnames=("model", "width"))
def init_params(key, *, model, width: int) -> dict:
    """Return random parameters of a model for vectors of that width."""
    return model.init(key, jnp.zeros((1, width)), train=False)["params"]


def scale_of(vectors: np.ndarray, standardise: bool) -> dict[str, np.ndarray]:
    """Return {"mean", "std"} of each feature, float32 [D]; without `standardise` 0 and 1.

    "std" is 1 of a feature that does not vary.

    Args:
      vectors: float32 [N, D], those of the training part.
    """
    if standardise:
        mean, std = vectors.mean(0), vectors.std(0) + 1e-6
        # Of a feature that is the same in all, rounding would be blown up.
        std = np.where(std < CONSTANT * np.abs(vectors).max(), 1.0, std)
    else:
        mean, std = np.zeros(vectors.shape[1]), np.ones(vectors.shape[1])
    return {"mean": mean.astype(np.float32), "std": std.astype(np.float32)}


def init_model(key, *, model, scale: dict[str, np.ndarray]) -> tuple[dict, dict]:
    """Return (params, {"scale"}) of a model for vectors of that scale."""
    params = init_params(key, model=model, width=len(scale["mean"]))
    return params, {"scale": jax.tree.map(jnp.asarray, scale)}


def logits_of(model, params: dict, model_state: dict, x: jax.Array, **options) -> jax.Array:
    """Return the logits float32 [B, C] of vectors [B, D]."""
    x = (x - model_state["scale"]["mean"]) / model_state["scale"]["std"]
    return model.apply({"params": params}, x, **options)[0]


@functools.cache
def make_loss(model, label_smoothing: float, class_weights: tuple[float, ...] | None = None):
    """Return the loss function of a model.

    It is one object for each choice of arguments, so that the train step compiles once for all runs
    that share it.
    """

    def loss_fn(params, model_state, batch, key):
        logits = logits_of(
            model, params, model_state, batch["vector"], train=True, rngs={"dropout": key}
        )
        loss = cross_entropy(logits, batch["label"], label_smoothing, class_weights).mean()
        return loss, (model_state, {"train_accuracy": accuracy(logits, batch["label"])})

    return loss_fn


@functools.partial(jax.jit, static_argnames="model")
def evaluate(
    params: dict, model_state: dict, vectors: jax.Array, rows: jax.Array, *, model
) -> jax.Array:
    """Return the logits float32 [n, C] of the vectors [N, D] at `rows` int32 [n]."""
    return logits_of(model, params, model_state, vectors[rows], train=False)
