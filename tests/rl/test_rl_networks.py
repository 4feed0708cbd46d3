"""Heads, distributions and torsos, against scipy, numpy and counts by hand."""

import jax
import numpy as np
import pytest
import scipy.stats
from ml_collections import ConfigDict
from small import quickly_compiled

from dla_jax.rl.networks import ActorCritic, Categorical, Gaussian, QNetwork, draw_noise, make_torso


def torso(name="mlp", hidden=(8, 6), activation="tanh", layer_norm=False):
    return make_torso(
        ConfigDict(
            {"name": name, "hidden": hidden, "activation": activation, "layer_norm": layer_norm}
        )
    )


def shapes_of(net, obs):
    """Return the shapes of a network's parameters, without drawing them."""
    return jax.eval_shape(net.init, jax.random.key(0), obs)


def count(net, obs):
    return sum(leaf.size for leaf in jax.tree.leaves(shapes_of(net, obs)))


def random_logits(shape, seed=0):
    return np.random.default_rng(seed).normal(0, 2, shape).astype(np.float32)


def random_params(net, obs, scale=1.0):
    """Return parameters of which none is 0, so that each of them shows."""
    rng = np.random.default_rng(0)
    draw = lambda leaf: rng.normal(0, scale, leaf.shape).astype(np.float32)
    return jax.tree.map(draw, shapes_of(net, obs))


@quickly_compiled
def told_by(distributions, actions):
    """Return (log_prob of each of many actions, entropy, mode)."""
    log_probs = jax.vmap(distributions.log_prob)(actions)
    return log_probs, distributions.entropy(), distributions.mode()


def test_categorical_is_scipys():
    logits = random_logits((5, 4))
    p = scipy.special.softmax(np.asarray(logits, np.float64), -1)
    actions = np.tile(np.arange(4)[:, None], (1, 5))
    log_probs, entropy, mode = told_by(Categorical(logits), actions)
    for action in range(4):
        want = [scipy.stats.rv_discrete(values=(range(4), row)).logpmf(action) for row in p]
        np.testing.assert_allclose(log_probs[action], want, rtol=1e-4)
    np.testing.assert_allclose(entropy, scipy.stats.entropy(p, axis=-1), rtol=1e-5)
    np.testing.assert_array_equal(mode, np.argmax(logits, -1))


def test_a_certain_choice_has_no_entropy_and_a_finite_gradient():
    logits = np.float32([200.0, 0.0, -200.0])
    entropy = quickly_compiled(jax.value_and_grad(lambda logits: Categorical(logits).entropy()))
    found, slopes = entropy(logits)
    assert found == pytest.approx(0, abs=1e-6)
    assert np.isfinite(slopes).all()


def test_gaussian_is_scipys():
    mean, log_std = random_logits((5, 3)), np.float32([-1.0, 0.0, 0.7])
    action = random_logits((5, 3), 1)
    log_probs, entropy, mode = told_by(Gaussian(mean, log_std), action[None])
    for i in range(5):
        theirs = scipy.stats.multivariate_normal(mean[i], np.diag(np.exp(2 * log_std)))
        assert log_probs[0, i] == pytest.approx(theirs.logpdf(action[i]), rel=1e-4)
        assert entropy[i] == pytest.approx(theirs.entropy(), rel=1e-5)
    np.testing.assert_array_equal(mode, mean)


def drawn_from(distribution, shape, continuous):
    draw = lambda key: distribution.sample(draw_noise(key, shape, continuous))
    return np.asarray(quickly_compiled(draw)(jax.random.key(0)))


def test_categorical_draws_as_often_as_it_says():
    logits, n = random_logits((4,), 3) / 2, 20_000
    counts = np.bincount(drawn_from(Categorical(logits), (n, 4), continuous=False), minlength=4)
    want = n * scipy.special.softmax(np.asarray(logits, np.float64))
    assert scipy.stats.chisquare(counts, want).pvalue > 0.001


def test_gaussian_draws_have_its_mean_and_deviation():
    mean, log_std = np.float32([3.0, -1.0]), np.float32([0.5, -1.0])
    drawn = drawn_from(Gaussian(mean, log_std), (5000, 2), continuous=True)
    for i in range(2):
        standard = (drawn[:, i] - mean[i]) / np.exp(log_std[i])
        assert scipy.stats.kstest(standard, "norm").pvalue > 0.001
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 0.05


