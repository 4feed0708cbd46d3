"""The studies by name: a folder each. `find` imports one."""

import importlib
from pathlib import Path

from dla_jax.config.checks import check_choice


def modules() -> dict[str, str]:
    """Return {name of a study: the module that holds it}."""
    folders = sorted(path.parent.name for path in Path(__file__).parent.glob("*/study.py"))
    return {name: f"dla_jax.studies.{name}.study" for name in folders}


def find(name: str):
    """Return the `STUDY` of a config's `experiment`, imported: the first slow thing.

    Raises:
      ConfigError: there is none of that name.
    """
    check_choice("experiment", name, tuple(modules()))
    return importlib.import_module(modules()[name]).STUDY


def run_experiment(config, launch) -> None:
    """Run the study of a config, or what is left of it."""
    find(config.experiment).run(config, launch)
