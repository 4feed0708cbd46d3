"""What a workdir says of itself in `config.json`: its config, its data and its launches.

Imports nothing that is slow.
"""

import contextlib
import datetime
import importlib.metadata
import json
import platform
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from dla_jax.config.arguments import flatten
from dla_jax.config.checks import ConfigError, check
from dla_jax.config.files import write_atomically
from dla_jax.config.old_names import with_new_names
from dla_jax.config.project import INSTALLED, VERSION, launcher

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
    "gymnasium",
]
IF_INSTALLED = ["Box2D"]  # judges agents
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


def write_config(
    workdir: Path,
    config: dict,
    devices: list[str],
    data: dict,
    command: str | None = None,
    joins: bool = False,
) -> None:
    """Write `config.json`, or add this launch to it.

    Args:
      config: all keys of the study.
      devices: the devices in words.
      data: what identifies the data (name, number of examples, fingerprint).
      command: of this launch; None: what was typed.
      joins: whether it is one of several processes; those that differ in nothing are one launch.

    Raises:
      ConfigError: the workdir was begun on other data, so that half of its runs would have been
        trained on something else.
    """
    launches = []
    if (workdir / "config.json").exists():
        written = read_config(workdir)
        check_same_data(workdir, written["data"], data)
        launches = written["launches"]
    launch = describe_launch(devices, command)
    same = [launch == old | {"started": launch["started"]} for old in launches]
    if not (joins and any(same)):
        launches = [*launches, launch]
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


def describe_launch(devices: list[str], command: str | None) -> dict:
    """Return what `config.json` keeps of one launch: its command, time, versions and devices."""
    return {
        "command": command or shlex.join([*launcher(), *sys.argv[1:]]),
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": versions(),
        "devices": devices,
        "git_commit": git_commit(),
    }


def versions() -> dict[str, str]:
    """Return {package: its version} of what results can depend on."""
    found = {"dla_jax": VERSION}
    found |= {name: importlib.metadata.version(name) for name in PACKAGES}
    for name in IF_INSTALLED:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def git_commit() -> str:
    """Return the commit of this source, or `unknown` outside a git checkout.

    `+changes` stands behind it when files differ from it. Of an installed package it is the one
    that pip fetched by git.
    """
    if INSTALLED:  # a checkout that this lies in is of another project
        return fetched_commit()

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


def fetched_commit() -> str:
    """Return the commit that pip fetched, which it writes down (PEP 610), or `unknown`."""
    try:
        text = importlib.metadata.distribution("dla_jax").read_text("direct_url.json")
        return json.loads(text or "{}")["vcs_info"]["commit_id"]
    except (importlib.metadata.PackageNotFoundError, ValueError, KeyError):
        return "unknown"


def differences(old: dict, new: dict) -> dict[str, tuple[Any, Any]]:
    """Return {key: (old, new)} of the keys that differ and change results."""
    old, new = flatten(old), flatten(new)
    # What was reported is compared with nothing that a run measures.
    told = re.compile(r"claims\..*\.(figures|example)")
    keys = [
        key
        for key in sorted(old.keys() | new.keys())
        if key not in FREE_KEYS and not told.fullmatch(key)
    ]
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
    whole = "--workdir" in command or command.startswith("dla_jax.")
    return command if whole else f"{command} --workdir={workdir}"
