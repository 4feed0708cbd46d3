import os
import struct

import numpy as np
import pytest
from PIL import Image, ImageOps

from dla_jax.config import ConfigError
from dla_jax.data import folder, photos

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))


def pixels(height, width, channels=3):
    return RNG.integers(0, 256, (height, width, channels)).astype(np.uint8)


@pytest.fixture
def images(tmp_path):
    """Two classes of mixed sizes, formats and colours."""
    root = tmp_path / "images"
    for name in ("cat", "dog", ".hidden", "cat/.ipynb_checkpoints"):
        (root / name).mkdir(parents=True)
    Image.fromarray(pixels(20, 30)).save(root / "cat" / "wide.png")
    Image.fromarray(pixels(31, 17)).save(root / "cat" / "TALL.JPEG")
    Image.fromarray(pixels(8, 8)[..., 0]).save(root / "cat" / "grey.png")
    Image.fromarray(pixels(9, 9)).save(root / "dog" / "lossless.webp", lossless=True)
    Image.fromarray(pixels(12, 12)).quantize(16).save(root / "dog" / "palette.png")
    Image.fromarray(pixels(9, 9)).save(root / "cat" / ".ipynb_checkpoints" / "wide-checkpoint.png")
    (root / "dog" / "notes.txt").write_text("not an image")
    (root / "dog" / "._wide.png").write_bytes(b"what macOS leaves behind")
    return root


def test_every_image_is_read_once_in_sorted_order(images):
    found = folder.load(str(images), 8, False)
    assert found.class_names == ("cat", "dog") and found.test_start is None
    assert found.images.shape == (5, 8, 8, 3) and found.images.dtype == np.uint8
    np.testing.assert_array_equal(found.labels, [0, 0, 0, 1, 1])
    for position, name in enumerate(["cat/TALL.JPEG", "cat/grey.png", "cat/wide.png", "dog/lossless.webp", "dog/palette.png"]):
        np.testing.assert_array_equal(found.images[position], photos.read_image(images / name, 8))


def test_an_image_of_the_right_size_is_taken_as_it_is(tmp_path):
    data = pixels(8, 8)
    Image.fromarray(data).save(tmp_path / "a.png")
    np.testing.assert_array_equal(photos.read_image(tmp_path / "a.png", 8), data)


def test_the_middle_of_a_wide_image_is_kept(tmp_path):
    data = pixels(8, 20)
    Image.fromarray(data).save(tmp_path / "a.png")
    np.testing.assert_array_equal(photos.read_image(tmp_path / "a.png", 8), data[:, 6:14])


@pytest.mark.parametrize(("height", "width", "scaled", "box"), [
    (16, 40, (20, 8), (6, 0, 14, 8)), (48, 24, (8, 16), (0, 4, 8, 12)), (4, 6, (12, 8), (2, 0, 10, 8))])  # fmt: skip
def test_the_short_side_is_scaled_and_the_middle_kept(tmp_path, height, width, scaled, box):
    image = Image.fromarray(pixels(height, width))
    image.save(tmp_path / "a.png")
    expected = image.resize(scaled, Image.Resampling.BILINEAR).crop(box)  # which Pillow does antialiased
    found = photos.read_image(tmp_path / "a.png", 8)
    np.testing.assert_allclose(found.astype(int), np.asarray(expected).astype(int), atol=1)  # rounding


def test_grey_becomes_three_equal_channels(tmp_path):
    data = pixels(8, 8)[..., 0]
    Image.fromarray(data).save(tmp_path / "a.png")
    np.testing.assert_array_equal(photos.read_image(tmp_path / "a.png", 8), np.repeat(data[..., None], 3, -1))


def test_sixteen_bits_are_brought_to_eight(tmp_path):
    data = pixels(8, 8)[..., 0]
    Image.fromarray(data.astype(np.uint16) * 257).save(tmp_path / "a.png")
    np.testing.assert_array_equal(photos.read_image(tmp_path / "a.png", 8)[..., 1], data)


