"""Labelled texts from CSV files, a prepared set and the embedded docstrings."""

import csv
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from ml_collections import ConfigDict
from prepared_folder import field

from dla_jax.config.checks import ConfigError
from dla_jax.data import docstrings, labelled

DATA = os.environ.get("DLA_DATA_DIR")
NEWS = {
    "train": [
        ("Oil", "Prices\\near a record", 2),
        ("Cup final", "Two goals", 1),
        ("", "Solo una descrizione, così", 0),
    ],
    "test": [("Chip", " is   fast ", 3), ("Vote", "counted\nagain", 0)],
}


def config(**changes):
    return ConfigDict(
        {
            "name": "csv",
            "path": "train.csv",
            "test_path": "",
            "header": True,
            "label_column": "label",
            "text_columns": ("text",),
            "lower": False,
            "val_fraction": 0.1,
            "test_fraction": 0.2,
        }
        | changes
    )


@pytest.fixture
def read(tmp_path):
    """Writes CSV files and reads them."""

    def read(train, test=None, **changes):
        for name, content in (("train", train), ("test", test)):
            if content is not None:
                (tmp_path / f"{name}.csv").write_bytes(
                    content if isinstance(content, bytes) else content.encode()
                )
        test_path = "" if test is None else str(tmp_path / "test.csv")
        labelled.load_csv.cache_clear()
        return labelled.load(
            config(path=str(tmp_path / "train.csv"), test_path=test_path, **changes),
            tmp_path,
            False,
        )

    return read


@pytest.fixture
def refused(read):
    def refused(*contents, **changes):
        with pytest.raises(ConfigError) as caught:
            read(*contents, **changes)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return refused


def test_a_file_with_names_in_its_first_row(read):
    found = read("id,label,text\n7,sport,Two goals\n8,news,A vote\n9,sport,A cup\n")
    assert (
        found.texts == ("Two goals", "A vote", "A cup")
        and found.class_names == ("news", "sport")
        and found.name == "csv"
    )
    np.testing.assert_array_equal(found.labels, [1, 0, 1])
    assert found.labels.dtype == np.int32 and found.test_start is None


def test_a_file_without_names_has_numbers_of_columns(read):
    found = read(
        "Two goals,x,sport\nA vote,y,news\n",
        header=False,
        label_column="2",
        text_columns=("0", "1"),
    )
    assert found.texts == ("Two goals x", "A vote y") and found.class_names == ("news", "sport")
    # --config.data.text_columns=0,1 gives numbers
    again = read(
        "Two goals,x,sport\nA vote,y,news\n", header=False, label_column="2", text_columns=(0, 1)
    )
    assert again.texts == found.texts


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
    assert found.class_names == names and [names[i] for i in found.labels] == [
        label.strip() for label in labels
    ]


def test_the_order_of_equal_numbers_does_not_depend_on_the_process(read):
    zeros = [
        "0" * n + "1" for n in range(12)
    ]  # a set of them comes in another order in most processes
    found = read("label,text\n" + "".join(f"{label},text\n" for label in zeros))
    assert found.class_names in (tuple(zeros), tuple(zeros[::-1]))


def test_text_columns_are_joined_in_the_order_given(read):
    rows = "title,label,body\nA title,x,and a body\nAnother,y,\n,x,alone\n"
    assert read(rows, text_columns=("title", "body")).texts == (
        "A title and a body",
        "Another",
        "alone",
    )
    assert (
        read(rows.replace(",x,alone", "Only,x,alone"), text_columns=("body", "title")).texts[0]
        == "and a body A title"
    )


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
    assert (
        found.texts == ("a", "b", "c", "d", "e")
        and found.class_names == ("2", "10")
        and found.test_start == 3
    )
    np.testing.assert_array_equal(found.labels, [0, 1, 0, 1, 0])


ROWS = "label,text\nx,a\ny,b\n"


