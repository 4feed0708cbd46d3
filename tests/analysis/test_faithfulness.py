"""Pixels are ordered, exchanged and correlated as loops over them do it."""

import chex
import jax
import numpy as np
import pytest
from scipy import ndimage, stats

from dla_jax.analysis.faithfulness import (
    area,
    blurred,
    counts_of,
    edges,
    exchange_curve,
    pixel_ranks,
    rank_correlation,
)

# no two are equal
HEAT = np.random.default_rng(0).permutation(60).reshape(2, 5, 6).astype(np.float32)
IMAGES = np.random.default_rng(1).random((3, 12, 16, 2), np.float32)


draw_ranks = jax.jit(pixel_ranks)


def ranks_of(heat, seed=0):
    return np.asarray(draw_ranks(jax.random.key(seed), heat.astype(np.float32)))


def test_ranks_are_those_of_numpy_with_the_hottest_pixel_first():
    ranks = ranks_of(HEAT)
    assert ranks.dtype == np.int32
    expected = 30 - stats.rankdata(HEAT.reshape(2, -1), axis=1)
    np.testing.assert_array_equal(ranks.reshape(2, -1), expected)
    for image, heat in zip(ranks, HEAT, strict=True):
        assert image[np.unravel_index(heat.argmax(), heat.shape)] == 0
    np.testing.assert_array_equal(ranks, ranks_of(HEAT, seed=1))


def test_equally_hot_pixels_stand_in_an_order_drawn_at_random():
    ties = np.floor(HEAT / 12)
    ranks, others = ranks_of(ties), ranks_of(ties, seed=1)
    for found in (ranks, others):
        for heat, order in zip(ties.reshape(2, -1), found.reshape(2, -1), strict=True):
            assert sorted(order) == list(range(30))
            assert (np.diff(heat[np.argsort(order)]) <= 0).all()
    assert (ranks != others).any()
    flat = ranks_of(np.zeros((4000, 2, 2))).reshape(-1, 4)
    shares = [(flat == rank).mean(0) for rank in range(4)]
    np.testing.assert_allclose(shares, 0.25, atol=0.04)  # each pixel at each place


def test_counts_go_from_none_to_all_in_even_steps():
    counts = counts_of(784, 50)
    assert counts.dtype == np.int32 and len(counts) == 51 and counts[0] == 0 and counts[-1] == 784
    assert set(np.diff(counts)) == {15, 16}
    for steps in (9, 1000):
        np.testing.assert_array_equal(counts_of(9, steps), np.arange(10))
    np.testing.assert_array_equal(counts_of(100, 1), [0, 100])


def test_a_curve_is_what_a_loop_over_pixels_makes_of_it():
    hot, rest = np.random.default_rng(2).random((2, 2, 5, 6, 3)).astype(np.float32)
    weights = np.random.default_rng(3).standard_normal((5, 6, 3)).astype(np.float32)
    probability = lambda x: jax.nn.sigmoid((x * weights).sum((1, 2, 3)))
    ranks, counts = ranks_of(HEAT), counts_of(30, 7)
    curve = jax.jit(exchange_curve, static_argnums=0)
    found = np.asarray(curve(probability, hot, rest, ranks, counts))
    chex.assert_shape(found, (8, 2))
    for b in range(2):
        image = rest[b].copy()
        order = sorted(np.ndindex(5, 6), key=lambda place: -HEAT[b][place])
        for point, count in enumerate(counts):
            for place in order[:count]:
                image[place] = hot[b][place]
            expected = 1 / (1 + np.exp(-(image * weights).sum()))
            np.testing.assert_allclose(found[point, b], expected, rtol=1e-4)
    np.testing.assert_allclose(found[0], probability(rest), rtol=1e-5)
    np.testing.assert_allclose(found[-1], probability(hot), rtol=1e-5)


def test_areas_of_known_curves():
    counts = np.array([0, 1, 4, 10])  # unevenly apart
    curves = np.stack([np.ones(4), counts / 10, 1 - counts / 10, [0, 0, 0, 1]], 1)
    np.testing.assert_allclose(area(curves, counts), [1, 0.5, 0.5, 0.3])
    np.testing.assert_allclose(area(curves[:, 0], counts), 1)


