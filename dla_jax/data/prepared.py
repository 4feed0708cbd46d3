"""Sets of images and texts as tensorflow_datasets prepares them: read without TensorFlow, prepared with it."""

import importlib.util
import io
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dla_jax.config.checks import ConfigError, check
from dla_jax.config.connectivity import first_line, unreachable
from dla_jax.data.cache import Decoded, cached, channel_stats, content_key

# A file of each set, where tensorflow_datasets fetches it: asked for before TensorFlow is imported. Nothing else is needed.
SOURCES = {
    "mnist": "https://storage.googleapis.com/cvdf-datasets/mnist/t10k-labels-idx1-ubyte.gz",
    "fashion_mnist": "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/t10k-labels-idx1-ubyte.gz",
    "cifar10": "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    "cifar100": "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
    "ag_news_subset": "https://drive.google.com/uc?export=download&id=0Bz8a_Dbh9QhbUDNpeUdjb0wxRms",
}
TEXTS = ("ag_news_subset",)
NAMES = tuple(name for name in SOURCES if name not in TEXTS)
PARTS = ("train", "test")
BLOCK = 1000  # records read in one go


def find(name: str, data_dir: Path) -> Path | None:
    """The newest prepared version of a set in `data_dir/name`, None where there is none."""
    folders = [
        path.parent
        for path in data_dir.glob(f"{name}/*/dataset_info.json")
        if (path.parent / "features.json").exists()
    ]
    numbered = [folder for folder in folders if re.fullmatch(r"\d+\.\d+\.\d+", folder.name)]
    return max(numbered, key=lambda folder: tuple(map(int, folder.name.split("."))), default=None)


def check_available(name: str, data_dir: Path, download: bool) -> None:
    """Raises ConfigError, within seconds, when a set is neither in `data_dir` nor can be fetched into it."""
    folder = find(name, data_dir)
    if folder is not None:
        _describe(folder)
        return
    missing, other = (
        f"data.name: {name} is not in {data_dir / name}/<version>",
        "give another --data_dir=FOLDER",
    )
    check(download, f"{missing}; {other}, or fetch it with --download")
    check(
        importlib.util.find_spec("tensorflow") is not None,
        f"{missing}, and preparing it needs TensorFlow; pip install -r requirements-tfds.txt, or {other}",
    )
    parent = next(path for path in (data_dir, *data_dir.parents) if path.exists())
    check(
        parent.is_dir() and os.access(parent, os.W_OK),
        f"{missing}, and {parent} cannot be written; {other}",
    )
    reason = unreachable(SOURCES[name])
    check(
        reason is None,
        f"{missing}, and {SOURCES[name]} cannot be fetched ({reason}); {other}, or try again with a network",
    )


def load(name: str, data_dir: Path, download: bool) -> Decoded:
    """A set from its newest prepared folder, decoded once and cached; where it is missing it is fetched and prepared first.

    The training part comes first, in the order of the record, then the official test part.

    Raises:
      ConfigError: neither there nor to be had (`check_available`), or damaged.
    """
    folder = find_or_prepare(name, data_dir, download)
    sizes, class_names = _describe(folder)
    key = content_key(folder, [path for path in folder.iterdir() if path.is_file()])
    return cached(
        folder, key, lambda: _decode(folder, sizes, class_names), class_names, sizes["train"]
    )


def find_or_prepare(name: str, data_dir: Path, download: bool) -> Path:
    """The newest prepared folder of a set; where it is missing it is fetched and prepared first."""
    folder = find(name, data_dir)
    if folder is None:
        check_available(name, data_dir, download)
        print(f"fetching and preparing {name} in {data_dir}; minutes, once", file=sys.stderr)
        prepare(name, data_dir)
        folder = find(name, data_dir)
        check(
            folder is not None,
            f"data.name: {name} was prepared, but not in {data_dir / name}; give another --data_dir=FOLDER",
        )
    return folder


def load_texts(
    name: str, data_dir: Path, download: bool
) -> tuple[list[dict], tuple[str, ...], int]:
    """(every example as {column: text or label}, class names, where the official test part begins) of a set of texts.

    Raises:
      ConfigError: neither there nor to be had (`check_available`), or damaged.
    """
    folder = find_or_prepare(name, data_dir, download)
    sizes, class_names = _describe(folder)

    def read(builder, split):
        source = builder.as_data_source(split)
        return source.__getitems__(list(range(len(source))))

    (examples, test) = _read(
        folder, read if _is_array_record(folder) else _examples_with_tensorflow
    )
    rows = [
        {
            key: value.decode() if isinstance(value, bytes) else int(value)
            for key, value in row.items()
        }
        for row in (*examples, *test)
    ]
    most = max(row["label"] for row in rows)
    check(
        most < len(class_names),
        f"{folder} holds labels up to {most}, of {len(class_names)} classes; prepare it again, or "
        "give another --data_dir=FOLDER",
    )
    return rows, class_names, sizes["train"]


