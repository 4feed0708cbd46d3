"""The page of an unfinished study: what its record holds so far, and no verdict.

`python -m dla_jax.studies.so_far` draws one as a process of its own, for the launch that runs the
study (`redrawing.py`), and imports no JAX. Of a study it needs no more than a Frame, as JSON on
standard input.
"""

import datetime
import json
import math
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from dla_jax.config.checks import ConfigError
from dla_jax.evidence import report
from dla_jax.evidence.formatting import count, short
from dla_jax.evidence.rows import by_run, done_row, read_record, record_file
from dla_jax.plots import so_far
from dla_jax.trials.arms import Trial

NOTHING = "–"  # where nothing is yet
RELOAD = 60  # seconds, after which the page reloads itself
PANELS = 2
# What runs write along the way, beside what their rates are chosen by.
CURVES = ("train_loss", "val_accuracy", "val_nats_per_char", "eval_return")
HEAD = ["", "runs done", "under way", "learning rate", "diverged"]
RATES_HEAD = ["", "learning rate", "runs done", "steps taken"]


class Frame(NamedTuple):
    """What the page says that the record does not hold. All of it is JSON."""

    workdir: str
    title: str
    question: str
    command: str  # that goes on with the study
    value: str  # the key of a last row that is shown
    trials: list[list]  # the values of a Trial, of each
    claims: list[str]  # their statements
    facts: dict[str, str]


class Runs(NamedTuple):
    """The runs of an unfinished study."""

    trials: list[Trial]
    rows: dict[str, list[dict]]  # {run: its rows, without the last one}
    done: dict[str, dict]  # {run: its last row}

    def of(self, stage: str) -> dict[str, list[Trial]]:
        """Return {arm: its trials of a stage}."""
        arms = {}
        for trial in self.trials:
            if trial.stage == stage:
                arms.setdefault(trial.arm, []).append(trial)
        return arms

    def finished(self, trials: list[Trial]) -> list[dict]:
        """Return the last rows of those trials that are done."""
        return [self.done[trial.name] for trial in trials if trial.name in self.done]

    def under_way(self, trials: list[Trial]) -> int:
        """Return how many of the trials have begun and are not done."""
        return sum(trial.name in self.rows and trial.name not in self.done for trial in trials)


def read_runs(frame: Frame) -> Runs:
    """Return what the record holds of a study's runs.

    Raises:
      ConfigError: a line of it is no row.
    """
    rows, done = by_run(read_record(Path(frame.workdir)))
    return Runs([Trial(*values) for values in frame.trials], rows, done)


def draw(frame: Frame) -> None:
    """Write `report.html` of an unfinished study; nothing where it is finished meanwhile.

    The record is only read.

    Raises:
      ConfigError: a line of it is no row.
      OSError: the page cannot be written.
    """
    workdir, runs = Path(frame.workdir), read_runs(frame)
    left = [trial for trial in runs.trials if trial.name not in runs.done]

    def is_over() -> bool:
        files = [record_file(workdir, trial.name) for trial in left]
        return all(done_row(path) is not None for path in files)

    with tempfile.TemporaryDirectory() as folder:
        report.render(
            workdir / "report.html",
            title=f"Unfinished: {frame.title}",
            answer=answer(runs),
            question=frame.question,
            command=frame.command,
            claims=[],
            sections=sections(frame, runs, Path(folder)),
            facts=frame.facts,
            reload=RELOAD,
            unless=is_over,  # then the whole report is being drawn, or is there
        )


def answer(runs: Runs) -> str:
    """Return what stands on top: how far the study is, and when that was."""
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    under_way = runs.under_way(runs.trials)
    done = sum(trial.name in runs.done for trial in runs.trials)
    return (
        f"Not finished: {done} of {count(len(runs.trials), 'run')} done, {under_way} under way; "
        f"no verdicts before all are done. Drawn {now}, and again while the study runs; the page "
        "reloads itself every minute."
    )


