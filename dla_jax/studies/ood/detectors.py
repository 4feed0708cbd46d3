"""The detectors of one trained network: fitted on its training part, then scores of any images.

A score is the higher, the more like the training data an image looks (`analysis.ood`).
"""

import functools
import itertools
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dla_jax.analysis import distances, ood
from dla_jax.analysis.cam import layer_of
from dla_jax.config.checks import check, check_choice
from dla_jax.models.build import ends_in_mean
from dla_jax.models.mlp import MLP, Perceptron
from dla_jax.studies.image_networks import Examples, features_of
from dla_jax.studies.study import restore

DISTANCES = ("mahalanobis", "relative_mahalanobis", "knn", "vim")  # they look at features
COVARIANCES = ("mahalanobis", "relative_mahalanobis")
DETECTORS = ("msp", "max_logit", "energy", "gen", "odin", *DISTANCES)
AT_A_TIME = 256  # images, at most


class Network(NamedTuple):
    """A trained network, and the layer whose features distances are taken of."""

    row: dict  # the last one of its run
    model: object
    variables: dict
    shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    layer: str


class Fitted(NamedTuple):
    """What detectors know of the training part; None what none of them asks for."""

    gaussians: distances.Gaussians | None
    bank: jax.Array | None  # float32 [N, D], normalised features
    vims: tuple[distances.Vim, ...]  # one for each setting


def read_network(workdir: Path, row: dict, layer: str, detectors: tuple[str, ...]) -> Network:
    """Return the network of a run.

    Args:
      layer: "" for the last one before the head.

    Raises:
      ConfigError: it cannot be read, or lacks what a detector needs.
    """
    found = restore(workdir, row)
    layer = layer or last_layer(found.model, found.shape)
    check_network(found.model, found.shape, layer, detectors, row["group"])
    return Network(row, found.model, found.variables, found.shape, found.class_names, layer)


def last_layer(model, shape: tuple[int, int, int]) -> str:
    """Return the name of the last features of a network."""
    return "last_hidden" if "last_hidden" in features_of(model, shape) else "last_conv"


def layers_in(features: dict) -> tuple[str, ...]:
    """Return the layers of a network's features, by the names that `layer` may have.

    Args:
      features: arrays or shapes; those of a stack of blocks have one axis more than its images.
    """
    names = []
    for name, leaf in features.items():
        stacked = name.startswith("blocks")
        names += [f"{name}/{i}" for i in range(leaf.shape[0])] if stacked else [name]
    return tuple(names)


def num_features(model, shape: tuple[int, int, int], layer: str) -> int:
    """Return the number of features of a layer, places averaged over."""
    return layer_of(features_of(model, shape), layer).shape[-1] if layer else 0


def check_network(
    model, shape: tuple[int, int, int], layer: str, detectors: tuple[str, ...], group: str
) -> None:
    """Raise ConfigError for a network that lacks what a detector needs.

    Args:
      group: how the network is called.
    """
    features = features_of(model, shape)
    check(
        bool(features),
        f"{group} is a network of one's own, which gives no features for detectors; give another "
        "with --config.network=",
    )
    check_choice(f"layer of {group}", layer, layers_in(features))
    check(
        "vim" not in detectors or before_head(model, layer),
        f"vim needs what goes into the head, a dense layer, which {layer} of {group} is not; take "
        "other detectors, or another --config.network",
    )


def before_head(model, layer: str) -> bool:
    """Tell whether a network's logits are one dense layer of the `pooled` features of a layer."""
    if layer == "last_hidden":
        return isinstance(model, MLP) or (isinstance(model, Perceptron) and not model.relu_logits)
    return layer == "last_conv" and ends_in_mean(model)


def check_covariance(
    detectors: tuple[str, ...], num_examples: int, num_dims: int, num_classes: int, where: str
) -> None:
    """Raise ConfigError for too few examples: within C classes N of them vary in N - C directions.

    Args:
      where: the layer and the network, in words.
    """
    asked = [name for name in detectors if name in COVARIANCES]
    check(
        not asked or num_examples >= num_dims + num_classes,
        f"{', '.join(asked)}: {num_examples:,} training images, and the covariance of the "
        f"{num_dims:,} features of {where} within {num_classes} classes needs "
        f"{num_dims + num_classes:,}; give more images, a layer with fewer features, or take other "
        "detectors",
    )


def settings_of(config) -> dict[str, list[dict]]:
    """Return the settings of each detector that are tried, in order."""
    own = config.settings
    tried = {
        "gen": [{"gamma": gamma} for gamma in own.gammas],
        "odin": [
            {"temperature": temperature, "epsilon": epsilon}
            for temperature, epsilon in itertools.product(own.temperatures, own.epsilons)
        ],
        "knn": [{"k": k} for k in own.ks],
        "vim": [{"dims": share} for share in own.dims],
    }
    return {name: tried.get(name, [{}]) for name in config.detectors}


def dims_of(share: float, num_dims: int) -> int:
    """Return the dimensions of ViM's principal space, a share of those of the features."""
    return min(max(1, round(share * num_dims)), num_dims - 1)


