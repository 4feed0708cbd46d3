"""Tests the rules that answer without training."""

import numpy as np
import pytest
from made_choices import made
from sklearn.feature_extraction.text import TfidfVectorizer

from dla_jax.config.checks import ConfigError
from dla_jax.data.choices import orders
from dla_jax.tasks import choice_rules
from dla_jax.tasks.choice_pairs import filled

CHOICES = made(30, passage_words=(5, 20))
ROWS = np.random.default_rng(1).permutation(30)[:11]
ORDER = orders(CHOICES, 0)[ROWS]
SOURCE = np.tile(np.arange(4), (11, 1))


def in_slots(own):
    return np.array(
        [[row[option] for option in slots] for row, slots in zip(own, ORDER, strict=True)]
    )


def test_chance_is_a_function_of_seed_and_question_alone():
    found = choice_rules.random(ROWS, ORDER, 3)
    source = choice_rules.random(np.arange(40), np.tile(np.arange(4), (40, 1)), 3)
    np.testing.assert_array_equal(found, in_slots(source[ROWS]))
    assert (choice_rules.random(ROWS, ORDER, 4) != found).all()
    many = choice_rules.random(np.arange(4000), np.tile(np.arange(4), (4000, 1)), 0)
    assert np.abs(np.bincount(many.argmax(1)) / 4000 - 0.25).max() < 0.03


def test_the_longest_option_is_that_of_most_characters():
    found = choice_rules.longest(CHOICES, ROWS, ORDER)
    np.testing.assert_array_equal(
        found, in_slots([[len(text) for text in CHOICES.options[row]] for row in ROWS])
    )


def test_tfidf_is_the_cosine_of_passage_and_option():
    train = np.setdiff1d(np.arange(30), ROWS)[:8]
    found = choice_rules.tfidf(CHOICES, train, ROWS, ORDER)
    passages = sorted({int(CHOICES.passage[row]) for row in train})
    learned_from = [CHOICES.passages[i] for i in passages]
    learned_from += [text for row in train for text in CHOICES.options[row]]
    vectoriser = TfidfVectorizer(sublinear_tf=True).fit(learned_from)
    dense = lambda text: vectoriser.transform([text]).toarray()[0]
    expected = []
    for row in ROWS:
        question, options = CHOICES.questions[row], CHOICES.options[row]
        passage = CHOICES.passages[CHOICES.passage[row]]
        u = dense(passage)
        gap = "_" in question
        texts = [filled(question, option) if gap else option for option in options]
        expected.append([u @ dense(text) for text in texts])
    np.testing.assert_allclose(found, in_slots(expected), atol=1e-6)
    assert found.std() > 0.05 and found.max() <= 1 + 1e-6


def test_tfidf_without_words_is_refused():
    own = CHOICES._replace(passages=("1 . 2",) * 15, options=(("a", "b", "!", "?"),) * 30)
    with pytest.raises(ConfigError, match="made holds symbols and single letters, but no words"):
        choice_rules.tfidf(own, np.arange(30), ROWS, ORDER)


def test_cosine_is_that_of_the_vectors():
    rng = np.random.default_rng(0)
    data = {"context": rng.normal(size=(30, 5)), "option": rng.normal(size=(30, 4, 5))}
    data["option"][ROWS[0], 2] = 0
    expected = np.zeros((11, 4))
    for place, slot in np.ndindex(11, 4):
        u, v = data["context"][ROWS[place]], data["option"][ROWS[place], ORDER[place, slot]]
        if v.any():
            expected[place, slot] = u @ v / np.sqrt((u @ u) * (v @ v))
    np.testing.assert_allclose(choice_rules.cosine(data, ROWS, ORDER), expected, atol=1e-12)
    scaled = {"context": 3 * data["context"], "option": 0.1 * data["option"]}
    np.testing.assert_allclose(choice_rules.cosine(scaled, ROWS, ORDER), expected, atol=1e-12)
    assert choice_rules.cosine(data, ROWS, SOURCE)[0, 2] == 0
