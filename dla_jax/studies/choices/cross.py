"""Networks that read passage, question and option together."""

import functools
from collections.abc import Callable

import jax
import numpy as np

from dla_jax.data.batches import width_of
from dla_jax.data.choices import Choices
from dla_jax.models.bert import Classifier
from dla_jax.models.pretrained import shapes_of
from dla_jax.studies.choices.drawn import Drawn, make_task, source_order
from dla_jax.studies.finetune.study import steps_of_each_width
from dla_jax.tasks import choice_encoder, choice_pairs, classifier, text_body, text_encoder
from dla_jax.training.task import Task


def make_classifier(config, body: text_body.Body) -> Classifier:
    """Return the Flax module of a network that reads all together, of one class: the score."""
    pooler = body.config.family == "bert" and config.encoder.pooling == "published"
    sizes = body.config._replace(dropout=config.model.dropout, pooler=pooler)
    return Classifier(sizes, 1, config.encoder.pooling)


def sizes_of(config) -> dict:
    """Return how questions are cut and padded, as the functions of `choice_encoder` take it."""
    return {
        "widths": text_body.widths_of(config),
        "max_length": config.encoder.max_length,
        "num_windows": config.model.num_windows,
    }


def answers(config, body: text_body.Body, batch_size: int, mesh) -> Callable:
    """Return the function (params, choices) -> float32 [N, n] of any questions.

    The scores are in the order of the source.

    Args:
      config: of the arm.
      batch_size: questions that are read together.
    """
    model = make_classifier(config, body)

    def answer(params: dict, choices: Choices) -> np.ndarray:
        pairs = choice_pairs.make_pairs(body.tokenizer, body.pad_id, choices, config.data.lower)
        rows = np.arange(len(choices.questions), dtype=np.int32)
        how = sizes_of(config) | {"batch_size": batch_size, "mesh": mesh}
        return choice_encoder.logits(model, params, pairs, rows, source_order(choices), **how)

    return answer


def make_cross(
    config,
    own: Drawn,
    body: text_body.Body,
    pairs: choice_pairs.Pairs,
    mesh,
    seed: int,
    explained: bool,
) -> Task:
    """Return the Task of a network that reads passage, question and option together.

    Args:
      config: of the arm.
      pairs: all questions in tokens.
      explained: whether its worst answers are explained by a sentence.
    """
    model, frozen = make_classifier(config, body), config.model.frozen_layers
    plan, sizes = classifier.make_plan(config, len(own.parts["train"])), sizes_of(config)
    score = functools.partial(
        choice_encoder.logits, model, batch_size=config.batch_size, mesh=mesh, **sizes
    )

    answer_any = answers(config, body, config.batch_size, mesh)

    def params_of(state) -> dict:
        return text_encoder.join_frozen(state.params, state.model_state)

    def logits_of(state, rows: np.ndarray) -> np.ndarray:
        return score(params_of(state), pairs, rows, own.orders[rows])

    def answer(state, choices: Choices) -> np.ndarray:
        return answer_any(params_of(state), choices)

    batch_at = choice_encoder.make_batch_at(
        pairs,
        own.orders,
        own.labels,
        own.parts["train"],
        seed=seed,
        batch_size=config.batch_size,
        alike=len(config.widths) > 0,
        **sizes,
    )
    lengths = choice_pairs.lengths_of(pairs, sizes["max_length"], sizes["num_windows"])
    own_lengths = lengths[own.parts["val"]]

    def warm(state) -> None:
        widths = {width_of(length, sizes["widths"]): i for i, length in enumerate(own_lengths)}
        for place in widths.values():
            logits_of(state, own.parts["val"][place : place + 1])

    return make_task(
        config,
        own,
        plan,
        logits_of,
        answer if explained and config.model.num_windows else None,
        init_fn=functools.partial(
            text_encoder.init_classifier, model=model, encoder=body.params, frozen_layers=frozen
        ),
        loss_fn=choice_encoder.make_loss(model, frozen, config.label_smoothing),
        batch_at=batch_at,
        data={},
        mesh=mesh,
        facts={
            "num_params": sum(leaf.size for leaf in jax.tree.leaves(shapes_of(model))),
            "cut": int((lengths == sizes["max_length"]).sum()),
            "max_length": sizes["max_length"],
        },
        shapes_at=steps_of_each_width(batch_at, plan.num_steps),
        warm=warm,
    )
