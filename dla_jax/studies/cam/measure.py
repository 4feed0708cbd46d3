"""How right the maps of one trained network are."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from dla_jax.analysis import cam, faithfulness
from dla_jax.studies.cam.network_maps import BLIND, Network, all_maps, forgetting
from dla_jax.studies.image_networks import Examples


@functools.partial(jax.jit, static_argnames="size")
def ranks_of(key, maps, *, size) -> jax.Array:
    """Return the place of each pixel in the order of its map: int32 [B, H, W].

    Args:
      maps: float32 [B, h, w].
      size: (H, W) of the images.
    """
    return faithfulness.pixel_ranks(key, cam.to_pixels(maps, size))


@functools.partial(jax.jit, static_argnames="model")
def exchange(variables, hot, rest, ranks, counts, classes, *, model) -> jax.Array:
    """Return `faithfulness.exchange_curve` of the probability of each image's class.

    It is float32 [points, B].
    """

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
    """Return {method: scores and curves} over a sample of the test part.

    Args:
      other: another trained network of the same kind, whose maps are compared.
      unseen: bool [N], which test images that one has not seen in training either.
      p: float32 [N, C], what the network says of the test part.
      mean: of the training images, per channel: what a deleted pixel becomes.
    """
    rng = np.random.default_rng((network.row["seed"], 0))
    sample = rng.permutation(len(test.images))[: config.num_scored]
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
    """Return {method: areas and mean curves of insertion and deletion, and areas of each image}."""
    x = images.astype(np.float32) / 255
    ends = {
        "insertion": (x, faithfulness.blurred(x, config.blur)),
        "deletion": (np.broadcast_to(np.float32(mean), x.shape), x),
    }
    counts = faithfulness.counts_of(images[0, ..., 0].size, config.num_steps)
    found = {}
    for method, heat in maps.items():
        ranks = ranks_of(key, heat, size=images.shape[1:3])
        curves = {}
        for name, (hot, rest) in ends.items():
            curve = exchange(
                network.variables, hot, rest, ranks, counts, classes, model=network.model
            )
            curves[name] = np.asarray(curve)
        areas = {name: faithfulness.area(curve, counts) for name, curve in curves.items()}
        found[method] = {f"{name}_auc": float(area.mean()) for name, area in areas.items()}
        found[method] |= {f"{name}_curve": curve.mean(1).tolist() for name, curve in curves.items()}
        found[method] |= {f"{name}_aucs": area.tolist() for name, area in areas.items()}
        found[method] |= {"counts": counts.tolist()}
    return found


def likeness(maps: np.ndarray, others: np.ndarray) -> tuple[float, float]:
    """Return the mean rank correlation of the maps of many images, by size and with the sign.

    By size, that is of absolute values: a fresh head has either sign as often, so with the sign the
    mean is 0, however alike the maps look (Adebayo et al. 2018, section 4).
    """

    def correlate(a: np.ndarray, b: np.ndarray) -> float:
        return float(faithfulness.rank_correlation(a, b).mean())

    return correlate(np.abs(maps), np.abs(others)), correlate(maps, others)


def forgetting_scores(network: Network, images, classes, maps: dict, key) -> dict[str, dict]:
    """Return {method: how like its map stays as the network forgets layer by layer}.

    The map of a method that knows no network stays as it is.
    """
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
