"""A set of the Hugging Face hub, as it was fetched: `data_dir/hub/<set>/<commit>`.

`set.json` says what it is; images and labels are arrays, texts and questions a row a line of JSON.
Reading it needs neither `datasets` nor a network.
"""

import hashlib
import itertools
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dla_jax.config.checks import ConfigError, check
from dla_jax.config.connectivity import first_line
from dla_jax.data.cache import Decoded, channel_stats
from dla_jax.data.hub_sets import HubSet, is_commit

ABOUT = "set.json"


class Rows(NamedTuple):
    """What is kept of a set.

    commit: that it was at.
    sizes: {part: examples}.
    examples: the parts one after another: of images blocks, pairs of images uint8 [n, H, W, C] and
      labels int32 [n]; else rows of {column: text, label or list of texts}. They are made while
      they are written, and never all in memory.
    """

    commit: str
    class_names: tuple[str, ...]
    sizes: dict[str, int]
    examples: Iterable


def place_of(wanted: HubSet, data_dir: Path) -> Path:
    """Return the folder that holds the commits of a set, of these columns and no others."""
    settings = (wanted.repo, wanted.config, wanted.columns, wanted.label, wanted.kind, wanted.size)
    branch = "main" if is_commit(wanted.revision) else wanted.revision
    read = repr((*settings, branch, sorted(wanted.files.items())))
    digest = hashlib.sha256(read.encode()).hexdigest()[:8]
    return data_dir / "hub" / f"{wanted.repo.replace('/', '--')}--{digest}"


def find(wanted: HubSet, data_dir: Path) -> Path | None:
    """Return the newest folder of a set, of a pinned one that of its commit; None without any."""
    commit = wanted.revision if is_commit(wanted.revision) else "*"
    folders = [path.parent for path in place_of(wanted, data_dir).glob(f"{commit}/{ABOUT}")]
    found = [folder for folder in folders if not folder.name.startswith(".")]  # whole ones
    return max(found, key=lambda folder: (folder / ABOUT).stat().st_mtime_ns, default=None)


def write(wanted: HubSet, data_dir: Path, rows: Rows) -> Path:
    """Keep a set, whole or not at all, and return its folder.

    Raises:
      ConfigError: the disk does not take it.
    """
    folder = place_of(wanted, data_dir) / rows.commit
    unfinished = folder.with_name(f".{rows.commit}-{uuid.uuid4().hex}")
    about = {"repo": wanted.repo, "config": wanted.config, "commit": rows.commit}
    about |= {"sizes": rows.sizes, "class_names": list(rows.class_names)}
    try:
        unfinished.mkdir(parents=True)
        if wanted.kind == "images":
            write_images(unfinished, sum(rows.sizes.values()), rows.examples)
        else:
            write_lines(unfinished / "rows.jsonl", rows.examples)
        (unfinished / ABOUT).write_text(json.dumps(about), encoding="utf-8")
        os.replace(unfinished, folder)
    except BaseException as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        if not isinstance(error, OSError):
            raise
        if (folder / ABOUT).exists():  # another process was faster
            return folder
        check(not folder.exists(), f"{folder} is damaged: it has no {ABOUT}; remove it")
        raise ConfigError(
            f"{wanted.repo} cannot be kept in {folder} ({first_line(error.strerror or error)}); "
            "make room, or give another --data_dir=FOLDER"
        ) from None
    return folder


def write_images(folder: Path, total: int, blocks: Iterable) -> None:
    """Write blocks of images and labels as arrays, `images.npy` and `labels.npy`.

    Args:
      total: images of all blocks.
    """
    labels = []
    with open(folder / "images.npy", "wb") as file:
        for images, of_block in blocks:
            if not labels:
                header = {"descr": "|u1", "fortran_order": False}
                header["shape"] = (total, *images.shape[1:])
                np.lib.format.write_array_header_1_0(file, header)
            file.write(np.ascontiguousarray(images).data)
            labels.append(of_block)
    np.save(folder / "labels.npy", np.concatenate(labels))


def write_lines(path: Path, rows: Iterable[dict]) -> None:
    """Write a row a line, as JSON."""
    with open(path, "w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row) + "\n")


def describe(folder: Path) -> dict:
    """Return what `set.json` says: {"repo", "config", "commit", "sizes", "class_names"}.

    Raises:
      ConfigError: it is damaged.
    """
    try:
        found = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        wanted = {"repo", "config", "commit", "sizes", "class_names"}
        check(wanted <= found.keys() and "train" in found["sizes"], damaged(folder, "set.json"))
        return found
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise ConfigError(damaged(folder, f"{error!r:.120}")) from None


def damaged(folder: Path, why: str) -> str:
    """Return the message for a folder that is not as it was written."""
    return f"{folder} is damaged ({why}); remove it, and it is fetched again"


def read_images(folder: Path) -> Decoded:
    """Return a set of images, the training part first; the arrays are read-only memory maps."""
    about = describe(folder)
    try:
        images, labels = (
            np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("images", "labels")
        )
    except (OSError, ValueError, EOFError) as error:
        raise ConfigError(damaged(folder, f"{error!r:.120}")) from None
    train = about["sizes"]["train"]
    whole = len(images) == len(labels) == sum(about["sizes"].values())
    check(whole, damaged(folder, f"{len(images)} images, {len(labels)} labels"))
    mean, std = channel_stats(images[:train])
    names, start = tuple(about["class_names"]), train if train < len(images) else None
    return Decoded(images, labels, names, mean, std, start, about["commit"])


def read_rows(folder: Path) -> Iterator[dict]:
    """Yield the rows of a set of texts or questions, part after part.

    Raises:
      ConfigError: it is damaged.
    """
    expected, found = sum(describe(folder)["sizes"].values()), 0
    try:
        with open(folder / "rows.jsonl", encoding="utf-8") as file:
            for found, line in enumerate(file, 1):  # noqa: B007 - counted for the check below
                yield json.loads(line)
    except (OSError, ValueError) as error:
        raise ConfigError(damaged(folder, f"{error!r:.120}")) from None
    check(found == expected, damaged(folder, f"{found} rows"))


def read_passages(folder: Path) -> dict[str, list[dict]]:
    """Return RACE's questions passage by passage, as `tfds_folder.read_passages` does."""
    rows, sizes = read_rows(folder), describe(folder)["sizes"]
    found = {}
    for part, name in (("train", "train"), ("validation", "dev"), ("test", "test")):
        passages = {}
        for row in itertools.islice(rows, sizes[part]):
            passage = passages.setdefault(
                (row["example_id"], row["article"]),
                {"example_id": row["example_id"], "article": row["article"]}
                | {"questions": [], "options": [], "answers": []},
            )
            for several, one in (("questions", "question"), ("answers", "answer")):
                passage[several].append(row[one])
            passage["options"].append(row["options"])
        found[name] = list(passages.values())
    check(next(rows, None) is None, damaged(folder, "more rows"))  # where it is read to its end
    return found
