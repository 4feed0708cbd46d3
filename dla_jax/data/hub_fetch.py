"""Fetches a set of the Hugging Face hub with the library `datasets`, and keeps what it is.

The hub is asked first, within seconds: whether the set is there, at which commit, and how large it
is. `datasets` is imported only then (requirements-hub.txt). It goes on with an interrupted
download, and keeps what it fetched in $HF_HOME, else in ~/.cache/huggingface.
"""

import importlib.util
import io
import json
import os
import shutil
import sys
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dla_jax.config.checks import ConfigError, check, nearest
from dla_jax.config.connectivity import fetched, first_line
from dla_jax.config.project import install_words
from dla_jax.data import hub_folder, photos
from dla_jax.data.hub_folder import Rows
from dla_jax.data.hub_sets import RENAMED, HubSet

TEST = ("train", "test")  # parts that are read, where there are such
QUESTIONS = ("train", "validation", "test")
COPIES = 3  # of a set: as it is fetched, as `datasets` and as this project keep it
SUFFIXES = (".parquet", ".csv", ".json", ".jsonl", ".arrow", ".zip", ".tar", ".gz", ".zst", ".tsv")


class About(NamedTuple):
    """What the hub says of a set: the commit, and the bytes of its files."""

    commit: str
    num_bytes: int


def is_installed() -> bool:
    """Return whether `datasets` is installed; it is not imported."""
    spec = importlib.util.find_spec("datasets")
    return spec is not None and spec.origin is not None  # a folder of that name is no library


def ask(wanted: HubSet, where: str = "data.name") -> About:
    """Return what the hub says of a set.

    Args:
      where: the key that names it, for messages.

    Raises:
      ConfigError: within seconds, where it cannot be reached, or has no such set.
    """
    hub = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    revision = urllib.parse.quote(wanted.revision, safe="")
    url = f"{hub}/api/datasets/{wanted.repo}/revision/{revision}?blobs=true"
    content, reason = fetched(url)
    check(
        reason not in ("Not Found", "Unauthorized"),
        f"{where}: {hub} has no public set {wanted.repo} with the revision {wanted.revision}; "
        f"look for it on {hub}/datasets",
    )
    check(
        content is not None,
        f"{where}: {hub} cannot be reached ({reason}); try again with a network, or give the "
        "--data_dir=FOLDER of an earlier fetch",
    )
    try:
        found = json.loads(content)
        files = {each["rfilename"]: each.get("size") or 0 for each in found["siblings"]}
        return About(str(found["sha"]), size_of(wanted, files))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{where}: {url} does not answer as the hub does ({error!r:.80}); try again, or set "
            "HF_ENDPOINT to its address"
        ) from None


def size_of(wanted: HubSet, files: dict[str, int]) -> int:
    """Return the bytes of what is fetched of a repository's {path: bytes}, rather too many.

    Of several configurations those are counted whose paths name the one that is read, else all.
    """
    data = {path: size for path, size in files.items() if path.endswith(SUFFIXES)}
    if ours := tuple(pattern.partition("*")[0] for pattern in wanted.files.values()):
        return sum(size for path, size in data.items() if path.startswith(ours))
    named = sum(size for path, size in data.items() if wanted.config in path)
    return named or sum(data.values())


def check_disk(wanted: HubSet, about: About, data_dir: Path, where: str = "data.name") -> None:
    """Raise ConfigError where a set does not fit on the disks that it is kept on."""
    needed = COPIES * about.num_bytes
    home = os.environ.get("HF_HOME") or "~/.cache/huggingface"
    for folder in (data_dir.absolute(), Path(home).expanduser().absolute()):
        there = next(path for path in (folder, *folder.parents) if path.exists())
        free = shutil.disk_usage(there).free
        check(
            needed < free,
            f"{where}: {wanted.repo} needs about {needed / 1e9:.1f} GB, and {there} has "
            f"{free / 1e9:.1f} free; make room, or give other folders with --data_dir and $HF_HOME",
        )