def fit(network: Network, train: Examples, settings: dict[str, list[dict]]) -> Fitted:
    """Fit detectors on training images, and on nothing else.

    Args:
      settings: of `settings_of`; its keys are the detectors.

    Raises:
      ConfigError: too few images for a covariance, or for k neighbours.
    """
    asked = [name for name in settings if name in DISTANCES]
    if not asked:
        return Fitted(None, None, ())
    logits, features = look(network, train.images)
    num_classes, vims = len(network.class_names), []
    gaussians = bank = None
    if set(COVARIANCES) & set(asked):
        gaussians = distances.fit_gaussians(features, train.labels, num_classes)
    if "knn" in asked:
        bank = distances.normalised(features)
    head = network.variables["params"].get("head", {})
    for setting in settings.get("vim", ()):
        dim = dims_of(setting["dims"], features.shape[1])
        vims.append(distances.fit_vim(features, logits, head["kernel"], head["bias"], dim))
    return Fitted(gaussians, bank, tuple(vims))


@functools.partial(jax.jit, static_argnames=("model", "layer"))
def outputs(variables, images, *, model, layer) -> tuple[jax.Array, jax.Array]:
    """Return logits float32 [B, C] and features float32 [B, D] of images uint8 [B, H, W, C]."""
    logits, features = model.apply(variables, images.astype(jnp.float32) / 255, train=False)
    return logits, ood.pooled(features, layer)


def look(network: Network, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the logits float32 [N, C] and the features float32 [N, D] of many images."""
    how = {"model": network.model, "layer": network.layer}
    return by_parts(lambda part: outputs(network.variables, part, **how), images, axis=0)


def by_parts(work, images: np.ndarray, axis: int, size: int = 0):
    """Call `work` on images a part at a time, all parts of one shape, and join what comes back.

    Args:
      work: images [B, ...] -> a tree of arrays.
      axis: of the images in these arrays.
      size: of a part; 0: at most `AT_A_TIME`, all about alike.
    """
    size, found = size or -(-len(images) // -(-len(images) // AT_A_TIME)), []
    for first in range(0, len(images), size):
        part = np.resize(images[first : first + size], (size, *images.shape[1:]))
        found.append(jax.tree.map(np.asarray, work(part)))
    rest = len(images)
    return jax.tree.map(lambda *parts: np.concatenate(parts, axis).take(range(rest), axis), *found)


@functools.partial(jax.jit, static_argnames=("model", "layer", "detectors", "ks"))
def batch_scores(
    variables, fitted: Fitted, images, grid: dict, *, model, layer, detectors, ks
) -> dict[str, jax.Array]:
    """Return {detector: scores float32 [settings, B]} of images uint8 [B, H, W, C].

    Args:
      grid: {"temperatures", "epsilons", "gammas"}: float32 [n] each.
      ks: which of the nearest neighbours.
    """
    x = images.astype(jnp.float32) / 255

    def forward(x):
        return model.apply(variables, x, train=False)[0]

    def odin():
        tried = jax.lax.map(
            lambda t: ood.odin(forward, x, t, grid["epsilons"]), grid["temperatures"]
        )
        return tried.reshape(-1, len(x))

    logits, features = model.apply(variables, x, train=False)
    if set(detectors) & set(DISTANCES):
        features = ood.pooled(features, layer)
    make = {
        "msp": lambda: ood.max_softmax(logits)[None],
        "max_logit": lambda: ood.max_logit(logits)[None],
        "energy": lambda: ood.energy(logits)[None],
        "gen": lambda: jax.vmap(lambda g: ood.generalised_entropy(logits, g))(grid["gammas"]),
        "odin": odin,
        "mahalanobis": lambda: distances.mahalanobis(features, fitted.gaussians)[None],
        "relative_mahalanobis": lambda: distances.relative_mahalanobis(features, fitted.gaussians)[
            None
        ],
        "knn": lambda: distances.nearest(features, fitted.bank, ks),
        "vim": lambda: jnp.stack([distances.vim(features, logits, one) for one in fitted.vims]),
    }
    return {name: make[name]() for name in detectors}


def score(
    network: Network, fitted: Fitted, images: np.ndarray, settings: dict[str, list[dict]]
) -> dict[str, np.ndarray]:
    """Return {detector: scores float32 [settings, N]} of many images.

    Args:
      images: uint8 [N, H, W, C].
      settings: as `fit` was given them.
    """
    odin = settings.get("odin", ())
    grid = {
        "temperatures": list(dict.fromkeys(setting["temperature"] for setting in odin)),
        "epsilons": list(dict.fromkeys(setting["epsilon"] for setting in odin)),
        "gammas": [setting["gamma"] for setting in settings.get("gen", ())],
    }
    how = {
        "grid": {name: np.array(values, np.float32) for name, values in grid.items()},
        "model": network.model,
        "layer": network.layer,
        "detectors": tuple(settings),
        "ks": tuple(setting["k"] for setting in settings.get("knn", ())),
    }

    def work(part: np.ndarray):
        return batch_scores(network.variables, fitted, part, **how)

    return by_parts(work, images, axis=1)
