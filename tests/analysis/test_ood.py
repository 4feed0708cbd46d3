"""Scores of single images equal numpy's, scikit-learn's and those written out from the papers."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from embedded import (
    BIAS,
    CLASSES,
    DIM,
    FEATURES,
    IMAGES,
    KERNEL,
    LABELS,
    NEW,
    SCORES,
    WEIGHTS,
    head,
    mahalanobis,
    nearest,
    net,
    normalised,
    odin,
    relative_mahalanobis,
    vim,
)
from scipy.special import logsumexp, softmax

from dla_jax.analysis import distances, ood
from dla_jax.config.checks import ConfigError

RNG = np.random.default_rng(0)
LOGITS = (3 * RNG.standard_normal((40, 6))).astype(np.float32)


def gen_by_hand(logits, gamma, top):
    """Return GEN in float64, with 1 - p summed of the other classes."""
    found = []
    for row in np.asarray(logits, np.float64):
        log_p = row - logsumexp(row)
        rest = [logsumexp(np.delete(log_p, c)) for c in range(len(row))]
        order = np.argsort(-log_p)[:top]
        found.append(-sum(np.exp(gamma * (log_p[c] + rest[c])) for c in order))
    return np.array(found)


def test_scores_of_logits_are_those_of_numpy():
    exact = LOGITS.astype(np.float64)
    np.testing.assert_allclose(SCORES["msp"](LOGITS), softmax(exact, 1).max(1), rtol=1e-5)
    np.testing.assert_array_equal(SCORES["max_logit"](LOGITS), LOGITS.max(1))
    for t in (1.0, 0.5, 10.0):
        expected = t * logsumexp(exact / t, axis=1)
        np.testing.assert_allclose(SCORES["energy"](LOGITS, t), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(ood.energy(LOGITS[:2]), SCORES["energy"](LOGITS, 1.0)[:2], rtol=1e-5)


def test_generalised_entropy_is_a_sum_over_the_largest_probabilities():
    sure = np.outer([20, 30, 60, 500, 0], np.eye(6)[2]).astype(np.float32)
    logits = np.concatenate([LOGITS[5:], sure])
    for gamma, top in ((0.1, 100), (0.5, 100), (2.0, 1), (0.5, 2)):
        found = np.asarray(SCORES["gen"](logits, gamma, top))
        np.testing.assert_allclose(found, gen_by_hand(logits, gamma, top), rtol=1e-4, atol=1e-20)
        if top == 100:  # it tells sure networks apart
            assert np.all(np.diff(found[-5:-1]) > 0) and found[-1] < found[-5]
    # p = 1/4, 3/4: both terms are (3/16)^(1/2)
    two = np.log([[1.0, 3.0]]).astype(np.float32)
    np.testing.assert_allclose(SCORES["gen"](two, 0.5), [-2 * (3 / 16) ** 0.5], rtol=1e-5)


def test_a_constant_on_all_logits_moves_the_largest_logit_and_the_energy_alone():
    moved = {"msp": 0, "max_logit": 5, "energy": 5, "gen": 0}
    for name, score in SCORES.items():
        found, before = score(LOGITS + np.float32(5)), score(LOGITS)
        np.testing.assert_allclose(found, before + moved[name], rtol=1e-4, atol=1e-5)
    epsilons = np.array([0.0, 0.01, 0.3], np.float32)
    found, before = odin(IMAGES, 2.0, epsilons, 5.0), odin(IMAGES, 2.0, epsilons, 0.0)
    np.testing.assert_allclose(found, before, rtol=1e-4)


def test_a_higher_score_means_more_like_the_training_data():
    sure_to_unsure = LOGITS * 0 + np.outer(np.linspace(8, 0, 40), [1, 0, 0, -1, 0, 0])
    for score in SCORES.values():
        assert np.all(np.diff(score(sure_to_unsure.astype(np.float32))) < 0)


def test_odin_climbs_the_finite_difference_of_the_log_softmax():
    t, epsilons, exact = 3.0, np.array([0.0, 0.01, 0.3], np.float32), IMAGES.astype(np.float64)

    def log_softmax(x):
        return np.log(softmax(net(x, np) / t, axis=1))[range(len(x)), predicted]

    predicted = net(exact, np).argmax(1)
    slope = np.zeros_like(exact)
    for place in np.ndindex(exact.shape[1:]):
        step = np.zeros(exact.shape[1:])
        step[place] = 1e-5
        slope[:, *place] = (log_softmax(exact + step) - log_softmax(exact - step)) / 2e-5
    assert np.abs(slope).min() > 1e-5
    found = odin(IMAGES, t, epsilons, 0.0)
    for row, epsilon in zip(found, epsilons, strict=True):
        expected = softmax(net(exact + epsilon * np.sign(slope), np) / t, axis=1).max(1)
        np.testing.assert_allclose(row, expected, rtol=1e-5)
    assert np.all(found[1] > found[0])


def test_odin_without_a_step_is_the_softmax():
    @jax.jit
    def both(x):
        return ood.odin(net, x, 1.0, np.zeros(2)), ood.max_softmax(net(x))

    found, expected = both(IMAGES)
    np.testing.assert_array_equal(found, [expected] * 2)


def test_odin_leaves_the_range_of_pixels_and_has_a_direction_where_the_network_is_sure():
    def forward(x):  # for an image in [0, 1] a probability of 1 in float32
        own = x[:, 0, 0, 0]
        own = jnp.where(own > 1, own, own + 40)
        return jnp.stack([own, jnp.zeros(len(x)), jnp.zeros(len(x))], 1)

    score = jax.jit(functools.partial(ood.odin, forward))
    found = score(np.full((1, 1, 1, 1), 0.5, np.float32), 1.0, np.array([0.0, 0.75], np.float32))
    expected = [[1], [np.exp(1.25) / (np.exp(1.25) + 2)]]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_features_of_a_layer_are_the_mean_over_its_places():
    features = {
        "blocks": RNG.standard_normal((2, 5, 3, 4, 6)).astype(np.float32),
        "last_conv": RNG.standard_normal((5, 3, 4, 7)).astype(np.float16),
        "last_hidden": RNG.standard_normal((5, 8)).astype(np.float32),
    }
    found = ood.pooled(features, "blocks/1")
    np.testing.assert_allclose(found, features["blocks"][1].mean((1, 2)), rtol=1e-5, atol=1e-6)
    assert ood.pooled(features, "last_conv").dtype == np.float32
    assert ood.pooled(features, "last_conv").shape == (5, 7)
    np.testing.assert_array_equal(ood.pooled(features, "last_hidden"), features["last_hidden"])


def test_images_at_once_equal_images_one_by_one():
    gaussians = distances.fit_gaussians(FEATURES, LABELS, CLASSES)
    fitted = distances.fit_vim(FEATURES, head(FEATURES), KERNEL, BIAS, 3)
    bank = normalised(FEATURES)
    forward = lambda x: jnp.tanh(x[:, 0, 0]) @ KERNEL + BIAS

    @jax.jit
    def scores(x):
        logits, images = x @ KERNEL + BIAS, x[:, None, None]
        return jnp.stack(
            [
                *(score(logits) for score in SCORES.values()),
                *ood.odin(forward, images, 10.0, jnp.array([0.0, 0.1])),
                mahalanobis(x, gaussians),
                relative_mahalanobis(x, gaussians),
                *nearest(x, bank, (1, 5)),
                vim(x, logits, fitted),
            ]
        )

    alone = np.concatenate([scores(NEW[i : i + 1]) for i in range(8)], 1)
    np.testing.assert_allclose(scores(NEW)[:, :8], alone, rtol=2e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("fit", "told"),
    [
        (
            lambda: distances.fit_gaussians(FEATURES[:5], LABELS[:5], CLASSES),
            "5 training examples for a covariance of 6 features.*or leave mahalanobis",
        ),
        (
            lambda: distances.fit_gaussians(
                FEATURES[LABELS != 1], LABELS[LABELS != 1], CLASSES + 1
            ),
            "no training example of class 1, 3 of 4",
        ),
        (lambda: nearest(NEW, FEATURES, (1, 91)), "k = 91 with 90 training examples"),
        (
            lambda: distances.fit_vim(FEATURES, LOGITS, KERNEL, BIAS, 6),
            "6 .* of 6 features; give 1 to 5",
        ),
        (lambda: distances.fit_vim(FEATURES, LOGITS, KERNEL, BIAS, 0), "0 .* of 6 features"),
    ],
)
def test_what_cannot_be_fitted_is_refused_in_one_line(fit, told):
    with pytest.raises(ConfigError, match=told) as refused:
        fit()
    assert "\n" not in str(refused.value)


def test_scores_are_those_of_pytorch_ood():
    """Its scores are higher for strange images; signs and constant factors differ as noted."""
    pytest.importorskip("pytorch_ood")
    import torch
    from pytorch_ood import detector

    tensor, rng = torch.from_numpy, np.random.default_rng(5)
    logits = rng.standard_normal((50, 10)).astype(np.float32)
    theirs = {
        "msp": detector.MaxSoftmax.score(tensor(logits)),
        "max_logit": detector.MaxLogit.score(tensor(logits)),
        "energy": detector.EnergyBased.score(tensor(logits)),
        "gen": 10 * detector.GEN.score(tensor(logits)),  # a mean over classes
    }
    for name, scores in theirs.items():
        np.testing.assert_allclose(SCORES[name](logits), -scores.numpy(), rtol=1e-5, err_msg=name)
    # Its float32 inverse, and the 1e-6 that it adds to the sum of squares, need variances of one
    # size.
    labels = np.arange(200) % CLASSES
    features = (rng.standard_normal((200, DIM)) + 2 * np.eye(CLASSES, DIM)[labels]).astype(
        np.float32
    )
    new = (2 * rng.standard_normal((50, DIM))).astype(np.float32)
    fitted, data = (
        distances.fit_gaussians(features, labels, CLASSES),
        (tensor(features), tensor(labels)),
    )
    expected = detector.Mahalanobis(None).fit_features(*data).predict_features(tensor(new))
    # Half of it, by the sum of squares instead of the covariance.
    np.testing.assert_allclose(mahalanobis(new, fitted), -2 * 200 * expected, rtol=1e-4)
    expected = detector.RMD(None).fit_features(*data).predict_features(tensor(new))
    found = relative_mahalanobis(new, fitted)
    np.testing.assert_allclose(found, -200 * expected, rtol=1e-4, atol=1e-3)
    expected = detector.KNN(None, k=7).fit_features(*data).predict_features(tensor(new))
    found = nearest(new, normalised(features), (7,))
    np.testing.assert_allclose(found[0], -expected, rtol=1e-4)
    their_vim = detector.ViM(None, d=3, w=tensor(KERNEL.T.copy()), b=tensor(BIAS)).fit_features(
        *data
    )
    found = vim(new, head(new), distances.fit_vim(features, head(features), KERNEL, BIAS, 3))
    np.testing.assert_allclose(
        found, -their_vim.predict_features(tensor(new)), rtol=1e-4, atol=1e-4
    )
    in_torch = lambda x: torch.tanh(x.flatten(1) @ tensor(WEIGHTS[0])) @ tensor(WEIGHTS[1])
    theirs = detector.ODIN(in_torch, eps=0.02, temperature=3.0).predict(tensor(IMAGES))
    found = odin(IMAGES, 3.0, np.array([0, 0.01, 0.02], np.float32), 0.0)[2]
    np.testing.assert_allclose(found, -theirs.numpy(), rtol=1e-5)