def check_available(
    wanted: HubSet, data_dir: Path, download: bool, where: str = "data.name"
) -> dict | None:
    """Return what `hub_folder.describe` says of a set; None where it has to be fetched first.

    Args:
      where: the key that names it, for messages.

    Raises:
      ConfigError: within seconds, where it was never fetched and is not to be had.
    """
    folder = hub_folder.find(wanted, data_dir)
    if folder is not None:
        return hub_folder.describe(folder)
    missing = f"{where}: {wanted.repo} is not in {hub_folder.place_of(wanted, data_dir)}"
    check(download, f"{missing}; give another --data_dir=FOLDER, or fetch it with --download")
    check_library(wanted, where)
    check_disk(wanted, ask(wanted, where), data_dir, where)
    return None


def find_or_fetch(wanted: HubSet, data_dir: Path, download: bool, where: str = "data.name") -> Path:
    """Return the newest folder of a set; one that was never fetched is fetched first."""
    if check_available(wanted, data_dir, download, where) is None:
        return fetch(wanted, data_dir, where)
    return hub_folder.find(wanted, data_dir)


def check_library(wanted: HubSet, where: str) -> None:
    """Raise ConfigError where `datasets` is not installed."""
    check(
        is_installed(),
        f"{where}: fetching {wanted.repo} needs the library datasets; {install_words('hub')}",
    )


def fetch(wanted: HubSet, data_dir: Path, where: str = "data.name") -> Path:
    """Fetch a set, check what it is, and return the folder that keeps it.

    Raises:
      ConfigError: it is not to be had, too large, or other than it should be.
    """
    about = ask(wanted, where)
    check_disk(wanted, about, data_dir, where)
    print(f"fetching {wanted.repo} at {about.commit[:12]}; minutes, once", file=sys.stderr)
    parts = load_parts(wanted, about.commit, where)
    for name, part in parts.items():
        check_columns(wanted, name, part, where)
    class_names = check_names(wanted, parts["train"], where) if wanted.label else ()
    sizes = {name: len(part) for name, part in parts.items()}
    check(
        not wanted.sizes or sizes == wanted.sizes,
        f"{where}: {wanted.repo} at {about.commit} has {sizes} examples, and should have "
        f"{wanted.sizes}; give another revision, or prepare the set with TensorFlow Datasets",
    )
    if wanted.kind == "images":
        decoded = [images_of(wanted, part, class_names, where) for part in parts.values()]
        examples = tuple(np.concatenate(arrays) for arrays in zip(*decoded, strict=True))
    else:
        examples = rows_of(wanted, parts, class_names, where)
    return hub_folder.write(wanted, data_dir, Rows(about.commit, class_names, sizes, examples))


def load_parts(wanted: HubSet, commit: str, where: str) -> dict:
    """Return {part: a Dataset of the library}, the training part first."""
    check_library(wanted, where)
    try:
        import datasets

        given = {"data_files": dict(wanted.files)} if wanted.files else {}
        found = datasets.load_dataset(wanted.repo, wanted.config or None, revision=commit, **given)
    except Exception as error:  # whatever the library, the network or the disk raise
        raise ConfigError(
            f"{where}: {wanted.repo} could not be read ({first_line(error)}); try again, or give "
            "another set"
        ) from None
    known = QUESTIONS if wanted.kind == "questions" else TEST
    parts = {name: found[name] for name in known if name in found}
    check(
        "train" in parts and len(parts["train"]) > 0,
        f"{where}: {wanted.repo} has no part train, but {', '.join(found)}; give another set",
    )
    return parts


