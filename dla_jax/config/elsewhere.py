"""What a config names that lies in no folder of this project: `package.module:NAME`.

Imports nothing that is slow; what it is asked for may.
"""

import importlib
import sysconfig
import traceback
from collections.abc import Callable
from pathlib import Path, PurePath
from types import ModuleType
from typing import Any

from dla_jax.config.checks import ConfigError, check, nearest
from dla_jax.config.connectivity import first_line
from dla_jax.config.project import INSTALLED

NOT_SHOWN = (
    *(sysconfig.get_paths()[place] for place in ("stdlib", "purelib", "platlib")),
    str(Path(__file__).resolve().parent.parent),
    "<",
)


def is_own(name: str) -> bool:
    """Return whether a name is that of a thing of one's own, and of nothing in this project."""
    return ":" in name and not name.startswith("hub:")  # those are sets of the Hugging Face hub


def load(key: str, given: str, example: str) -> tuple[ModuleType, Any]:
    """Return the module that `package.module:NAME` names, imported, and what is called NAME there.

    Python looks for it in the current folder, in that of `launch.py` and in $PYTHONPATH, and in
    what is installed.

    Args:
      key: of the config, for the message.
      example: of such a name.

    Raises:
      ConfigError: it is not of that form, or there is no such module, or no such name in it.
      Exception: whatever the module raises while it is imported.
    """
    module, _, name = given.partition(":")
    path = PurePath(module.removesuffix(".py"))
    dotted = path.name if path.is_absolute() else ".".join(path.parts)
    check(
        not module.endswith(".py"),
        f"{key}: {module} is a file; give its module, as in {dotted}:{name}",
    )
    words = module.split(".")
    check(
        all(word.isidentifier() for word in (*words, name)),
        f"{key}: {given} is not of the form package.module:NAME, as in {example}",
    )
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name not in {".".join(words[:end]) for end in range(1, len(words) + 1)}:
            raise  # the module is there; what it imports is not
        raise ConfigError(
            f"{key}: there is no module {module}; it is looked for in the current folder, "
            f"{'' if INSTALLED else 'beside launch.py '}and in $PYTHONPATH, as in {example}"
        ) from None
    check(hasattr(found, name), f"{key}: {module} has no {name}{nearest(name, vars(found))}")
    return found, getattr(found, name)


def load_own(key: str, given: str, example: str, what: str) -> tuple[ModuleType, Any]:
    """Return what `load` does; what the module raises while it is imported is one line too.

    Args:
      what: could be given instead, as in `environment`.

    Raises:
      ConfigError: there is no such thing, or its module cannot be imported.
    """
    try:
        return load(key, given, example)
    except ConfigError:
        raise
    except (Exception, SystemExit) as error:
        raised = f"importing {given.partition(':')[0]} raised {told(error)}"
        raise ConfigError(f"{key}: {raised}; mend it, or give another {what}") from None


def attempt(key: str, of: str, call: Callable, *args, hints: dict[type, str] | None = None):
    """Return what a call of one's own code gives; what it raises is a ConfigError of one line.

    Args:
      key: of the config.
      of: what is called, in words.
      hints: {kind of error: what is meant by it}.
    """
    try:
        return call(*args)
    except ConfigError:
        raise
    except (Exception, SystemExit) as error:
        hint = next((words for kind, words in (hints or {}).items() if isinstance(error, kind)), "")
        raise ConfigError(
            f"{key}: {of} raised {told(error)}{f'; {hint}' if hint else ''}"
        ) from None


def told(error: BaseException) -> str:
    """Return what one's own code raised, and where: `ValueError: too small (walk.py, line 3)`."""
    words, kind = str(error).strip(), type(error).__name__
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(NOT_SHOWN)
    ]
    place = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    return f"{kind}: {first_line(words)}{place}" if words else f"{kind}{place}"


def kind_of(thing: object) -> str:
    """Return a thing's type with an article, as in `a dict`."""
    kind = type(thing).__name__
    kind = "array" if kind.endswith(("ArrayImpl", "Tracer")) else kind  # JAX's
    return f"{'an' if kind[0] in 'aeiouAEIOU' else 'a'} {kind}"
