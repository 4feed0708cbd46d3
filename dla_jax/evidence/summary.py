"""What a finished study leaves beside its figures: `summary.json`, facts, lines on the screen."""

import json
import sys
from pathlib import Path

from dla_jax.config.arguments import flatten
from dla_jax.config.files import write_atomically
from dla_jax.config.workdir import OLD_RECORD
from dla_jax.evidence import report
from dla_jax.evidence.rows import FOLDER, finite_or_none


def write_summary(workdir: Path, summary: dict) -> None:
    """Write `summary.json`."""
    text = json.dumps(finite_or_none(summary), indent=1, allow_nan=False)
    write_atomically(workdir / "summary.json", text)


def config_facts(config: dict) -> dict[str, str]:
    """Return the keys of a config in words, except its claims, its pairs and what it made first."""
    left_out = ("claims", "compared", "made")
    shown = {key: value for key, value in config.items() if key not in left_out}
    settings = flatten(shown).items()
    return {"config": ", ".join(f"{key}={value}" for key, value in settings if value is not None)}


def launch_facts(launches: list[dict]) -> dict[str, str]:
    """Return where and with what a study ran: {name: text}."""
    first, last = launches[0], launches[-1]
    versions = last["versions"].items()
    return {
        "devices": ", ".join(last["devices"]),
        "commit": last["git_commit"],
        "started": first["started"],
        "launches": str(len(launches)),
        "python": last["python"],
        "packages": ", ".join(f"{name} {version}" for name, version in versions),
    }


def print_lines(
    answer: str,
    head: str,
    lines: list[str],
    claims: list[dict],
    workdir: Path,
    also: tuple[str, ...] = (),
) -> None:
    """Print the answer, a short table, the verdicts and the paths written, on standard error.

    Args:
      answer: the sentence that answers the study.
      head: what stands above the table.
      also: files or folders that were written beside those of every study.
    """
    shown = ["", answer, "", head, *(f"  {line}" for line in lines)]
    if claims:
        shown += ["", "claims"]
    for claim in claims:
        shown += claim_lines(claim)
    names = ("report.html", "summary.json", "figures", *also, FOLDER, OLD_RECORD, "tb")
    paths = [workdir / name for name in names]
    shown += ["", "written", *(f"  {path}" for path in paths if path.exists())]
    print("\n".join(shown), file=sys.stderr)


def claim_lines(claim: dict) -> list[str]:
    """Return the verdict of a claim in words, and a line for each of its contrasts."""
    lines, indent = [f"  {claim['verdict']:<14} {claim['statement']}"], " " * 17
    if claim["missing"]:
        lines.append(f"{indent}this grid lacks {', '.join(claim['missing'])}")
    for result in claim["results"]:
        name = report.contrast_name(result["terms"], claim["threshold"], claim["unit"])
        lines.append(f"{indent}{name}: {report.contrast_words(result, claim['unit'])}")
    return lines