def check_columns(wanted: HubSet, name: str, part, where: str) -> None:
    """Raise ConfigError for a part that lacks a column, or whose images are none."""
    known = list(part.features)
    for column in filter(None, (*wanted.columns, wanted.label)):
        check(
            column in known,
            f"{where}: {wanted.repo} has no column {column!r}{nearest(column, known)} in {name}; "
            f"it has {', '.join(known)}",
        )
    if wanted.kind == "images":
        kind = type(part.features[wanted.columns[0]]).__name__
        check(
            kind == "Image",
            f"{where}: column {wanted.columns[0]} of {wanted.repo} holds {kind}, and no images; "
            f"give another of {', '.join(known)}",
        )


def check_names(wanted: HubSet, train, where: str) -> tuple[str, ...]:
    """Return the names of the classes, in the order of their numbers.

    Raises:
      ConfigError: they are not those that they should be, or fewer than two.
    """
    named = getattr(train.features[wanted.label], "names", None)
    if named is None:  # numbers or texts: in their order
        values = sorted(
            set(train[wanted.label]) - {None}, key=lambda value: (str(type(value)), value)
        )
        named = [str(value) for value in values]
    names = tuple(RENAMED.get(name, name) for name in named)
    check(
        names == (wanted.class_names or names),
        f"{where}: the classes of {wanted.repo} are {', '.join(names)[:120]}, and should be "
        f"{', '.join(wanted.class_names)[:120]}; give another revision",
    )
    check(
        len(set(names)) == len(names) > 1,
        f"{where}: {wanted.label} of {wanted.repo} has the classes {', '.join(names)[:120]}; give "
        "a column of two or more different ones",
    )
    return names


def labels_of(wanted: HubSet, part, class_names: tuple[str, ...], where: str) -> np.ndarray:
    """Return the labels int32 [N] of a part; raise ConfigError for one that is no class."""
    given = part[wanted.label]
    if getattr(part.features[wanted.label], "names", None) is None:
        numbers = {name: number for number, name in enumerate(class_names)}
        given = [numbers.get(str(value), -1) for value in given]
    labels = np.array([-1 if value is None else value for value in given], np.int32)
    wrong = np.flatnonzero((labels < 0) | (labels >= len(class_names)))
    check(
        len(wrong) == 0,
        f"{where}: {len(wrong)} examples of {wanted.repo} have no class of the training part, the "
        f"first is number {wrong[0] if len(wrong) else 0}; give another set",
    )
    return labels


def images_of(
    wanted: HubSet, part, class_names: tuple[str, ...], where: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return the images uint8 [N, H, W, C] and the labels int32 [N] of a part."""
    import datasets

    (column,) = wanted.columns
    labels = labels_of(wanted, part, class_names, where)
    raw, images = part.cast_column(column, datasets.Image(decode=False)), None
    for i, row in enumerate(raw):
        try:
            image = decoded(row[column], wanted.size)
            images = np.zeros((len(raw), *image.shape), np.uint8) if images is None else images
            images[i] = image.reshape(images.shape[1:])
        except Exception as error:  # whatever Pillow raises, or another shape
            raise ConfigError(
                f"{where}: image {i} of {wanted.repo} cannot be read ({first_line(error)}); give "
                "another set"
            ) from None
    return images, labels


def decoded(image: dict, size: int) -> np.ndarray:
    """Return an image of the library, {"bytes", "path"}, as uint8 [H, W, C].

    Args:
      size: pixels that it is resized to, as photos are; 0: as it is.
    """
    from PIL import Image

    source = image["path"] if image["bytes"] is None else io.BytesIO(image["bytes"])
    if size:
        return photos.read_image(source, size)
    pixels = np.asarray(Image.open(source))
    return pixels if pixels.ndim == 3 else pixels[..., None]


def rows_of(
    wanted: HubSet, parts: dict, class_names: tuple[str, ...], where: str
) -> Iterator[dict]:
    """Yield the rows of texts or questions, part after part; the class of a text is "label"."""
    for part in parts.values():
        labels = labels_of(wanted, part, class_names, where).tolist() if wanted.label else None
        for i, row in enumerate(part.select_columns(list(wanted.columns))):
            yield row | ({} if labels is None else {"label": labels[i]})
