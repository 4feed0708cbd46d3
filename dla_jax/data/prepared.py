"""Image sets as tensorflow_datasets prepares them: read without TensorFlow, prepared with it."""

import importlib.util
import json
import os
import re
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np

from dla_jax.config import ConfigError, check
from dla_jax.data.cache import Decoded, cached, channel_stats, content_key

# Where a set is fetched from: asked before TensorFlow is imported. The first is tensorflow_datasets' own.
GOOGLE, TORONTO = "https://storage.googleapis.com", "https://www.cs.toronto.edu"
HOSTS = {
    "mnist": (GOOGLE,),
    "fashion_mnist": (GOOGLE, "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"),
    "cifar10": (GOOGLE, TORONTO),
    "cifar100": (GOOGLE, TORONTO),
}
NAMES = tuple(HOSTS)
PATIENCE = 4.0  # seconds that a host may take to answer


def find(name: str, data_dir: Path) -> Path | None:
    """The newest prepared version of a set in `data_dir/name`, None where there is none."""
    folders = [path.parent for path in data_dir.glob(f"{name}/*/dataset_info.json") if (path.parent / "features.json").exists()]
    numbered = [folder for folder in folders if re.fullmatch(r"\d+\.\d+\.\d+", folder.name)]
    return max(numbered, key=lambda folder: tuple(map(int, folder.name.split("."))), default=None)


def check_available(name: str, data_dir: Path, download: bool) -> None:
    """Raises ConfigError, within seconds, when a set is neither in `data_dir` nor can be fetched into it."""
    folder = find(name, data_dir)
    if folder is not None:
        _check_readable(folder)
        return
    missing, other = f"data.name: {name} is not in {data_dir / name}", "give another --data_dir"
    check(download, f"{missing}; {other}, or leave --nodownload out")
    check(importlib.util.find_spec("tensorflow") is not None,
          f"{missing}, and preparing it needs TensorFlow; pip install -r requirements-tfds.txt, or {other}")  # fmt: skip
    parent = next(path for path in (data_dir, *data_dir.parents) if path.exists())
    check(parent.is_dir() and os.access(parent, os.W_OK), f"{missing}, and {parent} cannot be written; {other}")
    for host in HOSTS[name]:
        reason = unreachable(host)
        check(reason is None, f"{missing}, and {host} cannot be reached ({reason}); {other}, or try again with a network")


def unreachable(url: str) -> str | None:
    """Why a host does not answer, or None when it does. Honours proxies, and gives up after PATIENCE seconds."""
    reasons = ["no answer"]

    def ask():
        try:
            urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=PATIENCE).close()
            reasons[0] = None
        except urllib.error.HTTPError:
            reasons[0] = None  # it answered
        except (OSError, ValueError) as error:
            reasons[0] = str(getattr(error, "reason", error))

    thread = threading.Thread(target=ask, daemon=True)  # a name server may hang longer than any time-out of ours
    thread.start()
    thread.join(PATIENCE)
    return reasons[0]


def load(name: str, data_dir: Path, download: bool) -> Decoded:
    """A set from its newest prepared folder, decoded once and cached; where it is missing it is fetched and prepared first.

    The training part comes first, in the order of the record, then the official test part.

    Raises:
      ConfigError: neither there nor to be had (`check_available`), or damaged.
    """
    folder = find(name, data_dir)
    if folder is None:
        check_available(name, data_dir, download)
        print(f"fetching and preparing {name} in {data_dir}; minutes, once", file=sys.stderr)
        prepare(name, data_dir)
        folder = find(name, data_dir)
        check(folder is not None, f"data.name: {name} was prepared, but not in {data_dir / name}; give another --data_dir")
    _check_readable(folder)
    sizes = _sizes(folder)
    key = content_key(folder, [path for path in folder.iterdir() if path.is_file()])
    return cached(folder, key, lambda: _decode(folder), _class_names(folder), sizes["train"])


