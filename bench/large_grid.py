"""What a study of very many runs costs beside training: files, reading, leases, drawing.

Its record is made up, by the writer of all records; no network is trained. It puts its table into
docs/large_grids.md:

    python -m bench.large_grid --trials=1000 --workers=100 --write
"""

import argparse
import contextlib
import datetime
import io
import itertools
import math
import shlex
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import numpy as np
from ml_collections import ConfigDict

from bench.page import ROOT, machine, markdown, refuse
from configs import rescnn
from dla_jax.config.written import write_config
from dla_jax.evidence.rows import record_files
from dla_jax.evidence.tables import CURVE_KEYS, RUN_KEYS
from dla_jax.studies import find
from dla_jax.studies.begun import frame_of, read_begun
from dla_jax.studies.redrawing import draw_apart
from dla_jax.studies.running import select_seeds
from dla_jax.studies.study import draw_study
from dla_jax.training.record import Record
from dla_jax.trials.arms import Trial, choose_rates, final_trials, select_trials
from dla_jax.trials.crew import WAIT, Crew, leases_folder
from dla_jax.trials.lease import BEAT, Leases
from dla_jax.trials.training import identity_of

PAGE = ROOT / "docs" / "large_grids.md"
HEAD = ["what", "size or operations", "wall s", "CPU-s"]
# As long as a run of configs/rescnn.py:digits.
STEPS, LOGGED, EVALUATIONS = 340, 40, 10
DATA = {"name": "made_up", "num_examples": 1797, "fingerprint": "0" * 16, "num_classes": 2}
DATA |= {"class_names": ["a", "b"], "shape": [8, 8, 1], "mean": [0.3], "std": [0.3]}
OPERATIONS = ("open", "os.listdir", "os.scandir", "os.mkdir", "os.utime", "os.rename")


class Counter:
    """How many operations of files this process asked for, as Python's audit hooks tell them."""

    def __init__(self):
        self.count = 0
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple) -> None:
        # What is asked of this machine alone, such as whether a process lives, is none.
        local = event == "open" and str(arguments[0]).startswith("/proc")
        self.count += event in OPERATIONS and not local


def trials_of(config: ConfigDict) -> list[Trial]:
    """Return the runs of a depth study."""
    arms = find("depth").arms(config, DATA)
    return [*select_trials(arms, select_seeds(config)), *final_trials(arms)]


def config_of(trials: int) -> tuple[ConfigDict, int]:
    """Return a depth study of so many runs or a few more, by its seeds, and how many it has."""
    config = rescnn.get_config("digits")
    config.selection = "full"
    config.seeds, runs = (), 0
    for seed in itertools.count():
        if runs >= trials and config.seeds:
            return config, runs
        if seed not in config.select_seeds:
            config.seeds = (*config.seeds, seed)
            runs = len(trials_of(config))


def rows_of(trial: Trial, depth: int, rng: np.random.Generator) -> Iterator[dict]:
    """Yield the rows of a made-up run; the last one says that it is done."""
    logged = np.linspace(1, STEPS, LOGGED if trial.stage == "final" else EVALUATIONS).astype(int)
    evaluated = set(logged[-EVALUATIONS:].tolist())
    for step in logged.tolist():
        loss = 2.3 * math.exp(-step / STEPS) + 0.05 * float(rng.random())
        row = {"step": step, "clipped_norm": 1.0, "grad_norm": loss, "train_accuracy": 0.5}
        row |= {"train_loss": loss, "layer_grad_norm": rng.random(depth).round(4).tolist()}
        row |= {"seconds": step * 0.01, "examples_per_s": 5000.0}
        scores = {"val_accuracy": 1 - loss / 3, "val_loss": loss}
        yield {"run": trial.name} | row | (scores if step in evaluated else {})
    accuracy = 0.8 + 0.02 * float(rng.random())
    values = dict.fromkeys((*RUN_KEYS, *CURVE_KEYS), 1.0)
    values |= {"val_accuracy": accuracy, "test_accuracy": accuracy, "test_loss": 0.5, "step": STEPS}
    values |= {"val_loss": 0.5, "mean_val_loss": 0.5, "num_params": 1000, "diverged": False}
    values |= {"diverged_at": None, "best_step": STEPS, "balanced_accuracy": accuracy}
    values |= {"class_counts": [180, 180], "class_accuracy": [accuracy, accuracy]}
    yield {"run": trial.name, "done": True} | values | identity_of(trial)


def write_record(workdir: Path, config: ConfigDict) -> list[Trial]:
    """Write the whole record of a study, and return its runs in the order of the grid."""
    study, rng = find("depth"), np.random.default_rng(0)
    arms = study.arms(config, DATA)
    selected = select_trials(arms, select_seeds(config))
    write_config(workdir, config.to_dict(), ["made up"], DATA)
    record = Record(workdir)

    def write(trials: list[Trial]) -> None:
        for trial in trials:
            record.resume(trial.name, -1)
            for row in rows_of(trial, int(trial.arm.rpartition("-")[2]), rng):
                record.append(row)

    write(selected)
    rates = choose_rates(arms, selected, record.done, study.tuning.score)
    final = [trial._replace(lr=rates[trial.arm]) for trial in final_trials(arms)]
    write(final)
    record.close()
    return [*selected, *final]


def timed(work: Callable, counter: Counter) -> tuple[float, float, int]:
    """Return the seconds by the clock, those of a core, and the operations of a piece of work."""
    count, wall, busy = counter.count, time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - busy, counter.count - count


