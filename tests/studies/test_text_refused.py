"""Tests which configs the studies of texts refuse, and what stands for scores of diverged runs."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from configs import ag_news, yahoo
from dla_jax.config.checks import ConfigError
from dla_jax.config.workdir import Launch
from dla_jax.data import labelled
from dla_jax.studies import find
from dla_jax.tasks import text_data, text_scores

LAUNCH = Launch(workdir=None, from_dir=None, data_dir=None, download=False, quiet=True)


@pytest.fixture
def made_texts(monkeypatch):
    """Let the embedded texts be a few that are made up."""
    texts = tuple(f"{name} number {i}" for i in range(100) for name in "ab")
    labels = np.tile([0, 1], 100).astype(np.int32)
    made = labelled.LabelledTexts("made", texts, labels, ("a", "b"), test_start=None)
    monkeypatch.setattr(labelled, "docstrings_of", lambda: made)
    text_data.read_once.cache_clear()
    yield
    text_data.read_once.cache_clear()


@pytest.mark.parametrize(
    ("preset", "changes", "words"),
    [
        (yahoo, {"encoder.max_length": 2}, "encoder.max_length"),
        (yahoo, {"widths": (64, 32)}, "must ascend"),
        (yahoo, {"widths": (128,)}, "less than encoder.max_length"),
        (yahoo, {"encoder.pooling": "max"}, "encoder.pooling"),
        (yahoo, {"steps_per_call": 2}, "leave it at 1"),
        (yahoo, {"model.frozen_layers": 2}, "give at most that"),
        (yahoo, {"model.dropout": 1.0}, "model.dropout"),
        (yahoo, {"encoder.n_head": 3}, "not divisible by n_head"),
        (yahoo, {"batch_size": 10_000}, "larger than the training part"),
        (yahoo, {"accumulate": 3}, "not divisible by accumulate"),
        (yahoo, {"encoder.path": "nowhere/at/all"}, "there is no folder nowhere/at/all"),
        (yahoo, {"data.test_fraction": 0.7}, "data.test_fraction"),
        (ag_news, {"model.widths": (0,)}, "model.widths"),
        (ag_news, {"encoder.pooling": "published"}, "no pooler"),
        (ag_news, {"encoder.seed": -1}, "encoder.seed"),
        (ag_news, {"embed_batch_size": 0}, "embed_batch_size"),
        (
            ag_news,
            {"networks.linear.model.strengths": (1.0, 1.0)},
            "networks.linear: model.strengths: 1.0 is given twice",
        ),
        (ag_news, {"networks.linear.model.tolerance": 0.0}, "model.tolerance"),
        (ag_news, {"networks.linear.model.max_iter": 0}, "model.max_iter"),
        (ag_news, {"networks.linear.model.name": "tfidf"}, "tfidf has the keys"),
        (yahoo, {"networks.tfidf.model.strengths": ()}, "model.strengths is empty"),
    ],
)
def test_what_cannot_be_run_is_refused(preset, changes, words, made_texts):
    config = preset.get_config("smoke")
    config.batch_size, config.data.num_examples = 32, 0
    config.update_from_flattened_dict(changes)
    with pytest.raises(ConfigError) as error:
        find(config.experiment).check(config, LAUNCH)
    assert words in str(error.value)


def test_a_diverged_run_scores_what_guessing_does():
    """Closed forms of the loss, and scikit-learn's F1 where a class is taken for all alike."""
    labels = np.repeat([0, 1, 2, 3], [48, 24, 8, 4]).astype(np.int32)
    texts = labelled.LabelledTexts("made", ("",) * 84, labels, tuple("abcd"), test_start=None)
    found = text_scores.guessing(texts)
    guessed = np.concatenate([np.arange(count) % 4 for count in (48, 24, 8, 4)])
    assert found["test_loss"] == pytest.approx(np.log(4)) and found["val_loss"] is None
    assert np.mean(guessed == labels) == 0.25
    for score in ("test_accuracy", "val_accuracy", "balanced_accuracy"):
        assert found[score] == 0.25
    assert found["macro_f1"] == pytest.approx(f1_score(labels, guessed, average="macro"))
