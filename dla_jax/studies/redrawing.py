"""While a study runs, its page is drawn again and again, by a process of its own (`so_far.py`).

What trains shares nothing with that process, and never waits for it.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator

from dla_jax.config.checks import ConfigError
from dla_jax.config.project import PACKAGE
from dla_jax.studies.so_far import Frame

EVERY = 60.0  # seconds between two drawings, at least
SHARE = 0.03  # of the time of one core is spent on them, at most
LOOK = 0.2  # seconds between two looks whether one is done
# One thread: the cores are for what trains.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@contextlib.contextmanager
def redrawn(frame: Callable[[], Frame | None], is_ours: Callable[[], bool]) -> Iterator[None]:
    """Draw the page of an unfinished study within the `with`, from time to time.

    Args:
      frame: what the page says beside the record; None: the study has not begun yet.
      is_ours: whether this process draws, of those that share the workdir; asked each time.
    """
    over = threading.Event()
    drawing = threading.Thread(target=keep_drawing, args=(frame, is_ours, over), daemon=True)
    drawing.start()
    try:
        yield
    finally:
        over.set()
        drawing.join()


def keep_drawing(frame: Callable, is_ours: Callable, over: threading.Event) -> None:
    """Draw until it is `over`. That a page cannot be drawn is said once, and tried again."""
    wait, told, given = EVERY, False, None
    while not over.wait(wait):
        start, busy = time.monotonic(), 0.0
        try:
            if is_ours():
                given = given or frame()
                busy = draw_apart(given, over) if given else 0.0
        except (ConfigError, OSError) as error:
            if not told:
                print(
                    f"report.html of the unfinished study is not drawn ({error}); it goes on",
                    file=sys.stderr,
                )
            told = True
        wait = max(EVERY, busy / SHARE, time.monotonic() - start)  # the last: of a slow disk


def draw_apart(frame: Frame, over: threading.Event) -> float:
    """Draw a page by another process, and return the seconds of a core that it took.

    It is ended where all is `over` before.

    Raises:
      ConfigError: it could not, and why.
      OSError: there is no place for temporary files, or no process can be started.
    """
    paths = [str(PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    # Where the current folder has a `dla_jax` of its own, -P keeps it out.
    command = [sys.executable, "-P", "-m", "dla_jax.studies.so_far"]
    with tempfile.TemporaryDirectory() as folder:
        own = {"PYTHONPATH": os.pathsep.join(paths), "TMPDIR": folder}
        with (
            tempfile.TemporaryFile("w+", dir=folder) as given,
            tempfile.TemporaryFile("w+", dir=folder) as took,
            tempfile.TemporaryFile("w+", dir=folder) as said,
        ):
            json.dump(frame._asdict(), given)
            given.seek(0)
            # In a session of its own: a terminal's Ctrl-C is for the study.
            process = subprocess.Popen(
                command,
                stdin=given,
                stdout=took,
                stderr=said,
                env=os.environ | ONE_THREAD | own,
                start_new_session=True,
            )
            while process.poll() is None:
                if over.wait(LOOK):
                    process.kill()
                    process.wait()
                    return 0.0
            for file in (took, said):
                file.seek(0)
            if process.returncode:
                lines = [line for line in said.read().split("\n") if line]
                raise ConfigError(lines[-1] if lines else f"exit code {process.returncode}")
            return float(took.read())
