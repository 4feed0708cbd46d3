"""Image files: those below a folder, and one of them, of whatever kind, as an array."""

import os
import stat
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
MOST = 12  # classes, or kinds of other files, that a line names


class Found(NamedTuple):
    """The images below a folder, sorted, and how many of what else lies there: {".txt": 2}."""

    images: list[Path]
    left_out: Counter


def walk(folder: Path) -> Found:
    """Return the files below a folder; links are followed, hidden files are left out.

    Each folder is read once, whatever links to it. Links that lead nowhere and folders that may not
    be read are among the images: who decodes them says what is wrong.
    """
    images, left_out = [], Counter()
    above = Path(os.path.abspath(folder)).parent.resolve()
    # What links back to these would take in all that lies beside the folder.
    seen = {above, *above.parents}
    unread = lambda error: images.append(Path(error.filename))
    for place, children, files in os.walk(folder, followlinks=True, onerror=unread):
        here, real = Path(place), Path(place).resolve()
        if real in seen or (here != folder and real in here.parent.resolve().parents):
            left_out["link(s) to what is read already"] += 1
            children.clear()
            continue
        seen.add(real)
        children[:] = sorted(child for child in children if not child.startswith("."))
        for path in (here / file for file in files if not file.startswith(".")):
            kind = kind_of(path)
            if kind:
                left_out[kind] += 1
            else:
                images.append(path)
    return Found(sorted(images), left_out)


def kind_of(path: Path) -> str | None:
    """Return what a file that is left out is called.

    It is None for an image, and for a link that leads nowhere.
    """
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return None
    if not regular:
        return "pipe(s)"
    suffix = path.suffix.lower()
    return None if suffix in SUFFIXES else suffix or "without suffix"


def kinds(left_out: Counter) -> str:
    """Return `left out: 2 .txt, 1 .heic`."""
    most = sorted(left_out.items(), key=lambda item: (-item[1], item[0]))
    return "left out: " + and_more([f"{number:,} {kind}" for kind, number in most])


def and_more(words: list[str]) -> str:
    """Return the first few words, and how many more there are."""
    more = f" and {len(words) - MOST:,} more" if len(words) > MOST else ""
    return ", ".join(words[:MOST]) + more


def open_upright(path: Path, at_least: int = 0):
    """Return an image file as a Pillow image in RGB, with 8 bits a channel.

    It is turned as its EXIF tag says, and transparent parts are on white. Of several frames or
    pages it is the first.

    Args:
      at_least: pixels of the shorter side that are enough, so that a large JPEG is decoded at a
        half, a quarter or an eighth of its size; 0: the whole size.

    Raises:
      Exception: whatever Pillow raises for what is not an image; ValueError for pixels of 32 bits.
    """
    from PIL import Image  # only who reads images needs it

    with Image.open(path) as opened:
        if at_least:
            opened.draft(None, (at_least, at_least))
        opened.load()
        image = turned(opened)
        if image.mode in ("I", "F"):
            raise ValueError(
                "its pixels have 32 bits, and which of them is white is not known; "
                "convert it to 8 or 16"
            )
        if image.mode.startswith("I"):
            levels = np.asarray(image, np.float64) / 65535 * 255
            image = Image.fromarray(levels.clip(0, 255).round().astype(np.uint8))
        if image.has_transparency_data:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        return image.convert("RGB")


def turned(image):
    """Return a loaded Pillow image as its EXIF block says that it is to be seen.

    It stays as it is where the block cannot be parsed.
    """
    from PIL import ExifTags, Image

    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # whatever Pillow raises for bytes that are no EXIF; the pixels are read
        return image
    # Not ImageOps.exif_transpose: it writes the block again, and fails on one with a broken tag
    # that we never look at.
    how = Image.Transpose
    to_do = {
        2: how.FLIP_LEFT_RIGHT,
        3: how.ROTATE_180,
        4: how.FLIP_TOP_BOTTOM,
        5: how.TRANSPOSE,
        6: how.ROTATE_270,
        7: how.TRANSVERSE,
        8: how.ROTATE_90,
    }.get(orientation)
    return image if to_do is None else image.transpose(to_do)


def read_image(path: Path, size: int) -> np.ndarray:
    """Return an image file as uint8 [size, size, 3].

    It is upright, its short side is resized to `size` (antialiased), and the middle is cut out.

    Raises:
      Exception: as `open_upright`.
    """
    from PIL import Image, ImageOps

    # Twice the size, or there would be nothing left to average over.
    image = open_upright(path, at_least=2 * size)
    return np.asarray(ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR))


def why_unreadable(path: Path) -> str | None:
    """Return why a file is no image, in at most 60 characters; None for one that is."""
    try:
        open_upright(path, at_least=1)
    except Exception as error:  # whatever Pillow meets in a file that is no whole image
        return short(error)
    return None


def short(error: Exception) -> str:
    """Return the first line of an error, at most 60 characters, without the path.

    It is the class of the error where that says nothing.
    """
    words = str(getattr(error, "strerror", None) or error) or type(error).__name__
    return words.partition(" '/")[0].splitlines()[0][:60]


def grey(image: np.ndarray) -> np.ndarray:
    """Return uint8 [..., 3] as uint8 [..., 1] in grey.

    The weights are those of ITU-R 601, as Pillow's own conversion to grey has them.
    """
    return (image @ np.array([0.299, 0.587, 0.114])).round().astype(np.uint8)[..., None]
