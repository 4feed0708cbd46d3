"""Nested folders and links are read once, and what is no image is counted."""

import os

import numpy as np
import pytest
from pictures import fill, listed, pixels, read
from PIL import Image

from dla_jax.config.checks import ConfigError
from dla_jax.data import folder, photos


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))


def names_below(root, found):
    return [str(path.relative_to(root)) for path in found.images]


def test_nested_folders_and_links_are_read(tmp_path, capsys):
    root = fill(tmp_path / "set", cat=1, dog=1, dog__2023__may=2)
    away = fill(tmp_path / "away", cow=1, more=2)
    (root / "cow").symlink_to(away / "cow")
    (root / "cat" / "more").symlink_to(away / "more")
    (root / "cat" / "z.png").symlink_to(away / "cow" / "0.png")
    found = folder.load(str(root), 8, skip_bad=False)
    assert found.class_names == ("cat", "cow", "dog")
    order = ["cat/0.png", "cat/more/0.png", "cat/more/1.png", "cat/z.png", "cow/0.png"]
    order += ["dog/0.png", "dog/2023/may/0.png", "dog/2023/may/1.png"]
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
    cats = names_below(root, photos.walk(root / "cat"))
    assert cats == ["cat/0.png", "cat/a/0.png", "cat/a/b/0.png"]
    dogs = names_below(root, photos.walk(root / "dog"))
    assert dogs == ["dog/0.png", "dog/away/x/0.png"]
    folder.load(str(root), 8, skip_bad=False)
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
        folder.load(str(root), 8, skip_bad=False)
    assert "\n" not in str(caught.value)
    assert len(folder.load(str(root), 8, skip_bad=True).labels) == 2
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
        folder.load(str(root), 8, skip_bad=False)


def test_what_is_left_out_is_counted_by_suffix(tmp_path, capsys):
    root = fill(tmp_path / "set", **{f"class{i:02}": 1 for i in range(15)})
    within = ("class00/a.HEIC", "class00/b.txt", "class01/deep/c.txt", "class02/README")
    for name in (*within, "loose.jpg", "list.csv"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("x")
    os.mkfifo(root / "class03" / "pipe.png")
    folder.load(str(root), 8, skip_bad=False)
    (line,) = listed(capsys)
    assert f"{root}: 15 images of 15 classes (class00 1, " in line
    assert "class11 1 and 3 more); left out: 2 .txt, " in line
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
    assert names_below(root, found) == ["2023/0.png", "a.png", "b.bmp", "gone.png"]
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
