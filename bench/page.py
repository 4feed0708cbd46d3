"""What is around a benchmark: its command line, its table, where it ran, and where the table goes."""

import argparse
import datetime
import importlib.metadata
import importlib.util
import os
import platform
import shlex
import sys
from pathlib import Path
from typing import NoReturn

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"


def arguments(
    name: str, doc: str, nets, paths: dict[str, str] | None = None, **numbers
) -> argparse.Namespace:
    """The command line of `bench.name`, checked, `nets` as a list. `numbers`: (default, help) of each; `paths`: help of each."""
    parser = argparse.ArgumentParser(
        prog=f"python -m bench.{name}", description=doc.splitlines()[0]
    )
    parser.add_argument("--nets", default=",".join(nets), help="which networks: " + ",".join(nets))
    for number, (default, told) in numbers.items():
        parser.add_argument(f"--{number}", type=type(default), default=default, help=told)
    for path, told in (paths or {}).items():
        parser.add_argument(f"--{path}", default="", help=told)
    parser.add_argument(
        "--write", action="store_true", help="put the table into docs/benchmarks.md"
    )
    given = parser.parse_args()
    if (
        set(given.nets.split(",")) - set(nets)
        or min(getattr(given, number) for number in numbers) <= 0
    ):
        words = " ".join(f"--{key}={getattr(given, key)}" for key in ("nets", *numbers))
        refuse(name, f"{words}: nets are {', '.join(nets)}, the numbers positive")
    given.nets = given.nets.split(",")
    return given


def arguments_with_torch(
    name: str, doc: str, nets, rounds: int, seconds: float, *packages: str
) -> argparse.Namespace:
    """The command line of a benchmark beside PyTorch, which has to be there, and the other packages too."""
    given = arguments(
        name,
        doc,
        nets,
        rounds=(rounds, "pairs of runs"),
        seconds=(seconds, "that each run is timed for"),
    )
    need(name, "torch", *packages)
    return given


def need(name: str, *packages: str) -> None:
    """Ends `bench.name` where a package is missing."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            refuse(name, f"{package} is missing; pip install -r requirements-bench.txt")


def refuse(name: str, why: str) -> NoReturn:
    """Ends `bench.name` with the exit code of wrong input."""
    print(f"bench.{name}: {why}", file=sys.stderr)
    sys.exit(2)


def spread(values, form: str = ".2f") -> str:
    """Median with the smallest and largest."""
    return f"{np.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """A table."""
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *rows))


def table(head: list[str], own, results: list[dict], unit: str, piece: str) -> str:
    """Markdown of comparisons: `own(job)` is what stands under `head`, then the columns that all have."""
    head = [
        *head,
        f"ours, {unit}/s",
        f"PyTorch, {unit}/s",
        "ratio",
        "ratio per CPU-second",
        f"first {piece}",
        "memory",
        "best settings",
    ]
    return markdown(head, [[*map(str, own(result["job"])), *columns(result)] for result in results])


def columns(result: dict) -> list[str]:
    """Of a comparison: rates, ratios, first piece of work, memory, best settings."""

    def of(side, key):
        return np.array([pair[side][key] for pair in result["pairs"]])

    chosen = (
        f"{side}: " + ", ".join(f"{k} {v}" for k, v in found.items())
        for side, found in result["best"].items()
    )
    return [
        spread(of("ours", "wall"), ",.0f"),
        spread(of("torch", "wall"), ",.0f"),
        *(spread(of("ours", key) / of("torch", key)) for key in ("wall", "cpu")),
        " / ".join(f"{np.median(of(side, 'first')):.1f} s" for side in result["best"]),
        " / ".join(f"{np.median(of(side, 'gib')):.1f} GiB" for side in result["best"]),
        "; ".join(chosen),
    ]


def machine(*packages: str) -> str:
    """Hardware and versions in one line."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")] or [
        platform.processor()
    ]
    versions = (
        f"{name} {importlib.metadata.version(name)}"
        for name in ("jax", "jaxlib", "flax", *packages)
    )
    return ", ".join(
        [
            names[0],
            f"{os.cpu_count()} cores",
            platform.system(),
            f"Python {platform.python_version()}",
            *versions,
        ]
    )


def show(name: str, text: str, write: bool, *packages: str, section: str | None = None) -> None:
    """Prints the table of `bench.name`; with `write` puts it into docs/benchmarks.md too, where `section` stands."""
    where = machine(*packages)
    print(f"{where}\n\n{text}")
    if write:
        put(name, where, text, section or name)


def put(name: str, where: str, text: str, section: str) -> None:
    """Puts the table of this command line into a section of docs/benchmarks.md, in place of the one there."""
    begin, end = f"<!-- {section} -->\n", f"<!-- end of {section} -->"
    page = PAGE.read_text()
    before, after = page.split(begin)[0], page.split(end)[1]
    command = shlex.join(["python", "-m", f"bench.{name}", *sys.argv[1:]])
    PAGE.write_text(
        f"{before}{begin}    {command}\n\n{where}; {datetime.date.today().isoformat()}.\n\n{text}\n\n{end}{after}"
    )
