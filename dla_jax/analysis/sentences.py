"""Which sentence of a passage decides? The answer with each sentence left out."""

import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from dla_jax.config.checks import check

# Behind . ! or ?, and the quote or bracket that closes there, before a blank; behind their
# full-width forms; at the end of a line. Abbreviations count as ends too.
BORDER = re.compile(r"(?<=[.!?])\s+|(?<=[.!?][\"'”’)\]])\s+|(?<=[。！？])\s*|\s*\n\s*")


class Decisive(NamedTuple):
    """The sentence without which the probabilities change most.

    number: its position in the passage.
    distance: total variation between the probabilities with it and without it, in [0, 1].
    """

    number: int
    sentence: str
    distance: float


def split_sentences(passage: str) -> list[str]:
    """Return the sentences of a passage, without the blanks around them."""
    return [part.strip() for part in BORDER.split(passage) if part.strip()]


def which_sentence(score_fn: Callable, passage: str) -> Decisive:
    """Return the sentence whose absence changes the answer to one question most.

    That is leave-one-out (Li et al. 2016, arXiv:1612.08220), a sentence at a time; the change is
    the total variation distance, half the sum of absolute differences. Of equal ones it is the
    first.

    Args:
      score_fn: list of passages -> float [len, n], probabilities of the options; called once.

    Raises:
      ConfigError: the passage has no sentence.
    """
    sentences = split_sentences(passage)
    check(len(sentences) > 0, "the passage is empty, so no sentence decides; give one with text")
    without = [sentences[:i] + sentences[i + 1 :] for i in range(len(sentences))]
    p = np.asarray(score_fn([" ".join(kept) for kept in [sentences, *without]]), np.float64)
    distances = np.abs(p[1:] - p[0]).sum(1) / 2
    number = int(distances.argmax())
    return Decisive(number, sentences[number], float(distances[number]))
