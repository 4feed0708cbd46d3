"""Questions of one's own files, and what is said of files that are wrong."""

import json

import numpy as np
import pytest
from ml_collections import ConfigDict

from dla_jax.config.checks import ConfigError
from dla_jax.data import choice_files, choices

ONE = {"passage": "It  rains.\nA lot.", "question": "Is it wet?", "options": ["Yes.", "No."]}
ASKED = ONE | {"answer": "No."}
HEAD = "passage,question,option_a,option_b,answer"


def lines(*records) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


@pytest.fixture
def read(tmp_path):
    """Write a file, str or bytes, and read it."""

    def reader(content, name="q.jsonl", **how):
        content = content if isinstance(content, bytes) else content.encode()
        (tmp_path / name).write_bytes(content)
        return choice_files.read_file(str(tmp_path / name), **how)

    return reader


def test_json_lines_are_read(read):
    record = ASKED | {"level": "easy", "part": "val"}
    (found,) = read(f"\n{lines(record)}\n")
    assert found[1:] == ("It rains. A lot.", "Is it wet?", ("Yes.", "No."), 1, "easy", "val")
    assert found.place.endswith("q.jsonl line 2")
    (found,) = read(lines(ASKED), name="any_name")
    assert found[-2:] == ("", "")
    mark = ASKED | {"passage": "a\u2028b"}
    (found,) = read(json.dumps(mark, ensure_ascii=False))  # this mark ends no line
    assert found.passage == "a b"
    (found,) = read(("\ufeff" + lines(ASKED)).encode("utf-16-le"))
    assert found.answer == 1


@pytest.mark.parametrize(
    ("options", "given", "answer"),
    [
        (["Yes.", "No."], " No. ", 1),
        (["Yes.", "No."], "A", 0),
        (["Yes.", "No."], "b", 1),
        (["Yes.", "No."], 0, 0),
        (["Yes.", "No."], 1, 1),
        (["B", "A", "C"], "A", 1),  # a text wins over a letter
        (["B", "C"], "A", 0),
        (["1", "0"], "0", 1),
        (["1", "0"], 0, 0),
    ],
)
def test_an_answer_is_a_text_a_letter_or_a_number(read, options, given, answer):
    (found,) = read(lines(ONE | {"options": options, "answer": given}))
    assert found.answer == answer


def test_csv_is_read_with_any_number_of_option_columns(read, capsys):
    head = "question,option2,passage,option1,option_c,answer,level"
    (found,) = read(f'{head}\n"Wet,\nor?",x,It rains,y,z,C,e\n', name="q.csv")
    assert found[1:] == ("It rains", "Wet, or?", ("x", "y", "z"), 2, "e", "")
    content = f"{HEAD},part\np,q,No,Yes,Yes,train\nr,s,a,b,A,test\n"
    found = read(content, name="q.csv")
    assert [(one.answer, one.part) for one in found] == [(1, "train"), (0, "test")]
    assert [one.place[-12:] for one in found] == ["q.csv line 2", "q.csv line 3"]
    assert capsys.readouterr().err == ""
    assert read(content.replace(",", ";"), name="q.csv")[1].options == ("a", "b")
    assert "separated by ';'" in capsys.readouterr().err


