"""Labelled texts, one line each: of CSV files, a prepared set, or the embedded docstrings."""

import functools
import hashlib
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dla_jax.config.checks import check, check_choice, check_number, check_rules, count, number
from dla_jax.data import docstrings, hub_fetch, hub_sets, prepared, splits
from dla_jax.data.csv_files import one_line, read_csv
from dla_jax.data.hub_sets import is_hub
from dla_jax.data.thinning import check_enough, thinned

DATASETS = ("docstrings", "csv", *prepared.TEXTS)
RULES = {"val_fraction": number(above=0, below=0.5), "num_examples": count(low=0)}


class LabelledTexts(NamedTuple):
    """A set of texts with a label each.

    labels: int32 [N].
    test_start: where the official test part begins, to the end; None where there is none.
    copies: int32 [N], the first text of the same words (`splits.copies_of`); None: not looked for.
    commit: of the Hugging Face hub's set; "" where it is of another place.
    """

    name: str
    texts: tuple[str, ...]
    labels: np.ndarray
    class_names: tuple[str, ...]
    test_start: int | None
    copies: np.ndarray | None = None
    commit: str = ""

    @property
    def learned_from(self) -> tuple[str, ...]:
        """Return the texts that a tokenizer is learned from: all before an official test part."""
        return self.texts[: self.test_start]

    @property
    def identity(self) -> dict:
        """Return what a workdir remembers of its data.

        That is its name and sizes, the names of classes, and a SHA-256 of texts and labels.
        """
        digest = hashlib.sha256(np.ascontiguousarray(self.labels))
        for text in self.texts:
            digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
        known = {
            "name": self.name,
            "num_examples": len(self.labels),
            "num_classes": len(self.class_names),
            "class_names": list(self.class_names),
            "test_start": self.test_start,
            "fingerprint": digest.hexdigest()[:16],
        }
        known |= {"commit": self.commit} if self.commit else {}
        return known | splits.counted_copies(self)


def check_config(data, data_dir: Path, download: bool) -> None:
    """Raise ConfigError for a `config.data` that cannot be read.

    Nothing is read or fetched before.
    """
    if not is_hub(data.name):
        check_choice("data.name", data.name, DATASETS)
    check_rules(data, RULES, prefix="data.")
    if data.name == "csv":
        check(
            bool(data.path),
            "data.path is empty; give the CSV file of the training texts, "
            "as in --config.data.path=train.csv",
        )
        check(len(data.text_columns) > 0, "data.text_columns is empty; give at least one")
    if is_hub(data.name):
        known = hub_fetch.check_available(hub_sets.of_data(data), data_dir, download)
        if known is not None:  # else it is seen when it is fetched
            check_fraction(data, official="test" in known["sizes"])
            check_enough(data.name, sum(known["sizes"].values()), data.num_examples)
        return
    official = data.name in prepared.TEXTS or (data.name == "csv" and bool(data.test_path))
    check_fraction(data, official)
    if data.name in prepared.TEXTS:
        check_enough(data.name, hub_sets.size_of(data.name), data.num_examples)
        prepared.check_available(data.name, data_dir, download)


def check_fraction(data, official: bool) -> None:
    """Raise ConfigError for a `data.test_fraction` that does not suit the data.

    Args:
      official: whether they have a test part.
    """
    given = f"data.test_fraction: {data.test_fraction}"
    if official:
        check(data.test_fraction == 0, f"{given} with data that has a test part; leave it at 0")
    else:
        missing = f"{given}, and no test part; give a fraction, or --config.data.test_path=FILE"
        check(data.test_fraction > 0, missing)
        check_number("data.test_fraction", data.test_fraction, below=0.5)


def load(data, data_dir: Path, download: bool) -> LabelledTexts:
    """Load the labelled texts of a `config.data`, thinned to `data.num_examples`.

    `docstrings`: of installed packages (data/docstrings.py).
    `csv`: `data.path` and, where there is one, `data.test_path`.
    `ag_news_subset`: topics of news, `yahoo_answers_topics`: of questions (Zhang et al. 2015,
    arXiv:1509.01626), in `data_dir`, or fetched.
    `hub:OWNER/NAME`: any set of the Hugging Face hub.

    Raises:
      ConfigError: not there, not readable, an empty text, a label that only the test part has, one
        class only, or fewer texts than `data.num_examples`.
    """
    return thinned(load_whole(data, data_dir, download), data.num_examples)


