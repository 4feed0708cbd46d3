"""One's own images: a folder with one sub-folder a class."""

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from dla_jax.config import ConfigError, check, check_count, expand
from dla_jax.data.cache import Decoded, cached, channel_stats, content_key

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


def check_folder(path: str | None, size: int) -> dict[str, list[Path]]:
    """The images of each class, {class: paths}, both sorted; opens none of them.

    Raises:
      ConfigError: no folder, fewer than two classes, a class without images.
    """
    check(path, "data.path: missing; give the folder of your images, as in --config.data.path=FOLDER")
    folder = expand("data.path", path)
    check(
        folder.is_dir() and os.access(folder, os.R_OK | os.X_OK),
        f"data.path: {path} is not a folder to read; give one with a sub-folder of images for each class",
    )
    check_count("data.size", size)
    check(size <= 1024, f"data.size: {size} must be at most 1024 pixels")
    classes = sorted(child for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))
    found = {child.name: sorted(images_in(child)) for child in classes}
    check(len(found) >= 2, f"data.path: {path} has {len(found)} sub-folder{'s' * (len(found) != 1)}; a classifier needs two "
          "classes or more, a sub-folder each")  # fmt: skip
    empty = [name for name, paths in found.items() if not paths]
    check(not empty, f"data.path: no image ({', '.join(SUFFIXES)}) in {', '.join(empty[:5])}; add some or remove the sub-folder")
    return found


def images_in(folder: Path) -> Iterator[Path]:
    """Files in a folder, and in those below it, that are named as images; hidden ones left out."""
    for path in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in SUFFIXES and not hidden and not path.is_dir() and not path.is_fifo():
            yield path


def load(path: str, size: int, skip_bad: bool) -> Decoded:
    """The images of a folder as uint8 [N, size, size, 3], decoded once and cached.

    Raises:
      ConfigError: as `check_folder`, and for files that cannot be read, unless `skip_bad`.
    """
    found, folder = check_folder(path, size), expand("data.path", path)
    files = [(file, label) for label, paths in enumerate(found.values()) for file in paths]
    key = content_key(folder, [file for file, _ in files], f"{size} {skip_bad}")
    decoded = cached(folder, key, lambda: _decode(folder, files, tuple(found), size, skip_bad), tuple(found), None)
    if bad := len(files) - len(decoded.labels):
        print(f"data.path: {bad} of {len(files)} images of {folder} cannot be read and are left out", file=sys.stderr)
    return decoded


def open_upright(path: Path):
    """An image file as a Pillow image in RGB: turned as its EXIF tag says, transparent parts on white, 16 bits brought to 8.

    Raises:
      Exception: whatever Pillow raises for what is not an image.
    """
    from PIL import Image, ImageOps  # only who reads images needs it

    with Image.open(path) as opened:
        image = ImageOps.exif_transpose(opened)
        if image.mode.startswith("I"):
            image = Image.fromarray((np.asarray(image, np.float64) / 65535 * 255).clip(0, 255).round().astype(np.uint8))
        if image.has_transparency_data:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        return image.convert("RGB")


def read_image(path: Path, size: int) -> np.ndarray:
    """An image file as uint8 [size, size, 3]: `open_upright`, the short side resized to `size` (antialiased), the middle cut out.

    Raises:
      Exception: whatever Pillow raises for what is not an image.
    """
    from PIL import Image, ImageOps

    return np.asarray(ImageOps.fit(open_upright(path), (size, size), Image.Resampling.BILINEAR))


def files_of(given: str) -> list[Path]:
    """The image files that a key `image` names: a file, or those of a folder.

    Raises:
      ConfigError: nothing there, or a folder without images.
    """
    path = expand("image", given)
    check(path.exists(), f"image: there is no file or folder {given}")
    if not path.is_dir():
        return [path]
    found = sorted(images_in(path))
    check(len(found) > 0, f"image: no image ({', '.join(SUFFIXES)}) in {given}; give another folder, or a file")
    return found


def grey(image: np.ndarray) -> np.ndarray:
    """uint8 [..., 3] -> uint8 [..., 1], by the weights of ITU-R 601, as Pillow's own conversion to grey has them."""
    return (image @ np.array([0.299, 0.587, 0.114])).round().astype(np.uint8)[..., None]


def _decode(folder: Path, files: list[tuple[Path, int]], class_names: tuple[str, ...], size: int, skip_bad: bool) -> Decoded:
    def read(file: Path) -> np.ndarray | str:
        try:
            return read_image(file, size)
        except Exception as error:  # Pillow raises whatever it meets in a file that is no image, is cut off, or is a bomb
            return f"{file.relative_to(folder)} ({(str(error) or type(error).__name__).splitlines()[0][:60]})"

    with ThreadPoolExecutor() as pool:  # Pillow decodes and shrinks without Python's lock
        read_all = list(pool.map(read, (file for file, _ in files)))
    bad = [each for each in read_all if isinstance(each, str)]
    if bad and not skip_bad:
        listed = f"{', '.join(bad[:5])}{', ...' * (len(bad) > 5)}"
        raise ConfigError(f"data.path: {len(bad)} of {len(files)} images of {folder} cannot be read: {listed}; mend them, or go "
                          "on without them with --config.data.skip_bad=true")  # fmt: skip
    good = [(image, label) for image, (_, label) in zip(read_all, files, strict=True) if not isinstance(image, str)]
    labels = np.array([label for _, label in good], np.int32)
    gone = [name for label, name in enumerate(class_names) if label not in labels]
    check(not gone, f"data.path: no readable image in {', '.join(gone[:5])}; add some or remove the sub-folder")
    images = np.stack([image for image, _ in good])
    return Decoded(images, labels, class_names, *channel_stats(images), None)
