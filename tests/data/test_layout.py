"""Parts and classes of a folder, nested folders and links."""

import os

import numpy as np
import pytest
from pictures import pixels
from PIL import Image

from dla_jax.config.checks import ConfigError
from dla_jax.data import folder, photos


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))


def fill(root, **numbers):
    """Distinct images: `fill(root, train__cat=3)` puts three into train/cat."""
    for place, number in numbers.items():
        below = root.joinpath(*place.split("__"))
        below.mkdir(parents=True, exist_ok=True)
        for i in range(number):
            Image.fromarray(pixels(8, 8)).save(below / f"{i}.png")
    return root


def read(root, names):
    return np.stack([photos.read_image(root / name, 8) for name in names])


def listed(capsys):
    return [line.removeprefix("data.path: ") for line in capsys.readouterr().err.splitlines()]


@pytest.mark.parametrize(
    "parts",
    [("train", "val", "test"), ("Training", "validation", "testing"), ("TRAIN", "valid", "Test")],
)
def test_folders_of_parts_are_parts_and_not_classes(tmp_path, capsys, parts):
    train, val, test = parts
    root = fill(
        tmp_path / "set",
        **{
            f"{train}__cat": 3,
            f"{train}__dog": 2,
            f"{val}__dog": 1,
            f"{test}__cat": 1,
            f"{test}__dog": 2,
        },
    )
    (root / "labels.csv").write_text("x")
    found = folder.load(str(root), 8, False)
    assert found.class_names == ("cat", "dog") and found.test_start == 6
    np.testing.assert_array_equal(found.labels, [0, 0, 0, 1, 1, 1, 0, 1, 1])
    order = [
        f"{train}/cat/0.png",
        f"{train}/cat/1.png",
        f"{train}/cat/2.png",
        f"{train}/dog/0.png",
        f"{train}/dog/1.png",
        f"{val}/dog/0.png",
        f"{test}/cat/0.png",
        f"{test}/dog/0.png",
        f"{test}/dog/1.png",
    ]
    np.testing.assert_array_equal(found.images, read(root, order))
    assert found.mean == tuple(
        (found.images[:6] / 255).mean((0, 1, 2)).round(4)
    )  # of what is trained on
    assert listed(capsys) == [
        f"{root / train}: 5 images of 2 classes (cat 3, dog 2)",
        f"{root / val} is trained on too, and each seed draws its own validation part from all: 1 image of 1 class (dog 1), none of cat",
        f"{root / test} is the official test part: 3 images of 2 classes (cat 1, dog 2)",
        f"{root}: left out: 1 .csv",
    ]
    again = folder.load(
        str(root), 8, False
    )  # from the cache, which is beside the set, and says no more
    assert again.test_start == 6 and listed(capsys) == [] and (root / ".dla_jax").is_dir()
    np.testing.assert_array_equal(again.images, found.images)


def test_without_a_test_part_all_are_pooled(tmp_path):
    root = fill(tmp_path / "set", train__cat=2, train__dog=2, val__cat=1)
    found = folder.load(str(root), 8, False)
    assert found.test_start is None and found.class_names == ("cat", "dog")
    np.testing.assert_array_equal(found.labels, [0, 0, 0, 1, 1])
    again = folder.load(str(root), 8, False)
    assert again.test_start is None and again.mean == found.mean


def test_a_test_part_may_lack_a_class_which_is_said(tmp_path, capsys):
    root = fill(tmp_path / "set", train__cat=2, train__dog=2, test__dog=1, test__cat=0)
    found = folder.load(str(root), 8, False)
    np.testing.assert_array_equal(found.labels, [0, 0, 1, 1, 1])
    assert "official test part: 1 image of 1 class (dog 1), none of cat" in listed(capsys)[1]


