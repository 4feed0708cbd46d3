"""Parts and classes of a folder, and official test parts inside it or elsewhere."""

import numpy as np
import pytest
from pictures import fill, listed, pixels, read
from PIL import Image

from dla_jax.config.checks import ConfigError
from dla_jax.data import folder, photos


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize(
    "parts",
    [("train", "val", "test"), ("Training", "validation", "testing"), ("TRAIN", "valid", "Test")],
)
def test_folders_of_parts_are_parts_and_not_classes(tmp_path, capsys, parts):
    train, val, test = parts
    trained = {f"{train}__cat": 3, f"{train}__dog": 2, f"{val}__dog": 1}
    root = fill(tmp_path / "set", **trained, **{f"{test}__cat": 1, f"{test}__dog": 2})
    (root / "labels.csv").write_text("x")
    found = folder.load(str(root), 8, skip_bad=False)
    assert found.class_names == ("cat", "dog") and found.test_start == 6
    np.testing.assert_array_equal(found.labels, [0, 0, 0, 1, 1, 1, 0, 1, 1])
    order = [f"{train}/cat/{i}.png" for i in range(3)]
    order += [f"{train}/dog/0.png", f"{train}/dog/1.png", f"{val}/dog/0.png"]
    order += [f"{test}/cat/0.png", f"{test}/dog/0.png", f"{test}/dog/1.png"]
    np.testing.assert_array_equal(found.images, read(root, order))
    trained_on = found.images[:6] / 255
    assert found.mean == tuple(trained_on.mean((0, 1, 2)).round(4))
    assert listed(capsys) == [
        f"{root / train}: 5 images of 2 classes (cat 3, dog 2)",
        f"{root / val} is trained on too, and each seed draws its own validation part from all: "
        "1 image of 1 class (dog 1), none of cat",
        f"{root / test} is the official test part: 3 images of 2 classes (cat 1, dog 2)",
        f"{root}: left out: 1 .csv",
    ]
    # From the cache, which is beside the set, and says no more.
    again = folder.load(str(root), 8, skip_bad=False)
    assert again.test_start == 6 and listed(capsys) == [] and (root / ".dla_jax").is_dir()
    np.testing.assert_array_equal(again.images, found.images)


def test_without_a_test_part_all_are_pooled(tmp_path):
    root = fill(tmp_path / "set", train__cat=2, train__dog=2, val__cat=1)
    found = folder.load(str(root), 8, skip_bad=False)
    assert found.test_start is None and found.class_names == ("cat", "dog")
    np.testing.assert_array_equal(found.labels, [0, 0, 0, 1, 1])
    again = folder.load(str(root), 8, skip_bad=False)
    assert again.test_start is None and again.mean == found.mean


def test_a_test_part_may_lack_a_class_which_is_said(tmp_path, capsys):
    root = fill(tmp_path / "set", train__cat=2, train__dog=2, test__dog=1, test__cat=0)
    found = folder.load(str(root), 8, skip_bad=False)
    np.testing.assert_array_equal(found.labels, [0, 0, 1, 1, 1])
    assert "official test part: 1 image of 1 class (dog 1), none of cat" in listed(capsys)[1]


def test_a_class_that_is_named_as_a_part_is_a_class(tmp_path):
    root = fill(tmp_path / "set", bus=1, train=2, test=1)
    assert folder.load(str(root), 8, skip_bad=False).class_names == ("bus", "test", "train")


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        (
            {"train": 2, "test": 1},
            "has test, train, which are named as parts of a set, but test, train has no sub-folder",
        ),
        (
            {"train__cat": 1, "train__dog": 1, "test": 2},
            "but test has no sub-folder for each class",
        ),
        (
            {"train__cat": 1, "train__dog": 1, "bus": 1},
            "has train with sub-folders, as a part of a set has, beside bus; move",
        ),
        ({"train__cat": 1, "training__dog": 1}, "train, training, two names for one part"),
        ({"val__cat": 1, "test__cat": 1}, "has test, val, but no train"),
        ({"train__cat": 1, "test__cat": 1}, "has 1 sub-folder; a classifier"),
        (
            {"train__cat": 1, "train__dog": 1, "test__dogs": 1},
            r"test has dogs, which is no class of .*train \(did you mean 'dog'\?\)",
        ),
        ({"train__cat": 1, "train__dog": 1, "val__cow": 1}, "val has cow, which is no class of"),
        ({"train__cat": 1, "train__dog": 0}, r"no image \(.*\) in dog"),
        (
            {"train__cat": 1, "train__dog": 1, "test__cat": 0},
            r"no image \(.*\) in any class of .*test",
        ),
    ],
)
def test_parts_that_do_not_fit_together_are_refused_in_one_line(tmp_path, tree, words):
    with pytest.raises(ConfigError, match=words) as caught:
        folder.check_folder(str(fill(tmp_path / "set", **tree)), 8)
    assert "\n" not in str(caught.value) and str(caught.value).startswith("data.path: ")