@pytest.mark.parametrize(
    ("contents", "changes", "words"),
    [
        (
            [ROWS],
            {"label_column": "labels"},
            [
                "data.label_column",
                "train.csv",
                "no column 'labels'",
                "did you mean 'label'?",
                "label, text",
            ],
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


NUMBERS = {"header": False, "label_column": "0", "text_columns": ("1",)}


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
        (
            "label,text\nsport,a,\nnews,b\n",
            {},
            "(line 2 has 3);",
        ),  # even where what is left over is empty
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
            "separated by ';', has 1 of 2 rows with more or fewer cells than its 2 columns (line 2 has 3); put texts that hold ';' in",
        ),
        (
            "label\ttext\nsport\ta\tb\nnews\tc\n",
            {},
            "separated by 'tab', has 1 of 2 rows with more or fewer cells than its 2 columns (line 2 has 3); put texts that hold 'tab' in",
        ),
        (
            "text\nSo, goal\nA vote\n",
            {"label_column": "text"},
            "1 of 2 rows with more or fewer cells than its 1 columns (line 2 has 2);",
        ),  # '|' fits, and is not there
    ],
)
def test_rows_with_other_cells_than_the_first_are_named_by_their_lines(
    refused, content, changes, words
):
    """A comma that nobody quoted cut the text before: `So` of `So, goal 3 again`."""
    message = refused(content, **changes)
    assert (
        words in message
        and message.startswith("data.path: ")
        and message.endswith("in double quotes")
        and "train.csv" in message
    )


def test_rows_of_a_test_file_are_counted_in_that_file(refused):
    message = refused(ROWS, "label,text\nx,a\ny,b,c\n")
    assert (
        message.startswith("data.test_path: ")
        and "test.csv has 1 of 2 rows" in message
        and "(line 3 has 3)" in message
    )


def test_a_column_that_is_there_twice_is_refused_where_it_is_asked_for(read, refused):
    rows = "text,label,text,note,note\na,x,b,1,2\nc,y,d,3,4\n"
    message = refused(rows)
    assert (
        "data.text_columns: " in message
        and "has 2 columns 'text'; give each a name of its own" in message
    )
    assert "data.label_column: " in refused(rows, label_column="note", text_columns=("label",))
    assert read(rows, label_column="label", text_columns=("label",)).texts == (
        "x",
        "y",
    )  # which of the others are alike does not matter


def quoted(rows, separator):
    """The rows as Excel writes them."""
    file = io.StringIO()
    csv.writer(file, delimiter=separator).writerows(rows)
    return file.getvalue()


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


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize(
    ("separator", "name"), [(",", ""), (";", "';'"), ("\t", "'tab'"), ("|", "'|'")]
)
def test_the_separator_is_found_and_named(read, capsys, separator, name, header):
    found = read(
        quoted([["label", "text"]] * header + PROSE * 3, separator), **{} if header else NUMBERS
    )
    assert found.texts == tuple(
        " ".join(text.split()) for _, text in PROSE * 3
    ) and found.class_names == ("news", "sport")
    error = capsys.readouterr().err
    assert error.count("\n") == (1 if name else 0) and error.endswith(
        f"train.csv is separated by {name}\n" if name else ""
    )
    assert error.startswith("data.path: " if name else "")


def test_each_file_has_its_own_separator(read, capsys):
    found = read("label;text\nx;a, b\ny;c\n", "text\tlabel\nd; e, f\ty\n", test_fraction=0.0)
    assert found.texts == ("a, b", "c", "d; e, f") and found.test_start == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[0] for line in lines] == ["data.path", "data.test_path"]
    assert lines[0].endswith("train.csv is separated by ';'") and lines[1].endswith(
        "test.csv is separated by 'tab'"
    )


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
    assert found.texts == tuple(
        " ".join(line.split(",")[1].split())
        for line in content.splitlines()[changes.get("header", True) :]
    )
    assert capsys.readouterr().err == ""


def test_what_separates_elsewhere_by_chance_is_not_taken_for_the_separator(refused):
    """Without a header both have two columns and even rows under it; but labels that come again stand before a comma."""
    rows = [
        f"{label},So{', goal' * (i % 3)}; number {i}\n"
        for i in range(10)
        for label in ("sport", "news")
    ]
    assert "train.csv has 12 of 20 rows with more or fewer cells than its 2 columns" in refused(
        "".join(rows), **NUMBERS
    )
    hierarchy = "".join(row.replace(",", "|x,", 1).replace(";", "") for row in rows)
    assert "train.csv has 12 of 20 rows" in refused(hierarchy, **NUMBERS)


