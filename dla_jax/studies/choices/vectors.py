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


class Embedded(NamedTuple):
    """Vectors of texts."""

    array: np.ndarray  # float32 [N, D], or [N, n, D] of the options of questions
    on_device: jax.Array  # the same
    facts: dict  # what the record says of the tokens


class Vectors(NamedTuple):
    """Vectors of questions, as a network that ranks their options reads them."""

    context: Embedded
    option: Embedded
    embed: Callable  # texts -> float32 [len, D]

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """Return {"context": float32 [N, D], "option": float32 [N, n, D]}."""
        return {"context": self.context.array, "option": self.option.array}

    @property
    def data(self) -> dict[str, jax.Array]:
        """Return the same on the devices."""
        return {"context": self.context.on_device, "option": self.option.on_device}


def contexts(choices: Choices, passage: bool) -> list[str]:
    """Return what a frozen encoder reads of each question.

    Args:
      passage: whether it is the passage and the question, or the question alone.
    """
    asked = zip(choices.passage, choices.questions, strict=True)
    return [f"{choices.passages[own]} {text}" if passage else text for own, text in asked]


def embed_texts(config, body: text_body.Body, mesh, launch: Launch, texts: list[str]) -> Embedded:
    """Return the vectors of texts, from the disk where they are kept.

    Args:
      config: of an arm.

    Raises:
      Interrupted: a stop was requested.
    """
    encoded = text_body.encode_all(body, texts, config.encoder, config.data.lower)
    array = vectors_of(config, body, encoded, mesh, launch)
    facts = text_body.facts_of(encoded, config.encoder)
    return Embedded(array, put(array, replicated(mesh)), facts)


def embed_options(config, body: text_body.Body, mesh, launch: Launch, choices: Choices) -> Embedded:
    """Return the vectors of the options; one that stands at several questions is embedded once."""
    index: dict[str, int] = {}
    places = [[index.setdefault(text, len(index)) for text in own] for own in choices.options]
    found = embed_texts(config, body, mesh, launch, list(index))
    array = found.array[np.array(places)]
    return Embedded(array, put(array, replicated(mesh)), found.facts)


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
