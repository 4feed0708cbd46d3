"""One's own photos, whatever their size: what a network takes them for, and why.

It names the most probable classes, and draws a map of where they come from.
"""

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
from dla_jax.config.workdir import Launch
from dla_jax.config.written import read_config, resume_command
from dla_jax.data import folder, photos
from dla_jax.evidence import report
from dla_jax.evidence.rows import read_record
from dla_jax.evidence.summary import config_facts, launch_facts, print_lines, write_summary
from dla_jax.models.build import ends_in_mean
from dla_jax.plots import maps
from dla_jax.studies.cam.answer import photos_answer
from dla_jax.studies.cam.arrays import read_arrays, write_arrays
from dla_jax.studies.cam.examples import window_of
from dla_jax.studies.cam.figures import draw_photos
from dla_jax.studies.cam.network_maps import Network, maps_of
from dla_jax.studies.cam.report import QUESTION, data_facts
from dla_jax.studies.running import begin
from dla_jax.studies.study import Description
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
    """Return why a file is no photo to look at, None where it is one."""
    try:
        state = path.stat()
    except OSError as error:  # a link that leads nowhere
        return f"{path} is no image that can be read ({error.strerror})"
    return examined(path, state.st_mtime_ns, state.st_size)


@functools.cache  # for the check, the fingerprints and the run: a photo is decoded whole
def examined(path: Path, changed: int, size: int) -> str | None:
    """Return why a file, as it was when it was last changed, is no photo to look at, or None."""
    try:
        width, height = photos.open_upright(path).size
    except Exception as error:  # whatever Pillow raises
        return f"{path} is no image that can be read ({first_line(error)})"
    if max(width, height) <= LONGEST * min(width, height):
        return None
    size = f"{width}x{height} pixels"
    return f"{path} is {size}, more than {LONGEST} times as long as wide; cut it"


def fingerprints(config) -> dict[str, str]:
    """Return {file: 16 hex digits of the SHA-256 of its content} of the usable photos.

    A workdir remembers it.
    """
    reasons = reasons_of(folder.files_of(config.image).images)
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        for path, reason in reasons.items()
        if not reason
    }


def as_input(photo: Image.Image, shape: tuple[int, int, int], scale: float) -> np.ndarray:
    """Return a photo as the network reads it: float32 [1, H, W, C] in [0, 1].

    Its aspect ratio is kept. Its short side is `scale` times that of a training image.
    """
    factor = scale * shape[0] / min(photo.size)
    size = [round(factor * side) for side in photo.size]
    pixels = np.asarray(photo.resize(size, Image.Resampling.BILINEAR))  # as training images are
    if shape[2] != 3:
        pixels = photos.grey(pixels)
    return pixels[None].astype(np.float32) / 255


def run(config, launch: Launch, network: Network, networks: dict) -> None:
    """Look at the photos of a config, and draw the report.

    Args:
      networks: what the workdir remembers of the networks.
    """
    identity = networks | {"photos": fingerprints(config)}
    begin(config, launch, Description(identity, remarks=[]))
    look(config, launch, network)
    draw(launch.workdir)


def look(config, launch: Launch, network: Network) -> None:
    """Write one line of JSON for each photo to standard output, and to the record.

    An overlay of the photo's own size is written beside. Files that are no photos to look at are
    named on standard error, and have no number.
    """
    record, files = Record(launch.workdir), folder.files_of(config.image)
    reasons = reasons_of(files.images)
    bad = [f"image: {reason}" for reason in reasons.values() if reason]
    for line in (*folder.words_of_files(config.image, files), *bad):
        print(line, file=sys.stderr)
    shown = ("image", "label", "probability", "top", "overlay")
    for i, path in enumerate(path for path, reason in reasons.items() if not reason):
        if stop_requested.is_set():
            raise Interrupted
        name = f"photo/{i:03}"
        if name not in record.done:
            answer = look_at(config, launch.workdir, network, path, f"{i:03}")
            record.resume(name, -1)
            record.append({"run": name, "done": True, "stage": "photo", "step": 0} | answer)
        row = record.done[name]
        print(json.dumps({key: row[key] for key in shown}, ensure_ascii=False), flush=True)
    record.close()
    if bad:
        words = f"{len(bad)} of {len(reasons)} images could not be read, or looked at"
        print(words, file=sys.stderr)


def look_at(config, workdir: Path, network: Network, path: Path, number: str) -> dict:
    """Return what the network says of one photo.

    Its overlay, and what the report shows of it, are written first.
    """
    photo, method = photos.open_upright(path), config.methods[0]
    window = None if ends_in_mean(network.model) else window_of(network)
    key = jax.random.key(network.row["seed"])
    logits, found = maps_of(
        network.variables,
        as_input(photo, network.shape, config.scale),
        classes=None,
        key=key,
        model=network.model,
        layer=network.layer,
        methods=(method,),
        window=window,
    )
    p = softmax(np.asarray(logits[0], np.float64))
    heat = cam.scaled(np.asarray(found[method])[0, 0])
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


def draw(workdir: Path) -> None:
    """Write `summary.json` and `report.html` of photos that were looked at.

    Raises:
      ConfigError: some are left.
    """
    written = read_config(workdir)
    data, done = written["data"], [row for row in read_record(workdir) if row.get("done")]
    command = resume_command(written, workdir)
    check(
        len(done) == len(data["photos"]),
        f"the study in {workdir} is not finished; go on with: {command}",
    )
    answer = photos_answer(done)
    summary = {"study": "cam", "runs": [], "photos": done, "claims": [], "answer": answer}
    write_summary(workdir, summary)
    layer = written["config"]["layer"]
    report.render(
        workdir / "report.html",
        title=f"Class activation maps: {data['network']} on {data['name']}, {layer}",
        answer=answer,
        question=QUESTION,
        command=written["launches"][0]["command"],
        claims=[],
        sections=[photo_section(done, workdir)],
        facts=data_facts(data)
        | launch_facts(written["launches"])
        | config_facts(written["config"]),
    )
    lines = [f"{row['label']:<14} {row['probability']:.3f}   {row['overlay']}" for row in done]
    print_lines(answer, "photos", lines, [], workdir, also=("overlays",))


def photo_section(done: list[dict], workdir: Path) -> dict:
    """Return the section of the report on photos, with its figures drawn."""
    arrays = [read_arrays(workdir / "photos" / f"{i:03}.npz") for i in range(len(done))]
    drawn = draw_photos(done, arrays, workdir / "figures")
    caption = "The photo, the map of the class that it is taken for, and the most probable classes."
    return {
        "title": "Photos",
        "figures": [figure | {"caption": caption} for figure in drawn],
        "text": "Overlays at the photos' own resolution are in overlays/.",
    }