def test_commas_in_every_text_are_not_the_separator(read, capsys):
    """Nor is a quotation behind one, which under a comma is no CSV."""
    rows = "".join(
        f"{label};{i}, she said{', and said' * (i % 3)}\n"
        for i in range(10)
        for label in ("sport", "news")
    )
    for content in (
        rows,
        rows + 'sport;so,"no" one\n',
        'sport;so,"no" one\nnews;a\n',
        'sport;a, b\nnews;c,"d" e\n',
    ):
        assert read(content, **NUMBERS).class_names == ("news", "sport")
        assert capsys.readouterr().err.endswith("train.csv is separated by ';'\n")


def test_a_damaged_row_does_not_change_the_separator(refused):
    rows = "".join(f"{label},number {i}; so\n" for i in range(10) for label in ("sport", "news"))
    assert "train.csv cannot be read as CSV (line 21: " in refused(
        rows + 'news,"a"b; c\n', **NUMBERS
    )
    assert "train.csv, separated by ';', cannot be read as CSV (line 2: " in refused(
        'label;text\nx;"a"b\ny;c\n'
    )


def test_of_a_separator_without_the_columns_one_row_is_kept():
    content = "\n\nlabel;text\n\nx;a\ny;b\n"
    assert labelled.parse_csv(content, ",", {"label", "text"}, True) == (
        ",",
        ["label;text"],
        [["x;a"]],
        [5],
        "",
    )
    assert labelled.parse_csv(content, ";", {"label"}, True) == (
        ";",
        ["label", "text"],
        [["x", "a"], ["y", "b"]],
        [5, 6],
        "",
    )
    assert labelled.parse_csv(content, ";", {"1"}, False) == (
        ";",
        ["0", "1"],
        [["label", "text"], ["x", "a"], ["y", "b"]],
        [3, 5, 6],
        "",
    )


def test_columns_that_no_separator_gives_are_listed_under_the_best(refused):
    message = refused("kind;text\nx;a, b\ny;c\n")
    assert "train.csv, separated by ';', has no column 'label'" in message and message.endswith(
        "it has kind, text"
    )
    assert "train.csv has no column 'label'; it has kind, text" in refused(
        "kind,text\nx,a; b; c\ny,c;\n"
    )
    assert message.startswith("data.label_column: ")
    message = refused("just a line\nand another\n")
    assert "train.csv has no column 'label'; it has just a line" in message
    assert "it has 0, 1; data.header is false" in refused(
        "x\ta, b\ny\tc, d\n", **NUMBERS | {"text_columns": ("2",)}
    )


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_what_excel_writes_is_read(read, encoding):
    """Its "Unicode text" is UTF-16 with tabs, its "CSV" has semicolons where a comma is in numbers."""
    for separator in "\t;,":
        assert (
            read(quoted([["label", "text"], *PROSE], separator).encode(encoding)).texts[4]
            == 'he said "yes", twice;'
        )


def test_a_large_file_is_read_once_under_a_comma(read, monkeypatch):
    seen, reader = [], csv.reader
    monkeypatch.setattr(
        csv,
        "reader",
        lambda *arguments, delimiter, **others: (
            seen.append(delimiter) or reader(*arguments, delimiter=delimiter, **others)
        ),
    )
    read(ROWS)
    assert seen == [","]


def test_a_message_stays_short_whatever_stands_in_the_file(refused):
    assert (
        len(refused(f"x,{'a long text ' * 1000}\ny,b\n")) < 1500
    )  # a file without names, and nobody said so


