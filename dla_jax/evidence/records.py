"""What the reports of all studies share: a finished study's record, its summary, and the last lines on the screen."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

from ml_collections import ConfigDict

from dla_jax.config.arguments import flatten
from dla_jax.config.checks import check
from dla_jax.config.files import write_atomically
from dla_jax.config.workdir import read_config
from dla_jax.data import splits
from dla_jax.evidence import report
from dla_jax.evidence.rows import finite_or_none, read_rows


def read_finished(
    workdir: Path, num_runs: Callable
) -> tuple[dict, ConfigDict, list[dict], dict[str, dict]]:
    """(what `config.json` holds, the config, all rows, {run: its last row}) of a finished study of `num_runs(config)` runs.

    Raises:
      ConfigError: no study there, or an unfinished one.
    """
    written, rows = read_config(workdir), read_rows(workdir / "metrics.jsonl")
    config, done = (
        ConfigDict(written["config"]),
        {row["run"]: row for row in rows if row.get("done")},
    )
    expected = num_runs(config)
    check(
        len(done) == expected,
        f"the study in {workdir} is not finished ({len(done)} of {expected} runs); go on with: "
        f"{resume_command(written, workdir)}",
    )
    return written, config, rows, done


def write_summary(workdir: Path, summary: dict) -> None:
    """Writes `summary.json`."""
    write_atomically(
        workdir / "summary.json", json.dumps(finite_or_none(summary), indent=1, allow_nan=False)
    )


def resume_command(written: dict, workdir: Path) -> str:
    """The command that goes on with a study."""
    command = written["launches"][0]["command"]
    return command if "--workdir" in command else f"{command} --workdir={workdir}"


def select_rows(
    cells: list, done: dict[str, dict], rates: dict[str, float], value: str = "val_accuracy"
) -> list[dict]:
    """What each run of the grid of learning rates reached, and whether its rate was chosen."""
    keys = (value, "diverged")
    return [
        cell._asdict()
        | {"group": cell.group, "chosen": rates[cell.group] == cell.lr}
        | {k: done[cell.name][k] for k in keys}
        for cell in cells
    ]


def facts(written: dict, summary: dict, examples: str = "examples") -> dict[str, str]:
    """What made this report: name -> text. `examples`: what the data are counted in; empty for a study without data."""
    data = written["data"]
    counted = {}
    if examples:
        counted = {
            "data": f"{data['name']}, {data['num_examples']:,} {examples}, fingerprint {data['fingerprint']}"
        }
        if words := splits.copies_words(data, data["num_examples"]):
            counted["copies"] = words
    return {
        "runs": f"{len(summary['runs'])} compared, {len(summary['selection'])} to choose learning rates",
        **counted,
        **launch_facts(written),
        **config_facts(written),
    }


def config_facts(written: dict) -> dict[str, str]:
    """The config, but for its claims and what it made first."""
    settings = flatten(
        {key: value for key, value in written["config"].items() if key not in ("claims", "made")}
    )
    return {
        "config": ", ".join(
            f"{key}={value}" for key, value in settings.items() if value is not None
        )
    }


def launch_facts(written: dict) -> dict[str, str]:
    """Where and with what a study ran: name -> text."""
    first, last = written["launches"][0], written["launches"][-1]
    return {
        "devices": ", ".join(last["devices"]),
        "commit": last["git_commit"],
        "started": first["started"],
        "launches": str(len(written["launches"])),
        "python": last["python"],
        "packages": ", ".join(f"{name} {version}" for name, version in last["versions"].items()),
    }


def print_lines(
    groups: list[str],
    claims: list[dict],
    workdir: Path,
    head: str = "test accuracy, % [95 % interval]",
    also: tuple[str, ...] = (),
) -> None:
    """A short table, the verdicts and the paths written, `also` among them, on standard error."""
    say = lambda text: print(text, file=sys.stderr)
    say(f"\n{head}")
    for line in groups:
        say(f"  {line}")
    if claims:
        say("\nclaims")
    for claim in claims:
        say(f"  {claim['verdict']:<14} {claim['statement']}")
        if claim["missing"]:
            say(f"{'':17}this grid lacks {', '.join(claim['missing'])}")
        for result in claim["results"]:
            say(
                f"{'':17}{report.terms_words(result['terms'])}: {report.contrast_words(result, claim['unit'])}"
            )
    say("\nwritten")
    for name in ("report.html", "summary.json", "figures", *also, "metrics.jsonl", "tb"):
        say(f"  {workdir / name}")
