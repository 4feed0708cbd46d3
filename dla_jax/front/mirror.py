"""The record of a study in Weights & Biases too (`--wandb`): what starts and ends its mirror.

The mirror is a process of its own (`wandb_runs.py`), which reads the files of the record. Whatever
happens to it, to the network or to W&B, the study neither waits for it nor fails with it.
"""

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from dla_jax.config.checks import check
from dla_jax.config.project import ROOT, install_words
from dla_jax.config.workdir import MIRROR

LOG = "mirror.log"  # what the mirror says
WAIT = 60.0  # seconds that a finished study waits for its mirror


def check_installed() -> None:
    """Raise ConfigError where W&B is not installed."""
    check(
        importlib.util.find_spec("wandb") is not None,
        f"--wandb needs the package wandb; install it with: {install_words('wandb')}",
    )


@contextlib.contextmanager
def mirrored(workdir: Path, wanted: bool, wait: float = WAIT) -> Iterator[None]:
    """Mirror the record of a workdir while the body runs, where that is wanted.

    Args:
      wait: seconds that the end waits for what is still to be mirrored.
    """
    if not wanted:
        yield
        return
    process = start(workdir)
    try:
        yield
    finally:
        end(process, workdir / MIRROR / LOG, wait)


def start(workdir: Path) -> subprocess.Popen:
    """Start the mirror of a workdir. Its standard input ends when this process does."""
    folder = workdir / MIRROR
    folder.mkdir(parents=True, exist_ok=True)
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    with open(folder / LOG, "w", encoding="utf-8") as log:
        process = subprocess.Popen(
            (sys.executable, "-m", "dla_jax.front.wandb_runs", str(workdir)),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
            start_new_session=True,  # a terminal's Ctrl-C is not for it
        )
    os.register_at_fork(after_in_child=process.stdin.close)
    return process


def end(process: subprocess.Popen, log: Path, wait: float) -> None:
    """Let a mirror end, and say in one line where not all is mirrored."""
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    try:
        code = process.wait(wait)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        said = f"not all was sent in {wait:g} s"
    else:
        if code == 0:
            return
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        said = lines[-1] if lines else f"its process ended with {code}"
    print(
        f"wandb: {said}; the record has all of it, and the same command mirrors the rest",
        file=sys.stderr,
    )
