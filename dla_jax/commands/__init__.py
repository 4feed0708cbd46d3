"""The commands by name, and the studies below them: all that a config may name."""

import importlib
from pathlib import Path

from dla_jax import studies
from dla_jax.config.checks import check_choice


def modules() -> dict[str, str]:
    """Return {name of a command: the module that holds it}."""
    here = Path(__file__).parent
    files = {path.stem: f"dla_jax.commands.{path.stem}" for path in here.glob("[!_]*.py")}
    folders = {
        path.parent.name: f"dla_jax.commands.{path.parent.name}.command"
        for path in here.glob("*/command.py")
    }
    return dict(sorted((files | folders).items()))


def find_experiment(name: str):
    """Return the study or command of a config's `experiment`, imported: the first slow thing.

    Raises:
      ConfigError: there is none of that name.
    """
    if ":" in name or name in studies.modules():
        return studies.find(name)
    check_choice("experiment", name, sorted({*studies.modules(), *modules()}))
    return importlib.import_module(modules()[name]).COMMAND
