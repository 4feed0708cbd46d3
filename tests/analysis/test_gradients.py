"""Statistics of gradients equal those of numpy, layer by layer and stage by stage."""

import functools

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dla_jax.analysis import layer_gradients
from dla_jax.analysis.layer_gradients import BINS, SMALLEST, layer_norms, step_statistics
from dla_jax.analysis.units import layers_of
from dla_jax.models.cnn import CNN
from dla_jax.models.labs import LabB
from dla_jax.models.mlp import MLP, Perceptron
from dla_jax.models.resnet import ResNet
from dla_jax.training.metrics import cross_entropy

X, LABELS = np.random.default_rng(0).random((6, 8, 8, 1), np.float32), np.arange(6)
COMMON = {"num_classes": 10, "mean": (0.0,), "std": (1.0,), "dtype": "float32"}


def norm_of_tree(tree):
    """Return the L2 norm of all leaves together, summed in float64."""
    squares = (np.square(leaf, dtype=np.float64).sum() for leaf in jax.tree.leaves(tree))
    return np.sqrt(sum(squares))


@pytest.mark.parametrize(
    ("kind", "depth", "norm"),
    [(CNN, 1, "none"), (CNN, 4, "batch"), (MLP, 1, "batch"), (MLP, 4, "none")],
)
def test_layer_norms_are_those_of_each_layer_s_numbers(kind, depth, norm):
    # What a gradient is made of does not matter: any tree of a net's shape will do.
    extra = {"pools": 1} if kind is CNN else {}
    model = kind(depth=depth, width=5, norm=norm, init_scheme="he", **extra, **COMMON)
    grads = drawn.variables_of(model, X.shape)["params"]
    blocks = [jax.tree.map(lambda leaf, i=i: leaf[i], grads["blocks"]) for i in range(depth - 1)]
    last = {name: grads[name] for name in ("head", "norm") if name in grads}
    assert len(last) == 1 + (norm == "batch")
    expected = [norm_of_tree(tree) for tree in (grads["stem"], *blocks, last)]
    found = jax.device_get(jax.jit(layer_norms)(grads))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_allclose(np.sqrt(np.sum(np.square(found))), norm_of_tree(grads), rtol=1e-5)


def test_layer_norms_equal_the_gradient_of_each_layer_alone():
    depth = 4
    model = MLP(depth=depth, width=5, norm="batch", init_scheme="he", **COMMON)
    variables = drawn.variables_of(model, X.shape)

    def loss(params):
        logits, _ = model.apply(variables | {"params": params}, X, train=False)
        return cross_entropy(logits, LABELS).mean()

    @jax.jit
    def found_and_expected(params):
        block = lambda i: jax.tree.map(lambda leaf: leaf[i], params["blocks"])

        def put(i, part):
            set_block = lambda stack, one: stack.at[i].set(one)
            return params | {"blocks": jax.tree.map(set_block, params["blocks"], part)}

        def of_block(i):
            return jax.grad(lambda part: loss(put(i, part)))(block(i))

        last = {name: params[name] for name in ("head", "norm")}
        of_stem = jax.grad(lambda part: loss(params | {"stem": part}))(params["stem"])
        of_blocks = jax.lax.map(of_block, jnp.arange(depth - 1))
        of_last = jax.grad(lambda part: loss(params | part))(last)
        whole = jax.grad(loss)(params)
        return layer_norms(whole), whole, of_stem, of_blocks, of_last

    found, whole, of_stem, of_blocks, of_last = jax.device_get(
        found_and_expected(variables["params"])
    )
    of_each = [jax.tree.map(lambda leaf, i=i: leaf[i], of_blocks) for i in range(depth - 1)]
    alone = [of_stem, *of_each, of_last]
    assert found.shape == (depth + 1,)
    np.testing.assert_allclose(found, [norm_of_tree(tree) for tree in alone], rtol=1e-4)
    np.testing.assert_allclose(np.sqrt(np.sum(np.square(found))), norm_of_tree(whole), rtol=1e-5)


CNN9 = CNN(depth=9, width=5, norm="batch", init_scheme="he", pools=1, **COMMON)
RESNET14 = ResNet(
    depth=14, bottleneck=False, shortcut=True, projection=True, init_scheme="he", **COMMON
)


def names_and_stages(model, shape=(8, 8, 1)):
    """Return the names and the stages of a net's layers."""
    init = lambda: model.init(jax.random.key(0), jnp.zeros((1, *shape)), train=False)
    layers = layers_of(jax.eval_shape(init)["params"])
    return [layer.name for layer in layers], [layer.stage for layer in layers]


