"""How a trained classifier of images is read back from a finished workdir."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from dla_jax.config import own_code
from dla_jax.config.checks import check
from dla_jax.config.elsewhere import is_own
from dla_jax.config.info import data_info
from dla_jax.models import own_network
from dla_jax.tasks.image_classifier import variable_shapes
from dla_jax.tasks.image_task import make_model
from dla_jax.training.checkpoint import load_variables


class ImageClassifier(NamedTuple):
    """A trained network for images float32 [B, *shape] in [0, 1]."""

    model: object
    variables: dict
    shape: tuple[int, int, int]
    class_names: tuple[str, ...]


def restore(folder: Path, config, data: dict) -> ImageClassifier:
    """Return the trained network of a finished run.

    Args:
      folder: where its model was saved.
      config: of its arm.
      data: of the workdir's `config.json`.

    Raises:
      ConfigError: the workdir does not say what its images were, the class of a network of one's
        own has changed, or the model is missing or damaged.
    """
    info = data_info(data)
    check(
        len(info.shape) > 0,
        f"the model in {folder} was made by an earlier version, which did not keep the names of "
        "its classes; train it again",
    )
    name = config.model.name
    if is_own(name):
        files = own_code.changed(name, data, own_network.codes_of(name))
        check(
            not files,
            f"model.name: {name} has changed since the model in {folder} was trained "
            f"({', '.join(files)}); train it again, or bring back the file as it was",
        )
    model = make_model(config, info)
    model_state = dict(variable_shapes(model, info.shape))
    params = model_state.pop("params")
    if config.freeze_norm_after_epochs:
        model_state["steps"] = {"taken": np.float32(0)}
    found = load_variables(folder, params, model_state)
    variables = {"params": found["params"], **found["model_state"]}
    return ImageClassifier(model, variables, info.shape, info.class_names)
