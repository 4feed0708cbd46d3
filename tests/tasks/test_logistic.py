"""Tests that logistic regression is solved exactly, its strength chosen on validation."""

import itertools
import math
import time
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
from ml_collections import ConfigDict
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.exceptions import ConvergenceWarning

from dla_jax.config.stop import Interrupted, stop_requested
from dla_jax.data import labelled
from dla_jax.studies.features.report import solver_words, strength_words
from dla_jax.studies.study import Finished
from dla_jax.tasks import logistic
from dla_jax.trials.arms import Arm

STRENGTHS, TOLERANCE = (0.03, 1.0, 30.0), 1e-6


def model(strengths=STRENGTHS, tolerance=TOLERANCE, max_iter=1000):
    return ConfigDict(
        {"name": "logistic", "strengths": strengths, "tolerance": tolerance, "max_iter": max_iter}
    )


def examples(num_classes, number=120, width=5):
    """Return vectors of classes that overlap, on scales that differ, and their labels."""
    rng = np.random.default_rng(num_classes)
    labels = rng.permutation(np.arange(number) % num_classes).astype(np.int32)
    x = rng.normal(size=(number, width)) + rng.normal(size=(num_classes, width))[labels]
    return (x * [3, 1, 1, 0.3, 0.1]).astype(np.float32), labels


def objective(flat, x, labels, strength, weights):
    """Return what is to be minimised, and its gradient.

    They are as the page of scikit-learn has them, except for the factor C n.
    """
    num_classes = labels.max() + 1
    kernel, bias = np.split(flat.reshape(-1, num_classes), [x.shape[1]])
    weight = np.array(weights or (1,) * num_classes)[labels]
    logits, n = x @ kernel + bias, weight.sum()
    # Of two classes the difference is penalised.
    penalised = np.array([[1, -1], [-1, 1]]) if num_classes == 2 else np.eye(num_classes)
    loss = -weight @ log_softmax(logits, 1)[np.arange(len(x)), labels] / n
    wrong = weight[:, None] * (softmax(logits, 1) - np.eye(num_classes)[labels]) / n
    gradient = np.vstack(
        [x.T @ wrong + kernel @ penalised / (strength * n), wrong.sum(0, keepdims=True)]
    )
    return loss + np.sum(kernel @ penalised * kernel) / (2 * strength * n), gradient.ravel()


def assert_solved(kernel, bias, x, labels, strength, weights):
    """Fail if a general minimiser finds anything that is lower."""
    flat = np.vstack([kernel, bias]).ravel()
    problem = (x.astype(np.float64), labels, strength, weights)
    value, gradient = objective(flat, *problem)
    assert np.abs(gradient).max() < 2 * TOLERANCE
    found = minimize(
        objective, np.zeros(len(flat)), problem, jac=True, method="BFGS", options={"gtol": 1e-9}
    )
    assert abs(value - found.fun) < 1e-8
    best_kernel, best_bias = np.split(found.x.reshape(-1, labels.max() + 1), [x.shape[1]])
    p, best = softmax(x @ kernel + bias, 1), softmax(x @ best_kernel + best_bias, 1)
    np.testing.assert_allclose(p, best, atol=1e-3)


@pytest.mark.parametrize(
    ("num_classes", "weights"), [(2, None), (2, (0.5, 2.0)), (4, None), (4, (0.4, 2.0, 0.6, 1.0))]
)
@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_matrix])
def test_each_solution_is_the_minimum(num_classes, weights, form):
    x, labels = examples(num_classes)
    found = list(logistic.solutions(form(x), labels, model(), weights))
    assert [solution.strength for solution in found] == list(STRENGTHS)
    assert all(later.steps > earlier.steps for earlier, later in itertools.pairwise(found))
    for solution in found:
        assert solution.gradient <= TOLERANCE
        assert_solved(solution.kernel, solution.bias, x, labels, solution.strength, weights)


def test_one_that_is_trained_for_twenty_epochs_is_not():
    """Adam at 3e-3, the rate that a grid chose for such a probe, does not solve it.

    Its result would not pass above, and its gradient not below.
    """
    from sklearn.linear_model import LogisticRegression

    x, labels = examples(4)
    order = np.random.default_rng(0)
    flat, mean, square = np.zeros((3, 6 * 4))
    for epoch in range(20):
        for i, rows in enumerate(np.split(order.permutation(120), 4)):
            _, gradient = objective(flat, x[rows], labels[rows], 1.0, weights=None)
            step = 4 * epoch + i + 1
            mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
            root = np.sqrt(square / (1 - 0.999**step))
            flat = flat - 3e-3 * mean / (1 - 0.9**step) / (root + 1e-8)
    kernel, bias = np.split(flat.reshape(6, 4), [5])
    with pytest.raises(AssertionError):
        assert_solved(kernel, bias, x, labels, 1.0, weights=None)
    solver = LogisticRegression().fit(x, labels)
    solver.coef_, solver.intercept_ = kernel.T, bias[0]
    assert logistic.largest_gradient(solver, x, labels, weights=None) > 1000 * TOLERANCE
    expected = np.abs(objective(flat, x, labels, 1.0, weights=None)[1]).max()
    assert logistic.largest_gradient(solver, x, labels, weights=None) == pytest.approx(expected)


def test_the_order_of_the_strengths_is_of_no_matter():
    x, labels = examples(4)
    [alone] = logistic.solutions(x, labels, model((30.0,)), weights=None)
    *_, last = logistic.solutions(x, labels, model((30.0, 1.0, 0.03)), weights=None)
    assert last.strength == 30
    np.testing.assert_allclose(last.kernel, alone.kernel, atol=1e-3)


