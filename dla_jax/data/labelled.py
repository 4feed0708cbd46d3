"""Labelled texts: from a CSV file, a prepared set, or the embedded docstrings; each text is one line."""

import csv
import functools
import hashlib
import io
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dla_jax.config import ConfigError, check, check_choice, check_number, expand, nearest
from dla_jax.data import docstrings, prepared

DATASETS = ("docstrings", "csv", *prepared.TEXTS)
AG_COLUMNS = ("title", "description")


class LabelledTexts(NamedTuple):
    """labels: int32 [N]. test_start: where the official test part begins, to the end; None where there is none."""

    name: str
    texts: tuple[str, ...]
    labels: np.ndarray
    class_names: tuple[str, ...]
    test_start: int | None

    @property
    def identity(self) -> dict:
        """What a workdir remembers of its data: name, sizes, class names and a SHA-256 of texts and labels."""
        digest = hashlib.sha256(np.ascontiguousarray(self.labels))
        for text in self.texts:
            digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
        return {"name": self.name, "num_examples": len(self.labels), "num_classes": len(self.class_names),
                "class_names": list(self.class_names), "test_start": self.test_start,
                "fingerprint": digest.hexdigest()[:16]}  # fmt: skip


def check_config(data, data_dir: Path, download: bool) -> None:
    """Raises ConfigError for a `config.data` that cannot be read, before anything is read or fetched."""
    check_choice("data.name", data.name, DATASETS)
    check_number("data.val_fraction", data.val_fraction, above=0, below=0.5)
    if data.name == "csv":
        check(bool(data.path), "data.path is empty; give the CSV file of the training texts, as in --config.data.path=train.csv")
        check(len(data.text_columns) > 0, "data.text_columns is empty; give at least one")
    official = data.name in prepared.TEXTS or (data.name == "csv" and data.test_path)
    if official:
        check(data.test_fraction == 0, f"data.test_fraction: {data.test_fraction} with data that has a test part; leave it at 0")
    else:
        check(data.test_fraction > 0, f"data.test_fraction: {data.test_fraction}, and no test part; give a fraction, or "
              "--config.data.test_path=FILE")  # fmt: skip
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
    return check_texts(LabelledTexts(data.name, tuple(texts), np.array([row["label"] for row in rows], np.int32), class_names,
                                     test_start), [f"{data.name} example {i}" for i in range(len(rows))], data.name)  # fmt: skip


@functools.cache
def docstrings_of() -> LabelledTexts:
    """The embedded set."""
    texts, names = docstrings.collect()
    class_names = tuple(sorted(set(names)))
    return LabelledTexts("docstrings", texts, np.array([class_names.index(name) for name in names], np.int32), class_names, None)


def as_read(name: str, text: str) -> str:
    """A text as the set of that name has it; "" names a CSV file."""
    if name == "docstrings":
        return docstrings.clean(text)
    return one_line([text.replace("\\", " ") if name in prepared.TEXTS else text])  # where a backslash ends a line


def one_line(parts) -> str:
    """The parts joined, with single blanks for white space and for the `\\n` that some files have in words."""
    return " ".join(" ".join(parts).replace("\\n", " ").split())


@functools.lru_cache(maxsize=1)  # once for the check of a config and its run
def load_csv(path: str, test_path: str, label_column: str, text_columns: tuple[str, ...], header: bool) -> LabelledTexts:
    """Texts and labels of CSV files in UTF-8.

    `label_column`, `text_columns`: names in the first row, or without `header` numbers of columns, 0 the first.
    """
    train = read_csv("data.path", path, label_column, text_columns, header)
    test = read_csv("data.test_path", test_path, label_column, text_columns, header) if test_path else []
    known = {label for _, label, _ in train}
    numbers = all(re.fullmatch("-?[0-9]+", label) for label in known)
    class_names = tuple(sorted(known, key=lambda label: (int(label) if numbers else 0, label)))
    for place, label, _ in test:
        check(label in known, f"{place}: label {label!r} is none of the training part's, {', '.join(class_names[:20])}; mend it")
    rows, index = [*train, *test], {name: i for i, name in enumerate(class_names)}
    found = LabelledTexts("csv", tuple(text for _, _, text in rows), np.array([index[label] for _, label, _ in rows],
                          np.int32), class_names, len(train) if test else None)  # fmt: skip
    return check_texts(found, [place for place, _, _ in rows], path)


def check_texts(found: LabelledTexts, places: list[str], where: str) -> LabelledTexts:
    """The same. `places`: of the texts, `where`: of all. Raises ConfigError for texts that are empty, or all of one class."""
    empty = [place for place, text in zip(places, found.texts, strict=True) if not text]
    check(not empty, f"{len(empty)} texts are empty, the first is {empty[0] if empty else ''}; leave them out of the file")
    check(len(found.class_names) > 1, f"{where} has one class only, {''.join(found.class_names)!r}; there is nothing to learn")
    return found


def read_csv(key: str, path: str, label_column: str, text_columns: tuple[str, ...], header: bool) -> list[tuple[str, str, str]]:
    """(where it stands, label, text) of each row.

    Raises:
      ConfigError: no such file, no UTF-8, no CSV, no such column, or a row without it.
    """
    place = expand(key, path)
    check(place.is_file(), f"{key}: there is no file {path}; give a CSV file")
    csv.field_size_limit(1 << 30)
    try:
        whole = place.read_bytes().decode("utf-8-sig")
        rows = [row for row in csv.reader(io.StringIO(whole, newline=""), strict=True) if row]
    except UnicodeDecodeError as error:
        raise ConfigError(f"{key}: {path} is not in UTF-8 (byte {error.start}); convert it, for example with "
                          f"iconv -f latin1 -t utf-8 {place.name}") from None  # fmt: skip
    except (OSError, csv.Error) as error:
        raise ConfigError(f"{key}: {path} cannot be read as CSV ({error}); mend it") from None
    check(len(rows) > header, f"{key}: {path} has no rows; give a CSV file with texts and labels")
    names = rows.pop(0) if header else [str(number) for number in range(len(rows[0]))]
    columns = []
    for given, column in (("data.label_column", label_column), *(("data.text_columns", column) for column in text_columns)):
        listed = f"{one_line([', '.join(names)]):.300}"
        how = "" if header else "; data.header is false, so columns have numbers"
        check(column in names, f"{given}: {path} has no column {column!r}{nearest(column, names)}; it has {listed}{how}")
        columns.append(names.index(column))
    found = []
    for number, row in enumerate(rows, 1 + header):
        check(len(row) > max(columns), f"{path} row {number} has {len(row)} columns of {len(names)}; mend it")
        label = row[columns[0]].strip()
        check(label != "", f"{path} row {number} has no label; mend it, or leave it out")
        found.append((f"{path} row {number}", label, one_line(row[column] for column in columns[1:])))
    return found
