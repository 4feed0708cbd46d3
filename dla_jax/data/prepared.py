"""Published sets of images, texts and questions: found as tensorflow_datasets prepares them.

Those that are not there are fetched: of the Hugging Face hub with `datasets` where that is
installed (`hub_fetch.py`), else with TensorFlow (`tfds_prepare.py`).
"""

import importlib.util
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from dla_jax.config.checks import check
from dla_jax.config.connectivity import unreachable
from dla_jax.config.project import install_words
from dla_jax.data import hub_fetch, hub_folder
from dla_jax.data.cache import Decoded, cached, content_key
from dla_jax.data.hub_sets import SETS
from dla_jax.data.tfds_folder import (
    check_passages,
    describe,
    read_images,
    read_passages,
    read_rows,
)
from dla_jax.data.tfds_prepare import prepare

RACE = "http://www.cs.cmu.edu/~glai1/data/race/RACE.tar.gz"
FASHION = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
# A file of each set, where tensorflow_datasets fetches it: asked for before TensorFlow is imported.
# Nothing else is needed.
SOURCES = {
    "mnist": "https://storage.googleapis.com/cvdf-datasets/mnist/t10k-labels-idx1-ubyte.gz",
    "fashion_mnist": FASHION + "t10k-labels-idx1-ubyte.gz",
    "cifar10": "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    "cifar100": "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
    "svhn_cropped": "http://ufldl.stanford.edu/housenumbers/test_32x32.mat",
    "ag_news_subset": "https://drive.google.com/uc?export=download&id=0Bz8a_Dbh9QhbUDNpeUdjb0wxRms",
    "race/middle": RACE,
    "race/high": RACE,
}
# Of the images of each set: height, width, channels.
SHAPES = {name: wanted.shape for name, wanted in SETS.items() if wanted.shape}
TEXTS = ("ag_news_subset", "yahoo_answers_topics")  # the second is of the hub alone
AG_COLUMNS = ("title", "description")
PASSAGES = ("race/middle", "race/high")  # with questions
NAMES = tuple(name for name in SOURCES if name not in TEXTS + PASSAGES)


class Texts(NamedTuple):
    """Labelled texts, as they are read.

    test_start: where the official test part begins, to the end; None where there is none.
    commit: of the Hugging Face hub's set; "" where it is of another place.
    """

    texts: list[str]
    labels: list[int]
    class_names: tuple[str, ...]
    test_start: int | None
    commit: str = ""


def find(name: str, data_dir: Path) -> Path | None:
    """Return the newest prepared version of a set in `data_dir/name`, None where there is none."""
    folders = [path.parent for path in data_dir.glob(f"{name}/*/dataset_info.json")]
    numbered = [
        folder
        for folder in folders
        if (folder / "features.json").exists() and re.fullmatch(r"\d+\.\d+\.\d+", folder.name)
    ]
    return max(numbered, key=lambda folder: tuple(map(int, folder.name.split("."))), default=None)


def check_available(name: str, data_dir: Path, download: bool, key: str = "data.name") -> None:
    """Raise ConfigError, within seconds, when a set is not in `data_dir` and cannot be fetched.

    Args:
      key: that names the set, for messages.
    """
    folder = find(name, data_dir)
    if folder is not None:
        (check_passages if name in PASSAGES else describe)(folder)
        return
    if name in SETS and hub_folder.find(SETS[name], data_dir) is not None:
        hub_fetch.check_available(SETS[name], data_dir, download, key)
        return
    missing = f"{key}: {name} is not in {data_dir / name}/<version>"
    other = "give another --data_dir=FOLDER"
    check(download, f"{missing}; {other}, or fetch it with --download")
    check_library(name, missing, other)
    parent = next(path for path in (data_dir, *data_dir.parents) if path.exists())
    check(
        parent.is_dir() and os.access(parent, os.W_OK),
        f"{missing}, and {parent} cannot be written; {other}",
    )
    if is_of_hub(name):
        hub_fetch.check_available(SETS[name], data_dir, download, key)
        return
    reason = unreachable(SOURCES[name])
    check(
        reason is None,
        f"{missing}, and {SOURCES[name]} cannot be fetched ({reason}); {other}, "
        "or try again with a network",
    )