def sections(frame: Frame, runs: Runs, folder: Path) -> list[dict]:
    """Return the sections of the page. `folder`: where its figure is drawn."""
    head, rates_head = ([*own, f"mean {frame.value}"] for own in (HEAD, RATES_HEAD))
    select = runs.of("select")
    claims = "; ".join(frame.claims)
    return [
        {"title": "The runs so far", "figures": figures(frame, runs, folder)},
        {
            "title": "What is compared",
            "text": "Means over the runs that are done, not the same seeds everywhere: nothing to "
            f"compare by. Other scores, intervals and verdicts come when all are done. {NOTHING}: "
            "nothing yet.",
            "table": {"head": head, "rows": arm_rows(frame, runs)},
        },
        {
            "title": "How the learning rates are chosen",
            "table": {
                "head": rates_head,
                "rows": [row for arm in select for row in rate_rows(frame, runs, arm, select[arm])],
            },
        },
        {
            "title": "What will be decided",
            "text": f"{count(len(frame.claims), 'claim')}: {claims}." if claims else "",
        },
    ]


def arm_rows(frame: Frame, runs: Runs) -> list[list[str]]:
    """Return a row of the table of what is compared for each arm."""
    rows = []
    for arm, trials in runs.of("final").items():
        done = runs.finished(trials)
        rates = dict.fromkeys(short(row["lr"]) for row in done)
        diverged = str(sum(row["diverged"] for row in done)) if done else NOTHING
        counts = [f"{len(done)} of {len(trials)}", str(runs.under_way(trials))]
        rows.append([arm, *counts, ", ".join(rates) or NOTHING, diverged, mean(done, frame.value)])
    return rows


def rate_rows(frame: Frame, runs: Runs, arm: str, trials: list[Trial]) -> list[list[str]]:
    """Return a row for each learning rate that an arm chooses from."""
    rows = []
    for lr in dict.fromkeys(trial.lr for trial in trials):
        own = [trial for trial in trials if trial.lr == lr]
        done = runs.finished(own)
        counts = [f"{len(done)} of {len(own)}", mean(done, "step")]
        rows.append([arm, short(lr), *counts, mean(done, frame.value)])
    return rows


def mean(rows: list[dict], key: str) -> str:
    """Return the mean of a value of last rows in four digits, as far as it is known."""
    values = [row[key] for row in rows if is_number(row.get(key))]
    return short(float(f"{sum(values) / len(values):.4g}")) if values else NOTHING


def is_number(value) -> bool:
    """Return whether a value of a row is a number that can be drawn."""
    return isinstance(value, int | float) and math.isfinite(value)


def figures(frame: Frame, runs: Runs, folder: Path) -> list[dict]:
    """Draw the curves of the runs that are compared, or else of those that choose rates."""
    for stage, what in (("final", "are compared"), ("select", "choose learning rates")):
        panels = panels_of(frame.value, runs, runs.of(stage))
        if panels:
            path = folder / "so_far.png"
            caption = f"The runs that {what}, as far as each is: a line a run, a colour an arm."
            return [{"path": path, "alt": so_far.curves(panels, path), "caption": caption}]
    return []


def panels_of(value: str, runs: Runs, arms: dict[str, list[Trial]]) -> dict[str, dict[str, list]]:
    """Return what `plots.so_far.curves` draws; nothing where no run has such rows."""
    panels = {}
    for key in dict.fromkeys((*CURVES[:1], value, *CURVES[1:])):
        found = {}
        for arm, trials in arms.items():
            curves = [curve_of(runs.rows.get(trial.name, ()), key) for trial in trials]
            curves = [curve for curve in curves if curve[0]]
            if curves:
                found[arm] = curves
        if found and len(panels) < PANELS:
            panels[key] = found
    return panels


def curve_of(rows: list[dict], key: str) -> tuple[list, list]:
    """Return (steps, values) of a run; of an agent the steps of its environments."""
    kept = [row for row in rows if is_number(row.get(key))]
    return [row.get("env_steps", row["step"]) for row in kept], [row[key] for row in kept]


def main() -> None:
    """Draw the page of the Frame on standard input, out of the way of what trains.

    It prints the seconds of a core that it took; or, on standard error, why it was not drawn.
    """
    os.nice(19)
    try:
        draw(Frame(**json.load(sys.stdin)))
    except (ConfigError, OSError) as error:
        sys.exit(str(error))
    print(time.process_time())


if __name__ == "__main__":
    main()
