"""Networks that rank the options of a question by vectors of a frozen encoder."""

import functools
from collections.abc import Callable

import jax
import numpy as np

from dla_jax.data.choices import Choices
from dla_jax.models.mlp import Perceptron
from dla_jax.studies.choices.drawn import Drawn, make_task, reads_passage, source_order
from dla_jax.studies.choices.vectors import Vectors, contexts
from dla_jax.tasks import choice_ranker, classifier
from dla_jax.training.task import Task


def make_perceptron(model) -> Perceptron:
    """Return the Flax module of a network that ranks, of one class: the score."""
    return Perceptron(
        widths=tuple(model.widths),
        dropout=model.dropout,
        dropout_at="every",
        relu_logits=False,
        num_classes=1,
        mean=(0.0,),
        std=(1.0,),
        init_scheme=model.init,
        dtype="float32",
    )


def answers(config, embed: Callable) -> Callable:
    """Return the function (params, model_state, choices) -> float32 [N, n] of any questions.

    The scores are in the order of the source.

    Args:
      config: of the arm.
      embed: texts -> vectors float32 [len, D] of the frozen encoder.
    """
    model, features = make_perceptron(config.model), config.model.features

    def answer(params: dict, model_state: dict, choices: Choices) -> np.ndarray:
        n = choices.num_options
        option = embed([text for own in choices.options for text in own])
        data = {
            "context": embed(contexts(choices, config.model.passage)),
            "option": option.reshape(-1, n, option.shape[-1]),
        }
        rows = np.arange(len(choices.questions), dtype=np.int32)
        given = params, model_state, data, rows, source_order(choices)
        return np.asarray(choice_ranker.evaluate(*given, model=model, features=features))

    return answer


def make_ranker(config, own: Drawn, vectors: Vectors, mesh, seed: int, explained: bool) -> Task:
    """Return the Task of a network that ranks frozen vectors.

    Args:
      config: of the arm.
      explained: whether its worst answers are explained by a sentence.
    """
    model, features = make_perceptron(config.model), config.model.features
    train = own.parts["train"]
    plan = classifier.make_plan(config, len(train))
    scale = choice_ranker.scale_of(vectors.arrays, train, config.model.standardise)
    init_fn = functools.partial(
        choice_ranker.init_model, model=model, scale=scale, features=features
    )
    shapes = jax.tree.leaves(jax.eval_shape(init_fn, jax.random.key(seed))[0])
    evaluate = functools.partial(choice_ranker.evaluate, model=model, features=features)
    answer = answers(config, vectors.embed)

    def logits_of(state, rows: np.ndarray) -> np.ndarray:
        order = own.orders[rows]
        return np.asarray(evaluate(state.params, state.model_state, vectors.data, rows, order))

    def answer_state(state, choices: Choices) -> np.ndarray:
        return answer(state.params, state.model_state, choices)

    return make_task(
        config,
        own,
        plan,
        logits_of,
        answer_state if explained and reads_passage(config.model) else None,
        init_fn=init_fn,
        loss_fn=choice_ranker.make_loss(
            model, config.model.loss, config.model.margin, features, config.label_smoothing
        ),
        batch_at=choice_ranker.make_batch_at(
            own.orders, own.labels, train, seed=seed, batch_size=config.batch_size
        ),
        data=vectors.data,
        mesh=mesh,
        facts={"num_params": sum(leaf.size for leaf in shapes)} | vectors.context.facts,
    )
