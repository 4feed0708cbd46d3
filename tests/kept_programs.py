"""Programs that tests compiled are kept for the next time, in a folder that JAX reads and fills."""

import time
from pathlib import Path

from jax._src import compilation_cache

DAYS = 30  # after which a program that no test has read is removed


def is_whole(program: Path) -> bool:
    """Return whether a program can be read."""
    try:
        compilation_cache.decompress_executable(program.read_bytes())
    except Exception:  # of whichever library has compressed it
        return False
    return True


def tidy(folder: Path) -> None:
    """Remove what was written in part since the last time, and what was not read for long.

    JAX does not write a program in one step: of a process that is killed meanwhile, a part may be
    left. JAX would warn of it in each run of the tests, compile, and leave it so.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tidied = folder / "tidied"
    looked_at = tidied.stat().st_mtime if tidied.exists() else 0.0
    tidied.touch()
    oldest = time.time() - DAYS * 24 * 60 * 60
    for program in folder.glob("*-cache"):
        status = program.stat()
        is_new = status.st_mtime >= looked_at
        if status.st_atime < oldest or (is_new and not is_whole(program)):
            program.unlink(missing_ok=True)  # another run of the tests may tidy too
