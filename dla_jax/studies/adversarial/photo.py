"""One's own photos, attacked: the changed photo, losslessly, and what the network now sees."""

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.special import softmax

from dla_jax.config.checks import check, check_choice
from dla_jax.config.stop import Interrupted, stop_requested
from dla_jax.config.workdir import Launch
from dla_jax.config.written import write_config
from dla_jax.data import folder, photos
from dla_jax.plots import maps
from dla_jax.studies.adversarial.attacking import as_floats, attack_images, classified
from dla_jax.studies.adversarial.figures import SIDE, amplified
from dla_jax.studies.image_networks import identity, rows_by_network
from dla_jax.studies.ood.detectors import Network, read_network
from dla_jax.training.mesh import describe_devices


def best_network(config, launch: Launch) -> Network:
    """Return the network that is best on validation, of those that the config names.

    Raises:
      ConfigError: it does not know the target.
    """
    rows = rows_by_network(launch.from_dir, tuple(config.networks))
    best = max((row for found in rows.values() for row in found), key=lambda r: r["val_accuracy"])
    network = read_network(launch.from_dir, best, "", ())
    if config.target:
        check_choice("target", config.target, network.class_names)
    return network


def run(config, launch: Launch) -> None:
    """Write each photo as it was and as it was attacked, and a line of JSON on standard output."""
    network = best_network(config, launch)
    about = identity(launch.from_dir, [network.row])
    write_config(launch.workdir, config.to_dict(), describe_devices(), about)
    files = folder.files_of(config.image).images
    config.num_images = 1  # one by one
    with open(launch.workdir / "attacked.jsonl", "w", encoding="utf-8") as file:
        for number, path in enumerate(files):
            if stop_requested.is_set():
                raise Interrupted
            stem = launch.workdir / "attacked" / f"{number}-{maps.slug(path.stem)}"
            line = json.dumps(attacked(config, network, path, stem), ensure_ascii=False)
            print(line, flush=True)
            file.write(line + "\n")
    print(f"written: {launch.workdir / 'attacked'}", file=sys.stderr)


def attacked(config, network: Network, path: Path, stem: Path) -> dict:
    """Attack one photo at the size that the network reads, and write it losslessly.

    It is written to `<stem>.png`, with `<stem>-before.png` and `<stem>-strip.png` beside it. Pixels
    are whole numbers of 0 to 255 again before the network is asked what it sees.
    """
    height, _, channels = network.shape
    image = photos.read_image(path, height)
    image = image if channels == 3 else photos.grey(image)
    x, names = as_floats(image[None]), network.class_names
    before = softmax(classified(config, network, x)[0])
    label = np.array([before.argmax()], np.int32)
    targets = np.array([names.index(config.target)], np.int32) if config.target else None
    changed = attack_images(config, network, x, label, "pgd", targets=targets)[0]
    limit = np.floor(255 * config.epsilon + 1e-4)  # no pixel moves farther than epsilon
    change = np.clip(np.rint(255 * (changed - x[0])), -limit, limit)
    pixels = (image + change).astype(np.uint8)
    after = softmax(classified(config, network, as_floats(pixels[None]))[0])
    changed_file = stem.with_name(f"{stem.name}.png")
    maps.save_picture(whole(pixels), changed_file)
    maps.save_picture(whole(image), stem.with_name(f"{stem.name}-before.png"))
    strip, times = amplified(change / 255)
    cells = [
        {"picture": maps.picture(image, SIDE), "title": words(names, before)},
        {"picture": maps.picture(strip, SIDE), "title": f"change, {times:g} times"},
        {"picture": maps.picture(pixels, SIDE), "title": words(names, after)},
    ]
    maps.grid([cells], stem.with_name(f"{stem.name}-strip.png"))
    return {
        "image": str(path),
        "attacked": str(changed_file),
        "epsilon": config.epsilon,
        "before": names[int(before.argmax())],
        "before_probability": round(float(before.max()), 6),
        "target": config.target or None,
        "after": names[int(after.argmax())],
        "after_probability": round(float(after.max()), 6),
    }


def whole(pixels: np.ndarray) -> Image.Image:
    """Return an image uint8 [H, W, 1 or 3] as a picture, pixel for pixel."""
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def words(names: tuple[str, ...], p: np.ndarray) -> str:
    """Return the most probable class and its probability, `ship 0.98`."""
    return f"{names[int(p.argmax())]} {p.max():.2f}"


def draw(workdir: Path) -> None:
    """Print again what became of the photos of a workdir.

    Raises:
      ConfigError: there are none.
    """
    path = workdir / "attacked.jsonl"
    check(path.is_file(), f"the workdir {workdir} holds no photos; start it again with --config")
    print(path.read_text(encoding="utf-8"), end="")
