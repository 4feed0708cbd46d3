"""Fetches a set of the Hugging Face hub with the library `datasets`, and keeps what it is.

The hub is asked first, within seconds: whether the set is there, at which commit, and how large it
is (`hub_ask.py`, `hub_disk.py`). `datasets` is imported only then (requirements-hub.txt). Files
that have come whole are not fetched again; it keeps them in $HF_HUB_CACHE, and what it makes of
them in $HF_DATASETS_CACHE, else in folders of $HF_HOME or ~/.cache/huggingface.
"""

import importlib.util
import sys
from pathlib import Path

from dla_jax.config.checks import ConfigError, check
from dla_jax.config.project import install_words
from dla_jax.data import hub_folder, hub_rows
from dla_jax.data.hub_ask import address, ask
from dla_jax.data.hub_disk import cache_of, check_disk, kept_of
from dla_jax.data.hub_failures import of_error
from dla_jax.data.hub_folder import Rows
from dla_jax.data.hub_sets import CONVERTED, HubSet

TEST = ("train", "test")  # parts that are read, where there are such
QUESTIONS = ("train", "validation", "test")


def is_installed() -> bool:
    """Return whether `datasets` is installed; it is not imported."""
    spec = importlib.util.find_spec("datasets")
    return spec is not None and spec.origin is not None  # a folder of that name is no library


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
        f"{where}: fetching {wanted.repo} needs the library datasets; install it with "
        f"{install_words('hub')}",
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
        f"{wanted.sizes}; remove what has come of it, {kept_of(wanted)}, and try again",
    )
    read = hub_rows.images_of if wanted.kind == "images" else hub_rows.rows_of
    examples = read(wanted, parts, class_names, where)
    return hub_folder.write(wanted, data_dir, Rows(about.commit, class_names, sizes, examples))


def load_parts(wanted: HubSet, commit: str, where: str) -> dict:
    """Return {part: a Dataset of the library}, the training part first."""
    check_library(wanted, where)
    given = {"data_files": dict(wanted.files)} if wanted.files else {}
    config = wanted.config or None
    if wanted.revision == CONVERTED and config:
        given, config = {"data_dir": config}, None
    try:
        import datasets

        found = datasets.load_dataset(wanted.repo, config, revision=commit, **given)
    except Exception as error:  # whatever the library, the network or the disk raise
        words = of_error(error, address(), wanted, str(cache_of(wanted)))
        raise ConfigError(f"{where}: {words}") from None
    known = QUESTIONS if wanted.kind == "questions" else TEST
    parts = {name: found[name] for name in known if name in found and len(found[name])}
    check(
        "train" in parts,
        f"{where}: {wanted.repo} has no part train, but {', '.join(found)}; give another set",
    )
    return parts
