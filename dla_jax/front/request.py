"""What is asked for: a config with some keys changed, and the command that asks for the same.

Imports nothing that is slow.
"""

import copy
import importlib
import shlex
from collections.abc import Iterable
from pathlib import Path

from ml_collections import ConfigDict

from dla_jax import commands
from dla_jax.config import overrides
from dla_jax.config.arguments import flatten
from dla_jax.config.checks import ConfigError, check, lookup
from dla_jax.config.command_line import (
    check_key,
    load_config,
    split_words_of,
    with_file_found,
)
from dla_jax.config.elsewhere import is_own
from dla_jax.config.project import launcher


def prepare(config: ConfigDict, given: Iterable[str]) -> list[str]:
    """Bring a config into the form that studies read, in place.

    Words are split at commas, and what was given for all networks reaches those that have their
    own (`overrides.carry`).

    Args:
      given: the keys that were changed, dotted.

    Returns:
      A line for each value that was carried.

    Raises:
      ConfigError: a key that would change nothing.
    """
    split_words_of(config)
    return overrides.carry(config, given)


def check_data(config: ConfigDict, data_dir: Path) -> None:
    """Raise ConfigError, before the slow imports, for a set neither there nor to be fetched.

    A study that lies elsewhere may mean other data by a name, and is not looked at.
    """
    if "data" in config and "name" in config.data and not is_own(config.experiment):
        fetchable = importlib.import_module("dla_jax.data.fetchable")
        fetchable.check_first(config.data, data_dir)


def read(config: str | Path | ConfigDict, changes: dict) -> ConfigDict:
    """Return a config, of a file or a copy of one that is given, with some keys changed.

    Args:
      config: `configs/x.py:PRESET`, or a config.
      changes: {dotted key: value}.

    Raises:
      ConfigError: no such file, preset or key, or a value of another kind.
    """
    if isinstance(config, ConfigDict):
        place, asked = "the config", copy.deepcopy(config)
    else:
        place, _, preset = with_file_found(str(config)).partition(":")
        asked = load_config(place, preset)[1]
    known = list(flatten(asked.to_dict()))
    for key, value in plain(changes).items():
        check_key(key, known, place)
        change(asked, key, value)
    check(
        asked.experiment not in commands.modules(),
        f"config: {asked.experiment} is no study, but a command with words for an answer; start it "
        f"in a shell, as in {shlex.join(launcher())} --config=configs/{asked.experiment}.py",
    )
    return asked


def change(config: ConfigDict, key: str, value) -> None:
    """Set a dotted key of a config, in place.

    Raises:
      ConfigError: the value is of another kind than the one before.
    """
    check(value is not None, f"{key}: None is no value; leave the key out, or give one")
    group, _, name = key.rpartition(".")
    owner, before = lookup(config, group) if group else config, lookup(config, key)
    try:
        owner[name] = value
    except TypeError:
        kind = owner.get_type(name).__name__
        raise ConfigError(
            f"{key}: {value!r} is no {kind}; give one, as in the config, which has {before!r}"
        ) from None


def plain(value):
    """Return a value with Python's own numbers and tuples for those of numpy, lists and ranges.

    Those within a dict or a tuple too.
    """
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    return tuple(map(plain, value)) if isinstance(value, tuple | list | range) else value


def name_of(config: str | Path | ConfigDict) -> str:
    """Return what a default workdir is named after: the config's file and preset, or its study."""
    if not isinstance(config, ConfigDict):
        return str(config)
    return config.experiment.partition(":")[0].rpartition(".")[2]


def command_of(config: str | Path | ConfigDict, changes: dict, workdir: Path, flags: dict) -> str:
    """Return the command that starts the same study, or goes on with it.

    That of a config that stands in no file is Python's.

    Args:
      flags: further flags of `launch.py`, {name: value}. True is a flag without a value; those that
        are None or False are left out.
    """
    changes = plain(changes)
    if isinstance(config, ConfigDict):
        changed = f", **{changes}" if changes else ""
        swept = f", sweep={flags['sweep']!r}" if flags.get("sweep") else ""
        return f"dla_jax.run(config, workdir={str(workdir)!r}{swept}{changed})"
    words = [*launcher(), f"--config={config}"]
    words += [f"--config.{key}={overrides.shown(value)}" for key, value in changes.items()]
    words += [f"--workdir={workdir}"]
    given = {name: value for name, value in flags.items() if value not in (None, False)}
    words += [
        f"--{name}" if value is True else f"--{name}={value}" for name, value in given.items()
    ]
    return shlex.join(words)
