"""Published sets of multiple-choice questions: RACE and DREAM, which have official parts."""

import itertools
import json
import sys
from pathlib import Path

from dla_jax.config.checks import ConfigError, check
from dla_jax.config.files import expand
from dla_jax.config.project import install_words
from dla_jax.data import hub_fetch, hub_folder, prepared, tfds_folder
from dla_jax.data.encoding import decode
from dla_jax.data.hub_sets import SETS
from dla_jax.data.questions import Question, one_line

LEVELS = ("middle", "high")  # of RACE
LETTERS = tuple("ABCD")  # of its options
DREAM = {"train": "train.json", "val": "dev.json", "test": "test.json"}
RACE = {"train": "train", "val": "dev", "test": "test"}


def dream_files(path: str) -> dict[str, Path]:
    """Return {part: file} of the folder of DREAM; raise ConfigError where one is missing."""
    files = {part: expand("data.path", path) / name for part, name in DREAM.items()}
    missing = [file.name for file in files.values() if not file.is_file()]
    check(
        not missing,
        f"data.path: there is no {', '.join(missing)} in {path}; "
        f"give the folder of DREAM, with {', '.join(DREAM.values())}",
    )
    return files


def read_dream(path: str) -> list[Question]:
    """Read DREAM (Sun et al. 2019, arXiv:1902.00164): dialogues, each with questions.

    The passage is the dialogue, its turns in one line. Where the right text is given as two
    options, it is the first.

    Args:
      path: of the folder with train.json, dev.json and test.json, as they are published.

    Raises:
      ConfigError: a file is missing or damaged.
    """
    found = []
    for part, file in dream_files(path).items():
        try:
            dialogues = json.loads(decode(file.read_bytes(), f"data.path: {file}", str(file)))
            for turns, asked, name in dialogues:
                for i, each in enumerate(asked, 1):
                    place = f"{file} dialogue {name} question {i}"
                    found.append(dream_question(place, turns, each, part))
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise ConfigError(
                f"data.path: {file} is not as DREAM is published ({error!r:.120}); "
                "fetch it again, or give another folder"
            ) from None
    return without_empty(found, "dream")


def dream_question(place: str, turns: list[str], asked: dict, part: str) -> Question:
    """Return a question of DREAM.

    Args:
      turns: of the dialogue.
      asked: {"question", "choice", "answer"}.
    """
    options = tuple(map(one_line, asked["choice"]))
    answer = options.index(one_line(asked["answer"]))
    passage, question = one_line(" ".join(turns)), one_line(asked["question"])
    return Question(place, passage, question, options, answer, part=part)


def fetch_dream(data_dir: Path, download: bool) -> list[Question]:
    """Read DREAM as the Hugging Face hub has it, in `data_dir`; the questions `read_dream` returns.

    Raises:
      ConfigError: neither there nor to be had, or damaged.
    """
    folder = hub_fetch.find_or_fetch(SETS["dream"], data_dir, download)
    rows, found = hub_folder.read_rows(folder), []
    parts = zip(DREAM, hub_folder.describe(folder)["sizes"].values(), strict=True)
    try:
        for part, size in parts:
            for i, row in enumerate(itertools.islice(rows, size), 1):
                place = f"dream {part} question {i}, dialogue {row['dialogue_id']}"
                found.append(dream_question(place, row["dialogue"], row, part))
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigError(hub_folder.damaged(folder, f"{error!r:.120}")) from None
    return without_empty(found, "dream")


def check_dream(path: str, data_dir: Path, download: bool) -> None:
    """Raise ConfigError where DREAM is neither in a folder, nor fetched, nor to be fetched.

    Args:
      path: of the folder; "": it is that of the hub.
    """
    if path:
        dream_files(path)
        return
    library = f"install the library that fetches them, with {install_words('hub')}"
    check(
        hub_folder.find(SETS["dream"], data_dir) is not None
        or (hub_fetch.is_installed() and download),
        f"data.path is empty; give the folder with {', '.join(DREAM.values())}, or "
        f"{'fetch them with --download' if hub_fetch.is_installed() else library}",
    )
    hub_fetch.check_available(SETS["dream"], data_dir, download)


def race_sets(level: str) -> list[str]:
    """Return the names of the prepared sets of a level of RACE: middle, high, or all."""
    return [f"race/{each}" for each in LEVELS if level in (each, "all")]


def read_race(level: str, data_dir: Path, download: bool) -> list[Question]:
    """Read RACE (Lai et al. 2017, arXiv:1704.04683), prepared by tensorflow_datasets in `data_dir`.

    Args:
      level: middle, high or all.

    Raises:
      ConfigError: neither there nor to be had, or damaged.
    """
    found = []
    for name in race_sets(level):
        rows = prepared.load_passages(name, data_dir, download)
        try:
            for part, split in RACE.items():
                for row in rows[split]:
                    found += questions_of(row, name, part)
        except (ValueError, TypeError, KeyError) as error:
            raise ConfigError(
                f"{name} in {data_dir} is not as it should be ({error!r:.120}); {tfds_folder.AGAIN}"
            ) from None
    return without_empty(found, "race")


def questions_of(row: dict, name: str, part: str) -> list[Question]:
    """Return the questions of a passage of RACE.

    Args:
      row: {"example_id", "article": text, "questions", "answers": list of texts, "options": list of
        lists}.
      name: of the prepared set, such as race/middle.
    """
    place, passage = f"{name} {row['example_id']}", one_line(row["article"])
    level = name.removeprefix("race/")
    return [
        Question(
            f"{place} question {i}",
            passage,
            one_line(question),
            tuple(map(one_line, options)),
            LETTERS.index(answer),
            level,
            part,
        )
        for i, (question, options, answer) in enumerate(
            zip(row["questions"], row["options"], row["answers"], strict=True), 1
        )
    ]


def without_empty(questions: list[Question], name: str) -> list[Question]:
    """Return the questions of a published set none of whose texts is empty.

    One line on standard error says how many are left out.
    """
    whole = [question for question in questions if all(question.texts)]
    left_out = len(questions) - len(whole)
    if left_out:
        print(f"{name}: {left_out} questions with an empty text are left out", file=sys.stderr)
    return whole
