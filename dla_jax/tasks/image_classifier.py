"""Image classifiers: the functions of a `training.task.Task`, from a Flax module and images.

A module here is anything with `apply(variables, x, train=...) -> (logits, features)` for images
x float32 [B, H, W, C] in [0, 1].
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from dla_jax.data import batches, images
from dla_jax.tasks.compiling import cheaply
from dla_jax.training.mesh import split_rows
from dla_jax.training.metrics import accuracy, class_scores, cross_entropy, masked_sums


@functools.partial(jax.jit, static_argnames=("model", "shape"), compiler_options=cheaply())
def init_variables(key: jax.Array, *, model, shape: tuple[int, ...]) -> dict:
    """Return Flax's variables of a model for images float32 [1, *shape]."""
    return model.init(key, jnp.zeros((1, *shape)), train=False)


def init_model(key: jax.Array, *, model, shape: tuple[int, ...]) -> tuple[dict, dict]:
    """Return (params, model_state) of a model for images [H, W, C] of this shape."""
    model_state = dict(init_variables(key, model=model, shape=shape))
    return model_state.pop("params"), model_state


@functools.cache
def variable_shapes(model, shape: tuple[int, ...]) -> dict:
    """Return the variables of a model for images [H, W, C] of this shape, as shapes."""

    def init(seed):
        return model.init(jax.random.key(seed), jnp.zeros((1, *shape)), train=False)

    return jax.eval_shape(init, 0)


def shapes_of(model, shape: tuple[int, ...]) -> dict:
    """Return the parameters of a model for images [H, W, C] of this shape, as shapes."""
    return variable_shapes(model, shape)["params"]


def count_params(model, shape: tuple[int, ...]) -> int:
    """Return the number of trainable numbers of a model for images [H, W, C] of this shape."""
    return sum(leaf.size for leaf in jax.tree.leaves(shapes_of(model, shape)))


def counting_steps(init_fn: Callable) -> Callable:
    """Return `init_fn` with a count of steps added to the model state.

    `make_loss` with `freeze_norm_at` needs it.
    """

    def init(key):
        params, model_state = init_fn(key)
        return params, model_state | {"steps": {"taken": jnp.float32(0)}}

    return init


@functools.cache
def make_loss(
    model,
    pad: int,
    flip: bool,
    label_smoothing: float,
    freeze_norm_at: int = 0,
    class_weights: tuple[float, ...] | None = None,
) -> Callable:
    """Return the loss function of a model.

    It is one object for each choice of arguments, so that the train step compiles once for all
    trials that share them.

    Args:
      pad: pixels of pad-and-crop.
      flip: whether images are mirrored at random.
      label_smoothing: e trains towards (1 - e) one-hot + e / C (Szegedy et al. 2016,
        arXiv:1512.00567, section 7).
      freeze_norm_at: the step from which on BatchNorm and dropout are left in evaluation mode, as
        lab C has it; 0: never.
      class_weights: of each class, with mean 1 over the examples; None: all alike.
    """

    def loss_fn(params, model_state, batch, key):
        key_augment, key_dropout = jax.random.split(key)
        x = images.augment(key_augment, batch["image"], pad, flip).astype(jnp.float32) / 255

        def forward(train):
            return model.apply(
                {"params": params, **model_state},
                x,
                train=train,
                mutable=["batch_stats"],
                rngs={"dropout": key_dropout},
            )

        if freeze_norm_at:
            taken = model_state["steps"]["taken"]
            (logits, _), updates = jax.lax.cond(
                taken < freeze_norm_at,
                lambda: forward(train=True),
                lambda: forward(train=False),
            )
            updates = updates | {"steps": {"taken": taken + 1}}
        else:
            (logits, _), updates = forward(train=True)
        loss = cross_entropy(logits, batch["label"], label_smoothing, class_weights).mean()
        metrics = {"train_accuracy": accuracy(logits, batch["label"])}
        return loss, ({**model_state, **updates}, metrics)

    return loss_fn


@functools.partial(jax.jit, static_argnames=("model", "mesh"))
def score(variables, data, positions, mask, *, model, mesh) -> dict[str, jax.Array]:
    """Return how well a model does on the images at some positions.

    Args:
      data: {"image": uint8 [N, H, W, C], "label": int32 [N]}.
      positions: int32 [batches, B], rows of `data`.
      mask: float32 [batches, B], 1 where the row counts and 0 where it fills up a batch.

    Returns:
      "loss" (nats) and "accuracy", float32 []; "correct", float32 [C]: how many examples of each
      class were taken for it.
    """

    def sums(batch):
        rows, weights = jax.lax.with_sharding_constraint(batch, split_rows(mesh))
        x = data["image"][rows].astype(jnp.float32) / 255
        logits, _ = model.apply(variables, x, train=False)
        return masked_sums(logits, data["label"][rows], weights)

    totals = jax.tree.map(lambda parts: parts.sum(0), jax.lax.map(sums, (positions, mask)))
    means = {name: totals[name] / totals["count"] for name in ("loss", "accuracy")}
    return means | {"correct": totals["correct"]}


def make_evaluate(
    model,
    data: dict,
    mesh,
    positions: np.ndarray,
    batch_size: int,
    prefix: str,
    labels: np.ndarray | None = None,
) -> Callable:
    """Return the function state -> {"<prefix>_loss", "<prefix>_accuracy"}.

    Args:
      positions: int32 [n], the examples that are scored, each exactly once.
      labels: int32 [N], of all examples; with them the result also holds what
        `metrics.class_scores` says of the scored ones.
    """
    padded, mask = batches.padded_batches(positions, batch_size)

    def evaluate(state) -> dict:
        variables = {"params": state.params, **state.model_state}
        scores = score(variables, data, padded, mask, model=model, mesh=mesh)
        correct = np.asarray(scores.pop("correct"))
        found = {f"{prefix}_{name}": float(value) for name, value in scores.items()}
        if labels is None:
            return found
        return found | class_scores(correct, np.bincount(labels[positions], minlength=len(correct)))

    return evaluate
