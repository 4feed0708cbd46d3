"""Is an image like those that a network was trained on? One detector, and its threshold."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from dla_jax.analysis.detection import threshold
from dla_jax.config.workdir import Launch
from dla_jax.studies import image_networks
from dla_jax.studies.ood import detectors
from dla_jax.studies.ood.detectors import Fitted, Network

SHARE = 0.95  # of the validation part that counts as familiar
# The settings of a detector where nothing chooses them: those of its paper, or near them.
SETTINGS = {
    "gen": {"gamma": 0.1},
    "odin": {"temperature": 1000.0, "epsilon": 0.001},
    "knn": {"k": 10},
    "vim": {"dims": 0.5},
}


class Familiar(NamedTuple):
    """A detector of one network, and below which score an image is unfamiliar."""

    network: Network
    fitted: Fitted
    settings: dict[str, list[dict]]  # of one detector, with one setting
    threshold: float

    def scores(self, images: np.ndarray) -> np.ndarray:
        """Return scores float32 [N], the higher the more familiar, of images uint8 [N, H, W, C]."""
        (found,) = detectors.score(self.network, self.fitted, images, self.settings).values()
        return found[0]


def check_detector(workdir: Path, launch: Launch, row: dict, detector: str) -> None:
    """Raise ConfigError where a network, or its training part, does not suit a detector.

    Args:
      row: the last row of its run.
    """
    network = detectors.read_network(workdir, row, layer="", detectors=(detector,))
    train = image_networks.parts_of(workdir, launch, row["seed"], names=("train",))["train"]
    num_dims = detectors.num_features(network.model, network.shape, network.layer)
    where = f"{network.layer} of {row['group']}"
    num_classes = len(network.class_names)
    detectors.check_covariance((detector,), len(train.index), num_dims, num_classes, where)


def make_familiar(workdir: Path, launch: Launch, row: dict, detector: str) -> Familiar:
    """Fit a detector on the training part of a network; its threshold is of the validation part.

    Args:
      row: the last row of the network's run.

    Raises:
      ConfigError: the images are gone, or the network does not suit the detector.
    """
    network = detectors.read_network(workdir, row, layer="", detectors=(detector,))
    parts = image_networks.parts_of(workdir, launch, row["seed"])
    settings = {detector: [SETTINGS.get(detector, {})]}
    fitted = detectors.fit(network, parts["train"], settings)
    found = Familiar(network, fitted, settings, threshold=-np.inf)
    return found._replace(threshold=threshold(found.scores(parts["val"].images), SHARE))
