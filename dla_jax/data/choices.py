"""Multiple choice: questions about passages, their parts, and the order of their options."""

import functools
import hashlib
import json
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dla_jax.config.checks import check, check_number, check_rules, choice, count, number
from dla_jax.data import choice_docstrings, choice_files, choice_sets, prepared
from dla_jax.data.questions import Question, check_same_number

DATASETS = ("docstrings", "race", "dream", "file")
PARTS = choice_files.PARTS  # train, val, test
RULES = {
    "name": choice(DATASETS),
    "level": choice(("all", *choice_sets.LEVELS)),
    "val_fraction": number(low=0, below=0.5),
    "test_fraction": number(low=0, below=0.5),
    "num_train": count(low=0),
}
FILE = "give the file of the questions, as in --config.data.path=questions.jsonl"
# A run of "_" that stands alone or ends the question: "He is _ .", "We know_."; not `snake_case`.
GAP = re.compile(r"(?<!\w)_+(?!\w)|_+(?=\W*$)")
WORDS = {"what", "why", "how", "who", "where", "when", "which"}
SAME = {"whose": "who", "whom": "who"}
_PARTS, _SLOTS = 5, 6  # streams of what a seed draws; `left_out` has 3 and 4


class Choices(NamedTuple):
    """Multiple-choice questions about passages.

    passages: [P], no two alike.
    questions: [N].
    options: [N], as many texts for each question, in the order of the source.
    answers: int32 [N], the position of the right option.
    passage: int32 [N], the passage of each question.
    part: int32 [N], the official part of each as a position in PARTS; None: each seed draws them.
    level: [N], such as "middle"; "" where there is none.
    """

    name: str
    passages: tuple[str, ...]
    questions: tuple[str, ...]
    options: tuple[tuple[str, ...], ...]
    answers: np.ndarray
    passage: np.ndarray
    part: np.ndarray | None
    level: tuple[str, ...]

    @property
    def num_options(self) -> int:
        """Return the number of options of each question."""
        return len(self.options[0])

    @property
    def identity(self) -> dict:
        """Return what a workdir remembers of its data.

        That is its name and sizes, and a SHA-256 of texts, answers and parts.
        """
        part = None if self.part is None else self.part.tolist()
        numbers = [self.answers.tolist(), self.passage.tolist(), part]
        texts = [self.passages, self.questions, self.options, self.level]
        digest = hashlib.sha256(json.dumps([texts, numbers]).encode())
        sizes = part and {name: part.count(i) for i, name in enumerate(PARTS)}
        return {
            "name": self.name,
            "num_examples": len(self.questions),
            "num_passages": len(self.passages),
            "num_options": self.num_options,
            "levels": {name: n for name, n in sorted(Counter(self.level).items()) if name},
            "part_sizes": sizes,
            "fingerprint": digest.hexdigest()[:16],
        }


def check_config(data, data_dir: Path, download: bool) -> None:
    """Raise ConfigError for a `config.data` that cannot be read.

    Nothing is read or fetched before. The fractions are of data without official parts.
    """
    check_rules(data, RULES, prefix="data.")
    check(data.name != "file" or bool(data.path), f"data.path is empty; {FILE}")
    if data.name == "dream":
        choice_sets.check_dream(data.path, data_dir, download)
    if data.name == "race":
        for name in choice_sets.race_sets(data.level):
            prepared.check_available(name, data_dir, download)
    if data.name == "docstrings":  # it has no official parts
        for key in ("val_fraction", "test_fraction"):
            check_number(f"data.{key}", data[key], above=0)


def load(data, data_dir: Path, download: bool) -> Choices:
    """Load the questions of a `config.data`.

    `docstrings`: of installed packages (data/choice_docstrings.py).
    `file`: `data.path`, JSON lines or CSV (data/choice_files.py).
    `race`, `dream`: published sets (data/choice_sets.py).

    Raises:
      ConfigError: not there, not readable, or questions that are not as they should be.
    """
    return _load(data.name, data.path, data.level, data_dir, download)


@functools.lru_cache(maxsize=1)  # once for the check of a config and its run
def _load(name: str, path: str, level: str, data_dir: Path, download: bool) -> Choices:
    if name == "docstrings":
        return assemble(name, choice_docstrings.collect())
    if name == "file":
        return assemble(name, choice_files.read_file(path))
    if name == "dream":
        read = choice_sets.read_dream(path) if path else choice_sets.fetch_dream(data_dir, download)
        return assemble(name, read)
    return assemble(name, choice_sets.read_race(level, data_dir, download))