def conflict():
    """Return (texts, parts, x) of a large feature and of a small one.

    In training the large one is right in 80 % of the texts, the small one always. In validation the
    large one alone is right, in the test part the small one.
    """
    rng, number = np.random.default_rng(0), 400
    labels = (np.arange(3 * number) % 2).astype(np.int32)
    rows = np.arange(3 * number).reshape(3, -1)
    sign, parts = 2.0 * labels - 1, dict(zip(("train", "val", "test"), rows, strict=True))
    large = sign * np.where(rng.random(3 * number) < 0.8, 1, -1)
    large[parts["val"]], large[parts["test"]] = sign[parts["val"]], -sign[parts["test"]]
    small = np.where(np.isin(np.arange(3 * number), parts["val"]), -0.1, 0.1) * sign
    vectors = np.stack([large, small], 1)
    texts = labelled.LabelledTexts(
        "made", ("text",) * 3 * number, labels, ("a", "b"), test_start=None
    )
    return texts, parts, {part: vectors[rows] for part, rows in parts.items()}


def fitted(parts, x, texts, **changes):
    config = ConfigDict({"class_weight": "none", "model": model((1e-2, 1e4), **changes)})
    return logistic.fit(config, texts, parts, x, time.perf_counter())


def test_the_strength_is_chosen_on_validation_whatever_the_test_part_says():
    texts, parts, x = conflict()
    solution, row = fitted(parts, x, texts)
    assert row["strength"] == solution.strength == 1e-2
    assert (row["val_accuracy"], row["test_accuracy"]) == (1, 0)
    swapped = {"train": "train", "val": "test", "test": "val"}
    swapped_parts, swapped_x = (
        {part: found[other] for part, other in swapped.items()} for found in (parts, x)
    )
    solution, row = fitted(swapped_parts, swapped_x, texts)
    assert row["strength"] == solution.strength == 1e4
    assert (row["val_accuracy"], row["test_accuracy"]) == (1, 0)
    logits = logistic.logits_of(solution, x["val"])
    expected = -log_softmax(logits, 1)[np.arange(400), texts.labels[parts["val"]]].mean()
    assert row["test_loss"] == pytest.approx(expected)
    assert row["unsolved"] == [] and row["num_params"] == 3


def test_of_equal_accuracies_the_lower_loss_decides():
    """It does so between learning rates too.

    All is right at both strengths, more surely so at the weaker penalty.
    """
    x, labels = np.array([[-1.0], [1.0]] * 30), np.array([0, 1] * 30, np.int32)
    texts = labelled.LabelledTexts("made", ("text",) * 60, labels, ("a", "b"), test_start=None)
    parts = dict.fromkeys(("train", "val", "test"), np.arange(60))
    assert fitted(parts, dict.fromkeys(parts, x), texts)[1]["strength"] == 1e4
    all_wrong = {"train": x, "val": -x, "test": x}
    assert fitted(parts, all_wrong, texts)[1]["strength"] == 1e-2  # less surely wrong


def study_of(row):
    """Return a finished study of a logistic regression whose last row this is, and of an MLP."""
    models = {"linear": model((1e-2, 1e4)), "mlp": ConfigDict({"name": "mlp"})}
    arms = {
        name: Arm(name, ConfigDict({"model": own}), seeds=(0,), rates=(1.0,))
        for name, own in models.items()
    }
    done = {"final/linear/seed0": row, "final/mlp/seed0": {}}
    return Finished(Path(), {}, ConfigDict(), arms, {}, done, summary={})


def test_what_is_not_solved_is_said(capsys):
    texts, parts, x = conflict()
    with pytest.warns(ConvergenceWarning):
        _, row = fitted(parts, x, texts, max_iter=1)
    assert 1e4 in row["unsolved"]
    assert "C = 10000: not solved, a gradient of " in capsys.readouterr().err
    unsolved = solver_words(study_of(row))
    assert "(but not at C = " in unsolved and "10000: stopped too early)" in unsolved
    solved = row | {"unsolved": []}
    assert solver_words(study_of(solved)) == (
        "linear: logistic regression, solved until no component of the gradient exceeds 1e-06; "
        "each run chose C, on its validation part, of 0.01, 10000."
    )
    del solved["unsolved"]  # a record of before
    assert solver_words(study_of(solved)) == ""


def test_a_strength_at_the_edge_of_its_grid_is_marked():
    runs = [{"strength": strength} for strength in (100.0, 0.1, 0.1, 0.01)]
    assert strength_words((100.0, 0.01, 0.1), runs) == "C = 0.01 (edge), 0.1, 100 (edge)"
    ten = [{"strength": 10.0}]
    assert strength_words((10.0,), ten) == "C = 10"  # nothing was searched
    assert strength_words((3.0, 10.0), ten) == "C = 10 (edge)"


def test_a_stop_is_heard_between_two_strengths():
    x, labels = examples(4)
    found = logistic.solutions(x, labels, model(), weights=None)
    assert math.isfinite(next(found).gradient)
    stop_requested.set()
    with pytest.raises(Interrupted):
        next(found)


def test_strengths_far_past_the_best_are_not_tried(monkeypatch):
    texts, parts, x = conflict()
    tried, solutions = [], logistic.solutions

    def watched(*arguments):
        for solution in solutions(*arguments):
            tried.append(solution.strength)
            yield solution

    monkeypatch.setattr(logistic, "solutions", watched)
    strengths = (1e-3, 1e-2, 1.0, 10.0, 100.0, 1e3, 1e4)
    config = ConfigDict({"class_weight": "none", "model": model(strengths)})
    solution, _ = logistic.fit(config, texts, parts, x, time.perf_counter())
    best = tried.index(solution.strength)
    assert len(tried) == best + 1 + logistic.PAST_THE_BEST < 7
