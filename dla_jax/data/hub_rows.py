"""Parts of a set of the hub as `datasets` gives them, checked, and as arrays and rows."""

import io
import itertools
from collections.abc import Iterator

import numpy as np

from dla_jax.config.checks import ConfigError, check, nearest
from dla_jax.config.connectivity import first_line
from dla_jax.data import photos
from dla_jax.data.hub_sets import RENAMED, HubSet

BLOCK = 1000  # images that are decoded in one go
TEXTS = ("string", "large_string")  # what a column of texts may hold
INTEGERS = tuple(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))
CLASSES = ("ClassLabel", "string", "large_string", "bool", *INTEGERS)  # a column of classes

# By the keys that name columns: what these may hold, and that in words. Questions have no key.
KEYS = {"images": "image_column", "texts": "text_columns", "questions": ""}
KINDS = {"image_column": ("Image",), "text_columns": TEXTS, "label_column": CLASSES, "": ()}
WORDS = {"image_column": "images", "text_columns": "texts", "": ""}
WORDS |= {"label_column": "classes: names, texts or whole numbers"}


def check_columns(wanted: HubSet, name: str, part, where: str) -> None:
    """Raise ConfigError for a part that lacks a column, or whose images are none."""
    known = list(part.features)
    needed = [(KEYS[wanted.kind], column) for column in wanted.columns]
    needed += [("label_column", wanted.label)] if wanted.label else []
    for key, column in needed:
        check(
            column in known,
            f"{where}: {wanted.repo} has no column {column!r}{nearest(column, known)} in {name}; "
            f"it has {', '.join(known)}{how_to_name(wanted, key)}",
        )
        kind, kinds = kind_of_column(part.features[column]), KINDS[key]
        check(
            not kinds or kind in kinds,
            f"{where}: the column {column} of {wanted.repo} holds {kind}, and not {WORDS[key]}; "
            f"it has {', '.join(known)}{how_to_name(wanted, key)}",
        )


def how_to_name(wanted: HubSet, key: str) -> str:
    """Return how another column is named; "" for a published set, whose columns are known.

    Args:
      key: of the group `data`.
    """
    return "" if wanted.sizes else f"; name another with --config.data.{key}=COLUMN"


def kind_of_column(feature) -> str:
    """Return what a column holds: the class of a feature, or of plain values their type."""
    name = type(feature).__name__
    return str(feature.dtype) if name == "Value" else name


def check_names(wanted: HubSet, train, where: str) -> tuple[str, ...]:
    """Return the names of the classes, in the order of their numbers.

    Raises:
      ConfigError: they are not those that they should be, or fewer than two.
    """
    named = getattr(train.features[wanted.label], "names", None)
    if named is None:  # numbers or texts: in their order
        values = sorted(
            set(train[wanted.label]) - {None}, key=lambda value: (str(type(value)), value)
        )
        named = [str(value) for value in values]
    renamed = RENAMED if wanted.class_names else {}
    names = tuple(renamed.get(name, name) for name in named)
    check(
        names == (wanted.class_names or names),
        f"{where}: the classes of {wanted.repo} are {', '.join(names)[:120]}, and should be "
        f"{', '.join(wanted.class_names)[:120]}; read the set as it is, as "
        f"--config.data.name=hub:{wanted.repo}, with its columns and data.size",
    )
    check(
        len(set(names)) == len(names) > 1,
        f"{where}: the column {wanted.label} of {wanted.repo} has the classes "
        f"{', '.join(names)[:120]}, and two or more different ones are needed"
        f"{how_to_name(wanted, 'label_column')}",
    )
    return names


def labels_of(wanted: HubSet, part, class_names: tuple[str, ...], where: str) -> np.ndarray:
    """Return the labels int32 [N] of a part; raise ConfigError for one that is no class."""
    given = part[wanted.label]
    if getattr(part.features[wanted.label], "names", None) is None:
        numbers = {name: number for number, name in enumerate(class_names)}
        given = [numbers.get(str(value), -1) for value in given]
    labels = np.array([-1 if value is None else value for value in given], np.int32)
    wrong = np.flatnonzero((labels < 0) | (labels >= len(class_names)))
    check(
        len(wrong) == 0,
        f"{where}: {len(wrong)} examples of {wanted.repo} have no class of the training part, the "
        f"first is number {wrong[0] if len(wrong) else 0}; give another set",
    )
    return labels


def images_of(
    wanted: HubSet, parts: dict, class_names: tuple[str, ...], where: str
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield blocks of images uint8 [n, H, W, C] and labels int32 [n], part after part.

    Raises:
      ConfigError: an image that cannot be read, or has another shape than the first.
    """
    shape = None
    for name, part in parts.items():
        labels = labels_of(wanted, part, class_names, where)
        images = part_images(wanted, name, part, where)
        for first in range(0, len(labels), BLOCK):
            block = list(itertools.islice(images, BLOCK))
            shape = shape or block[0].shape
            for i, image in enumerate(block, first):
                check(
                    image.shape == shape,
                    f"{where}: image {i} of {wanted.repo}, {name}, has the shape {image.shape}, "
                    f"and those before it {shape}; give another set, or name this one with hub: "
                    "in front, so that images are resized",
                )
            yield np.stack(block), labels[first : first + BLOCK]


def part_images(wanted: HubSet, name: str, part, where: str) -> Iterator[np.ndarray]:
    """Yield the images uint8 [H, W, C] of a part."""
    import datasets

    (column,) = wanted.columns
    raw = part.cast_column(column, datasets.Image(decode=False)).select_columns([column])
    for i, row in enumerate(raw):
        try:
            yield decoded(row[column], wanted.size)
        except Exception as error:  # whatever Pillow raises
            raise ConfigError(
                f"{where}: image {i} of {wanted.repo}, {name}, cannot be read "
                f"({first_line(error)}); give another set"
            ) from None


def decoded(image: dict, size: int) -> np.ndarray:
    """Return an image of the library, {"bytes", "path"}, as uint8 [H, W, C].

    Args:
      size: pixels that it is resized to, as photos are; 0: as it is.
    """
    from PIL import Image

    source = image["path"] if image["bytes"] is None else io.BytesIO(image["bytes"])
    if size:
        return photos.read_image(source, size)
    opened = Image.open(source)
    if opened.mode not in ("L", "RGB"):
        raise ValueError(f"its mode is {opened.mode}, and L or RGB is needed")
    pixels = np.asarray(opened)
    return pixels if pixels.ndim == 3 else pixels[..., None]


def rows_of(
    wanted: HubSet, parts: dict, class_names: tuple[str, ...], where: str
) -> Iterator[dict]:
    """Yield the rows of texts or questions, part after part; the class of a text is "label"."""
    for part in parts.values():
        labels = labels_of(wanted, part, class_names, where).tolist() if wanted.label else None
        for i, row in enumerate(part.select_columns(list(wanted.columns))):
            yield row | ({} if labels is None else {"label": labels[i]})
