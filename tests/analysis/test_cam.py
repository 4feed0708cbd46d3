"""Maps of classes are what their equations say, and gradients are finite differences."""

import functools

import chex
import drawn
import jax
import numpy as np
import pytest
from jax import lax

from dla_jax.analysis import cam as maps
from dla_jax.analysis.cam import class_gradients, layer_of
from dla_jax.models.cnn import CNN
from dla_jax.models.labs import LabA
from dla_jax.models.resnet import ResNet

X = np.random.default_rng(9).random((3, 12, 8, 2), np.float32)  # neither square nor of one channel
CLASSES = np.array([[0, 3], [2, 1], [4, 4]])
COMMON = {"num_classes": 5, "mean": (0.3, 0.5), "std": (0.4, 0.2), "dtype": "float32"}
NETS = {
    "cnn": CNN(depth=4, width=6, pools=1, norm="none", init_scheme="he", **COMMON),
    "cnn_norm": CNN(depth=4, width=6, pools=1, norm="batch", init_scheme="he", **COMMON),
    "resnet8": ResNet(
        depth=8, bottleneck=False, shortcut=True, projection=True, init_scheme="he", **COMMON
    ),
    "lab_a": LabA(depth=2, residual=False, width=7, **COMMON),
    "lab_a_residual": LabA(depth=2, residual=True, width=8, **COMMON),
}
cam = jax.jit(maps.cam)
grad_cam, hires_cam = (
    jax.jit(method, static_argnames="rectify") for method in (maps.grad_cam, maps.hires_cam)
)
END_IN_MEAN = ["cnn", "cnn_norm", "resnet8", "lab_a_residual"]
INNER = [
    ("cnn", "blocks/1"),
    ("cnn_norm", "blocks/0"),
    ("resnet8", "blocks2a/0"),
    ("lab_a", "layer000"),
    ("lab_a_residual", "layer000"),
]


@functools.cache
def variables_of(net):
    """Draw the variables of a net, once."""
    return drawn.variables_of(NETS[net], X.shape)


@functools.cache
def forward_of(net):
    """Return a function: (nudge, x) -> (logits, features), compiled."""
    variables = variables_of(net)
    return jax.jit(lambda nudge, x: NETS[net].apply(variables, x, train=False, nudge=nudge))


@functools.cache
def found_of(net, layer):
    """Return (logits, features of the layer, gradients) as the module finds them."""
    find = jax.jit(lambda x: gradients_of(net, layer, x, CLASSES))
    return jax.tree.map(np.asarray, find(X))


@functools.cache
def shapes_of(net, num_images):
    """Return the shapes of a net's features, traced once."""
    return jax.eval_shape(lambda: forward_of(net)(None, X[:num_images])[1])


def gradients_of(net, layer, x, classes):
    """Return what `class_gradients` finds in a net for images x."""
    forward = lambda nudge: NETS[net].apply(variables_of(net), x, train=False, nudge=nudge)
    return class_gradients(forward, shapes_of(net, len(x)), layer, classes)


def head_of(net):
    """Return (kernel, bias) of the head."""
    head = variables_of(net)["params"]["head"]
    return np.asarray(head["kernel"]), np.asarray(head["bias"])


def columns_of(net):
    """Return the head's column for each class of each image: [B, D, K]."""
    return np.stack([head_of(net)[0][:, classes] for classes in CLASSES])


