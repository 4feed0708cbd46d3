"""Nudges are added to the features of their own layer and to nothing before it."""

import functools

import chex
import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dla_jax.models.cnn import CNN
from dla_jax.models.labs import LabA, LabB
from dla_jax.models.layers import nudged
from dla_jax.models.mlp import MLP
from dla_jax.models.resnet import ResNet

COMMON = {"num_classes": 5, "mean": (0.3,), "std": (0.4,), "dtype": "float32"}
RESNET = {"bottleneck": False, "projection": False, "init_scheme": "he"}
NETS = {
    "cnn": CNN(depth=4, width=6, pools=1, norm="batch", init_scheme="he", **COMMON),
    "mlp": MLP(depth=4, width=6, norm="batch", init_scheme="he", **COMMON),
    "resnet": ResNet(depth=14, shortcut=True, **RESNET, **COMMON),
    "plain": ResNet(depth=8, shortcut=False, **RESNET, **COMMON),
    "preactivation": ResNet(depth=8, shortcut=True, preactivation=True, **RESNET, **COMMON),
    "lab_a": LabA(depth=3, residual=False, width=7, **COMMON),
    "lab_a_residual": LabA(depth=2, residual=True, width=8, **COMMON),
    "lab_b": LabB(depth=9, as_implemented=False, projection=False, **COMMON),
}


@functools.cache
def forward_of(name):
    """Return a function: nudge, other parameters -> (logits, features), compiled."""
    shape = (1, 32, 32, 1) if name == "lab_b" else (2, 8, 8, 1)
    x = np.random.default_rng(0).random(shape, np.float32)
    variables = drawn.variables_of(NETS[name], x.shape)

    @jax.jit
    def forward(variables, x, nudge):
        return NETS[name].apply(variables, x, train=False, nudge=nudge)

    return lambda nudge, **other: jax.device_get(forward(variables | other, x, nudge))


# a plain ResNet runs the lines of a residual one
SOME = [pytest.param(name, marks=pytest.mark.slow) if name == "plain" else name for name in NETS]


@pytest.mark.parametrize("name", SOME)
def test_a_nudge_of_zeros_changes_nothing_but_how_xla_rounds(name):
    logits, features = forward_of(name)(nudge=None)
    found = forward_of(name)(jax.tree.map(np.zeros_like, features))
    size = np.abs(logits).max()
    chex.assert_trees_all_close(found, (logits, features), rtol=1e-5, atol=1e-5 * size)


BIT_BY_BIT = {
    "small_mlp": MLP(depth=2, width=6, norm="none", init_scheme="he", **COMMON),
    "cnn": NETS["cnn"],
    "lab_a_residual": NETS["lab_a_residual"],
}
# operation by operation each takes seconds; the test above sees the same nets within rounding
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("cnn", "lab_a_residual")]


@pytest.mark.parametrize("name", ["small_mlp", *SLOW])
def test_operation_by_operation_a_nudge_of_zeros_changes_no_bit(name):
    x = np.random.default_rng(0).random((2, 8, 8, 1), np.float32)
    net = BIT_BY_BIT[name]
    variables = drawn.variables_of(net, x.shape)
    with jax.disable_jit():  # where XLA fuses, one more addition makes it round others
        plain = net.apply(variables, x, train=False)
        zeros = jax.tree.map(np.zeros_like, plain[1])
        chex.assert_trees_all_equal(net.apply(variables, x, train=False, nudge=zeros), plain)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_nudges_are_added_in_the_dtype_of_the_features(dtype):
    h = jnp.array([-2.5, 0, 1e-30, 3e30, jnp.inf], dtype)
    np.testing.assert_array_equal(nudged(h, jnp.zeros(5)), h)
    assert nudged(h, None) is h and nudged(h, jnp.ones(5)).dtype == dtype
    np.testing.assert_array_equal(nudged(h[:3], jnp.full(3, 0.5)), jnp.array([-2, 0.5, 0.5], dtype))


def last_of(features):
    """Return the name of what stands before the head: "last_conv" or "last_hidden"."""
    return next(name for name in features if name.startswith("last"))


def places_of(features):
    """Return (layer, place in a stack of blocks or ...) of all features, in the network's order."""
    places = []
    for layer, leaf in sorted(features.items()):
        if not layer.startswith("last"):
            stacked = layer.startswith("blocks")
            places += [(layer, i) for i in (range(len(leaf)) if stacked else [...])]
    return [*places, (last_of(features), ...)]


@pytest.mark.parametrize("name", SOME)
def test_a_nudge_is_added_to_its_layer_and_changes_what_comes_after_it(name):
    logits, features = forward_of(name)(nudge=None)
    zeros = jax.tree.map(np.zeros_like, features)
    places = places_of(features)
    for number, (layer, i) in enumerate(places):
        nudge = zeros[layer].copy()
        nudge[i] = np.random.default_rng(1).standard_normal(nudge[i].shape)
        moved, found = forward_of(name)(zeros | {layer: nudge})
        np.testing.assert_allclose(found[layer][i], (features[layer] + nudge)[i], atol=1e-5)
        for earlier, j in places[:number]:
            np.testing.assert_array_equal(found[earlier][j], features[earlier][j])
        assert np.abs(moved - logits).max() > 1e-3
        last = last_of(features)
        if layer != last:
            assert np.abs(found[last] - features[last]).max() > 1e-3


@pytest.mark.parametrize("name", ["cnn", "mlp"])
def test_the_nudge_of_the_stem_is_added_to_what_enters_the_first_block(name):
    # The same as a stem whose output has another bias; where there is a max-pool, behind it.
    shift = np.random.default_rng(1).standard_normal(6).astype(np.float32)
    params = drawn.variables_of(NETS[name], (2, 8, 8, 1))["params"]
    stem = params["stem"]
    params = params | {"stem": stem | {"bias": stem["bias"] + shift}}
    shape = (2, 4, 4, 6) if name == "cnn" else (2, 6)
    found = forward_of(name)({"stem": np.broadcast_to(shift, shape)})
    expected = forward_of(name)(nudge=None, params=params)
    chex.assert_trees_all_close(found, expected, rtol=1e-4, atol=1e-4)