def test_a_class_that_is_named_as_a_part_is_a_class(tmp_path):
    root = fill(tmp_path / "set", bus=1, train=2, test=1)
    assert folder.load(str(root), 8, False).class_names == ("bus", "test", "train")


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
    found = folder.load(str(root), 8, False, str(held))
    assert found.test_start == 4
    np.testing.assert_array_equal(found.labels, [0, 0, 1, 1, 1, 1])
    np.testing.assert_array_equal(found.images[4:], read(held, ["dog/0.png", "dog/1.png"]))
    lines = capsys.readouterr().err.splitlines()
    assert (
        lines[1]
        == f"data.test_path: {held} is the official test part: 2 images of 1 class (dog 2), none of cat"
    )
    assert folder.load(str(root), 8, False).test_start is None  # another key, another cache
    Image.fromarray(pixels(8, 8)).save(held / "dog" / "1.png")  # the same names, other bytes
    changed = folder.load(str(root), 8, False, str(held))
    np.testing.assert_array_equal(changed.images[:5], found.images[:5])
    np.testing.assert_array_equal(changed.images[5], photos.read_image(held / "dog" / "1.png", 8))
    assert len(list((root / ".dla_jax").iterdir())) == 3 and not (held / ".dla_jax").exists()
    swapped = folder.load(str(fill(held, cat=1)), 8, False, str(root))  # the same names as there
    assert swapped.test_start == 3 and len(swapped.labels) == 7


def test_test_folders_that_do_not_fit_are_refused_in_one_line(tmp_path):
    plain, parts = (
        fill(tmp_path / "plain", cat=1, dog=1),
        fill(tmp_path / "parts", train__cat=1, train__dog=1, test__cat=1),
    )
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
        found = folder.load(str(root), 8, True)
        assert found.test_start == 4
        np.testing.assert_array_equal(found.labels, [0, 0, 1, 1, 0, 1])
    for name in ("test/cat/0.png", "test/dog/1.png"):
        (root / name).write_bytes(b"no image")
    with pytest.raises(ConfigError, match="no readable image in the test part"):
        folder.load(str(root), 8, True)


def test_nested_folders_and_links_are_read(tmp_path, capsys):
    root, away = (
        fill(tmp_path / "set", cat=1, dog=1, dog__2023__may=2),
        fill(tmp_path / "away", cow=1, more=2),
    )
    (root / "cow").symlink_to(away / "cow")
    (root / "cat" / "more").symlink_to(away / "more")
    (root / "cat" / "z.png").symlink_to(away / "cow" / "0.png")
    found = folder.load(str(root), 8, False)
    assert found.class_names == ("cat", "cow", "dog")
    order = [
        "cat/0.png",
        "cat/more/0.png",
        "cat/more/1.png",
        "cat/z.png",
        "cow/0.png",
        "dog/0.png",
        "dog/2023/may/0.png",
        "dog/2023/may/1.png",
    ]
    np.testing.assert_array_equal(found.images, read(root, order))
    assert listed(capsys) == [
        f"{root}: 8 images of 3 classes (cat 4, cow 1, dog 3), 4 of them in nested folders"
    ]


def test_links_that_lead_back_end_and_are_counted(tmp_path, capsys):
    root = fill(tmp_path / "set", cat=1, cat__a=1, cat__b=1, dog=1)
    fill(tmp_path, beside=1)
    away = fill(tmp_path / "far" / "away", x=1)
    (tmp_path / "far" / "other.png").write_bytes((root / "cat" / "0.png").read_bytes())
    for place, target in (
        ("cat/self", "."),
        ("cat/root", ".."),
        ("cat/up", "../.."),
        ("cat/a/b", "../b"),
        ("cat/b/a", "../a"),
        ("dog/away", away),
        ("dog/slash", "/"),
    ):
        (root / place).symlink_to(target)
    (away / "up").symlink_to("..")
    assert [str(path.relative_to(root)) for path in photos.walk(root / "cat").images] == [
        "cat/0.png",
        "cat/a/0.png",
        "cat/a/b/0.png",
    ]
    assert [str(path.relative_to(root)) for path in photos.walk(root / "dog").images] == [
        "dog/0.png",
        "dog/away/x/0.png",
    ]
    folder.load(str(root), 8, False)
    assert listed(capsys)[0].endswith(
        "3 of them in nested folders; left out: 7 link(s) to what is read already"
    )
    (root / "all").symlink_to(".")
    with pytest.raises(ConfigError, match=r"no image .* in all"):
        folder.check_folder(str(root), 8)


