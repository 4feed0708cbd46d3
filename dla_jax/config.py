"""Configs: typed config arguments, one-line errors, and what a workdir says of its own.

Imports neither JAX nor anything else that is slow: `launch.py --help` and a mistyped key go no further than here.
"""

import difflib
import json
import math
import os
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


def cache_folder() -> Path | None:
    """Return where this project keeps what it can make again: `dla_jax` in $XDG_CACHE_HOME or ~/.cache; None without a home."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "dla_jax"
    except RuntimeError:  # neither HOME nor an entry for this user, as in a container
        return None


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


def read_config(workdir: Path) -> dict:
    """The `config.json` of a workdir.

    Raises:
      ConfigError: the folder or the file is missing or not what this project writes.
    """
    path = workdir / "config.json"
    check(path.is_file(), f"{workdir} is no workdir of this project (no config.json); give --config to start a study there")
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
        return {"config": written["config"], "launches": written["launches"], "data": written["data"]}
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is damaged ({error}); give another --workdir") from None


def write_atomically(path: Path, text: str) -> None:
    """Write a file in UTF-8 such that a reader, or a crash, sees the old text or the new one, never a part.

    What cannot be encoded, a file name in another encoding, is written as `\\udc..`.
    """
    temporary = path.with_name(path.name + ".tmp")
    with open(temporary, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