def test_cam_is_the_contraction_written_out_by_hand():
    features, kernel = np.asarray(found_of("cnn", "last_conv")[1]), head_of("cnn")[0]
    expected = np.zeros((3, 5, 6, 4))
    for b, c, i, j in np.ndindex(expected.shape):
        expected[b, c, i, j] = sum(features[b, i, j, d] * kernel[d, c] for d in range(6))
    np.testing.assert_allclose(cam(features, kernel), expected, rtol=1e-4, atol=1e-5)
    chosen = np.stack([expected[b, classes] for b, classes in enumerate(CLASSES)])
    np.testing.assert_allclose(cam(features, columns_of("cnn")), chosen, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("net", END_IN_MEAN)
def test_the_mean_of_a_cam_plus_the_bias_is_the_logit(net):
    logits, features, _ = found_of(net, "last_conv")
    kernel, bias = head_of(net)
    found = cam(features, kernel).mean((2, 3)) + bias
    np.testing.assert_allclose(found, logits, rtol=1e-4, atol=1e-4)
    # of one net without nudges; those of 0 are compiled for its slopes anyway
    nudge = None if net == "cnn" else zeros_of(net)
    np.testing.assert_array_equal(logits, forward_of(net)(nudge, X)[0])


@pytest.mark.parametrize("method", [grad_cam, hires_cam], ids=["grad_cam", "hires_cam"])
@pytest.mark.parametrize("net", END_IN_MEAN)
def test_before_a_mean_and_a_dense_layer_grad_cam_is_cam_divided_by_the_places(net, method):
    _, features, gradients = found_of(net, "last_conv")
    expected = np.asarray(cam(features, columns_of(net))) / (features.shape[1] * features.shape[2])
    assert (expected < 0).any() and (expected > 0).any()
    tolerance = {"rtol": 1e-4, "atol": 1e-5 * np.abs(expected).max()}
    np.testing.assert_allclose(method(features, gradients, rectify=False), expected, **tolerance)
    np.testing.assert_allclose(method(features, gradients), np.maximum(expected, 0), **tolerance)


def zeros_of(net):
    """Return the nudges of a net that change nothing."""
    return {key: np.zeros(leaf.shape, np.float32) for key, leaf in shapes_of(net, len(X)).items()}


def slopes_at(net, layer, place):
    """Return the finite differences of all logits [B, C] for one feature of a layer."""
    name, _, index = layer.partition("/")
    zeros = zeros_of(net)
    nudge = zeros[name].copy()
    nudge[(int(index), *place) if index else place] = 5e-3
    up, down = (forward_of(net)(zeros | {name: sign * nudge}, X)[0] for sign in (1, -1))
    return (np.asarray(up) - np.asarray(down)) / 1e-2


@pytest.mark.parametrize(
    ("net", "layer"), [*((net, "last_conv") for net in ("cnn_norm", "resnet8", "lab_a")), *INNER]
)
def test_gradients_are_the_finite_differences_of_the_logits(net, layer):
    logits, features, gradients = found_of(net, layer)
    chex.assert_shape(gradients, (3, 2, *features.shape[1:]))
    plain = jax.device_get(forward_of(net)(zeros_of(net), X))
    np.testing.assert_allclose(logits, plain[0], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(features, layer_of(plain[1], layer), rtol=1e-5, atol=1e-5)
    tolerance = {"rtol": 0.05, "atol": 5e-3 * np.abs(gradients).max()}
    rng = np.random.default_rng(0)
    for b, k in np.ndindex(3, 2):
        # strong gradients, where a wrong place, sign or factor shows
        strong = np.argsort(np.abs(gradients[b, k]).ravel())[-30:]
        place = np.unravel_index(rng.choice(strong), features.shape[1:])
        slopes = slopes_at(net, layer, (b, *place))
        found = gradients[(b, k, *place)]
        np.testing.assert_allclose(found, slopes[b, CLASSES[b, k]], **tolerance)
        assert not np.delete(slopes, b, 0).any()  # one image says nothing of another


def test_gradients_at_an_inner_block_are_those_of_the_rest_of_the_net_written_out():
    _, features, gradients = found_of("cnn", "blocks/1")
    p, (kernel, bias) = variables_of("cnn")["params"], head_of("cnn")
    last = jax.tree.map(lambda leaf: leaf[2], next(iter(p["blocks"]["block"].values())))

    def rest(h, c):
        f = lax.conv_general_dilated(
            jax.nn.relu(h),
            last["kernel"],
            window_strides=(1, 1),
            padding="SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        return (jax.nn.relu(h + f + last["bias"]).mean((1, 2)) @ kernel + bias)[0, c]

    slope = jax.jit(jax.grad(rest))
    for b, k in np.ndindex(3, 2):
        expected = slope(features[b : b + 1], CLASSES[b, k])[0]
        np.testing.assert_allclose(gradients[b, k], expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(("net", "layer"), INNER)
def test_at_an_inner_layer_the_two_methods_are_what_their_equations_say_and_differ(net, layer):
    _, features, gradients = found_of(net, layer)
    weights = gradients.reshape(3, 2, -1, gradients.shape[-1]).mean(2)
    smooth, sharp = np.zeros((2, 3, 2, *features.shape[1:3]))
    for b, k, i, j in np.ndindex(smooth.shape):
        smooth[b, k, i, j] = features[b, i, j] @ weights[b, k]
        sharp[b, k, i, j] = features[b, i, j] @ gradients[b, k, i, j]
    for method, expected in ((grad_cam, smooth), (hires_cam, sharp)):
        found = method(features, gradients, rectify=False)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)
    assert np.abs(smooth - sharp).max() > 0.1 * np.abs(sharp).max()


@pytest.mark.parametrize("net", [*END_IN_MEAN, "lab_a"])
def test_before_a_dense_head_hires_cam_sums_to_the_logit_without_its_bias(net):
    logits, features, gradients = found_of(net, "last_conv")
    expected = np.take_along_axis(np.asarray(logits) - head_of(net)[1], CLASSES, 1)
    found = hires_cam(features, gradients, rectify=False).sum((2, 3))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("net", "layer"), [("cnn_norm", "blocks/0"), ("lab_a", "last_conv")])
def test_many_images_and_classes_at_once_are_a_loop_over_them(net, layer):
    alone = jax.jit(lambda x, classes: gradients_of(net, layer, x, classes))
    logits, features, gradients = found_of(net, layer)
    methods = lambda *found: jax.device_get((grad_cam(*found), hires_cam(*found)))
    smooth, sharp = methods(features, gradients)
    for b, k in np.ndindex(3, 2):
        one = jax.device_get(alone(X[b : b + 1], CLASSES[b : b + 1, k : k + 1]))
        single = (one[0][0], one[1][0], one[2][0, 0])
        single += tuple(found[0, 0] for found in methods(*one[1:]))
        many = (logits[b], features[b], gradients[b, k], smooth[b, k], sharp[b, k])
        chex.assert_trees_all_close(many, single, rtol=1e-4, atol=1e-5)


@functools.cache
def of_many_classes():
    """Return (classes [B, 20], their gradients), more classes than are computed at once.

    Each class is there several times.
    """
    every = np.stack([np.arange(20) % 5, np.arange(1, 21) % 5, np.arange(20) // 4])
    find = jax.jit(lambda: gradients_of("cnn", "blocks/1", X, every)[2])
    return every, jax.device_get(find())


def first_of_class(b, c):
    """Return the gradients of a class of an image, where it stands first."""
    every, many = of_many_classes()
    return many[b, np.argmax(every[b] == c)]


def test_without_classes_it_is_the_most_probable_one():
    logits, _, gradients = found_of("cnn", "blocks/1")
    found = jax.jit(lambda: gradients_of("cnn", "blocks/1", X, None)[2])()
    expected = [first_of_class(b, c)[None] for b, c in enumerate(np.argmax(logits, axis=1))]
    chex.assert_shape(found, (3, 1, *gradients.shape[2:]))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_many_classes_are_those_of_a_few_at_a_time():
    _, _, few = found_of("cnn", "blocks/1")
    every, many = of_many_classes()
    tolerance = {"rtol": 1e-4, "atol": 1e-6}
    for b, k in np.ndindex(3, 20):
        np.testing.assert_allclose(many[b, k], first_of_class(b, every[b, k]), **tolerance)
    for b, k in np.ndindex(3, 2):
        np.testing.assert_allclose(first_of_class(b, CLASSES[b, k]), few[b, k], **tolerance)


def test_in_bfloat16_what_maps_are_made_of_is_float32():
    sizes = {"depth": 4, "width": 6, "pools": 1, "norm": "batch", "init_scheme": "he"}
    net = CNN(**sizes, **(COMMON | {"dtype": "bfloat16"}))
    forward = lambda nudge: net.apply(variables_of("cnn_norm"), X, train=False, nudge=nudge)
    shapes = jax.eval_shape(lambda: forward(nudge=None)[1])
    assert shapes["blocks"].dtype == "bfloat16"
    for layer in ("blocks/1", "last_conv"):
        found = jax.eval_shape(lambda layer=layer: class_gradients(forward, shapes, layer, CLASSES))
        assert [leaf.shape for leaf in found] == [(3, 5), (3, 6, 4, 6), (3, 2, 6, 4, 6)]
        assert {str(leaf.dtype) for leaf in found} == {"float32"}
