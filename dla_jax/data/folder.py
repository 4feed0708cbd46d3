"""One's own images, decoded: those of a folder with a sub-folder a class, or of a key `image`."""

import functools
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from dla_jax.config.checks import ConfigError, check
from dla_jax.config.files import expand
from dla_jax.data.cache import Decoded, cached, channel_stats, content_key
from dla_jax.data.layout import Listing, check_folder, counted
from dla_jax.data.photos import SUFFIXES, Found, kinds, read_image, short, walk, why_unreadable


@functools.cache  # once a process: a study and what reads its networks load the same folder
def say(line: str) -> None:
    """Print a line on standard error."""
    print(line, file=sys.stderr)


def load(path: str, size: int, skip_bad: bool, test_path: str | None = None) -> Decoded:
    """Return the images of a folder as uint8 [N, size, size, 3], decoded once and cached.

    Those of the test part come last.

    Raises:
      ConfigError: as `check_folder`, and for files that cannot be read, unless `skip_bad`.
    """
    listing, folder = check_folder(path, size, test_path), expand("data.path", path)
    test_folder = expand("data.test_path", test_path) if test_path else folder
    # A key of its own for the test part: two folders may hold the same names.
    tested = content_key(test_folder, [file for file, _ in listing.test or []])
    key = content_key(folder, [file for file, _ in listing.train], f"{size} {skip_bad} {tested}")
    decoded = cached(
        folder, key, lambda: _decode(folder, listing, size, skip_bad), listing.class_names
    )
    for line in listing.lines:
        say(line)
    total = len(listing.train) + len(listing.test or [])
    if bad := total - len(decoded.labels):
        print(
            f"data.path: {bad} of {total} images of {folder} cannot be read and are left out",
            file=sys.stderr,
        )
    return decoded


def _decode(folder: Path, listing: Listing, size: int, skip_bad: bool) -> Decoded:
    """Decode the images of a listing, and leave out those that cannot be read.

    Raises:
      ConfigError: files that cannot be read, unless `skip_bad`; a class or a test part of which
        none can be read.
    """
    files = listing.train + (listing.test or [])
    read = read_all(folder, [file for file, _ in files], size)
    _report_bad(folder, read, skip_bad)
    good = np.array([not isinstance(each, str) for each in read])
    labels = np.array([label for _, label in files], np.int32)[good]
    test_start = int(good[: len(listing.train)].sum())
    trained = labels[:test_start]
    gone = [name for label, name in enumerate(listing.class_names) if label not in trained]
    check(
        not gone,
        f"data.path: no readable image in {', '.join(gone[:5])}; add some or remove the sub-folder",
    )
    check(
        listing.test is None or test_start < len(labels),
        "data: no readable image in the test part; add some or remove it",
    )
    images = np.stack([image for image in read if not isinstance(image, str)])
    if listing.test is None:
        test_start = None
    mean, std = channel_stats(images[:test_start])
    return Decoded(images, labels, listing.class_names, mean, std, test_start)


def read_all(folder: Path, files: list[Path], size: int) -> list[np.ndarray | str]:
    """Read image files side by side: uint8 [size, size, 3] each, or why it cannot be read."""

    def read(file: Path) -> np.ndarray | str:
        try:
            return read_image(file, size)
        except Exception as error:  # whatever Pillow meets in a file that is no whole image
            name = file.relative_to(folder) if file.is_relative_to(folder) else file
            return f"{name} ({short(error)})"

    with ThreadPoolExecutor() as pool:  # Pillow decodes and shrinks without Python's lock
        return list(pool.map(read, files))


def _report_bad(folder: Path, read: list[np.ndarray | str], skip_bad: bool) -> None:
    """Say which files of a folder cannot be read; raise ConfigError for them unless `skip_bad`."""
    bad = [each for each in read if isinstance(each, str)]
    listed = f"{', '.join(bad[:5])}{', ...' * (len(bad) > 5)}"
    if bad and not skip_bad:
        raise ConfigError(
            f"data.path: {len(bad)} of {len(read)} images of {folder} cannot be read: {listed}; "
            "mend them, or go on without them with --config.data.skip_bad=true"
        )
    if bad:
        say(f"data.path: cannot be read: {listed}")


def files_of(given: str, key: str = "image") -> Found:
    """Return the image files that a key names, in order: a file, or those of a folder.

    Some of them may be unreadable.

    Raises:
      ConfigError: nothing there, or no image that can be read.
    """
    path = expand(key, given)
    check(path.exists(), f"{key}: there is no file or folder {given}")
    found = walk(path) if path.is_dir() else Found([path], Counter())
    check(
        len(found.images) > 0,
        f"{key}: no image ({', '.join(SUFFIXES)}) in {given}; give another folder, or a file",
    )
    reasons = map(why_unreadable, found.images)  # one by one: a single good image is enough
    first = next(reasons)
    others = f"; nor is any other of {len(found.images)}" if path.is_dir() else ""
    usable = first is None or any(reason is None for reason in reasons)
    check(usable, f"{key}: {found.images[0]} is no image that can be read ({first}){others}")
    return found


def words_of_files(given: str, found: Found) -> list[str]:
    """Return the line to print of the images that a key `image` names.

    There is none where nothing else lies beside them.
    """
    if not found.left_out:
        return []
    return [f"image: {given}: {counted(len(found.images))}; {kinds(found.left_out)}"]
