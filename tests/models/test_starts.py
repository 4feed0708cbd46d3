"""Initial weights have their distributions; the remedies do what their papers say of them."""

import functools

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from ml_collections import ConfigDict
from written_out import conv, relu

from dla_jax.analysis.layer_gradients import layer_norms
from dla_jax.analysis.units import layers_of
from dla_jax.config.checks import ConfigError
from dla_jax.config.info import DataInfo
from dla_jax.models.build import check_model, wire
from dla_jax.models.cnn import CNN
from dla_jax.models.mlp import MLP, Perceptron
from dla_jax.models.resnet import ResidualBlock, ResNet
from dla_jax.models.starts import (
    INITS,
    KERNEL_INITS,
    branch_scales,
)
from dla_jax.tasks.image_classifier import init_variables, shapes_of
from dla_jax.tasks.image_task import make_model

X = np.random.default_rng(3).standard_normal((4, 4, 4, 1)).astype(np.float32)
LABELS = np.array([0, 3, 1, 2])
COMMON = {"num_classes": 4, "mean": (0.0,), "std": (1.0,), "dtype": "float32"}
RESNET = {"depth": 8, "shortcut": True, "projection": False, "norm": "none", **COMMON}


def net_of(family, init, **changes):
    """Make a small net without norm, with the numbers that its start brings."""
    scalars = init if init in ("skipinit", "fixup") else "none"
    own = {"init_scheme": init, "scalars": scalars, "norm": "none", **COMMON}
    if family == "resnet":
        return ResNet(**RESNET | {"bottleneck": False} | own | changes)
    sizes = {"depth": 4, "width": 6} | ({"pools": 0} if family == "cnn" else {})
    return (CNN if family == "cnn" else MLP)(**sizes | own | changes)


@functools.cache
def started(model):
    """Return the variables that a net starts with."""
    return jax.device_get(init_variables(jax.random.key(0), model=model, shape=X.shape[1:]))


@functools.partial(jax.jit, static_argnames="model")
def logits_of(variables, x, *, model):
    """Return the logits of a net for images."""
    return model.apply(variables, x, train=False)[0]


@functools.partial(jax.jit, static_argnames="model")
def with_own_gains(variables, *, model):
    """Return the variables with the gains that a net starts with; no kernels are drawn for them."""
    own = model.init(jax.random.key(0), X[:1], train=False)
    take = lambda path, leaf, start: start if path[-1].key == "gain" else leaf
    return jax.tree_util.tree_map_with_path(take, variables, own)


def gradient_and_logits(variables, model):
    """Return (gradient of the mean loss, logits)."""

    def loss(params):
        logits, _ = model.apply(variables | {"params": params}, X, train=False)
        return optax.softmax_cross_entropy_with_integer_labels(logits, LABELS).mean(), logits

    return jax.grad(loss, has_aux=True)(variables["params"])


@functools.partial(jax.jit, static_argnames="model")
def moved(params, others, *, model):
    """Return the parameters after a step down the gradient; `others` are the other variables."""
    gradient, _ = gradient_and_logits(others | {"params": params}, model)
    return jax.tree.map(lambda leaf, g: leaf - 0.3 * g, params, gradient)


@functools.partial(jax.jit, static_argnames="model")
def gains_and_logits(variables, *, model):
    """Return (gradients of the gains alone, logits): a smaller program than the whole gradient."""
    gradient, logits = gradient_and_logits(variables, model)
    gains = [leaf for path, leaf in numbers_of(gradient).items() if path.endswith("gain")]
    return gains, logits


def numbers_of(params):
    """Return {path: leaf} of the trainable numbers, which are none of a layer."""
    leaves = jax.tree_util.tree_leaves_with_path(params)
    paths = [("/".join(part.key for part in path), leaf) for path, leaf in leaves]
    return {path: leaf for path, leaf in paths if path.startswith("blocks") and leaf.ndim < 2}


