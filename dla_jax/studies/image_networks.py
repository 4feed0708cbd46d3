"""The networks that a study reads, one group of a finished study of images, and their images."""

import functools
import hashlib
import json
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from dla_jax.config.checks import check, check_choice
from dla_jax.config.workdir import Launch
from dla_jax.config.written import read_config
from dla_jax.data import images, splits
from dla_jax.evidence.rows import read_record
from dla_jax.studies import with_like
from dla_jax.tasks import image_data
from dla_jax.trials.finished import IMAGES, finished_runs

# What the record says of a network beside its scores.
KEPT = (
    "num_params",
    "val_accuracy",
    "test_accuracy",
    "test_loss",
    "diverged",
    "train_seconds",
    "step",
)


class Examples(NamedTuple):
    """Images of one part of a seed's data."""

    images: np.ndarray  # uint8 [N, H, W, C]
    labels: np.ndarray  # int32 [N]
    index: np.ndarray  # int32 [N], in the image set


@functools.cache
def features_of(model, shape: tuple[int, int, int]) -> dict:
    """Return the features of a model, as shapes, for one image [H, W, C]."""

    def init(seed):
        return model.init_with_output(jax.random.key(seed), jnp.zeros((1, *shape)), train=False)

    (_, features), _ = jax.eval_shape(init, 0)
    return features


def networks_of(workdir: Path, network: str, unfinished: bool = False) -> list[dict]:
    """Return the last rows of the runs of one network, the best on validation first.

    Args:
      network: as the report names it; "": that of the best run.
      unfinished: whether the study may go on, so that there are only some of its runs.

    Raises:
      ConfigError: the workdir holds no such classifier of images.
    """
    known = with_like(IMAGES, workdir)
    rows = finished_runs(workdir, network, known, "classifier of images", unfinished)
    rows = best_first(rows)
    return [row for row in rows if row["group"] == rows[0]["group"]]


def best_first(rows: list[dict]) -> list[dict]:
    """Return the last rows of runs in the order of their accuracy on validation."""
    return sorted(rows, key=lambda row: -row["val_accuracy"])


@functools.lru_cache(maxsize=1)
def load(workdir: Path, launch: Launch) -> images.ImageSet:
    """Return the images that the study of a workdir was made with.

    Raises:
      ConfigError: they are gone, or others.
    """
    written, data = read_config(workdir), data_config(workdir)
    images.check_config(data, launch.data_dir, launch.download)
    image_set = images.load(data, launch.data_dir, launch.download)
    check(
        image_set.identity["fingerprint"] == written["data"]["fingerprint"],
        f"--from: the images of {data.name} are others than when {workdir} was made; train again",
    )
    copies = splits.counted_copies(image_set)
    check(
        {key: written["data"].get(key) for key in copies} == copies,
        f"--from: {workdir} is of an earlier version, with copies of an image in training and "
        "test; train again",
    )
    return image_set


def data_config(workdir: Path) -> ConfigDict:
    """Return the group `data` of the study of a workdir."""
    return ConfigDict(read_config(workdir)["config"]["data"])


def diverged_words(workdir: Path, network: str) -> list[str]:
    """Return the remark that runs of a network diverged, which leave none to read."""
    rows = [row for row in read_record(workdir) if row.get("done") and row["stage"] == "final"]
    own = [row for row in rows if row["group"] == network]
    gone = sum(row["diverged"] for row in own)
    return [f"{network}: {gone} of {len(own)} runs diverged and are left out"] if gone else []


def parts_of(
    workdir: Path, launch: Launch, seed: int, names: tuple[str, ...] = ("train", "val", "test")
) -> dict[str, Examples]:
    """Return those parts of a seed's data that are named."""
    config = ConfigDict(read_config(workdir)["config"])
    image_set = image_data.seen(config, load(workdir, launch), seed)
    parts, found = image_data.split(config, image_set, seed), {}
    for name in names:
        index = parts[name]
        found[name] = Examples(image_set.images[index], image_set.labels[index], index)
    return found


def test_part(workdir: Path, launch: Launch, seed: int) -> Examples:
    """Return the test part of a seed."""
    return parts_of(workdir, launch, seed, names=("test",))["test"]


def identity(workdir: Path, rows: list[dict]) -> dict:
    """Return what a workdir remembers of the networks that it looks at.

    Args:
      rows: their last rows.
    """
    data = read_config(workdir)["data"]
    return {
        "name": data["name"],
        "fingerprint": data["fingerprint"],
        "class_names": rows[0].get("class_names", data["class_names"]),
        "network": rows[0]["group"],
        "num_networks": len(rows),
        "seeds": [row["seed"] for row in rows],
        "networks": fingerprint(rows),
    }


def fingerprint(rows: list[dict]) -> str:
    """Return 16 hex digits over what the runs of networks reached, not how fast."""
    keys = ("run", "lr", "step", "val_accuracy", "test_accuracy", "test_loss")
    kept = [{key: row[key] for key in keys} for row in rows]
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]


def check_same(row: dict, accuracy: float, workdir: Path) -> None:
    """Raise ConfigError when a network does not answer as it did when it was tested.

    Args:
      row: the last row of its run.
    """
    recorded = row["test_accuracy"]
    check(
        abs(recorded - accuracy) <= 0.005,
        f"--from: {row['run']} of {workdir} had {100 * recorded:.1f} % of its test part "
        f"right, and now has {100 * accuracy:.1f} %; train it again",
    )


def facts_of(row: dict) -> dict:
    """Return what the record says of a network beside what was measured of it.

    Args:
      row: the last row of the network's run.
    """
    return {key: row[key] for key in KEPT} | {"lr": row["lr"], "network": row["group"]}


def rows_by_network(
    workdir: Path, names: tuple[str, ...], unfinished: bool = False
) -> dict[str, list[dict]]:
    """Return {network: the last rows of its runs, seed by seed} of a study of images.

    Args:
      names: of the networks, as the report names them; empty: all.
      unfinished: whether the study may go on, so that there are only some of its runs.

    Raises:
      ConfigError: the workdir holds no such classifiers of images.
    """
    known = with_like(IMAGES, workdir)
    rows = finished_runs(workdir, "", known, "classifier of images", unfinished)
    found = {}
    for row in rows:
        found.setdefault(row["group"], []).append(row)
    for name in names:
        check_choice("networks", name, tuple(found))
    return {name: found[name] for name in (names or found)}
