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
from dla_jax.models.resnet import ResNet

COMMON = {"num_classes": 5, "mean": (0.3,), "std": (0.4,), "dtype": "float32"}
RESNET = {"bottleneck": False, "projection": False, "init_scheme": "he"}
NETS = {
    "cnn": CNN(depth=4, width=6, pools=1, norm="batch", init_scheme="he", **COMMON),
    "resnet": ResNet(depth=14, shortcut=True, **RESNET, **COMMON),
    "plain": ResNet(depth=8, shortcut=False, **RESNET, **COMMON),
    "lab_a": LabA(depth=3, residual=False, width=7, **COMMON),
    "lab_a_residual": LabA(depth=2, residual=True, width=8, **COMMON),
    "lab_b": LabB(depth=9, as_implemented=False, projection=False, **COMMON),
}


@functools.cache
def forward_of(name):
    """nudge -> (logits, features), compiled."""
    x = np.random.default_rng(0).random(
        (1, 32, 32, 1) if name == "lab_b" else (2, 8, 8, 1), np.float32
    )
    variables = drawn.variables_of(NETS[name], x.shape)
    forward = jax.jit(
        lambda variables, x, nudge: NETS[name].apply(variables, x, train=False, nudge=nudge)
    )
    return lambda nudge: jax.device_get(forward(variables, x, nudge))


@pytest.mark.parametrize("name", NETS)
def test_a_nudge_of_zeros_changes_nothing_but_how_xla_rounds(name):
    logits, features = forward_of(name)(None)
    found = forward_of(name)(jax.tree.map(np.zeros_like, features))
    chex.assert_trees_all_close(
        found, (logits, features), rtol=1e-5, atol=1e-5 * np.abs(logits).max()
    )


@pytest.mark.parametrize("name", ["cnn", "lab_a_residual"])
def test_operation_by_operation_a_nudge_of_zeros_changes_no_bit(name):
    x = np.random.default_rng(0).random((2, 8, 8, 1), np.float32)
    variables = drawn.variables_of(NETS[name], x.shape)
    with jax.disable_jit():  # where XLA fuses, one more addition makes it round others
        plain = NETS[name].apply(variables, x, train=False)
        zeros = jax.tree.map(np.zeros_like, plain[1])
        chex.assert_trees_all_equal(NETS[name].apply(variables, x, train=False, nudge=zeros), plain)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_nudges_are_added_in_the_dtype_of_the_features(dtype):
    h = jnp.array([-2.5, 0, 1e-30, 3e30, jnp.inf], dtype)
    np.testing.assert_array_equal(nudged(h, jnp.zeros(5)), h)
    assert nudged(h, None) is h and nudged(h, jnp.ones(5)).dtype == dtype
    np.testing.assert_array_equal(nudged(h[:3], jnp.full(3, 0.5)), jnp.array([-2, 0.5, 0.5], dtype))


@pytest.mark.parametrize("name", NETS)
def test_a_nudge_is_added_to_its_layer_and_changes_what_comes_after_it(name):
    logits, features = forward_of(name)(None)
    zeros = jax.tree.map(np.zeros_like, features)
    stacked = {
        layer: len(leaf) if leaf.ndim == 5 else None for layer, leaf in sorted(features.items())
    }
    order = [
        (layer, i)
        for layer, n in stacked.items()
        if layer != "last_conv"
        for i in (range(n) if n else [None])
    ]
    for layer, i in [*order, ("last_conv", None)]:
        here = ... if i is None else i
        nudge = zeros[layer].copy()
        nudge[here] = np.random.default_rng(1).standard_normal(nudge[here].shape)
        moved, found = forward_of(name)(zeros | {layer: nudge})
        np.testing.assert_allclose(found[layer][here], (features[layer] + nudge)[here], atol=1e-5)
        before = order[: order.index((layer, i))] if layer != "last_conv" else order
        for earlier, j in before:
            np.testing.assert_array_equal(
                *(tree[earlier][... if j is None else j] for tree in (found, features))
            )
        assert np.abs(moved - logits).max() > 1e-3
        assert (
            layer == "last_conv" or np.abs(found["last_conv"] - features["last_conv"]).max() > 1e-3
        )
