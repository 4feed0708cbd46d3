"""Everything that is to be measured on an accelerator, in order of worth, as far as time goes.

    python -m bench.accelerator --budget=25m --data_dir=FOLDER --out=FOLDER [--call=9m]
    python -m bench.accelerator --list

Every stage is a process of its own with a time-out. What it found is written to results.json and
results.md in --out as soon as it ends; the same command goes on with what is left, and --budget
counts all its calls. Workdirs of studies, with checkpoints and figures, are in --work.
"""

import argparse
import hashlib
import importlib.util
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from bench import page
from bench.accelerator_process import KILLS, STOPS, environment, run_stage
from bench.accelerator_results import (
    CUT,
    FAILED,
    LEFT,
    NAME,
    OUT,
    RUNNING,
    entry_of,
    in_order,
    rates_of,
    read,
    told,
    write,
)
from bench.accelerator_rows import Asked, Stage, shown
from bench.accelerator_stages import STAGES

UNITS = {"s": 1, "m": 60, "h": 3600}
# What a package is called where it is fetched, if not as Python imports it.
FETCHED = {
    "orbax": "orbax-checkpoint",
    "absl": "absl-py",
    "sklearn": "scikit-learn",
    "PIL": "pillow",
    "tensorflow_datasets": "tensorflow-datasets",
}
READERS = ("tensorflow_datasets", "array_record", "importlib_resources")
SAVED = 5.0  # seconds between two notes of the time spent
TINY_LIMIT = 300  # seconds of a stage that rehearses


class Clock(NamedTuple):
    """How long this call may go on, in seconds."""

    began: float
    before: float  # spent by earlier calls
    budget: float  # of all calls
    call: float  # of this one

    def spent(self) -> float:
        """Return what all calls took so far."""
        return self.before + time.monotonic() - self.began

    def left(self) -> float:
        """Return what is left, of the budget or of this call."""
        return min(self.budget - self.spent(), self.call - (time.monotonic() - self.began))


