"""Configs and workdirs: typed config arguments, one-line errors, and which workdir belongs to which config.

Imports neither JAX nor anything else that is slow: `launch.py --help` and a mistyped key go no further than here.
"""

import datetime
import difflib
import fcntl
import importlib.metadata
import json
import math
import os
import platform
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

# Keys that change what is shown or when it is saved, never a result: a workdir may be resumed with other values.
FREE_KEYS = frozenset(
    {
        "log_every_steps",
        "checkpoint_every_steps",
        "steps_per_call",
        "cells_at_a_time",
        "checkpoint_every_evaluations",
        "data.path",
        "data.test_path",
    }
)
PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "scipy", "scikit-learn", "gymnax")


class ConfigError(Exception):
    """Wrong input, in one line: what was given, what was expected, how to mend it. `launch.py` exits with 2."""


class Run(NamedTuple):
    """What a study is given beside its config."""

    workdir: Path
    from_dir: Path | None
    data_dir: Path
    download: bool
    quiet: bool
    first: bool = True  # whether this process writes, of the several that --multihost joins


def nearest(name: str, choices) -> str:
    """` (did you mean 'x'?)` for the choice that looks most like `name`; empty when none does."""
    match = difflib.get_close_matches(str(name), [str(choice) for choice in choices], n=1)
    return f" (did you mean {match[0]!r}?)" if match else ""


def check(condition: bool, message: str) -> None:
    """Raises ConfigError(message) unless the condition holds."""
    if not condition:
        raise ConfigError(message)


def check_choice(key: str, given, choices) -> None:
    """Raises ConfigError, with the choices and the nearest one, when `given` is not among them."""
    check(given in choices, f"{key}: unknown {given!r}{nearest(given, choices)}; known: {', '.join(choices)}")


def check_number(key: str, given, *, low=None, above=None, high=None, below=None) -> None:
    """Raises ConfigError unless `given` is a finite number within the bounds (`low <=`, `above <`, `<= high`, `< below`)."""
    check(isinstance(given, (int, float)) and not isinstance(given, bool) and math.isfinite(given),
          f"{key}: {given!r} is not a finite number; give one, as in --config.{key}=1")  # fmt: skip
    bounds = [(low, "at least", given >= (low if low is not None else given)),
              (above, "greater than", above is None or given > above),
              (high, "at most", given <= (high if high is not None else given)),
              (below, "less than", below is None or given < below)]  # fmt: skip
    for bound, words, holds in bounds:
        check(bound is None or holds, f"{key}: {given} must be {words} {bound}")


def check_count(key: str, given, *, low: int = 1) -> None:
    """Raises ConfigError unless `given` is an integer of at least `low`."""
    check(isinstance(given, int) and not isinstance(given, bool), f"{key}: {given!r} is not an integer")
    check(given >= low, f"{key}: {given} must be at least {low}")


def check_seed(key: str, given) -> None:
    """Raises ConfigError unless `given` is a seed that every generator takes: an integer in [0, 2^32)."""
    check_count(key, given, low=0)
    check(given < 2**32, f"{key}: {given} must be less than 2^32")


def check_distinct(key: str, values, check_one, *, empty: bool = False) -> None:
    """Raises ConfigError when a tuple is empty, repeats a value, or holds one that `check_one(key, value)` refuses."""
    check(empty or len(values) > 0, f"{key} is empty; give at least one value, as in --config.{key}=1,2")
    for value in values:
        check_one(key, value)
        check(list(values).count(value) == 1, f"{key}: {value!r} is given twice; give each value once")


