"""A set of images that tensorflow_datasets can prepare, with images of our own."""

import pytest
from prepared_folder import LABELS, TEST, TRAIN


def tiny_images(repeat: int = 1):
    """Define a set, of which nothing is fetched, and return tensorflow_datasets."""
    pytest.importorskip("tensorflow", reason="preparing needs requirements-tfds.txt")
    import tensorflow_datasets as tfds

    tfds.core.registered._DATASET_REGISTRY.pop("tiny_images", None)

    class TinyImages(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            features = {
                "image": tfds.features.Image(shape=(6, 5, 3)),
                "label": tfds.features.ClassLabel(names=["a", "b", "c"]),
            }
            features = tfds.features.FeaturesDict(features)
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _split_generators(self, dl_manager):
            return {
                "train": self._generate_examples("train", TRAIN),
                "test": self._generate_examples("test", TEST),
            }

        def _generate_examples(self, split, images):
            for i in range(len(images) * repeat):
                place = i % len(images)
                yield i, {"image": images[place], "label": int(LABELS[split][place])}

    return tfds
