"""Over each route the gradient is the one written out by hand, and all routes add up to it."""

import functools
import itertools
import math

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from dla_jax.analysis import paths
from dla_jax.analysis.lesion import num_blocks
from dla_jax.models.cnn import CNN
from dla_jax.models.mlp import MLP
from dla_jax.models.resnet import ResNet

X = np.random.default_rng(0).random((3, 4, 4, 1), np.float32)
LABELS = np.array([0, 3, 1])
COMMON = {"num_classes": 4, "mean": (0.3,), "std": (0.4,), "init_scheme": "he", "dtype": "float32"}
RESNET = {"bottleneck": False, "projection": False, **COMMON}
NETS = {
    "mlp": MLP(depth=5, width=5, norm="none", **COMMON),
    "cnn": CNN(depth=5, width=3, pools=1, norm="batch", **COMMON),
    "resnet": ResNet(depth=14, shortcut=True, **RESNET),
    "resnet8": ResNet(depth=8, shortcut=True, **RESNET),
    "plain": ResNet(depth=8, shortcut=False, **RESNET),
    "preactivation": ResNet(depth=8, shortcut=True, preactivation=True, **RESNET),
}


@functools.cache
def variables_of(name):
    """Draw a net whose skips and branches have factors of their own, once."""
    variables = drawn.variables_of(NETS[name], X.shape)
    factors = np.random.default_rng(1)
    rewire = lambda leaf: factors.uniform(0.5, 1.5, leaf.shape).astype(np.float32)
    return variables | {"wiring": jax.tree.map(rewire, variables["wiring"])}


def all_routes(num_blocks):
    """Return every route, bool [2^L, L]."""
    return np.array(list(itertools.product([False, True], repeat=num_blocks)))


@functools.partial(jax.jit, static_argnames=("name", "and_whole"))
def gradients_of(variables, routes, *, name, and_whole):
    """Return (gradient over each route, the whole gradient, or None without `and_whole`)."""
    gradient = functools.partial(paths.route_gradient, NETS[name].apply, variables, X, LABELS)
    return lax.map(gradient, routes), gradient(None) if and_whole else None


@functools.cache
def found_of(name):
    """Return (variables, all routes, gradient over each, the whole one) of a net, found once.

    The whole one is None for the ResNet, whose program is large.
    """
    variables = variables_of(name)
    routes = all_routes(num_blocks(variables))
    found = gradients_of(variables, routes, name=name, and_whole=name != "resnet")
    along, whole = jax.device_get(found)
    return variables, routes, along, whole


@functools.cache
def by_hand():
    """Return (the whole gradient, that over every fifth route) of the ResNet, written out."""
    variables = variables_of("resnet")
    routes = all_routes(num_blocks(variables))
    shares = np.stack([~routes, routes], axis=-1)[::5]  # all together are told by their sum
    both = np.concatenate([np.ones_like(shares[:1]), shares])
    found = jax.device_get(resnet_by_hand(variables, both))
    return found[0], found[1:]


@functools.partial(jax.jit, static_argnames="name")
def norms_of(variables, routes, *, name):
    """Return the norm of the gradient over each route, computed five at once."""
    return paths.route_norms(NETS[name].apply, variables, X, LABELS, routes, at_once=5)


@pytest.mark.parametrize("name", ["mlp", "cnn", "resnet", "preactivation"])
def test_the_gradients_of_all_routes_add_up_to_the_whole(name):
    _, routes, along, whole = found_of(name)
    if name == "resnet":
        whole, _ = by_hand()
    assert len(routes) == {"resnet": 64, "preactivation": 8}.get(name, 16)
    largest = np.abs(whole).max()
    np.testing.assert_allclose(along.sum(0), whole, rtol=1e-4, atol=1e-5 * largest)
    assert largest > 1e-4 and len(np.unique(along, axis=0)) == len(along)


def test_norms_are_those_of_the_gradients_of_the_whole_batch():
    variables, routes, along, _ = found_of("mlp")
    expected = np.sqrt(np.square(along, dtype=np.float64).sum((1, 2)))
    np.testing.assert_allclose(norms_of(variables, routes, name="mlp"), expected, rtol=1e-4)


