"""Vectors of what is asked and of the options, from a frozen encoder: computed once, and kept."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from dla_jax.config.workdir import Launch
from dla_jax.data.choices import Choices
from dla_jax.studies.features.embedding import make_embedder, vectors_of
from dla_jax.tasks import text_body, text_encoder
from dla_jax.training.mesh import put, replicated


class Vectors(NamedTuple):
    """Vectors of questions, as a network that ranks their options reads them."""

    arrays: dict[str, np.ndarray]  # {"context": float32 [N, D], "option": float32 [N, n, D]}
    data: dict[str, jax.Array]  # the same on the devices
    facts: dict  # what the record says of the tokens
    embed: Callable  # texts -> float32 [len, D]


def context_of(passage: str, question: str) -> str:
    """Return what a frozen encoder reads of what is asked."""
    return f"{passage} {question}".strip()


def contexts(choices: Choices, passage: bool) -> list[str]:
    """Return what a frozen encoder reads of each question.

    Args:
      passage: whether it is the passage and the question, or the question alone.
    """
    asked = zip(choices.passage, choices.questions, strict=True)
    return [
        context_of(choices.passages[own] if passage else "", question) for own, question in asked
    ]


def embed_choices(
    config, body: text_body.Body, choices: Choices, mesh, launch: Launch, passage: bool
) -> Vectors:
    """Return the vectors of questions and options, from the disk where they are kept.

    An option that stands at several questions is embedded once.

    Args:
      config: of an arm.
      passage: as `contexts` takes it.

    Raises:
      Interrupted: a stop was requested.
    """

    encoder, lower = config.encoder, config.data.lower
    index: dict[str, int] = {}
    places = [[index.setdefault(text, len(index)) for text in own] for own in choices.options]
    context = text_body.encode_all(body, contexts(choices, passage), encoder, lower)
    option = text_body.encode(body, list(index), encoder, lower)
    arrays = {
        "context": vectors_of(config, body, context, mesh, launch),
        "option": vectors_of(config, body, option, mesh, launch)[np.array(places)],
    }
    data = put(arrays, replicated(mesh))
    embed = make_embed(config, body, mesh)
    return Vectors(arrays, data, text_body.facts_of(context, encoder), embed)


def make_embed(config, body: text_body.Body, mesh) -> Callable[[list[str]], np.ndarray]:
    """Return the function texts -> vectors float32 [len, D], which keeps nothing on disk."""
    model, params = make_embedder(config, body)
    params = put(params, replicated(mesh))

    def embed(texts: list[str]) -> np.ndarray:
        encoded = text_body.encode(body, texts, config.encoder, config.data.lower)
        return text_encoder.vectors(
            model,
            params,
            encoded,
            np.arange(len(texts)),
            batch_size=config.embed_batch_size,
            widths=text_body.widths_of(config),
            mesh=mesh,
            pooling=config.encoder.pooling,
        )

    return embed
