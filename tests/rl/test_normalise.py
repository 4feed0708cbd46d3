"""Running statistics against numpy's over all values at once."""

import jax
import numpy as np
import pytest

from dla_jax.rl import normalise

add, centred, deviation = map(jax.jit, (normalise.add, normalise.centred, normalise.deviation))


def test_statistics_of_parts_are_those_of_the_whole():
    rng = np.random.default_rng(0)
    parts = [
        rng.normal([5, -100, 0.01], [1, 20, 0.001], (steps, 4, 3)).astype(np.float32)
        for steps in (7, 1, 30, 2)
    ]
    stats = normalise.start((3,))
    for k, part in enumerate(parts):
        stats = add(stats, part)
        whole = np.concatenate(parts[: k + 1]).reshape(-1, 3).astype(np.float64)
        assert stats.count == len(whole)
        np.testing.assert_allclose(stats.mean, whole.mean(0), rtol=1e-5)
        np.testing.assert_allclose(stats.squares / stats.count, whole.var(0), rtol=1e-3)
        np.testing.assert_allclose(deviation(stats), np.sqrt(whole.var(0) + 1e-8), rtol=1e-3)


def test_a_large_mean_does_not_drown_a_small_deviation():
    rng = np.random.default_rng(1)
    values, stats = rng.normal(1000, 0.1, (50, 100, 8)).astype(np.float32), normalise.start(())
    for part in values:
        stats = add(stats, part)
    assert deviation(stats) == pytest.approx(values.astype(np.float64).std(), rel=0.02)


def test_scalars_and_images_have_statistics_of_their_own_shape():
    for shape in ((), (10, 10, 4)):
        stats = add(normalise.start(shape), np.ones((2, 3, *shape), np.float32))
        assert stats.mean.shape == stats.squares.shape == shape and stats.count == 6


def test_before_any_value_nothing_is_changed():
    values = np.float32([-3.0, 0.0, 2.0])
    np.testing.assert_allclose(centred(values, normalise.start(())), values, rtol=1e-6)
    np.testing.assert_allclose(deviation(normalise.start((3,))), 1, rtol=1e-6)


def test_centred_values_have_mean_zero_and_deviation_one_and_are_clipped():
    values = np.random.default_rng(0).normal(7, 3, (100, 50)).astype(np.float32)
    stats = add(normalise.start(()), values)
    found = np.asarray(centred(values, stats))
    assert found.mean() == pytest.approx(0, abs=1e-4)
    assert found.std() == pytest.approx(1, abs=1e-4)
    np.testing.assert_array_equal(centred(np.float32([1e6, -1e6]), stats), [10.0, -10.0])


def test_values_that_are_all_the_same_stay_finite():
    stats = add(normalise.start(()), np.full((5, 5), 2, np.float32))
    assert centred(np.float32(2.0), stats) == 0
