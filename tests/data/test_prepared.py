"""Prepared sets are read as they were written, with TensorFlow or without it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from prepared_folder import LABELS, TEST, TRAIN, write
from small_set import tiny_images

from dla_jax.config.checks import ConfigError
from dla_jax.data import prepared, tfds_folder

DATA = os.environ.get("DLA_DATA_DIR")
real_data = pytest.mark.skipif(
    not (DATA and Path(DATA, "tfds", "cifar10").is_dir()),
    reason="needs DLA_DATA_DIR with prepared sets in tfds/",
)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize(("shards", "block"), [(1, 1000), (2, 5), (4, 23)])
def test_what_is_read_is_what_was_written_training_part_first(tmp_path, monkeypatch, shards, block):
    write(tmp_path, shards=shards)
    monkeypatch.setattr(tfds_folder, "BLOCK", block)
    labels = np.concatenate([LABELS["train"], LABELS["test"]])
    trained = TRAIN / 255  # mean and std are those of the training part alone
    for _ in range(2):  # from the record, then from the cache
        found = prepared.load("cifar10", tmp_path, download=False)
        np.testing.assert_array_equal(found.images, np.concatenate([TRAIN, TEST]))
        np.testing.assert_array_equal(found.labels, labels)
        assert found.images.dtype == np.uint8 and found.labels.dtype == np.int32
        assert found.class_names == ("a", "b b", "c") and found.test_start == 23
        np.testing.assert_allclose(found.mean, trained.mean((0, 1, 2)), atol=5.1e-5)
        np.testing.assert_allclose(found.std, trained.std((0, 1, 2)), atol=5.1e-5)


def test_the_newest_version_is_taken_by_number(tmp_path):
    for version in ("3.0.2", "3.0.10", "2.9.9"):
        write(tmp_path, version=version)
    (tmp_path / "cifar10" / "4.0.0.incomplete").mkdir()
    assert prepared.find("cifar10", tmp_path).name == "3.0.10"
    assert prepared.find("mnist", tmp_path) is None


def test_of_svhn_the_third_split_is_neither_read_nor_needed(tmp_path):
    folder = write(tmp_path, name="svhn_cropped", version="3.1.0", like_svhn=True)
    extra = list(folder.glob("*extra*"))
    assert len(extra) == 2

    def load():
        return prepared.load("svhn_cropped", tmp_path, download=False)

    for found in (load(), load()):  # from the record, then from the cache
        np.testing.assert_array_equal(found.images, np.concatenate([TRAIN, TEST]))
        np.testing.assert_array_equal(found.labels, [*LABELS["train"], *LABELS["test"]])
        assert found.class_names == ("0", "1", "2") and found.test_start == 23
    for path in extra:  # a gigabyte that is not even hashed: what was decoded is found without it
        path.write_bytes(b"damaged")
    load()
    (cache,) = (folder / ".dla_jax").iterdir()
    shutil.rmtree(cache)
    np.testing.assert_array_equal(load().images[23:], TEST)


def test_neither_tensorflow_nor_from_the_cache_tensorflow_datasets_is_imported(tmp_path):
    write(tmp_path)
    # Found before the real one, and an import of it fails.
    decoy = tmp_path / "decoy" / "tensorflow" / "__init__.py"
    decoy.parent.mkdir(parents=True)
    decoy.write_text("raise AssertionError('TensorFlow is imported')")
    code = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from dla_jax.data import prepared
prepared.load("cifar10", Path(sys.argv[1]), download=False)
print([name for name in ("jax", "tensorflow_datasets") if name in sys.modules])
"""
    command = (sys.executable, "-c", code, str(tmp_path), str(decoy.parents[1]))
    how = {"capture_output": True, "text": True, "check": True, "cwd": Path(__file__).parents[2]}
    answers = [subprocess.run(command, **how) for _ in range(2)]
    assert [answer.stdout.strip() for answer in answers] == ["['tensorflow_datasets']", "[]"]
    assert not any(answer.stderr for answer in answers)


