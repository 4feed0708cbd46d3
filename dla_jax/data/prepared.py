"""Sets of images, texts and questions that tensorflow_datasets prepares: found, or made."""

import importlib.util
import os
import re
import sys
from pathlib import Path

from dla_jax.config.checks import ConfigError, check
from dla_jax.config.connectivity import first_line, unreachable
from dla_jax.config.project import install_words
from dla_jax.data.cache import Decoded, cached, content_key
from dla_jax.data.tfds_folder import (
    check_passages,
    describe,
    read_images,
    read_passages,
    read_rows,
)

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
SHAPES = {"mnist": (28, 28, 1), "fashion_mnist": (28, 28, 1)}
SHAPES |= dict.fromkeys(("cifar10", "cifar100", "svhn_cropped"), (32, 32, 3))
TEXTS = ("ag_news_subset",)
PASSAGES = ("race/middle", "race/high")  # with questions
NAMES = tuple(name for name in SOURCES if name not in TEXTS + PASSAGES)


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
    missing = f"{key}: {name} is not in {data_dir / name}/<version>"
    other = "give another --data_dir=FOLDER"
    check(download, f"{missing}; {other}, or fetch it with --download")
    check(
        importlib.util.find_spec("tensorflow") is not None,
        f"{missing}, and preparing it needs TensorFlow; {install_words('tfds')}, or {other}",
    )
    parent = next(path for path in (data_dir, *data_dir.parents) if path.exists())
    check(
        parent.is_dir() and os.access(parent, os.W_OK),
        f"{missing}, and {parent} cannot be written; {other}",
    )
    reason = unreachable(SOURCES[name])
    check(
        reason is None,
        f"{missing}, and {SOURCES[name]} cannot be fetched ({reason}); {other}, "
        "or try again with a network",
    )


def load(name: str, data_dir: Path, download: bool) -> Decoded:
    """Load a set of images from its newest prepared folder, decoded once and cached.

    Where it is missing it is fetched and prepared first. The training part comes first, in the
    order of the record, then the official test part.

    Raises:
      ConfigError: neither there nor to be had (`check_available`), or damaged.
    """
    folder = find_or_prepare(name, data_dir, download)
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
    name: str, data_dir: Path, download: bool
) -> tuple[list[dict], tuple[str, ...], int]:
    """Load a set of texts.

    Returns:
      every example as {column: text or label}, class names, where the official test part begins.

    Raises:
      ConfigError: neither there nor to be had (`check_available`), or damaged.
    """
    folder = find_or_prepare(name, data_dir, download)
    sizes, class_names = describe(folder)
    return read_rows(folder, class_names), class_names, sizes["train"]


def load_passages(name: str, data_dir: Path, download: bool) -> dict[str, list[dict]]:
    """Load a set of passages with questions.

    Returns:
      {"train", "dev", "test": every passage as `tfds_folder.read_passages` gives it}.

    Raises:
      ConfigError: neither there nor to be had (`check_available`), or damaged.
    """
    return read_passages(find_or_prepare(name, data_dir, download))


def find_or_prepare(name: str, data_dir: Path, download: bool) -> Path:
    """Return the newest prepared folder of a set; a missing one is fetched and prepared first."""
    folder = find(name, data_dir)
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


def prepare(name: str, data_dir: Path) -> None:
    """Fetch a set and write it as array_record files.

    tensorflow_datasets does it, with TensorFlow on the CPU.

    Raises:
      ConfigError: it did not work.
    """
    try:
        import tensorflow as tf
        import tensorflow_datasets as tfds

        tf.config.set_visible_devices([], "GPU")  # which is for JAX
        tfds.builder(name, data_dir=data_dir, file_format="array_record").download_and_prepare()
    except Exception as error:  # whatever TensorFlow, the network or the disk raise
        raise ConfigError(
            f"{name} could not be prepared in {data_dir} ({first_line(error)}); "
            "try again, or give another --data_dir=FOLDER"
        ) from None
