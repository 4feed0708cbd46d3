"""What a folder of images holds: classes, a sub-folder each, or parts of a set that hold the classes. Opens no image."""

import os
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from dla_jax.config.checks import ConfigError, check, check_count, nearest
from dla_jax.config.files import expand
from dla_jax.data.photos import SUFFIXES, and_more, kind_of, kinds, walk

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
    """A folder with a sub-folder a class: the images of each class, sorted, and how many of what else lies there."""

    folder: Path
    classes: dict[str, list[Path]]
    left_out: Counter


class Listing(NamedTuple):
    """What is to be read: (file, label) of the images that are trained on, and of the official test part, None without one.

    lines: what is said of it.
    """

    class_names: tuple[str, ...]
    train: list[tuple[Path, int]]
    test: list[tuple[Path, int]] | None
    lines: list[str]


def check_folder(path: str | None, size: int, test_path: str | None = None) -> Listing:
    """Return the images of a folder, and those of an official test part inside it or in `test_path`.

    Raises:
      ConfigError: no folder, fewer than two classes, a class without images, parts that do not fit together.
    """
    check(
        path, "data.path: missing; give the folder of your images, as in --config.data.path=FOLDER"
    )
    folder = folder_of("data.path", path)
    check_count("data.size", size)
    check(size <= 1024, f"data.size: {size} must be at most 1024 pixels")
    places = parts_of("data.path", folder)
    beside = left_out_of("data.path", folder) if places else Counter()
    places = places or {"train": folder}
    if test_path:
        held = folder_of("data.test_path", test_path)
        check(
            "test" not in places,
            f"data.test_path: {test_path}, and {path} has a test part; leave one of them out",
        )
        check(
            not within(held, folder) and not within(folder, held),
            f"data.test_path: {test_path} and data.path {path} overlap; give two folders, neither of them inside the other",
        )
        inner = parts_of("data.test_path", held)
        check(
            not inner,
            f"data.test_path: {test_path} has parts of its own; give the one that is to be tested on, as in "
            f"--config.data.test_path={inner.get('test', held)}",
        )
        places["test"] = held
    keys = {
        name: "data.test_path" if name == "test" and test_path else "data.path" for name in places
    }
    parts = {name: read_part(keys[name], place) for name, place in places.items()}
    class_names = check_parts(keys, parts)
    lines = [f"{keys[name]}: {words_of(name, part, class_names)}" for name, part in parts.items()]
    lines += [f"data.path: {folder}: {kinds(beside)}"] if beside else []
    test = labelled([parts.pop("test")], class_names) if "test" in parts else None
    train = labelled(list(parts.values()), class_names)
    return Listing(
        tuple(map(printable, class_names)), train, test, [printable(line) for line in lines]
    )


def printable(name: str) -> str:
    """Return a name that figures and pages can hold: bytes of a file name that are no UTF-8 as `\\udce9`."""
    return name.encode("utf-8", "backslashreplace").decode()


def labelled(parts: list[Part], class_names: tuple[str, ...]) -> list[tuple[Path, int]]:
    """Return (image, label) of parts, class by class."""
    return [
        (file, label)
        for label, name in enumerate(class_names)
        for part in parts
        for file in part.classes.get(name, [])
    ]


def folder_of(key: str, path: str) -> Path:
    """Return the folder that a key names; raise ConfigError where there is none that may be read."""
    folder = expand(key, path)
    check(
        folder.is_dir() and os.access(folder, os.R_OK | os.X_OK),
        f"{key}: {path} is not a folder to read; give one with a sub-folder of images for each class",
    )
    return folder


def within(folder: Path, other: Path) -> bool:
    """Return whether a folder is another one, or lies below it, links followed."""
    return other.resolve() in (folder.resolve(), *folder.resolve().parents)


