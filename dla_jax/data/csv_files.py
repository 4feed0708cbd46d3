"""CSV files of labels and texts: the separator is found, and each row is (place, label, text)."""

import csv
import io
import math
import sys
from typing import NamedTuple

from dla_jax.config.checks import ConfigError, check, nearest
from dla_jax.config.files import expand
from dla_jax.data.encoding import decode

SEPARATORS = (",", ";", "\t", "|")  # of columns; the first is taken wherever it fits


class Table(NamedTuple):
    """A CSV file under one separator.

    rows: without that of the names.
    lines: where each row begins, from 1.
    error: what the reader stopped at, "" where it did not.
    """

    separator: str
    names: list[str]
    rows: list[list[str]]
    lines: list[int]
    error: str

    @property
    def ragged(self) -> list[int]:
        """Return the positions of the rows that have not as many cells as there are names."""
        return [i for i, row in enumerate(self.rows) if len(row) != len(self.names)]


def one_line(parts) -> str:
    """Join parts with single blanks for white space and for the `\\n` that some files spell out."""
    return " ".join(" ".join(parts).replace("\\n", " ").split())


def read_csv(
    key: str, path: str, label_column: str, text_columns: tuple[str, ...], header: bool
) -> list[tuple[str, str, str]]:
    """Read (where it stands, label, text) of each row of a CSV file.

    A separator other than a comma is named on standard error.

    Args:
      key: of the config, which names the file in messages.
      label_column, text_columns: names in the first row, or without `header` numbers, from 0.

    Raises:
      ConfigError: no such file, no text, no CSV, no such column or two of it, a row with more or
        fewer cells than others, or one without a label.
    """
    wanted = [("data.label_column", label_column)]
    wanted += [("data.text_columns", column) for column in text_columns]
    table = parse_table(key, path, read_text(key, path), wanted, header)
    columns = [table.names.index(column) for _, column in wanted]
    rows = []
    for line, row in zip(table.lines, table.rows, strict=True):
        place, label = f"{path} line {line}", row[columns[0]].strip()
        check(label != "", f"{place} has no label; mend it, or leave it out")
        rows.append((place, label, one_line(row[column] for column in columns[1:])))
    return rows


def parse_table(
    key: str, path: str, whole: str, wanted: list[tuple[str, str]], header: bool
) -> Table:
    """Parse the text of a CSV file that has certain columns.

    A separator other than a comma is named on standard error.

    Args:
      key: of the config, which names the file in messages.
      wanted: (key that asks for the column, its name) of each; the first is that of the labels.

    Raises:
      ConfigError: no CSV, no rows, no such column or two of it, a row with more or fewer cells.
    """
    label_column, *text_columns = (column for _, column in wanted)
    table = choose_table(whole, label_column, tuple(text_columns), header)
    comma, separator = table.separator == SEPARATORS[0], repr(table.separator).replace("\\t", "tab")
    shown = path if comma else f"{path}, separated by {separator},"
    check(not table.error, f"{key}: {shown} cannot be read as CSV ({table.error}); mend it")
    check(len(table.rows) > 0, f"{key}: {shown} has no rows; give a CSV file with texts and labels")
    check_columns(wanted, table.names, path, shown, header)
    check_cells(f"{key}: {shown}", table, separator)
    if not comma:
        print(f"{key}: {path} is separated by {separator}", file=sys.stderr)
    return table


def read_text(key: str, path: str, kind: str = "a CSV file") -> str:
    """Return the text of a file; raise ConfigError where there is none.

    `kind`: what a message asks for.
    """
    place = expand(key, path)
    check(place.is_file(), f"{key}: there is no file {path}; give {kind}")
    try:
        content = place.read_bytes()
    except OSError as error:
        raise ConfigError(f"{key}: {path} cannot be read ({error.strerror})") from None
    return decode(content, f"{key}: {path}", str(place))


def check_columns(
    wanted: list[tuple[str, str]], names: list[str], path: str, shown: str, header: bool
) -> None:
    """Raise ConfigError for a column that is not there, or is there twice.

    Args:
      wanted: (key that asks for the column, its name) of each.
      names: of the columns that are there.
      path, shown: the file as it was given, and as a message names it.
    """
    listed = f"{one_line([', '.join(names)]):.300}"
    listed += "" if header else "; data.header is false, so columns have numbers"
    for key, column in wanted:
        near, count = nearest(column, names), names.count(column)
        check(count > 0, f"{key}: {shown} has no column {column!r}{near}; it has {listed}")
        check(
            count == 1,
            f"{key}: {path} has {count} columns {column!r}; "
            "give each a name of its own in the first row",
        )


def check_cells(where: str, table: Table, separator: str) -> None:
    """Raise ConfigError for rows with more or fewer cells than there are columns.

    `where` and `separator`: as a message names the file and what separates its columns.
    """
    ragged = table.ragged
    some = [f"line {table.lines[i]} has {len(table.rows[i])}" for i in ragged[:5]]
    listed = ", ".join(some + ["..."] * (len(ragged) > 5))
    check(
        not ragged,
        f"{where} has {len(ragged)} of {len(table.rows)} rows with more or fewer cells than its "
        f"{len(table.names)} columns ({listed}); put texts that hold {separator} in double quotes",
    )


def choose_table(
    whole: str, label_column: str, text_columns: tuple[str, ...], header: bool
) -> Table:
    """Return the file under the separator that gives the columns, and rows of as many cells.

    It is the best guess where none does. Each separator is tried on all of the file: `csv.Sniffer`
    is mostly wrong about columns of prose.
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
    """Return whether it is this separator, whatever others would give.

    Rows may be ragged or damaged all the same.
    """
    if header or not wanted <= set(table.names):
        return wanted <= set(table.names)
    # Numbers of columns say little. Where every row is wide enough and labels come again, it is
    # texts that were not quoted; another separator that stands once in each row would cut them
    # elsewhere.
    labels = [row[int(label_column)] for row in table.rows if len(row) > max(map(int, wanted))]
    return len(labels) == len(table.rows) >= 2 * len(set(labels))


def parse_csv(whole: str, separator: str, wanted: set[str], header: bool) -> Table:
    """Parse a file under a separator, without blank lines.

    Where that gives no `wanted` columns, only the first row is kept. Without a header columns have
    numbers, as many as the first row has cells.
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
