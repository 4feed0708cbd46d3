"""A stage of `bench.accelerator` in a process of its own, which is ended when it lasts too long."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

from bench import page
from bench.accelerator_results import CUT, DONE, FAILED, entry_of
from bench.accelerator_rows import Asked

STOPS, KILLS = 20, 5  # seconds between asking a stage to stop, and the end
POLL = 0.2  # seconds between two looks


def environment(tiny: bool) -> dict[str, str]:
    """Return the environment of a stage: PyTorch finds memory beside JAX."""
    own = {"JAX_TRACEBACK_FILTERING": "off"}  # else the last line of an error says nothing
    kept = {"XLA_PYTHON_CLIENT_MEM_FRACTION": "0.6"}
    if tiny:
        own["JAX_PLATFORMS"] = "cpu"
        kept["XLA_FLAGS"] = "--xla_backend_optimization_level=1"  # compilation is most of it
    return kept | os.environ | own


def run_stage(name: str, asked: Asked, limit: float, poll) -> dict:
    """Do one stage in a process of its own, and return its entry.

    Args:
      limit: seconds after which it is asked to stop, and then killed with all that it started.
      poll: takes nothing; is called again and again.
    """
    asked.work.mkdir(parents=True, exist_ok=True)
    rows, log = asked.work / f"{name}.rows", asked.work / f"{name}.log"
    rows.unlink(missing_ok=True)
    told = asked._replace(data_dir=str(asked.data_dir), work=str(asked.work))._asdict()
    words = ("-m", "bench.accelerator_stages", name, f"--rows={rows}", "--asked", json.dumps(told))
    how = {"cwd": page.ROOT, "env": environment(asked.tiny), "start_new_session": True}
    began = time.monotonic()
    with log.open("w") as file:
        process = subprocess.Popen((sys.executable, *words), stdout=file, stderr=file, **how)
    try:
        while process.poll() is None and time.monotonic() - began < limit:
            time.sleep(POLL)
            poll()
        timed_out = process.poll() is None
    finally:
        stop(process)
    seconds = time.monotonic() - began
    found = []
    for line in rows.read_text().splitlines() if rows.exists() else ():
        with contextlib.suppress(ValueError):  # cut in the middle of a line
            found.append(json.loads(line))
    if timed_out:
        return entry_of(CUT, f"it may take {limit:.0f} s", seconds, found)
    if process.returncode:
        lines = log.read_text(errors="replace").strip().splitlines()
        return entry_of(FAILED, (lines or ["killed"])[-1][:300], seconds, found)
    return entry_of(DONE, "", seconds, found)


def stop(process: subprocess.Popen) -> None:
    """End a process and all that it started: studies save their state when they are asked."""
    if process.poll() is not None:
        return
    for sent, wait in ((signal.SIGINT, STOPS), (signal.SIGKILL, KILLS)):
        with contextlib.suppress(ProcessLookupError):  # all have ended
            os.killpg(process.pid, sent)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(wait)