def load_whole(data, data_dir: Path, download: bool) -> LabelledTexts:
    """Load the labelled texts of a `config.data`, all of them."""
    if data.name == "docstrings":
        return docstrings_of()
    if data.name == "csv":
        columns = tuple(map(str, data.text_columns))  # --config.data.text_columns=1,2 gives numbers
        return load_csv(data.path, data.test_path, str(data.label_column), columns, data.header)
    if is_hub(data.name):
        wanted = hub_sets.of_data(data)
        folder = hub_fetch.find_or_fetch(wanted, data_dir, download)
        clean = functools.partial(as_read, data.name)
        found = labelled_of(data.name, prepared.texts_of_hub(folder, wanted.columns, clean))
        check_fraction(data, official=found.test_start is not None)
        return found
    return published(data.name, data_dir, download)


def published(name: str, data_dir: Path, download: bool) -> LabelledTexts:
    """Return a published set, each text in one line."""
    clean = functools.partial(as_read, name)
    return labelled_of(name, prepared.load_texts(name, data_dir, download, clean))


def labelled_of(name: str, read: prepared.Texts) -> LabelledTexts:
    """Return texts that were read, with their copies known."""
    texts = tuple(read.texts)
    labels = np.array(read.labels, np.int32)
    found = LabelledTexts(name, texts, labels, read.class_names, read.test_start)
    found = found._replace(commit=read.commit)
    return check_texts(found, [f"{name} example {i}" for i in range(len(texts))], name)


@functools.cache
def docstrings_of() -> LabelledTexts:
    """Return the embedded set."""
    texts, names = docstrings.collect()
    class_names = tuple(sorted(set(names)))
    labels = np.array([class_names.index(name) for name in names], np.int32)
    return LabelledTexts("docstrings", texts, labels, class_names, test_start=None)


def as_read(name: str, text: str) -> str:
    """Return a text as the set of that name has it; "" names a CSV file."""
    if name == "docstrings":
        return docstrings.clean(text)
    if name in prepared.TEXTS:
        text = text.replace("\\", " ")  # a backslash ends a line there
    return one_line([text])


@functools.lru_cache(maxsize=1)  # once for the check of a config and its run
def load_csv(
    path: str, test_path: str, label_column: str, text_columns: tuple[str, ...], header: bool
) -> LabelledTexts:
    """Load texts and labels of CSV files.

    Args:
      test_path: "" where there is no official test part.
      label_column, text_columns: names in the first row, or without `header` numbers of columns, 0
        the first.
    """
    columns = (label_column, text_columns, header)
    train = read_csv("data.path", path, *columns)
    test = read_csv("data.test_path", test_path, *columns) if test_path else []
    known = {label for _, label, _ in train}
    numbers = all(re.fullmatch("-?[0-9]+", label) for label in known)
    class_names = tuple(sorted(known, key=lambda label: (int(label) if numbers else 0, label)))
    listed = ", ".join(class_names[:20])
    for place, label, _ in test:
        wrong = f"{place}: label {label!r} is none of the training part's, {listed}; mend it"
        check(label in known, wrong)
    rows, index = [*train, *test], {name: i for i, name in enumerate(class_names)}
    places, _, texts = zip(*rows, strict=True)
    labels = np.array([index[label] for _, label, _ in rows], np.int32)
    found = LabelledTexts("csv", texts, labels, class_names, len(train) if test else None)
    return check_texts(found, list(places), path)


def check_texts(found: LabelledTexts, places: list[str], where: str) -> LabelledTexts:
    """Return the same texts with their copies known.

    Args:
      places: of the texts, as a message names them.
      where: all of them are.

    Raises:
      ConfigError: texts that are empty, or all of one class.
    """
    empty = [place for place, text in zip(places, found.texts, strict=True) if not text]
    first = empty[0] if empty else ""
    check(
        not empty,
        f"{len(empty)} texts are empty, the first is {first}; leave them out of the file",
    )
    names = found.class_names
    check(
        len(names) > 1,
        f"{where} has one class only, {''.join(names)!r}; there is nothing to learn",
    )
    contents = (text.encode("utf-8", "surrogatepass") for text in found.texts)
    return found._replace(copies=splits.copies_of(contents))
