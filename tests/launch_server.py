"""The process that launching.py asks to run launch.py: `python -P tests/launch_server.py 9 9 9`.

It has imported what takes time, and has started nothing of JAX, so that a fork of it begins at
once. A fork runs one command line and ends, or, where these are warm, one after another of the same
config: it has traced and compiled its programs then. Its arguments are the thresholds of the
garbage collection of its forks.

It reads one request a line as JSON, and answers each with a line.
- ["start", arguments, standard input, folder, changes of the environment, warm, drawn]: the answer
  is the id of the process that runs this command line.
- ["end", process id, whether to wait]: the answer is null while it runs, then [exit code, standard
  output, standard error].
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import shutil
import signal
import sys
import tempfile
import threading
import traceback
from pathlib import Path
from typing import NamedTuple, TextIO

import jax._src.api
import numpy as np
from absl import flags
from jax._src import xla_bridge
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from dla_jax import commands, studies
from dla_jax.config.stop import stop_requested
from dla_jax.plots import style

# What a launch imports beside its study, and what gymnax does, which starts JAX itself.
IMPORTED = (
    "absl.app",
    "dla_jax.front.launching",
    "dla_jax.front.mirror",
    "dla_jax.plots.learning",
    "dla_jax.plots.places",
    "dla_jax.studies.dry_run",
    "gymnasium",
    "ml_collections.config_flags",
    "scipy.cluster",
    "sklearn.datasets",
    "sklearn.feature_extraction.text",
    "sklearn.linear_model",
    "sklearn.metrics",
    "sklearn.model_selection",
    "tensorboardX",
)
READ_ON_IMPORT = {"JAX_NUM_CPU_DEVICES": int, "JAX_PLATFORMS": str}  # by JAX
STREAMS = ("in", "out", "err")  # standard input, output and error, a file each
DRAW = Figure.draw
MOST_IDLE = 2  # forks that wait for another warm command line
MOST_SECONDS = 300  # an alarm ends a command line that takes longer


class Fork(NamedTuple):
    """A process that runs command lines."""

    pid: int
    requests: TextIO  # to it
    answers: TextIO  # from it, the exit code of each
    config: str  # the config of its warm command lines, else ""


idle: list[Fork] = []  # those that wait for another warm command line, the last used last
under_way: dict[int, tuple[Fork, Path]] = {}  # {process id: (fork, folder of its streams)}


def prepare(thresholds: list[int]) -> None:
    """Import what launches need, and leave out what no launched test looks at."""
    # half of drawing is to find a place for all, which tests do that draw in their own process
    ConstrainedLayoutEngine.execute = lambda *_: None
    for look in (style.STYLE, style.FRAMED):  # before others copy them
        look["savefig.dpi"] = 80
    studied = studies.modules() | commands.modules()
    del studied["agents"]  # gymnax starts JAX
    for module in (*studied.values(), *IMPORTED):
        importlib.import_module(module)
    # whose threads no fork takes along
    assert not xla_bridge.backends_are_initialized(), "an import has started JAX"
    assert threading.active_count() == 1, "an import has started a thread"
    # a process that ends need not free its programs
    atexit.unregister(getattr(jax._src.api, "clean_up", None))
    atexit.register(jax.distributed.shutdown)  # which is the rest of it
    # no fork looks through what was imported, which would copy it
    gc.freeze()
    gc.set_threshold(*thresholds)


def leave_blank(figure: Figure, renderer) -> None:
    """Draw a pixel by chance and no more: who compares figures that are not drawn is told so."""
    np.asarray(renderer.buffer_rgba())[0, 0] = list(os.urandom(4))


def run(arguments: list[str], folder: str, changes: dict[str, str], drawn: bool) -> int:
    """Run `python launch.py ARGUMENTS` in this process; return its exit code.

    All parts of its figures are made, and then drawn if they are to be.
    """
    Figure.draw = DRAW if drawn else leave_blank
    # as it is typed, which is what a stopped launch repeats
    launcher = "launch.py" if os.path.samefile(folder, ".") else os.path.abspath("launch.py")
    os.chdir(folder)
    os.environ.update(changes)
    for name in changes.keys() & READ_ON_IMPORT.keys():
        jax.config.update(name.lower(), READ_ON_IMPORT[name](changes[name]))
    sys.argv = ["launch.py", *arguments]
    try:
        runpy.run_path(launcher, run_name="__main__")
        return 0
    except SystemExit as exit:
        return exit.code or 0
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def forget(path: list[str]) -> None:
    """Undo what a command line before has changed in this process, but for its programs."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    stop_requested.clear()
    sys.path[:] = path
    configured = [name for name in flags.FLAGS if name.startswith("config.")]
    # absl keeps a flag, and its value, where a module of the same name defines it again
    defined = [flag.name for flag in flags.FLAGS.get_flags_for_module("launch.py")]
    for name in {*configured, *defined}:
        delattr(flags.FLAGS, name)


