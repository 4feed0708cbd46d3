"""Heads, distributions and torsos, against scipy, Flax's own layers and counts by hand."""

import flax.linen as nn
import jax
import jax.numpy as jnp
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


def initial(net, key, obs):
    return quickly_compiled(net.init)(key, obs)


def count(params):
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def random_logits(shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(0, 2, shape), jnp.float32)


def test_categorical_is_scipys():
    logits = random_logits((5, 4))
    p, ours = np.exp(scipy.special.log_softmax(logits, -1)), Categorical(logits)
    for action in range(4):
        want = [
            scipy.stats.rv_discrete(values=(range(4), row / row.sum())).logpmf(action)
            for row in p.astype(np.float64)
        ]
        np.testing.assert_allclose(ours.log_prob(jnp.full(5, action)), want, rtol=1e-4)
    np.testing.assert_allclose(ours.entropy(), scipy.stats.entropy(p, axis=-1), rtol=1e-5)
    np.testing.assert_array_equal(ours.mode(), np.argmax(logits, -1))


def test_a_certain_choice_has_no_entropy_and_a_finite_gradient():
    logits = jnp.array([200.0, 0.0, -200.0])
    assert Categorical(logits).entropy() == pytest.approx(0, abs=1e-6)
    assert jnp.isfinite(jax.grad(lambda logits: Categorical(logits).entropy())(logits)).all()


def test_gaussian_is_scipys():
    mean, log_std = random_logits((5, 3)), jnp.array([-1.0, 0.0, 0.7])
    action, ours = random_logits((5, 3), 1), Gaussian(mean, log_std)
    for i in range(5):
        theirs = scipy.stats.multivariate_normal(mean[i], np.diag(np.exp(2 * np.asarray(log_std))))
        assert ours.log_prob(action)[i] == pytest.approx(theirs.logpdf(action[i]), rel=1e-4)
        assert ours.entropy()[i] == pytest.approx(theirs.entropy(), rel=1e-5)
    np.testing.assert_array_equal(ours.mode(), mean)


def test_categorical_draws_as_often_as_it_says():
    logits, n = random_logits((4,), 3) / 2, 20_000
    drawn = Categorical(logits).sample(draw_noise(jax.random.key(0), (n, 4), False))
    counts = np.bincount(drawn, minlength=4)
    assert (
        scipy.stats.chisquare(
            counts, n * scipy.special.softmax(np.asarray(logits, np.float64))
        ).pvalue
        > 0.001
    )


def test_gaussian_draws_have_its_mean_and_deviation():
    mean, log_std = jnp.array([3.0, -1.0]), jnp.array([0.5, -1.0])
    drawn = np.asarray(
        Gaussian(mean, log_std).sample(draw_noise(jax.random.key(0), (5000, 2), True))
    )
    for i in range(2):
        assert (
            scipy.stats.kstest(
                drawn[:, i], "norm", (float(mean[i]), float(np.exp(log_std[i])))
            ).pvalue
            > 0.001
        )
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 0.05


def with_random_leaves(params, seed=0):
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), jnp.float32), params)


def test_dueling_values_are_the_value_plus_advantages_less_their_mean():
    obs, net = random_logits((7, 5)), QNetwork(torso(), 4, True)
    params = with_random_leaves(initial(net, jax.random.key(0), obs))
    found = net.apply(params, obs)
    features = torso()().apply({"params": params["params"]["Torso_0"]}, obs)
    value, advantage = (
        features @ head["kernel"] + head["bias"]
        for head in (params["params"][k] for k in ("value", "advantage"))
    )
    np.testing.assert_allclose(found.mean(-1), value[:, 0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        found - found[:, :1], advantage - advantage[:, :1], rtol=1e-3, atol=1e-4
    )
    moved = {
        "params": params["params"]
        | {
            "advantage": params["params"]["advantage"]
            | {"bias": params["params"]["advantage"]["bias"] + 5}
        }
    }
    np.testing.assert_allclose(net.apply(moved, obs), found, rtol=1e-4, atol=1e-4)


def test_the_image_torso_is_a_convolution():
    images, net = jax.random.uniform(jax.random.key(1), (2, 6, 7, 3)), torso("cnn", (5,), "relu")()
    params = with_random_leaves(initial(net, jax.random.key(0), images))["params"]
    first, second = params["Dense_0"], params["Dense_1"]
    assert first["kernel"].shape == (27, 16) and second["kernel"].shape == (4 * 5 * 16, 5)
    convolved = nn.Conv(16, (3, 3), padding="VALID").apply(
        {"params": {"kernel": first["kernel"].reshape(3, 3, 3, 16), "bias": first["bias"]}}, images
    )
    want = nn.relu(nn.relu(convolved).reshape(2, -1) @ second["kernel"] + second["bias"])
    np.testing.assert_allclose(net.apply({"params": params}, images), want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name, shape", [("mlp", (5,)), ("cnn", (4, 4, 2))])
def test_leading_axes_are_only_a_batch(name, shape):
    obs = jax.random.uniform(jax.random.key(0), (2, 3, *shape))
    net = ActorCritic(torso(name), 2, False, True)
    params = initial(net, jax.random.key(1), obs[0])
    policy, value = net.apply(params, obs)
    assert policy.logits.shape == (2, 3, 2) and value.shape == (2, 3)
    one, one_value = net.apply(params, obs[1, 2])
    np.testing.assert_allclose(one.logits, policy.logits[1, 2], atol=1e-6)
    np.testing.assert_allclose(one_value, value[1, 2], atol=1e-6)


@pytest.mark.parametrize("continuous", [False, True])
def test_shared_and_separate_torsos_have_the_parameters_that_they_should(continuous):
    one = (5 * 8 + 8) + (8 * 6 + 6)
    heads = (6 * 3 + 3) + (6 + 1) + 3 * continuous
    for shared, want in ((True, one + heads), (False, 2 * one + heads)):
        params = initial(
            ActorCritic(torso(), 3, continuous, shared), jax.random.key(0), jnp.zeros((1, 5))
        )
        assert count(params) == want
    assert count(
        initial(
            ActorCritic(torso(layer_norm=True), 3, continuous, True),
            jax.random.key(0),
            jnp.zeros((1, 5)),
        )
    ) == (one + 2 * (8 + 6) + heads)


def test_separate_torsos_do_not_move_one_another():
    obs = random_logits((4, 5))
    for shared in (True, False):
        net = ActorCritic(torso(), 3, False, shared)
        params = initial(net, jax.random.key(0), obs)
        grads = quickly_compiled(
            jax.grad(lambda params, net=net: net.apply(params, obs, method="value").sum())
        )(params)["params"]
        assert bool(jnp.any(grads["actor_torso"]["Dense_0"]["kernel"] != 0)) == shared


def test_a_new_policy_prefers_nothing():
    net = ActorCritic(torso(), 4, False, False)
    obs = random_logits((50, 5))
    policy, value = net.apply(initial(net, jax.random.key(0), obs), obs)
    np.testing.assert_allclose(policy.entropy(), np.log(4), atol=1e-3)
    assert jnp.std(value) > 0.1