def count(params):
    """Return the number of parameters."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def affine_error(model, variables):
    """Return by how much a net's logits differ from a linear map's, of their size."""
    x, y, z, _ = X
    images = np.stack([2 * x - 3 * y + z, x, y, z])
    both, of_x, of_y, of_z = np.asarray(logits_of(variables, images, model=model))
    return np.abs(both - 2 * of_x + 3 * of_y - of_z).max() / np.abs(both).max()


@pytest.mark.parametrize("family", ["mlp", "cnn", "resnet"])
def test_a_plain_looks_linear_net_starts_as_a_linear_map_and_other_weights_are_none(family):
    model = net_of(family, "looks_linear")
    assert affine_error(model, wire(dict(started(model)), skip=False)) < 1e-4
    assert affine_error(model, wire(drawn.variables_of(model, X.shape), skip=False)) > 0.05


@pytest.mark.parametrize("skip", [False, True])
def test_the_linear_map_of_a_looks_linear_mlp_is_the_product_of_its_orthogonal_matrices(skip):
    model = net_of("mlp", "looks_linear")
    variables = wire(dict(started(model)), skip=skip)
    p = jax.tree.map(np.asarray, variables["params"])
    product = p["stem"]["kernel"][:, :3]
    for kernel in p["blocks"]["block"]["Dense_0"]["kernel"]:
        v = kernel[:3, :3]
        np.testing.assert_allclose(v @ v.T, np.eye(3), atol=1e-5)
        np.testing.assert_array_equal(kernel, np.block([[v, -v], [-v, v]]))
        product = product @ (v + skip * np.eye(3))
    product = product @ p["head"]["kernel"][:3]
    found = logits_of(variables, X, model=model)
    np.testing.assert_allclose(found, X.reshape(4, -1) @ product, rtol=1e-4, atol=1e-5)


def test_a_perceptron_can_look_linear_too():
    layout = {"widths": (8, 4, 6), "dropout": 0.0, "dropout_at": "every", "relu_logits": False}
    model = Perceptron(**layout, init_scheme="looks_linear", **COMMON)
    assert affine_error(model, started(model)) < 1e-4


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"width": 7, "init": "looks_linear"}, "model.width: 7 is odd"),
        ({"init": "fixup", "skip": False}, "model.init: fixup starts with branches of 0"),
        ({"init": "skipinit", "norm": "batch"}, "model.init: skipinit is for nets without norm"),
        ({"init": "skipinits"}, "did you mean 'skipinit'"),
    ],
)
def test_a_start_that_a_net_cannot_have_is_refused(changes, words):
    model = {"name": "mlp", "width": 8, "norm": "none", "init": "fixup", "skip": True}
    check_model(ConfigDict(model))
    with pytest.raises(ConfigError, match=words):
        check_model(ConfigDict(model | changes))


def test_networks_share_a_program_unless_their_start_brings_numbers():
    info = DataInfo(class_names=("a", "b"), shape=(4, 4, 1), mean=(0.0,), std=(1.0,))
    model = {"name": "cnn", "width": 6, "pools": 0, "norm": "none", "depth": 4, "skip": True}

    def applied(start):
        config = ConfigDict({"compute_dtype": "float32", "model": model | {"init": start}})
        return make_model(config, info, init="he"), make_model(config, info)

    programs = {start: applied(start)[0] for start in INITS}
    assert {programs[start] for start in KERNEL_INITS} == {programs["he"]}
    assert len(set(programs.values())) == 3
    for start in ("skipinit", "fixup"):
        trees = [jax.tree.structure(shapes_of(net, (4, 4, 1))) for net in applied(start)]
        assert trees[0] == trees[1]


@pytest.mark.parametrize("family", ["mlp", "resnet"])
def test_a_net_of_skipinit_starts_as_its_stem_and_head(family):
    model = net_of(family, "skipinit")
    if family == "mlp":
        variables = started(model)
    else:
        variables = with_own_gains(drawn.variables_of(model, X.shape), model=model)
    p = jax.device_get(variables["params"])
    h = X.reshape(4, -1) @ p["stem"]["kernel"] if family == "mlp" else conv(X, p["stem"]["kernel"])
    h = np.maximum(h + p["stem"]["bias"], 0)
    if family == "resnet":  # shortcuts of stages 2 and 3: every other pixel, more channels
        h = np.pad(h[:, ::4, ::4], ((0, 0), (0, 0), (0, 0), (24, 24)))
    h = h if family == "mlp" else h.mean((1, 2))
    grads, found = jax.device_get(gains_and_logits(variables, model=model))
    expected = h @ p["head"]["kernel"] + p["head"]["bias"]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert {path.split("/")[-1] for path in numbers_of(p)} - {"bias"} == {"gain"}
    gains = [np.abs(leaf) for leaf in grads]
    assert sum(map(np.size, gains)) == 3 and min(map(np.min, gains)) > 1e-6
    plain = shapes_of(net_of(family, "he"), X.shape[1:])
    assert count(p) == count(plain) + 3  # blocks


def test_fixup_scales_the_layers_of_a_branch():
    assert branch_scales("fixup", 1, 54) == [0]
    assert branch_scales("fixup", 2, 54) == [pytest.approx(54**-0.5), 0]
    assert branch_scales("fixup", 3, 16) == [pytest.approx(0.5), pytest.approx(0.5), 0]
    assert branch_scales("skipinit", 2, 54) == branch_scales("he", 2, 54) == [1, 1]


def test_a_resnet_of_fixup_starts_at_0_with_small_branches():
    model = net_of("resnet", "fixup")  # three blocks, one a stage
    p = started(model)["params"]
    assert not np.any(p["head"]["kernel"]) and not np.any(p["head"]["bias"])  # all logits are 0
    block = p["blocks3a"]["single"]
    he = np.sqrt(2 / (9 * 32))
    assert block["conv1"]["kernel"].std() == pytest.approx(he * 3**-0.5, rel=0.05)
    assert not np.any(block["conv2"]["kernel"])
    plain = shapes_of(net_of("resnet", "he"), X.shape[1:])
    assert count(p) == count(plain) + 3 * 5
    starts = {path.split("/")[-1]: float(np.mean(leaf)) for path, leaf in numbers_of(p).items()}
    assert starts.pop("gain") == 1 and len(starts) == 5 and not any(starts.values())


def test_a_bottleneck_of_fixup_has_three_layers_in_a_branch():
    block = ResidualBlock(
        width=16,
        bottleneck=True,
        shortcut=True,
        stride=1,
        projection=False,
        norm="none",
        scalars="fixup",
        init_scheme="fixup",
        num_blocks=16,
        dtype="float32",
        train=False,
    )
    one = np.ones((), np.float32)
    p = jax.jit(block.init)(jax.random.key(0), np.ones((1, 2, 2, 64), np.float32), one, one)
    p = p["params"]
    stds = [p[f"conv{i}"]["kernel"].std() for i in (1, 2, 3)]
    expected = [16**-0.25 * np.sqrt(2 / 64), 16**-0.25 * np.sqrt(2 / (9 * 16)), 0]
    np.testing.assert_allclose(stds, expected, rtol=0.06)
    numbers = [leaf for leaf in p.values() if not isinstance(leaf, dict)]
    assert len(numbers) == 7 and sum(map(float, numbers)) == 1  # the gain


@functools.partial(jax.jit, static_argnames="family")
def with_fixup(p, *, family):
    """Return the logits of a net with the numbers of fixup, written out."""
    if family == "mlp":
        b, h = p["blocks"]["block"], X.reshape(4, -1) @ p["stem"]["kernel"] + p["stem"]["bias"]
        kernels, biases = b["Dense_0"]["kernel"], b["Dense_0"]["bias"]
        for i in range(3):
            f = (relu(h + b["bias1"][i]) + b["bias2"][i]) @ kernels[i] + biases[i]
            h = h + b["gain"][i] * f
        h = relu(h)
    else:
        layer = lambda h, p, stride=1: conv(h, p["kernel"], stride) + p["bias"]
        h = relu(layer(X, p["stem"]))
        for stage in "123":
            b = p[f"blocks{stage}a"]["single"]
            f = relu(layer(h + b["bias1"], b["conv1"], min(int(stage), 2)) + b["bias_relu1"])
            f = b["gain"] * layer(f + b["bias2"], b["conv2"]) + b["bias_out"]
            if stage != "1":
                more = h.shape[-1] // 2
                h = jnp.pad(h[:, ::2, ::2], ((0, 0), (0, 0), (0, 0), (more, more)))
            h = relu(h + f)
        h = h.mean((1, 2))
    return h @ p["head"]["kernel"] + p["head"]["bias"]


@pytest.mark.parametrize("family", ["mlp", "resnet"])
def test_a_net_of_fixup_has_its_numbers_where_the_paper_says(family):
    model = net_of(family, "fixup")
    variables = drawn.variables_of(model, X.shape)
    expected = with_fixup(variables["params"], family=family)
    found = logits_of(variables, X, model=model)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("start", "num_steps"), [pytest.param("skipinit", 1, marks=pytest.mark.slow), ("fixup", 3)]
)
def test_training_moves_the_gains(start, num_steps):
    # Of fixup first the head moves, then the last layer of each branch, then all else.
    model = net_of("mlp", start)
    others = dict(started(model))
    params = others.pop("params")
    before = params["blocks"]["block"]["gain"]
    for _ in range(num_steps):
        params = moved(params, others, model=model)
    assert np.all(np.asarray(params["blocks"]["block"]["gain"]) != before)


@pytest.mark.parametrize("family", ["mlp", "resnet"])
def test_the_numbers_count_in_the_gradient_of_their_layer_and_are_no_kernels(family):
    model, bare = net_of(family, "fixup"), net_of(family, "he")
    grads = drawn.variables_of(model, X.shape)["params"]
    squares = sum(np.square(leaf, dtype=np.float64).sum() for leaf in jax.tree.leaves(grads))
    norms = np.asarray(jax.jit(layer_norms)(grads), np.float64)
    assert len(norms) == 5 and (norms**2).sum() == pytest.approx(squares, rel=1e-5)
    assert layers_of(grads) == layers_of(shapes_of(bare, X.shape[1:]))
