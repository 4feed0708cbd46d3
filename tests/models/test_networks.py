"""CNNs and MLPs are what their definition says, written out in a loop."""

import functools

import chex
import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from dla_jax.models.cnn import CNN
from dla_jax.models.mlp import MLP, Perceptron

COMMON = {
    "width": 6,
    "num_classes": 10,
    "mean": (0.3,),
    "std": (0.4,),
    "norm": "none",
    "init_scheme": "he",
    "dtype": "float32",
}
X = np.random.default_rng(9).random((5, 8, 8, 1), np.float32)


def make(kind, depth, **changes):
    """Return a net and variables for it."""
    extra = {"pools": 1} if kind is CNN else {}
    model = kind(depth=depth, **(COMMON | extra | changes))
    return model, drawn.variables_of(model, X.shape)


@functools.partial(jax.jit, static_argnames="model")
def apply(variables, *, model):
    """Return (logits, features) of a net for the images X."""
    return model.apply(variables, X, train=False)


@functools.partial(jax.jit, static_argnames=("model", "train"))
def apply_and_update(variables, *, model, train):
    """Return ((logits, features), the statistics after them)."""
    return model.apply(variables, X, train=train, mutable=["batch_stats"])


@functools.partial(jax.jit, static_argnames="model")
def init(key, *, model):
    """Return the variables that a net starts with."""
    return model.init(key, X, train=False)


def wired(variables, skip, branch):
    """Return the variables with these factors of every skip and branch."""
    ones = np.ones_like(variables["wiring"]["blocks"]["skip"])
    return variables | {"wiring": {"blocks": {"skip": ones * skip, "branch": ones * branch}}}


def convolve(h, p):
    """Apply a convolution with a 3x3 window."""
    axes = ("NHWC", "HWIO", "NHWC")
    out = lax.conv_general_dilated(h, p["kernel"], (1, 1), padding="SAME", dimension_numbers=axes)
    return out + p["bias"]


def multiply(h, p):
    """Apply a dense layer."""
    return h @ p["kernel"] + p["bias"]


@functools.partial(jax.jit, static_argnames="kind")
def reference(variables, skip, branch, *, kind):
    """Compute the logits in a Python loop over the stacked parameters."""
    p, layer = variables["params"], convolve if kind is CNN else multiply
    h = (X - 0.3) / 0.4
    if kind is CNN:
        h = layer(h, p["stem"]).reshape(5, 4, 2, 4, 2, -1).max((2, 4))
    else:
        h = layer(h.reshape(5, -1), p["stem"])
    if "blocks" in p:
        (stacked,) = (leaves for name, leaves in p["blocks"]["block"].items() if name != "norm")
        for kernel, bias in zip(stacked["kernel"], stacked["bias"], strict=True):
            f = layer(jnp.maximum(h, 0), {"kernel": kernel, "bias": bias})
            h = skip * h + branch * f
    h = jnp.maximum(h, 0)
    return (h.mean((1, 2)) if kind is CNN else h) @ p["head"]["kernel"] + p["head"]["bias"]


@pytest.mark.parametrize("kind", [CNN, MLP])
@pytest.mark.parametrize(("skip", "branch"), [(0.0, 1.0), (1.0, 1.0), (1.0, 0.5)])
def test_the_net_is_what_its_definition_says(kind, skip, branch):
    model, variables = make(kind, 4)
    logits, _ = apply(wired(variables, skip, branch), model=model)
    chex.assert_shape(logits, (5, 10))
    expected = reference(variables, skip, branch, kind=kind)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", [CNN, MLP])
def test_depth_one_is_a_stem_and_a_head(kind):
    model, variables = make(kind, 1)
    assert set(variables["params"]) == {"stem", "head"} and "wiring" not in variables
    logits, _ = apply(variables, model=model)
    expected = reference(variables, 0.0, 1.0, kind=kind)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", [CNN, MLP])
@pytest.mark.parametrize("depth", [2, 5, 10])
def test_depth_counts_layers(kind, depth):
    _, variables = make(kind, depth)
    per_layer = 9 * 6 * 6 + 6 if kind is CNN else 6 * 6 + 6
    stem = 9 * 6 + 6 if kind is CNN else 64 * 6 + 6
    found = sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
    assert found == stem + (depth - 1) * per_layer + 6 * 10 + 10