def run_each(requests: TextIO, answers: TextIO) -> int:
    """Run each command line that is asked for; return the exit code of the last."""
    code, path = 0, sys.path[:]
    for line in requests:
        streams, *request = json.loads(line)
        for place, name in enumerate(STREAMS):
            file = os.open(f"{streams}/{name}", os.O_RDWR)
            os.dup2(file, place)
            os.close(file)
        forget(path)
        signal.alarm(MOST_SECONDS)
        code = run(*request)
        signal.alarm(0)
        for number in (signal.SIGINT, signal.SIGTERM):  # which come too late
            signal.signal(number, signal.SIG_IGN)
        gc.freeze()  # what tracing made stays
        print(code, file=answers, flush=True)
    return code


def fork(config: str) -> Fork:
    """Fork a process that runs command lines until its requests are closed."""
    (request_out, request_in), (answer_out, answer_in) = os.pipe(), os.pipe()
    pid = os.fork()
    if pid:
        os.close(request_out)
        os.close(answer_in)
        return Fork(pid, os.fdopen(request_in, "w"), os.fdopen(answer_out), config)
    for known in (*idle, *(child for child, _ in under_way.values())):
        known.requests.close()
        known.answers.close()
    os.close(request_in)
    os.close(answer_out)
    code = 1
    try:
        code = run_each(os.fdopen(request_out), os.fdopen(answer_in, "w"))
        # all that an exit does but to free each object, which takes a second
        signal.alarm(MOST_SECONDS)
        threading._shutdown()
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def reuse(config: str) -> Fork | None:
    """Return a fork that has run a warm command line of a config, None if there is none."""
    for child in idle:
        if child.config == config:
            idle.remove(child)
            # it may have been killed
            return child if os.waitpid(child.pid, os.WNOHANG)[0] == 0 else None
    return None


def is_large(child: Fork) -> bool:
    """Return whether a process has many programs: see `not_too_many_programs` in conftest.py."""
    process = Path("/proc", str(child.pid))
    if not process.exists():
        return False
    pages = int((process / "statm").read_text().split()[1])
    maps = (process / "maps").read_text().count("\n")
    return maps > 10_000 or pages * os.sysconf("SC_PAGESIZE") > 1.5 * 2**30


def retire(child: Fork) -> None:
    """Let a fork end, as a launch ends."""
    child.requests.close()
    status = os.waitpid(child.pid, 0)[1]
    assert os.WIFEXITED(status), f"{child.config}: its process does not end"


def keep(child: Fork) -> None:
    """Let a fork wait for another warm command line; retire it, or the oldest, if need be."""
    if is_large(child):
        retire(child)
        return
    idle.append(child)
    if len(idle) > MOST_IDLE:
        retire(idle.pop(0))


def start(
    arguments: list[str],
    typed: str,
    folder: str,
    changes: dict[str, str],
    warm: bool,
    drawn: bool,
) -> int:
    """Start a command line; return the id of its process."""
    config = next(word for word in arguments if word.startswith("--config=")) if warm else ""
    config = config.partition(":")[0]  # its presets share programs
    child = reuse(config) or fork(config)
    streams = Path(tempfile.mkdtemp(dir=base))
    for name in STREAMS:
        (streams / name).write_text(typed if name == "in" else "")
    request = [str(streams), arguments, folder, changes, drawn]
    print(json.dumps(request), file=child.requests, flush=True)
    if not warm:
        child.requests.close()
    under_way[child.pid] = child, streams
    return child.pid


def exit_code(child: Fork, wait: bool) -> int | None:
    """Return the exit code of what a fork runs, None while it runs."""
    if child.config:
        if not select.select([child.answers], [], [], None if wait else 0)[0]:
            return None
        if code := child.answers.readline():
            keep(child)
            return int(code)
        wait = True  # it was killed
    found, status = os.waitpid(child.pid, 0 if wait else os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def end(pid: int, wait: bool) -> tuple[int, str, str] | None:
    """Return the exit code, standard output and error of a command line, None while it runs."""
    child, streams = under_way[pid]
    code = exit_code(child, wait)
    if code is None:
        return None
    del under_way[pid]
    out, err = ((streams / name).read_text() for name in ("out", "err"))
    shutil.rmtree(streams)
    return code, out, err


if __name__ == "__main__":
    prepare([int(word) for word in sys.argv[1:]])
    base = tempfile.mkdtemp(prefix="dla_jax_launches_")
    try:
        for line in sys.stdin:
            what, *request = json.loads(line)
            print(json.dumps({"start": start, "end": end}[what](*request)), flush=True)
    finally:
        for child in (*idle, *(child for child, _ in under_way.values())):
            os.kill(child.pid, signal.SIGKILL)
        shutil.rmtree(base)  # not by TemporaryDirectory, which forks would remove when they end
