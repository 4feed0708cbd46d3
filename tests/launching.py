"""Starts launch.py as a user does.

Nearly all of a launch that does little is the import of JAX. So a process that has it, and has
started nothing, is forked for each command line; `start` and changes of the environment take a
process of their own.
"""

import atexit
import functools
import importlib.metadata
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
# Programs are compiled quickly rather than well, which takes a third of the time; no test measures
# how fast they run. JAX 0.11 has no fusion emitters to switch off, and refuses unknown flags.
QUICKLY = "--xla_backend_optimization_level=0 --xla_cpu_parallel_codegen_split_count=1"
if importlib.metadata.version("jax").startswith("0.10."):
    QUICKLY += " --xla_cpu_use_fusion_emitters=false"
# Reads one request a line as JSON, (arguments, standard input, folder, changes of the environment),
# and answers (exit code, standard output, standard error). An alarm ends what takes too long.
SERVER = """
import importlib, json, os, runpy, signal, sys, tempfile, traceback
from dla_jax import commands, studies
for name, module in (studies.modules() | commands.modules()).items():
    if name != "agents":  # gymnax starts JAX's threads, which no fork takes along
        importlib.import_module(module)

def run(launcher, arguments, folder, changes, streams):
    for number, stream in enumerate(streams):
        os.dup2(stream.fileno(), number)
    os.chdir(folder), os.environ.update(changes), signal.alarm(300)
    sys.argv = ["launch.py", *arguments]
    try:
        runpy.run_path(launcher, run_name="__main__")
        return 0
    except SystemExit as exit:
        return exit.code or 0
    except BaseException:
        traceback.print_exc()
        return 1

for line in sys.stdin:
    launcher, arguments, typed, *more = json.loads(line)
    streams = [tempfile.TemporaryFile("w+") for _ in range(3)]
    streams[0].write(typed), streams[0].seek(0)
    child = os.fork()
    if child == 0:
        code = run(launcher, arguments, *more, streams)
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    for stream in streams:
        stream.seek(0)
    print(json.dumps([code, streams[1].read(), streams[2].read()]), flush=True)
"""

# For convolutions of many channels, whose loops take longer than to optimise them a little.
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
    process = subprocess.Popen((sys.executable, "-c", SERVER), cwd=ROOT, env=environment(), **pipes)
    atexit.register(process.communicate)  # which closes its input, and so ends it
    return process


def launch(*arguments: str, stdin: str = "", folder: Path = ROOT, **changes) -> Answer:
    """Run `python launch.py ARGUMENTS` in a folder, and wait for it.

    Args:
      changes: of the environment; those that JAX reads on import take a process of its own.
    """
    if not any(name.startswith("JAX_") for name in changes):
        words = [str(argument) for argument in arguments]
        request = [str(ROOT / "launch.py"), words, stdin, str(folder), changes]
        print(json.dumps(request), file=server().stdin, flush=True)
        return Answer(*json.loads(server().stdout.readline()))
    result = subprocess.run(
        (sys.executable, ROOT / "launch.py", *arguments),
        cwd=folder,
        env=environment(**changes),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        input=stdin,
    )
    return Answer(result.returncode, result.stdout, result.stderr)


def start(*arguments: str, **changes) -> subprocess.Popen:
    """Start `python launch.py ARGUMENTS` in a process of its own, and do not wait for it."""
    command = (sys.executable, "launch.py", *arguments)
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment(**changes),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


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
