"""The command line before absl sees it: which config, which of its keys, and what is wrong.

Imports nothing that is slow.
"""

import contextlib
import difflib
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from dla_jax.config.arguments import Preset, flatten, split_words
from dla_jax.config.checks import ConfigError, check, nearest
from dla_jax.config.project import ROOT

# The config or a key of it; group 1 is the key, group 2 the value.
CONFIG_FLAG = re.compile(r"--?(?:no)?config(?:\.([\w.]+))?(?:=(.*))?$", re.S)


def config_names() -> list[str]:
    """Return the names of the configs that can be run: those files that have a `get_config`."""
    files = sorted((ROOT / "configs").glob("*.py"))
    return [path.stem for path in files if "\ndef get_config(" in path.read_text(encoding="utf-8")]


def join_values(arguments: list[str]) -> list[str]:
    """Return arguments with `--config.key value` joined to `--config.key=value`."""
    joined = []
    for argument in arguments:
        waits = joined and re.fullmatch(r"--?config(\.[\w.]+)?", joined[-1])
        if waits and not argument.startswith("-"):
            joined[-1] += "=" + argument
        else:
            joined.append(argument)
    return joined


def last_of_each(arguments: list[str]) -> list[str]:
    """Return arguments with the last one alone of those that set the same key.

    So it is with any flag; of a key that holds several values, all of them would be put together.
    """
    matches = map(CONFIG_FLAG.match, arguments)
    keys = [match[1] if match else None for match in matches]
    return [
        argument
        for place, (argument, key) in enumerate(zip(arguments, keys, strict=True))
        if key is None or key not in keys[place + 1 :]
    ]


def find_config_file(arguments: list[str]) -> list[str]:
    """Return arguments with the path of this project's config file.

    See `with_file_found`.
    """
    found = []
    for argument in arguments:
        match = re.match(r"(--?config=)(.*)$", argument, re.S)
        found.append(match[1] + with_file_found(match[2]) if match else argument)
    return found


def with_file_found(config: str) -> str:
    """Return `PATH:PRESET` with the path of this project's file, where the current folder has none.

    This project's is `configs/x.py`, or `x.py` for short.
    """
    path, colon, preset = config.partition(":")
    if not path or Path(path).exists():
        return config
    ours = [own for own in (ROOT / path, ROOT / "configs" / path) if own.is_file()]
    return f"{ours[0]}{colon}{preset}" if ours else config


def name_of(path: str | Path) -> str:
    """Return the path of a config as it is typed: `configs/x.py` of this project's, wherever."""
    path = Path(path)
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


@contextlib.contextmanager
def importing_configs():
    """Let files of configs import one another, wherever Python was started.

    What is called `configs` and is not this project's is put aside meanwhile.
    """
    others = {}
    if str(ROOT / "configs") not in getattr(sys.modules.get("configs"), "__path__", []):
        others = modules_of_configs()
        for name in others:
            del sys.modules[name]
    sys.path.insert(0, str(ROOT))
    try:
        yield
    finally:
        sys.path.remove(str(ROOT))
        if others:
            for name in modules_of_configs():
                del sys.modules[name]
            sys.modules.update(others)


def modules_of_configs() -> dict[str, ModuleType]:
    """Return {name: module} of what is imported of a package `configs`."""
    return {name: module for name, module in sys.modules.items() if name.split(".")[0] == "configs"}


def config_flags_of(arguments: list[str]) -> list[re.Match]:
    """Return the arguments that set the config or a key of it, as matches.

    Group 1 is the key, None for the config itself; group 2 is the value.
    """
    return [match for match in map(CONFIG_FLAG.match, arguments) if match]


def check_config_flags(arguments: list[str]) -> None:
    """Raise ConfigError for a config file, argument or key that does not exist."""
    given = config_flags_of(arguments)
    files = [match[2] for match in given if match[1] is None]
    check(
        not given or bool(files and files[0]),
        "--config is missing; give it as in --config=configs/rescnn.py:digits",
    )
    if not given:
        return
    path, _, argument = files[0].partition(":")
    known = list(flatten(load_config(path, argument)[1].to_dict()))
    for key in (match[1] for match in given if match[1]):
        check_key(key, known, path, prefix="--config.")


def check_key(
    key: str, known: list[str], place: str, prefix: str = "", typed: str | None = None
) -> None:
    """Raise ConfigError unless a key is one of those known, which `place` has.

    Args:
      prefix: what stands before messages.
      typed: what is typed before keys; None: the same.
    """
    before = prefix if typed is None else typed
    group = next((name for name in known if name.startswith(key + ".")), None)
    check(
        group is None,
        f"{prefix}{key} is a group of keys; give one of them, as in {before}{group}=VALUE",
    )
    check(key in known, f"{prefix}{key}: unknown key{near_keys(key, known)}; {place} has them all")


def load_config(path: str, argument: str) -> tuple[ModuleType, Any]:
    """Return the module of a config, run anew, and the ConfigDict that it makes of an argument.

    Raises:
      ConfigError: there is no such file, it is no config, its table of presets is none, or the
        argument is wrong.
    """
    if not Path(path).is_file() or Path(path).suffix != ".py":
        names = [f"configs/{name}.py" for name in config_names()]
        raise ConfigError(
            f"--config: there is no config {path}{nearest(path, names)}; known: {', '.join(names)}"
        )
    spec = importlib.util.spec_from_file_location("given_config", path)
    module = importlib.util.module_from_spec(spec)
    try:
        with importing_configs():
            spec.loader.exec_module(module)
            check_presets(path, getattr(module, "PRESETS", {}))
            config = module.get_config(argument)
        flatten(config.to_dict())  # what is no config fails here
        return module, config
    except ConfigError:
        raise
    except Exception as error:  # it is code: whatever it raises
        raise ConfigError(
            f"--config: {path} is not a config of this project ({error!r}); see configs/"
        ) from None


def check_presets(path: str, presets: Any) -> None:
    """Raise ConfigError unless the table of presets of a config is one."""
    form = "give {name: Preset(apply, what, minutes)}, as in configs/rescnn.py"
    kind = type(presets).__name__
    check(isinstance(presets, dict), f"--config: PRESETS of {path} is a {kind}; {form}")
    for name, preset in presets.items():
        check(
            isinstance(name, str)
            and isinstance(preset, Preset)
            and isinstance(preset.what, str)
            and isinstance(preset.minutes, int | float | None),
            f"--config: PRESETS of {path} has {name!r}: {preset!r}; {form}",
        )


def near_keys(key: str, known: list[str]) -> str:
    """Return ` (did you mean 'optim.lr'?)`: up to three keys that are spelled or end like `key`.

    Those of claims are left out.
    """
    names = [name for name in known if not name.startswith("claims.")]
    last = {name: name.rpartition(".")[2] for name in names}
    like = difflib.get_close_matches(key.rpartition(".")[2], last.values(), n=3)
    spelled_alike = difflib.get_close_matches(key, names, n=3)
    ending_alike = (name for name in names if last[name] in like)
    near = list(dict.fromkeys([*spelled_alike, *ending_alike]))[:3]
    return f" (did you mean {' or '.join(map(repr, near))}?)" if near else ""


def split_words_of(config) -> None:
    """Split the texts of tuples at their commas, in place: `--config.arms=plain,residual`."""
    for key, value in config.items():
        if hasattr(value, "items"):
            split_words_of(value)
        elif isinstance(value, tuple) and any(isinstance(word, str) for word in value):
            config[key] = split_words(value)
