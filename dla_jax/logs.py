"""The record of a study (`metrics.jsonl`), its TensorBoard mirror, and the progress line."""

import json
import shutil
import sys
import threading
from pathlib import Path

from tqdm import tqdm

from dla_jax.config import write_atomically


def read_rows(path: Path) -> list[dict]:
    """The rows of a `metrics.jsonl`; a last line cut off by a crash is left out."""
    if not path.exists():
        return []
    rows = []
    for line in path.read_text().splitlines(keepends=True):
        if line.endswith("\n"):
            rows.append(json.loads(line))
    return rows


class Record:
    """Appends rows to `metrics.jsonl` and mirrors their scalars to `tb/<run>/`. Safe to use from several threads.

    A row is a dict with `run` (name), `step` and values; a run's last row has `"done": true`. The file is the only
    memory of a study: on resume the rows of finished runs are taken as they are, those of unfinished runs are held
    back until `resume` says which step the run goes on from.
    """

    def __init__(self, workdir: Path):
        self.path = workdir / "metrics.jsonl"
        self._tensorboard = workdir / "tb"
        self._writers = {}
        self._lock = threading.Lock()
        rows = read_rows(self.path)
        self.done = {row["run"]: row for row in rows if row.get("done")}
        self._unfinished = [row for row in rows if row["run"] not in self.done]
        finished = [row for row in rows if row["run"] in self.done]
        write_atomically(self.path, "".join(json.dumps(row) + "\n" for row in finished))
        self._file = open(self.path, "a")  # noqa: SIM115 - closed by close()

    def resume(self, run: str, step: int) -> list[dict]:
        """The rows of an unfinished run up to a step, written again (record and TensorBoard); later ones are dropped."""
        shutil.rmtree(self._tensorboard / run, ignore_errors=True)
        kept = [row for row in self._unfinished if row["run"] == run and row["step"] <= step]
        for row in kept:
            self.append(row)
        return kept

    def append(self, row: dict) -> None:
        """Writes one row; vectors go to the file only. The row that is `done` closes the run's TensorBoard file."""
        with self._lock:
            self._file.write(json.dumps(row) + "\n")
            self._file.flush()
            if row["run"] not in self._writers:
                from tensorboardX import SummaryWriter

                self._writers[row["run"]] = SummaryWriter(str(self._tensorboard / row["run"]))
            writer = self._writers[row["run"]]
            for name, value in row.items():
                if isinstance(value, (int, float)) and not isinstance(value, bool) and name != "step":
                    writer.add_scalar(name, value, row["step"])
            if row.get("done"):
                self.done[row["run"]] = row
                self._writers.pop(row["run"]).close()

    def close(self) -> None:
        """Closes the files."""
        with self._lock:
            self._file.close()
            for writer in self._writers.values():
                writer.close()


def progress_line(total: int, quiet: bool, unit: str):
    """One line on standard error with rate and time left; `update(n)` and `set_postfix_str` move it."""
    every = 0.2 if sys.stderr.isatty() else 10.0
    return tqdm(total=total, disable=quiet, unit=unit, unit_scale=True, mininterval=every, dynamic_ncols=True,
                file=sys.stderr, smoothing=0.05)  # fmt: skip