def test_broken_links_are_named(tmp_path):
    root = fill(tmp_path / "set", cat=1, dog=1)
    (root / "cat" / "gone").symlink_to("nowhere")
    (root / "dog" / "round.png").symlink_to("round.png")
    with pytest.raises(
        ConfigError, match=r"2 of 4 images .* cat/gone \(.*No such file.*dog/round\.png \("
    ) as caught:
        folder.load(str(root), 8, False)
    assert "\n" not in str(caught.value)
    assert len(folder.load(str(root), 8, True).labels) == 2
    (root / "cow").symlink_to("nowhere")
    with pytest.raises(ConfigError, match="cow is a link that leads nowhere"):
        folder.check_folder(str(root), 8)


def test_a_folder_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    root, scandir = fill(tmp_path / "set", cat=1, dog=1, dog__secret=1), os.scandir

    def closed(path):
        if str(path).endswith("secret"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    assert [path.name for path in photos.walk(root / "dog").images] == ["0.png", "secret"]
    with pytest.raises(
        ConfigError, match=r"1 of 3 images of .* cannot be read: dog/secret \(Is a directory\);"
    ):
        folder.load(str(root), 8, False)


def test_what_is_left_out_is_counted_by_suffix(tmp_path, capsys):
    root = fill(tmp_path / "set", **{f"class{i:02}": 1 for i in range(15)})
    for name in (
        "class00/a.HEIC",
        "class00/b.txt",
        "class01/deep/c.txt",
        "class02/README",
        "loose.jpg",
        "list.csv",
    ):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("x")
    os.mkfifo(root / "class03" / "pipe.png")
    folder.load(str(root), 8, False)
    (line,) = listed(capsys)
    assert (
        f"{root}: 15 images of 15 classes (class00 1, " in line
        and "class11 1 and 3 more); left out: 2 .txt, " in line
    )
    assert line.endswith(
        "2 .txt, 1 .csv, 1 .heic, 1 .jpg outside any class folder, 1 pipe(s), 1 without suffix"
    )


def test_nothing_is_said_before_it_is_loaded(tmp_path, capsys):
    folder.check_folder(str(fill(tmp_path / "set", cat=1, dog=1)), 8)
    assert capsys.readouterr().err == ""


def test_the_files_of_a_key_image(tmp_path, capsys):
    root = fill(tmp_path / "photos", **{"2023": 1})
    Image.fromarray(pixels(8, 8)).save(root / "b.bmp")
    (root / "notes.txt").write_text("x")
    (root / "a.png").write_bytes(b"no image")
    (root / "gone.png").symlink_to("nowhere")
    (root / "2023" / "up").symlink_to("..")
    found = folder.files_of(str(root))
    assert [str(path.relative_to(root)) for path in found.images] == [
        "2023/0.png",
        "a.png",
        "b.bmp",
        "gone.png",
    ]
    assert folder.words_of_files(str(root), found) == [
        f"image: {root}: 4 images; left out: 1 .txt, 1 link(s) to what is read already"
    ]
    alone = folder.files_of(str(root / "b.bmp"))
    assert alone.images == [root / "b.bmp"] and folder.words_of_files("b.bmp", alone) == []
    with pytest.raises(
        ConfigError, match=r"image: .*a\.png is no image that can be read \([^;]*\)$"
    ):
        folder.files_of(str(root / "a.png"))
    (root / "b.bmp").unlink(), (root / "2023" / "0.png").unlink()
    with pytest.raises(
        ConfigError, match=r"a\.png is no image that can be read \(.*\); nor is any other of 2$"
    ):
        folder.files_of(str(root))
