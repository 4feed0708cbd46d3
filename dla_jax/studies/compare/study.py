"""Finished studies side by side: which are read, and what is kept of them."""

import glob
import json
import os
import sys
from pathlib import Path

from dla_jax.config.checks import ConfigError, check, check_choice
from dla_jax.config.files import expand, write_atomically
from dla_jax.config.workdir import Launch, follow_made
from dla_jax.config.written import read_config, resume_command, write_config
from dla_jax.evidence import tables
from dla_jax.evidence.rows import record_file
from dla_jax.studies import find
from dla_jax.studies.compare.report import COMPARED, TITLES, draw
from dla_jax.studies.study import Command
from dla_jax.training.mesh import describe_devices

LONGEST_NAME = 255  # bytes of the name of a file or folder that file systems allow


def check_config(config, launch: Launch) -> None:
    """Raise ConfigError for studies that are missing, not finished, or without test accuracies."""
    check(
        launch.from_dir is None,
        "--from: this study reads the workdirs of --config.runs; leave it out",
    )
    check(
        not (config.runs and config.made),
        "runs: this preset makes its own studies; give runs with configs/compare.py alone",
    )
    check(
        bool(folders_of(config) or config.made),
        "runs is empty; give workdirs of finished studies, as in --config.runs=runs/a,runs/b",
    )
    for name, made in config.made.items():
        find(made.experiment).check(made, made_launch(launch, name))
    check_choice("pairs", config.pairs, tuple(TITLES))
    labels(folders_of(config))
    for folder in folders_of(config):
        read_study(folder)


def folders_of(config) -> list[Path]:
    """Return the workdirs that `runs` names.

    These are paths and patterns such as `runs/rescnn*`, with commas between. A comma may belong to
    a path: the longest piece that is a folder is taken. A workdir that made its study inside
    stands for it.

    Raises:
      ConfigError: a pattern that no workdir matches, a workdir that made several studies.
    """
    pieces, found, first = config.runs.split(","), [], 0
    while first < len(pieces):
        name, stop = longest_folder(pieces, first) or (pieces[first].strip(), first + 1)
        found += matching(name) if name else []
        first = stop
    return [follow_made("runs", folder, say=False) for folder in found]


def longest_folder(pieces: list[str], first: int) -> tuple[str, int] | None:
    """Return (folder, the piece after it) of the most pieces from `first` on; None: there is none.

    A path goes on with a piece only in a folder that is there, and a name is not longer than a file
    system allows, so that few are looked for.
    """
    name = found = None
    for stop in range(first + 1, len(pieces) + 1):
        above, slash, _ = pieces[stop - 1].rpartition("/")
        if name is not None and slash and not is_folder(f"{name},{above}".lstrip()):
            break
        name = pieces[first] if name is None else f"{name},{pieces[stop - 1]}"
        if len(os.fsencode(name.strip().rpartition("/")[2])) > LONGEST_NAME:
            break
        if is_folder(name.strip()):
            found = name.strip(), stop
    return found


def is_folder(name: str) -> bool:
    """Return whether a name is that of a folder."""
    return bool(name) and os.path.isdir(expand("runs", name))


def matching(name: str) -> list[Path]:
    """Return the workdir of that name, or those that a pattern matches."""
    path = expand("runs", name)
    if os.path.exists(path) or not any(sign in name for sign in "*?["):
        return [path]
    found = [Path(match) for match in sorted(glob.glob(str(path)))]
    found = [folder for folder in found if (folder / "config.json").is_file()]
    check(len(found) > 0, f"runs: no workdir matches {name}; give workdirs of finished studies")
    return found


def made_launch(launch: Launch, name: str) -> Launch:
    """Return what a study that is made first is given."""
    return launch._replace(workdir=launch.workdir / "studies" / name)


def labels(folders: list[Path]) -> list[str]:
    """Return a short name for each folder: as many of its last parts as tell it from the others.

    Raises:
      ConfigError: a folder given twice.
    """
    paths = [Path(folder).resolve() for folder in folders]
    for given, path in zip(folders, paths, strict=True):
        check(paths.count(path) == 1, f"runs: {given} is given twice; give each study once")

    def told_apart(length: int) -> bool:
        return len({path.parts[-length:] for path in paths}) == len(paths)

    length = next((length for length in range(1, 64) if told_apart(length)), 1)
    return ["/".join(path.parts[-length:]) for path in paths]


def read_study(folder: Path) -> tuple[dict, dict]:
    """Return (`config.json`, `summary.json`) of a finished supervised study.

    Raises:
      ConfigError: it is none, or not finished.
    """
    written, path = read_config(folder), folder / "summary.json"
    command = resume_command(written, folder)
    check(path.is_file(), f"runs: the study in {folder} is not finished; go on with: {command}")
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
        runs = summary["runs"]
        supervised = len(runs) > 0 and all(set(tables.RUN_KEYS) <= run.keys() for run in runs)
    except (json.JSONDecodeError, KeyError, AttributeError, TypeError) as error:
        raise ConfigError(
            f"runs: {path} is damaged ({error}); draw it again with --workdir={folder}"
        ) from None
    check(
        written["config"]["experiment"] != "compare",
        f"runs: {folder} is a comparison itself; give the studies that it compares",
    )
    check(
        supervised,
        f"runs: {folder} holds no test accuracies; give studies that train classifiers",
    )
    return written, summary


def data_of(written: dict) -> dict:
    """Return what two studies share if a seed means the same split in both.

    That is the images or texts, and the parts of the split.
    """
    data = written["config"]["data"]
    return written["data"] | {key: data[key] for key in ("val_fraction", "test_fraction")}


def rows_of(name: str, folder: Path) -> list[dict]:
    """Return the runs of a study as rows of the record. `name`: what the study is called."""
    written, summary = read_study(folder)
    return [
        found
        | {
            "run": f"{name}/{found['group']}/seed{found['seed']}",
            "done": True,
            "study": name,
            "data": data_of(written),
        }
        for found in summary["runs"]
    ]


def run(config, launch: Launch) -> None:
    """Make the studies that are to be made, gather all, and draw the report."""
    made = {name: made_launch(launch, name) for name in config.made}
    folders = [*folders_of(config), *(other.workdir for other in made.values())]
    if launch.first:
        identity = {"name": "compare", "folders": [str(folder) for folder in folders]}
        write_config(launch.workdir, config.to_dict(), describe_devices(), identity, launch.command)
    for name, other in made.items():
        print(f"\n{name}: {other.workdir}", file=sys.stderr)
        other.workdir.mkdir(parents=True, exist_ok=True)
        find(config.made[name].experiment).run(config.made[name], other)
    if launch.first:
        named = zip(labels(folders), folders, strict=True)
        rows = [row for name, folder in named for row in rows_of(name, folder)]
        path = record_file(launch.workdir, COMPARED)
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, "".join(json.dumps(row) + "\n" for row in rows))
        draw(launch.workdir)


def tell(config, launch: Launch) -> str:
    """Return what would be done, in a line."""
    made = [made_launch(launch, name).workdir for name in config.made]
    return f"compare {', '.join(map(str, [*folders_of(config), *made]))}"


STUDY = Command(check=check_config, tell=tell, run=run, draw=draw)
