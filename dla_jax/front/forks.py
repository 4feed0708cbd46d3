"""Processes that are forked from this one, which has imported what they need.

The imports are most of what it costs to start a worker of a small study.
"""

import concurrent.futures
import multiprocessing
import os
import sys
import traceback
from collections.abc import Callable

import jax

from dla_jax.front.processes import Start


def can_fork() -> bool:
    """Return whether workers can be forked from this process: not once JAX has started.

    gymnax starts it when it is imported. On macOS no program that has threads can be.
    """
    if sys.platform != "linux":
        return False
    devices = jax.config.jax_num_cpu_devices
    try:
        jax.config.update("jax_num_cpu_devices", 2 if devices == 1 else 1)
    except RuntimeError:  # it may not be changed any more
        return False
    jax.config.update("jax_num_cpu_devices", devices)
    return True


def forked(work: Callable, *given):
    """Return `work(*given)`, done by a process that is forked from this one."""
    context = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(work, *given).result()


class Forked:
    """A worker that is forked from this process, in the words of `subprocess.Popen`."""

    def __init__(self, given: Start, work: Callable[[], None]):
        """Fork it.

        Args:
          given: its `command` is not used.
          work: what it does; it ends by returning, or by `sys.exit`.
        """
        sys.stdout.flush()
        sys.stderr.flush()
        self.returncode, self.pid = None, os.fork()
        if self.pid == 0:
            os._exit(code_of(work, given))  # what this process does on its exit is not for it

    def poll(self) -> int | None:
        """Return the exit code, below 0 that of a signal; None while it runs."""
        if self.returncode is None:
            found, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if found else None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it has not ended."""
        if self.poll() is None:
            os.kill(self.pid, number)


def code_of(work: Callable[[], None], given: Start) -> int:
    """Do the work of a forked process, in a session and with a log of its own.

    Returns:
      Its exit code.
    """
    try:
        os.setsid()  # as `start` does
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        log = os.open(given.log, os.O_WRONLY | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ.update(given.environment)
        work()
        return 0
    except SystemExit as end:
        return end.code or 0
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
