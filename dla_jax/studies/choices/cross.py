"""Networks that read passage, question and option together."""

import functools
from collections.abc import Callable

import jax
import numpy as np

from dla_jax.data.batches import POOL
from dla_jax.data.choices import Choices
from dla_jax.models.bert import Classifier
from dla_jax.models.pretrained import shapes_of
from dla_jax.studies.choices.drawn import Drawn, make_task, reads_passage, source_order
from dla_jax.studies.finetune.study import one_of_each_width
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
    at_once = config.batch_size // config.accumulate  # as many as there is memory for
    answer_any = answers(config, body, at_once, mesh)
    how = sizes | {"batch_size": at_once, "mesh": mesh}

    def params_of(state) -> dict:
        return text_encoder.join_frozen(state.params, state.model_state)

    def logits_of(state, rows: np.ndarray) -> np.ndarray:
        order = own.orders[rows]
        return choice_encoder.logits(model, params_of(state), pairs, rows, order, **how)

    def answer(state, choices: Choices) -> np.ndarray:
        return answer_any(params_of(state), choices)

    def warm(state) -> None:
        for row in rows_of_each_width(pairs, own.parts["val"], sizes):
            logits_of(state, row)

    batch_at = batches_of(config, own, pairs, seed)
    init_fn = functools.partial(
        text_encoder.init_classifier, model=model, encoder=body.params, frozen_layers=frozen
    )
    return make_task(
        config,
        own,
        plan,
        logits_of,
        answer if explained and reads_passage(config.model) else None,
        init_fn=init_fn,
        loss_fn=choice_encoder.make_loss(model, frozen, config.label_smoothing),
        batch_at=batch_at,
        data={},
        mesh=mesh,
        facts=facts_of(model, pairs, sizes),
        shapes_at=steps_of_each_shape(batch_at, plan.num_steps),
        warm=warm,
    )


def batches_of(config, own: Drawn, pairs: choice_pairs.Pairs, seed: int) -> Callable:
    """Return the function step -> the batch of a training step."""
    return choice_encoder.make_batch_at(
        pairs,
        own.orders,
        own.labels,
        own.parts["train"],
        seed=seed,
        batch_size=config.batch_size,
        alike=len(config.widths) > 0,
        **sizes_of(config),
    )


def steps_of_each_shape(batch_at: Callable, num_steps: int) -> tuple[int, ...]:
    """Return one early step for each shape of a batch that is found among the first steps."""
    first = {}
    for step in range(min(num_steps, POOL)):
        first.setdefault(batch_at(step)["token"].shape, step)
    return tuple(first.values())


def rows_of_each_width(
    pairs: choice_pairs.Pairs, rows: np.ndarray, sizes: dict
) -> list[np.ndarray]:
    """Return one of the questions at `rows`, int32 [1], for each width that they are padded to."""
    lengths = choice_pairs.lengths_of(pairs, sizes["max_length"], sizes["num_windows"])
    return one_of_each_width(lengths, rows, sizes["widths"])


def facts_of(model: Classifier, pairs: choice_pairs.Pairs, sizes: dict) -> dict:
    """Return what the last row says of the network, and of how many questions fill a row."""
    lengths = choice_pairs.lengths_of(pairs, sizes["max_length"], sizes["num_windows"])
    return {
        "num_params": sum(leaf.size for leaf in jax.tree.leaves(shapes_of(model))),
        "filled": int((lengths == sizes["max_length"]).sum()),
        "max_length": sizes["max_length"],
    }
