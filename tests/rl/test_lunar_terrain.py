"""The moon: gymnasium's heights, and what touches them by looking at many points."""

import jax
import numpy as np
import pytest

from dla_jax.rl import lunar_terrain
from dla_jax.rl.lunar_body import HULL
from dla_jax.rl.lunar_terrain import HEIGHT, PAD, SKIN, WIDTH

X = np.linspace(0, WIDTH, 11)
terrains = jax.jit(jax.vmap(lunar_terrain.terrain))


@jax.jit
def separation(place, angle, ground):
    """Return how far the hull is from the ground."""
    return lunar_terrain.polygon_separation(HULL, place, angle, ground)


@pytest.fixture(scope="module")
def grounds():
    """Return 40 terrains: float32 [40, 11]."""
    return np.asarray(terrains(jax.random.split(jax.random.key(3), 40)))


def gymnasium_heights(drawn):
    """Return the heights that gymnasium makes of what it draws, as its source has it."""
    height, chunks = list(map(float, drawn)), 11
    for i in range(chunks // 2 - 2, chunks // 2 + 3):
        height[i] = HEIGHT / 4
    return [0.33 * (height[i - 1] + height[i] + height[i + 1]) for i in range(chunks)]


def test_heights_are_gymnasium_s(grounds):
    draw = jax.vmap(lambda key: jax.random.uniform(key, (12,), maxval=HEIGHT / 2))
    drawn = np.asarray(jax.jit(draw)(jax.random.split(jax.random.key(3), 40)))
    for found, row in zip(grounds, drawn, strict=True):
        np.testing.assert_allclose(found, gymnasium_heights(row), rtol=1e-5)
    np.testing.assert_allclose(grounds[:, 4:7], 0.99 * PAD, rtol=1e-6)  # the rule of 0.33
    assert np.ptp(grounds[:, [0, 1, 2, 3, 7, 8, 9, 10]], axis=0).min() > 1
    assert (WIDTH, HEIGHT) == (600 / 30, 400 / 30)


def line_below(ground, x):
    return np.interp(x, X, ground)


def test_above_is_the_distance_from_the_slope_below(grounds):
    rng, above = np.random.default_rng(0), jax.jit(lunar_terrain.above)
    for ground in grounds[:5]:
        points = rng.uniform((0.01, 0), (WIDTH - 0.01, 8), (50, 2)).astype(np.float32)
        found, normal = map(np.asarray, above(ground, points))
        slope = np.minimum(points[:, 0] // 2, 9).astype(int)
        rise = np.diff(ground)[slope]
        height = points[:, 1] - line_below(ground, points[:, 0])
        np.testing.assert_allclose(found, height * 2 / np.hypot(2, rise) - SKIN, atol=1e-4)
        np.testing.assert_allclose(np.hypot(*normal.T), 1, rtol=1e-5)
        np.testing.assert_allclose(normal[:, 0] * 2 + normal[:, 1] * rise, 0, atol=1e-5)
        assert (normal[:, 1] > 0).all()
    beyond = above(grounds[0], np.tile(np.float32([[-3.0, 5.0], [23.0, 5.0]]), (25, 1)))[0]
    assert np.isfinite(beyond).all()


def by_points(ends, ground):
    """Return the least height of a segment's points over each slope, skin included: [10]."""
    points = ends[0] + np.linspace(0, 1, 1001)[:, None] * (ends[1] - ends[0])
    heights = []
    for left, right in zip(
        np.stack([X, ground], 1)[:-1], np.stack([X, ground], 1)[1:], strict=True
    ):
        length = np.hypot(*(right - left))
        along = (points - left) @ (right - left) / length
        over = (right - left) / length
        height = (points - left) @ np.array([-over[1], over[0]]) - SKIN
        inside = (along >= 0) & (along <= length)
        heights.append(height[inside].min() if inside.any() else np.inf)
    return np.array(heights)


def test_touched_slopes_are_those_that_points_of_the_segments_touch(grounds):
    rng, counts = np.random.default_rng(1), np.zeros(3, int)
    touched = jax.jit(lunar_terrain.touched_slopes)
    for ground in grounds:
        first = rng.uniform(1, WIDTH - 1, 20)
        first = np.stack([first, line_below(ground, first) + rng.normal(0, 0.15, 20)], 1)
        turn, size = rng.uniform(-np.pi, np.pi, 20), rng.uniform(0.1, 0.8, 20)
        second = first + size[:, None] * np.stack([np.cos(turn), np.sin(turn)], 1)
        ends = np.float32(np.stack([first, second], 1))
        lowest = np.array([by_points(pair, ground) for pair in ends])
        for most in (0.0, -0.015):
            found = np.asarray(touched(ends, ground, most))
            clear = np.abs(lowest - most) > 2e-3
            np.testing.assert_array_equal(found[clear], (lowest <= most)[clear])
            counts += np.bincount(found.sum(1), minlength=3)[:3]
    assert (counts > 20).all(), "none, one and two slopes"


def least_distance(corners, ground):
    """Return how far the outlines of a polygon and of the ground are apart, and if they overlap."""
    sides = np.linspace(corners, np.roll(corners, -1, 0), 40, axis=1).reshape(-1, 2)
    line = np.linspace(0, WIDTH, 2001)
    line = np.stack([line, line_below(ground, line)], 1)
    near = line[np.abs(line[:, 0] - corners[:, 0].mean()) < 2]
    apart = np.sqrt(((sides[:, None] - near) ** 2).sum(-1)).min()
    edge = np.roll(corners, -1, 0) - corners
    within = edge[:, 0] * (near[:, None, 1] - corners[:, 1]) > edge[:, 1] * (
        near[:, None, 0] - corners[:, 0]
    )
    buried = sides[:, 1] < line_below(ground, sides[:, 0])
    return apart, bool(within.all(1).any() or buried.any())


def test_polygons_overlap_the_ground_where_points_of_them_do(grounds):
    rng, kinds = np.random.default_rng(2), []
    for ground in grounds[:20]:
        for _ in range(8):
            x, angle = rng.uniform(1, WIDTH - 1), rng.uniform(-np.pi, np.pi)
            place = np.float32([x, line_below(ground, x) + rng.uniform(0.2, 0.9)])
            cos, sin = np.cos(angle), np.sin(angle)
            corners = place + HULL @ np.array([[cos, sin], [-sin, cos]])
            found = float(separation(place, np.float32(angle), ground))
            apart, overlap = least_distance(corners, ground)
            if overlap:
                assert found < 0
            elif apart > SKIN + 0.02:  # where two corners meet it is a little less
                assert 0 < found < apart
            kinds.append((overlap, found < 0.2))
    assert len(set(kinds)) > 2 and 0.2 < np.mean([overlap for overlap, _ in kinds]) < 0.8


def test_a_peak_below_a_side_is_as_far_as_the_gap_without_the_skin():
    ground = np.full(11, 3.0, np.float32)
    ground[5] = 4.0  # at x = 10, below the middle of the hull's lower side
    for gap in (0.3, 0.03, 0.01, -0.05):
        place = np.float32([WIDTH / 2, 4 + 10 / 30 + gap])
        found = float(separation(place, np.float32(0), ground))
        assert found == pytest.approx(gap - SKIN, abs=1e-5)