@pytest.mark.parametrize(("mode", "suffix"), [("CMYK", "jpg"), ("L", "jpg"), ("1", "png"), ("P", "png"), ("RGB", "webp")])
def test_other_colours_are_what_pillow_says(tmp_path, mode, suffix):
    Image.fromarray(pixels(8, 8)).convert(mode).save(tmp_path / f"a.{suffix}")
    with Image.open(tmp_path / f"a.{suffix}") as image:
        expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(photos.read_image(tmp_path / f"a.{suffix}", 8), expected)


def test_a_transparent_colour_is_white(tmp_path):
    for mode, colour in (("RGB", (255, 0, 0)), ("L", 9), ("P", 0)):
        Image.new(mode, (8, 8), colour).save(tmp_path / "a.png", transparency=colour)
        assert (photos.read_image(tmp_path / "a.png", 8) == 255).all(), mode
    Image.new("LA", (8, 8), (0, 51)).save(tmp_path / "a.png")
    assert (photos.read_image(tmp_path / "a.png", 8) == 204).all()  # black, one fifth of it, on white


def test_transparent_parts_are_white(tmp_path):
    data = pixels(8, 8, 4)
    data[..., 3] = np.where(np.arange(8) < 4, 0, 255)
    Image.fromarray(data).save(tmp_path / "a.png")
    found = photos.read_image(tmp_path / "a.png", 8)
    assert (found[:, :4] == 255).all()
    np.testing.assert_array_equal(found[:, 4:], data[:, 4:, :3])


def test_exif_says_which_way_is_up(tmp_path):
    data = pixels(20, 8)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to show
    Image.fromarray(data).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(photos.read_image(tmp_path / "a.png", 8), np.rot90(data, -1)[:, 6:14])


