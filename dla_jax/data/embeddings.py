"""Vectors of texts, kept on disk so that a model reads every text once."""

import hashlib
import os
import uuid
from pathlib import Path

import jax
import numpy as np

from dla_jax.config.files import cache_folder
from dla_jax.data.tokenize import Encoded

VERSION = 1  # of what is computed: another one makes old files invisible


def key_of(params: dict, encoded: Encoded, settings: tuple) -> str:
    """Return 16 hex digits over all weights, all tokens, and the settings that make the vectors."""
    digest = hashlib.sha256(f"{VERSION} {settings}".encode())
    for array in (*jax.tree.leaves(params), encoded.tokens, encoded.length):
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()[:16]


def path_of(key: str) -> Path | None:
    """Return `~/.cache/dla_jax/vectors/<key>.npy` (`$XDG_CACHE_HOME`); None without a home."""
    cache = cache_folder()
    return cache and cache / "vectors" / f"{key}.npy"


def read(key: str) -> np.ndarray | None:
    """Read the vectors float32 [N, D] of a key; None where there are none, or a damaged file."""
    path = path_of(key)
    try:
        return np.load(path) if path else None
    except (OSError, ValueError, EOFError):
        return None


def write(key: str, vectors: np.ndarray) -> Path | None:
    """Write vectors float32 [N, D], whole or not at all, and return the path of the file.

    It is None where writing is not allowed: the vectors are computed again next time.
    """
    path = path_of(key)
    if path is None:
        return None
    temporary = path.with_name(f".{key}-{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            np.save(file, vectors)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
        return path
    except OSError:
        temporary.unlink(missing_ok=True)
        return None
