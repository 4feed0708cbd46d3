"""Paths as they are typed, standard input, files written whole or not at all, the cache folder."""

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path

from dla_jax.config.checks import ConfigError


def cache_folder() -> Path | None:
    """Return the folder where this project keeps what it can make again; None without a home.

    It is `dla_jax` in $XDG_CACHE_HOME or ~/.cache.
    """
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "dla_jax"
    except RuntimeError:  # neither HOME nor an entry for this user, as in a container
        return None


def expand(key: str, path: str) -> Path:
    """Return a path as it was typed, with `~` replaced by a home directory.

    Raises:
      ConfigError: there is no such user.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise ConfigError(
            f"{key}: {path} begins with the name of a user who is not here; write the path out"
        ) from None


def data_folder(given: str | None) -> Path:
    """Return the folder of prepared data sets: as given, $TFDS_DATA_DIR, ~/tensorflow_datasets.

    Where nothing is given and there is no home, it is `tensorflow_datasets` here.

    Raises:
      ConfigError: the path begins with the name of a user who is not here.
    """
    typed = given or os.environ.get("TFDS_DATA_DIR")
    try:
        return expand("--data_dir", typed or "~/tensorflow_datasets")
    except ConfigError:
        if typed:
            raise
        return Path("tensorflow_datasets")


def write_atomically(path: Path, text: str, unless: Callable[[], bool] = lambda: False) -> None:
    """Write a file in UTF-8 such that a reader, or a crash, sees the old text or the new one whole.

    What cannot be encoded, a file name in another encoding, is written as `\\udc..`.

    Args:
      unless: whether the old text stays after all, asked last, since a disk may be slow.
    """
    temporary = path.with_name(path.name + ".tmp")
    with open(temporary, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    if not unless():
        os.replace(temporary, path)


@functools.cache  # it can be read but once
def standard_input() -> bytes:
    """Return all of standard input."""
    return sys.stdin.buffer.read()