def test_a_file_is_a_set(read, tmp_path):
    records = [ASKED | {"passage": f"p {i // 2}"} for i in range(8)]
    read(lines(*records))
    data = ConfigDict({"name": "file", "path": str(tmp_path / "q.jsonl"), "level": "all"})
    found = choices.load(data, tmp_path, download=False)
    assert found.part is None and found.num_options == 2 and len(found.passages) == 4
    np.testing.assert_array_equal(found.passage, [0, 0, 1, 1, 2, 2, 3, 3])
    np.testing.assert_array_equal(found.answers, [1] * 8)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is empty; give a file of questions"),
        ("[]\n", "line 1 is no JSON object; give one question a line"),
        (lines(ASKED) + "{'a': 1}\n", "line 2 is no JSON .*one question a line"),
        (lines({k: v for k, v in ASKED.items() if k != "question"}), "line 1 has no question;"),
        (lines({k: v for k, v in ASKED.items() if k != "options"}), "line 1 has no options;"),
        (lines(ASKED, ONE), "line 2 has no answer; give passage, question, options and answer"),
        (lines(ASKED | {"passage": 3}), "line 1: passage is no text"),
        (lines(ASKED | {"level": 3}), "line 1: level is no text"),
        (lines(ASKED | {"options": "Yes"}), "line 1: options is no list of texts"),
        (lines(ASKED | {"options": [1, 2]}), "line 1: options is no list of texts"),
        (lines(ASKED | {"options": ["No."]}), "line 1 has 1 option; give two or more"),
        (lines(ASKED | {"options": ["No.", " "]}), "line 1: option 2 is empty"),
        (lines(ASKED | {"options": ["No.", " No. "]}), "line 1 has the option 'No.' twice"),
        (lines(ASKED, ASKED | {"options": ["a", "b", "No."]}), "line 2 has 3 options, .*1 has 2"),
        (lines(ASKED | {"passage": "\n"}), "line 1 has an empty passage"),
        (lines(ASKED | {"question": ""}), "line 1 has an empty question"),
        (lines(ASKED | {"answer": "C"}), r"line 1: answer 'C' is none .*letter \(A to B\)"),
        (lines(ASKED | {"answer": ""}), "line 1: answer '' is none of the options"),
        (lines(ASKED | {"answer": 2}), "line 1: answer 2 is none of the options"),
        (lines(ASKED | {"answer": -1}), "line 1: answer -1 is none of the options"),
        (lines(ASKED | {"answer": True}), "line 1: answer True is none of the options"),
        (lines(ASKED | {"part": "tset"}), "line 1: part: unknown 'tset'.*did you mean 'test'"),
        (lines(ASKED | {"part": "val"}, ASKED), "line 2 has no part, and others have one"),
    ],
)
def test_wrong_json_lines_are_refused_with_their_line(read, content, words):
    with pytest.raises(ConfigError, match=words) as caught:
        read(content)
    assert "\n" not in str(caught.value) and "q.jsonl" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (f"{HEAD}\n", "has no rows"),
        ("passage,question,option_a,option_b\np,q,a,b\n", "has no column 'answer'"),
        ("passage,qestion,option_a,option_b,answer\np,q,a,b,A\n", "did you mean 'qestion'"),
        ("passage,question,a,option_b,answer\np,q,a,b,A\n", "has 1 column whose name begins"),
        (f"{HEAD}\np,q,a,b,A\np,q,a,,A\n", "line 3: option 2 is empty"),
        (f"{HEAD}\np,q,a,b,A,extra\n", "line 2 has 6"),
        (f"{HEAD}\np,q,a,b,c\n", "line 2: answer 'c' is none of the options"),
        (f"{HEAD}\np,q,a,b,\n", "line 2: answer '' is none of the options"),
        (f"{HEAD}\n,q,a,b,A\n", "line 2 has an empty passage"),
        (f"{HEAD}\np,q,a,b,0\n", "line 2: answer '0' is none of the options"),
    ],
)
def test_wrong_csv_is_refused_with_its_line(read, content, words):
    with pytest.raises(ConfigError, match=words) as caught:
        read(content, name="q.csv")
    assert "\n" not in str(caught.value) and "q.csv" in str(caught.value)


def test_a_file_that_is_not_there_or_no_text(read, tmp_path):
    with pytest.raises(ConfigError, match=r"there is no file .*give a file of questions"):
        choice_files.read_file(str(tmp_path / "nowhere.jsonl"))
    with pytest.raises(ConfigError, match=r"data\.path: .* is not UTF-8 at byte"):
        read(lines(ASKED).encode() + b"\xff")


def test_questions_to_predict_need_no_answer(read, tmp_path):
    found = choice_files.read_questions([json.dumps(ONE), "", json.dumps(ASKED)])
    assert [one.answer for one in found] == [None, 1]
    assert [one.place for one in found] == ["standard input line 1", "standard input line 3"]
    read(lines(ONE), answered=False)
    assert choice_files.read_questions(tmp_path / "q.jsonl")[0].options == ("Yes.", "No.")
    for head, cells in ((HEAD, "p,q,a,b,"), (HEAD.removesuffix(",answer"), "p,q,a,b")):
        (one,) = read(f"{head}\n{cells}\n", name="q.csv", answered=False)
        assert one.answer is None and one.options == ("a", "b")
    with pytest.raises(ConfigError, match=r"config\.file: there is no file"):
        choice_files.read_questions(str(tmp_path / "nowhere"), key="config.file")
    with pytest.raises(ConfigError, match="standard input line 1: answer 'x' is none"):
        choice_files.read_questions([json.dumps(ONE | {"answer": "x"})])
    with pytest.raises(ConfigError, match="standard input has no questions"):
        choice_files.read_questions([])
