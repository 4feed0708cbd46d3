"""The embedded questions: which summary belongs to the text of a docstring?"""

import re
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from dla_jax.data import choice_docstrings, docstrings
from dla_jax.data.docstrings import Documented

LETTERS = np.random.default_rng(0).choice(list("bcdfghkmqrtvwyz"), (6000, 100, 6))
FILLER = " ".join(f"filler{i}" for i in range(12))


def words(seed: int, count: int) -> str:
    """Make words of letters, as good as never the same for two seeds."""
    return " ".join(map("".join, LETTERS[seed, :count].tolist()))


def documented(number: int, module: str = "a", summary: str = "", body: str = "") -> Documented:
    summary, body = summary or words(2 * number, 6), body or words(2 * number + 1, 30)
    return Documented(Path(f"{module}.py"), f"name{number}x", f"{summary}\n\n{body}")


@pytest.fixture(scope="module")
def real():
    """Return what a part of scipy documents, and the questions of that."""
    folder = docstrings.folder_of("scipy") / "linalg"
    found = list(docstrings.documented_in(folder))
    return found, choice_docstrings.gather(found)


def test_options_are_of_one_module_and_the_right_one_belongs_to_the_passage():
    found = [documented(i, module="abc"[i // 9]) for i in range(27)]
    asked = choice_docstrings.gather(found)
    assert len(asked) == 6  # two of each module, whose ninth is left over
    summaries = [words(2 * i, 6) for i in range(27)]
    used = []
    for passage, options, answer in asked:
        numbers = [summaries.index(option) for option in options]
        assert len(numbers) == 4 and len({number // 9 for number in numbers}) == 1
        assert numbers == sorted(numbers)  # in the order of the module
        assert words(2 * numbers[answer] + 1, 30).startswith(passage)
        used += numbers
    assert len(set(used)) == 24  # nothing stands in two questions
    assert choice_docstrings.gather(found) == asked


def test_which_one_is_asked_for_says_nothing():
    found = [documented(i, module=str(i // 4)) for i in range(2000)]
    counts = np.bincount([answer for _, _, answer in choice_docstrings.gather(found)], minlength=4)
    assert counts.sum() == 500 and abs(counts - 125).max() < 45


def test_at_most_so_many_are_drawn(monkeypatch):
    found = [documented(i, module=str(i // 4)) for i in range(200)]
    everything = choice_docstrings.gather(found)
    monkeypatch.setattr(choice_docstrings, "MOST", 20)
    drawn = choice_docstrings.gather(found)
    assert len(everything) == 50 and drawn == everything[:20]
    first = {documented(i).docstring.partition("\n\n")[0] for i in range(80)}
    assert {options[0] for _, options, _ in drawn} - first  # drawn, not the first


@pytest.mark.parametrize(
    "other",
    [
        {"summary": words(0, 6).upper() + "!"},  # that of another
        {"body": words(1, 30).title()},
        {"summary": "Short."},
        {"summary": words(90, 40)},
        {"body": "Too short."},
        {"summary": words(91, 6), "body": f"{FILLER} {FILLER} {words(91, 6).title()}. {FILLER}"},
    ],
)
def test_what_is_alike_short_long_or_says_the_answer_is_left_out(other):
    three = [documented(i) for i in range(3)]
    assert len(choice_docstrings.gather([*three, documented(3)])) == 1
    assert choice_docstrings.gather([*three, documented(3, **other)]) == []
    (question,) = choice_docstrings.gather([*three, documented(3, **other), documented(4)])
    assert sorted(question[1]) == sorted(words(2 * i, 6) for i in (0, 1, 2, 4))


def test_names_of_all_four_are_masked_in_passage_and_options():
    names = ["solve", "_inverse_of", "SVD", "solve_banded"]
    said = "of solve, SOLVE(x), a.svd; `inverse_of` __inverse_of_ and solve_banded, not solver: {}"
    found = [
        Documented(
            Path("a.py"),
            name,
            f"{said.format(words(i, 5))}\n\n{said.format(words(9 + i, 30))}",
        )
        for i, name in enumerate(names)
    ]
    ((passage, options, _),) = choice_docstrings.gather(found)
    for text in (passage, *options):
        assert text.startswith("of _, _(x), a._; `_` _ and _, not solver: ")
    same = [documented(i, summary=f"Return the value of name{i}x, as it is.") for i in range(4)]
    assert choice_docstrings.gather(same) == []  # alike but for names


def test_a_long_text_is_cut_at_a_blank():
    bodies = [words(50 + i, 90) for i in range(4)]
    ((passage, _, _),) = choice_docstrings.gather(
        [documented(i, body=body) for i, body in enumerate(bodies)]
    )
    assert 490 < len(passage) <= 500
    assert any(body.startswith(f"{passage} ") for body in bodies)


def test_real_docstrings_make_sound_questions(real):
    found, asked = real
    assert len(asked) > 10
    options = Counter(option for _, given, _ in asked for option in given)
    assert max(options.values()) == 1  # none is in two questions, or twice in one
    of_summary = defaultdict(dict)  # {summary: {module: what has it}}
    for one in found:
        summary = " ".join(one.docstring.partition("\n\n")[0].split())
        of_summary[summary].setdefault(one.path, one)
    checked = 0
    for passage, given, answer in asked:
        unmasked = [of_summary[option] for option in given if option in of_summary]
        (module, *_) = set.intersection(*map(set, unmasked)) if unmasked else (None,)
        names = {has[module].name.strip("_").lower() for has in unmasked}
        for text in (passage, *given):
            assert not re.search("numpy|scipy|sklearn|jax", text, re.IGNORECASE)
            assert not names & set(re.findall("[a-z0-9_]+", text.lower()))
        if given[answer] in of_summary and "_" not in passage:
            docstring = of_summary[given[answer]][module].docstring
            assert passage in " ".join(docstring.split())
            checked += 1
        assert f"{given[answer].lower().rstrip('.')} " not in f"{passage.lower()} "
    assert checked > 0


def test_the_second_time_they_come_from_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    calls = []

    def documented_in(folder):
        calls.append(folder)
        return [documented(i, module=str(i // 4)) for i in range(40)]

    monkeypatch.setattr(docstrings, "documented_in", documented_in)
    first = choice_docstrings.collect()
    assert len(first) == 10 and len(calls) == len(docstrings.PACKAGES)
    assert choice_docstrings.collect() == first and len(calls) == len(docstrings.PACKAGES)
    assert {question.question for question in first} == {choice_docstrings.QUESTION}
    assert first[0].place == "docstrings question 1"
    assert len(list((tmp_path / "cache").rglob("choices-*.json"))) == 1
