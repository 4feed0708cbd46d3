"""Workdirs: how they are made, locked and described, and which one belongs to which config.

Imports nothing that is slow.
"""

import datetime
import fcntl
import os
import re
import sys
from pathlib import Path
from typing import NamedTuple

from dla_jax.config.checks import ConfigError, check
from dla_jax.config.written import differences, read_config

OLD_RECORD = "metrics.jsonl"  # the one file that held the record of all runs in earlier versions
MIRROR = "wandb"  # the folder of what W&B writes
CREW = "workers"  # the folder of what several processes say that share a workdir


class Launch(NamedTuple):
    """What a study is given beside its config."""

    workdir: Path
    from_dir: Path | None
    data_dir: Path
    download: bool
    quiet: bool
    first: bool = True  # whether this process writes, of the several that --multihost joins
    command: str | None = None  # that config.json keeps; None: what was typed
    joins: bool = False  # whether other processes may be at work in the workdir too


def default_folder(config_flag: str, root: str | Path = "runs") -> Path:
    """Return the folder of the default workdirs of a config, `runs/<config>-<argument as slug>`."""
    path, _, argument = config_flag.partition(":")
    slug = re.sub(r"[^A-Za-z0-9.]+", "-", argument).strip("-")
    return Path(root) / "-".join(filter(None, (Path(path).stem, slug)))


def make_workdir(config_flag: str, root: str | Path = "runs") -> Path:
    """Make the folder `runs/<config>-<argument as slug>/<UTC time>`, and return it.

    Nobody else has it: of two launches in the same second, the later one gets another name.

    Raises:
      ConfigError: it cannot be made.
    """
    time = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    first = default_folder(config_flag, root) / time
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


def is_finished(workdir: Path) -> bool:
    """Return whether a study has left its summary and its report in a workdir."""
    return all((workdir / name).is_file() for name in ("summary.json", "report.html"))


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
    made = made_first(workdir, config)
    for folder, study in made.items():
        check_workdir(folder, study)
    # What a launch leaves that was stopped before it described its own study, or that is about to.
    left = {".lock", "config.json.tmp", CREW, MIRROR}  # the second is of `write_atomically`
    left |= {folder.relative_to(workdir).parts[0] for folder in made}
    if not workdir.exists() or {path.name for path in workdir.iterdir()} <= left:
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


def check_writable(workdir: Path) -> None:
    """Raise ConfigError for a workdir that could not be made, or not be written; make none."""
    there = next(path for path in (workdir, *workdir.absolute().parents) if path.exists())
    check(
        os.access(there, os.W_OK | os.X_OK),
        f"workdir {workdir}: {there} cannot be written; give another --workdir",
    )


def made_first(workdir: Path, config: dict) -> dict[Path, dict]:
    """Return {workdir: config} of the studies that a study makes first, inside its own workdir."""
    if "made" not in config:
        return {}
    made = config["made"]
    if not isinstance(made, dict) or not made:
        return {}
    if "experiment" in made:
        return {workdir / "study": made}
    return {workdir / "studies" / name: study for name, study in made.items()}


def lock_workdir(workdir: Path, shared: bool = False):
    """Make the folder and take its lock, which is held while the returned file is open.

    Args:
      shared: with other processes that share it.

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
        fcntl.flock(lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ConfigError(
            f"workdir {workdir} is in use by another process; wait for it or give another --workdir"
        ) from None
    except OSError as error:
        # Of those that share it, leases (trials/lease.py) say who is at work on what.
        check(
            shared,
            f"workdir {workdir}: its file system has no locks ({error.strerror}); add --join, "
            "which needs none, or give another --workdir",
        )
    return lock
