"""The training stream: the examples of the batch of a step, a pure function of (seed, step)."""

import functools
import math

import numpy as np

# Separate random streams of one seed: numpy generators seeded with (seed, STREAM, epoch).
_ORDER, _GROUPS = 1, 3  # `text` has 2
POOL = 32  # batches whose texts are sorted by length together


@functools.lru_cache(maxsize=256)  # two a run at most, of the runs side by side
def _permutation(seed: int, epoch: int, num_examples: int) -> np.ndarray:
    return np.random.default_rng((seed, _ORDER, epoch)).permutation(num_examples).astype(np.int32)


def batch_positions(seed: int, step: int, batch_size: int, num_examples: int) -> np.ndarray:
    """Return the positions in the training set that form the batch of step `step` (from 0).

    The stream is the concatenation of one permutation an epoch. Batches straddle epochs, so that
    every example comes exactly once an epoch and every batch is full.

    Returns:
      int32 [batch_size], values in [0, num_examples).
    """
    first, last = step * batch_size, (step + 1) * batch_size

    def part(epoch: int) -> np.ndarray:
        start = epoch * num_examples
        return _permutation(seed, epoch, num_examples)[max(0, first - start) : last - start]

    epochs = range(first // num_examples, (last - 1) // num_examples + 1)
    return np.concatenate([part(epoch) for epoch in epochs])


def epoch_end(epoch: int, batch_size: int, num_examples: int) -> int:
    """Return the number of steps after which `epoch` epochs have been seen whole.

    That is ceil(epoch * n / B).
    """
    return math.ceil(epoch * num_examples / batch_size)


def padded_batches(positions: np.ndarray, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut all positions, in order, into full batches; the last is padded with position 0, mask 0.

    Returns:
      positions: int32 [N, batch_size]; mask: float32 [N, batch_size].
    """
    rows = math.ceil(len(positions) / batch_size)
    padded = np.zeros(rows * batch_size, np.int32)
    padded[: len(positions)] = positions
    mask = (np.arange(rows * batch_size) < len(positions)).astype(np.float32)
    return padded.reshape(rows, batch_size), mask.reshape(rows, batch_size)


def width_of(longest: int, widths: tuple[int, ...]) -> int:
    """Return the smallest of the widths that holds a text of `longest` tokens.

    It is the last one where none does. `widths` are in ascending order.
    """
    return next((width for width in widths if longest <= width), widths[-1])


def alike_positions(seed: int, step: int, batch_size: int, lengths: np.ndarray) -> np.ndarray:
    """Return the positions of the batch of step `step`, texts of about one length.

    Little is padded then. POOL batches of the stream of `batch_positions` are sorted by length and
    cut anew, and come in random order. This is done within an epoch, so that every example still
    comes once in each, except in the batch in which two epochs meet.

    Args:
      lengths: int32 [N].

    Returns:
      int32 [batch_size], positions in the training set.
    """
    group, place = divmod(step, POOL)
    size = batch_size * POOL
    positions = batch_positions(seed, group, size, len(lengths))
    # By epoch first: an example is not beside itself of the next epoch.
    epoch = (group * size + np.arange(size)) // len(lengths)
    order = np.lexsort((lengths[positions], epoch)).reshape(POOL, batch_size)
    shuffled = np.random.default_rng((seed, _GROUPS, group)).permutation(POOL)
    # A stable sort: an epoch ends before the next begins, and within it the random order stays.
    shuffled = shuffled[np.argsort(epoch[::batch_size][shuffled], kind="stable")]
    return positions[order[shuffled[place]]]


def batches_by_length(lengths: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Cut all positions, the shortest texts first, into batches; the last may be smaller."""
    order = np.argsort(lengths, kind="stable").astype(np.int32)
    return [order[first : first + batch_size] for first in range(0, len(order), batch_size)]
