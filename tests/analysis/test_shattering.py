"""Gradients of a network with one input, and their autocorrelation, equal those of numpy."""

import drawn
import jax
import numpy as np
import pytest

from dla_jax.analysis import shattering
from dla_jax.analysis.shattering import input_gradient, scalar_function
from dla_jax.config.checks import ConfigError
from dla_jax.models.mlp import MLP

COMMON = {"num_classes": 1, "mean": (0.0,), "std": (1.0,), "dtype": "float32"}
NET = MLP(depth=3, width=6, norm="none", init_scheme="he", **COMMON)
GRID = np.linspace(-2, 2, 40, dtype=np.float32)
autocorrelation = jax.jit(shattering.autocorrelation, static_argnames="lags")


def by_hand(variables, x):
    """Return y(x) and dy/dx of NET, in float64."""
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), variables["params"])
    wiring, blocks = variables["wiring"]["blocks"], params["blocks"]["block"]["Dense_0"]
    h = x * params["stem"]["kernel"][0] + params["stem"]["bias"]
    slope = params["stem"]["kernel"][0]
    for i in range(2):
        kernel, bias = blocks["kernel"][i], blocks["bias"][i]
        skip, branch = wiring["skip"][i], wiring["branch"][i]
        slope = skip * slope + branch * ((h > 0) * slope) @ kernel
        h = skip * h + branch * (np.maximum(h, 0) @ kernel + bias)
    head = params["head"]["kernel"][:, 0]
    return np.maximum(h, 0) @ head + params["head"]["bias"][0], ((h > 0) * slope) @ head


def test_the_gradient_is_that_of_the_chain_rule_by_hand_also_for_many_networks_at_once():
    networks = [drawn.variables_of(NET, (1, 1, 1, 1), seed) for seed in (0, 1)]
    networks[1]["wiring"]["blocks"]["skip"][:] = 0.0
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *networks)

    @jax.jit
    def found(stacked):
        def of(variables):
            f = scalar_function(NET.apply, variables)
            slopes = input_gradient(f, GRID)
            return jax.vmap(f)(GRID), slopes, autocorrelation(slopes)

        return jax.vmap(of)(stacked)

    values, slopes, correlations = jax.device_get(found(stacked))
    for i, variables in enumerate(networks):
        expected = np.array([by_hand(variables, x) for x in GRID]).T
        np.testing.assert_allclose(values[i], expected[0], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(slopes[i], expected[1], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(
            correlations[i], autocorrelation(slopes[i]), rtol=1e-4, atol=1e-5
        )
        assert len(np.unique(np.round(expected[1], 4))) > 3


def test_autocorrelation_equals_a_double_loop():
    g = np.random.default_rng(0).standard_normal(30) + 0.3
    expected = []
    for lag in range(30):
        products = [g[i] * g[j] for i in range(30) for j in range(30) if j - i == lag]
        expected.append(sum(products) / len(products))
    expected = np.array(expected) / expected[0]
    found = np.asarray(autocorrelation(g))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    some = autocorrelation(g, lags=(16, 0, 1))
    np.testing.assert_allclose(some, found[[16, 0, 1]], rtol=1e-5)
    np.testing.assert_allclose(autocorrelation(-1e-30 * g), expected, rtol=1e-4, atol=1e-5)


def test_a_network_whose_units_are_all_on_is_linear_and_gives_1_at_all_lags():
    variables = drawn.variables_of(NET, (1, 1, 1, 1))
    variables["params"]["stem"]["bias"] += 1e3
    blocks = variables["params"]["blocks"]["block"]["Dense_0"]
    blocks["kernel"] = np.abs(blocks["kernel"])
    slopes = jax.jit(lambda: input_gradient(scalar_function(NET.apply, variables), GRID))()
    assert abs(slopes[0]) > 0.1
    np.testing.assert_allclose(autocorrelation(slopes), np.ones(40), rtol=1e-5)


def test_white_noise_is_forgotten_at_once_and_brown_noise_slowly():
    white = np.random.default_rng(0).standard_normal((400, 64))
    walks = np.cumsum(white, axis=1)
    found = np.asarray(jax.jit(jax.vmap(autocorrelation))(np.concatenate([white, walks])))
    of_white, of_walks = found[:400].mean(0), found[400:].mean(0)
    np.testing.assert_allclose(of_white[:33], np.eye(33)[0], atol=0.04)
    assert of_walks[1] > 0.9 and 0.4 < of_walks[16] < 0.9 and of_walks[48] < 0.4
    assert np.all(np.diff(of_walks[:49]) < 0)


def test_signs_that_alternate_keep_their_sign():
    np.testing.assert_allclose(autocorrelation((-1.0) ** np.arange(9)), (-1.0) ** np.arange(9))


def test_no_gradient_has_no_autocorrelation_and_no_lag_lies_beyond_the_grid():
    assert np.isnan(autocorrelation(np.zeros(4, np.float32))).all()
    with pytest.raises(ConfigError, match="lags: 4 on a grid of 4 points; give 0 to 3"):
        autocorrelation(np.ones(4), lags=(1, 4))
