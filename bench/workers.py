"""What several workers cost, and whether they end with the bits of one process when killed.

    python -m bench.workers --kills=50 --workers=4
    python -m bench.workers --kills=0 --config=configs/rescnn.py:digits --config.seeds=0,1

The same study is run by one process, then by `--workers`, each with an empty compilation cache:
their CPU seconds. Then so many processes of `launch.py --join` share a workdir, and one of them at
a time is ended by `kill -9` at a random moment and started again, until that happened `--kills`
times; a study that is finished before is run again in another workdir. After each study its record
is compared with that of one process: all rows but their times, none lost and none twice.
"""

import argparse
import atexit
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.page import ROOT, refuse
from dla_jax.config.workdir import is_finished

# Thirty epochs of digits, rates chosen by halving, checkpoints on the way.
STUDY = (
    "--config=configs/rescnn.py:smoke",
    "--config.num_epochs=30",
    "--config.eval_every_epochs=5",
    "--config.checkpoint_every_steps=60",
    "--config.selection=halving",
)
TIMES = ("seconds", "examples_per_s", "train_seconds", "seconds_per_epoch", "env_steps_per_s")


def main() -> None:
    """Run it, and print what came out."""
    parser = argparse.ArgumentParser(prog="python -m bench.workers", description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="how often a worker is killed")
    parser.add_argument("--workers", type=int, default=4, help="how many share the study")
    parser.add_argument("--seconds", type=float, default=5.0, help="between kills, on the average")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--nocost", action="store_true", help="leave out the CPU seconds")
    given, study = parser.parse_known_args()
    if given.kills < 0 or given.workers < 1 or any(not w.startswith("--config") for w in study):
        refuse(
            "workers", f"{' '.join(sys.argv[1:])}: --kills from 0, --workers from 1, --config..."
        )
    study = tuple(study) or STUDY
    with tempfile.TemporaryDirectory() as folder:
        alone = Path(folder, "alone")
        one = cpu_seconds(study, alone, Path(folder, "cache1"))
        print(f"one process: {one:.0f} CPU-s", flush=True)
        if not given.nocost:
            shared, flag = Path(folder, "shared"), f"--workers={given.workers}"
            all_ = cpu_seconds((*study, flag), shared, Path(folder, "cache2"))
            print(
                f"{flag}: {all_:.0f} CPU-s, {all_ / one:.2f} times as many; {same(shared, alone)}"
            )
        kill(study, Path(folder), alone, given)


def cpu_seconds(study: tuple[str, ...], workdir: Path, cache: Path) -> float:
    """Run a study, and return the CPU seconds of all its processes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    words = (sys.executable, "launch.py", *study, f"--workdir={workdir}", "--quiet")
    environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(cache)}
    answer = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True)
    if answer.returncode:
        refuse("workers", f"the study failed: {answer.stderr.strip().splitlines()[-1]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def kill(study: tuple[str, ...], folder: Path, alone: Path, given: argparse.Namespace) -> None:
    """Kill workers until it happened so often; print what became of each study."""
    rng, kills, number = random.Random(given.seed), 0, 0
    environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(folder / "cache1")}
    while kills < given.kills:
        number += 1
        workdir, before = folder / f"killed{number}", kills
        words = (sys.executable, "launch.py", *study, f"--workdir={workdir}", "--join", "--quiet")
        nowhere = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}

        def start(words=words, nowhere=nowhere) -> subprocess.Popen:
            return subprocess.Popen(words, cwd=ROOT, env=environment, **nowhere)

        team = [start() for _ in range(given.workers)]
        atexit.register(lambda team=team: [process.kill() for process in team])
        while not is_finished(workdir):
            time.sleep(rng.expovariate(1 / given.seconds))
            chosen = rng.randrange(given.workers)
            if kills < given.kills and team[chosen].poll() is None:
                team[chosen].kill()
                kills += 1
            for i, process in enumerate(team):
                if process.poll() is not None and not is_finished(workdir):
                    if process.returncode not in (0, -signal.SIGKILL):
                        refuse("workers", f"a worker ended with {process.returncode}")
                    team[i] = start()
        for process in team:
            process.wait()
        print(f"killed {kills - before} times: {same(workdir, alone)}", flush=True)


def timeless(value):
    """Return a value without times, also in the dicts and lists that it holds."""
    if isinstance(value, dict):
        return {key: timeless(inner) for key, inner in value.items() if key not in TIMES}
    return list(map(timeless, value)) if isinstance(value, list) else value


def record_of(workdir: Path) -> dict[str, list]:
    """Return the rows of all runs, without times: {file: rows}."""
    return {
        str(path.relative_to(workdir)): [
            timeless(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()
        ]
        for path in (workdir / "record").rglob("*.jsonl")
    }


def same(workdir: Path, alone: Path) -> str:
    """Return whether two studies are equal, in words."""
    ours, theirs = record_of(workdir), record_of(alone)
    rows = sum(map(len, theirs.values()))
    if ours == theirs:
        return f"{len(theirs)} runs, {rows} rows, all equal"
    wrong = sorted(
        name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)
    )
    return f"of {len(theirs)} runs {len(wrong)} DIFFER: {', '.join(wrong[:5])}"


if __name__ == "__main__":
    main()
