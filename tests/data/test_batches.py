import numpy as np
import pytest

from dla_jax.data import batches


@pytest.mark.parametrize(("n", "size"), [(10, 3), (12, 4), (7, 7), (1078, 64), (5, 4)])
def test_every_example_comes_exactly_once_an_epoch(n, size):
    stream = np.concatenate([batches.batch_positions(3, step, size, n) for step in range(batches.epoch_end(4, size, n))])
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
