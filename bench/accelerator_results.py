"""What `bench.accelerator` keeps between its calls, and how it is shown."""

import json
from pathlib import Path

from bench import page
from bench.accelerator_rows import shown
from bench.accelerator_stages import STAGES
from dla_jax.config.files import write_atomically

NAME = "accelerator"
DONE, RUNNING, CUT, FAILED, LEFT, OUT = "done", "running", "cut", "failed", "left", "falls out"


def read(out: Path, tiny: bool) -> dict:
    """Return what earlier calls found; end the benchmark where it does not go on from there."""
    path = out / "results.json"
    if not path.exists():
        return {"tiny": tiny, "spent_s": 0.0, "stages": {}}
    try:
        found = json.loads(path.read_text())
        stages, before = found["stages"], (found["tiny"], float(found["spent_s"]))
    except (ValueError, KeyError, TypeError) as error:
        page.refuse(NAME, f"{path} is damaged ({error!r:.80}); give another --out")
    if before[0] != tiny:
        kind = "a rehearsal" if before[0] else "no rehearsal"
        page.refuse(NAME, f"--out={out} holds {kind}; give another folder")
    for entry in stages.values():
        if entry["state"] == RUNNING:
            entry |= {"state": CUT, "why": "the call ended"}
    return found


def write(out: Path, found: dict) -> None:
    """Write results.json and results.md, each whole or not at all."""
    write_atomically(out / "results.json", json.dumps(found, indent=1) + "\n")
    write_atomically(out / "results.md", markdown(found))


def markdown(found: dict) -> str:
    """Return the results as a page."""
    stages = {name: found["stages"][name] for name in STAGES if name in found["stages"]}
    parts = ["# What was measured" + (", on tiny sizes: a rehearsal" if found["tiny"] else "")]
    parts.append(f"Spent: {found['spent_s']:.0f} s.")
    for name, entry in stages.items():
        head = f"## {name}: {STAGES[name].what}\n\n{told(entry)}"
        lines = "\n".join("- " + shown(row) for row in entry["rows"])
        parts += [head, lines] if lines else [head]
    return "\n\n".join(parts) + "\n"


def told(entry: dict) -> str:
    """Return what came of a stage, in words."""
    lasted = f" after {entry['seconds']:.0f} s" if entry["seconds"] else ""
    return entry["state"] + lasted + (f": {entry['why']}" if entry["why"] else "")


def entry_of(state: str, why: str = "", seconds: float = 0.0, rows: list | None = None) -> dict:
    """Return what the results say of a stage."""
    return {"state": state, "why": why, "seconds": round(seconds, 1), "rows": rows or []}


def rates_of(found: dict) -> dict[str, float]:
    """Return the measured TFLOP/s of matrix products: {dtype: rate}."""
    rows = found["stages"].get("rates", {"rows": []})["rows"]
    known = {row["what"]: row["value"] for row in rows}
    named = {dtype: known.get(f"matrix product, {dtype}") for dtype in ("bfloat16", "float32")}
    return {dtype: rate for dtype, rate in named.items() if rate}


def in_order(names: list[str], found: dict) -> list[str]:
    """Return the stages to do: those that were never begun, then those that were cut or failed."""
    state = {name: found["stages"].get(name, {"state": LEFT})["state"] for name in names}
    left = [name for name in names if state[name] != DONE]
    return sorted(left, key=lambda name: state[name] in (CUT, FAILED))
