"""AG News, a prepared set of labelled texts."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from csv_texts import config
from prepared_folder import field

from dla_jax.config.checks import ConfigError
from dla_jax.data import labelled

DATA = os.environ.get("DLA_DATA_DIR")
NEWS = {
    "train": [
        ("Oil", "Prices\\near a record", 2),
        ("Cup final", "Two goals", 1),
        ("", "Solo una descrizione, così", 0),
    ],
    "test": [("Chip", " is   fast ", 3), ("Vote", "counted\nagain", 0)],
}
PREPARED = config(name="ag_news_subset", test_fraction=0.0)
CLASSES = ("World", "Sports", "Business", "Sci/Tech")


def write_news(data_dir: Path, parts=NEWS, names=CLASSES) -> Path:
    """Write AG News as tensorflow_datasets prepares it, by hand."""
    folder = data_dir / "ag_news_subset" / "1.0.0"
    folder.mkdir(parents=True)
    splits = [write_split(folder, split, rows) for split, rows in parts.items()]
    sets = "tensorflow_datasets.datasets"
    info = {
        "name": "ag_news_subset",
        "version": "1.0.0",
        "fileFormat": "array_record",
        "moduleName": f"{sets}.ag_news_subset.ag_news_subset_dataset_builder",
        "splits": splits,
    }
    place = "tensorflow_datasets.core.features"
    text = {"pythonClassName": f"{place}.text_feature.Text", "text": {}}
    label = {
        "pythonClassName": f"{place}.class_label_feature.ClassLabel",
        "classLabel": {"numClasses": "4"},
    }
    features = {
        "pythonClassName": f"{place}.features_dict.FeaturesDict",
        "featuresDict": {"features": {"description": text, "label": label, "title": text}},
    }
    (folder / "dataset_info.json").write_text(json.dumps(info))
    (folder / "features.json").write_text(json.dumps(features))
    (folder / "label.labels.txt").write_text("\n".join(names) + "\n")
    return folder


def write_split(folder: Path, split: str, rows: list[tuple[str, str, int]]) -> dict:
    """Write (title, description, label) of each row, and return what the JSON says of the part."""
    from array_record.python.array_record_module import ArrayRecordWriter

    path = folder / f"ag_news_subset-{split}.array_record-00000-of-00001"
    writer = ArrayRecordWriter(str(path), "group_size:1")
    for title, description, label in rows:
        writer.write(example(title, description, label))
    writer.close()
    return {
        "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
        "name": split,
        "numBytes": "1",
        "shardLengths": [str(len(rows))],
    }


def example(title: str, description: str, label: int) -> bytes:
    """Write a tf.train.Example as tensorflow_datasets does, by hand."""
    features = {
        "title": field(1, field(1, title.encode())),
        "description": field(1, field(1, description.encode())),
        "label": field(3, field(1, bytes([label]))),
    }
    pairs = [field(1, name.encode()) + field(2, value) for name, value in features.items()]
    return field(1, b"".join(field(1, pair) for pair in pairs))


def news(data_dir):
    return labelled.load(PREPARED, data_dir, download=False)


def test_a_prepared_set_is_read_title_first_and_its_test_part_is_official(tmp_path):
    write_news(tmp_path)
    labelled.check_config(PREPARED, tmp_path, download=False)
    found = news(tmp_path)
    assert found.texts[1:3] == ("Cup final Two goals", "Solo una descrizione, così")
    assert found.texts[3:] == ("Chip is fast", "Vote counted again")
    np.testing.assert_array_equal(found.labels, [2, 1, 0, 3, 0])
    assert found.class_names == CLASSES
    assert found.test_start == 3
    assert found.name == "ag_news_subset"


def test_a_backslash_of_ag_news_is_a_line_end_and_takes_no_letter_along(tmp_path):
    write_news(tmp_path)
    assert news(tmp_path).texts[0] == "Oil Prices near a record"


@pytest.mark.parametrize("damage", ["shard", "info", "names", "empty"])
def test_a_damaged_prepared_set_is_refused(tmp_path, damage):
    parts = NEWS | ({"test": [("", " ", 1)]} if damage == "empty" else {})
    names = CLASSES[:2] if damage == "names" else CLASSES
    folder = write_news(tmp_path, parts, names)
    if damage == "shard":
        shard = next(folder.glob("*train*"))
        shard.write_bytes(shard.read_bytes()[:100])
    elif damage == "info":
        (folder / "dataset_info.json").write_text("{")
    with pytest.raises(ConfigError) as caught:
        news(tmp_path)
    assert "\n" not in str(caught.value) and "ag_news_subset" in str(caught.value)


@pytest.mark.skipif(
    not (DATA and Path(DATA, "tfds", "ag_news_subset").is_dir()),
    reason="needs DLA_DATA_DIR with ag_news_subset in tfds/",
)
def test_the_real_ag_news_is_what_it_is_known_to_be():
    found = news(Path(DATA, "tfds"))
    assert found.class_names == CLASSES
    assert len(found.texts) - found.test_start == 7600
    assert set(found.labels[: found.test_start]) == {0, 1, 2, 3}
    np.testing.assert_array_equal(np.bincount(found.labels[found.test_start :]), [1900] * 4)
    first = (
        "Fears for T N pension after talks Unions representing workers at Turner Newall say they "
        "are 'disappointed' after talks with stricken parent firm Federal Mogul."
    )
    assert found.labels[found.test_start + found.texts[found.test_start :].index(first)] == 2
    assert not [text for text in found.texts if text != " ".join(text.split())]
