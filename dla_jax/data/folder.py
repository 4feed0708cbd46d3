"""One's own images, decoded: those of a folder with one sub-folder a class, and those that a key `image` names."""

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


@functools.cache  # once a process: a study that is made first, and what reads its networks, load the same folder
def say(line: str) -> None:
    """Print a line on standard error."""
    print(line, file=sys.stderr)


def load(path: str, size: int, skip_bad: bool, test_path: str | None = None) -> Decoded:
    """Return the images of a folder as uint8 [N, size, size, 3], decoded once and cached; those of the test part come last.

    Raises:
      ConfigError: as `check_folder`, and for files that cannot be read, unless `skip_bad`.
    """
    listing, folder = check_folder(path, size, test_path), expand("data.path", path)
    test_folder = expand("data.test_path", test_path) if test_path else folder
    tested = content_key(
        test_folder, [file for file, _ in listing.test or []]
    )  # its own: two folders may hold the same names
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
    def read(file: Path) -> np.ndarray | str:
        try:
            return read_image(file, size)
        except Exception as error:  # Pillow raises whatever it meets in a file that is no image, is cut off, or is a bomb
            return f"{file.relative_to(folder) if file.is_relative_to(folder) else file} ({short(error)})"

    files = listing.train + (listing.test or [])
    with ThreadPoolExecutor() as pool:  # Pillow decodes and shrinks without Python's lock
        read_all = list(pool.map(read, (file for file, _ in files)))
    bad = [each for each in read_all if isinstance(each, str)]
    listed = f"{', '.join(bad[:5])}{', ...' * (len(bad) > 5)}"
    if bad and not skip_bad:
        raise ConfigError(
            f"data.path: {len(bad)} of {len(files)} images of {folder} cannot be read: {listed}; mend them, or go "
            "on without them with --config.data.skip_bad=true"
        )
    if bad:
        say(f"data.path: cannot be read: {listed}")
    good = np.array([not isinstance(each, str) for each in read_all])
    labels = np.array([label for _, label in files], np.int32)[good]
    test_start = int(good[: len(listing.train)].sum())
    gone = [
        name for label, name in enumerate(listing.class_names) if label not in labels[:test_start]
    ]
    check(
        not gone,
        f"data.path: no readable image in {', '.join(gone[:5])}; add some or remove the sub-folder",
    )
    check(
        listing.test is None or test_start < len(labels),
        "data: no readable image in the test part; add some or remove it",
    )
    images = np.stack([image for image in read_all if not isinstance(image, str)])
    if listing.test is None:
        return Decoded(images, labels, listing.class_names, *channel_stats(images), None)
    return Decoded(
        images, labels, listing.class_names, *channel_stats(images[:test_start]), test_start
    )


def files_of(given: str) -> Found:
    """Return the image files that a key `image` names, in order: a file, or those of a folder, some of which may be unreadable.

    Raises:
      ConfigError: nothing there, or no image that can be read.
    """
    path = expand("image", given)
    check(path.exists(), f"image: there is no file or folder {given}")
    found = walk(path) if path.is_dir() else Found([path], Counter())
    check(
        len(found.images) > 0,
        f"image: no image ({', '.join(SUFFIXES)}) in {given}; give another folder, or a file",
    )
    reasons = map(why_unreadable, found.images)  # one by one: a single good image is enough
    first, others = (
        next(reasons),
        f"; nor is any other of {len(found.images)}" if path.is_dir() else "",
    )
    usable = first is None or any(reason is None for reason in reasons)
    check(usable, f"image: {found.images[0]} is no image that can be read ({first}){others}")
    return found


def words_of_files(given: str, found: Found) -> list[str]:
    """Return the line to print of the images that a key `image` names; none where nothing else lies beside them."""
    return (
        [f"image: {given}: {counted(len(found.images))}; {kinds(found.left_out)}"]
        if found.left_out
        else []
    )
