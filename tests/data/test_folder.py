"""One's own images are decoded, scaled and turned as they should, and broken ones named."""

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
    found = folder.load(str(images), 8, skip_bad=False)
    assert found.class_names == ("cat", "dog") and found.test_start is None
    assert found.images.shape == (5, 8, 8, 3) and found.images.dtype == np.uint8
    np.testing.assert_array_equal(found.labels, [0, 0, 0, 1, 1])
    names = ["cat/TALL.JPEG", "cat/grey.png", "cat/wide.png"]
    names += ["dog/lossless.webp", "dog/palette.png"]
    for position, name in enumerate(names):
        np.testing.assert_array_equal(found.images[position], photos.read_image(images / name, 8))


def test_an_image_of_the_right_size_is_taken_as_it_is(tmp_path):
    data = pixels(8, 8)
    Image.fromarray(data).save(tmp_path / "a.png")
    np.testing.assert_array_equal(photos.read_image(tmp_path / "a.png", 8), data)


def test_the_middle_of_a_wide_image_is_kept(tmp_path):
    data = pixels(8, 20)
    Image.fromarray(data).save(tmp_path / "a.png")
    np.testing.assert_array_equal(photos.read_image(tmp_path / "a.png", 8), data[:, 6:14])


@pytest.mark.parametrize(
    ("height", "width", "scaled", "box"),
    [
        (16, 40, (20, 8), (6, 0, 14, 8)),
        (48, 24, (8, 16), (0, 4, 8, 12)),
        (4, 6, (12, 8), (2, 0, 10, 8)),
    ],
)
def test_the_short_side_is_scaled_and_the_middle_kept(tmp_path, height, width, scaled, box):
    image = Image.fromarray(pixels(height, width))
    image.save(tmp_path / "a.png")
    resized = image.resize(scaled, Image.Resampling.BILINEAR)  # which Pillow does antialiased
    expected = np.asarray(resized.crop(box)).astype(int)
    found = photos.read_image(tmp_path / "a.png", 8).astype(int)
    np.testing.assert_allclose(found, expected, atol=1)  # rounding


def test_grey_becomes_three_equal_channels(tmp_path):
    data = pixels(8, 8)[..., 0]
    Image.fromarray(data).save(tmp_path / "a.png")
    found = photos.read_image(tmp_path / "a.png", 8)
    np.testing.assert_array_equal(found, np.repeat(data[..., None], 3, -1))


def test_sixteen_bits_are_brought_to_eight(tmp_path):
    data = pixels(8, 8)[..., 0]
    Image.fromarray(data.astype(np.uint16) * 257).save(tmp_path / "a.png")
    np.testing.assert_array_equal(photos.read_image(tmp_path / "a.png", 8)[..., 1], data)


@pytest.mark.parametrize(
    ("mode", "suffix"), [("CMYK", "jpg"), ("L", "jpg"), ("1", "png"), ("P", "png"), ("RGB", "webp")]
)
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
    found = photos.read_image(tmp_path / "a.png", 8)
    assert (found == 204).all()  # black, one fifth of it, on white


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
    found = photos.read_image(tmp_path / "a.png", 8)
    np.testing.assert_array_equal(found, np.rot90(data, -1)[:, 6:14])


def test_unreadable_files_are_listed_and_skipped_only_when_asked(images, capsys):
    (images / "cat" / "broken.png").write_bytes(b"not a png")
    whole = (images / "cat" / "wide.png").read_bytes()
    (images / "dog" / "cut.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        ConfigError, match=r"2 of 7 images .*cat/broken\.png.*dog/cut\.png.*skip_bad=true"
    ) as caught:
        folder.load(str(images), 8, skip_bad=False)
    assert "\n" not in str(caught.value)
    for again in range(2):  # also when it comes from the cache
        found = folder.load(str(images), 8, skip_bad=True)
        np.testing.assert_array_equal(found.labels, [0, 0, 0, 1, 1])
        *lines, last = capsys.readouterr().err.splitlines()
        assert "2 of 7 images" in last and "left out" in last
        if not again:  # what was said once is not said again
            assert len(lines) == 2
            assert "cat/broken.png (" in lines[0]
            assert "dog/cut.png (" in lines[0]
            assert lines[1].endswith(": 7 images of 2 classes (cat 4, dog 3); left out: 1 .txt")
        else:
            assert not lines
    last = photos.read_image(images / "dog" / "palette.png", 8)
    np.testing.assert_array_equal(found.images[4], last)
    for i in range(6):
        (images / "cat" / f"z{i}.png").symlink_to("nowhere")
    with pytest.raises(ConfigError, match=r"8 of 13 images .*z3\.png.*, \.\.\.; mend") as caught:
        folder.load(str(images), 8, skip_bad=False)
    assert "z4.png" not in str(caught.value)


def test_a_class_without_a_readable_image_is_named(images):
    (images / "bird").mkdir()
    (images / "bird" / "broken.png").write_bytes(b"not a png")
    with pytest.raises(ConfigError, match="no readable image in bird"):
        folder.load(str(images), 8, skip_bad=True)


def test_a_change_of_files_or_size_is_seen(images):
    first = folder.load(str(images), 8, skip_bad=False)
    assert folder.load(str(images), 6, skip_bad=False).images.shape[1] == 6
    Image.fromarray(pixels(8, 8)).save(images / "cat" / "grey.png")
    second = folder.load(str(images), 8, skip_bad=False)
    assert not np.array_equal(first.images[1], second.images[1])
    np.testing.assert_array_equal(first.images[0], second.images[0])


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (None, "missing; give the folder of your images, as in --config.data.path=FOLDER"),
        ("", "missing; give the folder"),
        ("nowhere", "is not a folder"),
        ("cat", "has 0 sub-folders"),
    ],
)
def test_a_path_that_is_no_image_set_is_refused_before_anything_is_opened(images, path, words):
    with pytest.raises(ConfigError, match=words):
        folder.check_folder(path and str(images / path), 8)


def test_a_folder_of_too_few_or_empty_classes_is_refused_before_anything_is_opened(images):
    (images / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"no image \(.*\) in empty"):
        folder.check_folder(str(images), 8)
    (images / "empty").rmdir()
    (images / "dog").rename(images.parent / "dog")
    with pytest.raises(ConfigError, match="has 1 sub-folder;"):
        folder.check_folder(str(images), 8)


@pytest.mark.parametrize("size", [0, -3, 5000])
def test_a_size_that_makes_no_sense_is_refused(images, size):
    with pytest.raises(ConfigError, match=r"data\.size"):
        folder.check_folder(str(images), size)


def test_a_pipe_is_no_image_whatever_its_name(images):
    before = photos.walk(images).images
    os.mkfifo(images / "cat" / "pipe.png")  # to open it would wait for ever
    assert photos.walk(images).images == before
