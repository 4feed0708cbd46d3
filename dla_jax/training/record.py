"""The record of a study (`metrics.jsonl`), its TensorBoard mirror, and the progress line."""

import json
import shutil
import sys
import threading
from pathlib import Path

import numpy as np
from tqdm import tqdm

from dla_jax.config.files import write_atomically
from dla_jax.evidence.rows import read_rows


def add_histogram(writer, tag: str, counts: list[int], limits: list[float], step: int) -> None:
    """Adds a histogram that is counted already: `counts` of bins with the upper bounds `limits`, one bin wide all."""
    counts, limits = np.array(counts), np.array(limits)
    centres = limits - (limits[1] - limits[0]) / 2
    writer.add_histogram_raw(
        tag,
        limits[0],
        limits[-1],
        int(counts.sum()),
        float(counts @ centres),
        float(counts @ centres**2),
        limits.tolist(),
        counts.tolist(),
        step,
    )


class Record:
    """Appends rows to `metrics.jsonl` and mirrors their scalars and samples to `tb/<run>/`. Safe to use from several threads.

    A row is a dict with `run` (name), `step` and values; a run's last row has `"done": true`. Lists under a name that ends
    in "_histogram" are counts of bins, whose upper bounds stand under "histogram_limits". The file is the only
    memory of a study: rows of finished runs stay as they are, and those of an unfinished run are cut back when
    `resume` says which step it goes on from. With `writes=False` it reads, remembers, and writes nothing.
    """

    def __init__(self, workdir: Path, writes: bool = True):
        self.path = workdir / "metrics.jsonl"
        self._writes = writes
        self._tensorboard = workdir / "tb"
        self._writers = {}
        self._lock = threading.Lock()
        rows = read_rows(self.path)
        self.done = {row["run"]: row for row in rows if row.get("done")}
        self._unfinished = {}
        for row in rows:
            if row["run"] not in self.done:
                self._unfinished.setdefault(row["run"], []).append(row)
        self._rewrite(rows)  # without a line that a crash cut off

    def _rewrite(self, rows: list[dict]) -> None:
        if not self._writes:
            return
        write_atomically(self.path, "".join(json.dumps(row) + "\n" for row in rows))
        self._file = open(self.path, "a", encoding="utf-8")  # noqa: SIM115 - closed by close()

    def resume(self, run: str, step: int) -> list[dict]:
        """The rows of an unfinished run up to a step; later ones leave the record, and TensorBoard starts again."""
        with self._lock:
            seen = self._unfinished.pop(run, [])
            kept = [row for row in seen if row["step"] <= step]
            if not self._writes:
                return kept
            if len(kept) < len(seen):
                self._file.close()
                self._rewrite(
                    [
                        row
                        for row in read_rows(self.path)
                        if row["run"] != run or row["step"] <= step
                    ]
                )
            shutil.rmtree(self._tensorboard / run, ignore_errors=True)
            for row in kept:
                self._mirror(row)
        return kept

    def append(self, row: dict) -> None:
        """Writes one row; of its lists, TensorBoard gets the histograms. The row that is `done` closes its file there."""
        with self._lock:
            if row.get("done"):
                self.done[row["run"]] = row
            if not self._writes:
                return
            self._file.write(json.dumps(row) + "\n")
            self._file.flush()
            self._mirror(row)
            if row.get("done"):
                self._writers.pop(row["run"]).close()

    def _mirror(self, row: dict) -> None:
        if row["run"] not in self._writers:
            from tensorboardX import SummaryWriter

            self._writers[row["run"]] = SummaryWriter(str(self._tensorboard / row["run"]))
        writer, step = (
            self._writers[row["run"]],
            row.get("env_steps", row["step"]),
        )  # what an agent really played
        for name, value in row.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool) and name != "step":
                writer.add_scalar(name, value, step)
            elif name == "sample":
                writer.add_text(
                    name, "    " + value.replace("\n", "\n    "), step
                )  # four spaces: as it is
            elif name.endswith("_histogram"):
                for i, counts in enumerate(value):
                    add_histogram(writer, f"{name}/{i:03}", counts, row["histogram_limits"], step)

    def close(self) -> None:
        """Closes the files."""
        with self._lock:
            if self._writes:
                self._file.close()
            for writer in self._writers.values():
                writer.close()


def progress_line(total: int, quiet: bool, unit: str):
    """One line on standard error with rate and time left; `update(n)` and `set_postfix_str` move it."""
    every = 0.2 if sys.stderr.isatty() else 10.0
    return tqdm(
        total=total,
        disable=quiet,
        unit=unit,
        unit_scale=True,
        mininterval=every,
        dynamic_ncols=True,
        file=sys.stderr,
        smoothing=0.05,
    )