def seconds_of(option: str, words: str) -> float:
    """Return the seconds of a duration, as in 90s, 25m, 1.5h; end the benchmark at another."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", words)
    if not found or not float(found[1]):
        page.refuse(NAME, f"--{option}={words}: no duration; give one as in 90s, 25m or 1.5h")
    return float(found[1]) * UNITS[found[2]]


def command_line() -> argparse.Namespace:
    """Return the command line, checked."""
    parser = argparse.ArgumentParser(
        prog=f"python -m bench.{NAME}", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--budget", default="25m", help="time for all calls with this --out")
    parser.add_argument("--call", default="", help="time for this call; without it the budget")
    parser.add_argument("--data_dir", default="", help="prepared cifar10, dante.txt, ...")
    parser.add_argument("--out", default="", help="folder of the results, which stays small")
    parser.add_argument("--work", default="", help="folder of workdirs, outside --out")
    parser.add_argument("--stages", default=",".join(STAGES), help="which: " + ",".join(STAGES))
    parser.add_argument("--tiny", action="store_true", help="rehearse on a CPU, sizes cut")
    parser.add_argument("--list", action="store_true", help="name the stages, and end")
    given = parser.parse_args()
    asked = given.stages.split(",")
    if unknown := [name for name in asked if name not in STAGES]:
        page.refuse(NAME, f"--stages: no stage {', '.join(unknown)}; there are {', '.join(STAGES)}")
    given.stages = [name for name in STAGES if name in asked]
    if not given.list and not given.out:
        page.refuse(NAME, "--out is missing; give the folder of the results, or --list")
    given.budget = seconds_of("budget", given.budget)
    given.call = seconds_of("call", given.call) if given.call else given.budget
    given.out = Path(given.out).resolve()
    told = given.data_dir or os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")
    if given.data_dir and not Path(told).is_dir():
        page.refuse(NAME, f"--data_dir={told}: no such folder; give one, or leave it out")
    given.data_dir = Path(told).expanduser().resolve()
    given.work = Path(given.work).resolve() if given.work else work_of(given.out)
    if given.work.is_relative_to(given.out):
        page.refuse(NAME, f"--work={given.work} is within --out, which stays small; give another")
    return given


def work_of(out: Path) -> Path:
    """Return the folder of workdirs that belongs to a folder of results."""
    digest = hashlib.sha256(str(out).encode()).hexdigest()[:8]
    return Path(tempfile.gettempdir()) / f"dla_jax_accelerator-{digest}"


def missing_packages(stage: Stage) -> list[str]:
    """Return the packages that a stage lacks."""
    return [name for name in stage.packages if importlib.util.find_spec(name) is None]


def missing_data(stage: Stage, data_dir: Path) -> str:
    """Return what a stage lacks in a folder of data, in words; "" where it has all."""
    for name in stage.data:
        if name != "cifar10":
            if not (data_dir / f"{name}.txt").is_file():
                return f"{data_dir} has no {name}.txt"
        elif not list(data_dir.glob(f"{name}/*/dataset_info.json")):
            return f"{data_dir} has no prepared {name}; docs/data.md says how to prepare it"
        elif not list(data_dir.glob(f"{name}/*/.dla_jax/*/images.npy")):  # not decoded yet
            lacks = [reader for reader in READERS if importlib.util.find_spec(reader) is None]
            if lacks:
                return f"{name} is not decoded yet, which needs {', '.join(map(fetched, lacks))}"
    return ""


def fetched(package: str) -> str:
    """Return what a package is called where it is fetched."""
    return FETCHED.get(package, package)


def fall_out(names: list[str], given: argparse.Namespace) -> dict[str, str]:
    """Return {stage: why it falls out}, and say it, a line for each package or lack of data."""
    lacks, found = {}, {}
    for name in names:
        for package in missing_packages(STAGES[name]):
            lacks.setdefault(package, []).append(name)
            found[name] = f"without {', '.join(map(fetched, missing_packages(STAGES[name])))}"
    for package, stages in lacks.items():
        say(f"without {package} fall out: {', '.join(stages)}; pip install {fetched(package)}")
    for name in names:
        lack = "" if given.tiny or name in found else missing_data(STAGES[name], given.data_dir)
        if lack:
            found[name] = lack
            say(f"{name} falls out: {lack}")
    return found


def say(line: str) -> None:
    """Say how it goes."""
    print(f"bench.{NAME}: {line}", file=sys.stderr, flush=True)


def check_device(tiny: bool) -> None:
    """End the benchmark where JAX is missing, or has no accelerator."""
    mend = "install it with pip install -U 'jax[cuda13]', or rehearse with --tiny"
    if importlib.util.find_spec("jax") is None:
        page.refuse(NAME, f"jax is missing; {mend}")
    if tiny:
        return
    command = (sys.executable, "-m", "bench.accelerator_stages", "devices")
    how = {"cwd": page.ROOT, "env": environment(tiny), "capture_output": True, "text": True}
    answer = subprocess.run(command, check=False, **how)
    backend = (answer.stdout.split() or ["no device"])[-1]
    if answer.returncode or backend == "cpu":
        page.refuse(NAME, f"JAX finds {backend} and no accelerator here; {mend}")


def do(name: str, given: argparse.Namespace, found: dict, clock: Clock) -> dict:
    """Do one stage if it fits into what is left, and return its entry."""
    estimate, left = (1 if given.tiny else STAGES[name].seconds), clock.left() - STOPS - KILLS
    before = found["stages"].get(name, entry_of(LEFT))
    if estimate > left:
        why = f"takes about {estimate} s, {max(0, left):.0f} s are left"
        return before | {"why": why} if before["state"] in (CUT, FAILED) else entry_of(LEFT, why)
    found["stages"][name] = entry_of(RUNNING)
    noted = [-SAVED]

    def note():
        if time.monotonic() - noted[0] >= SAVED:
            noted[0], found["spent_s"] = time.monotonic(), clock.spent()
            write(given.out, found)

    note()
    limit = min(left, TINY_LIMIT if given.tiny else 2 * estimate + 60)
    asked = Asked(given.data_dir, given.work, given.tiny, rates_of(found))
    return run_stage(name, asked, limit, note)


def measure(given: argparse.Namespace) -> None:
    """Do the stages that fit into the budget, and say what is left."""
    if given.list:
        for stage in STAGES.values():
            print(f"{stage.name:12} about {stage.seconds:4} s  {stage.what}")
        return
    check_device(given.tiny)
    found = read(given.out, given.tiny)
    try:
        given.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        page.refuse(NAME, f"--out={given.out} cannot be made ({error.strerror}); give another")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    clock = Clock(time.monotonic(), found["spent_s"], given.budget, given.call)
    out, failed = fall_out(given.stages, given), []
    for name in in_order(given.stages, found):
        entry = entry_of(OUT, out[name]) if name in out else do(name, given, found, clock)
        found["stages"][name] = entry
        found["spent_s"] = clock.spent()
        write(given.out, found)
        if name not in out:  # which was said
            say(f"{name}: {told(entry)}")
        for row in entry["rows"]:
            print(shown(row), flush=True)
        failed += [name] if entry["state"] == FAILED else []
    print(f"written: {given.out / 'results.md'}")
    sys.exit(1 if failed else 0)


def main() -> None:
    """Do what the command line asks for, or what is left of it."""
    try:
        measure(command_line())
    except KeyboardInterrupt:
        say("interrupted; the same command goes on")
        sys.exit(130)


if __name__ == "__main__":
    main()
