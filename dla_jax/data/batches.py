"""The training stream: which examples form the batch of a step, as a pure function of (seed, step)."""

import functools
import math

import numpy as np

# Separate random streams of one seed: numpy generators seeded with (seed, STREAM, epoch).
_ORDER = 1


@functools.lru_cache(maxsize=256)  # two a run at most, of the runs side by side
def _permutation(seed: int, epoch: int, num_examples: int) -> np.ndarray:
    return np.random.default_rng((seed, _ORDER, epoch)).permutation(num_examples).astype(np.int32)


def batch_positions(seed: int, step: int, batch_size: int, num_examples: int) -> np.ndarray:
    """Positions in the training set that form the batch of step `step` (from 0).

    The stream is the concatenation of one permutation an epoch; batches straddle epochs, so that every example comes
    exactly once an epoch and every batch is full.

    Returns:
      int32 [batch_size], values in [0, num_examples).
    """
    first, last = step * batch_size, (step + 1) * batch_size
    epochs = range(first // num_examples, (last - 1) // num_examples + 1)
    parts = [_permutation(seed, epoch, num_examples)[max(0, first - epoch * num_examples) : last - epoch * num_examples]
             for epoch in epochs]  # fmt: skip
    return np.concatenate(parts)


def epoch_end(epoch: int, batch_size: int, num_examples: int) -> int:
    """Number of steps after which `epoch` epochs have been seen whole: ceil(epoch * n / B)."""
    return math.ceil(epoch * num_examples / batch_size)


def padded_batches(positions: np.ndarray, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
    """All positions once, in order, as full batches; the last is padded with position 0 under mask 0.

    Returns:
      positions: int32 [N, batch_size]; mask: float32 [N, batch_size].
    """
    rows = math.ceil(len(positions) / batch_size)
    padded = np.zeros(rows * batch_size, np.int32)
    padded[: len(positions)] = positions
    mask = (np.arange(rows * batch_size) < len(positions)).astype(np.float32)
    return padded.reshape(rows, batch_size), mask.reshape(rows, batch_size)
