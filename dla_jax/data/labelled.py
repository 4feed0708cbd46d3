"""Labelled texts: from a CSV file, a prepared set, or the embedded docstrings; each text is one line."""

import csv
import functools
import hashlib
import io
import math
import re
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dla_jax.config.checks import ConfigError, check, check_choice, check_number, nearest
from dla_jax.config.files import expand
from dla_jax.data import docstrings, prepared, splits
from dla_jax.data.encoding import decode

DATASETS = ("docstrings", "csv", *prepared.TEXTS)
AG_COLUMNS = ("title", "description")
SEPARATORS = (",", ";", "\t", "|")  # of columns; the first is taken wherever it fits


class LabelledTexts(NamedTuple):
    """labels: int32 [N]. test_start: where the official test part begins, to the end; None where there is none.

    copies: int32 [N], the first text of the same words (`splits.copies_of`); None: not looked for.
    """

    name: str
    texts: tuple[str, ...]
    labels: np.ndarray
    class_names: tuple[str, ...]
    test_start: int | None
    copies: np.ndarray | None = None

    @property
    def identity(self) -> dict:
        """What a workdir remembers of its data: name, sizes, class names and a SHA-256 of texts and labels."""
        digest = hashlib.sha256(np.ascontiguousarray(self.labels))
        for text in self.texts:
            digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
        return {
            "name": self.name,
            "num_examples": len(self.labels),
            "num_classes": len(self.class_names),
            "class_names": list(self.class_names),
            "test_start": self.test_start,
            "fingerprint": digest.hexdigest()[:16],
        } | splits.counted_copies(self)


def check_config(data, data_dir: Path, download: bool) -> None:
    """Raises ConfigError for a `config.data` that cannot be read, before anything is read or fetched."""
    check_choice("data.name", data.name, DATASETS)
    check_number("data.val_fraction", data.val_fraction, above=0, below=0.5)
    if data.name == "csv":
        check(
            bool(data.path),
            "data.path is empty; give the CSV file of the training texts, as in --config.data.path=train.csv",
        )
        check(len(data.text_columns) > 0, "data.text_columns is empty; give at least one")
    official = data.name in prepared.TEXTS or (data.name == "csv" and data.test_path)
    if official:
        check(
            data.test_fraction == 0,
            f"data.test_fraction: {data.test_fraction} with data that has a test part; leave it at 0",
        )
    else:
        check(
            data.test_fraction > 0,
            f"data.test_fraction: {data.test_fraction}, and no test part; give a fraction, or "
            "--config.data.test_path=FILE",
        )
        check_number("data.test_fraction", data.test_fraction, below=0.5)
    if data.name in prepared.TEXTS:
        prepared.check_available(data.name, data_dir, download)


def load(data, data_dir: Path, download: bool) -> LabelledTexts:
    """The labelled texts of a `config.data`.

    `docstrings`: of installed packages (data/docstrings.py). `csv`: `data.path` and, where there is one, `data.test_path`.
    `ag_news_subset`: topics of news (Zhang et al. 2015, arXiv:1509.01626), prepared by tensorflow_datasets in `data_dir`.

    Raises:
      ConfigError: not there, not readable, an empty text, a label that only the test part has, or one class only.
    """
    if data.name == "docstrings":
        return docstrings_of()
    if data.name == "csv":
        columns = tuple(map(str, data.text_columns))  # --config.data.text_columns=1,2 gives numbers
        return load_csv(data.path, data.test_path, str(data.label_column), columns, data.header)
    rows, class_names, test_start = prepared.load_texts(data.name, data_dir, download)
    texts = [as_read(data.name, " ".join(row[column] for column in AG_COLUMNS)) for row in rows]
    return check_texts(
        LabelledTexts(
            data.name,
            tuple(texts),
            np.array([row["label"] for row in rows], np.int32),
            class_names,
            test_start,
        ),
        [f"{data.name} example {i}" for i in range(len(rows))],
        data.name,
    )


