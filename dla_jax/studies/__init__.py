"""The studies by name: a folder each. `find` imports one."""

import importlib
from pathlib import Path

from dla_jax.config.checks import check_choice


def known() -> dict[str, str]:
    """Return {experiment: the module that holds it} of all studies and commands."""
    package = Path(__file__).resolve().parent.parent
    studies = [path.parent.name for path in package.glob("studies/*/study.py")]
    commands = [path.stem for path in package.glob("commands/*.py") if path.stem != "__init__"]
    modules = {name: f"dla_jax.studies.{name}.study" for name in studies}
    return modules | {name: f"dla_jax.commands.{name}" for name in commands}


def find(name: str):
    """Return the `Study` or `Command` of a config's `experiment`, imported: the first slow thing.

    Raises:
      ConfigError: there is none of that name.
    """
    modules = known()
    check_choice("experiment", name, sorted(modules))
    module = importlib.import_module(modules[name])
    return module.STUDY if hasattr(module, "STUDY") else module.COMMAND


def run_experiment(config, launch) -> None:
    """Run the study of a config, or what is left of it."""
    find(config.experiment).run(config, launch)
