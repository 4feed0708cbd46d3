"""Tokenizers give back what they were given."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ml_collections import ConfigDict

from dla_jax.config.checks import ConfigError
from dla_jax.data import tokenize

TEXT = "nel mezzo del cammin di nostra vita\nmi ritrovai per una selva oscura,\n" * 20
PAIRS = tokenize.train_pairs(TEXT, 280)


@settings(max_examples=300, deadline=None)
@given(st.text())
def test_byte_pairs_give_back_any_text(text):
    tokens = PAIRS.encode(text)
    assert PAIRS.decode(tokens) == text and tokens.dtype == np.int32
    assert len(tokens) <= len(text.encode())
    assert not len(tokens) or tokens.max() < PAIRS.vocab_size


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet=st.sampled_from(sorted(set(TEXT)))))
def test_characters_give_back_any_text_of_theirs(text):
    characters = tokenize.Characters("".join(sorted(set(TEXT))))
    tokens = characters.encode(text)
    assert characters.decode(tokens) == text and len(tokens) == len(text)


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet=st.sampled_from("aeè𝄞\u0301 \n\r\t.,'")))
def test_characters_are_published_as_they_are(text):
    """As many tokens as code points, also where several make one letter, or one line end."""
    characters = tokenize.Characters("".join(sorted("aeè𝄞\u0301 \n\r\t.,'")))
    published = tokenize.Pieces(characters.published())
    assert published.vocab_size == characters.vocab_size
    np.testing.assert_array_equal(published.encode(text), characters.encode(text))
    assert published.decode(published.encode(text)) == text
    with pytest.raises(ConfigError, match="the characters that the model saw"):
        published.encode(text + "b")


def test_byte_pairs_learn_what_is_frequent():
    # Bytes of ASCII: one a character without any pair.
    assert len(PAIRS.encode(TEXT)) < 0.75 * len(TEXT)
    assert PAIRS.vocab_size == 280


@pytest.mark.parametrize("tokenizer", [PAIRS, tokenize.Characters("aeè𝄞")])
def test_a_saved_tokenizer_is_the_same(tokenizer, tmp_path):
    path = tmp_path / "folder" / "x.json"
    tokenize.save(tokenizer, path)
    found = tokenize.load(path)
    assert type(found) is type(tokenizer) and found.vocab_size == tokenizer.vocab_size
    np.testing.assert_array_equal(found.encode("eèaa𝄞"), tokenizer.encode("eèaa𝄞"))


def test_characters_beyond_the_alphabet_are_named():
    with pytest.raises(ConfigError) as error:
        tokenize.Characters("abc").encode("aXbè\n")
    assert "'X'" in str(error.value)
    assert "'è'" in str(error.value)
    assert "'\\n'" in str(error.value)
    assert "'a'" not in str(error.value)
    with pytest.raises(ConfigError, match="no character of its own"):
        PAIRS.encode("a\ud800")


def test_a_vocabulary_larger_than_the_text_allows_is_refused():
    with pytest.raises(ConfigError, match=r"vocab_size: 5549 is more than .* allows, \d+ bytes"):
        tokenize.train_pairs(TEXT, 5549)
    with pytest.raises(ConfigError, match="at least 256"):
        tokenize.check_config(ConfigDict({"name": "bpe", "vocab_size": 100}))
    with pytest.raises(ConfigError, match="did you mean 'bpe'"):
        tokenize.check_config(ConfigDict({"name": "bp", "vocab_size": 300}))


def test_pairs_are_learned_from_the_training_part_and_letters_from_all():
    config = ConfigDict({"name": "characters", "vocab_size": 0})
    assert tokenize.train(config, "abcz", "abc").alphabet == "abcz"
    config = ConfigDict({"name": "bpe", "vocab_size": 257})
    pairs = tokenize.train(config, "zqzqzq " * 9 + "ab", "abab abab ab")
    assert len(pairs.encode("ab")) == 1 and len(pairs.encode("zq")) == 2


@pytest.mark.parametrize("content", ["", "{", '{"kind": "characters"}', '{"model": 3}'])
def test_a_damaged_tokenizer_is_refused(content, tmp_path):
    with pytest.raises(ConfigError, match="there is no tokenizer"):
        tokenize.load(tmp_path / "x.json")
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(ConfigError, match="is damaged"):
        tokenize.load(tmp_path / "x.json")
