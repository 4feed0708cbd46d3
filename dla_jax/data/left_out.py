"""Classes that a seed leaves out of training, to see what its network makes of them."""

import numpy as np

from dla_jax.data import splits
from dla_jax.data.images import ImageSet


def left_out_classes(seed: int, num_classes: int, count: int) -> tuple[int, ...]:
    """Return which classes a seed leaves out, a pure function of the seed.

    Seeds that follow one another leave out different classes, until each was left out once.

    Args:
      count: of the classes that are left out, 1 to num_classes - 2.

    Returns:
      Their labels, rising.
    """
    turn, place = divmod(seed, num_classes // count)
    order = np.random.default_rng((turn, 3)).permutation(num_classes)
    return tuple(sorted(order[place * count : (place + 1) * count].tolist()))


def seen_by(image_set: ImageSet, seed: int, count: int) -> ImageSet:
    """Return an image set as a seed sees it: without the classes that it leaves out.

    The others are numbered anew, in their order. So that the parts that are drawn have one size for
    every seed, some images of the classes that are kept are in no part, of each class in
    proportion: as many as the smallest choice of classes has less. Mean and standard deviation of
    the pixels stay those of the whole set.

    Args:
      image_set: a whole one; one that a seed sees already comes back as it is.
      count: of the classes that are left out; 0: none, and the set comes back as it is.

    Returns:
      The same images, with the label -1 where an image is in no part.
    """
    if not count or image_set.left_out:
        return image_set
    num_classes = len(image_set.class_names)
    left_out = left_out_classes(seed, num_classes, count)
    kept = [label for label in range(num_classes) if label not in left_out]
    renumbered = np.full(num_classes, -1, np.int32)
    renumbered[kept] = np.arange(len(kept))
    labels = renumbered[image_set.labels]
    distinct = splits.distinct_of(image_set)
    sizes = np.bincount(image_set.labels[distinct], minlength=num_classes)
    fewest = len(distinct) - np.sort(sizes)[-count:].sum()
    usable = distinct[labels[distinct] >= 0]
    labels[surplus_of(usable, labels, len(usable) - fewest, seed)] = -1
    names = tuple(image_set.class_names[label] for label in kept)
    return image_set._replace(labels=labels, class_names=names, left_out=left_out)


def surplus_of(usable: np.ndarray, labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Return images to leave out, of each class in proportion to its size: int32 positions.

    Args:
      usable: int32 positions to choose from.
      labels: int32 [N], from 0 at these positions.
    """
    sizes = np.bincount(labels[usable])
    shares = count * sizes / sizes.sum()
    counts = np.floor(shares).astype(int)
    counts[np.argsort(counts - shares, kind="stable")[: count - counts.sum()]] += 1
    rng, chosen = np.random.default_rng((seed, 4)), []
    for label, number in enumerate(counts):
        chosen.append(rng.permutation(usable[labels[usable] == label])[:number])
    return np.concatenate(chosen)


def left_out_images(image_set: ImageSet, seed: int, count: int) -> np.ndarray:
    """Return the images of the classes that a seed leaves out: int32 positions.

    They are those of the official test part where there is one, else no copies of one another.

    Args:
      image_set: the whole one.
    """
    positions = splits.distinct_of(image_set)
    if image_set.test_start is not None:
        positions = np.arange(image_set.test_start, len(image_set.labels), dtype=np.int32)
    left_out = left_out_classes(seed, len(image_set.class_names), count)
    return positions[np.isin(image_set.labels[positions], left_out)]
