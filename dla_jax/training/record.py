"""The record of a study (`record/<run>.jsonl`), its TensorBoard mirror, and the progress line."""

import json
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from dla_jax.config.arguments import flatten
from dla_jax.config.files import write_atomically
from dla_jax.config.written import read_config
from dla_jax.evidence import pictures
from dla_jax.evidence.rows import done_row, read_rows, record_file, record_files

REACHED = (  # values of a last row that TensorBoard's table of runs shows
    "val_accuracy",
    "test_accuracy",
    "test_loss",
    "mean_return",
    "eval_return",
    "val_nats_per_char",
    "nats_per_char",
)
FLUSH_SECONDS = 30  # how old what TensorBoard shows of a run under way may be


class Board:
    """An event file of TensorBoard, with one event a row.

    It is written at once: `tensorboardX.SummaryWriter` has a queue between processes and two
    threads for each run, which took three times the CPU time.
    """

    def __init__(self, folder: Path):
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.record_writer import RecordWriter

        folder.mkdir(parents=True, exist_ok=True)
        now = time.time()
        name = f"events.out.tfevents.{int(now)}.{socket.gethostname()}"
        self._file, self._flushed = RecordWriter(str(folder / name)), now
        self._file.write(Event(wall_time=now, file_version="brain.Event:2").SerializeToString())

    def add(self, row: dict) -> None:
        """Add what a row holds of numbers, samples and histograms."""
        from tensorboardX.proto.event_pb2 import Event

        now, step = time.time(), row.get("env_steps", row["step"])  # what an agent really played
        event = Event(wall_time=now, step=int(step))
        for value in values_of(row):
            event.summary.value.extend(value.value)
        self._file.write(event.SerializeToString())
        if now - self._flushed > FLUSH_SECONDS:
            self._file.flush()
            self._flushed = now

    def add_summaries(self, summaries: Iterable, step: int) -> None:
        """Add summaries of TensorBoard as they are, each as an event."""
        from tensorboardX.proto.event_pb2 import Event

        for summary in summaries:
            event = Event(wall_time=time.time(), step=step, summary=summary)
            self._file.write(event.SerializeToString())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def hparams_of(row: dict, config: dict) -> tuple[dict, dict]:
    """Return (what a run was given, what it reached), as TensorBoard's table of runs shows them.

    Args:
      row: the run's last one.
      config: of the study; its arm's own overrides are shown, and the rate and the seed.
    """
    given = {key: row[key] for key in ("stage", "group", "seed", "lr") if row.get(key) is not None}
    arms = next((config[kind] for kind in ("networks", "arms") if kind in config), {})
    own = arms[row["group"]] if isinstance(arms, dict) and row["group"] in arms else {}
    own = {key: value for key, value in flatten(own).items() if key != "optim.lr"}
    given |= {
        key: value if isinstance(value, (int, float)) else str(value) for key, value in own.items()
    }
    return given, {key: row[key] for key in REACHED if row.get(key) is not None}


def show_figures(workdir: Path, figures: dict[str, Path]) -> None:
    """Show figures in TensorBoard, in `tb/figures`, instead of those that are there.

    A study that wrote nothing for TensorBoard, since it trains nothing, stays without.

    Args:
      figures: {name: a PNG or GIF file}, whose bytes are shown as they are.
    """
    from tensorboardX.proto.summary_pb2 import Summary

    folder = workdir / "tb" / "figures"
    if not folder.parent.is_dir():
        return
    shutil.rmtree(folder, ignore_errors=True)
    board = Board(folder)
    for name, path in figures.items():
        picture = pictures.read(path)
        image = Summary.Image(
            height=picture.height,
            width=picture.width,
            colorspace=4,
            encoded_image_string=path.read_bytes(),
        )
        board.add_summaries([Summary(value=[Summary.Value(tag=name, image=image)])], step=0)
    board.close()


def values_of(row: dict) -> Iterator:
    """Yield what TensorBoard shows of a row, as its summaries."""
    from tensorboardX.summary import scalar, text

    for name, value in row.items():
        if isinstance(value, (int, float)) and not isinstance(value, bool) and name != "step":
            yield scalar(name, value)
        elif name == "sample":
            yield text(name, "    " + value.replace("\n", "\n    "))  # shown as it is
        elif name.endswith("_histogram"):
            for i, counts in enumerate(value):
                yield histogram(f"{name}/{i:03}", counts, row["histogram_limits"])


def histogram(tag: str, counts: list[int], limits: list[float]):
    """Return TensorBoard's summary of a histogram that is counted already.

    Args:
      counts: how many values each bin holds.
      limits: the upper bounds of the bins, which are all equally wide.
    """
    from tensorboardX.summary import histogram_raw

    counts, limits = np.array(counts), np.array(limits)
    centres = limits - (limits[1] - limits[0]) / 2
    return histogram_raw(
        tag,
        limits[0],
        limits[-1],
        int(counts.sum()),
        float(counts @ centres),
        float(counts @ centres**2),
        limits.tolist(),
        counts.tolist(),
    )


