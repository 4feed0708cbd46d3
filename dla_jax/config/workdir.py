"""Workdirs: how they are made, locked and described, and which one belongs to which config.

Imports nothing that is slow.
"""

import datetime
import fcntl
import importlib.metadata
import json
import platform
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from dla_jax.config.arguments import flatten
from dla_jax.config.checks import ConfigError, check
from dla_jax.config.files import write_atomically
from dla_jax.config.old_names import with_new_names

PACKAGES = [
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "orbax-checkpoint",
    "numpy",
    "scipy",
    "scikit-learn",
    "gymnax",
]
# Keys that change what is shown or when it is saved, never a result: a workdir may be resumed with
# other values.
FREE_KEYS = frozenset(
    [
        "log_every_steps",
        "checkpoint_every_steps",
        "steps_per_call",
        "cells_at_a_time",
        "checkpoint_every_evaluations",
        "data.path",
        "data.test_path",
    ]
)


# What a launch leaves that was stopped before it described its own study: a lock, and studies that
# are made first.
MADE_FIRST = {".lock", "study", "studies"}
OLD_RECORD = "metrics.jsonl"  # the one file that held the record of all runs in earlier versions


class Launch(NamedTuple):
    """What a study is given beside its config."""

    workdir: Path
    from_dir: Path | None
    data_dir: Path
    download: bool
    quiet: bool
    first: bool = True  # whether this process writes, of the several that --multihost joins


def make_workdir(config_flag: str, root: str | Path = "runs") -> Path:
    """Make the folder `runs/<config>-<argument as slug>/<UTC time>`, and return it.

    Nobody else has it: of two launches in the same second, the later one gets another name.

    Raises:
      ConfigError: it cannot be made.
    """
    path, _, argument = config_flag.partition(":")
    slug = re.sub(r"[^A-Za-z0-9.]+", "-", argument).strip("-")
    time = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    first = Path(root) / "-".join(filter(None, (Path(path).stem, slug))) / time
    for candidate in (first, *(first.with_name(f"{time}-{n}") for n in range(2, 1000))):
        try:
            candidate.mkdir(parents=True)  # of two launches in one second, one gets it
            return candidate
        except FileExistsError:
            continue
        except OSError as error:
            reason = f"cannot be written ({error.strerror})"
            raise ConfigError(
                f"workdir {candidate} {reason}; give one with --workdir=FOLDER"
            ) from None
    raise ConfigError(
        f"workdir {first}: a thousand launches in one second; give one with --workdir=FOLDER"
    )


def remove_if_empty(workdir: Path) -> None:
    """Remove a folder that `make_workdir` made, if it holds nothing except a lock.

    Remove the two folders above it too, if they are then empty.
    """
    try:
        if {path.name for path in workdir.iterdir()} <= {".lock"}:
            (workdir / ".lock").unlink(missing_ok=True)
            workdir.rmdir()
            workdir.parent.rmdir()
            workdir.parent.parent.rmdir()
    except OSError:  # the other launches of this study are there
        pass


def follow_made(key: str, folder: Path, say: bool = True) -> Path:
    """Return the workdir itself, or the one inside it of the study that it made first.

    `say` on standard error which one it is.

    Raises:
      ConfigError: it made several.
    """
    if (folder / "study" / "config.json").is_file():
        if say:
            print(
                f"{key}: {folder} made its study in {folder / 'study'}, which is read",
                file=sys.stderr,
            )
        return folder / "study"
    made = sorted(path.parent for path in folder.glob("studies/*/config.json"))
    check(
        not made, f"{key}: {folder} made several studies; give one of {', '.join(map(str, made))}"
    )
    return folder


def check_workdir(workdir: Path, config: dict) -> None:
    """Raise ConfigError when a path cannot hold this study.

    It may be a file, a folder of something else, or the workdir of another config or version.
    """
    try:
        parents = [path for path in (workdir, *workdir.parents) if path.exists()]
    except OSError as error:
        raise ConfigError(f"workdir {workdir}: {error.strerror}; give another --workdir") from None
    folder = "give a folder, as in --workdir=runs/try1"
    check(parents[0].is_dir(), f"workdir {workdir}: {parents[0]} is a file; {folder}")
    if not workdir.exists() or {path.name for path in workdir.iterdir()} <= MADE_FIRST:
        return
    check(
        (workdir / "config.json").is_file(),
        f"workdir {workdir} is not empty, and no workdir of this project (no config.json); "
        "give another --workdir",
    )
    check(
        not (workdir / OLD_RECORD).exists(),
        f"workdir {workdir} holds a study of an earlier version, which can be drawn again, with "
        f"--workdir={workdir} alone, but not continued; give another --workdir",
    )
    changed = differences(read_config(workdir)["config"], config)
    listed = ", ".join(
        f"{key} (there {old}, now {new})" for key, (old, new) in list(changed.items())[:8]
    )
    check(
        not changed,
        f"workdir {workdir} holds a study with another config: {listed}; give another --workdir",
    )


