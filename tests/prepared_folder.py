"""A folder as tensorflow_datasets prepares it, written by hand, without TensorFlow."""

import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

RNG = np.random.default_rng(0)
TRAIN, TEST = (RNG.integers(0, 256, (n, 6, 5, 3)).astype(np.uint8) for n in (23, 9))
EXTRA = RNG.integers(0, 256, (40, 6, 5, 3)).astype(np.uint8)
LABELS = {
    "train": np.arange(23) % 3,
    "test": np.arange(9)[::-1] % 3,
    "extra": np.arange(40) % 3,
}


def field(number: int, payload: bytes) -> bytes:
    """A field of a protocol buffer that holds bytes."""
    size, length = len(payload), b""
    while size > 127:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + payload


def example(image: np.ndarray, label: int, name: str = "") -> bytes:
    """A tf.train.Example as tensorflow_datasets writes it, by hand; with an `id` as SVHN has it."""
    png = io.BytesIO()
    Image.fromarray(image).save(png, "png")
    features = {
        "image": field(1, field(1, png.getvalue())),
        "label": field(3, field(1, bytes([label]))),
    }
    if name:
        features["id"] = field(1, field(1, name.encode()))
    return field(
        1,
        b"".join(
            field(1, field(1, name.encode()) + field(2, value)) for name, value in features.items()
        ),
    )


def write(
    data_dir: Path,
    name: str = "cifar10",
    version: str = "3.0.2",
    shards: int = 2,
    train=TRAIN,
    like_svhn: bool = False,
) -> Path:
    """A prepared folder; like that of SVHN it has a third split, ids, and classes without names."""
    from array_record.python.array_record_module import ArrayRecordWriter

    folder = data_dir / name / version
    folder.mkdir(parents=True)
    splits, held = [], {"train": train, "test": TEST} | ({"extra": EXTRA} if like_svhn else {})
    for split, images in held.items():
        parts = np.array_split(np.arange(len(images)), shards)
        for i, part in enumerate(parts):
            writer = ArrayRecordWriter(
                str(folder / f"{name}-{split}.array_record-{i:05}-of-{shards:05}"), "group_size:1"
            )
            for position in part:
                own = f"{split}_{position:06}" if like_svhn else ""
                writer.write(example(images[position], int(LABELS[split][position]), own))
            writer.close()
        splits.append(
            {
                "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
                "name": split,
                "numBytes": "1",
                "shardLengths": [str(len(part)) for part in parts],
            }
        )
    (folder / "dataset_info.json").write_text(
        json.dumps(
            {
                "name": name,
                "version": version,
                "fileFormat": "array_record",
                "moduleName": "tensorflow_datasets.image_classification.cifar",
                "splits": splits,
            }
        )
    )
    place = "tensorflow_datasets.core.features"
    shape = {"dimensions": [str(size) for size in train.shape[1:]]}
    features = {
        "image": {
            "pythonClassName": f"{place}.image_feature.Image",
            "image": {"shape": shape, "dtype": "uint8"},
        },
        "label": {
            "pythonClassName": f"{place}.class_label_feature.ClassLabel",
            "classLabel": {"numClasses": "3"},
        },
    }
    if like_svhn:
        features["id"] = {"pythonClassName": f"{place}.text_feature.Text", "text": {}}
    else:
        (folder / "label.labels.txt").write_text("a\nb b\nc\n")
    (folder / "features.json").write_text(
        json.dumps(
            {
                "pythonClassName": f"{place}.features_dict.FeaturesDict",
                "featuresDict": {"features": features},
            }
        )
    )
    return folder
