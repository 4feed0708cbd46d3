"""The parts of a folder of images, and the classes of each part, a sub-folder each."""

import os
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from dla_jax.config.checks import ConfigError, check, nearest
from dla_jax.config.files import expand
from dla_jax.data.photos import SUFFIXES, kind_of, walk

PARTS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}


class Part(NamedTuple):
    """A folder with a sub-folder a class.

    classes: the images of each class, sorted.
    left_out: how many of what else lies there.
    """

    folder: Path
    classes: dict[str, list[Path]]
    left_out: Counter


def folder_of(key: str, path: str) -> Path:
    """Return the folder that a key names; raise ConfigError where there is none to read."""
    folder = expand(key, path)
    check(
        folder.is_dir() and os.access(folder, os.R_OK | os.X_OK),
        f"{key}: {path} is not a folder to read; "
        "give one with a sub-folder of images for each class",
    )
    return folder


def within(folder: Path, other: Path) -> bool:
    """Return whether a folder is another one, or lies below it, links followed."""
    return other.resolve() in (folder.resolve(), *folder.resolve().parents)


def entries(key: str, folder: Path) -> list[Path]:
    """Return what lies in a folder, sorted; hidden ones are left out.

    Raises:
      ConfigError: it may not be read.
    """
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise ConfigError(
            f"{key}: {folder} cannot be read ({error.strerror}); allow it, or give another folder"
        ) from None


def parts_of(key: str, folder: Path) -> dict[str, Path]:
    """Return {"train", "val", "test": sub-folder} of a folder whose sub-folders are parts of a set.

    It is {} where they are classes. Parts are named so, and hold sub-folders, which are the
    classes. A class may be named so too, among others that are not.

    Raises:
      ConfigError: parts among classes, without classes, twice the same, or without one to train on.
    """
    children = [child for child in entries(key, folder) if child.is_dir()]
    named = [child for child in children if child.name.lower() in PARTS]
    holding = [child for child in named if any(inner.is_dir() for inner in entries(key, child))]
    others = [child for child in children if child not in named]
    bare = [child for child in named if child not in holding]
    has = f"{key}: {folder} has"
    if others or not named:
        check(
            not holding,
            f"{has} {names(holding)} with sub-folders, as a part of a set has, beside "
            f"{names(others)}; move all classes into train, or what {names(holding)} has out of "
            "its sub-folders",
        )
        return {}
    check(
        not bare,
        f"{has} {names(named)}, which are named as parts of a set, but {names(bare)} has no "
        "sub-folder for each class; make them, or if it is a class give it another name",
    )
    places = {PARTS[child.name.lower()]: child for child in named}
    check(
        len(places) == len(named),
        f"{has} {names(named)}, two names for one part; put them together",
    )
    check(
        "train" in places,
        f"{has} {names(named)}, but no train; add it, or give a folder of classes",
    )
    return {name: places[name] for name in ("train", "val", "test") if name in places}


def names(paths: list[Path]) -> str:
    """Return the names of up to five paths."""
    return ", ".join(path.name for path in paths[:5])


def left_out_of(key: str, folder: Path) -> Counter:
    """Return how many of each kind lie beside the sub-folders of a folder.

    Raises:
      ConfigError: a link that leads nowhere.
    """
    left_out = Counter()
    for file in entries(key, folder):
        if not file.is_dir():
            check(
                file.exists(),
                f"{key}: {file} is a link that leads nowhere, perhaps to a class; "
                "mend it or remove it",
            )
            left_out[kind_of(file) or f"{file.suffix.lower()} outside any class folder"] += 1
    return left_out


def read_part(key: str, folder: Path) -> Part:
    """Return what a folder with a sub-folder a class holds."""
    found = {child.name: walk(child) for child in entries(key, folder) if child.is_dir()}
    left_out = sum((each.left_out for each in found.values()), left_out_of(key, folder))
    return Part(folder, {name: each.images for name, each in found.items()}, left_out)


def check_parts(keys: dict[str, str], parts: dict[str, Part]) -> tuple[str, ...]:
    """Return the classes, which are those of the training part.

    Validation and test part may lack some.

    Args:
      keys: of the config, which name the parts in messages.

    Raises:
      ConfigError: fewer than two classes, one without images, or parts that do not have them.
    """
    train = parts["train"]
    class_names, plural = tuple(train.classes), "s" * (len(train.classes) != 1)
    check(
        len(class_names) >= 2,
        f"data.path: {train.folder} has {len(class_names)} sub-folder{plural}; "
        "a classifier needs two classes or more, a sub-folder each",
    )
    none = f"no image ({', '.join(SUFFIXES)})"
    empty = ", ".join([name for name, files in train.classes.items() if not files][:5])
    check(not empty, f"data.path: {none} in {empty}; add some or remove the sub-folder")
    for name, part in parts.items():
        held = [held for held, files in part.classes.items() if files]
        check(
            len(held) > 0,
            f"{keys[name]}: {none} in any class of {part.folder}; add some or remove it",
        )
        unknown = [held for held in held if held not in class_names]
        near = nearest(unknown[0], class_names) if unknown else ""
        check(
            not unknown,
            f"{keys[name]}: {part.folder} has {', '.join(unknown[:5])}, which is no class of "
            f"{train.folder}{near}; rename or remove it",
        )
    return class_names
