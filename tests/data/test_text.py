"""Reading, splitting and cutting a text."""

import numpy as np
import pytest

from dla_jax.config.checks import ConfigError
from dla_jax.data import text, tokenize


def encoded(train="a" * 50, val="b" * 21, test=""):
    letters = tokenize.Characters("ab")
    return text.encode_parts({"train": train, "val": val, "test": test}, letters.encode)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b" \n\t ", "nothing but spaces"),
        (b"ab\0cd", "binary"),
        ("perché".encode("latin1"), "not UTF-8 at byte 5"),
    ],
)
def test_what_is_no_text_is_refused(content, words, tmp_path):
    (tmp_path / "x.txt").write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        text.load(str(tmp_path / "x.txt"))


def test_a_path_that_is_no_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="there is no file"):
        text.load(str(tmp_path / "nowhere.txt"))
    with pytest.raises(ConfigError, match="is a folder"):
        text.load(str(tmp_path))


def test_line_ends_and_the_byte_order_mark_go(tmp_path):
    (tmp_path / "x.txt").write_bytes("\ufeffè\r\nb\rc\n".encode())
    found = text.load(str(tmp_path / "x.txt"))
    assert found.text == "è\nb\nc\n"
    assert found.name == "x.txt"
    assert found.identity["num_examples"] == 6


def test_the_embedded_text_is_there_and_has_a_fingerprint():
    found = text.load("")
    assert len(found.text) > 300_000
    assert found.identity["fingerprint"] == text.load("").identity["fingerprint"]
    other = text.Text("other", found.text[1:])
    assert found.identity["fingerprint"] != other.identity["fingerprint"]


def test_parts_are_contiguous_and_whole():
    whole = "".join(map(chr, range(200, 300)))
    parts = text.split(whole, 0.1, 0.2)
    assert "".join(parts.values()) == whole
    assert [len(part) for part in parts.values()] == [70, 10, 20]
    assert text.split(whole, 0.1, 0.0)["test"] == ""
    assert text.split(whole, 0.1, 0.0)["val"] == whole[-10:]


def test_every_window_of_an_epoch_comes_once_whatever_the_shift():
    tokens, size, batch = encoded(), 8, 3
    windows = text.num_windows(tokens, size)
    assert windows == (50 - 8) // 8
    index = [text.train_index(0, step, batch, tokens, size) for step in range(windows)]
    starts = np.concatenate(index)[:, 0].reshape(3, windows)  # three epochs
    for own in np.sort(starts):
        assert (np.diff(own) == size).all() and 0 <= own[0] < size and own[-1] + size < 50
    assert len(set(starts.min(1))) > 1  # epochs are cut elsewhere


def test_batches_are_a_function_of_seed_and_step():
    tokens = encoded()
    index = text.train_index(1, 5, 4, tokens, 8)
    np.testing.assert_array_equal(index, text.train_index(1, 5, 4, tokens, 8))
    assert index.shape == (4, 9) and (np.diff(index) == 1).all() and index.dtype == np.int32
    assert not np.array_equal(index, text.train_index(2, 5, 4, tokens, 8))
    assert not np.array_equal(index, text.train_index(1, 6, 4, tokens, 8))


def test_training_never_sees_what_is_held_out():
    tokens = encoded(train="a" * 50, val="b" * 21, test="b" * 9)
    for step in range(30):
        assert (tokens.tokens[text.train_index(0, step, 3, tokens, 8)] == 0).all()


@pytest.mark.parametrize("part", ["train", "val", "test"])
@pytest.mark.parametrize("size", [4, 7, 8, 20])
def test_every_token_of_a_part_is_predicted_once_from_the_one_before(part, size):
    tokens = encoded(train="a" * 50, val="b" * 21, test="a" * 33)
    first, stop = tokens.bounds[part]
    index, mask = text.part_index(tokens, part, size, 4)
    assert index.shape[1:] == (4, size + 1) and mask.shape == (*index.shape[:2], size)
    targets = index[:, :, 1:][mask > 0]
    np.testing.assert_array_equal(np.sort(targets), np.arange(max(first, 1), stop))
    np.testing.assert_array_equal(index[:, :, :-1][mask > 0], targets - 1)
    assert index.min() >= 0 and index.max() < len(tokens.tokens)


def test_parts_are_encoded_apart():
    pairs = tokenize.train_pairs("abababab abab " * 30, 260)
    parts = {"train": "abab aba", "val": "bab abab", "test": ""}
    tokens = text.encode_parts(parts, pairs.encode)
    for name, part in parts.items():
        first, stop = tokens.bounds[name]
        assert pairs.decode(tokens.tokens[first:stop]) == part
        assert tokens.num_chars[name] == len(part)


@pytest.mark.parametrize(
    ("parts", "size", "batch", "words"),
    [
        ({"train": "a" * 8}, 8, 1, "train part of 8 tokens"),
        ({"val": "b" * 8}, 8, 1, "val part of 8 tokens"),
        ({"test": "b" * 3}, 8, 1, "test part of 3 tokens"),
        ({}, 8, 6, "batch_size: 6 is larger than the training part, 5 windows"),
    ],
)
def test_texts_too_short_for_a_window_are_refused(parts, size, batch, words):
    text.check_windows(encoded(), 8, 5)
    with pytest.raises(ConfigError, match=words):
        text.check_windows(encoded(**parts), size, batch)