def expand(key: str, path: str) -> Path:
    """A path as it was typed, `~` replaced by a home directory.

    Raises:
      ConfigError: there is no such user.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise ConfigError(f"{key}: {path} begins with the name of a user who is not here; write the path out") from None


def parse_argument(argument: str, presets: tuple[str, ...], **defaults) -> SimpleNamespace:
    """The part after the colon in `--config=configs/x.py:ARGUMENT`.

    A bare preset name, or comma-separated `key=value` with `preset=` among the keys: `digits`, `digits,depth=50`,
    `preset=digits,depth=50`. The type of each value is that of its default; without a preset it is the first.

    Raises:
      ConfigError: unknown preset or key, value of another type.
    """
    values: dict[str, Any] = {"preset": presets[0], **defaults}
    kinds = {bool: lambda text: {"true": True, "false": False}[text.lower()]}
    for part in filter(None, (part.strip() for part in argument.split(","))):
        key, equals, text = part.partition("=")
        if not equals:
            key, text = "preset", part
        if key == "preset":
            check_choice("config argument", text, presets)
            values[key] = text
            continue
        check_choice("config argument", key, tuple(defaults))
        try:
            values[key] = kinds.get(type(defaults[key]), type(defaults[key]))(text)
        except (ValueError, KeyError):
            expected, example = type(defaults[key]).__name__, str(defaults[key]).lower()
            raise ConfigError(f"config argument {key}={text!r}: expected {expected}, as in {key}={example}") from None
    return SimpleNamespace(**values)


def split_words(values: tuple) -> tuple[str, ...]:
    """`("plain,residual",)` as a command line gives it -> `("plain", "residual")`; `("",)` -> `()`."""
    return tuple(word.strip() for value in values for word in str(value).split(",") if word.strip())


def flatten(config: dict, prefix: str = "") -> dict[str, Any]:
    """Nested dict -> {"optim.lr": 0.001, ...}, JSON values (tuples become lists)."""
    flat = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = json.loads(json.dumps(value))
    return flat


def differences(old: dict, new: dict) -> dict[str, tuple[Any, Any]]:
    """{key: (old, new)} of the keys that differ and change results."""
    old, new = flatten(old), flatten(new)
    keys = [key for key in sorted(old.keys() | new.keys()) if key not in FREE_KEYS]
    return {key: (old.get(key), new.get(key)) for key in keys if old.get(key) != new.get(key)}


def default_workdir(config_flag: str, root: str | Path = "runs") -> Path:
    """`runs/<config>-<argument as slug>/<UTC time>`, a path that does not exist yet."""
    path, _, argument = config_flag.partition(":")
    slug = re.sub(r"[^A-Za-z0-9.]+", "-", argument).strip("-")
    time = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    first = Path(root) / "-".join(filter(None, (Path(path).stem, slug))) / time
    candidates = (first, *(first.with_name(f"{time}-{n}") for n in range(2, 1000)))
    return next(path for path in candidates if not path.exists())


def read_config(workdir: Path) -> dict:
    """The `config.json` of a workdir.

    Raises:
      ConfigError: the folder or the file is missing or not what this project writes.
    """
    path = workdir / "config.json"
    check(path.is_file(), f"{workdir} is no workdir of this project (no config.json); give --config to start a study there")
    try:
        written = json.loads(path.read_text())
        return {"config": written["config"], "launches": written["launches"], "data": written["data"]}
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is damaged ({error}); give another --workdir") from None


def check_workdir(workdir: Path, config: dict) -> None:
    """Raises ConfigError when the path cannot hold this study: a file, a foreign folder, or a study with another config."""
    try:
        parents = [path for path in (workdir, *workdir.parents) if path.exists()]
    except OSError as error:
        raise ConfigError(f"workdir {workdir}: {error.strerror}; give another --workdir") from None
    check(parents[0].is_dir(), f"workdir {workdir}: {parents[0]} is a file; give a folder, as in --workdir=runs/try1")
    if not workdir.exists() or not any(path for path in workdir.iterdir() if path.name != ".lock"):
        return
    check((workdir / "config.json").is_file(),
          f"workdir {workdir} is not empty, and no workdir of this project (no config.json); give another --workdir")  # fmt: skip
    changed = differences(read_config(workdir)["config"], config)
    listed = ", ".join(f"{key} (there {old}, now {new})" for key, (old, new) in list(changed.items())[:8])
    check(not changed, f"workdir {workdir} holds a study with another config: {listed}; give another --workdir")


def lock_workdir(workdir: Path):
    """Makes the folder and takes its lock, held while the returned file is open.

    Raises:
      ConfigError: the folder cannot be written, or another process is at work in it.
    """
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        lock = open(workdir / ".lock", "a+")  # noqa: SIM115 - open as long as the process lives
    except OSError as error:
        raise ConfigError(f"workdir {workdir} cannot be written ({error.strerror}); give another --workdir") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise ConfigError(f"workdir {workdir} is in use by another process; wait for it or give another --workdir") from None
    return lock


def write_atomically(path: Path, text: str) -> None:
    """Writes a file such that a reader, or a crash, sees the old text or the new one, never a part."""
    temporary = path.with_name(path.name + ".tmp")
    with open(temporary, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def write_config(workdir: Path, config: dict, devices: list[str], data: dict) -> None:
    """Writes `config.json`, or adds this launch to it.

    `data` is what identifies the data (name, number of examples, fingerprint): other data in a resumed workdir
    raises ConfigError, since half of the cells would have been trained on something else.
    """
    launch = {
        "command": shlex.join(["python", *sys.argv]),
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "devices": devices,
        "git_commit": git_commit(),
    }
    launches = []
    if (workdir / "config.json").exists():
        written = read_config(workdir)
        other = [key for key in data if written["data"].get(key) != data[key]] or sorted(written["data"].keys() - data.keys())
        listed = ", ".join(f"{key} was {written['data'].get(key)}, is {data.get(key)}" for key in other)
        check(written["data"] == data, f"workdir {workdir} was begun on other data ({listed}); give another --workdir")
        launches = written["launches"]
    text = json.dumps({"config": config, "data": data, "launches": [*launches, launch]}, indent=1)
    write_atomically(workdir / "config.json", text)


def git_commit() -> str:
    """The commit of this source, with `+changes` when files differ from it; `unknown` outside a git checkout."""
    root = Path(__file__).resolve().parent
    try:
        ask = lambda *words: subprocess.run(("git", *words), cwd=root, capture_output=True, text=True, timeout=10)  # noqa: E731
        commit, changes = ask("rev-parse", "HEAD"), ask("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    if commit.returncode:
        return "unknown"
    return commit.stdout.strip() + ("+changes" if changes.stdout.strip() else "")
