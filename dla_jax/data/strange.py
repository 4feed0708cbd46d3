"""Strange images of other sets, like none that a network has seen; names of all strange sets."""

import functools
from pathlib import Path

import numpy as np
from PIL import Image

from dla_jax.config.checks import check, check_choice, check_distinct, nearest
from dla_jax.config.files import expand
from dla_jax.data import folder, photos, prepared, tfds_folder
from dla_jax.data.altered import MADE
from dla_jax.data.cache import Decoded

LISTED = 5  # files that cannot be read, named in a line


def sizes(shape: tuple[int, ...]) -> str:
    """Return `28x28x1`."""
    return "x".join(map(str, shape))


def fit_shape(
    images: np.ndarray, shape: tuple[int, int, int], resize: bool, name: str
) -> np.ndarray:
    """Return images in the shape of a network's; those that have it already are not touched.

    Resizing is bilinear (antialiased where it shrinks). Grey images become colour with three equal
    channels, colour becomes grey as in `photos.grey`.

    Args:
      images: uint8 [N, h, w, c], with c of 1 or 3.
      shape: (H, W, C) of the network.
      resize: whether images of another shape are resized, or else refused.
      name: of the strange set, for messages.

    Returns:
      uint8 [N, H, W, C].

    Raises:
      ConfigError: another shape, and not `resize`.
    """
    shape = tuple(shape)
    if images.shape[1:] == shape:
        return images
    check(
        resize,
        f"strange set {name}: images of {sizes(images.shape[1:])}, and the network takes "
        f"{sizes(shape)}; resize them with --config.resize=true, or leave it out",
    )
    fitted = np.empty((len(images), *shape), np.uint8)
    for i, image in enumerate(images):
        fitted[i] = resized(image, shape)  # one channel is repeated for three
    return fitted


