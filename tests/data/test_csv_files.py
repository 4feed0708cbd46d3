"""Labels and texts of CSV files, and what is said of files that are wrong."""

import functools
import os
from pathlib import Path

import numpy as np
import pytest
from csv_texts import ROWS, config, load_files, refusal

from dla_jax.config.checks import ConfigError
from dla_jax.data import labelled

DATA = os.environ.get("DLA_DATA_DIR")


@pytest.fixture
def read(tmp_path):
    return functools.partial(load_files, tmp_path)


@pytest.fixture
def refused(tmp_path):
    return functools.partial(refusal, tmp_path)


def test_a_file_with_names_in_its_first_row(read):
    found = read("id,label,text\n7,sport,Two goals\n8,news,A vote\n9,sport,A cup\n")
    assert found.texts == ("Two goals", "A vote", "A cup")
    assert found.class_names == ("news", "sport")
    assert found.name == "csv"
    np.testing.assert_array_equal(found.labels, [1, 0, 1])
    assert found.labels.dtype == np.int32 and found.test_start is None


def test_a_file_without_names_has_numbers_of_columns(read):
    rows, label = "Two goals,x,sport\nA vote,y,news\n", {"header": False, "label_column": "2"}
    found = read(rows, text_columns=("0", "1"), **label)
    assert found.texts == ("Two goals x", "A vote y") and found.class_names == ("news", "sport")
    # --config.data.text_columns=0,1 gives numbers
    assert read(rows, text_columns=(0, 1), **label).texts == found.texts


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["10", "9", "-1", "2"], ("-1", "2", "9", "10")),
        (["10", "9", "x"], ("10", "9", "x")),
        ([" b ", "a", "b"], ("a", "b")),
        (["²", "1"], ("1", "²")),
        (["--5", "1"], ("--5", "1")),
    ],
)
def test_labels_that_are_all_numbers_are_sorted_as_such(read, labels, names):
    found = read("label,text\n" + "".join(f"{label},text\n" for label in labels))
    assert found.class_names == names
    assert [names[i] for i in found.labels] == [label.strip() for label in labels]


def test_the_order_of_equal_numbers_does_not_depend_on_the_process(read):
    # A set of them comes in another order in most processes.
    zeros = ["0" * n + "1" for n in range(12)]
    found = read("label,text\n" + "".join(f"{label},text\n" for label in zeros))
    assert found.class_names in (tuple(zeros), tuple(zeros[::-1]))


def test_text_columns_are_joined_in_the_order_given(read):
    rows = "title,label,body\nA title,x,and a body\nAnother,y,\n,x,alone\n"
    found = read(rows, text_columns=("title", "body"))
    assert found.texts == ("A title and a body", "Another", "alone")
    found = read(rows.replace(",x,alone", "Only,x,alone"), text_columns=("body", "title"))
    assert found.texts[0] == "and a body A title"


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("a\\nb\\n\\nc\\n", "a b c"),
        ("  a \t b  ", "a b"),
        ('"a, b"', "a, b"),
        ('"a\nb\r\n c"', "a b c"),
        ('"a ""b"" c"', 'a "b" c'),
        ("a\u00a0\u2003b", "a b"),
        ("perché 天气 😀", "perché 天气 😀"),
        ('it\'s "so"', 'it\'s "so"'),
    ],
)
def test_each_text_becomes_one_line(read, written, text):
    assert read(f"label,text\nx,{written}\ny,other\n").texts == (text, "other")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_byte_order_mark_line_ends_and_empty_lines_do_not_matter(read, end):
    rows = end.join(["\ufefflabel,text", "x,a", "", "y,b", "", ""])
    assert read(rows).texts == ("a", "b")


def test_a_text_may_be_long(read):
    long = "word " * 100_000  # beyond what Python's reader takes by itself
    assert read(f"label,text\nx,{long}\ny,b\n").texts[0] == long.strip()


def test_a_test_file_is_the_official_test_part(read):
    train, test = "label,text\n2,a\n10,b\n2,c\n", "text,label\nd,10\ne,2\n"
    found = read(train, test, test_fraction=0.0)
    assert found.texts == ("a", "b", "c", "d", "e")
    assert found.class_names == ("2", "10")
    assert found.test_start == 3
    np.testing.assert_array_equal(found.labels, [0, 1, 0, 1, 0])


