"""What a config names that lies in no folder of this project: `package.module:NAME`.

Imports nothing that is slow; what it is asked for may.
"""

import importlib
from pathlib import PurePath
from types import ModuleType
from typing import Any

from dla_jax.config.checks import ConfigError, check, nearest
from dla_jax.config.project import INSTALLED


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
