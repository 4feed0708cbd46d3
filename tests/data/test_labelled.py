"""The config and the identity of labelled texts, and the embedded docstrings."""

import json

import numpy as np
import pytest
from csv_texts import config

from dla_jax.config.checks import ConfigError
from dla_jax.data import docstrings, labelled


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "docstring"}, "data.name: .*did you mean 'docstrings'"),
        ({"name": "cifar10"}, "data.name: unknown"),
        ({"path": ""}, "data.path is empty"),
        ({"text_columns": ()}, "data.text_columns is empty"),
        ({"val_fraction": 0.0}, "data.val_fraction"),
        ({"val_fraction": 0.5}, "data.val_fraction"),
        ({"val_fraction": "a"}, "val_fraction"),
        ({"test_fraction": 0.0}, "data.test_fraction: 0.0, and no test part"),
        ({"test_path": "x.csv"}, "data.test_fraction: 0.2 .*has a test part"),
        ({"name": "ag_news_subset"}, "data.test_fraction: 0.2 .*has a test part"),
        ({"name": "ag_news_subset", "test_fraction": 0.0}, "ag_news_subset is not in .*--download"),
        ({"name": "docstrings", "test_fraction": 0.5}, "data.test_fraction"),
    ],
)
def test_wrong_keys_are_refused(changes, words, tmp_path):
    with pytest.raises(ConfigError, match=words) as caught:
        labelled.check_config(config(**changes), tmp_path, download=False)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"test_path": "x.csv", "test_fraction": 0.0},
        {"name": "docstrings", "path": "", "text_columns": ()},
    ],
)
def test_right_keys_are_taken(changes, tmp_path):
    labelled.check_config(config(**changes), tmp_path, download=False)


def test_the_identity_is_that_of_texts_labels_and_order():
    found = labelled.LabelledTexts(
        "x", ("ab", "c", "d"), np.array([0, 1, 1], np.int32), ("no", "yes"), None
    )
    others = [
        found._replace(texts=("ab", "c", "e")),
        found._replace(texts=("a", "bc", "d")),
        found._replace(texts=("c", "ab", "d")),
        found._replace(labels=np.array([0, 1, 0], np.int32)),
        found._replace(labels=np.array([1, 0, 1], np.int32)),
    ]
    prints = [each.identity["fingerprint"] for each in (found, *others)]
    assert len(set(prints)) == 6
    assert found._replace(labels=np.array([0, 1, 1, 7], np.int32)[:3]).identity == found.identity
    renamed = found._replace(class_names=("nein", "ja")).identity
    assert renamed != found.identity and renamed["class_names"] == ["nein", "ja"]
    assert json.loads(json.dumps(found.identity)) == found.identity  # which a workdir compares
    shown = [found.identity[key] for key in ("num_examples", "num_classes", "name")]
    assert shown == [3, 2, "x"]


def test_the_docstrings_are_a_class_a_package(monkeypatch, tmp_path):
    monkeypatch.setattr(docstrings, "collect", lambda: (("c", "a", "b"), ("scipy", "jax", "scipy")))
    labelled.docstrings_of.cache_clear()
    try:
        found = labelled.load(config(name="docstrings"), tmp_path, download=False)
    finally:
        labelled.docstrings_of.cache_clear()
    assert found.texts == ("c", "a", "b")
    assert found.class_names == ("jax", "scipy")
    assert found.test_start is None
    np.testing.assert_array_equal(found.labels, [1, 0, 1])