# MLP and CNN share the stack that draws them
@pytest.mark.parametrize("kind", [pytest.param(CNN, marks=pytest.mark.slow), MLP])
def test_blocks_start_from_different_weights(kind):
    variables = jax.device_get(init(jax.random.key(0), model=make(kind, 5)[0]))
    kernels = jax.tree.leaves(variables["params"]["blocks"])[1]
    assert len({float(kernel.sum()) for kernel in kernels}) == 4


@pytest.mark.parametrize("kind", [CNN, MLP])
def test_features_are_the_block_outputs(kind):
    model, variables = make(kind, 4)
    # no branch: every block passes its input on
    _, features = apply(wired(variables, 1.0, 0.0), model=model)
    np.testing.assert_array_equal(features["blocks"][0], features["blocks"][2])
    last = features["last_conv" if kind is CNN else "last_hidden"]
    np.testing.assert_allclose(last, jnp.maximum(features["blocks"][-1], 0))


@pytest.mark.parametrize("kind", [CNN, MLP])
def test_batch_norm_moves_in_training_only(kind):
    model, variables = make(kind, 3, norm="batch")
    _, updates = apply_and_update(variables, model=model, train=True)
    close = jax.tree.map(np.allclose, variables["batch_stats"], updates["batch_stats"])
    assert not any(jax.tree.leaves(close))
    _, updates = apply_and_update(variables, model=model, train=False)
    jax.tree.map(np.testing.assert_array_equal, variables["batch_stats"], updates["batch_stats"])


@pytest.mark.parametrize("kind", [CNN, MLP])
def test_batch_norm_standardises_what_enters_a_layer(kind):
    model, variables = make(kind, 3, norm="batch")
    variables = wired(variables, 0.0, 1.0)
    params = variables["params"]
    stem = {"kernel": 7.0 * params["stem"]["kernel"], "bias": 7.0 * params["stem"]["bias"] + 3.0}

    def logits_of(params):
        (logits, _), _ = apply_and_update(variables | {"params": params}, model=model, train=True)
        return logits

    # a scale and a shift of the stem's output are normalised away
    shifted = logits_of(params | {"stem": stem})
    np.testing.assert_allclose(logits_of(params), shifted, atol=2e-3)


@pytest.mark.parametrize("kind", [CNN, MLP])
def test_compute_dtype_reaches_the_layers_and_logits_stay_float32(kind):
    model, variables = make(kind, 3, dtype="bfloat16")
    logits, features = apply(variables, model=model)
    assert logits.dtype == jnp.float32 and features["blocks"].dtype == jnp.bfloat16
    started = drawn.shapes_of(model, X.shape)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(started["params"]))
    full = apply(variables, model=make(kind, 3)[0])[0]
    np.testing.assert_allclose(logits, full, rtol=0.1, atol=0.1)


def test_identity_initialisation_passes_the_signal_through():
    model, _ = make(CNN, 12, init_scheme="dirac")
    variables = init(jax.random.key(0), model=model)
    _, features = apply(wired(variables, 0.0, 1.0), model=model)
    np.testing.assert_allclose(features["blocks"][-1], features["blocks"][0], atol=1e-6)


@pytest.mark.parametrize(("where", "dropped"), [("every", 3), ("last", 1)])
def test_dropout_stands_where_it_should(where, dropped):
    # Lab A has one before the head, lab B one behind every hidden layer: counted by the units that
    # come out as exact zeros.
    common = {key: COMMON[key] for key in ("num_classes", "mean", "std", "init_scheme", "dtype")}
    model = Perceptron(
        widths=(40, 40, 40), dropout=0.5, dropout_at=where, relu_logits=False, **common
    )
    fills = {"kernel": np.zeros_like, "bias": np.ones_like}
    fill = lambda path, leaf: fills[path[-1].key](leaf)
    variables = drawn.variables_of(model, X.shape)
    params = {"params": jax.tree_util.tree_map_with_path(fill, variables["params"])}
    train = lambda key: model.apply(params, X, train=True, rngs={"dropout": key})
    evaluate = lambda key: model.apply(params, X, train=False)
    key = jax.random.key(1)
    selections = [str(jax.make_jaxpr(f)(key)).count("select_n") for f in (train, evaluate)]
    assert selections[0] - selections[1] == dropped
    hidden = np.asarray(jax.jit(train)(key)[1]["last_hidden"])
    assert 0.3 < (hidden == 0).mean() < 0.7 and set(np.unique(hidden)) == {0.0, 2.0}
