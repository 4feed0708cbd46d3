"""Several processes at one study: each run, or each batch of runs of one program, by one of them.

They share a workdir and nothing else: who is at work on what stands in its leases (`lease.py`), and
what is done in its record. All go through the same phases, and each waits at the end of a phase
until the others' runs are done too. So the record is that of one process.
"""

import contextlib
import json
import random
import shutil
import sys
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator
from pathlib import Path

from dla_jax.config.files import write_atomically
from dla_jax.config.stop import Interrupted, stop_requested
from dla_jax.config.workdir import CREW
from dla_jax.trials.lease import BEAT, PATIENCE, Leases, Lost
from dla_jax.trials.pool import run_all

WAIT = 0.5  # seconds, until it is asked again what others have done


class Alone:
    """One process, which does all."""

    def __init__(self):
        self._kept = {}

    def each(
        self, work: Callable, items: Iterable, workers: int, name_of: Callable, is_done: Callable
    ) -> None:
        """Call `work(item)` for each item that is not done, `workers` at a time."""
        run_all(work, [item for item in items if not is_done(item)], workers)

    def keep(self, name: str, value) -> None:
        """Keep what came out of a piece of work, as JSON, for the others."""
        self._kept[name] = value

    def kept(self, name: str):
        """Return what was kept under a name; None: nothing yet."""
        return self._kept.get(name)


class Crew:
    """The processes that share a workdir, as one of them sees them."""

    def __init__(self, workdir: Path, beat: float = BEAT, patience: float = PATIENCE):
        self._folder = leases_folder(workdir)
        self._leases = Leases(self._folder, beat, patience)
        self._here = threading.local()  # `name`: what this thread is at work on
        self._prepared, self._places, self._random = set(), {}, random.Random()
        self._tasks = set()  # names of tasks that are this process's

    def each(
        self, work: Callable, items: Iterable, workers: int, name_of: Callable, is_done: Callable
    ) -> None:
        """Call `work(item)` for each item that no process has done; return when all are done.

        Args:
          workers: how many threads of this process do so.
          name_of: item -> a name, the same in all processes.
          is_done: item -> whether it is done, by whomever, which `work` makes true.

        Raises:
          Interrupted: a stop was requested.
          Exception: whatever `work` raised here; others try that item again.
        """
        left = list(items)

        def work_on(number: int) -> None:
            while left:
                if stop_requested.is_set():
                    raise Interrupted
                left[:] = [item for item in list(left) if not is_done(item)]
                in_order = sorted(left, key=self._place)
                if not any(self._did(work, item, name_of(item), is_done) for item in in_order):
                    stop_requested.wait(WAIT)

        run_all(work_on, range(workers), workers)

    def _place(self, item) -> tuple:
        """Return what an item is sorted by: jobs of a program that is compiled here come first.

        The order of the other programs is each process's own, so that each compiles few of them.
        """
        program = getattr(item, "program", None)
        place = self._places.setdefault(program, self._random.random())
        return program not in self._prepared, place

    def _did(self, work: Callable, item, name: str, is_done: Callable) -> bool:
        """Do a piece of work if nobody else is at it; return whether this process was."""
        if not self._leases.take(name):
            return False
        with self._holding(name):
            if not is_done(item):  # it may have been done just before
                try:
                    work(item)
                except Lost:
                    print(f"{name}: another process has taken over", file=sys.stderr)
        return True

    @contextlib.contextmanager
    def _holding(self, name: str) -> Iterator[None]:
        before = getattr(self._here, "name", None)
        self._here.name = name
        try:
            yield
        finally:
            self._here.name = before
            self._leases.release(name)

    def check(self) -> None:
        """Make sure that this process may write what this thread is at work on.

        Raises:
          Lost: another process has taken over.
        """
        self._leases.check(self._here.name)

    @contextlib.contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Wait until no other process is within the `with` of this name.

        Raises:
          Interrupted: a stop was requested.
        """
        while not self._leases.take(name):
            if stop_requested.wait(WAIT / 5):
                raise Interrupted
        with self._holding(name):
            yield

    @contextlib.contextmanager
    def after_first(self, name: str) -> Iterator[None]:
        """Let one process go through the `with` of this name alone, and then all side by side.

        Raises:
          Interrupted: a stop was requested.
        """
        while self.kept(name) is None:
            if not self._leases.take(name):
                if stop_requested.wait(WAIT / 5):
                    raise Interrupted
                continue
            with self._holding(name):
                if self.kept(name) is None:  # the first may have gone through just before
                    yield
                    self.keep(name, True)
                    return
        yield

    def has_task(self, name: str) -> bool:
        """Return whether this process has a task that one alone has, and take it where it is free.

        It keeps it until it ends, or is frozen and another takes over.
        """
        if name not in self._tasks:
            if self._leases.take(name):
                self._tasks.add(name)
            return name in self._tasks
        try:
            self._leases.check(name)
        except Lost:
            self._tasks.remove(name)
        return name in self._tasks

    def prepare(self, program: Hashable, name: str, compile_it: Callable[[], None]) -> None:
        """Compile a program, once a process; the others then find it in the compilation cache."""
        if program is not None and program not in self._prepared:
            with self.after_first(name):
                compile_it()
            self._prepared.add(program)

    def keep(self, name: str, value) -> None:
        """Keep what came out of a piece of work, as JSON, for the others."""
        path = self._kept_file(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(value))

    def kept(self, name: str):
        """Return what was kept under a name; None: nothing yet."""
        try:
            return json.loads(self._kept_file(name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None

    def _kept_file(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def close(self) -> None:
        """Give back what this process was at work on."""
        self._leases.close()


def leases_folder(workdir: Path) -> Path:
    """Return where the leases of a workdir are."""
    return workdir / CREW / "leases"


def forget(workdir: Path) -> None:
    """Remove the leases of a study that is finished."""
    shutil.rmtree(leases_folder(workdir), ignore_errors=True)