@pytest.mark.parametrize(
    ("contents", "changes", "words"),
    [
        (
            [ROWS],
            {"label_column": "labels"},
            ["data.label_column", "no column 'labels' (did you mean 'label'?); it has label, text"],
        ),
        (
            [ROWS],
            {"text_columns": ("text", "txt")},
            ["data.text_columns", "no column 'txt'", "did you mean 'text'?"],
        ),
        ([ROWS], {"header": False}, ["no column 'label'", "it has 0, 1", "data.header is false"]),
        (
            [ROWS],
            {"header": False, "label_column": "0", "text_columns": ("2",)},
            ["data.text_columns", "no column '2'", "it has 0, 1"],
        ),
        (['"a first text\nthat goes on",x\nb,y\n'], {}, ["no column 'label'", "a first text"]),
        (["label,text\nx,a\n ,b\ny,c\n"], {}, ["train.csv line 3", "has no label", "leave it out"]),
        (['label,text\n\nx,"a\nb\r\nc"\n\n ,b\ny,c\n'], {}, ["train.csv line 7 has no label"]),
        (
            ["label,text\nx,a\ny,\nx, \\n \ny,b\n"],
            {},
            ["2 texts are empty", "train.csv line 3", "leave them out"],
        ),
        (["label,text\nx,a\nx,b\n"], {}, ["train.csv", "one class only", "'x'"]),
        (
            ["label,text\nx,perché\ny,b\n".encode("latin-1")],
            {},
            ["data.path", "train.csv", "not UTF-8 at byte 18", "iconv -f latin1"],
        ),
        (
            [ROWS.encode("utf-16le")],
            {},
            ["data.path", "train.csv", "UTF-16 without a byte order mark", "iconv -f utf-16le"],
        ),
        (
            ['label,text\nx,"a\ny,b\n'],
            {},
            ["data.path", "train.csv", "cannot be read as CSV (line 2: ", "mend it"],
        ),
        (
            ['label,text\nz,"a\nb"\n\nx,"a"b\ny,b\n'],
            {},
            ["data.path", "cannot be read as CSV (line 5: "],
        ),
        (
            ['x,"a"b\ny,b\n'],
            {"header": False, "label_column": "0", "text_columns": ("1",)},
            ["cannot be read as CSV (line 1: "],
        ),
        ([""], {}, ["data.path", "train.csv", "has no rows", "give a CSV file"]),
        ([""], {"header": False}, ["data.path", "has no rows"]),
        (["label,text\n"], {}, ["data.path", "has no rows"]),
        ([None], {}, ["data.path", "no file", "train.csv", "give a CSV file"]),
        (
            [ROWS, "label,text\nx,a\nz,b\n"],
            {},
            ["test.csv line 3", "label 'z'", "none of the training part's", "x, y"],
        ),
        ([ROWS, "label,text\nx,\n"], {}, ["1 texts are empty", "test.csv line 2"]),
        ([ROWS, "label,words\nx,a\n"], {}, ["test.csv", "no column 'text'"]),
        ([ROWS, "label,text\n"], {}, ["data.test_path", "test.csv", "has no rows"]),
        (
            [ROWS, "label,text\nx,è\n".encode("latin-1")],
            {},
            ["data.test_path", "test.csv", "not UTF-8"],
        ),
    ],
)
def test_what_is_wrong_is_named_in_one_line(refused, contents, changes, words):
    message = refused(*contents, **changes)
    assert [word for word in words if word not in message] == []


def test_a_column_that_is_there_twice_is_refused_where_it_is_asked_for(read, refused):
    rows = "text,label,text,note,note\na,x,b,1,2\nc,y,d,3,4\n"
    message = refused(rows)
    assert "data.text_columns: " in message
    assert "has 2 columns 'text'; give each a name of its own" in message
    assert "data.label_column: " in refused(rows, label_column="note", text_columns=("label",))
    # Which of the others are alike does not matter.
    assert read(rows, label_column="label", text_columns=("label",)).texts == ("x", "y")


def test_a_message_stays_short_whatever_stands_in_the_file(refused):
    # A file without names, and nobody said so.
    assert len(refused(f"x,{'a long text ' * 1000}\ny,b\n")) < 1500


def test_other_files_that_are_not_there(tmp_path):
    nobody = ("~nobody_of_this_name/x.csv", "user who is not here")
    for path, words in ((str(tmp_path), "no file"), nobody):
        with pytest.raises(ConfigError, match=words):
            labelled.load(config(path=path), tmp_path, download=False)
    (tmp_path / "train.csv").write_text(ROWS)
    data = config(path=str(tmp_path / "train.csv"), test_path=str(tmp_path / "nowhere.csv"))
    with pytest.raises(ConfigError, match=r"data.test_path: there is no file .*nowhere.csv"):
        labelled.load(data, tmp_path, download=False)


@pytest.mark.skipif(
    not (DATA and Path(DATA, "text", "yahoo").is_dir()), reason="needs DLA_DATA_DIR with text/yahoo"
)
def test_real_questions_are_read(tmp_path):
    train, test = (str(Path(DATA, "text", "yahoo", f"{part}.csv")) for part in ("train", "test"))
    columns = {"header": False, "label_column": "1", "text_columns": ("0",)}
    data = config(path=train, test_path=test, test_fraction=0.0, **columns)
    found = labelled.load(data, tmp_path, download=False)
    assert len(found.class_names) == 2
    assert not [text for text in found.texts if "\n" in text or "\\n" in text]
    np.testing.assert_array_equal(np.bincount(found.labels[: found.test_start]), [2000, 2000])
