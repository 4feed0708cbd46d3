"""What does a trained classifier say of one's own texts or images?

The answers go to standard output, one line of JSON each.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
from scipy.special import softmax

from dla_jax.config.checks import ConfigError, check, check_choice
from dla_jax.config.connectivity import first_line
from dla_jax.config.files import expand, standard_input
from dla_jax.config.info import data_info
from dla_jax.config.stop import Interrupted, stop_requested
from dla_jax.config.workdir import Launch
from dla_jax.config.written import read_config, write_config
from dla_jax.data import folder, labelled, photos
from dla_jax.data.encoding import decode
from dla_jax.evidence import tables
from dla_jax.studies import find, image_networks, run_experiment, with_like
from dla_jax.studies.begun import words_of_unfinished
from dla_jax.studies.choices import asked
from dla_jax.studies.ood.detectors import DETECTORS
from dla_jax.studies.ood.familiar import SHARE, Familiar, check_detector, make_familiar
from dla_jax.studies.study import Command, restore
from dla_jax.training.mesh import data_mesh, describe_devices
from dla_jax.trials.finished import (
    CHOICES,
    IMAGES,
    TEXTS,
    check_source,
    choose_classifier,
    made_launch,
    make_source,
    source_words,
)

AT_A_TIME = 256  # texts or images that are classified, and written, together


def check_config(config, launch: Launch) -> None:
    """Raise ConfigError for what no prediction can be made of, before anything slow.

    That is a wrong config, workdir, text or image.
    """
    check(jax.process_count() == 1, "--multihost: one process classifies; leave it out")
    given = [key for key in ("text", "file", "image") if config[key]]
    check(len(given) <= 1, f"{' and '.join(given)}: give one of them")
    check_source(config, launch, "classifiers", "runs/try1")
    check_choice("detector", config.detector, DETECTORS)
    if config.made:
        check(not config.unfamiliar, "unfamiliar: this preset makes a study of texts; leave it out")
        find(config.made.experiment).check(config.made, made_launch(launch))
        return
    row = choose(launch.from_dir, config.network)
    kind = kind_of(launch.from_dir)
    images = kind == "images"
    check(
        not images or bool(config.image),
        f"image: {launch.from_dir} classifies images; give a file or a folder, as in "
        "--config.image=photo.jpg",
    )
    check(
        images or not config.image,
        f"image: {launch.from_dir} classifies {kind}; give --config.file= or standard input",
    )
    check(
        images or not config.unfamiliar,
        f"unfamiliar: {launch.from_dir} classifies {kind}, of which there is no such score; leave "
        "it out",
    )
    if images:
        shape = data_info(read_config(launch.from_dir)["data"]).shape
        check(
            not shape or (shape[0] == shape[1] and shape[2] in (1, 3)),
            f"--from: networks of {launch.from_dir} take images of {'x'.join(map(str, shape))}, "
            "and photos are read as squares of 1 or 3 channels; train one for such",
        )
        folder.files_of(config.image)
    elif kind == "choices":
        asked.read(config)
    else:
        read_texts(config)
    if config.unfamiliar:
        image_networks.load(launch.from_dir, launch)
        check_detector(launch.from_dir, launch, row, config.detector)


def choose(workdir: Path, network: str) -> dict:
    """Return the last row of the classifier that is best on validation, of one network or of all.

    Of an unfinished study it is the best of the runs that are done.

    Raises:
      ConfigError: no study of classifiers there, without such a network, or without a finished run.
    """
    known = with_like((*IMAGES, *TEXTS, *CHOICES), workdir)
    return choose_classifier(workdir, network, known, unfinished=True)


def kind_of(workdir: Path) -> str:
    """Return what the classifiers of a workdir are of: "images", "choices" or "texts"."""
    experiment = read_config(workdir)["config"]["experiment"]
    for kind, names in (("images", IMAGES), ("choices", CHOICES)):
        if experiment in with_like(names, workdir):
            return kind
    return "texts"


def read_texts(config) -> list[str]:
    """Return the texts to classify: `text`, or the lines of `file` or standard input.

    Lines may end in any way.

    Raises:
      ConfigError: no such file, no text, none, or an empty one.
    """
    if config.text:
        whole, place = config.text, "text"
    else:
        place = config.file or "standard input"
        try:
            read = expand("file", config.file).read_bytes() if config.file else standard_input()
        except OSError as error:
            raise ConfigError(
                f"file: {config.file} cannot be read ({error.strerror}); "
                "give a file with a text a line"
            ) from None
        whole = decode(read, f"file: {place}" if config.file else place, config.file)
    whole = whole.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n")
    lines = [whole] if config.text else whole.split("\n")
    check(lines != [""], f"{place} holds no text; give at least one")
    empty = [number for number, line in enumerate(lines, 1) if not line.strip()]
    check(not empty, f"{place}: line {empty[0] if empty else 0} is empty; leave it out")
    return lines


def run(config, launch: Launch) -> None:
    """Write the predictions to standard output and to `predictions.jsonl`."""
    workdir = make_source(config, launch, run_experiment)
    row = choose(workdir, config.network)
    fingerprint = read_config(workdir)["data"]["fingerprint"]
    identity = {"name": str(workdir), "run": row["run"], "fingerprint": fingerprint}
    write_config(launch.workdir, config.to_dict(), describe_devices(), identity)
    for line in words_of_unfinished(workdir):
        print(line, file=sys.stderr)
    accuracy = f"{100 * row['test_accuracy']:.1f} % on its test part{tables.balanced_words([row])}"
    print(f"{row['run']} of {workdir}: {accuracy}", file=sys.stderr)
    if config.image:
        familiar = read_familiar(config, workdir, row, launch) if config.unfamiliar else None
        answers = image_answers(config, workdir, row, familiar)
    elif kind_of(workdir) == "choices":
        answers = asked.answers(config, workdir, row, launch)
    else:
        answers = text_answers(config, workdir, row, launch)
    path = launch.workdir / "predictions.jsonl"
    with open(path, "w", encoding="utf-8", errors="backslashreplace") as file:
        for answer in answers:
            if stop_requested.is_set():
                raise Interrupted
            line = json.dumps(answer, ensure_ascii=False)
            print(line, flush=True)
            file.write(line + "\n")
    print(f"written: {path}", file=sys.stderr)


def text_answers(config, workdir: Path, row: dict, launch: Launch) -> Iterator[dict]:
    """Yield what the classifier says of each text."""
    texts = read_texts(config)
    name = read_config(workdir)["data"]["name"]
    classifier = restore(
        workdir,
        row,
        launch=launch._replace(workdir=workdir),
        mesh=data_mesh(jax.devices()[:1]),  # for a few texts one device is enough
        at_most=len(texts),
    )
    for first in range(0, len(texts), AT_A_TIME):
        part = texts[first : first + AT_A_TIME]
        logits = classifier.logits([labelled.as_read(name, text) for text in part])
        for text, own in zip(part, logits, strict=True):
            yield {"text": text} | answer(own, classifier.class_names)


def read_familiar(config, workdir: Path, row: dict, launch: Launch) -> Familiar:
    """Return what tells familiar images from others; say its threshold."""
    familiar = make_familiar(workdir, launch, row, config.detector)
    print(
        f"unfamiliar: a score of {config.detector} below {familiar.threshold:.6g}, which "
        f"{100 * SHARE:.0f} % of the validation part reach",
        file=sys.stderr,
    )
    return familiar


def familiarity(familiar: Familiar | None, images: np.ndarray) -> list[dict]:
    """Return {"familiarity", "unfamiliar"} of each image; of each nothing where it is not asked."""
    if familiar is None:
        return [{} for _ in images]
    return [
        {"familiarity": round(float(score), 6), "unfamiliar": bool(score < familiar.threshold)}
        for score in familiar.scores(images)
    ]


def image_answers(
    config, workdir: Path, row: dict, familiar: Familiar | None = None
) -> Iterator[dict]:
    """Yield what the classifier says of each image, and how familiar it is, where asked for.

    Those that cannot be read are named on standard error, and counted.

    Raises:
      ConfigError: none can be read.
    """
    found, bad = folder.files_of(config.image), 0
    for line in folder.words_of_files(config.image, found):
        print(line, file=sys.stderr)
    files, classifier = found.images, restore(workdir, row)
    apply = jax.jit(lambda variables, x: classifier.model.apply(variables, x, train=False)[0])
    for first in range(0, len(files), AT_A_TIME):
        images = {}
        for path in files[first : first + AT_A_TIME]:
            try:
                images[path] = read_image(path, classifier.shape)
            except ConfigError as error:
                print(error, file=sys.stderr)
                bad += 1
        if images:
            pixels = np.stack(list(images.values()))
            # One shape, one program.
            full = np.resize(pixels, (min(AT_A_TIME, len(files)), *classifier.shape))
            logits = np.asarray(apply(classifier.variables, full.astype(np.float32) / 255))
            known = familiarity(familiar, full)
            for path, own, more in zip(images, logits, known, strict=False):
                yield {"image": str(path)} | answer(own, classifier.class_names) | more
    if bad:
        print(f"{bad} of {len(files)} images could not be read", file=sys.stderr)


def read_image(path: Path, shape: tuple[int, int, int]) -> np.ndarray:
    """Return an image file as the network reads it: uint8 [H, W, C], grey where C is 1.

    Raises:
      ConfigError: no image.
    """
    try:
        image = photos.read_image(path, shape[0])
    except Exception as error:  # whatever Pillow raises
        raise ConfigError(
            f"image: {path} is no image that can be read ({first_line(error)})"
        ) from None
    return image if shape[2] == 3 else photos.grey(image)


def answer(logits: np.ndarray, class_names: tuple[str, ...]) -> dict:
    """Return the class, its probability, and the probabilities of all, of logits float32 [C]."""
    p = softmax(logits.astype(np.float64))
    every = {name: round(float(value), 6) for name, value in zip(class_names, p, strict=True)}
    return {
        "label": class_names[int(p.argmax())],
        "probability": round(float(p.max()), 6),
        "probabilities": every,
    }


def draw(workdir: Path) -> None:
    """Print the predictions of a workdir again.

    Raises:
      ConfigError: there are none.
    """
    path = workdir / "predictions.jsonl"
    check(
        path.is_file(), f"the workdir {workdir} holds no predictions; start it again with --config"
    )
    print(path.read_text(encoding="utf-8"), end="")


def tell(config, launch: Launch) -> str:
    """Return what would be done, in a line."""
    what = config.file or config.image or ("a text" if config.text else "standard input")
    return f"classify {what} by {source_words(config, launch, 'classifier')}"


COMMAND = Command(check=check_config, tell=tell, run=run, draw=draw)
