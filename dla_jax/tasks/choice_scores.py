"""How well questions with options are answered: scores, and what the report shows of them."""

import math
from itertools import pairwise

import numpy as np
from scipy.special import softmax

from dla_jax.data.choices import Choices, kind_of
from dla_jax.tasks import text_scores

WRONG, EXCERPT = 6, 600  # questions that a run got most wrong, and characters of each passage
NEAR = 0.02  # nats: a loss that is less than this below that of guessing has learned nothing

# {"<prefix>_loss": nats, "<prefix>_accuracy"} of logits [N, n] and slots [N]. Of equal scores the
# first slot counts as chosen, which slots in random order make a fair draw.
scores = text_scores.scores


def ties_accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the accuracy as lab C counts it: a right option that ties for the best is enough.

    A network that scores all options alike gets 1.

    Args:
      logits: float [N, n].
      labels: int32 [N], the slot of the right option.
    """
    right = np.take_along_axis(logits, labels[:, None], 1)[:, 0]
    return float(np.isclose(right, logits.max(1)).mean())


def details(
    logits: np.ndarray, rows: np.ndarray, labels: np.ndarray, order: np.ndarray, choices: Choices
) -> dict:
    """Return what the report shows of a test part.

    These are the accuracy that counts ties as right, right answers and questions by group and by
    passage, and the questions that were answered wrong with the highest probability.

    Args:
      logits: float [m, n], of each slot.
      rows: int32 [m], which of the questions they are.
      labels: int32 [m], the slot of the right option.
      order: int32 [m, n], the option in each slot.
    """
    right = logits.argmax(1) == labels
    p = softmax(logits.astype(np.float64), 1)
    worst = [i for i in np.argsort(-p.max(1), kind="stable") if not right[i]][:WRONG]
    return {
        "test_accuracy_ties": ties_accuracy(logits, labels),
        "groups": by_group(right, rows, choices),
        "by_passage": by_passage(right, rows, choices),
        "wrong": [_shown(p[i], int(rows[i]), order[i], choices) for i in worst],
    }


def by_group(
    right: np.ndarray, rows: np.ndarray, choices: Choices
) -> dict[str, dict[str, dict[str, list[int]]]]:
    """Return {grouping: {group: what `by_passage` says of its questions}}.

    Groupings are the "kind" of question, the "level", where there is one, and the "length" of the
    passage in words, by the quartiles of the whole set.

    Args:
      right: bool [m].
      rows: int32 [m], which of the questions they are.
    """
    words = np.array([len(passage.split()) for passage in choices.passages])
    bounds = np.quantile(words[choices.passage], (0.25, 0.5, 0.75)).astype(int)
    names = [f"up to {bounds[0]}", *(f"{low + 1} to {high}" for low, high in pairwise(bounds))]
    names += [f"over {bounds[-1]}"]
    lengths = [names[np.searchsorted(bounds, words[choices.passage[row]])] for row in rows]
    groups = {
        "kind": [kind_of(choices.questions[row]) for row in rows],
        "level": [choices.level[row] for row in rows],
        "length": lengths,
    }
    found = {}
    for grouping, of in groups.items():
        order = [name for name in names if name in of] if grouping == "length" else sorted(set(of))
        found[grouping] = {
            name: by_passage(right[own], rows[own], choices)
            for name in order
            for own in [np.array([one == name for one in of])]
        }
    return found


def by_passage(right: np.ndarray, rows: np.ndarray, choices: Choices) -> dict[str, list[int]]:
    """Return {"passage", "right", "count"}: each passage with right answers and questions."""
    passages, place = np.unique(choices.passage[rows], return_inverse=True)
    return {
        "passage": passages.tolist(),
        "right": np.bincount(place, weights=right).astype(int).tolist(),
        "count": np.bincount(place).tolist(),
    }


def excerpt(passage: str) -> str:
    """Return the beginning of a passage, with a mark where it goes on."""
    return passage if len(passage) <= EXCERPT else f"{passage[:EXCERPT]}…"


def _shown(p: np.ndarray, question: int, order: np.ndarray, choices: Choices) -> dict:
    """Return what the report shows of a question, whose slots have the probabilities `p` [n]."""
    options, own = choices.options[question], np.empty(len(p))
    own[order] = p
    return {
        "question": question,
        "passage": excerpt(choices.passages[choices.passage[question]]),
        "question_text": choices.questions[question],
        "options": list(options),
        "probabilities": [round(float(value), 4) for value in own],
        "right": options[choices.answers[question]],
        "chosen": options[order[p.argmax()]],
    }


def guessing(choices: Choices) -> dict:
    """Return what stands for the scores of a run that diverged: guessing every option alike.

    "val_loss" is None: of learning rates that guess alike, one that diverged comes last.
    """
    n = choices.num_options
    chance = dict.fromkeys(("val_accuracy", "test_accuracy", "test_accuracy_ties"), 1 / n)
    loss = {"test_loss": math.log(n), "val_loss": None}
    unknown = dict.fromkeys(("examples_per_s", "seconds_per_epoch", "groups", "by_passage"))
    return chance | loss | unknown | {"wrong": []}


def stuck(rows: list[dict], num_options: int) -> bool:
    """Tell whether a training stayed where it began, at the loss of guessing.

    It did if the mean of the last quarter of its losses is above ln n - NEAR. Fine-tuning on
    multiple choice often ends so, by too high a learning rate.

    Args:
      rows: of a run; those without a finite "train_loss" do not count, and of less than four
        others nothing can be said.
    """
    losses = [row["train_loss"] for row in rows if row.get("train_loss") is not None]
    losses = [loss for loss in losses if math.isfinite(loss)]
    last = losses[len(losses) - len(losses) // 4 :]
    return len(last) > 0 and float(np.mean(last)) > math.log(num_options) - NEAR
