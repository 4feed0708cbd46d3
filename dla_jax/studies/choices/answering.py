"""How a trained network is read back from a finished workdir, to answer any questions."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from dla_jax.config.workdir import Launch
from dla_jax.models.bert import Classifier
from dla_jax.models.pretrained import shapes_of
from dla_jax.studies.choices import cross, ranker
from dla_jax.studies.choices.drawn import probabilistic, reads_passage
from dla_jax.studies.choices.vectors import make_embed
from dla_jax.tasks import choice_ranker, text_body, text_encoder
from dla_jax.tasks.text_restored import reader
from dla_jax.training.checkpoint import load_variables


class Answerer(NamedTuple):
    """A trained network that answers questions."""

    logits: Callable  # Choices -> float32 [N, n], in the order of the source
    reads_passage: bool
    probabilistic: bool  # whether their softmax is meant as probabilities
    body: text_body.Body
    model: Classifier | None = None  # of what reads all together
    params: dict | None = None


def restore(folder: Path, config, data: dict, *, launch: Launch, mesh, at_most: int) -> Answerer:
    """Return the trained network of a finished run (arguments: `text_restored.reader`)."""
    body = reader(config, data, launch, mesh, at_most).body
    if config.model.name == "ranker":
        return restore_ranker(folder, config, body, mesh)
    model = cross.make_classifier(config, body)
    shapes = text_encoder.split_frozen(shapes_of(model), config.model.frozen_layers)
    found = load_variables(folder, *shapes)
    params = text_encoder.join_frozen(found["params"], found["model_state"])
    answer = cross.answers(config, body, min(config.batch_size, at_most), mesh)
    logits = functools.partial(answer, params)
    return Answerer(logits, reads_passage(config.model), True, body, model, params)


def restore_ranker(folder: Path, config, body, mesh) -> Answerer:
    """Return the trained network that ranks frozen vectors of a body."""
    model, features = ranker.make_perceptron(config.model), config.model.features
    blank = {
        "context": np.zeros((1, body.config.n_embd), np.float32),
        "option": np.zeros((1, 2, body.config.n_embd), np.float32),
    }
    scale = choice_ranker.scale_of(blank, np.zeros(1, np.int32), standardise=True)

    def init(seed):
        return choice_ranker.init_model(
            jax.random.key(seed), model=model, scale=scale, features=features
        )

    found = load_variables(folder, *jax.eval_shape(init, 0))
    answer = ranker.answers(config, make_embed(config, body, mesh))

    def logits(choices):
        return answer(found["params"], found["model_state"], choices)

    return Answerer(logits, reads_passage(config.model), probabilistic(config.model), body)