def test_the_right_order_has_the_known_areas_and_the_reversed_one_smaller_ones():
    # Of 8 pixels the first 2 are all that counts, each for half.
    weights = np.zeros((1, 2, 4), np.float32)
    weights[0, 0, :2] = 1
    probability = lambda x: (x[..., 0] * weights / 2).sum((1, 2))
    hot, counts = np.ones((1, 2, 4, 1), np.float32), counts_of(8, 8)
    curve = jax.jit(exchange_curve, static_argnums=0)

    def area_of(heat, hot, rest):
        found = curve(probability, hot, rest, ranks_of(heat), counts)
        return area(np.asarray(found), counts)[0]

    right, wrong = (area_of(heat, hot, 0 * hot) for heat in (weights, -weights))
    expected = [(0.25 + 0.75 + 6) / 8, (0.25 + 0.75) / 8]
    np.testing.assert_allclose([right, wrong], expected, rtol=1e-5)
    deleted, spared = (area_of(heat, 0 * hot, hot) for heat in (weights, -weights))
    np.testing.assert_allclose([deleted, spared], [1 - right, 1 - wrong], rtol=1e-5)


def test_blurring_is_that_of_each_image_and_channel_alone():
    found = blurred(IMAGES, 0.25)  # a quarter of the shorter side, 12
    assert found.dtype == np.float32
    for b, c in np.ndindex(3, 2):
        expected = ndimage.gaussian_filter(IMAGES[b, ..., c], 3, mode="nearest")
        np.testing.assert_allclose(found[b, ..., c], expected, rtol=1e-5)
    assert found.std((1, 2)).max() < 0.3 * IMAGES.std((1, 2)).min()
    np.testing.assert_allclose(blurred(np.full((2, 9, 9, 1), 0.7, np.float32), 0.3), 0.7, rtol=1e-5)


@pytest.mark.parametrize("axis", [1, 2])
def test_the_edges_of_a_step_are_the_pixels_at_its_two_sides(axis):
    step = np.zeros((1, 9, 9, 1), np.float32)
    step[(slice(None),) * axis + (slice(4, None),)] = 1
    found = edges(step)
    chex.assert_shape(found, (1, 9, 9))
    expected = np.broadcast_to(np.isin(np.arange(9), (3, 4)), (9, 9))
    np.testing.assert_allclose(found[0] / found.max(), expected.T if axis == 1 else expected)
    np.testing.assert_allclose(edges(1 - 3 * step), 3 * found)


def test_edges_are_those_of_each_image_alone():
    for b in range(3):
        np.testing.assert_allclose(edges(IMAGES)[b], edges(IMAGES[b : b + 1])[0], rtol=1e-4)


def test_edges_of_channels_add_as_squares():
    channels = sum(edges(IMAGES[:1, ..., c : c + 1]) ** 2 for c in range(2))
    np.testing.assert_allclose(edges(IMAGES[:1]), np.sqrt(channels), rtol=1e-4)
    image = IMAGES[0, ..., 0]
    size = np.hypot(*(ndimage.sobel(image, axis, mode="nearest") for axis in (1, 0)))
    found = edges(IMAGES[:1, ..., :1])[0]
    np.testing.assert_allclose(found / found.max(), size / size.max(), rtol=1e-4)


@pytest.mark.parametrize("ties", [False, True])
def test_rank_correlation_is_spearmans(ties):
    rng = np.random.default_rng(4)
    a, b = rng.random((2, 6, 5, 4))
    b += np.linspace(-2, 2, 6)[:, None, None] * a
    if ties:
        a, b = np.round(3 * a), np.maximum(b, 0)  # as a rectified map
    pairs = zip(a, b, strict=True)
    expected = [stats.spearmanr(one.ravel(), other.ravel()).statistic for one, other in pairs]
    np.testing.assert_allclose(rank_correlation(a, b), expected, rtol=1e-6, atol=1e-9)
    assert min(expected) < -0.3 and max(expected) > 0.3


def test_rank_correlation_of_an_order_with_itself_reversed_and_with_nothing():
    a = np.random.default_rng(5).random((3, 5, 4))
    np.testing.assert_allclose(rank_correlation(a, np.exp(9 * a)), 1)
    np.testing.assert_allclose(rank_correlation(a, -a), -1)
    one_flat = a * np.array([1, 0, 1])[:, None, None]
    np.testing.assert_allclose(rank_correlation(a, one_flat), [1, 0, 1])
    np.testing.assert_allclose(rank_correlation(one_flat, a), [1, 0, 1])
