"""What the reports of the stories about image classifiers share."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from dla_jax import report, stats
from dla_jax.config import check, flatten, read_config, write_atomically
from dla_jax.logs import finite_or_none, read_rows

RUN_KEYS = ("group", "seed", "lr", "num_params", "val_accuracy", "test_accuracy", "test_loss", "best_step", "diverged",
            "diverged_at", "train_seconds", "examples_per_s", "seconds_per_epoch")  # fmt: skip
MEASURE_HEAD = ["runs", "validation %", "test % [95 % interval]", "worst %", "test loss", "diverged", "parameters", "train s",
                "images/s"]  # fmt: skip


def measures(runs: list[dict]) -> list[str]:
    """The columns of MEASURE_HEAD for the runs of one group."""

    def mean(key, form):
        values = [run[key] for run in runs if run[key] is not None]
        return format(np.mean(values), form) if values else "diverged"

    test = [run["test_accuracy"] for run in runs]
    low, high = stats.t_interval(test)
    return [str(len(runs)), format(100 * np.mean([run["val_accuracy"] for run in runs]), ".1f"),
            f"{100 * np.mean(test):.1f} [{report.points(low, False)}, {report.points(high, False)}]", f"{100 * min(test):.1f}",
            mean("test_loss", ".3f"), str(sum(run["diverged"] for run in runs)), f"{runs[0]['num_params']:,}",
            mean("train_seconds", ".1f"), mean("examples_per_s", ",.0f")]  # fmt: skip


def read_finished(workdir: Path, num_runs: Callable) -> tuple[dict, ConfigDict, list[dict], dict[str, dict]]:
    """(what `config.json` holds, the config, all rows, {run: its last row}) of a finished study of `num_runs(config)` runs.

    Raises:
      ConfigError: no study there, or an unfinished one.
    """
    written, rows = read_config(workdir), read_rows(workdir / "metrics.jsonl")
    config, done = ConfigDict(written["config"]), {row["run"]: row for row in rows if row.get("done")}
    expected = num_runs(config)
    check(len(done) == expected, f"the study in {workdir} is not finished ({len(done)} of {expected} runs); go on with: "
          f"{resume_command(written, workdir)}")  # fmt: skip
    return written, config, rows, done


def write_summary(workdir: Path, summary: dict) -> None:
    """Writes `summary.json`."""
    write_atomically(workdir / "summary.json", json.dumps(finite_or_none(summary), indent=1, allow_nan=False))


def resume_command(written: dict, workdir: Path) -> str:
    """The command that goes on with a study."""
    command = written["launches"][0]["command"]
    return command if "--workdir" in command else f"{command} --workdir={workdir}"


def curve(config, seeds: list[list[dict]]) -> dict:
    """Training loss and validation accuracy at the evaluations that all runs of a group reached."""
    evaluated = [[row for row in seed if "val_accuracy" in row] for seed in seeds]
    shortest = min(map(len, evaluated))
    columns = {key: [[row[key] for row in seed[:shortest]] for seed in evaluated] for key in ("train_loss", "val_accuracy")}
    epochs = np.minimum(np.arange(1, shortest + 1) * config.eval_every_epochs, config.num_epochs)
    return {"epoch": epochs, **columns}


def select_rows(cells: list, done: dict[str, dict], rates: dict[str, float]) -> list[dict]:
    """What each run of the grid of learning rates reached, and whether its rate was chosen."""
    keys = ("val_accuracy", "diverged")
    return [cell._asdict() | {"group": cell.group, "chosen": rates[cell.group] == cell.lr} | {k: done[cell.name][k] for k in keys}
            for cell in cells]  # fmt: skip


def facts(written: dict, summary: dict) -> dict[str, str]:
    """What made this report: name -> text."""
    data = written["data"]
    settings = flatten({key: value for key, value in written["config"].items() if key != "claims"})
    return {
        "runs": f"{len(summary['runs'])} compared, {len(summary['selection'])} to choose learning rates",
        "data": f"{data['name']}, {data['num_examples']:,} examples, fingerprint {data['fingerprint']}",
        **launch_facts(written),
        "config": ", ".join(f"{key}={value}" for key, value in settings.items() if value is not None),
    }  # fmt: skip


def launch_facts(written: dict) -> dict[str, str]:
    """Where and with what a study ran: name -> text."""
    first, last = written["launches"][0], written["launches"][-1]
    return {
        "devices": ", ".join(last["devices"]), "commit": last["git_commit"], "started": first["started"],
        "launches": str(len(written["launches"])), "python": last["python"],
        "packages": ", ".join(f"{name} {version}" for name, version in last["versions"].items()),
    }  # fmt: skip


def print_lines(groups: list[str], claims: list[dict], workdir: Path) -> None:
    """A short table, the verdicts and the paths written, on standard error."""
    say = lambda text: print(text, file=sys.stderr)  # noqa: E731
    say("\ntest accuracy, % [95 % interval]")
    for line in groups:
        say(f"  {line}")
    say("\nclaims" if claims else "")
    for claim in claims:
        say(f"  {claim['verdict']:<14} {claim['statement']}")
        for result in claim["results"]:
            say(f"{'':17}{report.terms_words(result['terms'])}: {report.contrast_words(result, claim['unit'])}")
    say("\nwritten")
    for name in ("report.html", "summary.json", "figures", "metrics.jsonl", "tb"):
        say(f"  {workdir / name}")