@pytest.mark.parametrize(("bottleneck", "wide"), [(False, 16), (True, 64)])
def test_what_enters_the_first_block_is_what_the_stem_puts_out(bottleneck, wide):
    net = ResNet(
        depth=11 if bottleneck else 8, shortcut=True, **RESNET | {"bottleneck": bottleneck}
    )
    variables = jax.eval_shape(lambda: net.init(jax.random.key(0), X, train=False))
    features = jax.eval_shape(lambda v: net.apply(v, X, train=False)[1], variables)
    assert features["blocks1a"].shape == (1, 3, 4, 4, wide)
    stem = jax.eval_shape(lambda v: paths.first_input(net.apply, v, X), variables)
    assert stem.shape == (3, 4, 4, 16) and stem.dtype == np.float32


def test_over_a_route_of_an_mlp_the_gradient_is_the_product_of_its_jacobians():
    variables, routes, found, _ = found_of("mlp")
    p, wiring = variables["params"], variables["wiring"]["blocks"]
    kernels, biases = (p["blocks"]["block"]["Dense_0"][key] for key in ("kernel", "bias"))
    h = [((X - 0.3) / 0.4).reshape(3, -1) @ p["stem"]["kernel"] + p["stem"]["bias"]]
    for i in range(4):
        f = np.maximum(h[i], 0) @ kernels[i] + biases[i]
        h.append(wiring["skip"][i] * h[i] + wiring["branch"][i] * f)
    logits = np.maximum(h[4], 0) @ p["head"]["kernel"] + p["head"]["bias"]
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    last = (shares - np.eye(4)[LABELS]) / 3 @ p["head"]["kernel"].T * (h[4] > 0)
    for route, gradient in zip(routes, found, strict=True):
        g = last
        for i in (3, 2, 1, 0):
            back = wiring["branch"][i] * (g @ kernels[i].T) * (h[i] > 0)
            g = back if route[i] else wiring["skip"][i] * g
        np.testing.assert_allclose(gradient, g, rtol=1e-3, atol=1e-6)


def convolve(h, kernel, stride=1):
    """Apply a 3x3 convolution, padded by one pixel on each side."""
    axes, pad = ("NHWC", "HWIO", "NHWC"), ((1, 1), (1, 1))
    return lax.conv_general_dilated(h, kernel, (stride, stride), pad, dimension_numbers=axes)


def normalise(h, p, s):
    """Apply BatchNorm in evaluation mode."""
    return (h - s["mean"]) / jnp.sqrt(s["var"] + 1e-5) * p["scale"] + p["bias"]


def blocks_of(variables):
    """Return (parameters, statistics, skip, branch, stride) of the blocks of a ResNet, in order."""
    blocks = []
    for stage, part in itertools.product("123", "ab"):
        name = f"blocks{stage}{part}"
        if name not in variables["params"]:
            continue
        wiring = variables["wiring"][name]
        for i in range(len(wiring["skip"])):
            take = (lambda leaf: leaf) if part == "a" else (lambda leaf, i=i: leaf[i])
            inner = "single" if part == "a" else "block"
            p, s = (
                jax.tree.map(take, variables[key][name][inner]) for key in ("params", "batch_stats")
            )
            stride = 2 if part == "a" and stage != "1" else 1
            blocks.append((p, s, wiring["skip"][i], wiring["branch"][i], stride))
    return blocks


@jax.jit
def resnet_by_hand(variables, routes):
    """Return the gradients over routes, with every stop of a gradient written out.

    Args:
      routes: bool [routes, L, 2], whether each block's skip and branch let the gradient through.
    """
    p, stopped = variables["params"], lax.stop_gradient
    h = convolve((X - 0.3) / 0.4, p["stem"]["kernel"])
    stem = jax.nn.relu(normalise(h, p["stem_norm"], variables["batch_stats"]["stem_norm"]))

    def loss(h, route):
        for through, (b, s, skip, branch, stride) in zip(route, blocks_of(variables), strict=True):
            f = convolve(h, b["conv1"]["kernel"], stride)
            f = jax.nn.relu(normalise(f, b["norm1"], s["norm1"]))
            f = normalise(convolve(f, b["conv2"]["kernel"]), b["norm2"], s["norm2"])
            if f.shape != h.shape:
                more = (f.shape[-1] - h.shape[-1]) // 2
                h = jnp.pad(h[:, ::2, ::2], ((0, 0), (0, 0), (0, 0), (more, more)))
            h, f = skip * h, branch * f
            h = jnp.where(through[0], h, stopped(h)) + jnp.where(through[1], f, stopped(f))
            h = jax.nn.relu(h)
        logits = h.mean((1, 2)) @ p["head"]["kernel"] + p["head"]["bias"]
        return -jax.nn.log_softmax(logits)[jnp.arange(3), LABELS].mean()

    return lax.map(lambda route: jax.grad(loss)(stem, route), routes)