def assemble(name: str, questions: list[Question]) -> Choices:
    """Return questions as arrays; passages that are alike become one.

    Raises:
      ConfigError: no questions, or one with another number of options than the first.
    """
    check(len(questions) > 0, f"{name}: there is no question; give other data")
    check_same_number(questions)
    index: dict[str, int] = {}
    passage = [index.setdefault(each.passage, len(index)) for each in questions]
    parted = all(each.part for each in questions)
    part = [PARTS.index(each.part) for each in questions] if parted else None
    return Choices(
        name,
        passages=tuple(index),
        questions=tuple(each.question for each in questions),
        options=tuple(each.options for each in questions),
        answers=np.array([each.answer for each in questions], np.int32),
        passage=np.array(passage, np.int32),
        part=None if part is None else np.array(part, np.int32),
        level=tuple(each.level for each in questions),
    )


def split(
    choices: Choices, seed: int, val_fraction: float, test_fraction: float, num_train: int = 0
) -> dict[str, np.ndarray]:
    """Return the questions of each part, a pure function of the seed; no passage is in two parts.

    Official parts are those of every seed, less the training questions whose passage is in another
    part, and the validation questions whose passage is in the test part. Parts that the data lacks
    are drawn from the passages of its training part, or of all where it has no parts.

    Args:
      val_fraction, test_fraction: of the passages to draw from; of parts that the data lacks.
      num_train: training questions at most, of whole passages that the seed draws; those of a
        smaller number are among those of a larger one. 0: all.

    Returns:
      {"train", "val", "test"}: int32 positions, rising.

    Raises:
      ConfigError: a part would be empty.
    """
    part = np.zeros(len(choices.questions), np.int32) if choices.part is None else choices.part
    train, val, test = (set(choices.passage[part == i].tolist()) for i in range(len(PARTS)))
    pool = np.array(sorted(train - val - test), np.int32)
    pool = np.random.default_rng((seed, _PARTS)).permutation(pool)
    num_test = 0 if test else round(len(pool) * test_fraction)
    num_val = 0 if val else round(len(pool) * val_fraction)
    drawn_test, drawn_val, rest = np.split(pool, [num_test, num_test + num_val])
    if num_train:
        sizes = np.bincount(choices.passage[part == 0], minlength=len(choices.passages))
        rest = rest[np.cumsum(sizes[rest]) <= num_train]

    def asked(passages, of: int) -> np.ndarray:
        about = np.isin(choices.passage, np.asarray(passages, np.int32))
        return np.flatnonzero(about & (part == of)).astype(np.int32)

    parts = {
        "train": asked(rest, of=0),
        "val": asked(sorted(val - test), of=1) if val else asked(drawn_val, of=0),
        "test": asked(sorted(test), of=2) if test else asked(drawn_test, of=0),
    }
    check_filled(parts, len(choices.passages), num_train)
    return parts


def check_filled(parts: dict[str, np.ndarray], num_passages: int, num_train: int) -> None:
    """Raise ConfigError where a part is empty."""
    mended = {
        "train": "give smaller fractions" if not num_train else "give a larger data.num_train",
        "val": "give a larger data.val_fraction",
        "test": "give a larger data.test_fraction",
    }
    for name, positions in parts.items():
        check(
            len(positions) > 0,
            f"data: the {name} part of {num_passages} passages would be empty; "
            f"{mended[name]}, or more passages",
        )


def orders(choices: Choices, seed: int) -> np.ndarray:
    """Return the option in each slot: int32 [N, n], a permutation for each question.

    It is drawn by seed and position of the question.
    """
    rng = np.random.default_rng((seed, _SLOTS))
    drawn = rng.random((len(choices.questions), choices.num_options))
    return np.argsort(drawn, axis=1).astype(np.int32)


def labels_of(choices: Choices, order: np.ndarray) -> np.ndarray:
    """Return the slot of the right option, int32 [N], under an order int32 [N, n]."""
    return np.argmax(order == choices.answers[:, None], axis=1).astype(np.int32)


def kind_of(question: str) -> str:
    """Return what a question asks for: what, why, how, who, where, when, which, blank or other.

    A gap `_` to fill is "blank". Else it is the first such word; `when` only where no other is,
    since it often begins a clause beside the question.
    """
    if GAP.search(question):
        return "blank"
    words = [SAME.get(word, word) for word in re.findall("[a-z]+", question.lower())]
    found = [word for word in words if word in WORDS]
    return next((word for word in found if word != "when"), found[0] if found else "other")
