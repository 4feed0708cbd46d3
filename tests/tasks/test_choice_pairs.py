"""Tests rows of choices: what is cut, windows, padding, token types, the order of the slots."""

import numpy as np
import pytest
from made_choices import berts, made, robertas

from dla_jax.config.checks import ConfigError
from dla_jax.data.choices import labels_of, orders
from dla_jax.tasks import choice_pairs
from dla_jax.tasks.choice_pairs import filled, gather, lengths_of, rows_of

CHOICES = made()
TOKENIZERS = {"bert": berts(CHOICES), "roberta": robertas(CHOICES)}
PAIRS = {
    name: choice_pairs.make_pairs(tokenizer, {"bert": 0, "roberta": 1}[name], CHOICES, lower=True)
    for name, tokenizer in TOKENIZERS.items()
}
WINDOWS = (0, 1, 2, 3, 5)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Why?", "Why? at sea"),
        ("He is _ .", "He is at sea ."),
        ("He is ____, _ .", "He is at sea, _ ."),
        ("We know_.", "We know at sea."),
        ("_ is he", "at sea is he"),
        ("What is snake_case?", "What is snake_case? at sea"),
        ("What does __init__ do?", "What does __init__ do? at sea"),
    ],
)
def test_an_option_stands_in_the_gap_or_behind_the_question(question, expected):
    assert filled(question, "at sea") == expected


@pytest.mark.parametrize("family", PAIRS)
def test_a_row_that_is_not_cut_is_what_the_tokenizer_makes_of_two_texts(family):
    pairs, tokenizer, order = PAIRS[family], TOKENIZERS[family].tokenizer, orders(CHOICES, 0)
    rows = np.arange(24)
    batch = gather(pairs, rows, order, 500, 1, (200, 500))
    assert batch["token"].shape == batch["type"].shape == (24, 4, 1, 200)
    assert {array.dtype for array in batch.values()} == {np.dtype(np.int32)}
    blind = gather(pairs, rows, order, 500, 0, (200, 500))
    for row in rows:
        passage = CHOICES.passages[CHOICES.passage[row]].lower()
        for slot in range(4):
            second = filled(CHOICES.questions[row], CHOICES.options[row][order[row, slot]])
            expected = tokenizer.encode(passage, second)
            n = batch["length"][row, slot, 0]
            assert batch["token"][row, slot, 0, :n].tolist() == expected.ids
            assert batch["type"][row, slot, 0, :n].tolist() == expected.type_ids
            assert (batch["token"][row, slot, 0, n:] == pairs.pad_id).all()
            assert (batch["type"][row, slot, 0, n:] == 0).all()
            alone, n = tokenizer.encode(second), blind["length"][row, slot, 0]
            assert blind["token"][row, slot, 0, :n].tolist() == alone.ids
            assert (blind["type"] == 0).all()


def parts_of(pairs, row):
    """Return (window of the passage, second text) of a row, by its special tokens."""
    prefix, middle, suffix, _ = pairs.frame
    assert row[: len(prefix)].tolist() == prefix.tolist()
    assert row[len(row) - len(suffix) :].tolist() == suffix.tolist()
    inner = row[len(prefix) : len(row) - len(suffix)]
    places = [
        i for i in range(len(inner)) if inner[i : i + len(middle)].tolist() == middle.tolist()
    ]
    assert len(places) == 1
    return inner[: places[0]].tolist(), inner[places[0] + len(middle) :].tolist()


def places_of(window, passage):
    """Return every place where a window begins in a passage."""
    last = len(passage) - len(window)
    return [i for i in range(last + 1) if passage[i : i + len(window)] == window]


