"""Tests which sentence of a passage decides."""

import numpy as np
import pytest

from dla_jax.analysis.sentences import split_sentences, which_sentence
from dla_jax.config.checks import ConfigError


@pytest.mark.parametrize(
    ("passage", "expected"),
    [
        ("One. Two!  Three?\nFour", ["One.", "Two!", "Three?", "Four"]),
        ('He said "No." She (too.) left.', ['He said "No."', "She (too.)", "left."]),
        ("M: Hello\nW: Hi, at 3.15 p.m\n\nM: Bye", ["M: Hello", "W: Hi, at 3.15 p.m", "M: Bye"]),
        ("一。二！三", ["一。", "二！", "三"]),
        ("  one  ", ["one"]),
        ("", []),
    ],
)
def test_sentences_end_where_they_end(passage, expected):
    assert split_sentences(passage) == expected


WEIGHTS = {"gull": (0.0, 0.0, 0.2), "ship": (0.0, 2.0, 0.0), "storm": (0.5, 0.0, 0.0)}


def probabilities(passages):
    """Return the softmax of what each word of a passage adds to the three options."""
    rows = [
        np.sum([WEIGHTS[word] for word in WEIGHTS if word in text] or [(0, 0, 0)], axis=0)
        for text in passages
    ]
    return np.exp(rows) / np.exp(rows).sum(1, keepdims=True)


@pytest.mark.parametrize("words", [("gull", "ship", "storm"), ("ship", "storm", "gull")])
def test_the_decisive_sentence_is_the_one_whose_absence_changes_most(words):
    calls = []

    def score_fn(passages):
        calls.append(passages)
        return probabilities(passages)

    sentences = [f"There is a {word}." for word in words]
    found = which_sentence(score_fn, "  ".join(sentences))
    whole, without = probabilities([" ".join(words), "gull storm"])
    assert found.sentence == "There is a ship." and found.number == words.index("ship")
    assert found.distance == pytest.approx(np.abs(whole - without).sum() / 2)
    assert 0.3 < found.distance < 1
    rest = [" ".join(sentences[:i] + sentences[i + 1 :]) for i in range(3)]
    assert calls == [[" ".join(sentences), *rest]]


def test_a_single_sentence_decides_alone_and_none_is_refused():
    found = which_sentence(probabilities, "The ship.")
    assert found[:2] == (0, "The ship.")
    assert found.distance == pytest.approx(np.exp(2) / (np.exp(2) + 2) - 1 / 3)
    with pytest.raises(ConfigError, match="the passage is empty"):
        which_sentence(probabilities, " \n ")
