"""One vector a text, from a frozen transformer: computed once, and kept on disk."""

import sys
import time
from typing import NamedTuple

import jax
import numpy as np

from dla_jax.config.stop import Interrupted, stop_requested
from dla_jax.config.workdir import Launch
from dla_jax.data import embeddings, labelled
from dla_jax.models.bert import BertConfig, Encoder
from dla_jax.models.gpt import GPT
from dla_jax.tasks import text_body, text_encoder
from dla_jax.training.mesh import data_mesh, on_any_process, put, replicated
from dla_jax.training.record import progress_line


class Embedded(NamedTuple):
    """Labelled texts, each with its vector."""

    texts: labelled.LabelledTexts
    vectors: np.ndarray  # float32 [N, D]
    facts: dict  # what the record says of the tokens
    data: dict  # {"vector": float32 [N, D], "label": int32 [N]} on the devices
    mesh: jax.sharding.Mesh


def make_embedder(config, body: text_body.Body) -> tuple[Encoder | GPT, dict]:
    """Return the model that embeds texts and its parameters, random where none are published."""
    model = Encoder(body.config) if isinstance(body.config, BertConfig) else GPT(body.config)
    if body.params:
        return model, body.params
    return model, text_encoder.init_encoder(jax.random.key(config.encoder.seed), model=model)


def embed(config, texts: labelled.LabelledTexts, launch: Launch) -> Embedded:
    """Return one vector a text, from the disk where they were computed before.

    Raises:
      Interrupted: a stop was requested; vectors are kept only when all are there.
    """
    encoder, mesh = config.encoder, data_mesh()
    body = text_body.load_body(encoder, config.compute_dtype, texts.learned_from, launch)
    encoded = text_body.encode_all(body, texts.texts, encoder, config.data.lower)
    vectors = vectors_of(config, body, encoded, mesh, launch)
    data = put({"vector": vectors, "label": texts.labels}, replicated(mesh))
    return Embedded(texts, vectors, text_body.facts_of(encoded, encoder), data, mesh)


def vectors_of(config, body: text_body.Body, encoded, mesh, launch: Launch) -> np.ndarray:
    """Return the vectors of texts in tokens float32 [N, D], from the disk where they are kept.

    Raises:
      Interrupted: a stop was requested; vectors are kept only when all are there.
    """
    encoder = config.encoder
    model, params = make_embedder(config, body)
    widths = text_body.widths_of(config)
    padded = widths if encoder.pooling == "mean_padded" else ""
    settings = (repr(body.config), encoder.pooling, padded, jax.default_backend())
    key = embeddings.key_of(params, encoded, settings)
    vectors = embeddings.read(key)
    if on_any_process(vectors is None):
        vectors = compute(config, model, params, encoded, widths, mesh, launch)
        if launch.first:
            keep(key, vectors)
    else:
        print("the vectors were computed before", file=sys.stderr)
    return vectors


def compute(config, model, params, encoded, widths, mesh, launch: Launch) -> np.ndarray:
    """Return the vectors of all texts, float32 [N, D]."""
    params, started = put(params, replicated(mesh)), time.perf_counter()
    num_texts = len(encoded.length)
    with progress_line(num_texts, launch.quiet, "text") as progress:

        def done(count: int) -> None:
            if on_any_process(stop_requested.is_set()):
                raise Interrupted
            progress.update(count)

        vectors = text_encoder.vectors(
            model,
            params,
            encoded,
            np.arange(num_texts),
            batch_size=config.embed_batch_size,
            widths=widths,
            mesh=mesh,
            pooling=config.encoder.pooling,
            done=done,
        )
    seconds = time.perf_counter() - started
    print(f"embedded in {seconds:.0f} s, {num_texts / seconds:,.0f} texts/s", file=sys.stderr)
    return vectors


def keep(key: str, vectors: np.ndarray) -> None:
    """Keep vectors on disk, and print where."""
    kept = embeddings.write(key, vectors)
    where = f"vectors are kept in {kept}, {vectors.nbytes / 2**20:.0f} MiB"
    print(where if kept else "vectors cannot be kept", file=sys.stderr)