def test_unreadable_files_are_listed_and_skipped_only_when_asked(images, capsys):
    (images / "cat" / "broken.png").write_bytes(b"not a png")
    whole = (images / "cat" / "wide.png").read_bytes()
    (images / "dog" / "cut.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConfigError, match=r"2 of 7 images .*cat/broken\.png.*dog/cut\.png.*skip_bad=true") as caught:
        folder.load(str(images), 8, False)
    assert "\n" not in str(caught.value)
    for again in range(2):  # also when it comes from the cache
        found = folder.load(str(images), 8, True)
        np.testing.assert_array_equal(found.labels, [0, 0, 0, 1, 1])
        *lines, last = capsys.readouterr().err.splitlines()
        assert "2 of 7 images" in last and "left out" in last
        if not again:  # what was said once is not said again
            assert len(lines) == 2 and "cat/broken.png (" in lines[0] and "dog/cut.png (" in lines[0]
            assert lines[1].endswith(": 7 images of 2 classes (cat 4, dog 3); left out: 1 .txt")
        else:
            assert not lines
    np.testing.assert_array_equal(found.images[4], photos.read_image(images / "dog" / "palette.png", 8))
    for i in range(6):
        (images / "cat" / f"z{i}.png").symlink_to("nowhere")
    with pytest.raises(ConfigError, match=r"8 of 13 images .*z3\.png.*, \.\.\.; mend") as caught:
        folder.load(str(images), 8, False)
    assert "z4.png" not in str(caught.value)


def test_a_class_without_a_readable_image_is_named(images):
    (images / "bird").mkdir()
    (images / "bird" / "broken.png").write_bytes(b"not a png")
    with pytest.raises(ConfigError, match="no readable image in bird"):
        folder.load(str(images), 8, True)


def test_a_change_of_files_or_size_is_seen(images):
    first = folder.load(str(images), 8, False)
    assert folder.load(str(images), 6, False).images.shape[1] == 6
    Image.fromarray(pixels(8, 8)).save(images / "cat" / "grey.png")
    second = folder.load(str(images), 8, False)
    assert not np.array_equal(first.images[1], second.images[1])
    np.testing.assert_array_equal(first.images[0], second.images[0])


@pytest.mark.parametrize(("change", "words"), [
    (lambda root: None, "missing; give the folder of your images, as in --config.data.path=FOLDER"),
    (lambda root: "", "missing; give the folder"),
    (lambda root: str(root / "nowhere"), "is not a folder"),
    (lambda root: str(root / "cat"), "has 0 sub-folders"),
    (lambda root: str((root / "dog").rename(root.parent / "dog").parent / root.name), "has 1 sub-folder;"),
    (lambda root: str((root / "empty").mkdir() or root), r"no image \(.*\) in empty"),
])  # fmt: skip
def test_a_folder_that_is_no_image_set_is_refused_before_anything_is_opened(images, change, words):
    with pytest.raises(ConfigError, match=words):
        folder.check_folder(change(images), 8)


@pytest.mark.parametrize("size", [0, -3, 5000])
def test_a_size_that_makes_no_sense_is_refused(images, size):
    with pytest.raises(ConfigError, match=r"data\.size"):
        folder.check_folder(str(images), size)


def test_a_pipe_is_no_image_whatever_its_name(images):
    before = photos.walk(images).images
    os.mkfifo(images / "cat" / "pipe.png")  # to open it would wait for ever
    assert photos.walk(images).images == before


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


@pytest.mark.parametrize("parts", [("train", "val", "test"), ("Training", "validation", "testing"), ("TRAIN", "valid", "Test")])
def test_folders_of_parts_are_parts_and_not_classes(tmp_path, capsys, parts):
    train, val, test = parts
    root = fill(
        tmp_path / "set", **{f"{train}__cat": 3, f"{train}__dog": 2, f"{val}__dog": 1, f"{test}__cat": 1, f"{test}__dog": 2}
    )
    (root / "labels.csv").write_text("x")
    found = folder.load(str(root), 8, False)
    assert found.class_names == ("cat", "dog") and found.test_start == 6
    np.testing.assert_array_equal(found.labels, [0, 0, 0, 1, 1, 1, 0, 1, 1])
    order = [f"{train}/cat/0.png", f"{train}/cat/1.png", f"{train}/cat/2.png", f"{train}/dog/0.png", f"{train}/dog/1.png",
             f"{val}/dog/0.png", f"{test}/cat/0.png", f"{test}/dog/0.png", f"{test}/dog/1.png"]  # fmt: skip
    np.testing.assert_array_equal(found.images, read(root, order))
    assert found.mean == tuple((found.images[:6] / 255).mean((0, 1, 2)).round(4))  # of what is trained on
    assert listed(capsys) == [
        f"{root / train}: 5 images of 2 classes (cat 3, dog 2)",
        f"{root / val} is trained on too, and each seed draws its own validation part from all: 1 image of 1 class (dog 1), none of cat",
        f"{root / test} is the official test part: 3 images of 2 classes (cat 1, dog 2)", f"{root}: left out: 1 .csv"]  # fmt: skip
    again = folder.load(str(root), 8, False)  # from the cache, which is beside the set, and says no more
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


@pytest.mark.parametrize(("tree", "words"), [
    ({"train": 2, "test": 1}, "has test, train, which are named as parts of a set, but test, train has no sub-folder"),
    ({"train__cat": 1, "train__dog": 1, "test": 2}, "but test has no sub-folder for each class"),
    ({"train__cat": 1, "train__dog": 1, "bus": 1}, "has train with sub-folders, as a part of a set has, beside bus; move"),
    ({"train__cat": 1, "training__dog": 1}, "train, training, two names for one part"),
    ({"val__cat": 1, "test__cat": 1}, "has test, val, but no train"),
    ({"train__cat": 1, "test__cat": 1}, "has 1 sub-folder; a classifier"),
    ({"train__cat": 1, "train__dog": 1, "test__dogs": 1}, r"test has dogs, which is no class of .*train \(did you mean 'dog'\?\)"),
    ({"train__cat": 1, "train__dog": 1, "val__cow": 1}, "val has cow, which is no class of"),
    ({"train__cat": 1, "train__dog": 0}, r"no image \(.*\) in dog"),
    ({"train__cat": 1, "train__dog": 1, "test__cat": 0}, r"no image \(.*\) in any class of .*test"),
])  # fmt: skip
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
    assert lines[1] == f"data.test_path: {held} is the official test part: 2 images of 1 class (dog 2), none of cat"
    assert folder.load(str(root), 8, False).test_start is None  # another key, another cache
    Image.fromarray(pixels(8, 8)).save(held / "dog" / "1.png")  # the same names, other bytes
    changed = folder.load(str(root), 8, False, str(held))
    np.testing.assert_array_equal(changed.images[:5], found.images[:5])
    np.testing.assert_array_equal(changed.images[5], photos.read_image(held / "dog" / "1.png", 8))
    assert len(list((root / ".dla_jax").iterdir())) == 3 and not (held / ".dla_jax").exists()
    swapped = folder.load(str(fill(held, cat=1)), 8, False, str(root))  # the same names as there
    assert swapped.test_start == 3 and len(swapped.labels) == 7


def test_test_folders_that_do_not_fit_are_refused_in_one_line(tmp_path):
    plain, parts = fill(tmp_path / "plain", cat=1, dog=1), fill(tmp_path / "parts", train__cat=1, train__dog=1, test__cat=1)
    other = fill(tmp_path / "other", cow=1)
    for path, test_path, words in (
        (parts, plain, "has a test part; leave one of them out"), (plain, plain, "overlap; give two folders"), (plain, plain / "dog", "overlap; give two folders"),
        (plain, tmp_path, "overlap; give two folders"), (plain, parts, rf"has parts of its own; .*--config\.data\.test_path={parts}/test"),
        (plain, other, "other has cow, which is no class of"), (plain, tmp_path / "nowhere", "is not a folder"),
    ):  # fmt: skip
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
    root, away = fill(tmp_path / "set", cat=1, dog=1, dog__2023__may=2), fill(tmp_path / "away", cow=1, more=2)
    (root / "cow").symlink_to(away / "cow")
    (root / "cat" / "more").symlink_to(away / "more")
    (root / "cat" / "z.png").symlink_to(away / "cow" / "0.png")
    found = folder.load(str(root), 8, False)
    assert found.class_names == ("cat", "cow", "dog")
    order = ["cat/0.png", "cat/more/0.png", "cat/more/1.png", "cat/z.png", "cow/0.png", "dog/0.png", "dog/2023/may/0.png",
             "dog/2023/may/1.png"]  # fmt: skip
    np.testing.assert_array_equal(found.images, read(root, order))
    assert listed(capsys) == [f"{root}: 8 images of 3 classes (cat 4, cow 1, dog 3), 4 of them in nested folders"]


def test_links_that_lead_back_end_and_are_counted(tmp_path, capsys):
    root = fill(tmp_path / "set", cat=1, cat__a=1, cat__b=1, dog=1)
    fill(tmp_path, beside=1)
    away = fill(tmp_path / "far" / "away", x=1)
    (tmp_path / "far" / "other.png").write_bytes((root / "cat" / "0.png").read_bytes())
    for place, target in (("cat/self", "."), ("cat/root", ".."), ("cat/up", "../.."), ("cat/a/b", "../b"), ("cat/b/a", "../a"),
                          ("dog/away", away), ("dog/slash", "/")):  # fmt: skip
        (root / place).symlink_to(target)
    (away / "up").symlink_to("..")
    assert [str(path.relative_to(root)) for path in photos.walk(root / "cat").images] == [
        "cat/0.png",
        "cat/a/0.png",
        "cat/a/b/0.png",
    ]
    assert [str(path.relative_to(root)) for path in photos.walk(root / "dog").images] == ["dog/0.png", "dog/away/x/0.png"]
    folder.load(str(root), 8, False)
    assert listed(capsys)[0].endswith("3 of them in nested folders; left out: 7 link(s) to what is read already")
    (root / "all").symlink_to(".")
    with pytest.raises(ConfigError, match=r"no image .* in all"):
        folder.check_folder(str(root), 8)


def test_broken_links_are_named(tmp_path):
    root = fill(tmp_path / "set", cat=1, dog=1)
    (root / "cat" / "gone").symlink_to("nowhere")
    (root / "dog" / "round.png").symlink_to("round.png")
    with pytest.raises(ConfigError, match=r"2 of 4 images .* cat/gone \(.*No such file.*dog/round\.png \(") as caught:
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
    with pytest.raises(ConfigError, match=r"1 of 3 images of .* cannot be read: dog/secret \(Is a directory\);"):
        folder.load(str(root), 8, False)


def test_what_is_left_out_is_counted_by_suffix(tmp_path, capsys):
    root = fill(tmp_path / "set", **{f"class{i:02}": 1 for i in range(15)})
    for name in ("class00/a.HEIC", "class00/b.txt", "class01/deep/c.txt", "class02/README", "loose.jpg", "list.csv"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("x")
    os.mkfifo(root / "class03" / "pipe.png")
    folder.load(str(root), 8, False)
    (line,) = listed(capsys)
    assert f"{root}: 15 images of 15 classes (class00 1, " in line and "class11 1 and 3 more); left out: 2 .txt, " in line
    assert line.endswith("2 .txt, 1 .csv, 1 .heic, 1 .jpg outside any class folder, 1 pipe(s), 1 without suffix")


def test_nothing_is_said_before_it_is_loaded(tmp_path, capsys):
    folder.check_folder(str(fill(tmp_path / "set", cat=1, dog=1)), 8)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("suffix", ["jpg", "jpeg", "jfif", "png", "webp", "bmp", "gif", "tif", "tiff", "TIFF"])
def test_formats_that_are_read(tmp_path, suffix):
    image = Image.fromarray(np.repeat(np.repeat(pixels(2, 2), 4, 0), 4, 1))
    kept = {"quality": 95} if suffix.startswith("j") else {"lossless": True} if suffix == "webp" else {}
    image.save(tmp_path / f"a.{suffix}", format={"jfif": "JPEG"}.get(suffix), **kept)
    (path,) = photos.walk(tmp_path).images
    with Image.open(path) as opened:
        np.testing.assert_array_equal(photos.read_image(path, 8), opened.convert("RGB"))


@pytest.mark.parametrize("suffix", ["gif", "tiff", "webp"])
def test_of_several_frames_it_is_the_first(tmp_path, suffix):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ((255, 0, 0), (0, 0, 255))]
    frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:])
    np.testing.assert_allclose(photos.read_image(tmp_path / f"a.{suffix}", 8)[4, 4], (255, 0, 0), atol=2)


