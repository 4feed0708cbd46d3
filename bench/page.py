"""The frame of a benchmark: its command line, its table, where it ran, and where that goes."""

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
    """Return the command line of `bench.name`, checked, `nets` as a list.

    Args:
      name: of the benchmark's module.
      doc: its docstring; the first line is the help.
      nets: names that may be asked for.
      paths: {option: help} of the options that name a path.
      numbers: {option: (default, help)} of the options that are positive numbers.
    """
    program, first_line = f"python -m bench.{name}", doc.splitlines()[0]
    parser = argparse.ArgumentParser(prog=program, description=first_line)
    parser.add_argument("--nets", default=",".join(nets), help="which networks: " + ",".join(nets))
    for number, (default, told) in numbers.items():
        parser.add_argument(f"--{number}", type=type(default), default=default, help=told)
    for path, told in (paths or {}).items():
        parser.add_argument(f"--{path}", default="", help=told)
    into = "put the table into docs/benchmarks.md"
    parser.add_argument("--write", action="store_true", help=into)
    given = parser.parse_args()
    unknown = set(given.nets.split(",")) - set(nets)
    if unknown or min(getattr(given, number) for number in numbers) <= 0:
        words = " ".join(f"--{key}={getattr(given, key)}" for key in ("nets", *numbers))
        refuse(name, f"{words}: nets are {', '.join(nets)}, the numbers positive")
    given.nets = given.nets.split(",")
    return given


def arguments_with_torch(
    name: str, doc: str, nets, rounds: int, seconds: float, *packages: str
) -> argparse.Namespace:
    """Return the command line of a benchmark beside PyTorch.

    PyTorch has to be there, and the other packages too.
    """
    numbers = {
        "rounds": (rounds, "pairs of runs"),
        "seconds": (seconds, "that each run is timed for"),
    }
    given = arguments(name, doc, nets, **numbers)
    need(name, "torch", *packages)
    return given


def need(name: str, *packages: str, told: str = "requirements-bench.txt") -> None:
    """End `bench.name` where a package is missing. `told`: the file that names them."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            refuse(name, f"{package} is missing; pip install -r {told}")


def refuse(name: str, why: str) -> NoReturn:
    """End `bench.name` with the exit code of wrong input."""
    print(f"bench.{name}: {why}", file=sys.stderr)
    sys.exit(2)


def spread(values, form: str = ".2f") -> str:
    """Return the median with the smallest and largest."""
    return f"{np.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """Return a table in Markdown."""
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *rows))


def table(head: list[str], own, results: list[dict], unit: str, piece: str) -> str:
    """Return comparisons as a table in Markdown.

    `own(job)` is what stands under `head`; behind it are the columns that all have.
    """
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
    rows = [[*map(str, own(result["job"])), *columns(result)] for result in results]
    return markdown(head, rows)


def columns(result: dict) -> list[str]:
    """Return the cells of a comparison.

    They are rates, ratios, first piece of work, memory, best settings.
    """

    def of(side, key):
        return np.array([pair[side][key] for pair in result["pairs"]])

    chosen = []
    for side, setting in result["best"].items():
        chosen.append(f"{side}: {', '.join(f'{key} {value}' for key, value in setting.items())}")
    return [
        spread(of("ours", "wall"), ",.0f"),
        spread(of("torch", "wall"), ",.0f"),
        *(spread(of("ours", key) / of("torch", key)) for key in ("wall", "cpu")),
        " / ".join(f"{np.median(of(side, 'first')):.1f} s" for side in result["best"]),
        " / ".join(f"{np.median(of(side, 'gib')):.1f} GiB" for side in result["best"]),
        "; ".join(chosen),
    ]


def machine(*packages: str) -> str:
    """Return hardware and versions in one line."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    parts = [names[0] if names else platform.processor(), f"{os.cpu_count()} cores"]
    parts += [platform.system(), f"Python {platform.python_version()}"]
    for name in ("jax", "jaxlib", "flax", *packages):
        parts.append(f"{name} {importlib.metadata.version(name)}")
    return ", ".join(parts)


def show(name: str, text: str, write: bool, *packages: str, section: str | None = None) -> None:
    """Print the table of `bench.name`; with `write` put it into docs/benchmarks.md too.

    It goes where `section` stands; without one that is `name`.
    """
    where = machine(*packages)
    print(f"{where}\n\n{text}")
    if write:
        put(name, where, text, section or name)


def put(name: str, where: str, text: str, section: str) -> None:
    """Put the table of this command line into a section of docs/benchmarks.md.

    It takes the place of the one there.
    """
    begin, end = f"<!-- {section} -->\n", f"<!-- end of {section} -->"
    page = PAGE.read_text()
    before, after = page.split(begin)[0], page.split(end)[1]
    command = shlex.join(["python", "-m", f"bench.{name}", *sys.argv[1:]])
    made = f"{where}; {datetime.date.today().isoformat()}."
    PAGE.write_text(f"{before}{begin}    {command}\n\n{made}\n\n{text}\n\n{end}{after}")