def prepare(name: str, data_dir: Path) -> None:
    """Fetches a set and writes it as array_record files, by tensorflow_datasets with TensorFlow on the CPU.

    Raises:
      ConfigError: it did not work.
    """
    import tensorflow as tf
    import tensorflow_datasets as tfds

    tf.config.set_visible_devices([], "GPU")  # which is for JAX
    try:
        tfds.builder(name, data_dir=data_dir, file_format="array_record").download_and_prepare()
    except Exception as error:  # whatever TensorFlow, the network or the disk raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ConfigError(
            f"data.name: {name} could not be prepared in {data_dir} ({reason}); try again, or give another --data_dir"
        ) from None


def _sizes(folder: Path) -> dict[str, int]:
    """{split: number of examples}."""
    try:
        splits = json.loads((folder / "dataset_info.json").read_text())["splits"]
        sizes = {split["name"]: sum(map(int, split["shardLengths"])) for split in splits}
        return {"train": sizes["train"], "test": sizes["test"]}
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{folder}: dataset_info.json is damaged ({error!r}); prepare it again, or give another --data_dir"
        ) from None


def _check_readable(folder: Path) -> None:
    """Raises ConfigError for a folder that was prepared as tfrecord files, which only TensorFlow reads."""
    _sizes(folder)
    if any(folder.glob("*.array_record-*")):
        return
    check(importlib.util.find_spec("tensorflow") is not None,
          f"{folder} holds no array_record files, and others need TensorFlow; pip install -r requirements-tfds.txt, "
          "or give another --data_dir")  # fmt: skip


def _class_names(folder: Path) -> tuple[str, ...]:
    names = folder / "label.labels.txt"
    if names.exists():
        return tuple(names.read_text().splitlines())
    label = json.loads((folder / "features.json").read_text())["featuresDict"]["features"]["label"]
    return tuple(map(str, range(int(label["classLabel"]["numClasses"]))))


def _decode(folder: Path) -> Decoded:
    """Every example of a prepared folder."""
    import tensorflow_datasets as tfds

    read = _read_records if any(folder.glob("*.array_record-*")) else _read_with_tensorflow
    try:
        builder = tfds.builder_from_directory(folder)
        parts = {split: read(builder, split) for split in ("train", "test")}
    except Exception as error:  # array_record and Pillow raise whatever they meet in a damaged file
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ConfigError(f"{folder} cannot be read ({reason[:120]}); prepare it again, or give another --data_dir") from None
    sizes = _sizes(folder)
    for split, (_, labels) in parts.items():
        check(len(labels) == sizes[split], f"{folder}: {len(labels)} {split} examples, not {sizes[split]}; prepare it again")
    images, labels = (np.concatenate([parts["train"][i], parts["test"][i]]) for i in (0, 1))
    return Decoded(images, labels.astype(np.int32), _class_names(folder), *channel_stats(parts["train"][0]), sizes["train"])


def _read_records(builder, split: str) -> tuple[np.ndarray, np.ndarray]:
    source, block = builder.as_data_source(split), 1000
    images, labels = np.zeros((len(source), *builder.info.features["image"].shape), np.uint8), np.zeros(len(source), np.int32)
    for first in range(0, len(source), block):
        examples = source.__getitems__(list(range(first, min(first + block, len(source)))))
        images[first : first + block] = [example["image"] for example in examples]
        labels[first : first + block] = [example["label"] for example in examples]
    return images, labels


def _read_with_tensorflow(builder, split: str) -> tuple[np.ndarray, np.ndarray]:
    import tensorflow as tf
    import tensorflow_datasets as tfds

    tf.config.set_visible_devices([], "GPU")
    examples = list(tfds.as_numpy(builder.as_dataset(split=split, shuffle_files=False)))
    return np.stack([example["image"] for example in examples]), np.array([example["label"] for example in examples])