def row_of(what: str, measured: tuple[float, float, int], size: str = "") -> list[str]:
    """Return a row of the table."""
    wall, busy, count = measured
    return [what, size or f"{count:,} operations", f"{wall:.3g}", f"{busy:.3g}"]


def size_of(folder: Path) -> str:
    """Return how many files a folder holds, and their bytes."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return f"{len(files):,} files, {sum(path.stat().st_size for path in files) / 1e6:.1f} MB"


class Away(Exception):
    """A worker of the measurement has got a run."""


def one_pass(record: Record, crew: Crew, trials: list[Trial], most: float) -> None:
    """Do what a worker does until it has a run, or has looked at so many whether they are done."""
    looks = []

    def get(trial: Trial) -> None:
        raise Away

    def is_done(trial: Trial) -> bool:
        if len(looks) >= most:
            raise Away
        looks.append(trial)
        return record.look(trial.name)

    with contextlib.suppress(Away):
        crew.each(get, trials, 1, lambda trial: f"{trial.name}/run", is_done)


def measure_leases(workdir: Path, trials: list[Trial], workers: int, counter: Counter) -> list:
    """Return rows on what a worker asks of the disk, beside others that hold runs.

    The record has to hold the first half of the runs.
    """
    left, record, crew = trials[len(trials) // 2 :], Record(workdir), Crew(workdir)
    taken, names = left[: workers - 1], [f"{trial.name}/run" for trial in left[:workers]]
    others = Leases(leases_folder(workdir), beat=1000.0)  # these do not touch their files meanwhile
    for name in names[:-1]:
        others.take(name)
    finding = timed(lambda: one_pass(record, crew, left, math.inf), counter)
    wall, busy, count = timed(lambda: one_pass(record, crew, taken, len(taken)), counter)
    own = Leases(leases_folder(workdir), beat=1000.0)

    def take_and_give_back() -> None:
        own.take(names[-1])
        own.check(names[-1])
        own.release(names[-1])

    lease = timed(take_and_give_back, counter)
    for held in (others, own, crew):
        held.close()
    at_work = f"{workers - 1} others at work"
    return [
        row_of("a lease taken, checked, given back", lease),
        row_of(f"a worker finds its next run, {len(left)} not done, {at_work}", finding),
        row_of(f"a worker that waits looks once, {at_work}", (wall - WAIT, busy, count)),
    ]


def measure(trials: int, workers: int) -> list[list[str]]:
    """Return the rows of the table."""
    jax.devices()  # it starts now, and not within what is counted
    counter, rows = Counter(), []
    config, _ = config_of(trials)
    with tempfile.TemporaryDirectory() as folder:
        workdir, study, written = Path(folder) / "run", find("depth"), []
        workdir.mkdir()
        measured = timed(lambda: written.extend(write_record(workdir, config)), counter)
        rows.append(row_of("the record written", measured, size_of(workdir / "record")))
        rows.append(["TensorBoard's files, in the same time", size_of(workdir / "tb"), "", ""])
        rows.append(row_of("a launch reads what is done", timed(lambda: Record(workdir), counter)))
        measured = timed(lambda: read_begun(study, workdir), counter)
        rows.append(row_of("a report reads the record", measured))
        with contextlib.redirect_stderr(io.StringIO()):
            measured = timed(lambda: draw_study(study, workdir), counter)
        size = (workdir / "report.html").stat().st_size
        rows.append(row_of("the whole report is drawn", measured, f"{size / 1e6:.1f} MB"))
        files = record_files(workdir)
        for trial in written[len(written) // 2 :]:
            files[trial.name].unlink()
        start = time.perf_counter()
        busy = draw_apart(frame_of(study, workdir), threading.Event())
        measured = time.perf_counter() - start, busy, 0
        size = (workdir / "report.html").stat().st_size
        rows.append(row_of("the page of one half is drawn", measured, f"{size / 1e6:.1f} MB"))
        rows += measure_leases(workdir, written, workers, counter)
    return rows


def put(text: str, command: str) -> None:
    """Put the table into its page, in the place of the one there."""
    begin, end = "<!-- large_grid -->\n", "<!-- end of large_grid -->"
    page = PAGE.read_text(encoding="utf-8")
    before, after = page.split(begin)[0], page.split(end)[1]
    made = textwrap.fill(f"{machine()}; {datetime.date.today().isoformat()}.", width=100)
    text = f"{before}{begin}    {command}\n\n{made}\n\n{text}\n\n{end}{after}"
    PAGE.write_text(text, encoding="utf-8")


def main() -> None:
    """Print the table, or write it."""
    program, first_line = "python -m bench.large_grid", __doc__.splitlines()[0]
    parser = argparse.ArgumentParser(prog=program, description=first_line)
    parser.add_argument("--trials", type=int, default=1000, help="runs of the study, about")
    parser.add_argument("--workers", type=int, default=100, help="processes that share it")
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.name}")
    given = parser.parse_args()
    _, runs = config_of(given.trials)
    if not 2 <= given.workers <= runs // 4:
        refuse("large_grid", f"--workers={given.workers}: give 2 to {runs // 4}, a quarter of runs")
    rows = measure(given.trials, given.workers)
    text = markdown(HEAD, rows) + f"\n\n{runs:,} runs. A worker that waits looks every {WAIT:g} s; "
    text += f"each lease is touched every {BEAT:g} s."
    print(text)
    if given.write:
        put(text, shlex.join(["python", "-m", "bench.large_grid", *sys.argv[1:]]))


if __name__ == "__main__":
    main()
