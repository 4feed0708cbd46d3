"""The rows of a record as JSON has them, and back."""

import json
import math
from pathlib import Path

import numpy as np

from dla_jax.config.checks import ConfigError, check


def finite_or_none(value):
    """The same with None for numbers that JSON has none for: infinities and nan, in dicts, lists and tuples."""
    if isinstance(value, dict):
        return {key: finite_or_none(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite_or_none(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def brief(arrays: dict) -> dict[str, list]:
    """{name: array} as JSON has it, nested lists: integers as they are, other numbers in 4 digits."""

    def words(values):
        values = np.asarray(values)
        if values.dtype.kind in "iub":
            return values.tolist()
        return (
            np.array([float(f"{value:.4g}") for value in values.ravel()])
            .reshape(values.shape)
            .tolist()
        )

    return {name: finite_or_none(words(values)) for name, values in arrays.items()}


def read_rows(path: Path) -> list[dict]:
    """The rows of a `metrics.jsonl`; a last line cut off by a crash is left out.

    Raises:
      ConfigError: a line that is no row.
    """
    if not path.exists():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        if line.endswith("\n"):
            try:
                rows.append(json.loads(line))
                check(
                    isinstance(rows[-1], dict) and "run" in rows[-1],
                    f"{path} is damaged at line {len(rows)}; give another --workdir",
                )
            except json.JSONDecodeError as error:
                raise ConfigError(
                    f"{path} is damaged at line {len(rows) + 1} ({error}); give another --workdir"
                ) from None
    return rows
