"""Two sides measured in turn, each time in a process of its own: the benchmarks share this.

A side is "ours" or "torch", or another where a benchmark says so; a job is a named tuple that says
what is measured. The benchmark `bench.name` brings three functions:

`work_of(side, job, setting)` makes a function of n that does about n pieces of work, done when it
returns, and says how many it did; `units_of(job)` is what one piece counts for;
`settings_of(side, job)` is what to choose a side's best from.
"""

import itertools
import json
import os
import resource
import subprocess
import sys
import time

import numpy as np

from bench import page
from dla_jax.front.heap import keep_freed_memory

SIDES = "ours", "torch"


def dtype() -> str:
    """Return what both sides compute in, where JAX runs."""
    import jax

    return "float32" if jax.default_backend() == "cpu" else "bfloat16"


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def core_counts() -> list[int]:
    """Return all cores, and one where a process can be kept to it."""
    counts = (cores(), 1) if hasattr(os, "sched_setaffinity") else (cores(),)
    return list(dict.fromkeys(counts))


def keep_to(count: int) -> None:
    """Keep this process to `count` cores.

    That comes before it starts a library that has as many threads as there are cores.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def settings(**choices) -> list[dict]:
    """Return every combination of the choices.

    Each comes with glibc's heap as it is, and told to keep freed memory.
    """
    choices = {"heap": ("default", "keep") if sys.platform == "linux" else ("default",)} | choices
    combinations = itertools.product(*map(dict.fromkeys, choices.values()))
    return [dict(zip(choices, found, strict=True)) for found in combinations]


def training(task, rows: int, whole: bool = False):
    """Return the work of our side: the steps of a run of a study, which `task` is.

    A compiled call takes up to `rows` of them; with `whole`, never fewer.
    """
    import jax

    from dla_jax.training.loop import stack_batches
    from dla_jax.training.steps import init_state, run_steps

    state, key = init_state(task.init_fn, task.tx, seed=0, lr=1e-3, mesh=task.mesh)
    taken = 0

    def take(n):
        nonlocal state, taken
        n = -(-n // rows) * rows if whole else n
        stop = taken + n
        while taken < stop:
            count = min(rows, stop - taken)
            batches = stack_batches(task.batch_at, taken, taken + count, rows)
            state, _, _ = run_steps(
                state,
                task.data,
                batches,
                count,
                key,
                loss_fn=task.loss_fn,
                tx=task.tx,
                trace=task.trace,
                mesh=task.mesh,
            )
            taken += count
        jax.block_until_ready(state)
        return n

    return take


def repeated(once, wait=None):
    """Return work that is `once`, n times; `wait` waits for the device."""

    def take(n):
        for _ in range(n):
            once()
        if wait:
            wait()
        return n

    return take


def spent() -> np.ndarray:
    """Return the seconds of wall time and of CPU time so far, float [2]."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return np.array((time.perf_counter(), used.ru_utime + used.ru_stime))


def measure(side: str, job, setting: dict, seconds: float, work_of, units_of) -> dict:
    """Measure work in this process.

    Returns:
      "wall", "cpu": units per second of wall time and of CPU time; "first": seconds before the
      first piece was done; "gib": memory at most.
    """
    if setting["heap"] == "keep":
        keep_freed_memory()
    start = time.perf_counter()
    take = work_of(side, job, setting)
    take(1)
    first = time.perf_counter() - start
    begin, taken = time.perf_counter(), 0
    while (lasted := time.perf_counter() - begin) < seconds / 4:  # warm-up
        taken += take(taken + 1)
    pieces, begin = max(1, round(taken * seconds / lasted)), spent()
    units = units_of(job) * take(pieces)
    wall, cpu = spent() - begin
    return {"wall": units / wall, "cpu": units / cpu, "first": first, "gib": peak() / 1024}


def peak() -> float:
    """Return the memory of this process at most so far, in MiB."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 2**10 / (1024 if sys.platform == "darwin" else 1)  # bytes there, else KiB


def last_line(stderr: str) -> str:
    """Return the last line that a process left, or that it was killed."""
    return (stderr.strip().splitlines() or ["killed"])[-1]


def run_once(name: str, side: str, job, setting: dict, seconds: float) -> dict:
    """Return what `measure` says in a process of its own, which is `bench.name`."""
    asked = json.dumps([side, job, setting, seconds])
    command = (sys.executable, "-m", f"bench.{name}", "--measure", asked)
    result = subprocess.run(command, cwd=page.ROOT, capture_output=True, text=True, check=False)
    if result.returncode:
        why = last_line(result.stderr)
        sys.exit(f"bench.{name}: {side} {job} {setting} failed: {why}")
    return json.loads(result.stdout.splitlines()[-1])


def answered(make_job, *functions, by=measure) -> bool:
    """Return whether this process is one that `run_once` started.

    Then what it asks for is measured and printed.

    Args:
      make_job: makes the job of its parts.
      functions: what `by` needs beside what it is asked for; `measure` needs `work_of` and
        `units_of`.
      by: measures.
    """
    if sys.argv[1:2] != ["--measure"]:
        return False
    side, job, setting, seconds = json.loads(sys.argv[2])
    print(json.dumps(by(side, make_job(*job), setting, seconds, *functions)))
    return True


def compare(
    name: str, job, settings_of, rounds: int, seconds: float, sides: tuple[str, str] = SIDES
) -> dict:
    """Find the best settings, where there is a choice, then measure `rounds` pairs of runs.

    The runs of a pair take turns. `sides`: ours and the other.
    """

    def best_of(side):
        rate = lambda setting: run_once(name, side, job, setting, seconds / 3)["wall"]
        found = settings_of(side, job)
        return max(found, key=rate) if len(found) > 1 else found[0]

    best, pairs = {side: best_of(side) for side in sides}, []
    for i in range(rounds):
        turns = sides[::-1] if i % 2 else sides
        pairs.append({side: run_once(name, side, job, best[side], seconds) for side in turns})
        ours, other = (pairs[-1][side]["wall"] for side in sides)
        print(f"{job}: round {i + 1}: {ours / other:.2f}", file=sys.stderr)
    return {"job": job, "best": best, "pairs": pairs}