@functools.cache
def docstrings_of() -> LabelledTexts:
    """The embedded set."""
    texts, names = docstrings.collect()
    class_names = tuple(sorted(set(names)))
    return LabelledTexts(
        "docstrings",
        texts,
        np.array([class_names.index(name) for name in names], np.int32),
        class_names,
        None,
    )


def as_read(name: str, text: str) -> str:
    """A text as the set of that name has it; "" names a CSV file."""
    if name == "docstrings":
        return docstrings.clean(text)
    return one_line(
        [text.replace("\\", " ") if name in prepared.TEXTS else text]
    )  # where a backslash ends a line


def one_line(parts) -> str:
    """The parts joined, with single blanks for white space and for the `\\n` that some files have in words."""
    return " ".join(" ".join(parts).replace("\\n", " ").split())


@functools.lru_cache(maxsize=1)  # once for the check of a config and its run
def load_csv(
    path: str, test_path: str, label_column: str, text_columns: tuple[str, ...], header: bool
) -> LabelledTexts:
    """Texts and labels of CSV files.

    `label_column`, `text_columns`: names in the first row, or without `header` numbers of columns, 0 the first.
    """
    train = read_csv("data.path", path, label_column, text_columns, header)
    test = (
        read_csv("data.test_path", test_path, label_column, text_columns, header)
        if test_path
        else []
    )
    known = {label for _, label, _ in train}
    numbers = all(re.fullmatch("-?[0-9]+", label) for label in known)
    class_names = tuple(sorted(known, key=lambda label: (int(label) if numbers else 0, label)))
    for place, label, _ in test:
        check(
            label in known,
            f"{place}: label {label!r} is none of the training part's, {', '.join(class_names[:20])}; mend it",
        )
    rows, index = [*train, *test], {name: i for i, name in enumerate(class_names)}
    found = LabelledTexts(
        "csv",
        tuple(text for _, _, text in rows),
        np.array([index[label] for _, label, _ in rows], np.int32),
        class_names,
        len(train) if test else None,
    )
    return check_texts(found, [place for place, _, _ in rows], path)


def check_texts(found: LabelledTexts, places: list[str], where: str) -> LabelledTexts:
    """Return the same with its copies known. `places`: of the texts, `where`: of all.

    Raises:
      ConfigError: texts that are empty, or all of one class.
    """
    empty = [place for place, text in zip(places, found.texts, strict=True) if not text]
    check(
        not empty,
        f"{len(empty)} texts are empty, the first is {empty[0] if empty else ''}; leave them out of the file",
    )
    check(
        len(found.class_names) > 1,
        f"{where} has one class only, {''.join(found.class_names)!r}; there is nothing to learn",
    )
    return found._replace(
        copies=splits.copies_of(text.encode("utf-8", "surrogatepass") for text in found.texts)
    )


class Table(NamedTuple):
    """A CSV file under one separator. rows: without that of the names; lines: where each begins, from 1; error: what the reader
    stopped at, "" where it did not.
    """

    separator: str
    names: list[str]
    rows: list[list[str]]
    lines: list[int]
    error: str

    @property
    def ragged(self) -> list[int]:
        """Which rows have not as many cells as there are names."""
        return [i for i, row in enumerate(self.rows) if len(row) != len(self.names)]