def lock_workdir(workdir: Path):
    """Make the folder and take its lock, which is held while the returned file is open.

    Raises:
      ConfigError: the folder cannot be written, or another process is at work in it.
    """
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        lock = open(workdir / ".lock", "a+")  # noqa: SIM115 - as long as the process lives
    except OSError as error:
        raise ConfigError(
            f"workdir {workdir} cannot be written ({error.strerror}); give another --workdir"
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise ConfigError(
            f"workdir {workdir} is in use by another process; wait for it or give another --workdir"
        ) from None
    return lock


def write_config(workdir: Path, config: dict, devices: list[str], data: dict) -> None:
    """Write `config.json`, or add this launch to it.

    Args:
      config: all keys of the study.
      devices: the devices in words.
      data: what identifies the data (name, number of examples, fingerprint).

    Raises:
      ConfigError: the workdir was begun on other data, so that half of its runs would have been
        trained on something else.
    """
    launches = []
    if (workdir / "config.json").exists():
        written = read_config(workdir)
        check_same_data(workdir, written["data"], data)
        launches = written["launches"]
    launches = [*launches, describe_launch(devices)]
    text = json.dumps({"config": config, "data": data, "launches": launches}, indent=1)
    write_atomically(workdir / "config.json", text)


def check_same_data(workdir: Path, old: dict, new: dict) -> None:
    """Raise ConfigError unless the data of a workdir are those that it was begun on."""
    changed = [key for key in new if old.get(key) != new[key]] or sorted(old.keys() - new.keys())
    listed = ", ".join(f"{key} was {old.get(key)}, is {new.get(key)}" for key in changed)
    check(
        old == new,
        f"workdir {workdir} was begun on other data ({listed}); give another --workdir",
    )


def describe_launch(devices: list[str]) -> dict:
    """Return what `config.json` keeps of one launch: its command, time, versions and devices."""
    return {
        "command": shlex.join(["python", *sys.argv]),
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "devices": devices,
        "git_commit": git_commit(),
    }


def git_commit() -> str:
    """Return the commit of this source, or `unknown` outside a git checkout.

    `+changes` stands behind it when files differ from it.
    """

    def ask(*words: str) -> subprocess.CompletedProcess:
        root = Path(__file__).resolve().parent
        return subprocess.run(("git", *words), cwd=root, capture_output=True, text=True, timeout=10)

    try:
        commit = ask("rev-parse", "HEAD")
        changes = ask("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    if commit.returncode:
        return "unknown"
    return commit.stdout.strip() + ("+changes" if changes.stdout.strip() else "")


def differences(old: dict, new: dict) -> dict[str, tuple[Any, Any]]:
    """Return {key: (old, new)} of the keys that differ and change results."""
    old, new = flatten(old), flatten(new)
    keys = [key for key in sorted(old.keys() | new.keys()) if key not in FREE_KEYS]
    return {key: (old.get(key), new.get(key)) for key in keys if old.get(key) != new.get(key)}


def read_config(workdir: Path) -> dict:
    """Return the `config.json` of a workdir: {"config", "launches", "data"}.

    A config of an earlier version comes with today's names (`with_new_names`).

    Raises:
      ConfigError: the folder or the file is missing or not what this project writes.
    """
    path = workdir / "config.json"
    check(
        path.is_file(),
        f"{workdir} is no workdir of this project (no config.json); "
        "give --config to start a study there",
    )
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
        return {
            "config": with_new_names(written["config"]),
            "launches": written["launches"],
            "data": written["data"],
        }
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is damaged ({error}); give another --workdir") from None


def resume_command(written: dict, workdir: Path) -> str:
    """Return the command that continues a study, of what its `config.json` holds."""
    command = written["launches"][0]["command"]
    return command if "--workdir" in command else f"{command} --workdir={workdir}"
