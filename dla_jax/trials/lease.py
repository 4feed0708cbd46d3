"""Leases: who is at work on what, among processes that share a folder, but neither host nor clock.

A lease on a name is a file `<folder>/<name>/<n>` that says which process made it. A file system
makes a new file for one process alone (O_EXCL; NFS since its version 3), and whoever made the
newest has the lease. So no file is removed or made twice, and of two that take over from a dead
owner one gets it.

The owner touches its file every BEAT seconds. Others take over when the owner has released it, when
it was a process of this machine that has ended, or when, by their own clock, the file was not
touched for PATIENCE seconds. An owner asks before it writes (`check`): if it has not touched its
file in half that time, as after it was frozen, it first looks whether another has taken over.

Reference: Gray & Cheriton 1989, Leases: an efficient fault-tolerant mechanism for distributed file
cache consistency.
"""

import contextlib
import functools
import json
import os
import threading
import time
from pathlib import Path

BEAT = 5.0  # seconds
PATIENCE = 60.0  # seconds; as long as NFS at most believes what it knows of a folder


class Lost(Exception):
    """Another process has taken over what this one was at work on."""


class Leases:
    """The leases in a folder, as one process sees them. Safe to use from several threads."""

    def __init__(self, folder: Path, beat: float = BEAT, patience: float = PATIENCE):
        self._folder, self._beat, self._patience = folder, beat, patience
        self._held = {}  # {name: its file}
        self._touched = {}  # {name: when this process last touched it}
        self._seen = {}  # {name: (file, when it was touched by its own clock, since when by ours)}
        self._lock, self._closed = threading.Lock(), threading.Event()
        self._beating = None

    def take(self, name: str) -> bool:
        """Take a lease if it is free, and return whether it was. It never waits."""
        folder = self._folder / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # NFS leaves files of other names where one is removed that is still open.
            newest = max((int(found) for found in os.listdir(folder) if found.isdigit()), default=0)
            if newest and not self._is_free(name, folder / str(newest)):
                return False
            path, now = folder / str(newest + 1), time.monotonic()
            with open(path, "x", encoding="utf-8") as file:
                json.dump(this_process(), file)
        except (FileExistsError, FileNotFoundError):
            # Another was first; or all is over, and it removes the folder just now.
            return False
        with self._lock:
            self._held[name], self._touched[name] = path, now
            if self._beating is None:
                self._beating = threading.Thread(target=self._beat_on, daemon=True)
                self._beating.start()
        return True

    def check(self, name: str) -> None:
        """Make sure that this process still has a lease that it took.

        Raises:
          Lost: another has taken over.
        """
        touched = self._touched.get(name)
        if touched is None or time.monotonic() - touched > self._patience / 2:
            self._touch(name)

    def release(self, name: str) -> None:
        """Give a lease back, if this process still has it."""
        with self._lock:
            path = self._held.pop(name, None)
            self._touched.pop(name, None)
        if path is not None:
            # Where it cannot be said, on a full disk, the others wait until they lose patience.
            with contextlib.suppress(OSError):
                path.write_text(json.dumps({"released": True}), encoding="utf-8")

    def close(self) -> None:
        """Give all back, and stop touching."""
        self._closed.set()
        for name in list(self._held):
            self.release(name)

    def _beat_on(self) -> None:
        while not self._closed.wait(self._beat):
            for name in list(self._held):
                with contextlib.suppress(Lost, OSError):  # whoever writes is told, by `check`
                    self._touch(name)

    def _touch(self, name: str) -> None:
        path = self._held.get(name)
        if path is None:
            raise Lost
        now = time.monotonic()
        try:
            if path.with_name(str(int(path.name) + 1)).exists():
                raise FileNotFoundError
            os.utime(path)
        except FileNotFoundError:  # or all is over, and the folder removed
            with self._lock:
                self._held.pop(name, None)
                self._touched.pop(name, None)
            raise Lost from None
        with self._lock:
            if name in self._held:
                self._touched[name] = now

    def _is_free(self, name: str, path: Path) -> bool:
        try:
            with open(path, encoding="utf-8") as file:  # to open it makes NFS ask the server
                touched, owner = os.fstat(file.fileno()).st_mtime_ns, read_owner(file.read())
        except FileNotFoundError:
            return False
        if "released" in owner or has_ended(owner):
            return True
        now, seen = time.monotonic(), self._seen.get(name)
        if seen is None or seen[:2] != (path, touched):
            self._seen[name] = (path, touched, now)
            return False
        return now - seen[2] >= self._patience


def read_owner(text: str) -> dict:
    """Return what a lease says of its owner; nothing where that is not written yet, or cut off."""
    try:
        return json.loads(text)
    except ValueError:
        return {}


def this_process() -> dict:
    """Return what a lease says of this process."""
    pid = os.getpid()
    return {"machine": machine(), "pid": pid, "began": began(pid)}


@functools.cache
def machine() -> str:
    """Return what tells this system, since it started, from others, and containers in it apart.

    It is empty where that is not known, as outside Linux.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def began(pid: int) -> str:
    """Return when a process of this machine began, which its number alone does not tell.

    It is empty where there is none, or one that has ended and whose end nobody has read yet.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    state, *others = text.rpartition(")")[2].split()  # behind its name, which may hold anything
    return "" if state in "ZX" else others[18]


def has_ended(owner: dict) -> bool:
    """Return whether the owner of a lease was a process of this machine that is no more."""
    here = machine() and owner.get("machine") == machine()
    return bool(here) and began(owner["pid"]) != owner["began"]
