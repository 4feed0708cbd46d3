"""What a network makes of one's own photos, whatever their size: the most probable classes, and where they come from."""

import functools
import hashlib
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np
from PIL import Image
from scipy.special import softmax

from dla_jax.analysis import cam
from dla_jax.config.checks import check
from dla_jax.config.connectivity import first_line
from dla_jax.config.stop import Interrupted, stop_requested
from dla_jax.config.workdir import Run
from dla_jax.data import folder, photos
from dla_jax.models.build import ends_in_mean
from dla_jax.plots import maps
from dla_jax.studies.cam.examples import window_of
from dla_jax.studies.cam.measure import Network, maps_of
from dla_jax.studies.cam.report import write_arrays
from dla_jax.training.record import Record

MOST = 5  # classes that are named
LONGEST = 16  # times its width that a photo may be long
THUMBNAIL = 480  # pixels of the longer side of what the report shows


def check_photos(config) -> None:
    """Raise ConfigError where no file is a photo to look at."""
    reasons = reasons_of(folder.files_of(config.image).images).values()
    wrong = [reason for reason in reasons if reason]
    more = f"; and {len(wrong) - 1} more of {len(reasons)}" if len(wrong) > 1 else ""
    check(len(wrong) < len(reasons), f"image: {wrong[0] if wrong else ''}{more}")


def reasons_of(files: list[Path]) -> dict[Path, str | None]:
    """Return {file: why it is no photo to look at, None where it is one}, in the same order."""
    with ThreadPoolExecutor() as pool:  # Pillow decodes without Python's lock
        return dict(zip(files, pool.map(refused, files), strict=True))


def refused(path: Path) -> str | None:
    """Return why a file is no photo to look at."""
    try:
        state = path.stat()
    except OSError as error:  # a link that leads nowhere
        return f"{path} is no image that can be read ({error.strerror})"
    return examined(path, state.st_mtime_ns, state.st_size)


@functools.cache  # for the check, the fingerprints and the run: a photo is decoded whole
def examined(path: Path, changed: int, size: int) -> str | None:
    """Return why a file, as it was when it was last changed, is no photo to look at."""
    try:
        width, height = photos.open_upright(path).size
    except Exception as error:  # whatever Pillow raises
        return f"{path} is no image that can be read ({first_line(error)})"
    long = max(width, height) > LONGEST * min(width, height)
    return (
        f"{path} is {width}x{height} pixels, more than {LONGEST} times as long as wide; cut it"
        if long
        else None
    )


def fingerprints(config) -> dict[str, str]:
    """Return {file: SHA-256 of its content} of the usable photos: what a workdir remembers of them."""
    reasons = reasons_of(folder.files_of(config.image).images)
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        for path, reason in reasons.items()
        if not reason
    }


def as_input(photo: Image.Image, shape: tuple[int, int, int], scale: float) -> np.ndarray:
    """A photo as the network reads it, float32 [1, H, W, C] in [0, 1]: its aspect ratio kept, the short side `scale` times
    that of a training image."""
    factor = scale * shape[0] / min(photo.size)
    size = [round(factor * side) for side in photo.size]
    pixels = np.asarray(
        photo.resize(size, Image.Resampling.BILINEAR)
    )  # as training images are shrunk
    return (pixels if shape[2] == 3 else photos.grey(pixels))[None].astype(np.float32) / 255


def look(config, run: Run, network: Network) -> None:
    """Write one line of JSON for each photo to standard output and to the record, and an overlay of its own size.

    Files that are no photos to look at are named on standard error, and have no number.
    """
    record, files = Record(run.workdir), folder.files_of(config.image)
    reasons = reasons_of(files.images)
    bad = [f"image: {reason}" for reason in reasons.values() if reason]
    for line in (*folder.words_of_files(config.image, files), *bad):
        print(line, file=sys.stderr)
    for i, path in enumerate(path for path, reason in reasons.items() if not reason):
        if stop_requested.is_set():
            raise Interrupted
        name = f"photo/{i:03}"
        if name not in record.done:
            answer = look_at(config, run.workdir, network, path, f"{i:03}")
            record.append({"run": name, "done": True, "stage": "photo", "step": 0} | answer)
        row = record.done[name]
        print(
            json.dumps(
                {key: row[key] for key in ("image", "label", "probability", "top", "overlay")},
                ensure_ascii=False,
            ),
            flush=True,
        )
    record.close()
    if bad:
        print(
            f"{len(bad)} of {len(reasons)} images could not be read, or looked at", file=sys.stderr
        )


def look_at(config, workdir: Path, network: Network, path: Path, number: str) -> dict:
    """What the network says of one photo, after its overlay and what the report shows of it are written."""
    photo, method = photos.open_upright(path), config.methods[0]
    window = None if ends_in_mean(network.model) else window_of(network)
    key = jax.random.key(network.row["seed"])
    logits, found = maps_of(
        network.variables,
        as_input(photo, network.shape, config.scale),
        None,
        key,
        model=network.model,
        layer=network.layer,
        methods=(method,),
        window=window,
    )
    p, heat = (
        softmax(np.asarray(logits[0], np.float64)),
        cam.scaled(np.asarray(found[method])[0, 0]),
    )
    top = {
        network.class_names[label]: round(float(p[label]), 6)
        for label in np.argsort(-p, kind="stable")[:MOST]
    }
    best = next(iter(top))
    overlay = workdir / "overlays" / f"{number}-{maps.slug(path.stem)}-{maps.slug(best)}.jpg"
    maps.save_picture(maps.overlay(photo, heat), overlay)
    photo.thumbnail((THUMBNAIL, THUMBNAIL))
    write_arrays(workdir / "photos" / f"{number}.npz", {"image": np.asarray(photo), "heat": heat})
    return {
        "image": str(path),
        "label": best,
        "probability": top[best],
        "top": top,
        "overlay": str(overlay),
    }
