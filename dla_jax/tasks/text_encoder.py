"""Encoders of texts: from a Flax module and tokens to the functions that `train.fit` takes, and one vector a text."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from dla_jax.data.batches import alike_positions, batch_positions, batches_by_length, width_of
from dla_jax.data.tokenize import Encoded
from dla_jax.models import bert, gpt
from dla_jax.models.pretrained import shapes_of as shapes_of
from dla_jax.training.mesh import put, replicated, split_rows
from dla_jax.training.metrics import accuracy, cross_entropy


@functools.partial(
    jax.jit, static_argnames="model", compiler_options={"xla_backend_optimization_level": 1}
)
def init_encoder(key, *, model: bert.Encoder | bert.Classifier) -> dict:
    """Random parameters of an encoder, or of a classifier."""
    return model.init(key, jnp.zeros((1, 2), jnp.int32), jnp.full(1, 2, jnp.int32))["params"]


def init_classifier(
    key, *, model: bert.Classifier, encoder: dict | None = None, frozen_layers: int = -1
) -> tuple[dict, dict]:
    """(params, model_state) of a classifier: what is trained, and {"frozen": what is not}, both parts of one tree.

    `encoder`: published parameters, None for a random start.
    """
    params = init_encoder(key, model=model)
    if encoder is not None:
        params = params | {"encoder": params["encoder"] | encoder}
    return split_frozen(params, frozen_layers)


def split_frozen(params: dict, frozen_layers: int) -> tuple[dict, dict]:
    """Parameters without those of the embeddings and the first `frozen_layers` layers, and {"frozen": those}; -1: nothing is."""
    if frozen_layers < 0:
        return params, {}
    names = {"embeddings", *(f"layer_{i}" for i in range(frozen_layers))}
    parts = [
        {name: leaves for name, leaves in params["encoder"].items() if (name in names) == held}
        for held in (False, True)
    ]
    return params | {"encoder": parts[0]}, {"frozen": parts[1]}


def join_frozen(params: dict, model_state: dict) -> dict:
    """The whole parameters again."""
    return (
        params | {"encoder": params["encoder"] | model_state["frozen"]}
        if "frozen" in model_state
        else params
    )


@functools.cache
def make_loss(
    model: bert.Classifier,
    frozen_layers: int,
    label_smoothing: float,
    class_weights: tuple[float, ...] | None = None,
):
    """The loss function of a classifier of texts: one object for each, so that its train step compiles once a width."""

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
    """step -> {"token": int32 [B, T], "length": int32 [B], "label": int32 [B]} of the training texts at `train`.

    T is the smallest of the widths that holds the longest text. `alike`: whether texts of about one length come together.
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
    """The texts at `rows`: {"token": int32 [B, T], "length": int32 [B]}."""
    length = encoded.length[rows]
    width = width_of(length.max(), widths)
    found = encoded.tokens[rows, :width]
    return {
        "token": np.pad(
            found, ((0, 0), (0, width - found.shape[1])), constant_values=encoded.pad_id
        ),
        "length": length,
    }


@functools.cache
def _compiled():
    """`_vectors`, on CPU with XLA's own products and fusions: those of YNNPACK, its default, are 15 % slower here."""
    options = (
        {"xla_cpu_experimental_ynn_fusion_type": ""} if jax.default_backend() == "cpu" else None
    )
    return jax.jit(_vectors, static_argnames=("model", "pooling", "mesh"), compiler_options=options)


def _vectors(params, token, length, *, model, pooling: str, mesh):
    """One row a text: logits of a classifier, pooled hidden states of an encoder or decoder."""
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
    """One vector for each of the texts at `rows`, in their order: float32 [len(rows), D].

    The shortest texts come first, in full batches of a few widths, so that little is padded and little compiled.

    Args:
      model: a classifier (its logits), an encoder or a decoder (its hidden states, pooled).
      done: called with the number of texts of each batch.
    """
    found = None
    for places in batches_by_length(encoded.length[rows], batch_size):
        batch = gather(
            encoded, rows[np.resize(places, batch_size)], widths
        )  # the last one is filled up with its own texts
        values = _compiled()(
            params,
            *put((batch["token"], batch["length"]), split_rows(mesh)),
            model=model,
            pooling=pooling,
            mesh=mesh,
        )
        found = np.zeros((len(rows), values.shape[1]), np.float32) if found is None else found
        found[places] = np.asarray(values)[: len(places)]
        done(len(places))
    return found
