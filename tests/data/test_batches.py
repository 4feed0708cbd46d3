"""The training stream holds every example as often as it should, in an order of its own."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dla_jax.data import batches


@pytest.mark.parametrize(("n", "size"), [(10, 3), (12, 4), (7, 7), (1078, 64), (5, 4)])
def test_every_example_comes_exactly_once_an_epoch(n, size):
    stream = np.concatenate(
        [batches.batch_positions(3, step, size, n) for step in range(batches.epoch_end(4, size, n))]
    )
    for epoch in range(4):
        assert sorted(stream[epoch * n : (epoch + 1) * n]) == list(range(n))


def test_the_stream_is_a_pure_function_of_seed_and_step():
    direct = batches.batch_positions(5, 40, 8, 30)
    for step in range(39):  # history must not matter
        batches.batch_positions(5, step, 8, 30)
    batches._permutation.cache_clear()
    np.testing.assert_array_equal(batches.batch_positions(5, 40, 8, 30), direct)
    assert direct.dtype == np.int32 and direct.shape == (8,)


def test_seeds_and_epochs_have_their_own_order():
    first = [tuple(batches.batch_positions(seed, 0, 20, 20)) for seed in range(20)]
    assert len(set(first)) == 20
    assert tuple(batches.batch_positions(0, 1, 20, 20)) != first[0]


def test_epoch_ends():
    assert [batches.epoch_end(epoch, 3, 10) for epoch in (1, 2, 3)] == [4, 7, 10]


@pytest.mark.parametrize(("n", "size"), [(10, 4), (8, 4), (1, 4)])
def test_padded_batches_hold_every_position_once(n, size):
    positions = np.arange(100, 100 + n, dtype=np.int32)
    rows, mask = batches.padded_batches(positions, size)
    np.testing.assert_array_equal(rows[mask == 1], positions)
    assert mask.sum() == n and rows.shape == mask.shape == (-(-n // size), size)


@pytest.mark.parametrize(
    ("longest", "widths", "width"),
    [
        (1, (8, 16), 8),
        (8, (8, 16), 8),
        (9, (8, 16), 16),
        (16, (8, 16), 16),
        (17, (8, 16), 16),
        (0, (8,), 8),
        (9, (8,), 8),
        (np.int32(33), (32, 64, 128), 64),
    ],
)
def test_the_width_is_the_smallest_that_holds_a_text(longest, widths, width):
    assert batches.width_of(longest, widths) == width


def some_lengths(n, seed=0):
    """Lengths of texts: most are short, some long."""
    return np.random.default_rng(seed).lognormal(3, 0.8, n).astype(np.int32) + 2


def stream(seed, steps, size, lengths):
    return np.stack([batches.alike_positions(seed, step, size, lengths) for step in steps])


@pytest.mark.parametrize("groups", [1, 2, 5])
def test_alike_batches_hold_every_example_exactly_once_an_epoch(groups):
    n, size = groups * 3 * batches.POOL, 3
    found = stream(1, range(3 * groups * batches.POOL), size, some_lengths(n))
    assert found.dtype == np.int32
    for epoch in found.reshape(3, -1):
        assert sorted(epoch) == list(range(n))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 400), st.integers(1, 9), st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_over_the_stream_no_example_comes_much_more_often_than_another(n, size, seed, groups):
    found = stream(seed, range(groups * batches.POOL), size, some_lengths(n))
    counts = np.bincount(found.ravel(), minlength=n)
    assert found.shape == (groups * batches.POOL, size)
    assert len(counts) == n
    assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize("n", [40, 100, 500, 1000, 1500, 5000])
def test_an_example_does_not_come_twice_in_a_batch_because_it_is_like_itself(n):
    size, steps = 32, 2 * batches.POOL
    repeated_in = lambda found: size - np.array([len(set(batch)) for batch in found])
    repeated = repeated_in(stream(0, range(steps), size, some_lengths(n)))
    plain = repeated_in(batches.batch_positions(0, step, size, n) for step in range(steps))
    assert repeated.mean() <= plain.mean() + 0.5


def test_alike_batches_are_a_pure_function_of_seed_and_step():
    lengths = some_lengths(300)
    direct = batches.alike_positions(5, 77, 4, lengths)
    stream(5, range(76), 4, lengths)  # history must not matter
    batches._permutation.cache_clear()
    np.testing.assert_array_equal(batches.alike_positions(5, 77, 4, lengths), direct)
    assert direct.shape == (4,)


def test_alike_batches_of_other_seeds_and_epochs_are_others():
    lengths = some_lengths(4 * batches.POOL)
    assert len({stream(seed, range(4), 4, lengths).tobytes() for seed in range(20)}) == 20
    epochs = stream(0, range(3 * batches.POOL), 4, lengths).reshape(3, -1)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    # of equal lengths, not even the sets are the same
    equal = stream(0, range(2 * batches.POOL), 4, np.full(4 * batches.POOL, 7, np.int32))
    assert len({frozenset(batch) for batch in equal.reshape(-1, 4)}) > 1.9 * batches.POOL


def test_texts_of_about_one_length_come_together_in_random_order():
    n, size = 8 * batches.POOL, 8
    lengths = some_lengths(n)
    found = lengths[stream(0, range(2 * batches.POOL), size, lengths)]
    groups = found.reshape(2, batches.POOL, size)
    for group in groups:  # which is the whole set: its batches are runs of the sorted lengths
        ordered = group[np.lexsort((group.max(1), group.min(1)))]
        assert (np.sort(ordered, 1).ravel() == np.sort(lengths)).all()
    order = [np.argsort(group.mean(1), kind="stable") for group in groups]
    assert not np.array_equal(*order)  # and they come in another order each time
    for each in order:  # which is neither short to long nor long to short
        assert abs(np.corrcoef(each, range(batches.POOL))[0, 1]) < 0.6


@pytest.mark.parametrize("n", [2000, 20_000])
def test_alike_batches_need_little_padding(n):
    size, steps, lengths = 32, 3 * batches.POOL, some_lengths(n)
    padding = lambda found: sum(size * length.max() - length.sum() for length in lengths[found])
    plain = np.stack([batches.batch_positions(0, step, size, n) for step in range(steps)])
    assert padding(stream(0, range(steps), size, lengths)) < 0.15 * padding(plain)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 30), max_size=40), st.integers(1, 9))
def test_batches_by_length_hold_every_position_once_the_shortest_first(lengths, size):
    lengths = np.array(lengths, np.int32)
    found = batches.batches_by_length(lengths, size)
    places = [place for batch in found for place in batch]
    assert sorted(places) == list(range(len(lengths)))
    assert sorted(lengths) == [lengths[place] for place in places]
    assert all(batch.dtype == np.int32 and len(batch) == size for batch in found[:-1])
    assert not found or 1 <= len(found[-1]) <= size


@pytest.mark.parametrize(("n", "batch_size"), [(4200, 64), (300, 32), (100, 32), (4200, 30)])
def test_alike_texts_too_come_once_an_epoch(n, batch_size):
    """Whatever the number of texts, only the batch in which two epochs meet holds of both."""
    lengths = np.random.default_rng(1).integers(1, 100, n).astype(np.int32)
    steps = batches.epoch_end(3, batch_size, n)
    stream = np.concatenate(
        [batches.alike_positions(5, step, batch_size, lengths) for step in range(steps)]
    )
    for epoch in range(1, 4):
        end = batches.epoch_end(epoch, batch_size, n) * batch_size
        counts = np.bincount(stream[:end], minlength=n)
        assert counts.min() >= epoch
        assert counts.max() <= epoch + 1
        assert (counts > epoch).sum() < batch_size
