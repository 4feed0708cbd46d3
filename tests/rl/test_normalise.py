"""Running statistics against numpy's over all values at once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dla_jax.rl import normalise


def test_statistics_of_parts_are_those_of_the_whole():
    rng = np.random.default_rng(0)
    parts = [
        rng.normal([5, -100, 0.01], [1, 20, 0.001], (steps, 4, 3)).astype(np.float32)
        for steps in (7, 1, 30, 2)
    ]
    stats, add = normalise.start((3,)), jax.jit(normalise.add)
    for k, part in enumerate(parts):
        stats = add(stats, part)
        whole = np.concatenate(parts[: k + 1]).reshape(-1, 3).astype(np.float64)
        assert stats.count == len(whole)
        np.testing.assert_allclose(stats.mean, whole.mean(0), rtol=1e-5)
        np.testing.assert_allclose(stats.squares / stats.count, whole.var(0), rtol=1e-3)
        np.testing.assert_allclose(
            normalise.deviation(stats), np.sqrt(whole.var(0) + 1e-8), rtol=1e-3
        )


def test_a_large_mean_does_not_drown_a_small_deviation():
    rng = np.random.default_rng(1)
    values, stats = rng.normal(1000, 0.1, (50, 100, 8)).astype(np.float32), normalise.start(())
    for part in values:
        stats = normalise.add(stats, part)
    assert normalise.deviation(stats) == pytest.approx(values.astype(np.float64).std(), rel=0.02)


def test_scalars_and_images_have_statistics_of_their_own_shape():
    for shape in ((), (10, 10, 4)):
        stats = normalise.add(normalise.start(shape), jnp.ones((2, 3, *shape)))
        assert stats.mean.shape == stats.squares.shape == shape and stats.count == 6


def test_before_any_value_nothing_is_changed():
    values = jnp.array([-3.0, 0.0, 2.0])
    np.testing.assert_allclose(normalise.centred(values, normalise.start(())), values, rtol=1e-6)
    np.testing.assert_allclose(normalise.deviation(normalise.start((3,))), 1, rtol=1e-6)


def test_centred_values_have_mean_zero_and_deviation_one_and_are_clipped():
    values = jax.random.normal(jax.random.key(0), (100, 50)) * 3 + 7
    stats = normalise.add(normalise.start(()), values)
    found = normalise.centred(values, stats)
    assert float(found.mean()) == pytest.approx(0, abs=1e-4) and float(
        found.std()
    ) == pytest.approx(1, abs=1e-4)
    np.testing.assert_array_equal(normalise.centred(jnp.array([1e6, -1e6]), stats), [10.0, -10.0])


def test_values_that_are_all_the_same_stay_finite():
    stats = normalise.add(normalise.start(()), jnp.full((5, 5), 2.0))
    assert normalise.centred(jnp.float32(2.0), stats) == 0
