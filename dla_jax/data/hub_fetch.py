"""Fetches a set of the Hugging Face hub with the library `datasets`, and keeps what it is.

The hub is asked first, within seconds: whether the set is there, at which commit, and how large it
is. `datasets` is imported only then (requirements-hub.txt). It goes on with an interrupted
download, and keeps what it fetched in $HF_HOME, else in ~/.cache/huggingface.
"""

import importlib.util
import json
import os
import shutil
import sys
import urllib.parse
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dla_jax.config.checks import ConfigError, check
from dla_jax.config.connectivity import fetched, first_line
from dla_jax.config.project import install_words
from dla_jax.data import hub_folder, hub_rows
from dla_jax.data.hub_folder import Rows
from dla_jax.data.hub_sets import HubSet

TEST = ("train", "test")  # parts that are read, where there are such
QUESTIONS = ("train", "validation", "test")
COPIES = 3  # of a set: as it is fetched, as `datasets` and as this project keep it
SUFFIXES = (".parquet", ".csv", ".json", ".jsonl", ".arrow", ".zip", ".tar", ".gz", ".zst", ".tsv")


class About(NamedTuple):
    """What the hub says of a set: the commit, and the bytes of its files."""

    commit: str
    num_bytes: int


def is_installed() -> bool:
    """Return whether `datasets` is installed; it is not imported."""
    spec = importlib.util.find_spec("datasets")
    return spec is not None and spec.origin is not None  # a folder of that name is no library


def ask(wanted: HubSet, where: str = "data.name") -> About:
    """Return what the hub says of a set.

    Args:
      where: the key that names it, for messages.

    Raises:
      ConfigError: within seconds, where it cannot be reached, or has no such set.
    """
    hub = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    revision = urllib.parse.quote(wanted.revision, safe="")
    url = f"{hub}/api/datasets/{wanted.repo}/revision/{revision}?blobs=true"
    content, reason = fetched(url)
    check(
        reason not in ("Not Found", "Unauthorized"),
        f"{where}: {hub} has no public set {wanted.repo} with the revision {wanted.revision}; "
        f"look for it on {hub}/datasets",
    )
    check(
        content is not None,
        f"{where}: {hub} cannot be reached ({reason}); try again with a network, or give the "
        "--data_dir=FOLDER of an earlier fetch",
    )
    try:
        found = json.loads(content)
        files = {each["rfilename"]: each.get("size") or 0 for each in found["siblings"]}
        return About(str(found["sha"]), size_of(wanted, files))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{where}: {url} does not answer as the hub does ({error!r:.80}); try again, or set "
            "HF_ENDPOINT to its address"
        ) from None


def size_of(wanted: HubSet, files: dict[str, int]) -> int:
    """Return the bytes of what is fetched of a repository's {path: bytes}, rather too many.

    Of several configurations those are counted whose paths name the one that is read, else all.
    """
    data = {path: size for path, size in files.items() if path.endswith(SUFFIXES)}
    if ours := tuple(pattern.partition("*")[0] for pattern in wanted.files.values()):
        return sum(size for path, size in data.items() if path.startswith(ours))
    named = sum(size for path, size in data.items() if wanted.config in path)
    return named or sum(data.values())


def check_disk(wanted: HubSet, about: About, data_dir: Path, where: str = "data.name") -> None:
    """Raise ConfigError where a set does not fit on the disks that it is kept on."""
    needed = COPIES * about.num_bytes
    home = os.environ.get("HF_HOME") or "~/.cache/huggingface"
    for folder in (data_dir.absolute(), Path(home).expanduser().absolute()):
        there = next(path for path in (folder, *folder.parents) if path.exists())
        free = shutil.disk_usage(there).free
        check(
            needed < free,
            f"{where}: {wanted.repo} needs about {needed / 1e9:.1f} GB, and {there} has "
            f"{free / 1e9:.1f} free; make room, or give other folders with --data_dir and $HF_HOME",
        )


def check_available(
    wanted: HubSet, data_dir: Path, download: bool, where: str = "data.name"
) -> dict | None:
    """Return what `hub_folder.describe` says of a set; None where it has to be fetched first.

    Args:
      where: the key that names it, for messages.

    Raises:
      ConfigError: within seconds, where it was never fetched and is not to be had.
    """
    folder = hub_folder.find(wanted, data_dir)
    if folder is not None:
        return hub_folder.describe(folder)
    missing = f"{where}: {wanted.repo} is not in {hub_folder.place_of(wanted, data_dir)}"
    check(download, f"{missing}; give another --data_dir=FOLDER, or fetch it with --download")
    check_library(wanted, where)
    check_disk(wanted, ask(wanted, where), data_dir, where)
    return None


def find_or_fetch(wanted: HubSet, data_dir: Path, download: bool, where: str = "data.name") -> Path:
    """Return the newest folder of a set; one that was never fetched is fetched first."""
    if check_available(wanted, data_dir, download, where) is None:
        return fetch(wanted, data_dir, where)
    return hub_folder.find(wanted, data_dir)


def check_library(wanted: HubSet, where: str) -> None:
    """Raise ConfigError where `datasets` is not installed."""
    check(
        is_installed(),
        f"{where}: fetching {wanted.repo} needs the library datasets; {install_words('hub')}",
    )


def fetch(wanted: HubSet, data_dir: Path, where: str = "data.name") -> Path:
    """Fetch a set, check what it is, and return the folder that keeps it.

    Raises:
      ConfigError: it is not to be had, too large, or other than it should be.
    """
    about = ask(wanted, where)
    check_disk(wanted, about, data_dir, where)
    print(f"fetching {wanted.repo} at {about.commit[:12]}; minutes, once", file=sys.stderr)
    parts = load_parts(wanted, about.commit, where)
    for name, part in parts.items():
        hub_rows.check_columns(wanted, name, part, where)
    class_names = hub_rows.check_names(wanted, parts["train"], where) if wanted.label else ()
    sizes = {name: len(part) for name, part in parts.items()}
    check(
        not wanted.sizes or sizes == wanted.sizes,
        f"{where}: {wanted.repo} at {about.commit} has {sizes} examples, and should have "
        f"{wanted.sizes}; give another revision, or prepare the set with TensorFlow Datasets",
    )
    if wanted.kind == "images":
        decoded = [hub_rows.images_of(wanted, part, class_names, where) for part in parts.values()]
        examples = tuple(np.concatenate(arrays) for arrays in zip(*decoded, strict=True))
    else:
        examples = hub_rows.rows_of(wanted, parts, class_names, where)
    return hub_folder.write(wanted, data_dir, Rows(about.commit, class_names, sizes, examples))


def load_parts(wanted: HubSet, commit: str, where: str) -> dict:
    """Return {part: a Dataset of the library}, the training part first."""
    check_library(wanted, where)
    try:
        import datasets

        given = {"data_files": dict(wanted.files)} if wanted.files else {}
        found = datasets.load_dataset(wanted.repo, wanted.config or None, revision=commit, **given)
    except Exception as error:  # whatever the library, the network or the disk raise
        raise ConfigError(
            f"{where}: {wanted.repo} could not be read ({first_line(error)}); try again, or give "
            "another set"
        ) from None
    known = QUESTIONS if wanted.kind == "questions" else TEST
    parts = {name: found[name] for name in known if name in found and len(found[name])}
    check(
        "train" in parts,
        f"{where}: {wanted.repo} has no part train, but {', '.join(found)}; give another set",
    )
    return parts
