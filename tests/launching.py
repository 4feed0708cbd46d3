"""Starts launch.py as a user does.

Nearly all of a launch that does little is the import of JAX and of what reads data. So a process
that has them, and has started nothing, is forked for each command line. JAX has read its variables
then, so it is told of two, the devices and their number.
"""

import atexit
import functools
import importlib.metadata
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
# how fast they run. JAX 0.11 has no fusion emitters to switch off, and refuses unknown flags.
QUICKLY = "--xla_backend_optimization_level=0 --xla_cpu_parallel_codegen_split_count=1"
if importlib.metadata.version("jax").startswith("0.10."):
    QUICKLY += " --xla_cpu_use_fusion_emitters=false"
# No program notes which line of Python each of its operations comes from: it is traced sooner.
UNTRACED = {"JAX_TRACEBACK_IN_LOCATIONS_LIMIT": "0"}
# Tracing makes millions of objects, few of them garbage: it is looked for less often.
SELDOM = (50_000, 20, 20)
# Reads one request a line as JSON. [arguments, standard input, folder, changes of the environment]
# is a command line, answered by its process id. [process id, whether to wait for it] is answered by
# null while it runs, then by [exit code, standard output, standard error]. An alarm ends what takes
# too long.
SERVER = """
import atexit, gc, importlib, json, os, runpy, signal, sys, tempfile, threading, traceback
import sklearn.datasets, sklearn.feature_extraction.text, sklearn.linear_model, sklearn.metrics
import sklearn.model_selection, tensorboardX
import jax._src.api
from matplotlib.layout_engine import ConstrainedLayoutEngine
from dla_jax import commands, studies
for name, module in (studies.modules() | commands.modules()).items():
    if name != "agents":  # gymnax starts JAX's threads, which no fork takes along
        importlib.import_module(module)
# half of drawing is to find a place for all; where all stands, tests/plots looks at
ConstrainedLayoutEngine.execute = lambda *_: None
# a process that ends need not free its programs
atexit.unregister(getattr(jax._src.api, "clean_up", None))
atexit.register(jax.distributed.shutdown)  # which is the rest of it
# no fork looks through what was imported, which would copy it
gc.freeze(), gc.set_threshold(*map(int, sys.argv[1:]))

read_on_import = {"JAX_NUM_CPU_DEVICES": int, "JAX_PLATFORMS": str}

def run(arguments, folder, changes, streams):
    for number, stream in enumerate(streams):
        os.dup2(stream.fileno(), number)
    # as it is typed, which is what a stopped launch repeats
    launcher = "launch.py" if os.path.samefile(folder, ".") else os.path.abspath("launch.py")
    os.chdir(folder), os.environ.update(changes), signal.alarm(300)
    for name in changes.keys() & read_on_import.keys():
        jax.config.update(name.lower(), read_on_import[name](changes[name]))
    sys.argv = ["launch.py", *arguments]
    try:
        runpy.run_path(launcher, run_name="__main__")
        return 0
    except SystemExit as exit:
        return exit.code or 0
    except BaseException:
        traceback.print_exc()
        return 1

def begin(arguments, typed, *more):
    streams = [tempfile.TemporaryFile("w+") for _ in range(3)]
    streams[0].write(typed), streams[0].seek(0)
    child = os.fork()
    if child == 0:
        code = run(arguments, *more, streams)
        # all that an exit does but to free each object, which takes a second
        threading._shutdown(), atexit._run_exitfuncs()
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(code)
    under_way[child] = streams
    return child

def end(child, wait):
    found, status = os.waitpid(child, 0 if wait else os.WNOHANG)
    if not found:
        return None
    streams = under_way.pop(child)
    for stream in streams:
        stream.seek(0)
    return os.waitstatus_to_exitcode(status), streams[1].read(), streams[2].read()

under_way = {}
for line in sys.stdin:
    request = json.loads(line)
    print(json.dumps(begin(*request) if len(request) == 4 else end(*request)), flush=True)
"""

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
    command = (sys.executable, "-c", SERVER, *map(str, SELDOM))
    process = subprocess.Popen(command, cwd=ROOT, env=environment(), **pipes)
    atexit.register(process.communicate)  # which closes its input, and so ends it
    return process


def ask(*request):
    """Return the server's answer to a request."""
    print(json.dumps(request), file=server().stdin, flush=True)
    return json.loads(server().stdout.readline())


class Process:
    """A launch under way, in the words of subprocess.Popen."""

    def __init__(self, pid: int):
        self.pid, self.returncode, self.said = pid, None, None

    def poll(self, wait: bool = False) -> int | None:
        """Return the exit code, None while it runs."""
        if self.returncode is None and (answer := ask(self.pid, wait)):
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
    process: Process, workdir: Path, copy: Path, is_time: Callable[[], bool]
) -> None:
    """Copy a workdir when it is time, as a kill would leave it just then.

    The process stands still meanwhile, and goes on. Nothing is copied where it ends before: who
    called looks at what the copy holds.
    """
    wait_until(lambda: process.poll() is not None or is_time(), seconds=120)
    process.send_signal(signal.SIGSTOP)
    try:
        time.sleep(0.1)  # until all its threads have heard of it
        if process.poll() is None:
            shutil.copytree(workdir, copy)
    finally:
        process.send_signal(signal.SIGCONT)


def start(*arguments: str, stdin: str = "", folder: Path = ROOT, **changes) -> Process:
    """Start `python launch.py ARGUMENTS` in a folder, and do not wait for it.

    Args:
      changes: of the environment; of what JAX reads on import, only the devices and their number.
    """
    return Process(ask([str(word) for word in arguments], stdin, str(folder), changes))


def launch(*arguments: str, stdin: str = "", folder: Path = ROOT, **changes) -> Answer:
    """Run `python launch.py ARGUMENTS` in a folder, and wait for it.

    Args:
      changes: see `start`.
    """
    process = start(*arguments, stdin=stdin, folder=folder, **changes)
    out, err = process.communicate()
    return Answer(process.returncode, out, err)


def answers_to(command_lines: Iterable[str]) -> dict[str, Answer]:
    """Return the answers to many command lines, each one string, by command line."""
    return {line: launch(*line.split()) for line in command_lines}


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
