"""RACE and DREAM: small sets in their formats, and the published ones where they are."""

import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from ml_collections import ConfigDict
from prepared_folder import field

from dla_jax.config.checks import ConfigError
from dla_jax.data import choice_sets, choices, prepared

DATA = os.environ.get("DLA_DATA_DIR")
FOUR = ("a b", "b", "c", "d")
PASSAGES = {  # of RACE: (article, (question, options, letter) of each)
    "train": [("One\ntwo ", [("What _ ?", FOUR, "A"), ("Why?", FOUR[::-1], "A")]), ("x", [])],
    "dev": [("Tre, così", [("Who?", FOUR, "C")])],
    "test": [("Four", [("How?", FOUR, "D"), (" ", FOUR, "D"), ("Who?", ("", *FOUR[1:]), "D")])],
}
DIALOGUES = {
    "train": [[["W: Hello.", "M: Good\nbye."], [("What?", ["x", "y", "z"], "z")], "4-1"]],
    "dev": [[["M: Hi."], [("Who?", ["x", "y", "x"], "x"), ("How?", ["a", "b", "c"], "b")], "4-2"]],
    "test": [[["W: No."], [("Why?", ["a", "b", "c"], "a")], "4-3"]],
}


def write_race(data_dir: Path, level: str = "middle", parts=PASSAGES) -> Path:
    """Write RACE as tensorflow_datasets prepares it, by hand."""
    folder = data_dir / "race" / level / "2.0.0"
    folder.mkdir(parents=True)
    info = {
        "name": "race",
        "version": "2.0.0",
        "configName": level,
        "fileFormat": "array_record",
        "moduleName": "tensorflow_datasets.datasets.race.race_dataset_builder",
        "splits": [write_split(folder, split, rows) for split, rows in parts.items()],
    }
    place = "tensorflow_datasets.core.features"
    text = {"pythonClassName": f"{place}.text_feature.Text", "text": {}}
    list_of = {"pythonClassName": f"{place}.sequence_feature.Sequence"}
    texts = list_of | {"sequence": {"feature": text, "length": "-1"}}
    features = {
        "article": text,
        "example_id": text,
        "questions": texts,
        "answers": texts,
        "options": list_of | {"sequence": {"feature": texts, "length": "-1"}},
    }
    features = {
        "pythonClassName": f"{place}.features_dict.FeaturesDict",
        "featuresDict": {"features": features},
    }
    (folder / "dataset_info.json").write_text(json.dumps(info))
    (folder / "features.json").write_text(json.dumps(features))
    return folder


def write_split(folder: Path, split: str, rows) -> dict:
    """Write the passages of a split, and return what the JSON says of it."""
    from array_record.python.array_record_module import ArrayRecordWriter

    path = folder / f"race-{split}.array_record-00000-of-00001"
    writer = ArrayRecordWriter(str(path), "group_size:1")
    for i, (article, asked) in enumerate(rows):
        writer.write(example(article, asked, f"{split}{i}.txt"))
    writer.close()
    return {
        "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
        "name": split,
        "numBytes": "1",
        "shardLengths": [str(len(rows))],
    }


def example(article: str, asked, name: str) -> bytes:
    """Write a tf.train.Example as tensorflow_datasets does, by hand."""

    def texts(*given: str) -> bytes:
        return field(1, b"".join(field(1, text.encode()) for text in given))

    lengths = bytes(len(options) for _, options, _ in asked)
    features = {
        "article": texts(article),
        "example_id": texts(name),
        "questions": texts(*(question for question, _, _ in asked)),
        "answers": texts(*(letter for _, _, letter in asked)),
        "options/ragged_flat_values": texts(*(o for _, options, _ in asked for o in options)),
        "options/ragged_row_lengths_0": field(3, field(1, lengths)),
    }
    pairs = [field(1, key.encode()) + field(2, value) for key, value in features.items()]
    return field(1, b"".join(field(1, pair) for pair in pairs))


def write_dream(folder: Path, parts=DIALOGUES) -> Path:
    """Write DREAM as it is published."""
    for part, dialogues in parts.items():
        named = [
            [
                turns,
                [dict(zip(("question", "choice", "answer"), one, strict=True)) for one in asked],
                i,
            ]
            for turns, asked, i in dialogues
        ]
        (folder / f"{part}.json").write_text(json.dumps(named))
    return folder


def load(data_dir: Path, **changes) -> choices.Choices:
    usual = {"name": "race", "path": "", "level": "all", "num_train": 0}
    data = ConfigDict(usual | {"val_fraction": 0.0, "test_fraction": 0.0} | changes)
    choices.check_config(data, data_dir, download=False)
    return choices.load(data, data_dir, download=False)


def test_race_is_read_in_both_levels(tmp_path, capsys):
    write_race(tmp_path, "middle")
    write_race(tmp_path, "high", PASSAGES | {"dev": [("Five", [("When?", FOUR, "B")])]})
    found = load(tmp_path)
    assert found.level == ("middle",) * 4 + ("high",) * 4 and found.num_options == 4
    assert found.questions == (
        "What _ ?",
        "Why?",
        "Who?",
        "How?",
        *("What _ ?", "Why?"),
        "When?",
        "How?",
    )
    np.testing.assert_array_equal(found.part, [0, 0, 1, 2] * 2)
    np.testing.assert_array_equal(found.answers, [0, 0, 2, 3, 0, 0, 1, 3])
    assert found.options[:2] == (FOUR, FOUR[::-1])
    assert found.passages == ("One two", "Tre, così", "Four", "Five")
    np.testing.assert_array_equal(found.passage, [0, 0, 1, 2, 0, 0, 3, 2])
    assert capsys.readouterr().err == "race: 4 questions with an empty text are left out\n"
    high = load(tmp_path, level="high")
    assert high.questions == found.questions[4:] and set(high.level) == {"high"}


