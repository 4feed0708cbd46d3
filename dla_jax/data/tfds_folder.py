"""A folder as tensorflow_datasets prepares it, read without TensorFlow where it can be."""

import importlib.util
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dla_jax.config.checks import ConfigError, check
from dla_jax.config.connectivity import first_line
from dla_jax.config.project import install_words
from dla_jax.data.cache import Decoded, channel_stats

PARTS = ("train", "test")
PASSAGE_PARTS = ("train", "dev", "test")  # of a set of passages with questions
DAMAGE = (OSError, ValueError, KeyError, TypeError)  # what damaged JSON files raise
BLOCK = 1000  # records read in one go
AGAIN = "remove it, so that it is fetched again, or give another --data_dir=FOLDER"


def describe(folder: Path) -> tuple[dict[str, int], tuple[str, ...]]:
    """Return ({split: number of examples}, class names) of a folder, from its JSON files alone.

    Raises:
      ConfigError: they are damaged, or the records are in a format that only TensorFlow reads, and
        it is missing.
    """
    try:
        sizes = _sizes(folder)
        label = _json(folder / "features.json")["featuresDict"]["features"]["label"]
        names = folder / "label.labels.txt"  # absent where the classes are only numbered
        numbers = map(str, range(int(label["classLabel"]["numClasses"])))
        known = names.read_text(encoding="utf-8").splitlines() if names.exists() else numbers
        described = {split: sizes[split] for split in PARTS}, tuple(known)
    except DAMAGE as error:
        raise ConfigError(_damaged(folder, error)) from None
    check(
        _is_array_record(folder) or importlib.util.find_spec("tensorflow") is not None,
        f"{folder} holds no array_record files, and others need TensorFlow; install it with "
        f"{install_words('tfds')}, or give another --data_dir=FOLDER",
    )
    return described


def check_passages(folder: Path) -> None:
    """Raise ConfigError for a folder of passages with questions that is damaged.

    Its JSON files alone are looked at. Records that only TensorFlow reads are refused too.
    """
    try:
        sizes = _sizes(folder)
        empty = [part for part in PASSAGE_PARTS if sizes[part] == 0]
        features = set(_json(folder / "features.json")["featuresDict"]["features"])
    except DAMAGE as error:
        raise ConfigError(_damaged(folder, error)) from None
    check(not empty, f"{folder} has no passage in {', '.join(empty)}; {AGAIN}")
    missing = {"article", "questions", "options", "answers"} - features
    check(not missing, f"{folder} has no {', '.join(sorted(missing))}; {AGAIN}")
    check(
        _is_array_record(folder),
        f"{folder} holds no array_record files, and others are not read; give another "
        "--data_dir=FOLDER, and fetch it into that with --download",
    )


def read_images(folder: Path, sizes: dict[str, int], class_names: tuple[str, ...]) -> Decoded:
    """Read every example of a set of images; the training part comes first.

    Args:
      sizes, class_names: as `describe` gives them.

    Raises:
      ConfigError: damaged.
    """
    read = _image_records if _is_array_record(folder) else _images_with_tensorflow
    (images, labels), (test_images, test_labels) = _read(folder, read)
    mean, std = channel_stats(images)
    images = np.concatenate([images, test_images])
    labels = np.concatenate([labels, test_labels]).astype(np.int32)
    sound = 0 <= labels.min() <= labels.max() < len(class_names)
    check(sound, _beyond(folder, labels.max(), class_names))
    return Decoded(images, labels, class_names, mean, std, sizes["train"])


def read_rows(folder: Path, class_names: tuple[str, ...]) -> list[dict]:
    """Read every example of a set of texts as {column: text or label}; the training part first.

    Raises:
      ConfigError: damaged.
    """
    read = _records if _is_array_record(folder) else _examples_with_tensorflow
    rows = [
        {key: _text_or_label(value) for key, value in row.items()}
        for part in _read(folder, read)
        for row in part
    ]
    most = max(row["label"] for row in rows)
    check(most < len(class_names), _beyond(folder, most, class_names))
    return rows


def read_passages(folder: Path) -> dict[str, list[dict]]:
    """Read every passage of a set of passages with questions.

    Returns:
      {"train", "dev", "test": a list of {column: text, or list of texts, or of lists of them}}.

    Raises:
      ConfigError: damaged.
    """
    check_passages(folder)
    rows = dict(zip(PASSAGE_PARTS, _read(folder, _records, PASSAGE_PARTS), strict=True))
    return {
        part: [{key: _texts(value) for key, value in row.items()} for row in rows[part]]
        for part in rows
    }


def _json(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def _sizes(folder: Path) -> dict[str, int]:
    """Return {split: number of examples}, from a JSON file alone."""
    splits = _json(folder / "dataset_info.json")["splits"]
    return {split["name"]: sum(map(int, split["shardLengths"])) for split in splits}


def _damaged(folder: Path, error: Exception) -> str:
    return f"{folder}: its JSON files are damaged ({error!r:.120}); {AGAIN}"


def _texts(value):
    """Return bytes, or sequences of them in any depth, as texts in lists."""
    return value.decode() if isinstance(value, bytes) else [_texts(each) for each in value]


def _text_or_label(value: bytes | np.integer) -> str | int:
    return value.decode() if isinstance(value, bytes) else int(value)


def _is_array_record(folder: Path) -> bool:
    return any(folder.glob("*.array_record-*"))


def _beyond(folder: Path, most: int, class_names: tuple[str, ...]) -> str:
    """Return the message for labels that are no class; `most` is the largest."""
    return f"{folder} holds labels up to {most}, of {len(class_names)} classes; {AGAIN}"


def _read(folder: Path, read: Callable, parts: tuple[str, ...] = PARTS) -> list:
    """Return `read(builder, part)` of each part; raise ConfigError where it cannot be read."""
    try:
        import tensorflow_datasets as tfds

        builder = tfds.builder_from_directory(folder)
        return [read(builder, split) for split in parts]
    except ImportError as error:
        raise ConfigError(
            f"{folder} cannot be read ({error}); install what is missing with {install_words()}"
        ) from None
    except Exception as error:  # whatever array_record, TensorFlow and Pillow raise for damage
        raise ConfigError(f"{folder} cannot be read ({first_line(error)}); {AGAIN}") from None


def _records(builder, split: str) -> list[dict]:
    source = builder.as_data_source(split)
    return source.__getitems__(list(range(len(source))))


def _image_records(builder, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Read and decode the images of a part: uint8 [n, H, W, C], and labels int32 [n].

    Decoded here it is 1.5 times as fast as by tensorflow_datasets, and the same whether OpenCV is
    installed or not.
    """
    import tensorflow_datasets as tfds
    from PIL import Image

    source = builder.as_data_source(split, decoders={"image": tfds.decode.SkipDecoding()})
    shape = builder.info.features["image"].shape
    images = np.zeros((len(source), *shape), np.uint8)
    labels = np.zeros(len(source), np.int32)
    for first in range(0, len(source), BLOCK):
        examples = source.__getitems__(list(range(first, min(first + BLOCK, len(source)))))
        for i, example in enumerate(examples, first):
            image = np.asarray(Image.open(io.BytesIO(example["image"])))
            images[i] = image.reshape(images.shape[1:])
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


def _images_with_tensorflow(builder, split: str) -> tuple[np.ndarray, np.ndarray]:
    examples = _examples_with_tensorflow(builder, split)
    pairs = ((example["image"], example["label"]) for example in examples)
    images, labels = zip(*pairs, strict=True)
    return np.stack(images), np.array(labels)
