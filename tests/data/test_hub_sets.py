"""Sets of the Hugging Face hub are fetched once, checked, and read again without a network."""

import functools
import importlib
import importlib.util
import os
import sys
from pathlib import Path

import hub_library
import numpy as np
import pytest
from hub_library import COLOURS, COMMIT, LABELS, image_data, parts_of, pictures, png, refusal

from dla_jax.config.checks import ConfigError
from dla_jax.config.written import check_same_data
from dla_jax.data import (
    choice_sets,
    hub_ask,
    hub_fetch,
    hub_folder,
    hub_sets,
    images,
    labelled,
    photos,
    prepared,
    tfds_folder,
)

DATA = os.environ.get("DLA_DATA_DIR")
INSTALLED = importlib.util.find_spec("datasets") is not None


@functools.cache
def real_library():
    """Return the library itself, imported once; its module is then no longer in its place."""
    if not INSTALLED:
        pytest.skip("needs requirements-hub.txt")
    sys.modules.pop("datasets")
    return importlib.import_module("datasets")


def test_the_table_has_what_tensorflow_datasets_has():
    for name in (*prepared.NAMES, *prepared.PASSAGES, "ag_news_subset"):
        wanted = hub_sets.SETS[name]
        assert wanted.repo.count("/") == 1 and wanted.sizes
    import tensorflow_datasets as tfds

    root = Path(tfds.__file__).parent / "datasets"
    for path in root.glob("*/*labels.txt"):
        if path.parent.name in hub_sets.SETS:
            names = path.read_text().split("\n")
            assert tuple(filter(None, names)) == hub_sets.SETS[path.parent.name].class_names
    assert len(hub_sets.SETS["cifar100"].class_names) == 100 == len(set(hub_sets.CIFAR100.split()))
    assert all(hub_sets.is_commit(each.revision) for each in hub_sets.SETS.values())


def test_a_published_set_is_fetched_once_and_then_read_without_a_network(hub, small, tmp_path):
    wanted = small("cifar10", 5, 2)
    classes = wanted.class_names
    colours = pictures(7, (32, 32, 3))
    hub(parts_of("img", colours=colours), names={"label": classes})
    data = image_data("cifar10")
    images.check_config(data, tmp_path, download=True)
    found = images.load(data, tmp_path, download=True)
    assert hub.calls == [("uoft-cs/cifar10", "plain_text", wanted.revision, {})]
    np.testing.assert_array_equal(found.images, colours)
    np.testing.assert_array_equal(found.labels, LABELS)
    assert found.class_names == classes and found.test_start == 5
    np.testing.assert_allclose(found.mean, colours[:5].mean((0, 1, 2)) / 255, atol=1e-4)
    assert found.identity["commit"] == wanted.revision
    hub.unplug()
    images.check_config(data, tmp_path, download=False)
    again = images.load(data, tmp_path, download=False)
    assert again.identity == found.identity


def test_a_later_commit_has_another_identity(hub, tmp_path):
    data, found = image_data("hub:me/photos"), []
    for commit in ("a" * 40, "b" * 40):
        hub(parts_of(), commit=commit)
        hub_fetch.fetch(hub_sets.of_data(data), tmp_path)
        found.append(images.load(data, tmp_path, download=False).identity)
    assert found[0] != found[1] and found[0] | {"commit": "b" * 40} == found[1]
    with pytest.raises(ConfigError, match=r"begun on other data \(commit was a+, is b+\)"):
        check_same_data(tmp_path, *found)


def test_only_the_files_that_are_read_are_asked_for(hub, small, tmp_path):
    wanted = small("svhn_cropped", 5, 2)
    hub(parts_of(), names={"label": hub_sets.DIGITS}, path="cropped_digits/train-0.parquet")
    prepared.load("svhn_cropped", tmp_path, download=True)
    assert hub.calls[0][1:] == (None, wanted.revision, {"data_files": wanted.files})

    def read(wanted, **files):
        return hub_ask.files_of(wanted, dict.fromkeys(files["of"], 1), "data.name").keys()

    digits = ["cropped_digits/extra-0.parquet", "cropped_digits/test-0.parquet", "x.md"]
    assert read(wanted, of=digits) == {"cropped_digits/test-0.parquet"}
    race = ["high/a.parquet", "all/a.parquet", "high/a.md"]
    assert read(hub_sets.SETS["race/high"], of=race) == {"high/a.parquet"}
    news = ["data/train-0.parquet", "data/test-0.parquet", "README.md", ".gitattributes"]
    assert read(hub_sets.SETS["ag_news_subset"], of=news) == {*news[:2]}


def test_names_of_classes_that_are_misspelt_there_are_ours_at_the_commit_that_is_pinned(
    hub, small, tmp_path
):
    wanted = small("fashion_mnist", 5, 2)
    ours, grey = wanted.class_names, pictures(7, (28, 28))
    names = {"label": ("T - shirt / top", *ours[1:])}
    hub(parts_of(colours=grey), names=names)
    found = prepared.load("fashion_mnist", tmp_path, download=True)
    assert found.class_names == ours and hub.calls[0][2] == wanted.revision
    np.testing.assert_array_equal(found.images, grey[..., None])
    folder = hub_folder.find(wanted, tmp_path)
    assert folder.name == wanted.revision
    folder.rename(folder.with_name("f" * 40))
    assert hub_folder.find(wanted, tmp_path) is None
    assert hub_folder.find(wanted._replace(revision="main"), tmp_path).name == "f" * 40


