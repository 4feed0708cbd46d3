"""One's own images: a folder with one sub-folder a class."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dla_jax.config import ConfigError, check, check_count
from dla_jax.data.cache import Decoded, cached, channel_stats, content_key

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


def check_folder(path: str | None, size: int) -> dict[str, list[Path]]:
    """The images of each class, {class: paths}, both sorted; opens none of them.

    Raises:
      ConfigError: no folder, fewer than two classes, a class without images.
    """
    check(path is not None, "data.path: missing; give the folder of your images, as in --config.data.path=FOLDER")
    folder = Path(path).expanduser()
    check(folder.is_dir(), f"data.path: {path} is not a folder; give one with a sub-folder of images for each class")
    check_count("data.size", size)
    check(size <= 1024, f"data.size: {size} must be at most 1024 pixels")
    classes = sorted(child for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))
    found = {child.name: sorted(_images_in(child)) for child in classes}
    check(len(found) >= 2, f"data.path: {path} has {len(found)} sub-folder{'s' * (len(found) != 1)}; a classifier needs two "
          "classes or more, a sub-folder each")  # fmt: skip
    empty = [name for name, paths in found.items() if not paths]
    check(not empty, f"data.path: no image ({', '.join(SUFFIXES)}) in {', '.join(empty[:5])}; add some or remove the sub-folder")
    return found


def _images_in(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith("."):
            yield path


def load(path: str, size: int, skip_bad: bool) -> Decoded:
    """The images of a folder as uint8 [N, size, size, 3], decoded once and cached.

    Raises:
      ConfigError: as `check_folder`, and for files that cannot be read, unless `skip_bad`.
    """
    found, folder = check_folder(path, size), Path(path).expanduser()
    files = [(file, label) for label, paths in enumerate(found.values()) for file in paths]
    key = content_key(folder, [file for file, _ in files], f"{size} {skip_bad}")
    return cached(folder, key, lambda: _decode(folder, files, tuple(found), size, skip_bad), tuple(found), None)


def read_image(path: Path, size: int) -> np.ndarray:
    """An image file as uint8 [size, size, 3]: turned as its EXIF tag says, transparent parts on white, 16 bits brought to 8, the
    short side resized to `size` (antialiased), the middle cut out.

    Raises:
      Exception: whatever Pillow raises for what is not an image.
    """
    from PIL import Image, ImageOps  # only who reads images needs it

    with Image.open(path) as opened:
        image = ImageOps.exif_transpose(opened)
        if image.mode.startswith("I"):
            image = Image.fromarray((np.asarray(image, np.float64) / 65535 * 255).clip(0, 255).round().astype(np.uint8))
        image = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return np.asarray(ImageOps.fit(Image.alpha_composite(white, image).convert("RGB"), (size, size), Image.Resampling.BILINEAR))


def _decode(folder: Path, files: list[tuple[Path, int]], class_names: tuple[str, ...], size: int, skip_bad: bool) -> Decoded:
    images, labels, bad = [], [], []
    for file, label in files:
        try:
            images.append(read_image(file, size))
            labels.append(label)
        except Exception as error:  # Pillow raises whatever it meets in a file that is no image, is cut off, or is a bomb
            bad.append(f"{file.relative_to(folder)} ({(str(error) or type(error).__name__).splitlines()[0][:60]})")
    listed = f"{len(bad)} of {len(files)} images of {folder} cannot be read: {', '.join(bad[:5])}{', ...' * (len(bad) > 5)}"
    if bad and not skip_bad:
        raise ConfigError(f"data.path: {listed}; mend them, or go on without them with --config.data.skip_bad=true")
    if bad:
        print(f"left out: {listed}", file=sys.stderr)
    gone = [name for label, name in enumerate(class_names) if label not in set(labels)]
    check(not gone, f"data.path: no readable image in {', '.join(gone[:5])}; add some or remove the sub-folder")
    return Decoded(np.stack(images), np.array(labels, np.int32), class_names, *channel_stats(np.stack(images)), None)
