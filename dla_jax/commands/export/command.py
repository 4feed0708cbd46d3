"""A trained network as a folder that others load, with a model card.

A classifier of texts or a decoder is for `transformers`, a classifier of images is ONNX.
"""

import sys
from pathlib import Path

import jax

from dla_jax.commands.export import card, classifier, decoder, image
from dla_jax.config.checks import ConfigError, check
from dla_jax.config.files import expand
from dla_jax.config.workdir import Launch
from dla_jax.config.written import read_config, write_config
from dla_jax.studies import find, run_experiment, with_like
from dla_jax.studies.study import Command
from dla_jax.training.mesh import describe_devices
from dla_jax.trials.finished import check_source, made_launch, make_source, source_words

KINDS = (classifier, decoder, image)


def check_config(config, launch: Launch) -> None:
    """Raise ConfigError for a workdir that holds nothing to export, or a folder that is taken."""
    check(jax.process_count() == 1, "--multihost: one process exports; leave it out")
    check_source(config, launch, "networks", "runs/try1")
    folder = target(config, launch)
    check(not folder.exists() or folder.is_dir(), f"folder: {folder} is a file; give a folder")
    # The same command again: the folder is what it made.
    again = (launch.workdir / "config.json").is_file()
    check(
        again or not folder.exists() or not any(folder.iterdir()),
        f"folder: {folder} is not empty; give another",
    )
    if config.made:
        find(config.made.experiment).check(config.made, made_launch(launch))
    else:
        kind_of(launch.from_dir).choose(launch.from_dir, config.network)


def target(config, launch: Launch) -> Path:
    """Return the folder to be made."""
    return expand("folder", config.folder) if config.folder else launch.workdir / "exported"


def kind_of(workdir: Path):
    """Return the module that exports the networks of a workdir: its `choose` and `write`.

    Raises:
      ConfigError: no workdir, or one of a study whose networks none of them exports.
    """
    experiment = read_config(workdir)["config"]["experiment"]
    for kind in KINDS:
        if experiment in with_like(kind.STUDIES, workdir):
            return kind
    known = ", ".join(name for kind in KINDS for name in kind.STUDIES)
    raise ConfigError(
        f"--from: {workdir} holds no network that can be exported, but {experiment}; "
        f"give a workdir of {known}"
    )


def run(config, launch: Launch) -> None:
    """Write the folder."""
    workdir = make_source(config, launch, run_experiment)
    kind = kind_of(workdir)
    row, folder = kind.choose(workdir, config.network), target(config, launch)
    fingerprint = read_config(workdir)["data"]["fingerprint"]
    identity = {"name": str(workdir), "run": row["run"], "fingerprint": fingerprint}
    write_config(launch.workdir, config.to_dict(), describe_devices(), identity)
    model = kind.write(workdir, row, folder, launch)
    found = card.read(workdir)
    card.write(folder, found, row, model)
    print(f"{row['run']} of {workdir}: {card.score_words(row)}", file=sys.stderr)
    print(f"written: {folder}", file=sys.stderr)


def draw(workdir: Path) -> None:
    """Print how the folder was made."""
    print(f"exported by: {read_config(workdir)['launches'][-1]['command']}", file=sys.stderr)


def tell(config, launch: Launch) -> str:
    """Return what would be done, in a line."""
    return f"export {source_words(config, launch, 'network')}, to {target(config, launch)}"


COMMAND = Command(check=check_config, tell=tell, run=run, draw=draw)
