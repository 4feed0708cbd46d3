"""The images of a study: read, checked, put on the devices, and as a seed sees them."""

import functools
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from ml_collections import FrozenConfigDict

from dla_jax.config.checks import check
from dla_jax.config.elsewhere import is_own
from dla_jax.config.info import DataInfo
from dla_jax.config.workdir import Launch
from dla_jax.data import images, splits
from dla_jax.data.left_out import seen_by
from dla_jax.models import own_network
from dla_jax.models.build import check_images
from dla_jax.training.mesh import data_mesh, put, replicated, together


class Loaded(NamedTuple):
    """An image set, and its copy on the devices."""

    image_set: images.ImageSet
    data: dict  # {"image": uint8 [N, H, W, C], "label": int32 [N]}
    mesh: jax.sharding.Mesh


def read(config, launch: Launch) -> images.ImageSet:
    """Return the image set; of several processes the first prepares it while the others wait."""

    def read_it() -> images.ImageSet:
        return read_once(FrozenConfigDict(config.data.to_dict()), launch.data_dir, launch.download)

    first = together(read_it if launch.first else lambda: None, "read the data")
    return together(lambda: first or read_it(), "read the data")


@functools.lru_cache(maxsize=1)
def read_once(data: FrozenConfigDict, data_dir: Path, download: bool) -> images.ImageSet:
    """Return the image set, read once for the check of a config and its run.

    A folder of photos is hashed whole.
    """
    return images.load(data, data_dir, download)


def check_data(config, launch: Launch) -> images.ImageSet:
    """Return the image set; raise ConfigError when it cannot be read."""
    images.check_config(config.data, launch.data_dir, launch.download)
    return read(config, launch)


def check_fit(config, image_set: images.ImageSet) -> None:
    """Raise ConfigError for what the data does not allow: the split, the batch, the network."""
    check_left_out(config.data, image_set)
    # Where seeds leave out classes, each has classes of its own to split.
    seeds = (*config.seeds, *config.select_seeds) if config.data.left_out else config.seeds[:1]
    parts = [split(config, image_set, seed) for seed in seeds]
    train = parts[0]["train"]
    check(
        config.batch_size <= len(train),
        f"batch_size: {config.batch_size} is larger than the training part of "
        f"{image_set.name}, {len(train)} examples",
    )
    if not is_own(config.model.name):
        check_images(config.model, image_set.images.shape[1:])
        return
    info = info_of(seen(config, image_set, seeds[0]))
    own_network.check_fits(config.model, info, config.compute_dtype, config.batch_size)


def check_left_out(data, image_set: images.ImageSet) -> None:
    """Raise ConfigError for a set of which too few classes would be left."""
    left_out, num_classes = data.left_out, len(image_set.class_names)
    check(
        left_out <= max(0, num_classes - 2),
        f"data.left_out: {left_out} of the {num_classes} classes of {image_set.name}; two or more "
        f"have to stay, so give 0 to {max(0, num_classes - 2)}",
    )


def load(config, launch: Launch) -> Loaded:
    """Return the image set with a whole copy of it on every device.

    Raises:
      ConfigError: it does not fit.
    """
    image_set, mesh = read(config, launch), data_mesh()
    return Loaded(image_set, put_data(image_set, mesh), mesh)


def put_data(image_set: images.ImageSet, mesh: jax.sharding.Mesh) -> dict:
    """Return the images and labels of a set, on every device.

    Raises:
      ConfigError: they do not fit.
    """
    memory = (mesh.local_devices[0].memory_stats() or {}).get("bytes_limit")  # a CPU says nothing
    gib = image_set.images.nbytes / 2**30
    check(
        memory is None or gib < 0.8 * memory / 2**30,
        f"data: the images of {image_set.name} take {gib:.1f} GiB, a device has "
        f"{(memory or 0) / 2**30:.1f}; make them smaller with --config.data.size, or take fewer",
    )
    return put({"image": image_set.images, "label": image_set.labels}, replicated(mesh))


def identity_of(config, image_set: images.ImageSet) -> dict:
    """Return what a workdir remembers of its data; its classes are counted as its networks do."""
    num_classes = len(image_set.class_names) - config.data.left_out
    return image_set.identity | {"num_classes": num_classes}


def info_of(image_set: images.ImageSet) -> DataInfo:
    """Return what a network has to know of an image set."""
    return DataInfo(
        class_names=image_set.class_names,
        shape=image_set.images.shape[1:],
        mean=image_set.mean,
        std=image_set.std,
    )


def seen(config, image_set: images.ImageSet, seed: int) -> images.ImageSet:
    """Return the image set as a seed sees it: without the classes that it leaves out."""
    return seen_by(image_set, seed, config.data.left_out)


def load_seen(config, loaded: Loaded, seed: int) -> Loaded:
    """Return a loaded image set as a seed sees it, with labels of its own on the devices."""
    image_set = seen(config, loaded.image_set, seed)
    if image_set is loaded.image_set:
        return loaded
    labels = put({"label": image_set.labels}, replicated(loaded.mesh))
    return loaded._replace(image_set=image_set, data=loaded.data | labels)


def split(config, image_set: images.ImageSet, seed: int) -> dict[str, np.ndarray]:
    """Return the parts of a seed's data: {"train", "val", "test"}: int32 positions.

    Args:
      image_set: the whole one, or as the seed sees it.
    """
    image_set = seen(config, image_set, seed)
    return splits.split(image_set, seed, config.data.val_fraction, config.data.test_fraction)
