"""The separator of a CSV file is found, and rows that do not fit it are named."""

import csv
import functools
import io

import pytest
from csv_texts import NUMBERS, ROWS, load_files, refusal

from dla_jax.data import csv_files

PROSE = [  # each of the separators, in every number
    ["sport", "So, goal 3 again; and | again"],
    ["news", "one; two; three; four"],
    ["sport", "a\tb | c | d\te"],
    ["news", "plain"],
    ["sport", 'he said "yes", twice;'],
    ["news", "two\nlines, and; more\n\nlines"],
    ["sport", "perché; 天气, 😀"],
    ["news", ";;;,,,|||"],
]


LABELS_IN_TURN = [(i, label) for i in range(10) for label in ("sport", "news")]


@pytest.fixture
def read(tmp_path):
    return functools.partial(load_files, tmp_path)


@pytest.fixture
def refused(tmp_path):
    return functools.partial(refusal, tmp_path)


def quoted(rows, separator):
    """Write rows as Excel does."""
    file = io.StringIO()
    csv.writer(file, delimiter=separator).writerows(rows)
    return file.getvalue()


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize(
    ("separator", "name"), [(",", ""), (";", "';'"), ("\t", "'tab'"), ("|", "'|'")]
)
def test_the_separator_is_found_and_named(read, capsys, separator, name, header):
    rows = [["label", "text"]] * header + PROSE * 3
    found = read(quoted(rows, separator), **{} if header else NUMBERS)
    assert found.texts == tuple(" ".join(text.split()) for _, text in PROSE * 3)
    assert found.class_names == ("news", "sport")
    error = capsys.readouterr().err
    assert error.count("\n") == (1 if name else 0)
    assert error.endswith(f"train.csv is separated by {name}\n" if name else "")
    assert error.startswith("data.path: " if name else "")


def test_each_file_has_its_own_separator(read, capsys):
    found = read("label;text\nx;a, b\ny;c\n", "text\tlabel\nd; e, f\ty\n", test_fraction=0.0)
    assert found.texts == ("a, b", "c", "d; e, f") and found.test_start == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[0] for line in lines] == ["data.path", "data.test_path"]
    assert lines[0].endswith("train.csv is separated by ';'")
    assert lines[1].endswith("test.csv is separated by 'tab'")


@pytest.mark.parametrize(
    ("content", "changes"),
    [
        ("label,text\nx,a; b\ny,c; d\n", {}),  # a semicolon in each text, once
        ("x,a; b\ny,c; d\n", NUMBERS),
        ("a|b,c; d\na|c,e; f\n" * 3, NUMBERS),  # and a bar in each label
        ("label;x,text\na|b,c\nd|e,f\n", {"label_column": "label;x"}),
        ("x,a\tb\ny,c\td\n", NUMBERS),
    ],
)
def test_a_comma_is_taken_wherever_it_fits(read, capsys, content, changes):
    found = read(content, **changes)
    rows = content.splitlines()[changes.get("header", True) :]
    assert found.texts == tuple(" ".join(row.split(",")[1].split()) for row in rows)
    assert capsys.readouterr().err == ""


def test_what_separates_elsewhere_by_chance_is_not_taken_for_the_separator(refused):
    """Without a header both files have two columns and even rows under a semicolon.

    But labels that come again stand before a comma.
    """
    rows = [f"{label},So{', goal' * (i % 3)}; number {i}\n" for i, label in LABELS_IN_TURN]
    message = refused("".join(rows), **NUMBERS)
    assert "train.csv has 12 of 20 rows with more or fewer cells than its 2 columns" in message
    hierarchy = "".join(row.replace(",", "|x,", 1).replace(";", "") for row in rows)
    assert "train.csv has 12 of 20 rows" in refused(hierarchy, **NUMBERS)


def test_commas_in_every_text_are_not_the_separator(read, capsys):
    """Nor is a quotation behind one, which under a comma is no CSV."""
    said = [f"{label};{i}, she said{', and said' * (i % 3)}\n" for i, label in LABELS_IN_TURN]
    rows, quotation = "".join(said), 'sport;so,"no" one\n'
    short = (quotation + "news;a\n", 'sport;a, b\nnews;c,"d" e\n')
    for content in (rows, rows + quotation, *short):
        assert read(content, **NUMBERS).class_names == ("news", "sport")
        assert capsys.readouterr().err.endswith("train.csv is separated by ';'\n")


def test_a_damaged_row_does_not_change_the_separator(refused):
    rows = "".join(f"{label},number {i}; so\n" for i, label in LABELS_IN_TURN)
    message = refused(rows + 'news,"a"b; c\n', **NUMBERS)
    assert "train.csv cannot be read as CSV (line 21: " in message
    message = refused('label;text\nx;"a"b\ny;c\n')
    assert "train.csv, separated by ';', cannot be read as CSV (line 2: " in message