class Record:
    """The rows of all runs, a file a run, with their scalars and samples mirrored to `tb/<run>/`.

    A row is a dict with `run` (name), `step` and values; a run's last row has `"done": true`. Lists
    under a name that ends in "_histogram" are counts of bins, whose upper bounds stand under
    "histogram_limits". The files are the only memory of a study. Those of finished runs stay as
    they are; that of an unfinished run is cut back when `resume` says which step it continues from.
    Safe to use from several threads. With `writes=False` it reads, remembers, and writes nothing.

    `done` is {run: its last row} of the finished runs, those of other processes as `look` finds
    them. `check`, called before all that is written, raises where another process has taken over
    the run.
    """

    def __init__(
        self, workdir: Path, writes: bool = True, check: Callable[[], None] = lambda: None
    ):
        self._workdir = workdir
        self._writes = writes
        self.check = check
        self._tensorboard = workdir / "tb"
        self._files = {}
        self._boards = {}
        self._of_study = None  # its config, once it is read
        self._lock = threading.Lock()
        # All is read at once: a damaged file is found before anything is trained, and processes
        # that do not write see no row that the first one adds.
        rows = {run: read_rows(path) for run, path in record_files(workdir).items()}
        self.done = {run: own[-1] for run, own in rows.items() if own and own[-1].get("done")}
        self._begun = {run: own for run, own in rows.items() if run not in self.done}

    def look(self, run: str) -> bool:
        """Return whether a run is done, by this process or another that shares the workdir.

        One that does not write goes by what it did itself: else it would be ahead, by a row that
        the first one has just added, of the others that train with it.
        """
        if not self._writes:
            return run in self.done
        if run not in self.done and (row := done_row(record_file(self._workdir, run))):
            with self._lock:
                self.done[run] = row
                self._begun.pop(run, None)
        return run in self.done

    def resume(self, run: str, step: int) -> list[dict]:
        """Return the rows of an unfinished run up to a step; later ones leave the record.

        What TensorBoard shows of the run is written anew.
        """
        self.check()
        path = record_file(self._workdir, run)
        with self._lock:
            if self._writes:  # another process may have had the run since
                self._begun[run] = read_rows(path)
            kept = [row for row in self._begun.pop(run, []) if row["step"] <= step]
            self._begun[run] = list(kept)
            if not self._writes:
                return kept
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, "".join(json.dumps(row) + "\n" for row in kept))
            self._close(run)
            # At once: should another process take the run over, and write the file anew, what this
            # one still appends is in the file that was.
            self._files[run] = open(path, "a", encoding="utf-8")  # noqa: SIM115 - see _close
            shutil.rmtree(self._tensorboard / run, ignore_errors=True)
            for row in kept:
                self._mirror(row)
        return kept

    def append(self, row: dict) -> None:
        """Write one row; the row that is `done` closes the run's files."""
        self.check()
        with self._lock:
            run = row["run"]
            if row.get("done"):
                self.done[run] = row
                self._begun.pop(run, None)
            else:
                self._begun.setdefault(run, []).append(row)
            if not self._writes:
                return
            if run not in self._files:
                path = record_file(self._workdir, run)
                path.parent.mkdir(parents=True, exist_ok=True)
                self._files[run] = open(path, "a", encoding="utf-8")  # noqa: SIM115 - see _close
            self._files[run].write(json.dumps(row) + "\n")
            self._files[run].flush()
            self._mirror(row)
            if row.get("done"):
                self._close(run)

    def pause(self, run: str) -> None:
        """Close the files of a run that goes on later, with `resume`."""
        with self._lock:
            self._close(run)

    def _mirror(self, row: dict) -> None:
        run = row["run"]
        if run not in self._boards:
            self._boards[run] = Board(self._tensorboard / run)
        self._boards[run].add(row)
        if row.get("done") and "group" in row and (config := self._config()):
            from tensorboardX.summary import hparams

            step = int(row.get("env_steps", row["step"]))
            self._boards[run].add_summaries(hparams(*hparams_of(row, config)), step)

    def _config(self) -> dict:
        """Return the config of the study, empty where the workdir has none."""
        if self._of_study is None:
            there = (self._workdir / "config.json").is_file()
            self._of_study = read_config(self._workdir)["config"] if there else {}
        return self._of_study

    def _close(self, run: str) -> None:
        for opened in (self._files, self._boards):
            if run in opened:
                opened.pop(run).close()

    def close(self) -> None:
        """Close all files."""
        with self._lock:
            for run in {*self._files, *self._boards}:
                self._close(run)


def progress_line(total: int, quiet: bool, unit: str) -> tqdm:
    """Return one line on standard error with rate and time left.

    Its `update(n)` and `set_postfix_str` move it.
    """
    return tqdm(
        total=total,
        disable=quiet,
        unit=unit,
        unit_scale=True,
        mininterval=0.2 if sys.stderr.isatty() else 10.0,
        dynamic_ncols=True,
        file=sys.stderr,
        smoothing=0.05,
    )
