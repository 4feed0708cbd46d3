"""A cross-encoder of choices: it reads the passage, the question and one option together.

Each option gets one number, and the softmax is over the options of a question, as GPT and BERT
have it (Radford et al. 2018, section 3.3; Devlin et al. 2019, arXiv:1810.04805, section 4.4). These
are the functions of a `training.task.Task`; `text_encoder.init_classifier` makes the parameters.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from dla_jax.data.batches import alike_positions, batch_positions, batches_by_length
from dla_jax.models.bert import Classifier
from dla_jax.tasks.choice_pairs import Pairs, gather, lengths_of
from dla_jax.tasks.text_encoder import compiler_options, join_frozen
from dla_jax.training.mesh import put, replicated, split_rows
from dla_jax.training.metrics import accuracy, cross_entropy


def score(model: Classifier, params: dict, batch: dict, **options) -> jax.Array:
    """Return the score of each option, float32 [B, n], which is that of its best window.

    Args:
      model: of one class.
      batch: "token", "type" and "length", as `choice_pairs.gather` has them.
      options: of the model's call.
    """
    token, length = batch["token"], batch["length"]
    width = token.shape[-1]
    types = batch["type"].reshape(-1, width) if model.config.type_vocab > 1 else None
    rows, _ = model.apply(
        {"params": params}, token.reshape(-1, width), length.reshape(-1), types, **options
    )
    return jnp.where(length > 0, rows.reshape(length.shape), -jnp.inf).max(-1)


@functools.cache
def make_loss(model: Classifier, frozen_layers: int, label_smoothing: float):
    """Return the loss function: cross-entropy over the options of a question.

    It is one object for each choice of arguments, so that its train step compiles once a width.
    Batches are those of `make_batch_at`.
    """

    def loss_fn(params, model_state, batch, key):
        logits = score(
            model,
            join_frozen(params, model_state),
            batch,
            train=True,
            frozen_layers=frozen_layers,
            rngs={"dropout": key},
        )
        loss = cross_entropy(logits, batch["label"], label_smoothing).mean()
        return loss, (model_state, {"train_accuracy": accuracy(logits, batch["label"])})

    return loss_fn


def make_batch_at(
    pairs: Pairs,
    orders: np.ndarray,
    labels: np.ndarray,
    train: np.ndarray,
    *,
    seed: int,
    batch_size: int,
    widths: tuple[int, ...],
    max_length: int,
    num_windows: int,
    alike: bool,
) -> Callable[[int], dict]:
    """Return the function step -> the batch of `choice_pairs.gather`, with "label": int32 [B].

    Args:
      orders: int32 [N, n], the option in each slot.
      labels: int32 [N], the slot of the right option.
      train: int32 [m], the positions of the training questions, of which batches are made.
      alike: whether questions of about one length come together.
    """
    lengths = lengths_of(pairs, max_length, num_windows)[train]

    def batch_at(step):
        if alike:
            rows = train[alike_positions(seed, step, batch_size, lengths)]
        else:
            rows = train[batch_positions(seed, step, batch_size, len(train))]
        batch = gather(pairs, rows, orders[rows], max_length, num_windows, widths)
        return batch | {"label": labels[rows]}

    return batch_at


@functools.cache
def _compiled():
    """Return `_logits` compiled."""
    static = ("model", "mesh")
    return jax.jit(_logits, static_argnames=static, compiler_options=compiler_options())


def _logits(params, batch, *, model, mesh):
    batch = jax.lax.with_sharding_constraint(batch, split_rows(mesh))
    return jax.lax.with_sharding_constraint(score(model, params, batch), replicated(mesh))


def logits(
    model: Classifier,
    params: dict,
    pairs: Pairs,
    rows: np.ndarray,
    order: np.ndarray,
    *,
    batch_size: int,
    widths: tuple[int, ...],
    max_length: int,
    num_windows: int,
    mesh,
    done=lambda n: None,
) -> np.ndarray:
    """Return the score of each slot of the questions at `rows`: float32 [len(rows), n].

    The shortest questions come first, in full batches of a few widths, so that little is padded
    and little compiled.

    Args:
      rows: int32 [m].
      order: int32 [m, n], the option in each slot of these questions.
      done: called with the number of questions of each batch.
    """
    found = np.zeros(order.shape, np.float32)
    lengths = lengths_of(pairs, max_length, num_windows)[rows]
    for places in batches_by_length(lengths, batch_size):
        full = np.resize(places, batch_size)  # the last batch is filled up with its own questions
        batch = gather(pairs, rows[full], order[full], max_length, num_windows, widths)
        values = _compiled()(params, put(batch, split_rows(mesh)), model=model, mesh=mesh)
        found[places] = np.asarray(values)[: len(places)]
        done(len(places))
    return found
