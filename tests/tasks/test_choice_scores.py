"""Tests what is said of answers: scores, ties, the questions got most wrong, stuck trainings."""

import json
import math

import numpy as np
import pytest
from made_choices import made

from dla_jax.data.choices import labels_of, orders
from dla_jax.tasks import choice_scores

CHOICES = made(60)
ORDER = orders(CHOICES, 1)
LABELS = labels_of(CHOICES, ORDER)


def test_a_constant_scorer_is_right_by_lab_cs_count_and_guesses_by_ours():
    many = made(4000, passage_words=(1, 1))
    order = orders(many, 0)
    labels = labels_of(many, order)
    constant = np.zeros((4000, 4), np.float32)
    assert choice_scores.ties_accuracy(constant, labels) == 1.0
    found = choice_scores.scores(constant, labels, "val")
    assert set(found) == {"val_loss", "val_accuracy"}
    assert abs(found["val_accuracy"] - 0.25) < 0.03  # 4 standard errors
    assert found["val_loss"] == pytest.approx(math.log(4))
    first = constant.copy()
    first[:, 0] = 1e-3  # no longer a tie
    assert choice_scores.ties_accuracy(first, labels) == found["val_accuracy"]


def test_ties_are_those_of_isclose():
    logits = np.array([[1.0, 1.0 + 1e-6, 0.0], [1.0, 1.1, 0.0], [0.0, 0.0, -1.0], [0.0, 2.0, 2.0]])
    labels = np.array([0, 0, 2, 2])
    assert choice_scores.ties_accuracy(logits, labels) == 0.5
    assert choice_scores.scores(logits, labels, "x")["x_accuracy"] == 0.0


def test_details_show_the_questions_that_were_most_surely_wrong():
    rng = np.random.default_rng(0)
    rows = rng.permutation(60)[:40].astype(np.int32)
    order, labels = ORDER[rows], LABELS[rows]
    logits = rng.normal(0, 2, (40, 4)).astype(np.float32)
    own = CHOICES._replace(passages=tuple(text * 50 for text in CHOICES.passages))
    found = choice_scores.details(logits, rows, labels, order, own)
    assert json.loads(json.dumps(found)) == found
    right = logits.argmax(1) == labels
    assert 3 < right.sum() < 37
    for groups in found["groups"].values():
        for key, total in (("right", right.sum()), ("count", 40)):
            assert sum(sum(group[key]) for group in groups.values()) == total
    own_passage, counted = own.passage[rows], found["by_passage"]
    assert counted["passage"] == sorted(set(own_passage.tolist()))
    for passage, answered, asked in zip(*counted.values(), strict=True):
        assert answered == right[own_passage == passage].sum()
        assert asked == (own_passage == passage).sum()
    assert found["test_accuracy_ties"] == right.mean()
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    wrong = [i for i in np.argsort(-p.max(1)) if not right[i]][:6]
    assert [shown["question"] for shown in found["wrong"]] == rows[wrong].tolist()
    for i, shown in zip(wrong, found["wrong"], strict=True):
        question = rows[i]
        options = own.options[question]
        assert shown["options"] == list(options)
        assert shown["question_text"] == own.questions[question]
        assert shown["passage"] == own.passages[own.passage[question]][:600] + "…"
        assert shown["right"] == options[own.answers[question]]
        best = shown["probabilities"].index(max(shown["probabilities"]))
        assert shown["chosen"] == options[best] != shown["right"]
        for slot in range(4):
            assert shown["probabilities"][order[i, slot]] == pytest.approx(p[i, slot], abs=6e-5)


def test_groups_are_kinds_levels_and_quartiles_of_length():
    passages = tuple("word " * length for length in (3, 10, 20, 30, 40))
    own = CHOICES._replace(
        passages=passages,
        passage=np.arange(5, dtype=np.int32),
        questions=("What?", "Why?", "He is _ .", "What is snake_case?", "Why so?"),
        level=("high", "low", "high", "low", "low"),
    )
    right = np.array([True, False, True, False, True])

    def counted(rows) -> dict:
        groups = choice_scores.by_group(right[rows], rows, own)
        return {
            key: {name: [sum(group["right"]), sum(group["count"])] for name, group in of.items()}
            for key, of in groups.items()
        }

    found = counted(np.arange(5))
    assert found["kind"] == {"blank": [1, 1], "what": [1, 2], "why": [1, 2]}
    assert found["level"] == {"high": [2, 2], "low": [1, 3]}
    assert found["length"] == {
        "up to 10": [1, 2],
        "11 to 20": [1, 1],
        "21 to 30": [0, 1],
        "over 30": [1, 1],
    }
    assert list(counted(np.arange(5)[::-1])["length"]) == list(found["length"])


def test_a_run_that_diverged_counts_as_guessing():
    found = choice_scores.guessing(CHOICES)
    logits = np.zeros((60, 4))
    details = choice_scores.details(logits, np.arange(60), LABELS, ORDER, CHOICES)
    assert set(details) < set(found) and found["wrong"] == []
    assert found["groups"] is None and found["by_passage"] is None
    assert found["val_accuracy"] == found["test_accuracy"] == found["test_accuracy_ties"] == 0.25
    assert found["test_loss"] == pytest.approx(math.log(4)) and found["val_loss"] is None


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([1.386] * 8, True),
        ([1.2] * 6 + [1.386] * 2, True),  # the last quarter alone counts
        ([1.386] * 7 + [1.2], False),
        ([1.386] * 6 + [1.34] * 2, False),
        ([1.386] * 3, False),
        ([1.386] * 3 + [None, math.nan, math.inf], False),
        ([1.0] * 3 + [1.386, None], True),
        ([1.386] * 4 + [0.5], False),  # a quarter of five is one
        ([], False),
    ],
)
def test_a_training_that_stays_at_the_loss_of_guessing_is_stuck(losses, expected):
    rows = [{"train_loss": loss, "step": i} for i, loss in enumerate(losses)] + [{"val_loss": 2.0}]
    assert choice_scores.stuck(rows, 4) is expected
    assert choice_scores.stuck(rows, 5) is False  # ln 5 is 1.609
