"""Losses and metrics equal those of scikit-learn, and count nothing that is padding."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics
from scipy.special import log_softmax
from sklearn.metrics import accuracy_score, log_loss

from dla_jax.training import metrics

accuracy, masked_sums = jax.jit(metrics.accuracy), jax.jit(metrics.masked_sums)
cross_entropy = jax.jit(metrics.cross_entropy, static_argnames=("smoothing", "class_weights"))

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(0, 3, (50, 7)).astype(np.float32)
LABELS = RNG.integers(0, 7, 50).astype(np.int32)


def test_loss_and_accuracy_equal_scikit_learns():
    probabilities = np.exp(log_softmax(LOGITS.astype(float), -1))
    loss = log_loss(LABELS, probabilities, labels=range(7))
    np.testing.assert_allclose(np.mean(cross_entropy(LOGITS, LABELS)), loss, rtol=1e-5)
    share = accuracy_score(LABELS, LOGITS.argmax(-1))
    np.testing.assert_allclose(accuracy(LOGITS, LABELS), share, rtol=1e-6)


def test_the_loss_is_computed_in_float32():
    assert cross_entropy(jnp.asarray(LOGITS, jnp.bfloat16), LABELS).dtype == jnp.float32


def test_padding_counts_for_nothing_even_when_its_logits_overflow():
    padded = np.concatenate([LOGITS, np.full((6, 7), np.inf, np.float32)])
    mask = np.concatenate([np.ones(50), np.zeros(6)]).astype(np.float32)
    sums = masked_sums(padded, np.pad(LABELS, (0, 6)), mask)
    np.testing.assert_allclose(sums["loss"], np.sum(cross_entropy(LOGITS, LABELS)), rtol=1e-5)
    assert sums["count"] == 50 and sums["accuracy"] == (LOGITS.argmax(-1) == LABELS).sum()


def test_scores_of_classes_equal_scikit_learns():
    rng = np.random.default_rng(0)
    labels = rng.choice(4, 60, p=(0.7, 0.2, 0.1, 0))
    found = rng.choice(4, 60, p=(0.6, 0.2, 0.1, 0.1))
    matrix = sklearn.metrics.confusion_matrix(labels, found, labels=range(4))
    scores = metrics.class_scores(np.diag(matrix), matrix.sum(1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a class is found and not there
        balanced = sklearn.metrics.balanced_accuracy_score(labels, found)
    assert scores["balanced_accuracy"] == pytest.approx(balanced)
    assert scores["class_counts"] == np.bincount(labels, minlength=4).tolist()
    assert scores["class_accuracy"][3] is None
    recall = sklearn.metrics.recall_score(labels, found, labels=range(3), average=None)
    assert scores["class_accuracy"][:3] == pytest.approx(recall)


def test_a_rare_class_weighs_as_much_as_another():
    logits, labels = np.float32([[2.0, 0.0]] * 20), np.array([0] * 19 + [1])
    plain, weighted = (
        cross_entropy(logits, labels, smoothing=0.1, class_weights=weights)
        for weights in (None, (20 / 38, 10.0))
    )
    np.testing.assert_allclose(weighted, plain * np.array([20 / 38] * 19 + [10.0]), rtol=1e-6)
    by_class = float(plain[0]), float(plain[-1])
    assert np.mean(weighted) == pytest.approx(np.mean(by_class))


def test_sums_tell_the_classes_apart():
    logits = np.float32([[1.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]])
    sums = masked_sums(logits, np.array([0, 1, 1, 2, 2]), np.float32([1, 1, 1, 1, 0]))
    np.testing.assert_array_equal(sums["correct"], [1, 1, 1])
    assert float(sums["accuracy"]) == 3 and float(sums["count"]) == 4
