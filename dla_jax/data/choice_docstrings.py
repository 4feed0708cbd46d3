"""The embedded multiple-choice questions: which summary belongs to this text of a docstring?

Each question has a module of an installed package (data/docstrings.py), and four things that the
module documents: the passage is what one of them says below its summary, the options are the
summaries of all four. Nothing stands in two questions, and which of the four is asked for says
nothing about its summary: without the passage no answer is better than chance.
"""

import hashlib
import re
from collections.abc import Iterable
from itertools import groupby
from typing import NamedTuple

from dla_jax.data import docstrings
from dla_jax.data.docstrings import Documented
from dla_jax.data.questions import Question, one_line

QUESTION = "Which summary belongs to this text?"
OPTIONS = 4
MOST = 1200  # questions
SHORTEST_SUMMARY, LONGEST_SUMMARY = 25, 160  # characters
SHORTEST_BODY, LONGEST_BODY = 120, 500  # characters; longer ones are cut at a blank
VERSION = 1  # of what is collected: another one makes old caches invisible


class Described(NamedTuple):
    """A module, class or function with a summary, and a text below it; one line each."""

    name: str
    summary: str
    body: str


def collect() -> list[Question]:
    """Return at most MOST questions, the same for the same versions of the packages.

    They are kept as `docstrings.kept` says.
    """

    def made() -> list[tuple]:
        found = (
            one
            for package in docstrings.PACKAGES
            for one in docstrings.documented_in(docstrings.folder_of(package))
        )
        return gather(found)

    rows = docstrings.kept(f"choices {VERSION}", made)
    return [
        Question(f"docstrings question {i}", passage, QUESTION, tuple(options), answer)
        for i, (passage, options, answer) in enumerate(rows, 1)
    ]


def gather(found: Iterable[Documented]) -> list[tuple[str, tuple[str, ...], int]]:
    """Make questions of docstrings, and draw at most MOST of them.

    Of summaries that are alike, and of texts, the first is kept.

    Args:
      found: those of one module come one after another.

    Returns:
      (passage, options, the position of the right one) of each. Options are in the order of the
      module, and questions in that of their hashes, which has no meaning.
    """
    questions, seen = [], set()
    for _, module in groupby(found, key=lambda one: one.path):
        described = []
        for one in filter(None, map(describe, module)):
            prints = {print_of(one.summary), print_of(one.body)}
            if not prints & seen:
                described.append(one)
            seen |= prints
        drawn = sorted(range(len(described)), key=lambda i: digest(described[i].summary))
        for first in range(0, len(drawn) - OPTIONS + 1, OPTIONS):
            group = drawn[first : first + OPTIONS]
            places = sorted(group)
            questions.append(ask([described[i] for i in places], places.index(group[0])))
    kept = [question for question in questions if question is not None]
    return sorted(kept, key=lambda question: digest(question[0]))[:MOST]


def describe(one: Documented) -> Described | None:
    """Return summary and text of a docstring; None where one is missing, short or very long.

    None too where the summary stands in the text again, which would give the answer away.
    """
    summary, _, body = one.docstring.partition("\n\n")
    summary, body = one_line(summary), one_line(body)
    fits = SHORTEST_SUMMARY <= len(summary) <= LONGEST_SUMMARY and len(body) >= SHORTEST_BODY
    if not fits or words_of(summary) in words_of(body):
        return None
    return Described(one.name, summary, body)


def ask(group: list[Described], answer: int) -> tuple[str, tuple[str, ...], int] | None:
    """Return the question whose right option is the summary of `group[answer]`.

    The names of all in the group are masked in all of its texts, and the names of packages. None
    where two summaries differ in names alone, or too little is left.
    """
    names = [one.name for one in group]
    passage = docstrings.clean(mask(group[answer].body, names), LONGEST_BODY)
    options = tuple(docstrings.clean(mask(one.summary, names)) for one in group)
    shortest = min(map(len, options))
    if (
        len(set(map(print_of, options))) < OPTIONS
        or len(passage) < SHORTEST_BODY
        or shortest < SHORTEST_SUMMARY
    ):
        return None
    return passage, options, answer


def mask(text: str, names: list[str]) -> str:
    """Return a text with `_` for names, however they are written, with or without outer `_`."""
    bare = [re.escape(name.strip("_")) for name in names if name.strip("_")]
    longest_first = "|".join(sorted(bare, key=len, reverse=True))
    pattern = rf"(?<![a-z0-9])_*(?:{longest_first})_*(?![a-z0-9])"
    return re.sub(pattern, "_", text, flags=re.IGNORECASE)


def print_of(text: str) -> str:
    """Return what is equal for texts that begin alike, a mark at the end aside too."""
    return docstrings.fingerprint(text).strip()


def words_of(text: str) -> str:
    """Return the letters and digits of a text, in lower case with single blanks between."""
    return f" {' '.join(re.findall('[a-z0-9]+', text.lower()))} "


def digest(text: str) -> bytes:
    """Return the SHA-256 of a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
