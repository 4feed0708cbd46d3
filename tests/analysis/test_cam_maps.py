"""Layers are found by their names, and random maps, pixels and scales are what they should be."""

import chex
import drawn
import jax
import numpy as np
import pytest

from dla_jax.analysis.cam import (
    cam,
    layer_of,
    layer_sizes,
    random_cam,
    random_maps,
    scaled,
    to_pixels,
)
from dla_jax.models.cnn import CNN
from dla_jax.models.labs import LabA
from dla_jax.models.mlp import MLP
from dla_jax.models.resnet import ResNet

COMMON = {"num_classes": 5, "mean": (0.3,), "std": (0.4,), "dtype": "float32"}
CNN4 = CNN(depth=4, width=6, pools=1, norm="none", init_scheme="he", **COMMON)
RESNET14 = ResNet(
    depth=14, bottleneck=False, shortcut=True, projection=True, init_scheme="he", **COMMON
)
LAB_A = LabA(depth=2, residual=True, width=8, **COMMON)
MLP3 = MLP(depth=3, width=6, norm="none", init_scheme="he", **COMMON)
CNN_SIZES = {"blocks/0": (6, 4), "blocks/1": (6, 4), "blocks/2": (6, 4), "last_conv": (6, 4)}
RESNET_SIZES = {
    "blocks1a/0": (12, 8),
    "blocks1b/0": (12, 8),
    "blocks2a/0": (6, 4),
    "blocks2b/0": (6, 4),
    "blocks3a/0": (3, 2),
    "blocks3b/0": (3, 2),
    "last_conv": (3, 2),
}
SIZES = {
    "cnn": (CNN4, CNN_SIZES),
    "resnet": (RESNET14, RESNET_SIZES),
    "lab_a": (LAB_A, {"layer000": (12, 8), "layer001": (12, 8), "last_conv": (12, 8)}),
    "mlp": (MLP3, {}),
}


def layers_of(model):
    """Return {layer: size} as the net makes its features, and the features as shapes."""
    inside = {}

    def forward(variables, x):
        features = model.apply(variables, x, train=False)[1]
        inside.update(layer_sizes(features))
        return features

    x = np.zeros((2, 12, 8, 1), np.float32)
    return inside, jax.eval_shape(forward, drawn.variables_of(model, x.shape), x)


@pytest.mark.parametrize("net", SIZES)
def test_layers_and_their_sizes_stand_in_the_order_of_the_network(net):
    model, expected = SIZES[net]
    inside, shapes = layers_of(model)
    assert list(inside.items()) == list(expected.items())
    assert list(layer_sizes(shapes).items()) == list(expected.items())


def test_a_layer_is_found_by_its_name():
    _, shapes = layers_of(CNN4)
    features = {name: np.random.default_rng(0).random(leaf.shape) for name, leaf in shapes.items()}
    for i in range(3):
        np.testing.assert_array_equal(layer_of(features, f"blocks/{i}"), features["blocks"][i])
    np.testing.assert_array_equal(layer_of(features, "last_conv"), features["last_conv"])
    assert layer_of(features, "blocks/1").shape == (2, 6, 4, 6)


def test_a_random_cam_is_a_cam_with_weights_between_minus_one_and_one():
    key = jax.random.key(3)
    identity = np.broadcast_to(np.eye(40, dtype=np.float32), (3, 40, 40))[:, :, None]
    draw = jax.jit(random_cam, static_argnums=2)
    weights = np.asarray(draw(key, identity, 7))[..., 0].swapaxes(1, 2)  # [B, D, C]
    assert -1.001 < weights.min() < -0.95 and 0.95 < weights.max() < 1.001
    assert abs(weights.mean()) < 0.1
    assert len(np.unique(weights)) > 800  # others for each image, channel and class
    features = np.random.default_rng(4).standard_normal((3, 40, 1, 40)).astype(np.float32)
    maps, others = (np.asarray(draw(key, features, 7)) for key in (key, jax.random.key(5)))
    chex.assert_shape(maps, (3, 7, 40, 1))
    np.testing.assert_allclose(maps, cam(features, weights), rtol=1e-4, atol=1e-5)
    assert np.abs(maps - others).min() > 0


def test_random_maps_are_noise_of_both_signs_and_another_for_each_key():
    draw = jax.jit(random_maps, static_argnums=1)
    maps, others = (np.asarray(draw(jax.random.key(i), (4, 3, 9, 8))) for i in (0, 1))
    chex.assert_shape(maps, (4, 3, 9, 8))
    assert -1 <= maps.min() < -0.95 and 0.95 < maps.max() < 1 and abs(maps.mean()) < 0.1
    assert len(np.unique(maps)) > 800
    assert np.abs(maps - others).max() > 0.5


def test_pixels_stand_between_the_centres_of_the_places():
    # 2 places on 4 pixels, 3 on 6
    rows, columns = np.array([0, 0.25, 0.75, 1]), np.array([0, 0.25, 0.75, 1.25, 1.75, 2])
    maps = np.array([[0.0, 1, 2], [10, 11, 12]])
    expected = 10 * rows[:, None] + columns
    np.testing.assert_allclose(to_pixels(maps, (4, 6)), expected, atol=1e-5)
    factors = np.array([1, -1, 3, 0]).reshape(2, 2, 1, 1)
    stack, wanted = factors * maps, factors * expected
    np.testing.assert_allclose(to_pixels(stack, (4, 6)), wanted, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(to_pixels(stack, (2, 3)), stack)


def test_scaled_maps_keep_their_sign_and_zero_and_reach_one():
    maps = np.array([[[1.0, -4], [0, 2]], [[0.5, 0.1], [0.2, 0]], [[0, 0], [0, 0]]])
    expected = [[[0.25, -1], [0, 0.5]], [[1, 0.2], [0.4, 0]], [[0, 0], [0, 0]]]
    np.testing.assert_allclose(scaled(maps), expected)
    np.testing.assert_allclose(scaled(maps[:, None])[:, 0], expected)
