"""Images of one's own from a function, `package.module:function`: made, and checked at once.

The function takes no arguments and returns (train, test, class names). Each part is (images,
labels): images uint8 [N, H, W, C], or floating-point ones in [0, 1], which are rounded to 256
levels; labels integers [N], places among the class names. `test` is None where there is no official
test part, and each seed draws one.
"""

import functools
from collections.abc import Callable

import numpy as np

from dla_jax.config import elsewhere
from dla_jax.config.checks import check
from dla_jax.config.elsewhere import attempt, kind_of
from dla_jax.data.cache import Decoded, channel_stats

EXAMPLE = "docs.examples.shapes:shapes"
KEY = "data.name"
CONTRACT = "return ((images, labels), (images, labels) or None, class names)"


def load(name: str) -> Decoded:
    """Return the images that `package.module:function` makes; it is called once.

    Raises:
      ConfigError: there is no such function, or what it returns are no labelled images.
    """
    function = elsewhere.load_own(KEY, name, EXAMPLE, "set")[1]
    check(
        callable(function),
        f"{KEY}: {name} is {kind_of(function)}, which cannot be called; give a function without "
        "arguments that returns images",
    )
    return _made(name, function)


@functools.lru_cache(maxsize=1)  # a module that was reloaded has another function
def _made(name: str, function: Callable) -> Decoded:
    """Return what a function makes, as a decoded set of images."""
    made = attempt(KEY, name, function)
    check(
        isinstance(made, tuple | list) and len(made) == 3,
        f"{KEY}: {name} returned {kind_of(made)}"
        f"{f' of {len(made)}' if isinstance(made, tuple | list) else ''}; {CONTRACT}",
    )
    train, test, names = made
    class_names = check_names(name, names)
    parts = [part_of(f"{name}: train", train, len(class_names))]
    if test is not None:
        parts.append(part_of(f"{name}: test", test, len(class_names)))
    shapes = [images.shape[1:] for images, _ in parts]
    check(
        len(set(shapes)) == 1,
        f"{KEY}: {name} returned images of {' and '.join(map(str, shapes))} to train and to test "
        "on; give them one height, width and number of channels",
    )
    absent = sorted(set(range(len(class_names))) - set(parts[0][1].tolist()))
    check(
        not absent,
        f"{KEY}: {name} returned no training image of "
        f"{', '.join(class_names[label] for label in absent[:5])}; leave such classes out",
    )
    mean, std = channel_stats(parts[0][0])
    flat = [channel for channel, value in enumerate(std) if value == 0]
    check(
        not flat,
        f"{KEY}: {name} returned training images whose channel {flat[0] if flat else 0} is the "
        "same everywhere; leave it out",
    )
    images, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    test_start = None if test is None else len(parts[0][1])
    return Decoded(images, labels, class_names, mean, std, test_start)


def check_names(name: str, names: object) -> tuple[str, ...]:
    """Return class names; raise ConfigError unless they are two or more different texts."""
    known = isinstance(names, tuple | list) and all(isinstance(each, str) for each in names)
    check(
        known and len(set(names)) == len(names) > 1,
        f"{KEY}: {name} returned {names!r:.60} as class names; give two or more different texts",
    )
    return tuple(names)


def part_of(where: str, part: object, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the images uint8 [N, H, W, C] and labels int32 [N] of a part.

    Args:
      where: which part of which set.

    Raises:
      ConfigError: it is none.
    """
    check(
        isinstance(part, tuple | list) and len(part) == 2,
        f"{KEY}: {where} is {kind_of(part)}, and not (images, labels); {CONTRACT}",
    )
    images, labels = (attempt(KEY, where, np.asarray, array) for array in part)
    check(
        images.ndim == 4 and 0 not in images.shape,
        f"{KEY}: {where} has images of shape {images.shape}; give [N, H, W, C], of grey images "
        "with C = 1",
    )
    check(
        images.dtype == np.uint8 or images.dtype.kind == "f",
        f"{KEY}: {where} has images of {images.dtype}; give uint8, or float32 in [0, 1]",
    )
    if images.dtype != np.uint8:
        low, high = float(images.min()), float(images.max())
        check(
            low >= 0 and high <= 1,  # also where one is no number
            f"{KEY}: {where} has floating-point images from {low:g} to {high:g}; give them in "
            "[0, 1], or uint8",
        )
        images = np.rint(images * 255).astype(np.uint8)
    check(
        labels.shape == images.shape[:1] and labels.dtype.kind in "iu",
        f"{KEY}: {where} has labels {labels.dtype} of shape {labels.shape} for {len(images)} "
        f"images; give {len(images)} integers",
    )
    check(
        labels.min() >= 0 and labels.max() < num_classes,
        f"{KEY}: {where} has labels from {labels.min()} to {labels.max()}, and there are "
        f"{num_classes} class names; give places among them, from 0 to {num_classes - 1}",
    )
    return images, labels.astype(np.int32)