def entries(key: str, folder: Path) -> list[Path]:
    """Return what lies in a folder, sorted, hidden ones left out; raise ConfigError where it may not be read."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise ConfigError(
            f"{key}: {folder} cannot be read ({error.strerror}); allow it, or give another folder"
        ) from None


def parts_of(key: str, folder: Path) -> dict[str, Path]:
    """Return {"train", "val", "test": sub-folder} of a folder whose sub-folders are parts of a set; {} where they are classes.

    Parts are named so, and hold sub-folders, which are the classes. A class may be named so too, among others that are not.

    Raises:
      ConfigError: parts among classes, without classes, twice the same, or without one to train on.
    """
    children = [child for child in entries(key, folder) if child.is_dir()]
    named = [child for child in children if child.name.lower() in PARTS]
    holding = [child for child in named if any(inner.is_dir() for inner in entries(key, child))]
    others, bare = (
        [child for child in children if child not in named],
        [child for child in named if child not in holding],
    )
    if others or not named:
        check(
            not holding,
            f"{key}: {folder} has {names(holding)} with sub-folders, as a part of a set has, beside "
            f"{names(others)}; move all classes into train, or what {names(holding)} has out of its sub-folders",
        )
        return {}
    check(
        not bare,
        f"{key}: {folder} has {names(named)}, which are named as parts of a set, but {names(bare)} has no "
        "sub-folder for each class; make them, or if it is a class give it another name",
    )
    places = {PARTS[child.name.lower()]: child for child in named}
    check(
        len(places) == len(named),
        f"{key}: {folder} has {names(named)}, two names for one part; put them together",
    )
    check(
        "train" in places,
        f"{key}: {folder} has {names(named)}, but no train; add it, or give a folder of classes",
    )
    return {name: places[name] for name in ("train", "val", "test") if name in places}


def names(paths: list[Path]) -> str:
    """Return the names of up to five paths."""
    return ", ".join(path.name for path in paths[:5])


def left_out_of(key: str, folder: Path) -> Counter:
    """Return how many of what lies beside the sub-folders of a folder; raise ConfigError for a link that leads nowhere."""
    left_out = Counter()
    for file in entries(key, folder):
        if not file.is_dir():
            check(
                file.exists(),
                f"{key}: {file} is a link that leads nowhere, perhaps to a class; mend it or remove it",
            )
            left_out[kind_of(file) or f"{file.suffix.lower()} outside any class folder"] += 1
    return left_out


def read_part(key: str, folder: Path) -> Part:
    """Return what a folder with a sub-folder a class holds."""
    found = {child.name: walk(child) for child in entries(key, folder) if child.is_dir()}
    left_out = sum((each.left_out for each in found.values()), left_out_of(key, folder))
    return Part(folder, {name: each.images for name, each in found.items()}, left_out)


def check_parts(keys: dict[str, str], parts: dict[str, Part]) -> tuple[str, ...]:
    """Return the classes, which are those of the training part; raise ConfigError where the parts do not have them.

    Validation and test part may lack some.
    """
    train = parts["train"]
    class_names = tuple(train.classes)
    check(
        len(class_names) >= 2,
        f"data.path: {train.folder} has {len(class_names)} sub-folder{'s' * (len(class_names) != 1)}; "
        "a classifier needs two classes or more, a sub-folder each",
    )
    empty, what = (
        [name for name, files in train.classes.items() if not files],
        f"no image ({', '.join(SUFFIXES)})",
    )
    check(
        not empty, f"data.path: {what} in {', '.join(empty[:5])}; add some or remove the sub-folder"
    )
    for name, part in parts.items():
        held = [held for held, files in part.classes.items() if files]
        check(
            len(held) > 0,
            f"{keys[name]}: {what} in any class of {part.folder}; add some or remove it",
        )
        unknown = [held for held in held if held not in class_names]
        near = nearest(unknown[0], class_names) if unknown else ""
        check(
            not unknown,
            f"{keys[name]}: {part.folder} has {', '.join(unknown[:5])}, which is no class of "
            f"{train.folder}{near}; rename or remove it",
        )
    return class_names


def words_of(name: str, part: Part, class_names: tuple[str, ...]) -> str:
    """Return what is said of a part of that name: how many images of which classes, and what was left out."""
    role = {
        "train": "",
        "test": " is the official test part",
        "val": " is trained on too, and each seed draws its own validation part from all",
    }[name]
    counts = {held: len(part.classes[held]) for held in class_names if part.classes.get(held)}
    absent = [held for held in class_names if held not in counts]
    deep = sum(
        file.parent != part.folder / held for held, files in part.classes.items() for file in files
    )
    words = f"{part.folder}{role}: {counted(sum(counts.values()))} of {len(counts)} class{'es' * (len(counts) != 1)}"
    words += f" ({and_more([f'{held} {number:,}' for held, number in counts.items()])})"
    words += f", none of {and_more(absent)}" if absent else ""
    words += f", {deep:,} of them in nested folders" if deep else ""
    return words + (f"; {kinds(part.left_out)}" if part.left_out else "")


def counted(number: int) -> str:
    """Return `1 image`, `2,000 images`."""
    return f"{number:,} image{'s' * (number != 1)}"
