"""Labelled texts as the studies of texts read them: checks, splits, what a workdir remembers."""

import functools
from pathlib import Path

import jax
import numpy as np
from ml_collections import FrozenConfigDict

from dla_jax.config.checks import check, check_rules, choice, count
from dla_jax.config.workdir import Launch
from dla_jax.data import labelled, splits
from dla_jax.models.build import DTYPES
from dla_jax.tasks import classifier
from dla_jax.tasks.text_body import find, fingerprint
from dla_jax.training.mesh import together
from dla_jax.training.optim import check_optim
from dla_jax.training.steps import STEPS

RULES = classifier.RULES | {
    "compute_dtype": choice(DTYPES),
    "parallel": choice(STEPS),
    "accumulate": count(),
}


def check_config(config, launch: Launch) -> None:
    """Raise ConfigError for the keys that all studies of texts have, except those of the data."""
    check(launch.from_dir is None, "--from: this study trains its own models; leave it out")
    check_rules(config, RULES)
    check(
        config.parallel == "jit" or jax.process_count() == 1,
        "parallel: pmap runs on one host; with --multihost leave it at jit",
    )
    check_optim(config.optim)
    parts = config.accumulate * jax.device_count()
    classifier.check_parts(config.batch_size, parts, f"accumulate times the devices, {parts}")


def read(config, launch: Launch) -> labelled.LabelledTexts:
    """Return the labelled texts; of several processes the first prepares them first."""

    def read_it() -> labelled.LabelledTexts:
        return read_once(FrozenConfigDict(config.data.to_dict()), launch.data_dir, launch.download)

    first = together(read_it if launch.first else lambda: None, "read the data")
    return together(lambda: first or read_it(), "read the data")


@functools.lru_cache(maxsize=1)
def read_once(data: FrozenConfigDict, data_dir: Path, download: bool) -> labelled.LabelledTexts:
    """Return the labelled texts, read once for the check of a config and its run."""
    return labelled.load(data, data_dir, download)


def check_data(config, launch: Launch) -> labelled.LabelledTexts:
    """Return the labelled texts.

    Raises:
      ConfigError: they cannot be read, or are too few for a batch.
    """
    labelled.check_config(config.data, launch.data_dir, launch.download)
    texts = read(config, launch)
    train = split(config, texts, config.seeds[0])["train"]
    check(
        config.batch_size <= len(train),
        f"batch_size: {config.batch_size} is larger than the training part of "
        f"{texts.name}, {len(train)} texts",
    )
    return texts


def split(config, texts: labelled.LabelledTexts, seed: int) -> dict[str, np.ndarray]:
    """Return the parts of a seed's data: {"train", "val", "test"}: int32 positions."""
    return splits.split(texts, seed, config.data.val_fraction, config.data.test_fraction)


def identity(texts: labelled.LabelledTexts, encoders, launch: Launch) -> dict:
    """Return what a workdir remembers of its texts, and of the published models it stands on.

    Args:
      encoders: groups `encoder` of the configs.
    """
    paths = dict.fromkeys(encoder.path for encoder in encoders if encoder.path)
    prints = {path: fingerprint(find(path, launch.download)) for path in paths}
    return texts.identity | {"encoders": prints}
