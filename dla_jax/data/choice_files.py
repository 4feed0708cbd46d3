"""Multiple-choice questions of one's own: JSON lines, or a CSV file.

A line is an object such as
`{"passage": "...", "question": "...", "options": ["...", "..."], "answer": "B"}`. A CSV file has
columns of these names, but for the options: each column whose name begins with `option` holds one.
The answer is the text of the right option, or its letter; in JSON also its number, from 0.
`level` and `part` (train, val or test) may be given too.
"""

import json
import string
from collections.abc import Iterable
from pathlib import Path

from dla_jax.config.checks import ConfigError, check, check_choice
from dla_jax.data.csv_files import parse_table, read_text
from dla_jax.data.questions import Question, check_same_number, one_line

PARTS = ("train", "val", "test")
KIND = "a file of questions, JSON lines or CSV"
TEXTS = ("passage", "question")


def read_file(path: str, key: str = "data.path", answered: bool = True) -> list[Question]:
    """Read the questions of a file.

    Args:
      key: of the config, which names the file in messages.
      answered: whether each question must have an answer.

    Raises:
      ConfigError: no such file, neither JSON lines nor CSV, no questions; one that lacks something,
        or has an empty text, an answer that is no option, options that are fewer than two, alike,
        or not as many as those of others; a part for some only.
    """
    whole = read_text(key, path, KIND)
    check(whole.strip() != "", f"{key}: {path} is empty; give {KIND}")
    if Path(path).suffix in (".json", ".jsonl") or whole.lstrip()[0] in "[{":
        # Not `splitlines`, which cuts at marks that JSON may hold, such as U+2028.
        return parse_lines(whole.split("\n"), path, answered)
    return parse_rows(key, path, whole, answered)


def read_questions(source: str | Path | Iterable[str], key: str = "data.path") -> list[Question]:
    """Read questions that need no answer, of a file or of lines of JSON.

    Raises:
      ConfigError: as `read_file`.
    """
    if isinstance(source, str | Path):
        return read_file(str(source), key, answered=False)
    return parse_lines(source, "standard input", answered=False)


def parse_lines(lines: Iterable[str], where: str, answered: bool) -> list[Question]:
    """Parse JSON lines, of which blank ones do not count.

    Args:
      where: all lines are, as a message names it.
    """
    questions = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        place = f"{where} line {number}"
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{place} is no JSON ({error}); give one question a line") from None
        check(
            isinstance(record, dict),
            f'{place} is no JSON object; give one question a line, as in {{"passage": ..., ...}}',
        )
        questions.append(parse_question(record, place, answered))
    return check_questions(questions, where)


def parse_rows(key: str, path: str, whole: str, answered: bool) -> list[Question]:
    """Parse the text of a CSV file."""
    needed = (*(("answer",) if answered else ()), *TEXTS)
    table = parse_table(key, path, whole, [(key, column) for column in needed], header=True)
    options = [i for i, name in enumerate(table.names) if name.startswith("option")]
    check(
        len(options) >= 2,
        f"{key}: {path} has {len(options) or 'no'} column whose name begins with 'option'; "
        "give two or more, as in option_a,option_b",
    )
    questions = []
    for line, row in zip(table.lines, table.rows, strict=True):
        record = dict(zip(table.names, row, strict=True))
        record["options"] = [row[i] for i in options]
        questions.append(parse_question(record, f"{path} line {line}", answered))
    return check_questions(questions, path)


def parse_question(record: dict, place: str, answered: bool) -> Question:
    """Parse the object of a question.

    Args:
      place: where it stands, as a message names it.
    """
    for name in (*TEXTS, "options", *(("answer",) if answered else ())):
        check(name in record, f"{place} has no {name}; give passage, question, options and answer")
    given = record["options"]
    listed = isinstance(given, list) and all(isinstance(option, str) for option in given)
    check(listed, f'{place}: options is no list of texts; give one, as in ["Yes.", "No."]')
    options = tuple(map(one_line, given))
    for name in (*TEXTS, "level", "part"):
        is_text = isinstance(record.get(name, ""), str)
        check(is_text, f"{place}: {name} is no text; give one, in double quotes")
    passage, question = (one_line(record[name]) for name in TEXTS)
    check(len(options) >= 2, f"{place} has {len(options) or 'no'} option; give two or more")
    for name, text in (("passage", passage), ("question", question)):
        check(text != "", f"{place} has an empty {name}; mend it, or leave it out")
    for i, option in enumerate(options):
        check(option != "", f"{place}: option {i + 1} is empty; mend it, or leave it out")
        check(
            option not in options[:i],
            f"{place} has the option {option!r:.80} twice; mend it, or leave the question out",
        )
    answer = None
    if answered or record.get("answer") not in (None, ""):
        answer = parse_answer(record["answer"], options, place)
    part = record.get("part", "").strip()
    if part:
        check_choice(f"{place}: part", part, PARTS)
    level = one_line(record.get("level", ""))
    return Question(place, passage, question, options, answer, level, part)


def parse_answer(given, options: tuple[str, ...], place: str) -> int:
    """Return the position of the option that an answer names.

    A text that is an option wins over a letter.
    """
    letters = string.ascii_uppercase[: len(options)]
    if isinstance(given, str):
        text = one_line(given)
        if text in options:
            return options.index(text)
        if len(text) == 1 and text.upper() in letters:
            return letters.index(text.upper())
    elif isinstance(given, int) and not isinstance(given, bool) and 0 <= given < len(options):
        return given
    raise ConfigError(
        f"{place}: answer {given!r:.80} is none of the options; "
        f"give its text, its letter (A to {letters[-1]}), or in JSON its number, from 0"
    )


def check_questions(questions: list[Question], where: str) -> list[Question]:
    """Return the questions; raise ConfigError where there are none, or they do not go together."""
    check(len(questions) > 0, f"{where} has no questions; give {KIND}")
    check_same_number(questions)
    without = [question.place for question in questions if not question.part]
    check(
        len(without) in (0, len(questions)),
        f"{(without or [''])[0]} has no part, and others have one; give it to each, or to none",
    )
    return questions
