"""Distances between features equal scikit-learn's, brute force and the formulas of papers."""

import numpy as np
import pytest
from embedded import (
    BIAS,
    CLASSES,
    DIM,
    FEATURES,
    KERNEL,
    LABELS,
    NEW,
    SCORES,
    drawn_features,
    head,
    mahalanobis,
    nearest,
    normalised,
    relative_mahalanobis,
    vim,
)
from scipy.special import logsumexp, softmax
from sklearn.covariance import EmpiricalCovariance
from sklearn.neighbors import NearestNeighbors

from dla_jax.analysis import distances


def distances_by_scikit_learn(features, labels, new):
    """Return the distances to the classes [B, C] and to all images [B], float64."""
    features, new = features.astype(np.float64), new.astype(np.float64)
    means = np.stack([features[labels == c].mean(0) for c in range(CLASSES)])
    within = EmpiricalCovariance(assume_centered=True).fit(features - means[labels])
    everything = EmpiricalCovariance().fit(features)
    found = [within.mahalanobis(new - mean) for mean in means]
    return np.stack(found, 1), everything.mahalanobis(new)


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (1e4, 0.0), (1.0, 300.0)])
def test_mahalanobis_is_that_of_scikit_learn(scale, shift):
    features, labels = drawn_features(np.random.default_rng(3), 90, scale, shift)
    new = np.concatenate([features[:20], 3 * features[20:30] - 2 * features[40:50]])
    fitted = distances.fit_gaussians(features, labels, CLASSES)
    classes, everything = distances_by_scikit_learn(features, labels, new)
    # With a shift the features themselves are rounded, to 3e-5 where the smallest standard
    # deviation is 0.01.
    rounding = 1e-2 if shift else 1e-3
    np.testing.assert_allclose(mahalanobis(new, fitted), -classes.min(1), rtol=rounding)
    expected = -(classes - everything[:, None]).min(1)
    found = relative_mahalanobis(new, fitted)
    np.testing.assert_allclose(found, expected, rtol=rounding, atol=rounding * everything.max())


def test_mahalanobis_keeps_its_precision_with_many_features_of_very_different_variance():
    rng, dim = np.random.default_rng(0), 256
    basis = np.linalg.qr(rng.standard_normal((dim, dim)))[0] * np.logspace(-3, 2, dim)
    draw = lambda count: (rng.standard_normal((count, dim)) @ basis.T).astype(np.float32)
    features, labels = draw(700), np.arange(700) % CLASSES
    fitted, new = distances.fit_gaussians(features, labels, CLASSES), draw(50)
    classes, _ = distances_by_scikit_learn(features, labels, new)
    np.testing.assert_allclose(mahalanobis(new, fitted), -classes.min(1), rtol=1e-3)


def test_a_dead_and_a_doubled_feature_give_the_distances_without_them():
    spoilt = lambda x: np.concatenate([x, np.full_like(x[:, :1], 0.7), x[:, :1]], 1)
    whole, fitted = (
        distances.fit_gaussians(spoil(FEATURES), LABELS, CLASSES) for spoil in (spoilt, np.asarray)
    )
    for score in (mahalanobis, relative_mahalanobis):
        found, expected = score(spoilt(NEW), whole), score(NEW, fitted)
        np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-2)
    silent = distances.fit_gaussians(np.zeros((9, 2), np.float32), np.arange(9) % 3, CLASSES)
    np.testing.assert_array_equal(mahalanobis(np.ones((1, 2), np.float32), silent), [0])
    found = nearest(spoilt(NEW) * 0, normalised(spoilt(FEATURES)), (1,))
    assert np.all(np.isfinite(found))


def test_neighbours_are_those_of_brute_force_and_scikit_learn():
    rng = np.random.default_rng(0)
    new, known = (rng.standard_normal((count, 7)).astype(np.float32) for count in (300, 150))
    ks = (1, 50, 7)
    found = nearest(new, normalised(known), ks)
    unit = lambda x: x / np.linalg.norm(x.astype(np.float64), axis=1, keepdims=True)
    brute = np.sort(np.linalg.norm(unit(new)[:, None] - unit(known), axis=-1), axis=1)
    np.testing.assert_allclose(found, -brute[:, [0, 49, 6]].T, rtol=1e-4)
    theirs = NearestNeighbors(n_neighbors=50).fit(unit(known)).kneighbors(unit(new))[0]
    np.testing.assert_allclose(found[1], -theirs[:, -1], rtol=1e-4)
    every = nearest(new[:3], normalised(known), (150,))
    np.testing.assert_allclose(every[0], -brute[:3, -1], rtol=1e-4)


def test_near_duplicates_have_small_distances_and_no_nan():
    bank = np.asarray(normalised(np.abs(FEATURES) + 1))
    near = bank[:50] + np.float32(1e-4) * np.eye(DIM, dtype=np.float32)[np.arange(50) % DIM]
    found = -np.asarray(nearest(np.concatenate([bank[:50], near]), bank, (1,)))[0]
    assert found[:50].max() < 1e-6
    expected = near.astype(np.float64)
    expected = expected / np.linalg.norm(expected, axis=1, keepdims=True) - bank[:50]
    np.testing.assert_allclose(found[50:], np.linalg.norm(expected, axis=1), rtol=1e-2)


def test_vectors_of_zeros_stay_zeros():
    found = normalised(np.array([[0, 0], [3, -4]], np.float32))
    np.testing.assert_allclose(found, [[0, 0], [0.6, -0.8]], rtol=1e-6)


@pytest.mark.parametrize("dim", [1, 4, 5])
def test_vim_is_the_formulas_of_its_paper(dim):
    fitted = distances.fit_vim(FEATURES, head(FEATURES), KERNEL, BIAS, dim)
    assert fitted.basis.shape == (DIM, DIM - dim)
    w, x = KERNEL.astype(np.float64), FEATURES.astype(np.float64)
    origin = -np.linalg.inv(w.T @ w) @ BIAS @ w.T  # of least norm, with w^T origin + b = 0
    np.testing.assert_allclose(w.T @ origin + BIAS, 0, atol=1e-6)
    # The principal space by singular values, the residual as what a projection on it leaves.
    principal = np.linalg.svd(x - origin)[2][:dim]
    left_of = lambda x: np.linalg.norm(
        (x - origin) @ (np.eye(DIM) - principal.T @ principal), axis=1
    )
    alpha = head(FEATURES).max(1).sum() / left_of(x).sum()
    np.testing.assert_allclose(fitted.alpha, alpha, rtol=1e-4)
    expected = logsumexp(head(NEW), axis=1) - alpha * left_of(NEW)
    found = np.asarray(vim(NEW, head(NEW), fitted))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
    with_virtual = np.concatenate([alpha * left_of(NEW)[:, None], head(NEW)], 1)
    paper = softmax(with_virtual.astype(np.float64), axis=1)[:, 0]
    apart = (paper > 1e-9) & (paper < 1 - 1e-9)
    order = np.argsort(-paper[apart])
    assert apart.sum() > 10 and np.all(np.diff(found[apart][order]) > -1e-3)


def test_vim_is_the_energy_where_training_features_have_no_residual():
    flat = FEATURES.copy()
    kernel = KERNEL.copy()
    flat[:, 3:] = kernel[3:] = 0  # and so is the origin there
    fitted = distances.fit_vim(flat, flat @ kernel + BIAS, kernel, BIAS, 3)
    found = vim(NEW, head(NEW), fitted)
    np.testing.assert_allclose(found, SCORES["energy"](head(NEW)), rtol=1e-6)
