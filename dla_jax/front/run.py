"""A study from Python: `dla_jax.run` starts one, or goes on with it; `dla_jax.load` reads one.

Imports nothing that is slow: JAX comes when a study starts.
"""

import importlib
from pathlib import Path

from ml_collections import ConfigDict

from dla_jax.config.arguments import flatten
from dla_jax.config.elsewhere import is_own
from dla_jax.config.files import data_folder, expand
from dla_jax.config.workdir import (
    Launch,
    check_workdir,
    follow_made,
    is_finished,
    make_workdir,
    remove_if_empty,
)
from dla_jax.config.written import read_config
from dla_jax.front import request
from dla_jax.front.result import Result, load

# Where data are: a workdir goes on with other places, if they hold the same data.
PLACES = ("data.path", "data.test_path")


def run(
    config: str | Path | ConfigDict,
    workdir: str | Path | None = None,
    *,
    from_dir: str | Path | None = None,
    data_dir: str | Path | None = None,
    download: bool = True,
    quiet: bool = False,
    sweep: str | None = None,
    **changes,
) -> Result:
    """Run a study, or what is left of it, and return what it found.

        study = dla_jax.run("configs/rescnn.py:digits", num_epochs=2, **{"optim.lr": 1e-3})

    In a workdir where the same study is finished it is only read; where data or models of another
    place are given, or an environment, a network or a data set of one's own is named, they are
    first checked to be the same, and it is drawn again. Ctrl-C, or a notebook's stop, saves the
    runs under way; the same call with that workdir goes on, and ends with the same bits as one that
    was never stopped. So does the command that `config.json` keeps, in a shell.
    Compiled programs are kept in $JAX_COMPILATION_CACHE_DIR, else in ~/.cache/dla_jax/xla.

    Args:
      config: `configs/NAME.py:PRESET`, a file here or of this project, or a ConfigDict, which is
        left as it is.
      workdir: folder of the results; None: a new one, runs/<config>-<preset>/<UTC time>.
      from_dir: a finished workdir to read trained models from, for studies that look at some.
      data_dir: folder of prepared data sets; None: $TFDS_DATA_DIR, else ~/tensorflow_datasets.
      download: whether missing data may be downloaded.
      quiet: no progress line.
      sweep: values of which all combinations are compared, "optim.lr=1e-3,1e-2;model.width=16,32".
      changes: values of keys of the config, those in groups with a dot.

    Raises:
      ConfigError: wrong input, in one line, before anything slow.
      NonFiniteLoss: the loss of a study of a single run became infinite or not a number.
      KeyboardInterrupt: it was stopped; the message says how to go on.
    """
    asked, remarks = asked_for(config, changes, sweep)
    source = follow_made("from_dir", expand("from_dir", str(from_dir))) if from_dir else None
    data = data_folder(str(data_dir) if data_dir else None)
    folder = make_workdir(request.name_of(config)) if workdir is None else to_path(workdir)
    if is_finished(folder):
        check_workdir(folder, asked.to_dict())
        if not (from_dir or data_dir or has_code(asked)) and same_places(folder, asked):
            return load(folder)
    flags = {"from": from_dir, "data_dir": data_dir, "nodownload": not download, "quiet": quiet}
    flags["sweep"] = sweep
    command = request.command_of(config, changes, folder, flags)
    launch = Launch(folder, source, data, download, quiet, command=command)
    try:
        if download:
            request.check_data(asked, data)
        importlib.import_module("dla_jax.front.launching").start_as_guest(asked, launch, remarks)
    except BaseException:
        if workdir is None:
            remove_if_empty(folder)
        raise
    return load(folder)


def to_path(workdir: str | Path) -> Path:
    """Return the folder that is given as a workdir."""
    return expand("workdir", str(workdir))


def asked_for(
    config: str | Path | ConfigDict, changes: dict, sweep: str | None
) -> tuple[ConfigDict, list[str]]:
    """Return the config that is asked for, and a line for each value that was carried.

    Arguments, and errors, are those of `run`.
    """
    asked = request.read(config, changes)
    remarks = request.prepare(asked, changes)
    if sweep is not None:
        asked = importlib.import_module("dla_jax.front.sweep").swept(asked, sweep)
    return asked, remarks


def same_places(workdir: Path, config: ConfigDict) -> bool:
    """Return whether a config reads its data where the study of a workdir read them."""
    old, new = flatten(read_config(workdir)["config"]), flatten(config.to_dict())
    return all(old.get(place) == new.get(place) for place in PLACES)


def has_code(config: ConfigDict) -> bool:
    """Return whether a study has a thing of one's own, whose code or data may have changed."""
    named = (".env.name", ".model.name", ".data.name")
    keys = flatten(config.to_dict()).items()
    return any(f".{key}".endswith(named) and is_own(str(value)) for key, value in keys)
