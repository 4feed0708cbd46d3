"""Seeded, stratified splits of labelled examples, with the copies of an example on one side of each."""

import hashlib
from collections.abc import Iterable

import numpy as np

from dla_jax.config.checks import check

CLASS_WEIGHTS = ("none", "balanced")


def copies_of(contents: Iterable[bytes]) -> np.ndarray:
    """Return the position of the first example with the same content, int32 [N]; its own where it is the first."""
    first = {}
    found = [
        first.setdefault(hashlib.blake2b(content, digest_size=16).digest(), i)
        for i, content in enumerate(contents)
    ]
    return np.array(found, np.int32)


def distinct_of(examples) -> np.ndarray:
    """Return the positions of the examples that a split is made of, int32 [n]: before an official test part, each once, and none
    that it holds too."""
    everything, start = np.arange(len(examples.labels), dtype=np.int32), examples.test_start
    if examples.copies is None:
        return everything[:start]
    first = everything[examples.copies == everything]
    return (
        first
        if start is None
        else first[(first < start) & ~np.isin(first, examples.copies[start:])]
    )


def counted_copies(examples) -> dict[str, int]:
    """Return how many examples no split has, since they are exact copies: of others, and of what the official test part holds.

    {"copies", "copies_of_test"}, those that there are.
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
    """Return the weight of each class in the loss: None for "none"; "balanced": inversely as its examples, with mean 1 over them.

    As scikit-learn has it, n / (C n_c), of the examples that are not an official test part.
    """
    if how == "none":
        return None
    counts = np.bincount(
        examples.labels[distinct_of(examples)], minlength=len(examples.class_names)
    )
    return tuple((counts.sum() / (len(counts) * np.maximum(counts, 1))).tolist())


def absent_classes(examples) -> list[str]:
    """Return the classes that an official test part has no example of."""
    if examples.test_start is None:
        return []
    counts = np.bincount(
        examples.labels[examples.test_start :], minlength=len(examples.class_names)
    )
    return [examples.class_names[label] for label in np.flatnonzero(counts == 0)]


def remarks(examples) -> list[str]:
    """Return what has to be said of examples before they are trained on: copies, and classes that are never tested."""
    absent = absent_classes(examples)
    untested = (
        f"the test part has no example of {', '.join(absent[:5])}{', ...' * (len(absent) > 5)}"
        if absent
        else ""
    )
    copies = copies_words(counted_copies(examples), len(examples.labels))
    return [f"data: {words}" for words in (copies, untested) if words]


def check_classes(examples, distinct: np.ndarray) -> None:
    """Raise ConfigError, with names, for classes that have too few of the `distinct` positions int32 [n] to be split."""
    counts = np.bincount(examples.labels[distinct], minlength=len(examples.class_names))
    needed = 3 if examples.test_start is None else 2
    parts = (
        "training, validation and test"
        if examples.test_start is None
        else "training and validation"
    )
    few = [
        f"{examples.class_names[label]!r} has {counts[label]}"
        for label in np.flatnonzero(counts < needed)
    ]
    copies = copies_words(counted_copies(examples), len(examples.labels))
    check(
        not few,
        f"data: class {', '.join(few[:5])} of {len(distinct)} distinct examples, and {parts} need one each; add "
        f"some, or leave the class out{' (' * bool(copies)}{copies}{')' * bool(copies)}",
    )


def split(examples, seed: int, val_fraction: float, test_fraction: float) -> dict[str, np.ndarray]:
    """Return a stratified split, a pure function of the seed; an official test part is the test part of every seed.

    Of exact copies the first alone is in a part, so that no part holds what another does; what the official test part holds is
    in no other. Parts have one size for every seed.

    Args:
      examples: has labels int32 [N], class_names, test_start, where an official test part begins, or None, and copies, as
        `copies_of` gives them, or None.
      val_fraction, test_fraction: parts in (0, 1) of all that differ; where there is an official test part, `val_fraction`
        of the others.

    Returns:
      {"train", "val", "test"}: int32 positions, disjoint.

    Raises:
      ConfigError: a part too small to hold every class; the official test part may lack some.
    """
    from sklearn.model_selection import train_test_split

    labels, rest = examples.labels, distinct_of(examples)
    check_classes(examples, rest)
    try:
        if examples.test_start is None:
            rest, test = train_test_split(
                rest, test_size=test_fraction, stratify=labels[rest], random_state=seed
            )
            val_fraction = val_fraction / (1 - test_fraction)
        else:
            test = np.arange(examples.test_start, len(labels), dtype=np.int32)
        train, val = train_test_split(
            rest, test_size=val_fraction, stratify=labels[rest], random_state=seed
        )
    except ValueError as error:
        check(
            False,
            f"data.val_fraction, data.test_fraction: cannot split {len(labels)} examples ({error})",
        )
    parts = {"train": train, "val": val, "test": test}
    for part, positions in parts.items():
        if part == "test" and examples.test_start is not None:
            continue
        counts = np.bincount(labels[positions], minlength=len(examples.class_names))
        absent = ", ".join(examples.class_names[label] for label in np.flatnonzero(counts == 0)[:5])
        check(
            not absent,
            f"data.val_fraction, data.test_fraction: the {part} part, {len(positions)} examples, has none of class "
            f"{absent}; give larger fractions, or more examples of it",
        )
    return parts