@pytest.mark.parametrize("library", ["written out", "itself"])
def test_any_set_of_images_is_resized_as_photos_are(hub, tmp_path, monkeypatch, library):
    names = {"kind": ("a", "b", "c")}
    parts = parts_of("photo", "kind")
    hub(parts, names=names)
    if library == "itself":
        monkeypatch.setitem(sys.modules, "datasets", real_library())
        hub_library.write_parquet(real_library(), tmp_path / "me" / "photos", parts, names)
        monkeypatch.chdir(tmp_path)  # where the library takes OWNER/NAME for a folder
    data = image_data("hub:me/photos", image_column="photo", label_column="kind")
    images.check_config(data, tmp_path, download=True)
    found = images.load(data, tmp_path, download=True)
    assert found.images.shape == (7, 4, 4, 3) and found.test_start == 5
    assert found.labels.tolist() == LABELS and found.class_names == ("a", "b", "c")
    (tmp_path / "photo.png").write_bytes(png(COLOURS[3])["bytes"])
    np.testing.assert_array_equal(found.images[3], photos.read_image(tmp_path / "photo.png", 4))
    data.size = 5
    whole = images.load(data, tmp_path, download=True)
    assert found.identity["fingerprint"] != whole.identity["fingerprint"]
    data.test_fraction = 0.2
    assert "which has a test part" in refusal(images.check_config, data, tmp_path, True)


@pytest.mark.parametrize("library", ["written out", "itself"])
def test_any_set_of_texts_is_read_with_its_columns(hub, tmp_path, monkeypatch, library):
    texts = {"title": ["One", "Two", "Three"], "body": ["1\n1", "", "3"], "topic": ["x", "y", "x"]}
    hub({"train": texts}, names={})
    if library == "itself":
        monkeypatch.setitem(sys.modules, "datasets", real_library())
        hub_library.write_parquet(real_library(), tmp_path / "me" / "texts", {"train": texts}, {})
        monkeypatch.chdir(tmp_path)
    from configs.yahoo import get_config as get_yahoo

    data = get_yahoo("minilm").data
    data.update(
        {"name": "hub:me/texts", "text_columns": ("title", "body"), "label_column": "topic"}
    )
    data.test_fraction = 0.2
    found = labelled.load(data, tmp_path, download=True)
    assert found.texts == ("One 1 1", "Two", "Three 3") and found.test_start is None
    assert found.class_names == ("x", "y") and found.labels.tolist() == [0, 1, 0]
    assert found.identity["commit"] == COMMIT
    data.test_fraction = 0.0
    assert "no test part" in refusal(labelled.check_config, data, tmp_path, True)


def test_ag_news_has_the_texts_of_tensorflow_datasets(hub, small, tmp_path):
    small("ag_news_subset", 2, 1)
    names = {"label": hub_sets.SETS["ag_news_subset"].class_names}
    texts = {"text": ["Oil Prices\\near a record", "Cup final Two goals"], "label": [2, 1]}
    hub({"train": texts, "test": {"text": ["Chip  is fast "], "label": [3]}}, names=names)
    found = labelled.published("ag_news_subset", tmp_path, download=True)
    assert found.texts == ("Oil Prices near a record", "Cup final Two goals", "Chip is fast")
    assert found.labels.tolist() == [2, 1, 3] and found.test_start == 2


def test_questions_of_one_passage_come_together(hub, small, tmp_path):
    small("race/middle", 3, 1, 1)

    def rows(*ids):
        return {
            "example_id": list(ids),
            "article": [f"Passage {each}." for each in ids],
            "question": [f"Question {i}?" for i in range(len(ids))],
            "options": [["w", "x", "y", f"z{i}"] for i in range(len(ids))],
            "answer": ["D"] * len(ids),
        }

    parts = {"test": rows("4"), "train": rows("1", "2", "1"), "validation": rows("3")}
    hub(parts, names={})
    found = choice_sets.read_race("middle", tmp_path, download=True)
    assert [each.part for each in found] == ["train"] * 3 + ["val", "test"]
    assert [each.passage for each in found] == [f"Passage {i}." for i in (1, 1, 2, 3, 4)]
    assert [each.options[3] for each in found[:3]] == ["z0", "z2", "z1"]
    assert {each.answer for each in found} == {3}


@pytest.mark.skipif(
    not (DATA and Path(DATA, "tfds", "cifar10").is_dir()),
    reason="needs DLA_DATA_DIR with tfds/cifar10",
)
def test_cifar10_is_the_same_as_from_tensorflow_datasets(hub, small, tmp_path):
    folder = prepared.find("cifar10", Path(DATA, "tfds"))
    assert tfds_folder.describe(folder) == (
        hub_sets.SETS["cifar10"].sizes,
        hub_sets.SETS["cifar10"].class_names,
    )
    theirs = prepared.load("cifar10", Path(DATA, "tfds"), download=False)
    small("cifar10", 50, 10)
    few = np.r_[:50, 50_000:50_010]
    parts = parts_of(
        "img", colours=theirs.images[few], labels=theirs.labels[few].tolist(), train=50
    )
    hub(parts, names={"label": theirs.class_names})
    ours = prepared.load("cifar10", tmp_path, download=True)
    np.testing.assert_array_equal(ours.images, theirs.images[few])
    np.testing.assert_array_equal(ours.labels, theirs.labels[few])
