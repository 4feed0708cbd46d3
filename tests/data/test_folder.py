import numpy as np
import pytest
from PIL import Image

from dla_jax.config import ConfigError
from dla_jax.data import folder

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
    for name in ("cat", "dog", ".hidden"):
        (root / name).mkdir(parents=True)
    Image.fromarray(pixels(20, 30)).save(root / "cat" / "wide.png")
    Image.fromarray(pixels(31, 17)).save(root / "cat" / "TALL.JPEG")
    Image.fromarray(pixels(8, 8)[..., 0]).save(root / "cat" / "grey.png")
    Image.fromarray(pixels(9, 9)).save(root / "dog" / "lossless.webp", lossless=True)
    Image.fromarray(pixels(12, 12)).quantize(16).save(root / "dog" / "palette.png")
    (root / "dog" / "notes.txt").write_text("not an image")
    (root / "dog" / "._wide.png").write_bytes(b"what macOS leaves behind")
    return root


def test_every_image_is_read_once_in_sorted_order(images):
    found = folder.load(str(images), 8, False)
    assert found.class_names == ("cat", "dog") and found.test_start is None
    assert found.images.shape == (5, 8, 8, 3) and found.images.dtype == np.uint8
    np.testing.assert_array_equal(found.labels, [0, 0, 0, 1, 1])
    for position, name in enumerate(["cat/TALL.JPEG", "cat/grey.png", "cat/wide.png", "dog/lossless.webp", "dog/palette.png"]):
        np.testing.assert_array_equal(found.images[position], folder.read_image(images / name, 8))


def test_an_image_of_the_right_size_is_taken_as_it_is(tmp_path):
    data = pixels(8, 8)
    Image.fromarray(data).save(tmp_path / "a.png")
    np.testing.assert_array_equal(folder.read_image(tmp_path / "a.png", 8), data)


def test_the_middle_of_a_wide_image_is_kept(tmp_path):
    data = pixels(8, 20)
    Image.fromarray(data).save(tmp_path / "a.png")
    np.testing.assert_array_equal(folder.read_image(tmp_path / "a.png", 8), data[:, 6:14])
    Image.fromarray(data.repeat(2, 0).repeat(2, 1)).save(tmp_path / "b.png")  # twice as large: the same after shrinking
    assert np.abs(folder.read_image(tmp_path / "b.png", 8).astype(int) - data[:, 6:14]).mean() < 30


def test_grey_becomes_three_equal_channels(tmp_path):
    data = pixels(8, 8)[..., 0]
    Image.fromarray(data).save(tmp_path / "a.png")
    np.testing.assert_array_equal(folder.read_image(tmp_path / "a.png", 8), np.repeat(data[..., None], 3, -1))


def test_sixteen_bits_are_brought_to_eight(tmp_path):
    data = pixels(8, 8)[..., 0]
    Image.fromarray(data.astype(np.uint16) * 257).save(tmp_path / "a.png")
    np.testing.assert_array_equal(folder.read_image(tmp_path / "a.png", 8)[..., 1], data)


def test_transparent_parts_are_white(tmp_path):
    data = pixels(8, 8, 4)
    data[..., 3] = np.where(np.arange(8) < 4, 0, 255)
    Image.fromarray(data).save(tmp_path / "a.png")
    found = folder.read_image(tmp_path / "a.png", 8)
    assert (found[:, :4] == 255).all()
    np.testing.assert_array_equal(found[:, 4:], data[:, 4:, :3])


def test_exif_says_which_way_is_up(tmp_path):
    data = pixels(8, 8)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to show
    Image.fromarray(data).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(folder.read_image(tmp_path / "a.png", 8), np.rot90(data, -1))


def test_unreadable_files_are_listed_and_skipped_only_when_asked(images, capsys):
    (images / "cat" / "broken.png").write_bytes(b"not a png")
    whole = (images / "cat" / "wide.png").read_bytes()
    (images / "dog" / "cut.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConfigError, match=r"2 of 7 images .*cat/broken\.png.*dog/cut\.png.*skip_bad=true") as caught:
        folder.load(str(images), 8, False)
    assert "\n" not in str(caught.value)
    found = folder.load(str(images), 8, True)
    assert len(found.labels) == 5 and "left out: 2 of 7" in capsys.readouterr().err


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
    (lambda root: None, "missing; give the folder"),
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
