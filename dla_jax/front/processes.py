"""The workers of this machine: how they are started, and what is left of one that ended.

Imports nothing that is slow.
"""

import contextlib
import glob
import itertools
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from dla_jax.config.flags import TYPED

TAIL = 4096  # bytes of a log, in which its last line is


class Start(NamedTuple):
    """How a worker is started."""

    command: list[str]
    log: Path  # what it says
    environment: dict[str, str]  # beside this process's own


class Ended(NamedTuple):
    """A worker that ended otherwise than at the end of the study."""

    code: int  # its exit code; below 0: the signal that ended it
    log: Path

    @property
    def last_line(self) -> str:
        """What it said last; empty where it said nothing."""
        try:
            with open(self.log, "rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
                lines = file.read().decode("utf-8", errors="replace").split("\n")
        except OSError:
            return ""
        return next((line.strip() for line in reversed(lines) if line.strip()), "")


def new_log(folder: Path) -> Path:
    """Make the first log `worker<n>.log` of a folder that is not there yet, and return it."""
    for number in itertools.count(1):
        path = folder / f"worker{number}.log"
        with contextlib.suppress(FileExistsError):
            path.touch(exist_ok=False)
            return path


def start(given: Start) -> subprocess.Popen:
    """Start a worker, in a session of its own: a terminal's Ctrl-C goes to who started it."""
    with open(given.log, "a", encoding="utf-8") as log:
        return subprocess.Popen(
            given.command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=os.environ | given.environment,
            start_new_session=True,
        )


class Processes:
    """The workers of this machine."""

    def __init__(self, starts: list[Start], start: Callable):
        """Start them.

        Args:
          start: what starts one, a `Start` -> a `subprocess.Popen`, or what has its words.
        """
        self._logs = [given.log for given in starts]
        self._started = [start(given) for given in starts]

    def under_way(self) -> int:
        """Return how many have not ended."""
        return sum(process.poll() is None for process in self._started)

    def words(self) -> str:
        """Return the same in words."""
        return f"{self.under_way()} workers"

    def stop(self) -> None:
        """Ask them to save their state and stop."""
        for process in self._started:
            process.send_signal(signal.SIGTERM)

    def dismiss(self) -> None:
        """Let them go, since the study is finished: they end of themselves."""

    def failed(self) -> list[Ended]:
        """Return those that ended before the study did."""
        ended = zip(self._started, self._logs, strict=True)
        return [Ended(process.returncode, log) for process, log in ended if process.returncode]


def starts_of(command: list[str], folder: Path, typed: str, number: int) -> list[Start]:
    """Return how so many workers are started.

    Args:
      folder: of their logs.
      typed: the command that was typed.
    """
    return [Start(command, new_log(folder), {TYPED: typed} | own) for own in shares(number)]


def shares(number: int) -> list[dict[str, str]]:
    """Return the variables that share the GPUs of this machine among so many processes.

    Each gets one; of those that share one, each gets a part of its memory, which JAX takes at once.
    """
    gpus = visible_gpus()
    if not gpus:
        return [{} for _ in range(number)]
    together = -(-number // len(gpus))
    part = {} if together == 1 else {"XLA_PYTHON_CLIENT_MEM_FRACTION": f"{0.9 / together:.3f}"}
    part |= {name: os.environ[name] for name in part.keys() & os.environ.keys()}
    return [{"CUDA_VISIBLE_DEVICES": gpus[i % len(gpus)]} | part for i in range(number)]


def visible_gpus() -> list[str]:
    """Return the NVIDIA GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [name for name in given.split(",") if name]
    return [str(i) for i in range(len(glob.glob("/dev/nvidia[0-9]*")))]