def resized(image: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Return an image uint8 [h, w, c] as uint8 [H, W, 1 or 3]: 3 only where both have three."""
    height, width, channels = shape
    pixels = image if image.shape[-1] == 3 else image[..., 0]
    scaled = Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR)
    scaled = np.asarray(scaled).reshape(height, width, -1)
    return photos.grey(scaled) if scaled.shape[-1] > channels else scaled


def parse(name: str) -> tuple[str, tuple[str, ...]]:
    """Return the set and the classes that a name asks for; no classes: all of them.

    `cifar100` is `("cifar100", ())`, and `cifar100/bottle+clock` is
    `("cifar100", ("bottle", "clock"))`.
    """
    held, slash, classes = name.partition("/")
    return held, tuple(classes.split("+")) if slash else ()


def overlap(one: str, other: str) -> bool:
    """Return whether two names stand for sets that share images."""
    (held, classes), (theirs, their_classes) = parse(one), parse(other)
    if held != theirs:
        return False
    return not classes or not their_classes or bool(set(classes) & set(their_classes))


def check_names(
    key: str,
    names: tuple[str, ...],
    data_dir: Path,
    download: bool,
    folder_path: str | None,
    also: tuple[str, ...] = ("left_out",),
) -> None:
    """Raise ConfigError for names of strange sets that cannot be had; nothing is decoded before.

    No name at all is let through.

    Args:
      key: of the names, for messages.
      folder_path: of one's own images, for the name `folder`.
      also: names of sets that are made elsewhere: `left_out` are classes left out of training.

    Raises:
      ConfigError: an unknown name, set or class, a name given twice, a prepared set that is neither
        there nor to be had, a folder without an image that can be read.
    """
    known = (*also, *MADE, *prepared.NAMES, "folder")

    def check_name(key: str, name: str) -> None:
        held, classes = parse(str(name))
        check_choice(key, held, known)
        check(
            not classes or held in prepared.NAMES,
            f"{key}: {name}: {held} has no classes to choose from; give {held} alone",
        )
        if held in prepared.NAMES:
            prepared.check_available(held, data_dir, download, key=key)
            found = prepared.find(held, data_dir)
            if found:
                check_classes(f"{key}: {held}", classes, tfds_folder.describe(found)[1])
        if held == "folder":
            check(
                folder_path,
                f"{key}: folder needs the path of your images; give it, or leave it out",
            )
            folder.files_of(folder_path, key=f"{key}: folder")

    check_distinct(key, names, check_name, empty=True)


def check_shape(key: str, name: str, shape: tuple[int, int, int], resize: bool) -> None:
    """Raise ConfigError for a set whose images have another shape, where they are not resized.

    Args:
      key: of the name, for the message.
      name: of any strange set; those that are made, and folders, take the network's shape.
      shape: (H, W, C) of the network.
    """
    own = prepared.SHAPES.get(parse(name)[0])
    check(
        own is None or resize or own == tuple(shape),
        f"{key}: {name}: images of {sizes(own or shape)}, and the network takes {sizes(shape)}; "
        "resize them with --config.resize=true, or leave it out",
    )


def check_classes(key: str, classes: tuple[str, ...], known: tuple[str, ...]) -> None:
    """Raise ConfigError, with the nearest one, for a class that is not among the known."""
    for name in classes:
        check(
            name in known,
            f"{key} has no class {name!r}{nearest(name, known)}; known: {photos.and_more(known)}",
        )


def load(
    name: str,
    data_dir: Path,
    download: bool,
    shape: tuple[int, int, int],
    resize: bool,
    folder_path: str | None,
    most: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the images of a strange set that is not made from familiar ones: uint8 [n, H, W, C].

    They are of the official test part of a prepared set, of the classes that the name asks for; or
    of one's own folder, with whatever lies below. Lab D took the four classes of its near set,
    `cifar100/bottle+clock+plate+telephone`, from the training part of CIFAR-100; here they are of
    the test part.

    Args:
      name: a prepared set, perhaps with classes (`parse`), or `folder`.
      shape: (H, W, C) of the network.
      resize: whether images of a prepared set of another shape are resized (`fit_shape`), or else
        refused. Those of a folder always are: their short side to the network's, and the middle is
        cut out.
      most: images at most, drawn without replacement where there are more.

    Raises:
      ConfigError: as `prepared.load`, `fit_shape` and `folder.files_of`; a class that the set does
        not have, or has no test image of; no image of those drawn from a folder can be read.
    """
    held, classes = parse(name)
    if held == "folder":
        return folder_images(folder_path, shape, most, rng)
    found = read_set(held, data_dir, download)
    check_classes(f"strange set {name}: {held}", classes, found.class_names)
    images, labels = found.images[found.test_start :], found.labels[found.test_start :]
    wanted = [found.class_names.index(each) for each in classes or found.class_names]
    usable = np.flatnonzero(np.isin(labels, wanted))
    check(
        len(usable) > 0,
        f"strange set {name}: no image of these classes in the test part; give others",
    )
    return fit_shape(images[draw(usable, most, rng)], shape, resize, name)


@functools.lru_cache(maxsize=4)  # a study shows one set to many networks
def read_set(name: str, data_dir: Path, download: bool) -> Decoded:
    """Return a prepared set, read once; its images are memory-mapped."""
    return prepared.load(name, data_dir, download)


def folder_images(
    path: str, shape: tuple[int, int, int], most: int, rng: np.random.Generator
) -> np.ndarray:
    """Return images of one's own folder, drawn, as uint8 [n, H, W, C].

    Those that cannot be read are left out, and counted on standard error.

    Raises:
      ConfigError: as `folder.files_of`, or none of those drawn can be read.
    """
    files = folder.files_of(path, key="strange set folder").images
    drawn = [files[i] for i in draw(np.arange(len(files)), most, rng)]
    read = folder.read_all(expand("strange set folder", path), drawn, max(shape[:2]))
    images = [each for each in read if not isinstance(each, str)]
    bad = [each for each in read if isinstance(each, str)]
    words = f"strange set folder: {len(bad)} of {len(read)} images of {path} cannot be read"
    listed = ", ".join(bad[:LISTED]) + ", ..." * (len(bad) > LISTED)
    check(len(images) > 0, f"{words}: {listed}; mend them, or give another folder")
    if bad:
        folder.say(f"{words} and are left out: {listed}")
    return fit_shape(np.stack(images), shape, resize=True, name="folder")


def draw(positions: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """Return at most so many of the positions, drawn without replacement, in their order."""
    if len(positions) <= most:
        return positions
    return np.sort(rng.choice(positions, most, replace=False))
