"""One trained network, and its maps of images."""

import functools
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dla_jax.analysis import cam, faithfulness
from dla_jax.config.checks import check, check_choice
from dla_jax.models.build import ends_in_mean
from dla_jax.studies.image_networks import features_of
from dla_jax.studies.study import restore
from dla_jax.tasks import image_classifier

EXPLAIN = ("cam", "grad_cam", "hires_cam")
BLIND = ("random", "edges")  # they know no network
METHODS = (*EXPLAIN, "random_cam", *BLIND, "another_image")
# These need a net that ends in the mean and one dense layer.
EXACT = ("cam", "random_cam", "another_image")
AT_A_TIME = 256  # images
# Folded into a seed's key, so that the fresh network is not the one that training began with.
FORGETS = 1


class Network(NamedTuple):
    """A trained network."""

    row: dict  # the last one of its run
    model: object
    variables: dict
    shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    layer: str  # whose maps are asked for


def read_network(workdir: Path, row: dict, layer: str) -> Network:
    """Return the network of a run.

    Raises:
      ConfigError: it cannot be read, or `check_layer` refuses it.
    """
    found = restore(workdir, row)
    check_layer(found.model, found.shape, layer, row["group"])
    return Network(row, found.model, found.variables, found.shape, found.class_names, layer)


def check_layer(model, shape: tuple[int, int, int], layer: str, group: str) -> None:
    """Raise ConfigError for a layer that a network does not have, or that leaves no map.

    Args:
      group: how the network is called.
    """
    features = features_of(model, shape)
    sizes = cam.layer_sizes(features)
    check(
        bool(features),
        f"network: {group} is a network of one's own, which gives no features, and so no map; "
        "give another with --config.network=",
    )
    check(
        len(sizes) > 0,
        f"network: {group} has no convolution, and so no map; give the workdir of a study of "
        "CNNs, or another of its networks with --config.network=",
    )
    check_choice("layer", layer, sizes)
    last = {size: name for name, size in sizes.items() if size != (1, 1)}  # the last of each size
    larger = [f"--config.layer={name} ({size[0]}x{size[1]})" for size, name in sorted(last.items())]
    check(
        sizes[layer] != (1, 1),
        f"layer: {layer} of {group} is 1x1, which is no map; choose "
        f"{' or '.join(larger) or 'another network, this one has no larger layer'}",
    )


def check_methods(config, model, group: str) -> None:
    """Raise ConfigError for methods that a network, called `group`, does not have."""
    exact = [method for method in config.methods if method in EXACT]
    check(
        not exact or (ends_in_mean(model) and config.layer == "last_conv"),
        f"methods: {', '.join(exact)} need a net that ends in the mean over last_conv "
        f"and one dense layer, which {group} at {config.layer} is not; take "
        "--config=configs/cam.py:method=grad_cam",
    )


@functools.partial(jax.jit, static_argnames="model")
def probabilities(variables, images, *, model) -> jax.Array:
    """Return the probabilities of the classes, float32 [B, C], of images uint8 [B, H, W, C]."""
    return jax.nn.softmax(model.apply(variables, images.astype(jnp.float32) / 255, train=False)[0])


def predict(network: Network, images: np.ndarray) -> np.ndarray:
    """Return the probabilities float32 [N, C] of many images.

    They are computed a part at a time, all parts of one shape.
    """
    size, found = min(AT_A_TIME, len(images)), []
    for first in range(0, len(images), size):
        part = np.resize(images[first : first + size], (size, *images.shape[1:]))
        found.append(np.asarray(probabilities(network.variables, part, model=network.model)))
    return np.concatenate(found)[: len(images)]


@functools.partial(jax.jit, static_argnames=("model", "layer", "methods", "window"))
def maps_of(
    variables, x, classes, key, *, model, layer, methods, window=None
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Return the logits float32 [B, C] of images, and {method: maps float32 [B, K, h, w]}.

    Args:
      x: images float32 [B, H, W, C] in [0, 1].
      classes: int32 [B, K], whose maps; None: that of the most probable class.
      key: for the methods that draw.
      window: as our networks have it; the logits are then means over the windows.
    """

    def forward(nudge):
        logits, features = model.apply(variables, x, train=False, nudge=nudge, window=window)
        return (logits if window is None else logits.mean((1, 2))), features

    shapes = jax.eval_shape(lambda: forward(nudge=None)[1])
    logits, features, gradients = cam.class_gradients(forward, shapes, layer, classes)
    classes = logits.argmax(-1)[:, None] if classes is None else classes
    key_weights, key_noise = jax.random.split(key)
    if set(methods) & set(EXACT):
        kernel = jnp.moveaxis(variables["params"]["head"]["kernel"][:, classes], 0, 1)
    make = {
        "cam": lambda: cam.cam(features, kernel),
        "grad_cam": lambda: cam.grad_cam(features, gradients),
        "hires_cam": lambda: cam.hires_cam(features, gradients),
        "random_cam": lambda: cam.random_cam(key_weights, features, classes.shape[1]),
        "random": lambda: cam.random_maps(key_noise, gradients.shape[:-1]),
        "another_image": lambda: cam.cam(jnp.roll(features, 1, axis=0), kernel),
    }
    return logits, {method: make[method]() for method in methods if method != "edges"}


def all_maps(
    network: Network,
    variables: dict,
    images: np.ndarray,
    classes: np.ndarray,
    key,
    methods: tuple[str, ...],
) -> dict:
    """Return {method: maps [B, h, w]}, of one class of each image; those of edges are [B, H, W].

    Args:
      images: uint8 [B, H, W, C].
      classes: int32 [B].
    """
    x = images.astype(np.float32) / 255
    _, found = maps_of(
        variables,
        x,
        classes[:, None],
        key,
        model=network.model,
        layer=network.layer,
        methods=methods,
    )
    return {
        method: faithfulness.edges(x) if method == "edges" else np.asarray(found[method])[:, 0]
        for method in methods
    }


def forgetting(network: Network):
    """Yield the variables of a network as it forgets layer by layer, from the head alone to all."""
    key = jax.random.fold_in(jax.random.key(network.row["seed"]), FORGETS)
    fresh = image_classifier.init_variables(key, model=network.model, shape=network.shape)
    # Where the trained ones are: otherwise each mixture would be a program of its own.
    fresh = jax.device_put(fresh, jax.tree.leaves(network.variables)[0].sharding)
    for count in range(1, faithfulness.num_units(network.variables) + 1):
        yield faithfulness.forget(network.variables, fresh, count)