@pytest.mark.parametrize(
    "damage", ["truncated", "half", "flipped", "missing", "info", "features", "fewer", "labels"]
)
def test_a_damaged_folder_is_named_in_one_line(tmp_path, damage):
    folder = write(tmp_path)
    shard = next(folder.glob("*train*00000*"))
    whole = shard.read_bytes()
    changed = {
        "truncated": whole[:100],
        "half": whole[: len(whole) // 2],
        "flipped": whole[:300] + b"!" + whole[301:],
    }
    if damage in changed:
        shard.write_bytes(changed[damage])
    elif damage == "features":
        (folder / "features.json").write_text("[]")
    elif damage == "labels":  # more of them than names
        (folder / "label.labels.txt").write_text("a\nb b\n")
    elif damage == "missing":
        shard.unlink()
    elif damage == "info":
        (folder / "dataset_info.json").write_text("{")
    else:
        info = json.loads((folder / "dataset_info.json").read_text())
        info["splits"][0]["shardLengths"][0] = "99"
        (folder / "dataset_info.json").write_text(json.dumps(info))
    with pytest.raises(ConfigError) as caught:
        prepared.load("cifar10", tmp_path, download=False)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "--data_dir=FOLDER" in str(caught.value)
    assert not (folder / ".dla_jax").exists()


def test_preparing_writes_what_is_read(tmp_path):
    """A set that this test defines, with images of its own: nothing is fetched."""
    tiny_images()
    prepared.prepare("tiny_images", tmp_path)
    found = prepared.load("tiny_images", tmp_path, download=False)
    order = [int((image == TRAIN).all((1, 2, 3)).argmax()) for image in found.images[:23]]
    assert sorted(order) == list(range(23))  # it shuffles while it writes
    assert found.class_names == ("a", "b", "c")
    np.testing.assert_array_equal(found.labels[:23], LABELS["train"][order])
    assert sorted(found.labels[23:]) == sorted(LABELS["test"])
    assert (tmp_path / "tiny_images" / "1.0.0" / ".dla_jax").is_dir()
    with pytest.raises(ConfigError, match="could not be prepared") as caught:
        prepared.prepare("no_such_set", tmp_path)
    assert "\n" not in str(caught.value)


def test_with_tensorflow_its_own_format_is_read_in_the_same_order(tmp_path):
    # More than the 16 examples of a file that TensorFlow takes before it turns to the next.
    tfds = tiny_images(repeat=5)
    for kind in ("tfrecord", "array_record"):
        two_files = tfds.download.DownloadConfig(num_shards=2)
        builder = tfds.builder("tiny_images", data_dir=tmp_path / kind, file_format=kind)
        builder.download_and_prepare(download_config=two_files)
    theirs = prepared.load("tiny_images", tmp_path / "tfrecord", download=False)
    ours = prepared.load("tiny_images", tmp_path / "array_record", download=False)
    np.testing.assert_array_equal(theirs.images, ours.images)
    np.testing.assert_array_equal(theirs.labels, ours.labels)
    assert theirs[2:] == ours[2:] and len(ours.labels) == 5 * 32
    path = prepared.find("tiny_images", tmp_path / "tfrecord") / "dataset_info.json"
    info = json.loads(path.read_text())
    info["splits"][0]["shardLengths"][-1] = str(int(info["splits"][0]["shardLengths"][-1]) + 1)
    path.write_text(json.dumps(info))
    with pytest.raises(
        ConfigError, match="remove it, so that it is fetched again"
    ):  # an example is missing
        prepared.load("tiny_images", tmp_path / "tfrecord", download=False)


@real_data
@pytest.mark.parametrize(
    ("name", "shape", "per_class", "mean", "std"),
    [
        ("cifar10", (60000, 32, 32, 3), 5000, (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
        ("mnist", (70000, 28, 28, 1), 5421, (0.1307,), (0.3081,)),
    ],
)
def test_the_real_sets_are_what_they_are_known_to_be(name, shape, per_class, mean, std):
    found = prepared.load(name, Path(DATA, "tfds"), download=False)
    assert found.images.shape == shape
    assert found.test_start == shape[0] - 10000
    assert len(found.class_names) == 10
    assert np.bincount(found.labels[: found.test_start]).min() == per_class
    np.testing.assert_allclose(found.mean, mean, atol=1e-4)
    np.testing.assert_allclose(found.std, std, atol=1e-4)
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(prepared.find(name, Path(DATA, "tfds")))
    source = builder.as_data_source("train")
    again = prepared.load(name, Path(DATA, "tfds"), download=False)  # from the cache
    for position in (0, 777, found.test_start - 1):
        theirs = source[position]["image"]
        np.testing.assert_array_equal(found.images[position], theirs)
        np.testing.assert_array_equal(again.images[position], theirs)
        assert found.labels[position] == source[position]["label"]
    first = builder.as_data_source("test")[0]["image"]
    np.testing.assert_array_equal(found.images[found.test_start], first)
