"""How well a classifier of texts does: scores, and what the report shows of its test part."""

import math
from collections.abc import Callable

import numpy as np
from scipy.special import log_softmax, softmax

from dla_jax.data import labelled
from dla_jax.evidence.rows import brief
from dla_jax.training.metrics import class_scores

WRONG, EXCERPT = 8, 300  # examples that a run got most wrong, and characters of each


def scores(logits: np.ndarray, labels: np.ndarray, prefix: str) -> dict[str, float]:
    """Return {"<prefix>_loss": nats, "<prefix>_accuracy"}.

    Args:
      logits: float [N, C].
      labels: int32 [N].
    """
    log_p = log_softmax(logits.astype(np.float64), 1)
    loss = -np.take_along_axis(log_p, labels[:, None], 1).mean()
    accuracy = (logits.argmax(1) == labels).mean()
    return {f"{prefix}_loss": float(loss), f"{prefix}_accuracy": float(accuracy)}


def details(logits: np.ndarray, rows: np.ndarray, texts: labelled.LabelledTexts) -> dict:
    """Return what the report shows of a test part.

    These are macro F1, the accuracy of each class, the confusion matrix, and the texts that were
    taken for something else with the highest probability.

    Args:
      logits: float [N, C].
      rows: int32 [N], which of the texts they are.
    """
    from sklearn.metrics import confusion_matrix, f1_score

    labels, found = texts.labels[rows], logits.argmax(1)
    p = softmax(logits, 1).max(1)
    worst = [i for i in np.argsort(-p, kind="stable") if found[i] != labels[i]][:WRONG]
    wrong = [
        {
            "text": texts.texts[rows[i]][:EXCERPT],
            "label": texts.class_names[labels[i]],
            "predicted": texts.class_names[found[i]],
            "probability": round(float(p[i]), 4),
        }
        for i in worst
    ]
    confusion = confusion_matrix(labels, found, labels=range(len(texts.class_names)))
    return {
        "macro_f1": float(f1_score(labels, found, average="macro", zero_division=0)),
        "wrong": wrong,
        **class_scores(np.diag(confusion), confusion.sum(1)),
        **brief({"confusion": confusion}),
    }


def guessing(texts: labelled.LabelledTexts) -> dict:
    """Return what stands for the scores of a run that diverged: guessing every class alike.

    "val_loss" is None: of learning rates that guess alike, one that diverged comes last.
    """
    num_classes = len(texts.class_names)
    share = np.bincount(texts.labels, minlength=num_classes) / len(texts.labels)
    f1 = 2 * share / (1 + num_classes * share)  # of a class, a share of which a guess gets right
    chance = dict.fromkeys(("val_accuracy", "test_accuracy", "balanced_accuracy"), 1 / num_classes)
    loss = {"test_loss": math.log(num_classes), "val_loss": None}
    unknown = "examples_per_s seconds_per_epoch confusion class_counts class_accuracy"
    f1_and_wrong = {"macro_f1": float(np.mean(f1)), "wrong": []}
    return chance | loss | f1_and_wrong | dict.fromkeys(unknown.split())


def make_test(
    logits_of: Callable, texts: labelled.LabelledTexts, rows: np.ndarray
) -> Callable[..., dict]:
    """Return the function state -> the scores of the test part, for a Task's `test`.

    Args:
      logits_of: (state, rows) -> float32 [len(rows), C].
      rows: int32 [n], the texts of the test part.
    """

    def test(state) -> dict:
        logits = logits_of(state, rows)
        return scores(logits, texts.labels[rows], "test") | details(logits, rows, texts)

    return test
