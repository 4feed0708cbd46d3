"""Starts launch.py as a user does; many command lines that fail early share one import of JAX."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
# Imports what a launch imports, then forks for each command line; before the fork no backend is
# initialised.
MANY = """
import json, os, runpy, sys, tempfile
import dla_jax.studies.depth.study
answers = []
for arguments in json.load(sys.stdin):
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        child = os.fork()
        if child == 0:
            os.dup2(out.fileno(), 1), os.dup2(err.fileno(), 2)
            sys.argv = ["launch.py", *arguments]
            code = 1
            try:
                runpy.run_path("launch.py", run_name="__main__")
                code = 0
            except SystemExit as exit:
                code = exit.code or 0
            except BaseException:
                import traceback
                traceback.print_exc()
            sys.stdout.flush(), sys.stderr.flush()
            os._exit(code)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        out.seek(0), err.seek(0)
        answers.append([status, out.read(), err.read()])
json.dump(answers, sys.stdout)
"""


class Answer(NamedTuple):
    """The answer to a command line."""

    code: int
    out: str
    err: str


def environment(**changes) -> dict:
    """Return the environment of a laptop: one CPU device."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("JAX_NUM_CPU_DEVICES", "XLA_FLAGS")
    }
    return kept | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)} | changes


def launch(*arguments: str, timeout: float = 300, **changes) -> Answer:
    """Run `python launch.py ARGUMENTS` in a process of its own, and wait for it."""
    command = (sys.executable, "launch.py", *arguments)
    result = subprocess.run(
        command,
        cwd=ROOT,
        env=environment(**changes),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Answer(result.returncode, result.stdout, result.stderr)


def start(*arguments: str, **changes) -> subprocess.Popen:
    """Start `python launch.py ARGUMENTS`, and do not wait for it."""
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
    lines = list(command_lines)
    return dict(zip(lines, launch_many([line.split() for line in lines]), strict=True))


def assert_refused(answer: Answer, words: list[str]) -> None:
    """Fail unless the answer is one line on standard error that holds all words, with code 2."""
    assert answer.code == 2, answer.err
    assert answer.out == "" and len(answer.err.splitlines()) == 1, answer.err
    assert "Traceback" not in answer.err, answer.err
    for word in words:
        assert word in answer.err, f"{word!r} is not in: {answer.err}"


def launch_many(command_lines: list[list[str]]) -> list[Answer]:
    """Return the answers to many command lines."""
    result = subprocess.run(
        (sys.executable, "-c", MANY),
        cwd=ROOT,
        env=environment(),
        input=json.dumps(command_lines),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return [Answer(*answer) for answer in json.loads(result.stdout)]
