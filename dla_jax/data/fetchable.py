"""Whether a set that has to be fetched can be had: asked before JAX and the rest is imported.

The study asks the same again, where it reads its data. Imports nothing slower than NumPy.
"""

from pathlib import Path

from dla_jax.data import choice_sets, hub_fetch, hub_sets, prepared


def check_first(data, data_dir: Path) -> None:
    """Raise ConfigError, within seconds, for a set neither there nor to be fetched.

    Args:
      data: the group `data` of a config of this project; other sets are left to the study.
    """
    images, texts, questions = (key in data for key in ("image_column", "text_columns", "level"))
    if hub_sets.is_hub(data.name) and (images or texts):
        hub_fetch.check_available(hub_sets.of_data(data), data_dir, download=True)
    elif questions and data.name == "dream":
        choice_sets.check_dream(data.path, data_dir, download=True)
    elif questions and data.name == "race":
        for name in choice_sets.race_sets(data.level):
            prepared.check_available(name, data_dir, download=True)
    elif data.name in (prepared.NAMES if images else prepared.TEXTS if texts else ()):
        prepared.check_available(data.name, data_dir, download=True)
