"""Processes that are forked from this one, which has imported what they need.

The imports are most of what it costs to start a worker of a small study.
"""

import contextlib
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator

import jax

from dla_jax.config.checks import ConfigError
from dla_jax.front.processes import Start

STOPS = {signal.SIGINT, signal.SIGTERM}


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
    """Return `work(*given)`, done by a process that is forked from this one.

    Raises:
      ConfigError, OSError: those of `work`.
      RuntimeError: the process was killed, or ended by another exception, whose traceback it said.
    """
    reads, writes = os.pipe()
    child = fork()
    if child == 0:
        with ending(), os.fdopen(writes, "wb") as file:
            for number in (signal.SIGINT, signal.SIGPIPE):  # this process says why all ends
                signal.signal(number, signal.SIG_DFL)
            hear_stops()
            os.close(reads)
            try:
                found = work(*given)
            except (ConfigError, OSError) as error:
                found = error
            pickle.dump(found, file)
    os.close(writes)
    try:
        with os.fdopen(reads, "rb") as file:
            said = file.read()
    except KeyboardInterrupt:
        os.kill(child, signal.SIGKILL)
        raise
    finally:
        with contextlib.suppress(ChildProcessError):  # SIGCHLD is ignored here
            os.waitpid(child, 0)
    if not said:
        raise RuntimeError(f"the process that did {work.__name__} ended before it was done")
    found = pickle.loads(said)
    if isinstance(found, Exception):
        raise found
    return found


def fork() -> int:
    """Fork this process, and return the other's id, 0 in the other.

    The other one hears no `STOPS` before it calls `hear_stops`: an exception of this process's
    handlers would make it go on as this one does.
    """
    sys.stdout.flush()  # what is not written yet would be written by both
    sys.stderr.flush()
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    here = True
    try:
        other = os.fork()
        here = other != 0
    finally:
        if here:
            hear_stops()
    return other


def hear_stops() -> None:
    """Let `STOPS` through from now on, and those that have come."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)


@contextlib.contextmanager
def ending() -> Iterator[None]:
    """End this process at the end of the body, whatever happens there.

    So a forked process never goes on with what its parent does, nor with what that does on exit.
    The exit code is that of `sys.exit`, 1 after another exception.
    """
    code = 1
    try:
        yield
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)


class Forked:
    """A worker that is forked from this process, in the words of `subprocess.Popen`."""

    def __init__(self, given: Start, work: Callable[[], None]):
        """Fork it.

        Args:
          given: its `command` is not used.
          work: what it does; it ends by returning, or by `sys.exit`.
        """
        self.returncode, self.pid = None, fork()
        if self.pid == 0:
            with ending():
                prepare(given)
                try:
                    work()
                finally:
                    threading._shutdown()  # as Python ends: threads write what they have begun

    def poll(self) -> int | None:
        """Return the exit code, below 0 that of a signal; None while it runs."""
        if self.returncode is None:
            try:
                found, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:  # nobody knows: SIGCHLD is ignored here
                self.returncode = 0
            else:
                self.returncode = os.waitstatus_to_exitcode(status) if found else None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it has not ended."""
        if self.poll() is None:
            os.kill(self.pid, number)


def prepare(given: Start) -> None:
    """Give a forked process a session, a log and variables of its own, as `processes.start` does.

    Signals do what they do in a new process.
    """
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    log = os.open(given.log, os.O_WRONLY | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.update(given.environment)
    hear_stops()
