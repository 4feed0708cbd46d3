"""Folders of images, listed: what is trained on, and what is tested on.

Opens no image.
"""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from dla_jax.config.checks import check, check_count
from dla_jax.data.parts import (
    Part,
    check_parts,
    folder_of,
    left_out_of,
    parts_of,
    read_part,
    within,
)
from dla_jax.data.photos import and_more, kinds

ROLES = {
    "train": "",
    "test": " is the official test part",
    "val": " is trained on too, and each seed draws its own validation part from all",
}


class Listing(NamedTuple):
    """What is to be read of a folder.

    train: (file, label) of the images that are trained on.
    test: those of the official test part, None without one.
    lines: what is said of it.
    """

    class_names: tuple[str, ...]
    train: list[tuple[Path, int]]
    test: list[tuple[Path, int]] | None
    lines: list[str]


def check_folder(path: str | None, size: int, test_path: str | None = None) -> Listing:
    """Return the images of a folder, and those of an official test part.

    The test part is inside the folder or in `test_path`.

    Raises:
      ConfigError: no folder, fewer than two classes, a class without images, parts that do not fit
        together.
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
    keys = dict.fromkeys(places, "data.path")
    if test_path:
        held = folder_of("data.test_path", test_path)
        check(
            "test" not in places,
            f"data.test_path: {test_path}, and {path} has a test part; leave one of them out",
        )
        check_apart(held, folder, test_path, path)
        places["test"], keys["test"] = held, "data.test_path"
    parts = {name: read_part(keys[name], place) for name, place in places.items()}
    class_names = check_parts(keys, parts)
    lines = [f"{keys[name]}: {words_of(name, part, class_names)}" for name, part in parts.items()]
    lines += [f"data.path: {folder}: {kinds(beside)}"] if beside else []
    test = labelled([parts.pop("test")], class_names) if "test" in parts else None
    train = labelled(list(parts.values()), class_names)
    lines = [printable(line) for line in lines]
    return Listing(tuple(map(printable, class_names)), train, test, lines)


def check_apart(held: Path, folder: Path, test_path: str, path: str) -> None:
    """Raise ConfigError for a test folder that overlaps with the other, or has parts of its own.

    Args:
      held, folder: to test on, and to train on.
      test_path, path: the same as they were given.
    """
    check(
        not within(held, folder) and not within(folder, held),
        f"data.test_path: {test_path} and data.path {path} overlap; "
        "give two folders, neither of them inside the other",
    )
    inner = parts_of("data.test_path", held)
    check(
        not inner,
        f"data.test_path: {test_path} has parts of its own; give the one that is to be tested on, "
        f"as in --config.data.test_path={inner.get('test', held)}",
    )


def printable(name: str) -> str:
    """Return a name that figures and pages can hold: bytes that are no UTF-8 as `\\udce9`."""
    return name.encode("utf-8", "backslashreplace").decode()


def labelled(parts: list[Part], class_names: tuple[str, ...]) -> list[tuple[Path, int]]:
    """Return (image, label) of parts, class by class."""
    return [
        (file, label)
        for label, name in enumerate(class_names)
        for part in parts
        for file in part.classes.get(name, [])
    ]


def words_of(name: str, part: Part, class_names: tuple[str, ...]) -> str:
    """Return what is said of a part: how many images of which classes, and what was left out.

    Args:
      name: of the part, "train", "val" or "test".
    """
    counts = {held: len(part.classes[held]) for held in class_names if part.classes.get(held)}
    absent = [held for held in class_names if held not in counts]
    nested = [
        file
        for held, files in part.classes.items()
        for file in files
        if file.parent != part.folder / held
    ]
    total, plural = counted(sum(counts.values())), "es" * (len(counts) != 1)
    words = f"{part.folder}{ROLES[name]}: {total} of {len(counts)} class{plural}"
    words += f" ({and_more([f'{held} {number:,}' for held, number in counts.items()])})"
    words += f", none of {and_more(absent)}" if absent else ""
    words += f", {len(nested):,} of them in nested folders" if nested else ""
    return words + (f"; {kinds(part.left_out)}" if part.left_out else "")


def counted(number: int) -> str:
    """Return `1 image`, `2,000 images`."""
    return f"{number:,} image{'s' * (number != 1)}"
