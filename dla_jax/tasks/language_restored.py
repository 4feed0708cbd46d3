"""How a trained language model is read back from a finished workdir."""

from pathlib import Path
from typing import NamedTuple

from dla_jax.data import tokenize
from dla_jax.models import decoders
from dla_jax.tasks.language_task import make_model
from dla_jax.training.checkpoint import load_variables


class LanguageModel(NamedTuple):
    """A trained decoder with its tokenizer."""

    tokenizer: object
    model: object
    params: dict


def restore(folder: Path, config, data: dict, *, tokenizer: Path) -> LanguageModel:
    """Return the trained model of a finished run.

    Args:
      folder: where its model was saved.
      config: of its arm.
      data: of the workdir's `config.json`; not needed.
      tokenizer: the file of its tokenizer.

    Raises:
      ConfigError: the tokenizer or the model is missing or damaged.
    """
    loaded = tokenize.load(tokenizer)
    model = make_model(config, loaded.vocab_size)
    params = load_variables(folder, decoders.shapes_of(model), {})["params"]
    return LanguageModel(loaded, model, params)