@pytest.mark.parametrize("damage", ["shard", "info", "features", "letter", "split", "format"])
def test_a_damaged_race_is_refused(tmp_path, damage):
    parts = dict(PASSAGES)
    if damage == "letter":
        parts["dev"] = [("x", [("Who?", FOUR, "E")])]
    elif damage == "split":
        del parts["dev"]
    folder = write_race(tmp_path, parts=parts)
    if damage == "shard":
        shard = next(folder.glob("*train*"))
        shard.write_bytes(shard.read_bytes()[:100])
    elif damage == "format":
        for shard in folder.glob("*array_record*"):
            shard.rename(str(shard).replace("array_record", "tfrecord"))
    elif damage in ("info", "features"):
        name = {"info": "dataset_info", "features": "features"}[damage]
        (folder / f"{name}.json").write_text('{"featuresDict": {"features": {"article": {}}}}')
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, level="middle")
    words = str(caught.value)
    assert "\n" not in words and "middle" in words and "--data_dir=FOLDER" in words


def test_the_address_asked_for_race_is_where_tensorflow_datasets_fetches_from():
    import tensorflow_datasets as tfds

    sums = Path(tfds.__file__).parent / "datasets" / "race" / "checksums.tsv"
    for name in prepared.PASSAGES:
        assert prepared.SOURCES[name] in sums.read_text().split()


def test_dream_is_read(tmp_path):
    found = load(tmp_path, name="dream", path=str(write_dream(tmp_path)))
    assert found.passages == ("W: Hello. M: Good bye.", "M: Hi.", "W: No.")
    assert found.questions == ("What?", "Who?", "How?", "Why?")
    np.testing.assert_array_equal(found.passage, [0, 1, 1, 2])
    np.testing.assert_array_equal(found.answers, [2, 0, 1, 0])
    np.testing.assert_array_equal(found.part, [0, 1, 1, 2])
    assert found.options[1] == ("x", "y", "x") and found.level == ("",) * 4


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "there is no dev.json in .*give the folder of DREAM"),
        ("[", "dev.json is not as DREAM is published"),
        ("{}x", "dev.json is not as DREAM is published"),
        ('[[["a"], [{"question": "b", "choice": ["c"]}], "1"]]', "dev.json is not as .*'answer'"),
        ('[[["a"], [{"question": "b", "choice": ["c"], "answer": "d"}], "1"]]', "dev.json is not"),
        ('[["a"]]', "dev.json is not as DREAM is published"),
        ("[3]", "dev.json is not as DREAM is published"),
    ],
)
def test_a_damaged_dream_is_refused(tmp_path, content, words):
    write_dream(tmp_path)
    (tmp_path / "dev.json").unlink()
    if content is not None:
        (tmp_path / "dev.json").write_text(content)
    with pytest.raises(ConfigError, match=words) as caught:
        load(tmp_path, name="dream", path=str(tmp_path))
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(
    not (DATA and Path(DATA, "text", "dream").is_dir()), reason="needs DLA_DATA_DIR with text/dream"
)
def test_the_real_dream_is_what_it_is_known_to_be(tmp_path):
    found = load(tmp_path, name="dream", path=str(Path(DATA, "text", "dream")))
    sizes = {"train": 6116, "val": 2040, "test": 2041}
    assert found.identity["part_sizes"] == sizes and found.num_options == 3
    parts = choices.split(found, 0, 0.0, 0.0)
    assert {name: len(positions) for name, positions in parts.items()} == sizes
    held = [set(found.passage[positions].tolist()) for positions in parts.values()]
    assert list(map(len, held)) == [3862, 1286, 1283] and len(set.union(*held)) == 6431
    shares = np.bincount(choices.labels_of(found, choices.orders(found, 0))) / len(found.answers)
    np.testing.assert_allclose(shares, 1 / 3, atol=0.02)


@pytest.mark.skipif(
    not (DATA and Path(DATA, "tfds", "race").is_dir()), reason="needs DLA_DATA_DIR with tfds/race"
)
def test_real_questions_of_race_are_read():
    found = load(Path(DATA, "tfds"))
    assert len(found.questions) >= 1000 and found.num_options == 4
    assert set(found.level) == set(choice_sets.LEVELS)
    counts = Counter(zip(found.level, found.part.tolist(), strict=True))
    if len(found.questions) == 1000:  # a sample
        assert [counts[level, part] for level in choice_sets.LEVELS for part in range(3)] == [
            *(300, 101, 99),
            *(300, 100, 100),
        ]
    first = "Abdul Krim has said that _ ."
    place = found.questions.index(first)
    assert found.options[place][found.answers[place]] == "the danger of war passed two years ago"
    assert choices.kind_of(first) == "blank"
    assert not [text for text in found.passages if text != " ".join(text.split())]