@pytest.mark.parametrize("family", PAIRS)
@pytest.mark.parametrize(("most", "num_windows"), [(60, 1), (60, 2), (60, 9), (80, 3)])
def test_windows_cover_the_passage_and_are_the_same_for_all_options(family, most, num_windows):
    pairs, counts = PAIRS[family], set()
    special = sum(map(len, pairs.frame[:3]))
    for question in range(24):
        passage = pairs.passages[CHOICES.passage[question]].tolist()
        seconds = [second.tolist() for second in pairs.seconds[question]]
        room = most - special - max(map(len, seconds))
        assert room >= 8  # so nothing of a question is cut
        options = [rows_of(pairs, question, option, most, num_windows) for option in range(4)]
        read = [[parts_of(pairs, row) for row in rows] for rows in options]
        windows = [window for window, _ in read[0]]
        counts.add(len(windows))
        for own, second in zip(read, seconds, strict=True):
            assert own == [(window, second) for window in windows]
        if num_windows == 1 or len(passage) <= room:
            assert windows == [passage[:room]]
            continue
        needed = -(-len(passage) // room)
        assert len(windows) == min(num_windows, needed)
        assert all(len(window) == room for window in windows)
        strides = np.linspace(0, len(passage) - room, len(windows)).astype(int)
        for window, start in zip(windows, strides, strict=True):
            assert any(abs(place - start) <= 1 for place in places_of(window, passage))
        assert windows[0] == passage[:room] and windows[-1] == passage[-room:]
        if needed <= num_windows:  # no token lies between two windows
            assert np.diff(strides).max() <= room
    assert len(counts) > 1 or num_windows == 1


@pytest.mark.parametrize("family", PAIRS)
@pytest.mark.parametrize("num_windows", WINDOWS)
def test_lengths_are_those_of_the_longest_row(family, num_windows):
    pairs, options = PAIRS[family], range(4)
    for most in (8, 20, 45, 60, 500):
        longest = [
            max(len(row) for o in options for row in rows_of(pairs, q, o, most, num_windows))
            for q in range(24)
        ]
        found = lengths_of(pairs, most, num_windows)
        assert found.dtype == np.int32 and found.tolist() == longest and max(longest) <= most


@pytest.mark.parametrize("num_windows", [0, 1, 3])
def test_a_question_that_is_too_long_loses_its_front_and_keeps_its_option(num_windows):
    options = (("sea", "wind and wave"), ("gull", "ship"))
    questions = ("storm " * 30 + "what?", "port?")
    own = CHOICES._replace(
        passages=("rope " * 40, "mast"),
        questions=questions,
        options=options,
        passage=np.array([0, 1], np.int32),
    )
    tokenizer = TOKENIZERS["bert"]
    pairs = choice_pairs.make_pairs(tokenizer, 0, own, lower=False)
    for question, option in np.ndindex(2, 2):
        text = tokenizer.encode_plain([options[question][option]])[0].tolist()
        rows = rows_of(pairs, question, option, 40, num_windows)
        second = pairs.seconds[question][option].tolist()
        for row in rows:
            assert row[: len(row) - 1][-len(text) :].tolist() == text  # [SEP] is behind it
            if num_windows == 0:
                assert row[1:-1].tolist() == second[-38:]
                continue
            window, kept = parts_of(pairs, row)
            room = 37 - min(8, len(pairs.passages[question]))
            assert kept == second[-room:] and len(row) <= 40
            assert len(window) >= min(8, len(pairs.passages[question]))
    assert len(rows_of(pairs, 0, 0, 40, 3)) == 3  # at most, where more would be needed


def test_slots_hold_the_options_of_the_order_and_absent_windows_are_empty():
    pairs, rows = PAIRS["bert"], np.array([5, 0, 17])
    order = orders(CHOICES, 3)[rows]
    batch = gather(pairs, rows, order, 60, 3, (32, 48, 60, 100))
    assert batch["token"].shape == (3, 4, 3, 60)
    counts = set()
    for place, slot in np.ndindex(3, 4):
        expected = rows_of(pairs, rows[place], order[place, slot], 60, 3)
        counts.add(len(expected))
        for window in range(3):
            n = batch["length"][place, slot, window]
            found = batch["token"][place, slot, window]
            row = expected[window].tolist() if window < len(expected) else []
            assert found[:n].tolist() == row and (found[n:] == 0).all()
    assert len(counts) > 1 and max(counts) == 3
    sorted_slots = gather(pairs, rows, np.tile(np.arange(4), (3, 1)), 60, 3, (60,))
    for name, array in batch.items():
        own = np.take_along_axis(
            sorted_slots[name], order.reshape(3, 4, *[1] * (array.ndim - 2)), 1
        )
        np.testing.assert_array_equal(array, own)
    labels = labels_of(CHOICES, orders(CHOICES, 3))[rows]
    assert (order[np.arange(3), labels] == CHOICES.answers[rows]).all()


def test_no_room_for_a_passage_and_a_question_is_refused():
    with pytest.raises(ConfigError, match=r"4 tokens, 3 of them special.*give at least 5"):
        rows_of(PAIRS["bert"], 0, 0, 4, 1)
    assert len(rows_of(PAIRS["bert"], 0, 0, 4, 0)[0]) == 4


def test_texts_are_lower_cased_if_asked():
    own = CHOICES._replace(passages=tuple(text.upper() for text in CHOICES.passages))
    first = PAIRS["roberta"].passages[0].tolist()
    for lower in (True, False):
        pairs = choice_pairs.make_pairs(TOKENIZERS["roberta"], 1, own, lower)
        assert (pairs.passages[0].tolist() == first) == lower
