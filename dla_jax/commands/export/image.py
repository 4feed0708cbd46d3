"""A classifier of images as ONNX, which onnxruntime runs anywhere."""

import json
from pathlib import Path

import jax
import numpy as np

from dla_jax.commands.export import onnx_graph
from dla_jax.commands.export.card import Model
from dla_jax.config.checks import ConfigError, check
from dla_jax.config.connectivity import first_line
from dla_jax.config.info import data_info
from dla_jax.config.workdir import Launch
from dla_jax.config.written import read_config
from dla_jax.evidence.formatting import digits
from dla_jax.studies import with_like
from dla_jax.studies.study import arm_config, restore
from dla_jax.tasks.image_restored import ImageClassifier
from dla_jax.tasks.image_task import make_model
from dla_jax.trials.finished import IMAGES, choose_classifier

STUDIES = IMAGES
NEAR = 1e-4  # of the largest logit: how far the graph's logits may lie from the network's
CLASSIFY = """\
import json

import numpy as np
import onnxruntime
{imports}
folder = "."  # where this card lies
network = onnxruntime.InferenceSession(f"{folder}/model.onnx")
names = json.loads(network.get_modelmeta().custom_metadata_map["class_names"])
{pixels}
(logits,) = network.run(None, {"images": images})
print(names[logits[0].argmax()])
"""
PHOTO = """\
photo = ImageOps.exif_transpose(Image.open("photo.jpg")).convert("RGB")  # upright
photo = ImageOps.fit(photo, (SIZE, SIZE), Image.BILINEAR)
images = np.asarray(photo.convert("MODE"), np.float32).reshape(1, SIZE, SIZE, CHANNELS) / 255"""
NOISE = "images = np.random.rand(1, HEIGHT, WIDTH, CHANNELS).astype(np.float32)  # yours, in [0, 1]"


def choose(workdir: Path, network: str) -> dict:
    """Return the last row of the classifier that is best on validation, of one network or of all.

    Raises:
      ConfigError: there is none, or the packages that write it are missing.
    """
    onnx_graph.check_packages()
    return choose_classifier(workdir, network, with_like(STUDIES, workdir))


def write(workdir: Path, row: dict, folder: Path, launch: Launch) -> Model:
    """Write a run's network as `model.onnx`; return what the card says of it.

    Raises:
      ConfigError: it has a part that the export does not know.
    """
    del launch
    found = in_float32(workdir, row)

    def logits_of(images):
        return found.model.apply(found.variables, images, train=False)[0]

    sizes = ", ".join(map(str, found.shape))
    facts = {
        "class_names": json.dumps(found.class_names),
        "images": f"float32 [N, {sizes}] in [0, 1], that is pixels / 255; they are standardised "
        "inside",
        "logits": f"float32 [N, {len(found.class_names)}]; their softmax are the probabilities",
        "run": row["run"],
        "data_fingerprint": read_config(workdir)["data"]["fingerprint"],
    }
    graph = onnx_graph.to_onnx(logits_of, found.shape, facts).SerializeToString()
    away = check_same(graph, jax.jit(logits_of), found.shape)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(graph)
    return Model(
        library="onnx",
        task="image-classification",
        what=f"A classifier of images. Its classes: {', '.join(found.class_names)}. `images` are "
        f"{facts['images']}; `logits` are {facts['logits']}.",
        snippet=snippet(found.shape),
        limits=[
            f"On {len(probes(found.shape))} random images its logits differ by at most "
            f"{digits(away)} from those that JAX computes in float32.",
            "It names one of its classes for every image, also for one of none.",
        ],
    )


def in_float32(workdir: Path, row: dict) -> ImageClassifier:
    """Return the trained network of a run, which computes in float32 whatever it was trained in."""
    found = restore(workdir, row)
    config = arm_config(workdir, row).copy_and_resolve_references()
    config.compute_dtype = "float32"
    info = data_info(read_config(workdir)["data"])._replace(class_names=found.class_names)
    return found._replace(model=make_model(config, info))


def probes(shape: tuple[int, int, int]) -> np.ndarray:
    """Return random images float32 [3, *shape] in [0, 1]."""
    return np.random.default_rng(0).random((3, *shape), np.float32)


def check_same(graph: bytes, logits_of, shape: tuple[int, int, int]) -> float:
    """Return how far the logits of a graph lie from a network's, on random images.

    Raises:
      ConfigError: further than rounding, for whatever number of images; or it cannot be run.
    """
    import onnxruntime

    images, away = probes(shape), 0.0
    for part in (images, images[:1]):
        with jax.default_matmul_precision("highest"):  # GPUs and TPUs round more of themselves
            expected = np.asarray(logits_of(part))
        try:
            session = onnxruntime.InferenceSession(graph)
            (given,) = session.run(None, {"images": part})
        except Exception as error:  # whatever onnxruntime raises
            raise ConfigError(
                f"--from: onnxruntime cannot run the network's graph ({first_line(error)}); a part "
                "of the network has to be written in another way"
            ) from None
        check(
            bool(np.isfinite(expected).all()),
            "--from: the network has logits that are no numbers, of random images in [0, 1]; "
            "nothing was written, give another --config.network",
        )
        check(
            given.shape == expected.shape,
            f"--from: of {len(part)} images the ONNX graph has logits of the shape {given.shape}, "
            f"and the network {expected.shape}; it is wrong, and was not written",
        )
        # of NumPy, since Python's max leaves out what is no number
        away = float(np.maximum(away, np.abs(given - expected).max()))
        check(
            away <= NEAR * max(1.0, float(np.abs(expected).max())),
            f"--from: the ONNX graph has other logits than the network, by up to {away:.2g}; it is "
            "wrong, and was not written",
        )
    return away


def snippet(shape: tuple[int, int, int]) -> str:
    """Return the card's example: of a photo, where the network takes squares, else of noise."""
    height, width, channels = shape
    photo = height == width and channels in (1, 3)
    pixels = PHOTO if photo else NOISE
    for word, value in {
        "SIZE": height,
        "HEIGHT": height,
        "WIDTH": width,
        "CHANNELS": channels,
        "MODE": "RGB" if channels == 3 else "L",
    }.items():
        pixels = pixels.replace(word, str(value))
    imports = "from PIL import Image, ImageOps\n" if photo else ""
    return CLASSIFY.replace("{imports}", imports).replace("{pixels}", pixels)
