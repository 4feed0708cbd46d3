"""Decoded images, kept as memory-mapped files so that they are decoded once."""

import hashlib
import os
import shutil
import sys
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dla_jax.config.files import cache_folder

VERSION = 2  # of the decoding: another one makes old caches invisible
ARRAYS = ("images", "labels", "mean", "std", "test_start")
BLOCK = 1 << 22  # pixel values looked at in one go


class Decoded(NamedTuple):
    """An image set as it is decoded.

    images: uint8 [N, H, W, C]; labels: int32 [N].
    mean, std: per channel, of images in [0, 1], of the official training part, or of all where
      there is none.
    test_start: where the official test part begins, to the end; None where there is none.
    commit: of the Hugging Face hub's set; "" where it is of another place.
    """

    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    test_start: int | None
    commit: str = ""


def content_key(folder: Path, paths: Iterable[Path], settings: str = "") -> str:
    """Return 16 hex digits over the names and bytes of files, in sorted order, and the settings.

    Names are relative to `folder`. A file that cannot be opened counts as one without bytes: who
    decodes it says what is wrong.
    """
    digest = hashlib.sha256(f"{VERSION} {settings}".encode())
    for path in sorted(paths):
        digest.update(f"{path.relative_to(folder)} ".encode("utf-8", "surrogateescape"))
        try:
            with open(path, "rb") as file:
                digest.update(f"{os.fstat(file.fileno()).st_size} ".encode())
                while block := file.read(1 << 20):
                    digest.update(block)
        except OSError as error:
            digest.update(f"{error.strerror} ".encode())
    return digest.hexdigest()[:16]


def channel_stats(images: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and the standard deviation of each channel, in four digits.

    Args:
      images: uint8 [N, H, W, C], taken in [0, 1].
    """
    step = max(1, BLOCK // images[0].size)
    blocks = (images[first : first + step] for first in range(0, len(images), step))
    counts = sum(level_counts(block) for block in blocks)
    levels, means, stds = np.arange(256) / 255, [], []
    for count in counts:
        mean = np.average(levels, weights=count)
        means.append(round(float(mean), 4))
        stds.append(round(float(np.sqrt(np.average((levels - mean) ** 2, weights=count))), 4))
    return tuple(means), tuple(stds)


def level_counts(images: np.ndarray) -> np.ndarray:
    """Count the pixels at each of the 256 levels: int64 [C, 256] of uint8 [N, H, W, C].

    Statistics of counts are exact, and need no copy of the images in float.
    """
    channels = range(images.shape[-1])
    return np.stack([np.bincount(images[..., c].reshape(-1), minlength=256) for c in channels])


def cached(
    source: Path,
    key: str,
    decode: Callable[[], Decoded],
    class_names: tuple[str, ...],
    test_start: int | None = None,
) -> Decoded:
    """Return what `decode` returns, from the cache of a key where there is one.

    The cache lies beside the data, in `source/.dla_jax/<key>`, where that may be written, else in
    `~/.cache/dla_jax/data/<key>` (`$XDG_CACHE_HOME`). Where neither may be written, nothing is
    kept, and one line says so. Images and labels from a cache are read-only memory maps.

    Args:
      test_start: where it is known beforehand; None: as `decode` says, which is kept with the
        arrays.
    """
    cache, beside = cache_folder(), source / ".dla_jax" / key
    home = cache and cache / "data" / key
    found = _read(beside) or (home and _read(home))
    if found is None:
        arrays = _arrays_of(decode())
        found = (_writable(source) and _write(beside, arrays)) or (home and _write(home, arrays))
        if not found:
            elsewhere = cache or "a home folder"
            print(
                f"{source}: decoded images cannot be kept, neither there nor in {elsewhere}; "
                "they are decoded again each time",
                file=sys.stderr,
            )
            found = arrays
    mean, std = (tuple(map(float, found[name])) for name in ("mean", "std"))
    if test_start is None and found["test_start"][0] >= 0:
        test_start = int(found["test_start"][0])
    return Decoded(found["images"], found["labels"], class_names, mean, std, test_start)


def _arrays_of(decoded: Decoded) -> dict[str, np.ndarray]:
    """Return the arrays that a cache folder keeps; no official test part is kept as -1."""
    start = -1 if decoded.test_start is None else decoded.test_start
    kept = decoded._replace(test_start=[start])
    return {name: np.asarray(getattr(kept, name)) for name in ARRAYS}


def _writable(folder: Path) -> bool:
    # The mode too: for root every folder may be written, also one that its owner protects.
    return os.access(folder, os.W_OK) and bool(folder.stat().st_mode & 0o222)


def _read(folder: Path) -> dict[str, np.ndarray] | None:
    """Return the arrays of a cache folder; None where there is none, or a damaged one."""
    paths = {name: folder / f"{name}.npy" for name in ARRAYS}
    try:
        found = {name: np.load(path, mmap_mode="r") for name, path in paths.items()}
        sizes = {name: array.offset + array.nbytes for name, array in found.items()}
        whole = all(size == paths[name].stat().st_size for name, size in sizes.items())
    except Exception:  # missing, or whatever NumPy raises for a file that is empty or cut off
        return None
    return found if whole and len(found["images"]) == len(found["labels"]) else None


def _write(folder: Path, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray] | None:
    """Write a cache folder whole or not at all, and read it.

    Another process that was faster has written the same.
    """
    temporary = folder.with_name(f".{folder.name}-{uuid.uuid4().hex}")
    try:
        temporary.mkdir(parents=True)
        for name, array in arrays.items():
            with open(temporary / f"{name}.npy", "wb") as file:
                np.save(file, array)
                file.flush()
                # On the disk before the name is, or a power cut leaves a folder of zeros.
                os.fsync(file.fileno())
        if folder.exists() and _read(folder) is None:
            shutil.rmtree(folder)  # damaged
        temporary.rename(folder)
    except OSError:  # not allowed, disk full, or someone was faster
        shutil.rmtree(temporary, ignore_errors=True)
    return _read(folder)
