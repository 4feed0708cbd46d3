"""Multiple-choice questions in tokens: a row holds a passage and a question with one option."""

from typing import NamedTuple

import numpy as np

from dla_jax.config.checks import check
from dla_jax.data.batches import width_of
from dla_jax.data.choices import GAP, Choices
from dla_jax.data.tokenize import Frame, Pieces

# Tokens of the passage that even a long question leaves; half of what there is, where that is less.
LEAST = 8


class Pairs(NamedTuple):
    """Passages, and questions with each option, in tokens without special ones.

    passages: [P] of int32 [t].
    seconds: [N][n] of int32 [t], the question with an option, in the order of the source.
    passage: int32 [N], the passage of each question.
    """

    passages: list[np.ndarray]
    seconds: list[list[np.ndarray]]
    passage: np.ndarray
    frame: Frame
    pad_id: int


def filled(question: str, option: str) -> str:
    """Return a question with an option: in its first gap "_", or behind it where it has none."""
    gap = GAP.search(question)
    if gap is None:
        return f"{question} {option}"
    before, after = question[: gap.start()].rstrip(), question[gap.end() :]
    return f"{before} {option}{after}".lstrip()


def make_pairs(tokenizer: Pieces, pad_id: int, choices: Choices, lower: bool) -> Pairs:
    """Return the questions in tokens; each passage is encoded once.

    Args:
      lower: whether texts are lower-cased first.
    """

    def encode(texts) -> list[np.ndarray]:
        return tokenizer.encode_plain(text.lower() if lower else text for text in texts)

    asked = zip(choices.questions, choices.options, strict=True)
    flat = encode(filled(question, option) for question, own in asked for option in own)
    n = choices.num_options
    seconds = [flat[first : first + n] for first in range(0, len(flat), n)]
    passages = encode(choices.passages)
    return Pairs(passages, seconds, choices.passage, tokenizer.frame(), pad_id)


def _room(pairs: Pairs, max_length: int, num_windows: int) -> int:
    """Return how many tokens of a row are free beside the special ones."""
    prefix, middle, suffix = (len(part) for part in pairs.frame[:3])
    special = prefix + suffix + (middle if num_windows else 0)
    check(
        max_length >= special + 2,
        f"encoder.max_length: {max_length} tokens, {special} of them special, leave no room for a "
        f"passage and a question; give at least {special + 2}",
    )
    return max_length - special


def second_of(
    pairs: Pairs, question: int, option: int, max_length: int, num_windows: int
) -> np.ndarray:
    """Return a question with an option, int32 [t], as it stands in a row.

    It is whole unless it leaves the passage less than LEAST tokens. Then its front is cut off, so
    that the option, which is mostly its end, remains.
    """
    second, room = pairs.seconds[question][option], _room(pairs, max_length, num_windows)
    if num_windows:
        passage = pairs.passages[pairs.passage[question]]
        room -= min(LEAST, room // 2, len(passage))
    return second[max(0, len(second) - room) :]


def windows_of(pairs: Pairs, question: int, max_length: int, num_windows: int) -> list[np.ndarray]:
    """Return the parts of its passage, int32 [t] each, that a question is asked about.

    They are the same for all options, and fit beside the longest: an option that is seen with more
    of the passage than another, or in more windows, would have an advantage. One window is the
    first tokens. More are as many as it takes to cover the passage, at most `num_windows`, at
    equal strides from its first token to its last.

    Args:
      num_windows: at least 1.
    """
    passage = pairs.passages[pairs.passage[question]]
    longest = max(
        len(second_of(pairs, question, option, max_length, num_windows))
        for option in range(len(pairs.seconds[question]))
    )
    room = _room(pairs, max_length, num_windows) - longest
    over = len(passage) - room
    if over <= 0 or num_windows == 1:
        return [passage[:room]]
    number = min(num_windows, -(-len(passage) // room))
    starts = [i * over // (number - 1) for i in range(number)]
    return [passage[start : start + room] for start in starts]


def rows_of(
    pairs: Pairs, question: int, option: int, max_length: int, num_windows: int
) -> list[np.ndarray]:
    """Return the rows, int32 [t <= max_length] each, of one option of a question.

    Args:
      max_length: tokens of a row at most, special ones too.
      num_windows: 0: a row without the passage; 1: one with its beginning; else at most so many
        rows, each with a window of the passage (`windows_of`).
    """
    frame, second = pairs.frame, second_of(pairs, question, option, max_length, num_windows)
    if num_windows == 0:
        return [np.concatenate([frame.prefix, second, frame.suffix])]
    return [
        np.concatenate([frame.prefix, window, frame.middle, second, frame.suffix])
        for window in windows_of(pairs, question, max_length, num_windows)
    ]


def lengths_of(pairs: Pairs, max_length: int, num_windows: int) -> np.ndarray:
    """Return the tokens of the longest row of each question, int32 [N]."""
    longest = np.array([max(map(len, own)) for own in pairs.seconds], np.int32)
    if num_windows:
        longest += np.array([len(passage) for passage in pairs.passages], np.int32)[pairs.passage]
    special = max_length - _room(pairs, max_length, num_windows)
    return np.minimum(longest + special, max_length)


def gather(
    pairs: Pairs,
    rows: np.ndarray,
    order: np.ndarray,
    max_length: int,
    num_windows: int,
    widths: tuple[int, ...],
) -> dict[str, np.ndarray]:
    """Return the questions at `rows` as a batch.

    Args:
      rows: int32 [B].
      order: int32 [B, n], the option in each slot.
      widths: ascending, the last at least `max_length`.

    Returns:
      {"token": int32 [B, n, W, T], "type": int32 [B, n, W, T], "length": int32 [B, n, W]}. W is 1
      where no question has more windows, else num_windows; T is the smallest of the widths that
      holds the longest row. A window that a question does not have is padding of length 0; the
      first there always is.
    """
    size = max_length, num_windows
    found = {
        (place, slot): rows_of(pairs, question, option, *size)
        for place, question in enumerate(rows)
        for slot, option in enumerate(order[place])
    }
    width = width_of(max(len(row) for windows in found.values() for row in windows), widths)
    most = max(len(windows) for windows in found.values())
    shape = (*order.shape, 1 if most == 1 else num_windows)
    token = np.full((*shape, width), pairs.pad_id, np.int32)
    kind, length = np.zeros_like(token), np.zeros(shape, np.int32)
    for (place, slot), windows in found.items():
        second = second_of(pairs, rows[place], order[place, slot], *size)
        behind = len(second) + len(pairs.frame.suffix) if num_windows else 0
        for window, row in enumerate(windows):
            token[place, slot, window, : len(row)] = row
            kind[place, slot, window, len(row) - behind : len(row)] = pairs.frame.second_type
            length[place, slot, window] = len(row)
    return {"token": token, "type": kind, "length": length}
