"""Fewer examples of a set than there are, for a quick look or to see what small data do."""

import numpy as np

from dla_jax.config.checks import check


def check_enough(name: str, total: int | None, num_examples: int) -> None:
    """Raise ConfigError where a set of so many examples is asked for more.

    Args:
      total: None where it is not known before the set is read.
    """
    check(
        total is None or num_examples <= total,
        f"data.num_examples: {num_examples}, and {name} has {total:,}; give at most that, or 0 for "
        "all",
    )


def thinned(examples, num_examples: int):
    """Return so many of the examples, the same ones for every seed; 0: all of them.

    Each class of each part gives about the same share of its examples, at random, and a larger
    number takes those of a smaller one too. They keep their order.

    Args:
      examples: NamedTuple with labels int32 [N], as `split` takes it, and images or texts [N].

    Raises:
      ConfigError: there are not so many, or so few are left that a part lacks what it needs.
    """
    total = len(examples.labels)
    check_enough(examples.name, total, num_examples)
    if num_examples in (0, total):
        return examples
    kept = np.sort(np.argsort(places_in_class(examples), kind="stable")[:num_examples])
    check_left(examples, kept)
    fields = {"labels": examples.labels[kept]}
    if examples.test_start is not None:
        fields["test_start"] = int((kept < examples.test_start).sum())
    if examples.copies is not None:
        _, first, same = np.unique(examples.copies[kept], return_index=True, return_inverse=True)
        fields["copies"] = first[same].astype(np.int32)
    if hasattr(examples, "images"):
        fields["images"] = examples.images[kept]
    else:
        fields["texts"] = tuple(examples.texts[i] for i in kept)
    return examples._replace(**fields)


def check_left(examples, kept: np.ndarray) -> None:
    """Raise ConfigError where the examples at these positions, int32 [n], are too few.

    A class has to be in each part that is drawn, and there is to be an official test part still.
    """
    labels, official = examples.labels, examples.test_start is not None
    end = examples.test_start if official else len(labels)
    given = f"data.num_examples: {len(kept)} of {examples.name}'s {len(labels):,} examples"
    check(not official or kept[-1] >= end, f"{given} have none of its test part; give more")
    needed = 2 if official else 3  # training, validation and, where there is none, test part
    before = np.bincount(labels[:end], minlength=len(examples.class_names))
    after = np.bincount(labels[kept[kept < end]], minlength=len(before))
    few = np.flatnonzero(after < np.minimum(before, needed))
    names = [f"{after[label]} of class {examples.class_names[label]!r}" for label in few[:5]]
    check(not names, f"{given} have {', '.join(names)} to train on and draw from; give more")


def places_in_class(examples) -> np.ndarray:
    """Return where each example stands among those of its class and part, float64 [N] in (0, 1).

    The order is random, the same at each call.
    """
    positions, start = np.arange(len(examples.labels)), examples.test_start
    is_test = positions >= (len(positions) if start is None else start)
    group = 2 * examples.labels.astype(np.int64) + is_test
    order = np.random.default_rng(0).permutation(positions)
    order = order[np.argsort(group[order], kind="stable")]
    counts = np.bincount(group)
    firsts = np.cumsum(counts) - counts
    places = np.empty(len(positions))
    places[order] = (positions - firsts[group[order]] + 0.5) / counts[group[order]]
    return places