def test_an_official_test_folder_elsewhere(tmp_path, capsys):
    root, held = fill(tmp_path / "set", cat=2, dog=2), fill(tmp_path / "held", dog=2)
    found = folder.load(str(root), 8, skip_bad=False, test_path=str(held))
    assert found.test_start == 4
    np.testing.assert_array_equal(found.labels, [0, 0, 1, 1, 1, 1])
    np.testing.assert_array_equal(found.images[4:], read(held, ["dog/0.png", "dog/1.png"]))
    lines = capsys.readouterr().err.splitlines()
    assert lines[1] == (
        f"data.test_path: {held} is the official test part: 2 images of 1 class (dog 2), "
        "none of cat"
    )
    alone = folder.load(str(root), 8, skip_bad=False)  # another key, another cache
    assert alone.test_start is None
    Image.fromarray(pixels(8, 8)).save(held / "dog" / "1.png")  # the same names, other bytes
    changed = folder.load(str(root), 8, skip_bad=False, test_path=str(held))
    np.testing.assert_array_equal(changed.images[:5], found.images[:5])
    np.testing.assert_array_equal(changed.images[5], photos.read_image(held / "dog" / "1.png", 8))
    assert len(list((root / ".dla_jax").iterdir())) == 3 and not (held / ".dla_jax").exists()
    fill(held, cat=1)  # the same names as there
    swapped = folder.load(str(held), 8, skip_bad=False, test_path=str(root))
    assert swapped.test_start == 3 and len(swapped.labels) == 7


def test_test_folders_that_do_not_fit_are_refused_in_one_line(tmp_path):
    plain = fill(tmp_path / "plain", cat=1, dog=1)
    parts = fill(tmp_path / "parts", train__cat=1, train__dog=1, test__cat=1)
    other = fill(tmp_path / "other", cow=1)
    for path, test_path, words in (
        (parts, plain, "has a test part; leave one of them out"),
        (plain, plain, "overlap; give two folders"),
        (plain, plain / "dog", "overlap; give two folders"),
        (plain, tmp_path, "overlap; give two folders"),
        (plain, parts, rf"has parts of its own; .*--config\.data\.test_path={parts}/test"),
        (plain, other, "other has cow, which is no class of"),
        (plain, tmp_path / "nowhere", "is not a folder"),
    ):
        with pytest.raises(ConfigError, match=words) as caught:
            folder.check_folder(str(path), 8, str(test_path))
        assert "\n" not in str(caught.value) and "data.test_path: " in str(caught.value)


def test_a_test_part_with_unreadable_files_begins_where_it_does(tmp_path):
    root = fill(tmp_path / "set", train__cat=3, train__dog=2, test__cat=1, test__dog=2)
    for name in ("train/cat/1.png", "test/dog/0.png"):
        (root / name).write_bytes(b"no image")
    for _ in range(2):  # also from the cache
        found = folder.load(str(root), 8, skip_bad=True)
        assert found.test_start == 4
        np.testing.assert_array_equal(found.labels, [0, 0, 1, 1, 0, 1])
    for name in ("test/cat/0.png", "test/dog/1.png"):
        (root / name).write_bytes(b"no image")
    with pytest.raises(ConfigError, match="no readable image in the test part"):
        folder.load(str(root), 8, skip_bad=True)