def prepare(name: str, data_dir: Path) -> None:
    """Fetches a set and writes it as array_record files, by tensorflow_datasets with TensorFlow on the CPU.

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
            f"data.name: {name} could not be prepared in {data_dir} ({first_line(error)}); try again, or give another "
            "--data_dir=FOLDER"
        ) from None


def _describe(folder: Path) -> tuple[dict[str, int], tuple[str, ...]]:
    """({split: number of examples}, class names) of a prepared folder, from its JSON files alone.

    Raises:
      ConfigError: they are damaged, or the records are in a format that only TensorFlow reads, and it is missing.
    """
    try:
        splits = json.loads((folder / "dataset_info.json").read_text(encoding="utf-8"))["splits"]
        sizes = {split["name"]: sum(map(int, split["shardLengths"])) for split in splits}
        label = json.loads((folder / "features.json").read_text(encoding="utf-8"))["featuresDict"][
            "features"
        ]["label"]
        names = folder / "label.labels.txt"  # absent where the classes are only numbered
        numbers = map(str, range(int(label["classLabel"]["numClasses"])))
        known = names.read_text(encoding="utf-8").splitlines() if names.exists() else numbers
        described = {split: sizes[split] for split in PARTS}, tuple(known)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{folder}: its JSON files are damaged ({error!r:.120}); prepare it again, or give another --data_dir=FOLDER"
        ) from None
    check(
        _is_array_record(folder) or importlib.util.find_spec("tensorflow") is not None,
        f"{folder} holds no array_record files, and others need TensorFlow; pip install -r requirements-tfds.txt, "
        "or give another --data_dir=FOLDER",
    )
    return described


def _is_array_record(folder: Path) -> bool:
    return any(folder.glob("*.array_record-*"))


def _decode(folder: Path, sizes: dict[str, int], class_names: tuple[str, ...]) -> Decoded:
    """Every example of a prepared folder."""
    read = _read_records if _is_array_record(folder) else _read_with_tensorflow
    (images, labels), (test_images, test_labels) = _read(folder, read)
    mean, std = channel_stats(images)
    images, labels = (
        np.concatenate([images, test_images]),
        np.concatenate([labels, test_labels]).astype(np.int32),
    )
    check(
        0 <= labels.min() <= labels.max() < len(class_names),
        f"{folder} holds labels up to {labels.max()}, of {len(class_names)} classes; prepare it again, or give another "
        "--data_dir=FOLDER",
    )
    return Decoded(images, labels, class_names, mean, std, sizes["train"])


def _read(folder: Path, read: Callable) -> list:
    """`read(builder, part)` of each part."""
    try:
        import tensorflow_datasets as tfds

        builder = tfds.builder_from_directory(folder)
        return [read(builder, split) for split in PARTS]
    except ImportError as error:
        raise ConfigError(
            f"{folder} cannot be read ({error}); pip install -r requirements.txt"
        ) from None
    except (
        Exception
    ) as error:  # whatever array_record, TensorFlow and Pillow raise for damaged or missing files
        raise ConfigError(
            f"{folder} cannot be read ({first_line(error)}); prepare it again, or give another --data_dir=FOLDER"
        ) from None


def _read_records(builder, split: str) -> tuple[np.ndarray, np.ndarray]:
    import tensorflow_datasets as tfds
    from PIL import Image

    # Decoded here: 1.5 times as fast as by tensorflow_datasets, and the same whether OpenCV is installed or not.
    source = builder.as_data_source(split, decoders={"image": tfds.decode.SkipDecoding()})
    images, labels = (
        np.zeros((len(source), *builder.info.features["image"].shape), np.uint8),
        np.zeros(len(source), np.int32),
    )
    for first in range(0, len(source), BLOCK):
        examples = source.__getitems__(list(range(first, min(first + BLOCK, len(source)))))
        for i, example in enumerate(examples, first):
            images[i] = np.asarray(Image.open(io.BytesIO(example["image"]))).reshape(
                images.shape[1:]
            )
            labels[i] = example["label"]
    return images, labels


def _examples_with_tensorflow(builder, split: str):
    import tensorflow as tf
    import tensorflow_datasets as tfds

    tf.config.set_visible_devices([], "GPU")
    one_file_after_another = tfds.ReadConfig(interleave_cycle_length=1)
    return tfds.as_numpy(
        builder.as_dataset(split=split, shuffle_files=False, read_config=one_file_after_another)
    )


def _read_with_tensorflow(builder, split: str) -> tuple[np.ndarray, np.ndarray]:
    examples = _examples_with_tensorflow(builder, split)
    images, labels = zip(
        *((example["image"], example["label"]) for example in examples), strict=True
    )
    return np.stack(images), np.array(labels)