def test_layers_stand_in_the_order_of_the_network():
    assert names_and_stages(CNN9)[0] == ["stem", *(f"blocks {i}" for i in range(8)), "head"]
    assert names_and_stages(CNN9)[1] == [0, 1, 1, 2, 2, 3, 3, 4, 4, 0]
    names, stages = names_and_stages(RESNET14)
    assert names[:3] == ["stem", "blocks1a conv1", "blocks1a conv2"]
    assert names[3:6] == ["blocks1b 0 conv1", "blocks1b 0 conv2", "blocks2a conv1"]
    assert names[-1] == "head" and "blocks2a shortcut" in names and len(names) == 1 + 12 + 2 + 1
    assert stages == [0, *[1] * 4, *[2] * 5, *[3] * 5, 0]
    layout = {"widths": (4, 4, 4), "dropout": 0.0, "dropout_at": "every", "relu_logits": False}
    narrow = Perceptron(**layout, init_scheme="he", **COMMON)
    assert names_and_stages(narrow) == (["stem", "layer001", "layer002", "head"], [0, 1, 2, 0])


def test_the_layers_of_lab_b_are_its_49_convolutions_and_3_dense_layers():
    net = LabB(depth=48, as_implemented=False, projection=False, **COMMON)
    names, stages = names_and_stages(net, (32, 32, 1))
    assert len(names) == 52 and names[0] == "stem" and names[-3:] == ["last1", "last2", "head"]
    assert [stages.count(stage) for stage in range(5)] == [4, 12, 12, 12, 12]


statistics = jax.jit(layer_gradients.statistics)


@functools.cache
def gradients_of(model):
    """Return the gradients and the parameters of a new net, computed once."""
    variables = drawn.variables_of(model, X.shape)

    def loss(params):
        logits, _ = model.apply(variables | {"params": params}, X, train=False)
        return cross_entropy(logits, LABELS).mean()

    return jax.device_get(jax.jit(jax.grad(loss))(variables["params"])), variables["params"]


def kernel(tree, layer):
    """Return the numbers of a layer's kernel as float64."""
    for key in layer.path:
        tree = tree[key]
    return np.asarray(tree if layer.index is None else tree[layer.index], np.float64).ravel()


@pytest.mark.parametrize(
    "model",
    [pytest.param(CNN9, id="cnn"), pytest.param(RESNET14, id="resnet", marks=pytest.mark.slow)],
)
def test_statistics_equal_those_of_numpy_layer_by_layer_and_stage_by_stage(model):
    grads, params = gradients_of(model)
    found, layers = jax.tree.map(np.asarray, statistics(grads, params)), layers_of(params)
    last = max(layer.stage for layer in layers)
    stages = [[layer for layer in layers if layer.stage == i] for i in range(1, last + 1)]
    for kind, members in (("layer", [[layer] for layer in layers]), ("stage", stages)):
        g = [np.concatenate([kernel(grads, layer) for layer in group]) for group in members]
        w = [np.concatenate([kernel(params, layer) for layer in group]) for group in members]
        norms = [(np.linalg.norm(x), np.linalg.norm(y)) for x, y in zip(g, w, strict=True)]
        expected = {
            "mean_abs": [np.abs(x).mean() for x in g],
            "rms": [np.sqrt((x**2).mean()) for x in g],
            "mean": [x.mean() for x in g],
            "var": [x.var() for x in g],
            "relative": [of_gradient / of_weights for of_gradient, of_weights in norms],
        }
        for name, values in expected.items():
            key = f"{kind}_{name}"
            np.testing.assert_allclose(found[key], values, rtol=2e-4, atol=1e-8, err_msg=key)
        edges = np.concatenate([[0], 2.0 ** np.arange(SMALLEST, SMALLEST + BINS - 1), [np.inf]])
        counts = [np.histogram(np.abs(x), edges)[0] for x in g]
        np.testing.assert_array_equal(found[f"{kind}_histogram"], counts)


def test_a_variance_is_not_lost_behind_a_large_mean():
    grads, params = gradients_of(CNN9)
    shifted = jax.tree.map(lambda leaf: leaf + 30.0, grads)
    layers = layers_of(params)
    stages = [[layer for layer in layers if layer.stage == i] for i in (1, 2, 3, 4)]
    expected = [np.concatenate([kernel(shifted, layer) for layer in s]).var() for s in stages]
    np.testing.assert_allclose(statistics(shifted, params)["stage_var"], expected, rtol=0.02)


def test_a_gradient_of_zeros_counts_in_the_first_bin():
    grads, params = gradients_of(CNN9)
    found = statistics(jax.tree.map(np.zeros_like, grads), params)
    np.testing.assert_array_equal(found["layer_histogram"][:, 0], found["layer_histogram"].sum(1))
    assert not np.any(found["layer_relative"])


def test_the_update_ratio_is_the_norm_of_the_update_over_that_of_the_weights():
    grads, params = gradients_of(CNN9)
    updates = jax.tree.map(lambda g: np.float32(-0.1) * g, grads)
    found, layers = jax.jit(step_statistics)(grads, updates, params), layers_of(params)
    norms = lambda tree: np.array([np.linalg.norm(kernel(tree, layer)) for layer in layers])
    expected = 0.1 * norms(grads) / norms(params)
    np.testing.assert_allclose(found["layer_update_ratio"], expected, rtol=1e-4)
    np.testing.assert_allclose(found["layer_relative"], 10 * found["layer_update_ratio"], rtol=1e-4)
    assert found["stage_update_ratio"].shape == (4,)
