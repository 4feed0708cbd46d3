"""The maps of one trained network, and how right they are."""

import functools
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dla_jax.analysis import cam, faithfulness
from dla_jax.config.checks import check, check_choice
from dla_jax.models.build import ends_in_mean
from dla_jax.studies.study import restore
from dla_jax.tasks import image_classifier

EXPLAIN, BLIND = ("cam", "grad_cam", "hires_cam"), ("random", "edges")  # BLIND ones know no network
METHODS = (*EXPLAIN, "random_cam", *BLIND, "another_image")
EXACT = (
    "cam",
    "random_cam",
    "another_image",
)  # need a net that ends in the mean and one dense layer
AT_A_TIME = 256  # images
FORGETS = (
    1  # folded into a seed's key, so that the fresh network is not the one that training began with
)


class Network(NamedTuple):
    """A trained network: the last row of its run, its model, and the layer whose maps are asked for."""

    row: dict
    model: object
    variables: dict
    shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    layer: str


class Examples(NamedTuple):
    """Images of the test part: uint8 [N, H, W, C]; labels: int32 [N]; index: int32 [N], in the image set."""

    images: np.ndarray
    labels: np.ndarray
    index: np.ndarray


def read_network(workdir: Path, row: dict, layer: str) -> Network:
    """The network of a run.

    Raises:
      ConfigError: it cannot be read, or `check_layer` refuses it.
    """
    found = restore(workdir, row)
    check_layer(found.model, found.shape, layer, row["group"])
    return Network(row, found.model, found.variables, found.shape, found.class_names, layer)


