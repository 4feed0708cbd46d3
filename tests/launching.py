"""Starts launch.py as a user does.

Nearly all of a launch that does little is the import of JAX and of what reads data. So a process
that has them, launch_server.py, is forked. JAX has read its variables then, so it is told of two,
the devices and their number.
"""

import atexit
import contextlib
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from dla_jax.evidence.rows import read_record

ROOT = Path(__file__).resolve().parent.parent
# Programs are compiled quickly rather than well, which takes a third of the time; no test measures
# how fast they run. XLA says nothing of an extra option that it does not know: time a new JAX.
QUICKLY = (
    "--xla_backend_optimization_level=0 --xla_cpu_parallel_codegen_split_count=1"
    " --xla_backend_extra_options=xla_cpu_disable_new_fusion_emitters=true"
)
# No program notes which line of Python each of its operations comes from: it is traced sooner.
UNTRACED = {"JAX_TRACEBACK_IN_LOCATIONS_LIMIT": "0"}
# Tracing makes millions of objects, few of them garbage: it is looked for less often.
SELDOM = (50_000, 20, 20)
# For many channels or many texts, whose loops take longer than to optimise them a little.
LOOPS = {"XLA_FLAGS": QUICKLY.replace("level=0", "level=1")}


class Answer(NamedTuple):
    """The answer to a command line."""

    code: int
    out: str
    err: str


def environment(**changes) -> dict:
    """Return the environment of a laptop: one CPU device."""
    kept = {name: value for name, value in os.environ.items() if name != "JAX_NUM_CPU_DEVICES"}
    laptop = {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT), "XLA_FLAGS": QUICKLY}
    return kept | laptop | changes


@functools.cache
def server() -> subprocess.Popen:
    """Start the process that is forked for each command line, once."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    # -P: no test helper is found by what is launched
    command = (sys.executable, "-P", "tests/launch_server.py", *map(str, SELDOM))
    process = subprocess.Popen(command, cwd=ROOT, env=environment(), **pipes)
    atexit.register(process.communicate)  # which closes its input, and so ends it
    return process


def ask(*request):
    """Return the server's answer to a request."""
    print(json.dumps(request), file=server().stdin, flush=True)
    answer = server().stdout.readline()
    assert answer, "launch_server.py has ended: its standard error says why"
    return json.loads(answer)


class Process:
    """A launch under way, in the words of subprocess.Popen."""

    def __init__(self, pid: int):
        self.pid, self.returncode, self.said = pid, None, None

    def poll(self, wait: bool = False) -> int | None:
        """Return the exit code, None while it runs."""
        if self.returncode is None and (answer := ask("end", self.pid, wait)):
            self.returncode, *self.said = answer
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it has not ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to stop."""
        self.send_signal(signal.SIGTERM)

    def communicate(self) -> list[str]:
        """Wait for it, and return its [standard output, standard error]."""
        self.poll(wait=True)
        return self.said


def wait_until(what: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until something is true; an error after so many seconds."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "no progress"
        time.sleep(0.01)


def num_rows(workdir: Path, of: str = "") -> int:
    """Return how many rows a record has, of the runs whose names begin so."""
    return sum(row["run"].startswith(of) for row in read_record(workdir))


def copy_as_killed(
    process: Process, workdir: Path, copy: Path, is_time: Callable[[], bool], later: float = 0
) -> None:
    """Copy a workdir when it is time, or some seconds later, as a kill would leave it just then.

    The process stands still meanwhile, and goes on. Nothing is copied where it ends before: who
    called looks at what the copy holds.
    """
    wait_until(lambda: process.poll() is not None or is_time(), seconds=120)
    time.sleep(later)
    process.send_signal(signal.SIGSTOP)
    try:
        time.sleep(0.1)  # until all its threads have heard of it
        if process.poll() is None:
            shutil.copytree(workdir, copy)
    finally:
        # also where it has ended: it may stand still, and be used again
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGCONT)


def start(
    *arguments: str,
    stdin: str = "",
    folder: Path = ROOT,
    warm: bool = False,
    drawn: bool = False,
    **changes,
) -> Process:
    """Start `python launch.py ARGUMENTS` in a folder, and do not wait for it.

    Args:
      warm: whether it may be run by a process that has run a command line of the same config, and
        has its programs. Not for what depends on a new process: workers, modules and data that were
        changed, what is said once a process, and a run that goes on and whose bits are compared
        for the first time, which this process might know from memory.
      drawn: whether its figures are drawn, as those of all smokes are; else they are blank, and no
        two alike.
      changes: of the environment; of what JAX reads on import, only the devices and their number.
    """
    assert not (warm and (stdin or changes or folder != ROOT)), "these are kept from the first"
    return Process(
        ask("start", [str(word) for word in arguments], stdin, str(folder), changes, warm, drawn)
    )


def launch(*arguments: str, **options) -> Answer:
    """Run `python launch.py ARGUMENTS` in a folder, and wait for it.

    Args:
      options: see `start`.
    """
    process = start(*arguments, **options)
    out, err = process.communicate()
    return Answer(process.returncode, out, err)


def answers_to(command_lines: Iterable[str], **options) -> dict[str, Answer]:
    """Return the answers to many command lines, each one string, by command line.

    Args:
      options: see `start`.
    """
    return {line: launch(*line.split(), **options) for line in command_lines}


def assert_refused(answer: Answer, words: list[str]) -> None:
    """Fail unless the answer is one line on standard error that holds all words, with code 2."""
    assert answer.code == 2, answer.err
    assert answer.out == "" and len(answer.err.splitlines()) == 1, answer.err
    assert "Traceback" not in answer.err, answer.err
    for word in words:
        assert word in answer.err, f"{word!r} is not in: {answer.err}"


def launch_many(command_lines: list[list[str]]) -> list[Answer]:
    """Return the answers to many command lines."""
    return [launch(*line) for line in command_lines]