def test_other_files_that_are_not_there(tmp_path):
    for path, words in (
        (str(tmp_path), "no file"),
        ("~nobody_of_this_name/x.csv", "user who is not here"),
    ):
        with pytest.raises(ConfigError, match=words):
            labelled.load(config(path=path), tmp_path, False)
    (tmp_path / "train.csv").write_text(ROWS)
    with pytest.raises(ConfigError, match=r"data.test_path: there is no file .*nowhere.csv"):
        labelled.load(
            config(path=str(tmp_path / "train.csv"), test_path=str(tmp_path / "nowhere.csv")),
            tmp_path,
            False,
        )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "docstring"}, "data.name: .*did you mean 'docstrings'"),
        ({"name": "cifar10"}, "data.name: unknown"),
        ({"path": ""}, "data.path is empty"),
        ({"text_columns": ()}, "data.text_columns is empty"),
        ({"val_fraction": 0.0}, "data.val_fraction"),
        ({"val_fraction": 0.5}, "data.val_fraction"),
        ({"val_fraction": "a"}, "val_fraction"),
        ({"test_fraction": 0.0}, "data.test_fraction: 0.0, and no test part"),
        ({"test_path": "x.csv"}, "data.test_fraction: 0.2 .*has a test part"),
        ({"name": "ag_news_subset"}, "data.test_fraction: 0.2 .*has a test part"),
        ({"name": "ag_news_subset", "test_fraction": 0.0}, "ag_news_subset is not in .*--download"),
        ({"name": "docstrings", "test_fraction": 0.5}, "data.test_fraction"),
    ],
)
def test_wrong_keys_are_refused(changes, words, tmp_path):
    with pytest.raises(ConfigError, match=words) as caught:
        labelled.check_config(config(**changes), tmp_path, False)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"test_path": "x.csv", "test_fraction": 0.0},
        {"name": "docstrings", "path": "", "text_columns": ()},
    ],
)
def test_right_keys_are_taken(changes, tmp_path):
    labelled.check_config(config(**changes), tmp_path, False)


def test_the_identity_is_that_of_texts_labels_and_order():
    found = labelled.LabelledTexts(
        "x", ("ab", "c", "d"), np.array([0, 1, 1], np.int32), ("no", "yes"), None
    )
    others = [
        found._replace(texts=("ab", "c", "e")),
        found._replace(texts=("a", "bc", "d")),
        found._replace(texts=("c", "ab", "d")),
        found._replace(labels=np.array([0, 1, 0], np.int32)),
        found._replace(labels=np.array([1, 0, 1], np.int32)),
    ]
    prints = [each.identity["fingerprint"] for each in (found, *others)]
    assert len(set(prints)) == 6
    assert found._replace(labels=np.array([0, 1, 1, 7], np.int32)[:3]).identity == found.identity
    renamed = found._replace(class_names=("nein", "ja")).identity
    assert renamed != found.identity and renamed["class_names"] == ["nein", "ja"]
    assert json.loads(json.dumps(found.identity)) == found.identity  # which a workdir compares
    assert (
        found.identity["num_examples"],
        found.identity["num_classes"],
        found.identity["name"],
    ) == (3, 2, "x")


def test_the_docstrings_are_a_class_a_package(monkeypatch, tmp_path):
    monkeypatch.setattr(docstrings, "collect", lambda: (("c", "a", "b"), ("scipy", "jax", "scipy")))
    labelled.docstrings_of.cache_clear()
    try:
        found = labelled.load(config(name="docstrings"), tmp_path, False)
    finally:
        labelled.docstrings_of.cache_clear()
    assert (
        found.texts == ("c", "a", "b")
        and found.class_names == ("jax", "scipy")
        and found.test_start is None
    )
    np.testing.assert_array_equal(found.labels, [1, 0, 1])


def write_news(
    data_dir: Path, parts=NEWS, names=("World", "Sports", "Business", "Sci/Tech")
) -> Path:
    """AG News as tensorflow_datasets prepares it, by hand."""
    from array_record.python.array_record_module import ArrayRecordWriter

    folder, splits = data_dir / "ag_news_subset" / "1.0.0", []
    folder.mkdir(parents=True)
    for split, rows in parts.items():
        writer = ArrayRecordWriter(
            str(folder / f"ag_news_subset-{split}.array_record-00000-of-00001"), "group_size:1"
        )
        for title, description, label in rows:
            texts = {
                "title": field(1, field(1, title.encode())),
                "description": field(1, field(1, description.encode())),
            }
            features = texts | {"label": field(3, field(1, bytes([label])))}
            writer.write(
                field(
                    1,
                    b"".join(
                        field(1, field(1, name.encode()) + field(2, value))
                        for name, value in features.items()
                    ),
                )
            )
        writer.close()
        splits.append(
            {
                "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
                "name": split,
                "numBytes": "1",
                "shardLengths": [str(len(rows))],
            }
        )
    (folder / "dataset_info.json").write_text(
        json.dumps(
            {
                "name": "ag_news_subset",
                "version": "1.0.0",
                "fileFormat": "array_record",
                "moduleName": "tensorflow_datasets.datasets.ag_news_subset.ag_news_subset_dataset_builder",
                "splits": splits,
            }
        )
    )
    place = "tensorflow_datasets.core.features"
    text = {"pythonClassName": f"{place}.text_feature.Text", "text": {}}
    label = {
        "pythonClassName": f"{place}.class_label_feature.ClassLabel",
        "classLabel": {"numClasses": "4"},
    }
    (folder / "features.json").write_text(
        json.dumps(
            {
                "pythonClassName": f"{place}.features_dict.FeaturesDict",
                "featuresDict": {"features": {"description": text, "label": label, "title": text}},
            }
        )
    )
    (folder / "label.labels.txt").write_text("\n".join(names) + "\n")
    return folder


