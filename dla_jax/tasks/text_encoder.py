"""Encoders of texts: the functions of a `training.task.Task`, and one vector a text."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from dla_jax.data.batches import alike_positions, batch_positions, batches_by_length, width_of
from dla_jax.data.tokenize import Encoded
from dla_jax.models import bert, gpt
from dla_jax.tasks.compiling import cheaply
from dla_jax.training.mesh import put, replicated, split_rows
from dla_jax.training.metrics import accuracy, cross_entropy


@functools.partial(jax.jit, static_argnames="model", compiler_options=cheaply())
def init_encoder(key, *, model: bert.Encoder | bert.Classifier) -> dict:
    """Return random parameters of an encoder, or of a classifier."""
    return model.init(key, jnp.zeros((1, 2), jnp.int32), jnp.full(1, 2, jnp.int32))["params"]


def init_classifier(
    key, *, model: bert.Classifier, encoder: dict | None = None, frozen_layers: int = -1
) -> tuple[dict, dict]:
    """Return (params, model_state) of a classifier: what is trained, and {"frozen": what is not}.

    Both are parts of one tree.

    Args:
      encoder: published parameters; None: a random start.
      frozen_layers: as `split_frozen` has it.
    """
    params = init_encoder(key, model=model)
    if encoder is not None:
        params = params | {"encoder": params["encoder"] | encoder}
    return split_frozen(params, frozen_layers)


def split_frozen(params: dict, frozen_layers: int) -> tuple[dict, dict]:
    """Return the parameters that are trained, and {"frozen": the others}.

    Frozen are the embeddings and the first `frozen_layers` layers of the encoder; at -1 nothing is,
    and the second dictionary is empty.
    """
    if frozen_layers < 0:
        return params, {}
    names = {"embeddings", *(f"layer_{i}" for i in range(frozen_layers))}
    parts = [
        {name: leaves for name, leaves in params["encoder"].items() if (name in names) == held}
        for held in (False, True)
    ]
    return params | {"encoder": parts[0]}, {"frozen": parts[1]}


def join_frozen(params: dict, model_state: dict) -> dict:
    """Return the whole parameters again, from what `split_frozen` returned."""
    if "frozen" not in model_state:
        return params
    return params | {"encoder": params["encoder"] | model_state["frozen"]}


@functools.cache
def make_loss(
    model: bert.Classifier,
    frozen_layers: int,
    label_smoothing: float,
    class_weights: tuple[float, ...] | None = None,
):
    """Return the loss function of a classifier of texts.

    It is one object for each choice of arguments, so that its train step compiles once a width.
    """

    def loss_fn(params, model_state, batch, key):
        logits, _ = model.apply(
            {"params": join_frozen(params, model_state)},
            batch["token"],
            batch["length"],
            train=True,
            frozen_layers=frozen_layers,
            rngs={"dropout": key},
        )
        loss = cross_entropy(logits, batch["label"], label_smoothing, class_weights).mean()
        return loss, (model_state, {"train_accuracy": accuracy(logits, batch["label"])})

    return loss_fn


def make_batch_at(
    encoded: Encoded,
    labels: np.ndarray,
    train: np.ndarray,
    *,
    seed: int,
    batch_size: int,
    widths: tuple[int, ...],
    alike: bool,
) -> Callable[[int], dict]:
    """Return the function step -> {"token": int32 [B, T], "length": int32 [B], "label": int32 [B]}.

    T is the smallest of the widths that holds the longest text of the batch.

    Args:
      train: int32 [n], the positions of the training texts, of which batches are made.
      alike: whether texts of about one length come together.
    """
    lengths = encoded.length[train]

    def batch_at(step):
        if alike:
            rows = train[alike_positions(seed, step, batch_size, lengths)]
        else:
            rows = train[batch_positions(seed, step, batch_size, len(train))]
        return gather(encoded, rows, widths) | {"label": labels[rows]}

    return batch_at


def gather(encoded: Encoded, rows: np.ndarray, widths: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Return the texts at `rows`: {"token": int32 [B, T], "length": int32 [B]}."""
    length = encoded.length[rows]
    width = width_of(length.max(), widths)
    found = encoded.tokens[rows, :width]
    padding = ((0, 0), (0, width - found.shape[1]))
    token = np.pad(found, padding, constant_values=encoded.pad_id)
    return {"token": token, "length": length}


def compiler_options() -> dict[str, str] | None:
    """Return how an encoder that is not trained is compiled: on CPU with XLA's own products.

    Those of YNNPACK, its default, are 15 % slower here.
    """
    on_cpu = jax.default_backend() == "cpu"
    return {"xla_cpu_experimental_ynn_fusion_type": ""} if on_cpu else None


@functools.cache
def _compiled():
    """Return `_vectors` compiled."""
    static = ("model", "pooling", "mesh")
    return jax.jit(_vectors, static_argnames=static, compiler_options=compiler_options())


def _vectors(params, token, length, *, model, pooling: str, mesh):
    """Return one row a text: logits of a classifier, pooled states of an encoder or decoder."""
    token, length = jax.lax.with_sharding_constraint((token, length), split_rows(mesh))
    if isinstance(model, bert.Classifier):
        rows = model.apply({"params": params}, token, length)[0]
    elif isinstance(model, gpt.GPT):
        rows = bert.pool(model.apply({"params": params}, token)[1], length, pooling)
    else:
        rows = bert.pool(model.apply({"params": params}, token, length), length, pooling)
    return jax.lax.with_sharding_constraint(rows, replicated(mesh))


def vectors(
    model,
    params,
    encoded: Encoded,
    rows: np.ndarray,
    *,
    batch_size: int,
    widths: tuple[int, ...],
    mesh,
    pooling: str = "",
    done=lambda n: None,
) -> np.ndarray:
    """Return one vector for each of the texts at `rows`, in their order: float32 [len(rows), D].

    The shortest texts come first, in full batches of a few widths, so that little is padded and
    little compiled.

    Args:
      model: a classifier (its logits), an encoder or a decoder (its hidden states, pooled).
      done: called with the number of texts of each batch.
    """
    found = None
    for places in batches_by_length(encoded.length[rows], batch_size):
        full = np.resize(places, batch_size)  # the last batch is filled up with its own texts
        batch = gather(encoded, rows[full], widths)
        token, length = put((batch["token"], batch["length"]), split_rows(mesh))
        values = _compiled()(params, token, length, model=model, pooling=pooling, mesh=mesh)
        if found is None:
            found = np.zeros((len(rows), values.shape[1]), np.float32)
        found[places] = np.asarray(values)[: len(places)]
        done(len(places))
    return found