def test_dueling_values_are_the_value_plus_advantages_less_their_mean():
    obs, net = random_logits((7, 5)), QNetwork(torso(), 4, True)
    params = random_params(net, obs)
    apply = quickly_compiled(net.apply)
    found, own = np.asarray(apply(params, obs)), params["params"]
    features = np.asarray(quickly_compiled(torso()().apply)({"params": own["Torso_0"]}, obs))
    value, advantage = (
        features @ own[name]["kernel"] + own[name]["bias"] for name in ("value", "advantage")
    )
    np.testing.assert_allclose(found.mean(-1), value[:, 0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        found - found[:, :1], advantage - advantage[:, :1], rtol=1e-3, atol=1e-4
    )
    more = own["advantage"] | {"bias": own["advantage"]["bias"] + 5}
    moved = {"params": own | {"advantage": more}}
    np.testing.assert_allclose(apply(moved, obs), found, rtol=1e-4, atol=1e-4)


def test_the_image_torso_is_a_convolution():
    net = torso("cnn", (5,), "relu")()
    images = np.random.default_rng(1).random((2, 6, 7, 3), np.float32)
    params = random_params(net, images)["params"]
    first, second = params["Dense_0"], params["Dense_1"]
    assert first["kernel"].shape == (27, 16) and second["kernel"].shape == (4 * 5 * 16, 5)
    windows = np.lib.stride_tricks.sliding_window_view(images, (3, 3), axis=(1, 2))
    kernel = first["kernel"].reshape(3, 3, 3, 16)
    convolved = np.einsum("bijcxy,xyco->bijo", windows, kernel) + first["bias"]
    hidden = np.maximum(convolved, 0).reshape(2, -1)
    want = np.maximum(hidden @ second["kernel"] + second["bias"], 0)
    found = quickly_compiled(net.apply)({"params": params}, images)
    np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name, shape", [("mlp", (5,)), ("cnn", (4, 4, 2))])
def test_leading_axes_are_only_a_batch(name, shape):
    obs = np.random.default_rng(0).random((2, 3, *shape), np.float32)
    net = ActorCritic(torso(name), 2, False, True)
    params = random_params(net, obs, scale=0.3)
    both = quickly_compiled(lambda obs: (net.apply(params, obs), net.apply(params, obs[1, 2])))
    (policy, value), (one, one_value) = jax.device_get(both(obs))
    assert policy.logits.shape == (2, 3, 2) and value.shape == (2, 3)
    assert np.ptp(policy.logits) > 0.01
    np.testing.assert_allclose(one.logits, policy.logits[1, 2], atol=1e-6)
    np.testing.assert_allclose(one_value, value[1, 2], atol=1e-6)


@pytest.mark.parametrize("continuous", [False, True])
def test_shared_and_separate_torsos_have_the_parameters_that_they_should(continuous):
    one, obs = (5 * 8 + 8) + (8 * 6 + 6), np.zeros((1, 5), np.float32)
    heads = (6 * 3 + 3) + (6 + 1) + 3 * continuous
    for shared, want in ((True, one + heads), (False, 2 * one + heads)):
        assert count(ActorCritic(torso(), 3, continuous, shared), obs) == want
    normed = ActorCritic(torso(layer_norm=True), 3, continuous, True)
    assert count(normed, obs) == one + 2 * (8 + 6) + heads


def test_separate_torsos_do_not_move_one_another():
    obs = random_logits((4, 5))
    for shared in (True, False):
        net = ActorCritic(torso(), 3, False, shared)
        grads = quickly_compiled(
            jax.grad(lambda params, net=net: net.apply(params, obs, method="value").sum())
        )(random_params(net, obs, scale=0.3))["params"]
        assert np.any(grads["actor_torso"]["Dense_0"]["kernel"] != 0) == shared


def test_a_new_policy_prefers_nothing():
    net = ActorCritic(torso(hidden=(8,)), 4, False, False)

    @quickly_compiled
    def first_told(key, obs):
        policy, value = net.apply(net.init(key, obs), obs)
        return policy.entropy(), value

    entropy, value = first_told(jax.random.key(0), random_logits((50, 5)))
    np.testing.assert_allclose(entropy, np.log(4), atol=1e-3)
    assert np.std(value) > 0.1