def check_layer(model, shape: tuple[int, int, int], layer: str, group: str) -> None:
    """Raises ConfigError for a layer that a network, called `group`, has not, or that leaves no map."""
    sizes = cam.layer_sizes(features_of(model, shape))
    check(
        len(sizes) > 0,
        f"network: {group} has no convolution, and so no map; give the workdir of a study of CNNs, or another "
        "of its networks with --config.network=",
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
    """Raises ConfigError for methods that a network, called `group`, has not."""
    exact = [method for method in config.methods if method in EXACT]
    check(
        not exact or (ends_in_mean(model) and config.layer == "last_conv"),
        f"methods: {', '.join(exact)} need a net that ends in the mean over last_conv and one dense layer, which {group} at "
        f"{config.layer} is not; take --config=configs/cam.py:method=grad_cam",
    )


@functools.cache
def features_of(model, shape: tuple[int, int, int]) -> dict:
    """The features of a model, as shapes, for one image [H, W, C]."""
    init = lambda seed: model.init_with_output(
        jax.random.key(seed), jnp.zeros((1, *shape)), train=False
    )
    (_, features), _ = jax.eval_shape(init, 0)
    return features


@functools.partial(jax.jit, static_argnames="model")
def probabilities(variables, images, *, model) -> jax.Array:
    """Of the classes, float32 [B, C], of images uint8 [B, H, W, C]."""
    return jax.nn.softmax(model.apply(variables, images.astype(jnp.float32) / 255, train=False)[0])


def predict(network: Network, images: np.ndarray) -> np.ndarray:
    """Probabilities float32 [N, C] of many images, a part at a time, all parts of one shape."""
    size = min(AT_A_TIME, len(images))
    part = lambda i: np.resize(images[i : i + size], (size, *images.shape[1:]))
    of = lambda i: np.asarray(probabilities(network.variables, part(i), model=network.model))
    return np.concatenate([of(i) for i in range(0, len(images), size)])[: len(images)]


@functools.partial(jax.jit, static_argnames=("model", "layer", "methods", "window"))
def maps_of(
    variables, x, classes, key, *, model, layer, methods, window=None
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Logits float32 [B, C] of images float32 [B, H, W, C] in [0, 1], and {method: maps float32 [B, K, h, w]}.

    Args:
      classes: int32 [B, K], whose maps; None: that of the most probable class.
      key: for the methods that draw.
      window: as our networks have it; the logits are then means over the windows.
    """

    def forward(nudge):
        logits, features = model.apply(variables, x, train=False, nudge=nudge, window=window)
        return (logits if window is None else logits.mean((1, 2))), features

    shapes = jax.eval_shape(lambda: forward(None)[1])
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
    """{method: maps [B, h, w], of one class of each image, int32 [B]} of images uint8 [B, H, W, C]; those of edges [B, H, W]."""
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


@functools.partial(jax.jit, static_argnames="size")
def ranks_of(key, maps, *, size) -> jax.Array:
    """The place of each pixel of images of a size in the order of maps float32 [B, h, w]: int32 [B, H, W]."""
    return faithfulness.pixel_ranks(key, cam.to_pixels(maps, size))


@functools.partial(jax.jit, static_argnames="model")
def exchange(variables, hot, rest, ranks, counts, classes, *, model) -> jax.Array:
    """`faithfulness.exchange_curve` of the probability of each image's class: float32 [points, B]."""

    def probability(x):
        p = jax.nn.softmax(model.apply(variables, x, train=False)[0])
        return jnp.take_along_axis(p, classes[:, None], 1)[:, 0]

    return faithfulness.exchange_curve(probability, hot, rest, ranks, counts)


def measure(
    config,
    network: Network,
    other: Network | None,
    unseen: np.ndarray,
    test: Examples,
    p: np.ndarray,
    mean: tuple[float, ...],
) -> dict[str, dict]:
    """{method: scores and curves} over a sample of the test part.

    Args:
      other: another trained network of the same kind, whose maps are compared.
      unseen: bool [N], which test images that one has not seen in training either.
      p: float32 [N, C], what the network says of the test part.
      mean: of the training images, per channel: what a deleted pixel becomes.
    """
    sample = np.random.default_rng((network.row["seed"], 0)).permutation(len(test.images))[
        : config.num_scored
    ]
    images, classes = test.images[sample], p[sample].argmax(-1).astype(np.int32)
    key_maps, key_ties = jax.random.split(jax.random.key(network.row["seed"]))
    maps = all_maps(network, network.variables, images, classes, key_maps, config.methods)
    exchanged = exchange_scores(config, network, images, classes, maps, key_ties, mean)
    forgotten = forgetting_scores(network, images, classes, maps, key_maps)
    fair = unseen[sample]
    another = dict.fromkeys(config.methods)
    if other and fair.any():
        others = all_maps(network, other.variables, images, classes, key_maps, config.methods)
        another = {
            method: likeness(maps[method][fair], others[method][fair])[0]
            for method in config.methods
        }
    return {
        method: exchanged[method] | forgotten[method] | {"likeness_another": another[method]}
        for method in config.methods
    }


def exchange_scores(
    config, network: Network, images, classes, maps: dict, key, mean
) -> dict[str, dict]:
    """{method: insertion's and deletion's areas, mean curves, and insertion's area of each image}."""
    x = images.astype(np.float32) / 255
    ends = {
        "insertion": (x, faithfulness.blurred(x, config.blur)),
        "deletion": (np.broadcast_to(np.float32(mean), x.shape), x),
    }
    counts = faithfulness.counts_of(images[0, ..., 0].size, config.num_steps)
    found = {}
    for method, heat in maps.items():
        ranks = ranks_of(key, heat, size=images.shape[1:3])
        curves = {
            name: np.asarray(
                exchange(network.variables, hot, rest, ranks, counts, classes, model=network.model)
            )
            for name, (hot, rest) in ends.items()
        }
        areas = {name: faithfulness.area(curve, counts) for name, curve in curves.items()}
        found[method] = {f"{name}_auc": float(area.mean()) for name, area in areas.items()}
        found[method] |= {f"{name}_curve": curve.mean(1).tolist() for name, curve in curves.items()}
        found[method] |= {f"{name}_aucs": area.tolist() for name, area in areas.items()} | {
            "counts": counts.tolist()
        }
    return found


def likeness(maps: np.ndarray, others: np.ndarray) -> tuple[float, float]:
    """Mean rank correlation of the maps of many images, by size alone and with the sign (Adebayo et al. 2018, section 4).

    By size: a fresh head has either sign as often, so with the sign it is 0 on average, however
      alike the maps look.
    """
    correlate = lambda a, b: float(faithfulness.rank_correlation(a, b).mean())
    return correlate(np.abs(maps), np.abs(others)), correlate(maps, others)


def forgetting_scores(network: Network, images, classes, maps: dict, key) -> dict[str, dict]:
    """{method: how like its map stays as the network forgets layer by layer}; what knows no network stays as it is."""
    looking = tuple(method for method in maps if method not in BLIND)
    curves = {method: [(1.0, 1.0)] for method in maps}
    for variables in forgetting(network):
        again = all_maps(network, variables, images, classes, key, looking)
        for method, curve in curves.items():
            curve.append(likeness(maps[method], again[method]) if method in looking else (1.0, 1.0))
    return {
        method: {
            "likeness_curve": [size for size, _ in curve],
            "likeness_forgotten": curve[-1][0],
            "signed_likeness_forgotten": curve[-1][1],
        }
        for method, curve in curves.items()
    }


def forgetting(network: Network):
    """The variables of a network as it forgets layer by layer, from the head alone to all."""
    key = jax.random.fold_in(jax.random.key(network.row["seed"]), FORGETS)
    fresh = image_classifier.init_variables(key, model=network.model, shape=network.shape)
    # Where the trained ones are: otherwise each mixture would be a program of its own.
    fresh = jax.device_put(fresh, jax.tree.leaves(network.variables)[0].sharding)
    for count in range(1, faithfulness.num_units(network.variables) + 1):
        yield faithfulness.forget(network.variables, fresh, count)
