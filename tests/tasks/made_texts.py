"""Makes labelled texts of two classes, and the config of a study with the baseline."""

import numpy as np

from configs import yahoo
from dla_jax.data import labelled


def labelled_texts(words, number=60):
    """Return texts of two classes in turns, `words(i, class)` each."""
    texts = tuple(words(i, kind) for i in range(number) for kind in (0, 1))
    labels = np.tile([0, 1], number).astype(np.int32)
    return labelled.LabelledTexts("made", texts, labels, ("a", "b"), test_start=None)


def smoke_config(preset=yahoo, **model):
    """Return the smoke preset of a study of texts, with changes to the baseline's model."""
    found = preset.get_config("smoke")
    found.networks.tfidf.model.update(model)
    return found


def once(i, kind):
    """Return words that no other text has."""
    return f"w{i}x{kind} v{i}x{kind}"
