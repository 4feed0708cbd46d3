"""Arrays that a workdir keeps beside its record, for pictures."""

import os
from pathlib import Path

import numpy as np


def write_arrays(path: Path, arrays: dict) -> None:
    """Write arrays to a file, atomically."""
    temporary = path.with_name(path.name + ".tmp")
    path.parent.mkdir(exist_ok=True)
    with open(temporary, "wb") as file:
        np.savez_compressed(file, **arrays)
    os.replace(temporary, path)


def read_arrays(path: Path) -> dict:
    """Return what `write_arrays` wrote."""
    with np.load(path) as file:
        return dict(file)