@pytest.mark.parametrize(
    ("content", "changes", "words"),
    [
        (
            "label,text\nsport,So, goal 3 again\nnews,A vote\n",
            {},
            "has 1 of 2 rows with more or fewer cells than its 2 columns (line 2 has 3);",
        ),
        (
            "label,text\nsport,a\nnews\nnews,b\n",
            {},
            "1 of 3 rows with more or fewer cells than its 2 columns (line 3 has 1);",
        ),
        # Even where what is left over is empty.
        ("label,text\nsport,a,\nnews,b\n", {}, "(line 2 has 3);"),
        (
            'id,label,text\n\n1,sport,"two\nlines"\n\n2,"a\n\nb",c,d,e\n3,news\n',
            {},
            "2 of 3 rows with more or fewer cells than its 3 columns (line 6 has 5, line 9 has 2);",
        ),
        ("label,text\r\nsport,a\r\n\r\nnews,b,c\r\n", {}, "(line 4 has 3);"),
        ("label,text\rsport,a\rnews,b,c\r", {}, "(line 3 has 3);"),
        (
            "label,text\n" + "sport,a,b\n" * 9 + "news,a\n",
            {},
            "9 of 10 rows with more or fewer cells than its 2 columns (line 2 has 3, line 3 has 3, "
            "line 4 has 3, line 5 has 3, line 6 has 3, ...);",
        ),
        (
            "sport,a\nnews,So, goal\n",
            NUMBERS,
            "1 of 2 rows with more or fewer cells than its 2 columns (line 2 has 3);",
        ),
        (
            "sport,So, goal\nnews,a\n",
            NUMBERS,
            "1 of 2 rows with more or fewer cells than its 3 columns (line 2 has 2);",
        ),
        (
            "label;text\nsport;a; b\nnews;c, d, e\n",
            {},
            "separated by ';', has 1 of 2 rows with more or fewer cells than its 2 columns "
            "(line 2 has 3); put texts that hold ';' in",
        ),
        (
            "label\ttext\nsport\ta\tb\nnews\tc\n",
            {},
            "separated by 'tab', has 1 of 2 rows with more or fewer cells than its 2 columns "
            "(line 2 has 3); put texts that hold 'tab' in",
        ),
        (  # '|' fits, and is not there
            "text\nSo, goal\nA vote\n",
            {"label_column": "text"},
            "1 of 2 rows with more or fewer cells than its 1 columns (line 2 has 2);",
        ),
    ],
)
def test_rows_with_other_cells_than_the_first_are_named_by_their_lines(
    refused, content, changes, words
):
    """A comma that nobody quoted cut the text before: `So` of `So, goal 3 again`."""
    message = refused(content, **changes)
    assert words in message
    assert message.startswith("data.path: ")
    assert message.endswith("in double quotes")
    assert "train.csv" in message


def test_rows_of_a_test_file_are_counted_in_that_file(refused):
    message = refused(ROWS, "label,text\nx,a\ny,b,c\n")
    assert message.startswith("data.test_path: ")
    assert "test.csv has 1 of 2 rows" in message
    assert "(line 3 has 3)" in message


def test_of_a_separator_without_the_columns_one_row_is_kept():
    content = "\n\nlabel;text\n\nx;a\ny;b\n"
    found = csv_files.parse_csv(content, ",", {"label", "text"}, header=True)
    assert found == (",", ["label;text"], [["x;a"]], [5], "")
    found = csv_files.parse_csv(content, ";", {"label"}, header=True)
    assert found == (";", ["label", "text"], [["x", "a"], ["y", "b"]], [5, 6], "")
    found = csv_files.parse_csv(content, ";", {"1"}, header=False)
    rows = [["label", "text"], ["x", "a"], ["y", "b"]]
    assert found == (";", ["0", "1"], rows, [3, 5, 6], "")


def test_columns_that_no_separator_gives_are_listed_under_the_best(refused):
    message = refused("kind;text\nx;a, b\ny;c\n")
    assert "train.csv, separated by ';', has no column 'label'" in message
    assert message.endswith("it has kind, text")
    assert message.startswith("data.label_column: ")
    message = refused("kind,text\nx,a; b; c\ny,c;\n")
    assert "train.csv has no column 'label'; it has kind, text" in message
    message = refused("just a line\nand another\n")
    assert "train.csv has no column 'label'; it has just a line" in message
    message = refused("x\ta, b\ny\tc, d\n", **NUMBERS | {"text_columns": ("2",)})
    assert "it has 0, 1; data.header is false" in message


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_what_excel_writes_is_read(read, encoding):
    """Its "Unicode text" is UTF-16 with tabs, its "CSV" has semicolons if numbers have commas."""
    for separator in "\t;,":
        content = quoted([["label", "text"], *PROSE], separator).encode(encoding)
        assert read(content).texts[4] == 'he said "yes", twice;'


def test_a_large_file_is_read_once_under_a_comma(read, monkeypatch):
    seen, reader = [], csv.reader

    def counting(*arguments, delimiter, **others):
        seen.append(delimiter)
        return reader(*arguments, delimiter=delimiter, **others)

    monkeypatch.setattr(csv, "reader", counting)
    read(ROWS)
    assert seen == [","]