def news(data_dir):
    return labelled.load(config(name="ag_news_subset", test_fraction=0.0), data_dir, False)


def test_a_prepared_set_is_read_title_first_and_its_test_part_is_official(tmp_path):
    write_news(tmp_path)
    labelled.check_config(config(name="ag_news_subset", test_fraction=0.0), tmp_path, False)
    found = news(tmp_path)
    assert found.texts[1:] == (
        "Cup final Two goals",
        "Solo una descrizione, così",
        "Chip is fast",
        "Vote counted again",
    )
    np.testing.assert_array_equal(found.labels, [2, 1, 0, 3, 0])
    assert (
        found.class_names == ("World", "Sports", "Business", "Sci/Tech")
        and found.test_start == 3
        and found.name == "ag_news_subset"
    )


def test_a_backslash_of_ag_news_is_a_line_end_and_takes_no_letter_along(tmp_path):
    write_news(tmp_path)
    assert news(tmp_path).texts[0] == "Oil Prices near a record"


@pytest.mark.parametrize("damage", ["shard", "info", "names", "empty"])
def test_a_damaged_prepared_set_is_refused(tmp_path, damage):
    parts = NEWS | ({"test": [("", " ", 1)]} if damage == "empty" else {})
    folder = write_news(
        tmp_path, parts, names=("World", "Sports") if damage == "names" else ("W", "S", "B", "T")
    )
    if damage == "shard":
        shard = next(folder.glob("*train*"))
        shard.write_bytes(shard.read_bytes()[:100])
    elif damage == "info":
        (folder / "dataset_info.json").write_text("{")
    with pytest.raises(ConfigError) as caught:
        news(tmp_path)
    assert "\n" not in str(caught.value) and "ag_news_subset" in str(caught.value)


@pytest.mark.skipif(
    not (DATA and Path(DATA, "tfds", "ag_news_subset").is_dir()),
    reason="needs DLA_DATA_DIR with ag_news_subset in tfds/",
)
def test_the_real_ag_news_is_what_it_is_known_to_be():
    found = news(Path(DATA, "tfds"))
    assert found.class_names == ("World", "Sports", "Business", "Sci/Tech")
    assert len(found.texts) - found.test_start == 7600 and set(
        found.labels[: found.test_start]
    ) == {0, 1, 2, 3}
    np.testing.assert_array_equal(np.bincount(found.labels[found.test_start :]), [1900] * 4)
    first = (
        "Fears for T N pension after talks Unions representing workers at Turner Newall say they are 'disappointed' after "
        "talks with stricken parent firm Federal Mogul."
    )
    assert found.labels[found.test_start + found.texts[found.test_start :].index(first)] == 2
    assert not [text for text in found.texts if text != " ".join(text.split())]


@pytest.mark.skipif(
    not (DATA and Path(DATA, "text", "yahoo").is_dir()), reason="needs DLA_DATA_DIR with text/yahoo"
)
def test_real_questions_are_read(tmp_path):
    paths = {
        "path": str(Path(DATA, "text", "yahoo", "train.csv")),
        "test_path": str(Path(DATA, "text", "yahoo", "test.csv")),
    }
    found = labelled.load(
        config(**paths, header=False, label_column="1", text_columns=("0",), test_fraction=0.0),
        tmp_path,
        False,
    )
    assert len(found.class_names) == 2 and not [
        text for text in found.texts if "\n" in text or "\\n" in text
    ]
    np.testing.assert_array_equal(np.bincount(found.labels[: found.test_start]), [2000, 2000])