def test_over_a_route_of_a_resnet_the_gradient_is_the_one_written_out():
    _, _, found, _ = found_of("resnet")
    for gradient, expected in zip(found[::5], by_hand()[1], strict=True):
        np.testing.assert_allclose(
            gradient, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max()
        )


@pytest.mark.parametrize("name", ["mlp", "plain"])
def test_a_plain_net_has_one_path(name):
    variables = variables_of(name)
    zero = lambda path, leaf: leaf * (path[-1].key != "skip")
    plain = jax.tree_util.tree_map_with_path(zero, variables["wiring"])
    routes = all_routes(num_blocks(variables))
    found = gradients_of(variables | {"wiring": plain}, routes, name=name, and_whole=True)
    along, whole = jax.device_get(found)
    np.testing.assert_allclose(along[-1], whole, rtol=1e-4, atol=1e-7)
    norms = np.sqrt(np.square(along.reshape(len(along), -1)).sum(1))
    assert norms[-1] > 0 and not np.any(norms[:-1])
    assert paths.effective_length(paths.mass(norms, routes)) == routes.shape[1]


@pytest.mark.parametrize("name", ["cnn", "resnet8"])
def test_a_route_changes_no_bit_of_the_pass_forward(name):
    variables = variables_of(name)
    route = np.arange(num_blocks(variables)) % 2 == 1

    @jax.jit
    def forward(variables):
        return NETS[name].apply(variables, X, train=False)

    expected = forward(variables)
    found = forward(paths.with_route(variables, route))
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_all_routes_of_a_length_are_taken_where_there_are_few_and_drawn_where_there_are_many():
    routes = paths.sample_routes(np.random.default_rng(0), 6, (0, 1, 3, 5, 6), 19)
    lengths = routes.sum(1)
    assert routes.shape == (1 + 6 + 19 + 6 + 1, 6) and routes.dtype == bool
    assert [np.sum(lengths == k) for k in range(7)] == [1, 6, 0, 19, 0, 6, 1]
    assert len(np.unique(routes[lengths != 3], axis=0)) == 14
    all_of_three = paths.sample_routes(np.random.default_rng(0), 6, (3,), 20)
    assert len(np.unique(all_of_three, axis=0)) == 20 == math.comb(6, 3)
    drawn_often = paths.sample_routes(np.random.default_rng(1), 8, (2,), 27).mean(0)
    assert drawn_often.min() > 0 and drawn_often.sum() == pytest.approx(2)
    same = paths.sample_routes(np.random.default_rng(0), 6, (0, 1, 3, 5, 6), 19)
    np.testing.assert_array_equal(routes, same)


def test_the_mass_of_a_length_is_its_mean_norm_times_its_number_of_paths():
    routes = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 1]], bool)
    found = paths.mass(np.array([2, 1, 3, 0.5], np.float32), routes)
    np.testing.assert_array_equal(found["length"], [0, 1, 3])
    np.testing.assert_array_equal(found["norm"], [2, 2, 0.5])
    np.testing.assert_array_equal(found["mass"], [2, 6, 0.5])
    assert paths.effective_length(found) == pytest.approx((6 + 1.5) / 8.5)


def test_where_every_branch_halves_the_gradient_lengths_are_binomial():
    # C(L, k) (1/2)^k: the mean length is L / 3
    routes = paths.sample_routes(np.random.default_rng(0), 54, tuple(range(55)), 2)
    found = paths.mass(0.5 ** routes.sum(1), routes)
    assert found["mass"].sum() == pytest.approx(1.5**54)
    assert paths.effective_length(found) == pytest.approx(18)