def test_a_tiff_of_sixteen_bits_is_brought_to_eight_and_one_of_32_is_refused(tmp_path):
    data = pixels(8, 8)[..., 0]
    Image.fromarray(data.astype(np.uint16) * 257).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(photos.read_image(tmp_path / "a.tif", 8)[..., 1], data)
    for kind in (np.float32, np.int32):
        Image.fromarray(data.astype(kind)).save(tmp_path / "a.tif")
        with pytest.raises(ValueError, match="32 bits"):
            photos.read_image(tmp_path / "a.tif", 8)


def smooth(width, height):
    """A photo that says which way is up, as photos are smooth."""
    return Image.fromarray(pixels(6, 8)).resize((width, height), Image.Resampling.BICUBIC)


@pytest.mark.parametrize(
    ("width", "height", "size"), [(640, 480, 32), (480, 1000, 24), (301, 203, 48), (129, 64, 32), (70, 65, 64)]
)
def test_a_jpeg_that_is_decoded_small_looks_as_one_decoded_whole(tmp_path, width, height, size):
    smooth(width, height).save(tmp_path / "a.jpg", quality=95)
    whole = ImageOps.fit(Image.open(tmp_path / "a.jpg").convert("RGB"), (size, size), Image.Resampling.BILINEAR)
    found = photos.read_image(tmp_path / "a.jpg", size).astype(int)
    assert np.abs(found - np.asarray(whole, int)).mean() < 2
    small = photos.open_upright(tmp_path / "a.jpg", 2 * size).size
    assert min(small) >= min(2 * size, width, height) and photos.open_upright(tmp_path / "a.jpg").size == (width, height)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_as_pillow_turns_it(tmp_path, suffix, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    smooth(160, 120).save(tmp_path / f"a.{suffix}", exif=exif, **({} if suffix in ("png", "tif") else {"quality": 95}))
    with Image.open(tmp_path / f"a.{suffix}") as opened:
        whole = ImageOps.exif_transpose(opened).convert("RGB")
    assert whole.size == ((120, 160) if orientation > 4 else (160, 120))
    np.testing.assert_array_equal(photos.open_upright(tmp_path / f"a.{suffix}"), whole)
    expected = np.asarray(ImageOps.fit(whole, (16, 16), Image.Resampling.BILINEAR), int)
    assert np.abs(photos.read_image(tmp_path / f"a.{suffix}", 16) - expected).mean() < 1.5


def broken_exif():
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker" * 9
    return {"garbage": b"Exif\0\0" + bytes(range(64, 120)), "cut": exif.tobytes()[:17], "header": b"Exif\0\0II"}


@pytest.mark.parametrize("suffix", ["png", "webp", "jpg"])
@pytest.mark.parametrize("kind", ["garbage", "cut", "header"])
@pytest.mark.filterwarnings("ignore")  # Pillow's, of a corrupt block
def test_a_broken_exif_block_does_not_refuse_the_image(tmp_path, suffix, kind):
    image = smooth(40, 32)
    image.save(tmp_path / f"a.{suffix}", exif=broken_exif()[kind], quality=95)
    with Image.open(tmp_path / f"a.{suffix}") as opened:
        expected = np.asarray(opened.convert("RGB"))
    np.testing.assert_array_equal(photos.open_upright(tmp_path / f"a.{suffix}"), expected)
    whole = (tmp_path / f"a.{suffix}").read_bytes()
    (tmp_path / f"a.{suffix}").write_bytes(whole[: len(whole) * 3 // 4])
    assert photos.why_unreadable(tmp_path / f"a.{suffix}")


def test_an_exif_block_with_a_broken_tag_still_says_which_way_is_up(tmp_path):
    data = pixels(8, 12)
    tags = struct.pack("<HHHIHHHHIi", 2, 0x0112, 3, 1, 6, 0, 0xA005, 1, 1, -1)  # the second should point to other tags
    Image.fromarray(data).save(tmp_path / "a.png", exif=b"Exif\0\0II*\0\x08\0\0\0" + tags + bytes(4))
    with Image.open(tmp_path / "a.png") as opened, pytest.raises(struct.error):
        ImageOps.exif_transpose(opened)
    np.testing.assert_array_equal(photos.open_upright(tmp_path / "a.png"), np.rot90(data, -1))


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "gif", "bmp", "tif"])
def test_an_image_that_is_cut_off_is_refused_at_every_scale(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(pixels(96, 128)).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert photos.why_unreadable(path)
    for at_least in (0, 8):
        with pytest.raises((OSError, SyntaxError, ValueError)):
            photos.open_upright(path, at_least)


def test_the_files_of_a_key_image(tmp_path, capsys):
    root = fill(tmp_path / "photos", **{"2023": 1})
    Image.fromarray(pixels(8, 8)).save(root / "b.bmp")
    (root / "notes.txt").write_text("x")
    (root / "a.png").write_bytes(b"no image")
    (root / "gone.png").symlink_to("nowhere")
    (root / "2023" / "up").symlink_to("..")
    found = folder.files_of(str(root))
    assert [str(path.relative_to(root)) for path in found.images] == ["2023/0.png", "a.png", "b.bmp", "gone.png"]
    assert folder.words_of_files(str(root), found) == [
        f"image: {root}: 4 images; left out: 1 .txt, 1 link(s) to what is read already"
    ]
    alone = folder.files_of(str(root / "b.bmp"))
    assert alone.images == [root / "b.bmp"] and folder.words_of_files("b.bmp", alone) == []
    with pytest.raises(ConfigError, match=r"image: .*a\.png is no image that can be read \([^;]*\)$"):
        folder.files_of(str(root / "a.png"))
    (root / "b.bmp").unlink(), (root / "2023" / "0.png").unlink()
    with pytest.raises(ConfigError, match=r"a\.png is no image that can be read \(.*\); nor is any other of 2$"):
        folder.files_of(str(root))
