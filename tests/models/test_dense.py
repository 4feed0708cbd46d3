"""Heads over a larger image: every place has the logits of its own window."""

import functools

import chex
import drawn
import jax
import numpy as np
import pytest
from jax import lax

from dla_jax.models.cnn import CNN
from dla_jax.models.labs import LabA, LabB
from dla_jax.models.resnet import ResNet

COMMON = {"num_classes": 5, "mean": (0.3, 0.5), "std": (0.4, 0.2), "dtype": "float32"}
CNNS = {"depth": 3, "width": 6, "init_scheme": "he"} | COMMON
RESNET = {"bottleneck": False, "shortcut": True, "projection": False, "init_scheme": "he"}
LAB_B = LabB(depth=9, as_implemented=False, projection=False, **COMMON)
# name: (net, size of a training image, size of a canvas)
NETS = {
    "cnn": (CNN(pools=0, norm="none", **CNNS), (6, 4), (9, 8)),
    "cnn_pool": (CNN(pools=1, norm="batch", **CNNS), (12, 8), (20, 14)),
    "resnet": (ResNet(depth=8, **RESNET, **COMMON), (12, 8), (24, 12)),
    "preactivation": (ResNet(depth=8, preactivation=True, **RESNET, **COMMON), (12, 8), (24, 12)),
    "lab_a": (LabA(depth=2, residual=False, width=7, **COMMON), (12, 8), (20, 14)),
    "lab_a_odd": (LabA(depth=2, residual=False, width=7, **COMMON), (9, 7), (14, 11)),
    "lab_a_residual": (LabA(depth=1, residual=True, width=8, **COMMON), (6, 4), (9, 8)),
    "lab_b": (LAB_B, (32, 32), (48, 64)),
}
# whose heads are those of "cnn_pool" and "resnet"
SLOW = ("cnn", "preactivation")
SOME = [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in NETS]


@functools.cache
def variables_of(name):
    """Draw the variables of a net, once."""
    net, size, _ = NETS[name]
    return drawn.variables_of(net, (1, *size, 2))


@functools.partial(jax.jit, static_argnames=("net", "window"))
def run(variables, x, *, net, window):
    """Return (logits, features) of a net."""
    return net.apply(variables, x, train=False, window=window)


def apply(name, x, window=None):
    """Return (logits, features) of a net."""
    return run(variables_of(name), x, net=NETS[name][0], window=window)


@functools.cache
def trained_on(name):
    """Return (logits, features) of two training images, computed once."""
    return jax.device_get(apply(name, images(NETS[name][1])))


def images(size):
    """Draw two images."""
    return np.random.default_rng(1).random((2, *size, 2), np.float32)


def head(name, h):
    """Apply the head, written out, to the features of one window [B, h, w, D]."""
    p = jax.tree.map(np.asarray, variables_of(name)["params"])
    if name.startswith("lab_a") and not NETS[name][0].residual:
        b, rows, columns, d = h.shape[0], h.shape[1] // 2, h.shape[2] // 2, h.shape[3]
        even = h[:, : 2 * rows, : 2 * columns].reshape(b, rows, 2, columns, 2, d)
        h = even.max((2, 4)).reshape(b, -1)
    elif name == "lab_b":
        h = h.reshape(len(h), -1)
        for layer in ("last1", "last2"):
            h = np.maximum(h @ p[layer]["kernel"] + p[layer]["bias"], 0)
    else:
        h = h.mean((1, 2))
    return h @ p["head"]["kernel"] + p["head"]["bias"]


@pytest.mark.parametrize("name", SOME)
def test_a_window_over_a_training_image_gives_the_logits_of_the_classifier(name):
    x = images(NETS[name][1])
    logits, features = trained_on(name)
    dense, same = apply(name, x, features["last_conv"].shape[1:3])
    chex.assert_shape(dense, (2, 1, 1, 5))
    np.testing.assert_allclose(dense[:, 0, 0], logits, rtol=1e-4, atol=1e-5)
    expected = head(name, np.asarray(features["last_conv"]))
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)
    chex.assert_trees_all_close(features, same, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", SOME)
def test_on_a_canvas_each_place_has_the_logits_of_its_own_window(name):
    larger = NETS[name][2]
    window = trained_on(name)[1]["last_conv"].shape[1:3]
    step = 2 if name in ("lab_a", "lab_a_odd") else 1  # the max-pool in its head
    logits, features = apply(name, images(larger), window)
    h = np.asarray(features["last_conv"])
    places = [n // step - w // step + 1 for n, w in zip(h.shape[1:3], window, strict=True)]
    chex.assert_shape(logits, (2, *places, 5))
    assert min(places) > 1 and places[0] != places[1]
    for i, j in np.ndindex(*places):
        cut = h[:, step * i : step * i + window[0], step * j : step * j + window[1]]
        np.testing.assert_allclose(logits[:, i, j], head(name, cut), rtol=1e-3, atol=1e-4)
    assert np.asarray(logits).std((1, 2)).min() > 1e-3  # the places differ


def test_the_dense_layers_of_lab_b_are_the_convolutions_that_their_kernels_make():
    logits, features = apply("lab_b", images((48, 64)), (2, 2))
    p, h = variables_of("lab_b")["params"], features["last_conv"]
    axes = ("NHWC", "HWIO", "NHWC")
    shapes = {"last1": (2, 2, 512, 1024), "last2": (1, 1, 1024, 1024), "head": (1, 1, 1024, 5)}
    for layer, shape in shapes.items():
        kernel = p[layer]["kernel"].reshape(shape)
        h = lax.conv_general_dilated(h, kernel, (1, 1), padding="VALID", dimension_numbers=axes)
        h = h + p[layer]["bias"]
        h = h if layer == "head" else jax.nn.relu(h)
    np.testing.assert_allclose(logits, h, rtol=1e-3, atol=1e-5)
