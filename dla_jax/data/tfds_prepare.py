"""Fetches a set with tensorflow_datasets, which needs TensorFlow (requirements-tfds.txt)."""

from pathlib import Path

from dla_jax.config.checks import ConfigError
from dla_jax.config.connectivity import first_line


def prepare(name: str, data_dir: Path) -> None:
    """Fetch a set and write it as array_record files.

    tensorflow_datasets does it, with TensorFlow on the CPU.

    Raises:
      ConfigError: it did not work.
    """
    try:
        import tensorflow as tf
        import tensorflow_datasets as tfds

        tf.config.set_visible_devices([], "GPU")  # which is for JAX
        tfds.builder(name, data_dir=data_dir, file_format="array_record").download_and_prepare()
    except Exception as error:  # whatever TensorFlow, the network or the disk raise
        raise ConfigError(
            f"{name} could not be prepared in {data_dir} ({first_line(error)}); "
            "try again, or give another --data_dir=FOLDER"
        ) from None
