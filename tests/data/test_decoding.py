"""Image files: formats, scales, orientations, broken ones."""

import struct

import numpy as np
import pytest
from pictures import pixels
from PIL import Image, ImageOps

from dla_jax.data import photos


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize(
    "suffix", ["jpg", "jpeg", "jfif", "png", "webp", "bmp", "gif", "tif", "tiff", "TIFF"]
)
def test_formats_that_are_read(tmp_path, suffix):
    image = Image.fromarray(np.repeat(np.repeat(pixels(2, 2), 4, 0), 4, 1))
    how = {
        "jpg": {"quality": 95},
        "jpeg": {"quality": 95},
        "jfif": {"quality": 95, "format": "JPEG"},
        "webp": {"lossless": True},
    }
    image.save(tmp_path / f"a.{suffix}", **how.get(suffix, {}))
    (path,) = photos.walk(tmp_path).images
    with Image.open(path) as opened:
        np.testing.assert_array_equal(photos.read_image(path, 8), opened.convert("RGB"))


@pytest.mark.parametrize("suffix", ["gif", "tiff", "webp"])
def test_of_several_frames_it_is_the_first(tmp_path, suffix):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ((255, 0, 0), (0, 0, 255))]
    frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:])
    found = photos.read_image(tmp_path / f"a.{suffix}", 8)
    np.testing.assert_allclose(found[4, 4], (255, 0, 0), atol=2)


def test_a_tiff_of_sixteen_bits_is_brought_to_eight_and_one_of_32_is_refused(tmp_path):
    data = pixels(8, 8)[..., 0]
    Image.fromarray(data.astype(np.uint16) * 257).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(photos.read_image(tmp_path / "a.tif", 8)[..., 1], data)
    for kind in (np.float32, np.int32):
        Image.fromarray(data.astype(kind)).save(tmp_path / "a.tif")
        with pytest.raises(ValueError, match="32 bits"):
            photos.read_image(tmp_path / "a.tif", 8)


def smooth(width, height):
    """Make a photo that says which way is up, smooth as photos are."""
    return Image.fromarray(pixels(6, 8)).resize((width, height), Image.Resampling.BICUBIC)


@pytest.mark.parametrize(
    ("width", "height", "size"),
    [(640, 480, 32), (480, 1000, 24), (301, 203, 48), (129, 64, 32), (70, 65, 64)],
)
def test_a_jpeg_that_is_decoded_small_looks_as_one_decoded_whole(tmp_path, width, height, size):
    smooth(width, height).save(tmp_path / "a.jpg", quality=95)
    image = Image.open(tmp_path / "a.jpg").convert("RGB")
    whole = ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)
    found = photos.read_image(tmp_path / "a.jpg", size).astype(int)
    assert np.abs(found - np.asarray(whole, int)).mean() < 2
    small = photos.open_upright(tmp_path / "a.jpg", 2 * size).size
    assert min(small) >= min(2 * size, width, height)
    assert photos.open_upright(tmp_path / "a.jpg").size == (width, height)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_as_pillow_turns_it(tmp_path, suffix, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    kept = {} if suffix in ("png", "tif") else {"quality": 95}
    smooth(160, 120).save(tmp_path / f"a.{suffix}", exif=exif, **kept)
    with Image.open(tmp_path / f"a.{suffix}") as opened:
        whole = ImageOps.exif_transpose(opened).convert("RGB")
    assert whole.size == ((120, 160) if orientation > 4 else (160, 120))
    np.testing.assert_array_equal(photos.open_upright(tmp_path / f"a.{suffix}"), whole)
    expected = np.asarray(ImageOps.fit(whole, (16, 16), Image.Resampling.BILINEAR), int)
    assert np.abs(photos.read_image(tmp_path / f"a.{suffix}", 16) - expected).mean() < 1.5


def broken_exif():
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker" * 9
    return {
        "garbage": b"Exif\0\0" + bytes(range(64, 120)),
        "cut": exif.tobytes()[:17],
        "header": b"Exif\0\0II",
    }


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
    # Two tags, of which the second should point to others.
    tags = struct.pack("<HHHIHHHHIi", 2, 0x0112, 3, 1, 6, 0, 0xA005, 1, 1, -1)
    block = b"Exif\0\0II*\0\x08\0\0\0" + tags + bytes(4)
    Image.fromarray(data).save(tmp_path / "a.png", exif=block)
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