def read_csv(
    key: str, path: str, label_column: str, text_columns: tuple[str, ...], header: bool
) -> list[tuple[str, str, str]]:
    """(where it stands, label, text) of each row. A separator other than a comma is named on standard error.

    Raises:
      ConfigError: no such file, no text, no CSV, no such column or two of it, or a row with more or fewer cells than others.
    """
    place = expand(key, path)
    check(place.is_file(), f"{key}: there is no file {path}; give a CSV file")
    try:
        content = place.read_bytes()
    except OSError as error:
        raise ConfigError(f"{key}: {path} cannot be read ({error.strerror})") from None
    found = choose_table(
        decode(content, f"{key}: {path}", str(place)), label_column, text_columns, header
    )
    comma, separator = found.separator == SEPARATORS[0], repr(found.separator).replace("\\t", "tab")
    shown = path if comma else f"{path}, separated by {separator},"
    check(not found.error, f"{key}: {shown} cannot be read as CSV ({found.error}); mend it")
    check(len(found.rows) > 0, f"{key}: {shown} has no rows; give a CSV file with texts and labels")
    columns, names = [], found.names
    for given, column in (
        ("data.label_column", label_column),
        *(("data.text_columns", column) for column in text_columns),
    ):
        listed = f"{one_line([', '.join(names)]):.300}"
        how = "" if header else "; data.header is false, so columns have numbers"
        check(
            column in names,
            f"{given}: {shown} has no column {column!r}{nearest(column, names)}; it has {listed}{how}",
        )
        count = names.count(column)
        check(
            count == 1,
            f"{given}: {path} has {count} columns {column!r}; give each a name of its own in the first row",
        )
        columns.append(names.index(column))
    ragged = found.ragged
    some = [f"line {found.lines[i]} has {len(found.rows[i])}" for i in ragged[:5]] + ["..."] * (
        len(ragged) > 5
    )
    check(
        not ragged,
        f"{key}: {shown} has {len(ragged)} of {len(found.rows)} rows with more or fewer cells than its "
        f"{len(names)} columns ({', '.join(some)}); put texts that hold {separator} in double quotes",
    )
    if not comma:
        print(f"{key}: {path} is separated by {separator}", file=sys.stderr)
    rows = []
    for line, row in zip(found.lines, found.rows, strict=True):
        label = row[columns[0]].strip()
        check(label != "", f"{path} line {line} has no label; mend it, or leave it out")
        rows.append((f"{path} line {line}", label, one_line(row[column] for column in columns[1:])))
    return rows


def choose_table(
    whole: str, label_column: str, text_columns: tuple[str, ...], header: bool
) -> Table:
    """Return the file under the separator that gives the columns, and rows of as many cells; the best guess where none does.

    Each separator is tried on all of the file: `csv.Sniffer` is mostly wrong about columns of prose.
    """
    wanted = {label_column, *text_columns}
    tables = [parse_csv(whole, SEPARATORS[0], wanted, header)]
    if beyond_doubt(tables[0], wanted, label_column, header):
        return tables[0]
    tables += [parse_csv(whole, separator, wanted, header) for separator in SEPARATORS[1:]]

    def merit(table):
        if wanted <= set(table.names):
            return True, -math.inf if table.error else -len(table.ragged)
        return False, len(table.names) if len(table.names) > 1 else 0

    return max(tables, key=merit)  # the first of equals


def beyond_doubt(table: Table, wanted: set[str], label_column: str, header: bool) -> bool:
    """Return whether it is this separator, though rows be ragged or damaged, whatever others would give."""
    if header or not wanted <= set(table.names):
        return wanted <= set(table.names)
    # Numbers of columns say little. Where every row is wide enough and labels come again, it is texts that were not quoted;
    # another separator that stands once in each row would cut them elsewhere.
    labels = [row[int(label_column)] for row in table.rows if len(row) > max(map(int, wanted))]
    return len(labels) == len(table.rows) >= 2 * len(set(labels))


def parse_csv(whole: str, separator: str, wanted: set[str], header: bool) -> Table:
    """Return what is read under a separator, without blank lines; where that has no `wanted` columns, the first row only.

    Without a header columns have numbers, as many as the first row has cells.
    """
    csv.field_size_limit(1 << 30)
    reader = csv.reader(io.StringIO(whole, newline=""), delimiter=separator, strict=True)
    names, rows, lines, begin, error = [], [], [], 1, ""
    try:
        for row in reader:
            if row and header and not names:
                names = row
            elif row:
                names = names or [str(number) for number in range(len(row))]
                rows.append(row)
                lines.append(begin)
                if len(rows) == 1 and not wanted <= set(names):
                    break
            begin = reader.line_num + 1  # a cell in quotes may go on over lines
    except csv.Error as stopped:
        error = f"line {begin}: {stopped}"
    return Table(separator, names, rows, lines, error)
