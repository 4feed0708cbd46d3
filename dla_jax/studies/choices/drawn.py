"""Questions as a seed has them, and what the runs of all networks share."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import softmax

from dla_jax.analysis.sentences import which_sentence
from dla_jax.data.choices import Choices, labels_of, orders, split
from dla_jax.tasks import choice_scores, classifier
from dla_jax.training.task import Task


class Drawn(NamedTuple):
    """Questions as a seed has them."""

    choices: Choices
    parts: dict[str, np.ndarray]  # {"train", "val", "test"}: int32 positions
    orders: np.ndarray  # int32 [N, n], the option in each slot
    labels: np.ndarray  # int32 [N], the slot of the right option


def parts_of(config, choices: Choices, seed: int) -> dict[str, np.ndarray]:
    """Return the parts of a seed: {"train", "val", "test"}: int32 positions."""
    data = config.data
    return split(choices, seed, data.val_fraction, data.test_fraction, data.num_train)


def drawn(config, choices: Choices, seed: int) -> Drawn:
    """Return the parts and the order of options of a seed."""
    order = orders(choices, seed)
    return Drawn(choices, parts_of(config, choices, seed), order, labels_of(choices, order))


def source_order(choices: Choices) -> np.ndarray:
    """Return the order that leaves options as they stand in the source, int32 [N, n]."""
    one = np.arange(choices.num_options, dtype=np.int32)
    return np.tile(one, (len(choices.questions), 1))


def about(choices: Choices, question: int, passages: list[str]) -> Choices:
    """Return one question, asked about each of these passages, all different."""
    count = len(passages)
    return choices._replace(
        passages=tuple(passages),
        questions=(choices.questions[question],) * count,
        options=(choices.options[question],) * count,
        answers=np.repeat(choices.answers[question], count),
        passage=np.arange(count, dtype=np.int32),
        part=None,
        level=("",) * count,
    )


def tested(own: Drawn, logits: np.ndarray) -> dict:
    """Return the scores of the test part, of logits float [m, n] in the order of the slots."""
    rows = own.parts["test"]
    labels = own.labels[rows]
    found = choice_scores.scores(logits, labels, "test")
    return found | choice_scores.details(logits, rows, labels, own.orders[rows], own.choices)


def make_test(own: Drawn, logits_of: Callable, answer: Callable | None = None) -> Callable:
    """Return the function state -> the scores of the test part.

    Args:
      logits_of: (state, rows) -> float [len(rows), n] in the order of the slots.
      answer: (state, choices) -> float [N, n] of any questions, in the order of the source; with it
        the sentence that counts most is named of those that are most surely wrong.
    """

    def test(state) -> dict:
        found = tested(own, logits_of(state, own.parts["test"]))
        for example in found["wrong"] if answer else ():
            example |= decisive(functools.partial(answer, state), own.choices, example["question"])
        return found

    return test


def decisive(answer: Callable, choices: Choices, question: int) -> dict:
    """Return {"sentence": the one that counts most, "moved": share of probability} of a question.

    Args:
      answer: choices -> float [N, n], in the order of the source.
    """

    def probabilities(passages: list[str]) -> np.ndarray:
        kept = list(dict.fromkeys(passages))  # sentences may stand twice
        p = softmax(answer(about(choices, question, kept)), axis=1)
        return p[[kept.index(passage) for passage in passages]]

    found = which_sentence(probabilities, choices.passages[choices.passage[question]])
    return {"sentence": found.sentence, "moved": round(found.distance, 4)}


def probabilistic(model) -> bool:
    """Return whether the softmax of a network's scores is meant as probabilities."""
    return model.name == "cross" or (model.name == "ranker" and model.loss == "softmax")


def reads_passage(model) -> bool:
    """Return whether a network reads the passage."""
    return model.num_windows > 0 if model.name == "cross" else model.passage


def make_task(
    config, own: Drawn, plan, logits_of: Callable, answer: Callable | None, **fields
) -> Task:
    """Return the Task of a network, with what all of them share.

    Args:
      logits_of, answer: as `make_test` takes them.
      fields: of the Task, those that differ.
    """
    val, num_options = own.parts["val"], own.choices.num_options
    finish = classifier.result_of(config, len(own.parts["train"]), num_options)

    def evaluate(state) -> dict:
        return choice_scores.scores(logits_of(state, val), own.labels[val], "val")

    test = make_test(own, logits_of, answer)

    def result(rows: list[dict], best: dict) -> dict:
        stuck = probabilistic(config.model) and choice_scores.stuck(rows, num_options)
        return finish(rows, best) | {"stuck": stuck}

    def test_scores(state) -> dict:
        # What learned to rank has no probabilities, and so no loss in nats.
        return test(state) | ({} if probabilistic(config.model) else {"test_loss": None})

    return Task(
        tx=classifier.shared_optimiser(config.optim, plan.num_steps),
        evaluate=evaluate,
        better=classifier.better,
        plan=plan,
        batch_size=config.batch_size,
        test=test_scores,
        result=result,
        diverged=choice_scores.guessing(own.choices) | {"stuck": False},
        accumulate=config.accumulate,
        parallel=config.parallel,
        units_per_step=config.batch_size,
        **fields,
    )
