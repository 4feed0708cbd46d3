"""Seeded, stratified splits of labelled examples; copies of an example are on one side of each."""

import hashlib
from collections.abc import Iterable

import numpy as np

from dla_jax.config.checks import ConfigError, check

CLASS_WEIGHTS = ("none", "balanced")


def copies_of(contents: Iterable[bytes]) -> np.ndarray:
    """Return for each example the position of the first with the same content, int32 [N]."""
    first = {}
    digests = (hashlib.blake2b(content, digest_size=16).digest() for content in contents)
    return np.array([first.setdefault(digest, i) for i, digest in enumerate(digests)], np.int32)


def distinct_of(examples) -> np.ndarray:
    """Return the positions of the examples that a split is made of, int32 [n].

    They are before an official test part, each once, and none that it holds too.
    """
    everything, start = np.arange(len(examples.labels), dtype=np.int32), examples.test_start
    if examples.copies is None:
        return everything[:start]
    first = everything[examples.copies == everything]
    if start is None:
        return first
    return first[(first < start) & ~np.isin(first, examples.copies[start:])]


def usable_of(examples) -> np.ndarray:
    """Return the positions of `distinct_of` whose class is not left out (label -1), int32 [n]."""
    positions = distinct_of(examples)
    return positions[examples.labels[positions] >= 0]


def counted_copies(examples) -> dict[str, int]:
    """Return how many examples no split has, since they are exact copies.

    Returns:
      {"copies": of others, "copies_of_test": of what the official test part holds}, those that
      there are.
    """
    if examples.copies is None:
        return {}
    start = len(examples.copies) if examples.test_start is None else examples.test_start
    of_test = int(np.isin(examples.copies[:start], examples.copies[start:]).sum())
    found = {"copies": start - len(distinct_of(examples)) - of_test, "copies_of_test": of_test}
    return {kind: count for kind, count in found.items() if count}


def copies_words(counts: dict, num_examples: int) -> str:
    """Return what is said of `counted_copies`; empty where there are none."""
    kinds = {
        "copies": "exact copies of others",
        "copies_of_test": "exact copies of examples of the test part",
    }
    parts = [f"{counts[key]:,} {words}" for key, words in kinds.items() if counts.get(key)]
    return f"of {num_examples:,} examples {' and '.join(parts)} are left out" if parts else ""


def class_weights(how: str, examples) -> tuple[float, ...] | None:
    """Return the weight of each class in the loss; None for "none".

    "balanced" weighs a class inversely as its examples, with mean 1 over them: n / (C n_c), as
    scikit-learn has it, of the examples that are not an official test part.
    """
    if how == "none":
        return None
    labels = examples.labels[usable_of(examples)]
    counts = np.bincount(labels, minlength=len(examples.class_names))
    return tuple((counts.sum() / (len(counts) * np.maximum(counts, 1))).tolist())


def absent_classes(examples) -> list[str]:
    """Return the classes that an official test part has no example of."""
    if examples.test_start is None:
        return []
    return classes_not_in(examples, examples.labels[examples.test_start :])


def classes_not_in(examples, labels: np.ndarray) -> list[str]:
    """Return the classes that are not among the labels int32 [n] of a part."""
    counts = np.bincount(labels, minlength=len(examples.class_names))
    return [examples.class_names[label] for label in np.flatnonzero(counts == 0)]


def remarks(examples) -> list[str]:
    """Return what has to be said of examples before they are trained on.

    That is how many are copies, and which classes are never tested.
    """
    absent, untested = absent_classes(examples), ""
    if absent:
        listed = f"{', '.join(absent[:5])}{', ...' * (len(absent) > 5)}"
        untested = f"the test part has no example of {listed}"
    copies = copies_words(counted_copies(examples), len(examples.labels))
    return [f"data: {words}" for words in (copies, untested) if words]


def check_classes(examples, distinct: np.ndarray) -> None:
    """Raise ConfigError, with names, for classes that have too few examples to be split.

    Args:
      distinct: positions of the examples that count, int32 [n].
    """
    needed, parts = 2, "training and validation"
    if examples.test_start is None:
        needed, parts = 3, "training, validation and test"
    names = examples.class_names
    counts = np.bincount(examples.labels[distinct], minlength=len(names))
    few = [f"{names[label]!r} has {counts[label]}" for label in np.flatnonzero(counts < needed)]
    copies = copies_words(counted_copies(examples), len(examples.labels))
    why = f" ({copies})" if copies else ""
    check(
        not few,
        f"data: class {', '.join(few[:5])} of {len(distinct)} distinct examples, and {parts} need "
        f"one each; add some, or leave the class out{why}",
    )


def split(examples, seed: int, val_fraction: float, test_fraction: float) -> dict[str, np.ndarray]:
    """Return a stratified split, a pure function of the seed.

    An official test part is the test part of every seed. Of exact copies the first alone is in a
    part, so that no part holds what another does; what the official test part holds is in no other.
    Those that are drawn have one size for every seed.

    Args:
      examples: has labels int32 [N], -1 where an example is in no part, class_names, test_start,
        where an official test part begins, or None, and copies, as `copies_of` gives them, or None.
      val_fraction, test_fraction: parts in (0, 1) of all that differ; where there is an official
        test part, `val_fraction` of the others.

    Returns:
      {"train", "val", "test"}: int32 positions, disjoint.

    Raises:
      ConfigError: a part too small to hold every class; the official test part may lack some.
    """
    from sklearn.model_selection import train_test_split

    labels, rest = examples.labels, usable_of(examples)
    check_classes(examples, rest)

    def cut(positions: np.ndarray, fraction: float) -> list[np.ndarray]:
        return train_test_split(
            positions, test_size=fraction, stratify=labels[positions], random_state=seed
        )

    try:
        if examples.test_start is None:
            rest, test = cut(rest, test_fraction)
            val_fraction = val_fraction / (1 - test_fraction)
        else:
            test = np.arange(examples.test_start, len(labels), dtype=np.int32)
            test = test[labels[test] >= 0]
        train, val = cut(rest, val_fraction)
    except ValueError as error:
        raise ConfigError(
            f"data.val_fraction, data.test_fraction: cannot split {len(labels)} examples ({error})"
        ) from None
    parts = {"train": train, "val": val, "test": test}
    drawn = [name for name in parts if name != "test" or examples.test_start is None]
    for name in drawn:
        absent = ", ".join(classes_not_in(examples, labels[parts[name]])[:5])
        check(
            not absent,
            f"data.val_fraction, data.test_fraction: the {name} part, {len(parts[name])} examples, "
            f"has none of class {absent}; give larger fractions, or more examples of it",
        )
    return parts
