"""The studies by name: a folder each. `find` imports one."""

import importlib
from pathlib import Path

from dla_jax.config import elsewhere
from dla_jax.config.checks import check, check_choice
from dla_jax.config.written import read_config


def modules() -> dict[str, str]:
    """Return {name of a study: the module that holds it}."""
    folders = sorted(path.parent.name for path in Path(__file__).parent.glob("*/study.py"))
    return {name: f"dla_jax.studies.{name}.study" for name in folders}


def find(name: str):
    """Return the `STUDY` of a config's `experiment`, imported: the first slow thing.

    Args:
      name: of a folder here, or `package.module:NAME` for a study that lies elsewhere.

    Raises:
      ConfigError: there is none of that name.
    """
    if ":" in name:
        return find_elsewhere(name)
    check_choice("experiment", name, tuple(modules()))
    return importlib.import_module(modules()[name]).STUDY


def find_elsewhere(name: str):
    """Return the study that `package.module:NAME` names.

    Raises:
      ConfigError: there is no such module, or no study of that name in it.
    """
    study = elsewhere.load("experiment", name, "docs.examples.width_study:STUDY")[1]
    check(
        all(hasattr(study, part) for part in ("check", "run", "draw")),
        f"experiment: {name} is a {type(study).__name__}; give a Study",
    )
    return study


def with_like(names: tuple[str, ...], workdir: Path) -> tuple[str, ...]:
    """Return names of studies, and that of a workdir's if it lies elsewhere and leaves such models.

    They are read back by the same function.

    Raises:
      ConfigError: the folder is no workdir.
    """
    experiment = read_config(workdir)["config"]["experiment"]
    if ":" not in experiment:
        return names
    restore = getattr(find(experiment), "restore", None)
    like = restore is not None and restore in {find(name).restore for name in names}
    return (*names, experiment) if like else names


def run_experiment(config, launch) -> None:
    """Run the study of a config, or what is left of it."""
    find(config.experiment).run(config, launch)
