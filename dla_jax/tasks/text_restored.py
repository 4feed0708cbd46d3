"""How a trained classifier of texts is read back from a finished workdir."""

import sys
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from dla_jax.config.checks import check
from dla_jax.config.workdir import Launch
from dla_jax.tasks import text_body, text_encoder

BATCH = 64  # texts that are classified together


class TextClassifier(NamedTuple):
    """A trained classifier of texts."""

    logits: Callable  # texts -> float32 [N, C]
    class_names: tuple[str, ...]
    body: text_body.Body
    model: object = None  # of a fine-tuned classifier; None where features are frozen
    params: dict | None = None


class Reader(NamedTuple):
    """A body, and what it makes of texts."""

    body: text_body.Body
    vectors: Callable  # (model, params, texts, **options) -> one vector a text, float32 [N, D]


def reader(config, data: dict, launch: Launch, mesh, at_most: int) -> Reader:
    """Return the body that a classifier of a workdir stands on.

    Args:
      config: of the classifier's arm.
      data: of the workdir's `config.json`.
      launch: its `workdir` is the finished one.
      at_most: texts that it will be given at once.

    Raises:
      ConfigError: the published model is missing, or is not the one that was trained on.
    """
    path, encoder = config.encoder.path, config.encoder
    if path:
        found = text_body.fingerprint(text_body.find(path, launch.download))
        check(
            data["encoders"][path] == found,
            f"--from: {path} has other weights, or another tokenizer, than when {launch.workdir} "
            "was made; train again",
        )
    body = text_body.load_body(encoder, config.compute_dtype, texts=None, launch=launch)
    size = min(BATCH, 1 << (at_most - 1).bit_length())  # a power of two, for few shapes

    def vectors(model, params, texts: list[str], **options) -> np.ndarray:
        encoded = text_body.encode(body, texts, encoder, config.data.lower)
        if encoded.truncated:
            cut = f"{encoded.truncated} of {len(texts)} texts"
            print(f"{cut} were cut to {encoder.max_length} tokens", file=sys.stderr)
        return text_encoder.vectors(
            model,
            params,
            encoded,
            np.arange(len(texts)),
            batch_size=size,
            widths=text_body.widths_of(config),
            mesh=mesh,
            **options,
        )

    return Reader(body, vectors)
