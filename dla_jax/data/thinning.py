"""Fewer examples of a set than there are, for a quick look or to see what small data do."""

import numpy as np

from dla_jax.config.checks import check


def thinned(examples, num_examples: int):
    """Return so many of the examples, the same ones for every seed; 0: all of them.

    Each class of each part gives about the same share of its examples, at random, and a larger
    number takes those of a smaller one too. They keep their order.

    Args:
      examples: NamedTuple with labels int32 [N], as `split` takes it, and images or texts [N].

    Raises:
      ConfigError: there are not so many.
    """
    total = len(examples.labels)
    given = f"data.num_examples: {num_examples}, and {examples.name} has {total:,}"
    check(num_examples <= total, f"{given}; give at most that, or 0 for all")
    if num_examples in (0, total):
        return examples
    kept = np.sort(np.argsort(places_in_class(examples), kind="stable")[:num_examples])
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


def places_in_class(examples) -> np.ndarray:
    """Return where each example stands among those of its class and part, float64 [N] in (0, 1).

    The order is random, the same at each call.
    """
    positions, start = np.arange(len(examples.labels)), examples.test_start
    is_test = positions >= (len(positions) if start is None else start)
    order = np.random.default_rng(0).permutation(positions)
    places = np.empty(len(positions))
    for label, part in set(zip(examples.labels.tolist(), is_test.tolist(), strict=True)):
        own = order[(examples.labels[order] == label) & (is_test[order] == part)]
        places[own] = (np.arange(len(own)) + 0.5) / len(own)
    return places
