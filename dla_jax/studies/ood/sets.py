"""The strange sets of a network, and the familiar images beside them."""

import zlib
from typing import NamedTuple

import numpy as np

from dla_jax.config.workdir import Launch
from dla_jax.data import altered, strange
from dla_jax.data.left_out import left_out_images
from dla_jax.studies import image_networks
from dla_jax.studies.image_networks import Examples

LEFT_OUT = "left_out"
NOISE = "wrapped_gaussian"  # lab B's, which every study measures beside its own sets


class Sets(NamedTuple):
    """What a network is shown. Strange images are uint8 [n, H, W, C] each."""

    train: Examples  # detectors are fitted on it
    val: Examples  # familiar, beside the tuning sets
    test: Examples  # familiar, beside the sets that are reported
    tuning: dict[str, np.ndarray]  # settings are chosen on them
    reported: dict[str, np.ndarray]  # near, far, and lab B's noise; they choose nothing


def drawn(part: Examples, most: int, rng: np.random.Generator) -> Examples:
    """Return at most so many examples of a part, in their order."""
    if len(part.index) <= most:
        return part
    chosen = np.sort(rng.choice(len(part.index), most, replace=False))
    return Examples(*(values[chosen] for values in part))


def drawn_evenly(part: Examples, most: int, rng: np.random.Generator) -> Examples:
    """Return at most so many examples of a part, of each class in proportion, in their order."""
    if len(part.index) <= most:
        return part
    ranks = np.empty(len(part.index))
    for label in np.unique(part.labels):
        own = np.flatnonzero(part.labels == label)
        ranks[rng.permutation(own)] = (np.arange(len(own)) + 0.5) / len(own)
    chosen = np.sort(np.argsort(ranks, kind="stable")[:most])
    return Examples(*(values[chosen] for values in part))


def reported_names(config) -> tuple[str, ...]:
    """Return the sets that are reported, the near ones first, lab B's noise last."""
    return tuple(dict.fromkeys((*config.near, *config.far, NOISE)))


def sets_of(config, launch: Launch, workdir, seed: int) -> Sets:
    """Return what the network of a seed is shown.

    Those made of familiar images are made of validation images for tuning, and of test images to be
    reported, so that no image is in both.

    Args:
      config: of the study; its near and far sets are those that there are.
      workdir: of the study that trained the network.
    """
    parts = image_networks.parts_of(workdir, launch, seed)
    rng = np.random.default_rng((seed, 5))
    train = drawn_evenly(parts["train"], config.num_fitted, rng)
    val, test = (drawn(parts[name], config.num_images, rng) for name in ("val", "test"))
    how = {"config": config, "launch": launch, "workdir": workdir, "seed": seed}
    tuning = {name: images_of(name, val, **how) for name in config.tuning}
    reported = {name: images_of(name, test, **how) for name in reported_names(config)}
    return Sets(train, val, test, tuning, reported)


def images_of(name: str, familiar: Examples, *, config, launch, workdir, seed: int) -> np.ndarray:
    """Return the images of a strange set: uint8 [n, H, W, C].

    Args:
      familiar: images that are altered, for the sets that are made so.
    """
    rng = np.random.default_rng((seed, zlib.crc32(name.encode())))
    if name in altered.MADE:
        return altered.make(name, familiar.images, rng)
    if name == LEFT_OUT:
        image_set = image_networks.load(workdir, launch)
        count = image_networks.data_config(workdir).left_out
        positions = rng.permutation(left_out_images(image_set, seed, count))[: config.num_images]
        return image_set.images[np.sort(positions)]
    return strange.load(
        name,
        launch.data_dir,
        launch.download,
        familiar.images.shape[1:],
        config.resize,
        config.folder,
        config.num_images,
        rng,
    )


def drawn_logits(logits: np.ndarray, test: Examples, shown: Examples) -> np.ndarray:
    """Return the logits of those test images that are shown.

    Args:
      logits: float32 [N, C], of the whole test part.
    """
    order = np.argsort(test.index)
    return logits[order[np.searchsorted(test.index, shown.index, sorter=order)]]
