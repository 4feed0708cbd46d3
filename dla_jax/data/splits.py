"""Seeded, stratified splits of labelled examples."""

import numpy as np

from dla_jax.config import check


def split(examples, seed: int, val_fraction: float, test_fraction: float) -> dict[str, np.ndarray]:
    """A stratified split, a pure function of the seed; an official test part is the test part of every seed.

    Args:
      examples: has labels int32 [N], class_names, and test_start, where an official test part begins, or None.
      val_fraction, test_fraction: parts in (0, 1) of all examples; where there is an official test part, `val_fraction`
        of the others.

    Returns:
      {"train", "val", "test"}: int32 positions, disjoint, together all N.

    Raises:
      ConfigError: a part too small to hold every class.
    """
    from sklearn.model_selection import train_test_split

    labels, everything = examples.labels, np.arange(len(examples.labels), dtype=np.int32)
    try:
        if examples.test_start is None:
            rest, test = train_test_split(everything, test_size=test_fraction, stratify=labels, random_state=seed)
            val_fraction = val_fraction / (1 - test_fraction)
        else:
            rest, test = everything[: examples.test_start], everything[examples.test_start :]
        train, val = train_test_split(rest, test_size=val_fraction, stratify=labels[rest], random_state=seed)
    except ValueError as error:
        check(False, f"data.val_fraction, data.test_fraction: cannot split {len(labels)} examples ({error})")
    parts = {"train": train, "val": val, "test": test}
    for part, positions in parts.items():
        counts = np.bincount(labels[positions], minlength=len(examples.class_names))
        absent = ", ".join(examples.class_names[label] for label in np.flatnonzero(counts == 0)[:5])
        check(not absent, f"data.val_fraction, data.test_fraction: the {part} part, {len(positions)} examples, has none of class "
              f"{absent}; give larger fractions, or more examples of it")  # fmt: skip
    return parts
