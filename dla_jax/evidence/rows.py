"""The rows of a record: how JSON holds them, and how they are read back.

A study's record is a folder, `record/<run>.jsonl`: a file a run, a row a line. A run that is cut
back touches no other run's file.
"""

import json
import math
import re
from pathlib import Path

import numpy as np

from dla_jax.config.checks import ConfigError, check
from dla_jax.config.workdir import OLD_RECORD

FOLDER = "record"


def finite_or_none(value):
    """Return a value with None for each infinity and nan in it, for which JSON has no number.

    It looks into dicts, lists and tuples; tuples become lists.
    """
    if isinstance(value, dict):
        return {key: finite_or_none(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite_or_none(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def brief(arrays: dict) -> dict[str, list]:
    """Return {name: array} as nested lists for JSON, integers whole, other numbers in 4 digits."""

    def rounded(values):
        values = np.asarray(values)
        if values.dtype.kind in "iub":
            return values.tolist()
        short = np.array([float(f"{value:.4g}") for value in values.ravel()])
        return short.reshape(values.shape).tolist()

    return {name: finite_or_none(rounded(values)) for name, values in arrays.items()}


def record_file(workdir: Path, run: str) -> Path:
    """Return the file that holds the rows of a run."""
    return workdir / FOLDER / f"{run}.jsonl"


def record_files(workdir: Path) -> dict[str, Path]:
    """Return {run: its file} of all runs that have begun, in the order of their names."""
    folder = workdir / FOLDER
    files = sorted(folder.rglob("*.jsonl"), key=natural)
    return {path.relative_to(folder).as_posix().removesuffix(".jsonl"): path for path in files}


def natural(path: Path) -> list[tuple]:
    """Return a key that sorts seed2 before seed10."""
    parts = re.split(r"(\d+)", path.as_posix())
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def read_record(workdir: Path) -> list[dict]:
    """Return all rows of a study, run by run.

    Of a workdir of an earlier version, those of its one file, `metrics.jsonl`.

    Raises:
      ConfigError: a line is no row.
    """
    if (workdir / OLD_RECORD).exists():
        return read_rows(workdir / OLD_RECORD)
    return [row for path in record_files(workdir).values() for row in read_rows(path)]


def by_run(record: list[dict]) -> tuple[dict[str, list[dict]], dict[str, dict]]:
    """Return {run: its rows, without the last one} and {run: its last row} of a record."""
    rows, done = {}, {}
    for row in record:
        if row.get("done"):
            done[row["run"]] = row
        else:
            rows.setdefault(row["run"], []).append(row)
    return rows, done


def read_rows(path: Path) -> list[dict]:
    """Return the rows of a file, without a last line that a crash cut off.

    Raises:
      ConfigError: a line is no row.
    """
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    whole = [line for line in lines if line.endswith("\n")]
    return [parse_row(line, f"{path} is damaged at line {i}") for i, line in enumerate(whole, 1)]


def done_row(path: Path) -> dict | None:
    """Return the last row of a run that is done; None of one that is not, or has not begun.

    The rows before it are not looked at.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    line = text[text.rfind(b"\n", 0, -1) + 1 :]
    if not line.endswith(b"\n") or b'"done": true' not in line:
        return None
    row = parse_row(line.decode("utf-8"), f"{path} is damaged at its last line")
    return row if row.get("done") else None


def parse_row(line: str, place: str) -> dict:
    """Return the row that a line holds.

    Args:
      place: where the line is, for the message.

    Raises:
      ConfigError: it holds no row.
    """
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{place} ({error}); give another --workdir") from None
    check(isinstance(row, dict) and "run" in row, f"{place}; give another --workdir")
    return row
