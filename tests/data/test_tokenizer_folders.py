"""Tokenizers of model folders are read as they were published, and wrong ones refused."""

import numpy as np
import pytest
from tokenizer_folders import BERT, TEXT, WORDS, bert_files, gpt2_files, roberta_files, write

from dla_jax.config.checks import ConfigError
from dla_jax.data import tokenize


def test_what_a_tokenizer_file_says_of_cutting_and_padding_is_not_done(tmp_path):
    from tokenizers import Tokenizer

    saved = Tokenizer.from_str(WORDS.dumps())
    saved.enable_truncation(5)
    saved.enable_padding(length=9)
    assert len(saved.encode("nel").ids) == 9 and len(saved.encode(TEXT).ids) == 9
    saved.save(str(tmp_path / "tokenizer.json"))
    found = tokenize.published(tmp_path, WORDS.vocab_size)
    assert found == WORDS
    for text in ("nel", TEXT):
        np.testing.assert_array_equal(found.encode(text), WORDS.encode(text))
    assert found.encode_all([TEXT], 12).length.tolist() == [12]


def test_a_tokenizer_file_comes_before_a_vocabulary(tmp_path):
    tokenize.save(WORDS, tmp_path / "tokenizer.json")
    assert tokenize.published(write(tmp_path, bert_files()), WORDS.vocab_size) == WORDS


@pytest.mark.parametrize(
    ("changes", "lower"),
    [
        ({}, True),
        ({"do_lower_case": True}, True),
        ({"do_lower_case": False}, False),
        ({"model_max_length": 512}, True),
    ],
)
def test_berts_vocabulary_is_lower_cased_as_it_says(tmp_path, changes, lower):
    found = tokenize.published(write(tmp_path, bert_files(**changes)), len(BERT))
    words = lambda text: " ".join(BERT[token] for token in found.encode(text))
    assert words("nel mezzo, del cammin") == "[CLS] nel mezzo , del cam ##min [SEP]"
    inner = "a nel perche" if lower else "A [UNK] perché"
    assert words("A Nel perché") == f"[CLS] {inner} [SEP]"
    # The longest piece; all of a word or nothing.
    assert words("cammino camx") == "[CLS] cam ##mino [UNK] [SEP]"


@pytest.mark.parametrize(
    ("files", "size"), [(gpt2_files, 280), (roberta_files, 285), (bert_files, len(BERT))]
)
def test_a_tokenizer_of_another_size_than_the_embedding_is_refused(tmp_path, files, size):
    folder = write(tmp_path, files())
    for rows in (size, -(-size // 64) * 64):  # a table may be rounded up
        assert tokenize.published(folder, rows).vocab_size == size
    for rows in (size - 1, 2 * size + 1, 1):
        with pytest.raises(
            ConfigError, match=f"has {size} tokens, the model's embedding {rows} rows"
        ) as caught:
            tokenize.published(folder, rows)
        assert str(folder) in str(caught.value)


@pytest.mark.parametrize(
    "names", [(), ("vocab.json",), ("merges.txt",), ("tokenizer_config.json",)]
)
def test_a_folder_without_a_tokenizer_says_so(tmp_path, names):
    files = gpt2_files() | {"tokenizer_config.json": "{}"}
    words = "has no tokenizer: no tokenizer.json, vocab.txt, or vocab.json with merges.txt"
    with pytest.raises(ConfigError, match=words):
        tokenize.published(write(tmp_path, {name: files[name] for name in names}), 280)


@pytest.mark.parametrize(
    "files",
    [
        {"tokenizer.json": ""},
        {"tokenizer.json": "{"},
        {"tokenizer.json": "[]"},
        {"tokenizer.json": '{"model": {}}'},
        {"tokenizer.json": b"\xff\xfe"},
        {"vocab.txt": ""},
        {"vocab.txt": "[UNK]\na\n"},
        {"vocab.txt": b"[CLS]\n[SEP]\n\xe9\n"},
        bert_files() | {"tokenizer_config.json": "{"},
        bert_files() | {"tokenizer_config.json": "[]"},
        gpt2_files() | {"vocab.json": "{"},
        gpt2_files() | {"vocab.json": "[]"},
        gpt2_files() | {"merges.txt": "a b c\nd\n"},
        gpt2_files() | {"merges.txt": "q Q\n"},
        gpt2_files() | {"merges.txt": b"\xff"},
        {"vocab.txt": "\n".join(word for word in BERT if word != "[UNK]")},
    ],
)
def test_a_damaged_published_tokenizer_is_refused(tmp_path, files):
    with pytest.raises(ConfigError, match="is damaged") as caught:
        tokenize.published(write(tmp_path, files), 15)
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)
