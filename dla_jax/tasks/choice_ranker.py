"""Ranking the options of a question by frozen vectors: the functions of a `training.task.Task`.

The data of a task are {"context": float32 [N, D], "option": float32 [N, n, D]}: a vector of what is
asked (passage and question, or the question alone), and one of each option in the order of the
source. They are computed once, and stay on the device; a batch names questions and slots.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from dla_jax.data.batches import batch_positions
from dla_jax.models.mlp import Perceptron
from dla_jax.tasks import vector_classifier
from dla_jax.training.metrics import accuracy, cross_entropy

LOSSES = ("margin", "softmax")
FEATURES = {"pair": 2, "interactions": 4}  # how many vectors long they are
AT_A_TIME = 512  # questions whose features are in memory together


def scale_of(data: dict, rows: np.ndarray, standardise: bool) -> dict[str, dict]:
    """Return the scale of "context" and of "option", each as `vector_classifier.scale_of` has it.

    Args:
      data: numpy arrays, those of the task.
      rows: int32 [m], the questions of the training part.
    """
    context, option = data["context"][rows], data["option"][rows]
    return {
        "context": vector_classifier.scale_of(context, standardise),
        "option": vector_classifier.scale_of(option.reshape(-1, option.shape[-1]), standardise),
    }


def join(context: jax.Array, option: jax.Array, features: str) -> jax.Array:
    """Return the features of each option, float32 [..., n, 2 D or 4 D].

    Those of "pair" are [u, v], of "interactions" [u, v, u * v, |u - v|], with u the context and v
    the option (Conneau et al. 2017, arXiv:1705.02364, section 3.1).

    Args:
      context: [..., D].
      option: [..., n, D].
      features: one of FEATURES.
    """
    context = jnp.broadcast_to(context[..., None, :], option.shape)
    parts = [context, option]
    if features == "interactions":
        parts += [context * option, jnp.abs(context - option)]
    return jnp.concatenate(parts, -1)


def init_model(
    key, *, model: Perceptron, scale: dict[str, dict], features: str
) -> tuple[dict, dict]:
    """Return (params, {"scale"}) of a model of one class, for vectors of that scale."""
    width = FEATURES[features] * len(scale["option"]["mean"])
    params = vector_classifier.init_params(key, model=model, width=width)
    return params, {"scale": jax.tree.map(jnp.asarray, scale)}


def score(
    model: Perceptron,
    params: dict,
    model_state: dict,
    batch: dict,
    features: str,
    **options,
) -> jax.Array:
    """Return the score of each slot, float32 [B, n].

    Vectors are standardised before they are joined.

    Args:
      batch: "context" [B, D], "option" [B, n, D] in the order of the source, "order" int32 [B, n].
      options: of the model's call.
    """
    z = {
        name: (batch[name] - own["mean"]) / own["std"] for name, own in model_state["scale"].items()
    }
    option = jnp.take_along_axis(z["option"], batch["order"][..., None], axis=1)
    x = join(z["context"], option, features)
    rows = model.apply({"params": params}, x.reshape(-1, x.shape[-1]), **options)[0]
    return rows.reshape(x.shape[:-1])


def margin_loss(scores: jax.Array, labels: jax.Array, margin: float) -> jax.Array:
    """Return the mean over the wrong options of max(0, margin - (right - wrong)), float32 [B].

    Averaged over the batch it is PyTorch's MarginRankingLoss of all pairs of right and wrong.

    Args:
      scores: float [B, n].
      labels: int32 [B], the slot of the right option.
    """
    right = jnp.take_along_axis(scores, labels[:, None], axis=1)
    wrong = jnp.arange(scores.shape[1]) != labels[:, None]
    return jax.nn.relu(margin - (right - scores)).mean(axis=1, where=wrong)


@functools.cache
def make_loss(model: Perceptron, loss: str, margin: float, features: str, label_smoothing: float):
    """Return the loss function of a model.

    It is one object for each choice of arguments, so that the train step compiles once for all runs
    that share it. Batches are those of `make_batch_at`, with the task's data at "index".

    Args:
      loss: one of LOSSES; "softmax" is cross-entropy over the options of a question.
      margin: of the margin loss alone.
      features: one of FEATURES.
      label_smoothing: of the softmax alone.
    """

    def loss_fn(params, model_state, batch, key):
        scores = score(
            model, params, model_state, batch, features, train=True, rngs={"dropout": key}
        )
        if loss == "margin":
            value = margin_loss(scores, batch["label"], margin)
        else:
            value = cross_entropy(scores, batch["label"], label_smoothing)
        return value.mean(), (model_state, {"train_accuracy": accuracy(scores, batch["label"])})

    return loss_fn


def make_batch_at(
    orders: np.ndarray, labels: np.ndarray, train: np.ndarray, *, seed: int, batch_size: int
) -> Callable[[int], dict]:
    """Return the function step -> {"index": int32 [B], "order": int32 [B, n], "label": int32 [B]}.

    Args:
      orders: int32 [N, n], the option in each slot.
      labels: int32 [N], the slot of the right option.
      train: int32 [m], the positions of the training questions.
    """

    def batch_at(step):
        rows = train[batch_positions(seed, step, batch_size, len(train))]
        return {"index": rows, "order": orders[rows], "label": labels[rows]}

    return batch_at


@functools.partial(jax.jit, static_argnames=("model", "features"))
def evaluate(
    params: dict,
    model_state: dict,
    data: dict,
    rows: jax.Array,
    order: jax.Array,
    *,
    model: Perceptron,
    features: str,
) -> jax.Array:
    """Return the score of each slot of the questions at `rows`, float32 [m, n].

    Args:
      data: that of the task.
      rows: int32 [m].
      order: int32 [m, n], the option in each slot of these questions.
    """

    def alone(question):
        row, own_order = question
        batch = {name: leaf[row][None] for name, leaf in data.items()} | {"order": own_order[None]}
        return score(model, params, model_state, batch, features, train=False)[0]

    return jax.lax.map(alone, (rows, order), batch_size=AT_A_TIME)