def check_library(name: str, missing: str, other: str) -> None:
    """Raise ConfigError where no library is installed that fetches a set."""
    tensorflow = name in SOURCES and importlib.util.find_spec("tensorflow") is not None
    wanted = f"the library datasets, which is small; install it with {install_words('hub')}"
    if name in SOURCES:
        wanted += f", or else TensorFlow with {install_words('tfds')}"
    check(is_of_hub(name) or tensorflow, f"{missing}, and fetching it needs {wanted}; or {other}")


def is_of_hub(name: str) -> bool:
    """Return whether a set is fetched of the Hugging Face hub where it is not there."""
    return name in SETS and hub_fetch.is_installed()


def load(name: str, data_dir: Path, download: bool) -> Decoded:
    """Load a set of images from its newest prepared folder, decoded once and cached.

    Where it is missing it is fetched and prepared first. The training part comes first, in the
    order of the record, then the official test part.

    Raises:
      ConfigError: neither there nor to be had (`check_available`), or damaged.
    """
    folder = find_or_prepare(name, data_dir, download)
    if (folder / hub_folder.ABOUT).exists():
        return hub_folder.read_images(folder)
    sizes, class_names = describe(folder)
    # SVHN has a split `extra` of more than a gigabyte, which is not read.
    unread = f"{name}-extra."
    files = [path for path in folder.iterdir() if path.is_file()]
    key = content_key(folder, [path for path in files if not path.name.startswith(unread)])
    return cached(
        folder,
        key,
        lambda: read_images(folder, sizes, class_names),
        class_names,
        test_start=sizes["train"],
    )


def load_texts(
    name: str, data_dir: Path, download: bool, clean: Callable[[str], str] = str
) -> Texts:
    """Load a set of texts.

    Args:
      clean: what is kept of each.

    Raises:
      ConfigError: neither there nor to be had (`check_available`), or damaged.
    """
    folder = find_or_prepare(name, data_dir, download)
    if (folder / hub_folder.ABOUT).exists():
        return texts_of_hub(folder, SETS[name].columns, clean)
    sizes, class_names = describe(folder)
    rows = read_rows(folder, class_names)
    texts = [clean(" ".join(row[column] for column in AG_COLUMNS)) for row in rows]
    return Texts(texts, [row["label"] for row in rows], class_names, sizes["train"])


def texts_of_hub(
    folder: Path, columns: tuple[str, ...], clean: Callable[[str], str] = str
) -> Texts:
    """Return the texts of a set of the hub, whose columns make a text together.

    Nothing but the texts, cleaned, and the labels is ever whole in memory.
    """
    about, texts, labels = hub_folder.describe(folder), [], []
    for row in hub_folder.read_rows(folder):
        given = ("" if row[column] is None else str(row[column]) for column in columns)
        texts.append(clean(" ".join(given)))
        labels.append(row["label"])
    test_start = about["sizes"]["train"] if len(about["sizes"]) > 1 else None
    return Texts(texts, labels, tuple(about["class_names"]), test_start, about["commit"])


def load_passages(name: str, data_dir: Path, download: bool) -> dict[str, list[dict]]:
    """Load a set of passages with questions.

    Returns:
      {"train", "dev", "test": every passage as `tfds_folder.read_passages` gives it}.

    Raises:
      ConfigError: neither there nor to be had (`check_available`), or damaged.
    """
    folder = find_or_prepare(name, data_dir, download)
    if (folder / hub_folder.ABOUT).exists():
        return hub_folder.read_passages(folder)
    return read_passages(folder)


def find_or_prepare(name: str, data_dir: Path, download: bool) -> Path:
    """Return the newest prepared folder of a set, or that of the hub; a missing one is fetched."""
    folder = find(name, data_dir)
    if folder is None and name in SETS:
        folder = hub_folder.find(SETS[name], data_dir)
    if folder is None and is_of_hub(name):
        folder = hub_fetch.find_or_fetch(SETS[name], data_dir, download)
    if folder is None:
        check_available(name, data_dir, download)
        print(f"fetching and preparing {name} in {data_dir}; minutes, once", file=sys.stderr)
        prepare(name, data_dir)
        folder = find(name, data_dir)
        check(
            folder is not None,
            f"{name} was prepared, but not in {data_dir / name}; give another --data_dir=FOLDER",
        )
    return folder
