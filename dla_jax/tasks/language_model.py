"""Language models: the functions of a `training.task.Task`, from a decoder and a text in tokens.

A decoder here is anything with `apply(variables, tokens, train=...) -> (logits, features)` for
tokens int32 [B, T].
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from dla_jax.tasks.compiling import cheaply
from dla_jax.training.mesh import split_rows
from dla_jax.training.metrics import cross_entropy


@functools.partial(jax.jit, static_argnames="model", compiler_options=cheaply())
def init_params(key, *, model):
    """Return the parameters that a decoder starts from."""
    return model.init(key, jnp.zeros((1, 2), jnp.int32))["params"]


def init_model(key, *, model) -> tuple[dict, dict]:
    """Return (params, model_state) of a decoder, which has no state."""
    return init_params(key, model=model), {}


@functools.cache
def make_loss(model):
    """Return the loss function of a decoder, always the same object for the same decoder.

    The loss is in nats a token, the mean over all positions of all windows. Its `batch["token"]` is
    int32 [B, T + 1]: inputs and targets, shifted by one.
    """

    def loss_fn(params, model_state, batch, key):
        tokens = batch["token"]
        logits, _ = model.apply(
            {"params": params}, tokens[:, :-1], train=True, rngs={"dropout": key}
        )
        return cross_entropy(logits, tokens[:, 1:]).mean(), (model_state, {})

    return loss_fn


@functools.partial(jax.jit, static_argnames=("model", "mesh"))
def nats_by_position(params, tokens, index, mask, *, model, mesh) -> jax.Array:
    """Return the sums of nats over all windows, for each position of a window: float32 [T].

    Args:
      tokens: int32 [N], the whole text.
      index: int32 [M, B, T + 1], as `data.text.part_index` makes it.
      mask: float32 [M, B, T], made with it.
    """

    def of_batch(batch):
        rows, weights = jax.lax.with_sharding_constraint(batch, split_rows(mesh))
        logits, _ = model.apply({"params": params}, tokens[rows[:, :-1]], train=False)
        # where, not a product: the logits of padding may overflow, and 0 * inf is nan
        return jnp.where(weights > 0, cross_entropy(logits, tokens[rows[:, 1:]]), 0.0).sum(0)

    return jax.lax.map(of_batch, (index, mask)).sum(0)


def make_evaluate(
    model, tokens, mesh, index: np.ndarray, mask: np.ndarray, num_chars: int, prefix: str
) -> Callable:
    """Return the function state -> nats per token and per character of a part of the text.

    Every token of the part is predicted exactly once.

    Args:
      index: int32 [M, B, T + 1], as `data.text.part_index` makes it.
      mask: float32 [M, B, T], made with it.
      num_chars: of the part.

    Returns:
      A function whose result has "<prefix>_nats_per_token", "<prefix>_nats_per_char" and
      "<prefix>_nats_by_position", float64 [T]: the mean over windows of nats per token.
    """
    counts = mask.sum((0, 1), dtype=np.float64)

    def evaluate(state) -> dict:
        nats = nats_by_position(state.params, tokens, index, mask, model=model, mesh=mesh)
        sums = np.asarray(nats, np.float64)
        return {
            f"{prefix}_nats_per_token": float(sums.sum() / counts.sum()),
            f"{prefix}_nats_per_char": float(sums.sum() / num_chars),
            f"{prefix}_nats_by_position": sums / np.maximum(counts, 1),
        }

    return evaluate


@functools.partial(jax.jit, static_argnames="model")
def attention_maps(params, tokens, *, model) -> jax.Array:
    """Return the attention weights of one text: float32 [n_layer, n_head, T, T]; a row sums to one.

    Args:
      tokens: int32 [T].
    """
    _, features = model.apply({"params": params}, tokens[None], train=False)
    return jnp.stack(features["attention"])[:, 0]
