"""Images on a canvas stand in their cells, and nothing else changes."""

import numpy as np
import pytest

from dla_jax.data.canvas import place, scatter

BACKGROUND = np.array([7, 11, 13], np.uint8)  # below every pixel of the images
# size, step, grid
CASES = [
    ((28, 28), 2, (2, 3)),
    ((9, 7), 2, (3, 2)),
    ((16, 16), 5, (2, 2)),
    ((8, 8), 8, (1, 4)),
]


def made(case, seed=0):
    """Return the images, the canvas, and their corners on it."""
    size, step, (rows, columns) = case
    images = np.random.default_rng(99).integers(20, 256, (rows * columns, *size, 3), np.uint8)
    corners, canvas_size = scatter(np.random.default_rng(seed), size, rows, columns, step)
    canvas = place(images, corners, canvas_size, BACKGROUND)
    assert canvas.shape == (*canvas_size, 3)
    return images, canvas, corners


def test_each_image_stands_at_its_corner_pixel_by_pixel_and_the_rest_is_background():
    for case in CASES:
        images, canvas, corners = made(case)
        (height, width), step, _ = case
        assert canvas.dtype == np.uint8 and corners.shape == (len(images), 2)
        owners = np.zeros(canvas.shape[:2], int)
        for image, (top, left) in zip(images, corners, strict=True):
            assert 0 <= top <= canvas.shape[0] - height and 0 <= left <= canvas.shape[1] - width
            np.testing.assert_array_equal(canvas[top : top + height, left : left + width], image)
            owners[top : top + height, left : left + width] += 1
        assert owners.max() == 1  # none lies on another
        assert not (corners % step).any()
        free = canvas[owners == 0]
        assert len(free) > 0
        np.testing.assert_array_equal(free, np.broadcast_to(BACKGROUND, free.shape))


@pytest.mark.parametrize("case", CASES)
def test_images_stand_anywhere_in_their_cells(case):
    size, step, grid = case
    cell = np.array(made(case)[1].shape[:2]) // grid
    assert (cell >= 1.5 * np.array(size)).all()
    assert (cell < 1.5 * np.array(size) + step).all()
    assert not (cell % step).any()
    cells = np.array(list(np.ndindex(*grid))) * cell  # from left to right and top to bottom
    offsets = np.stack([made(case, seed)[2] - cells for seed in range(60)])
    for axis in (0, 1):
        assert set(offsets[..., axis].ravel()) == set(range(0, cell[axis] - size[axis] + 1, step))
    assert len(np.unique(offsets[:, 0], axis=0)) > 1 or (cell - size < step).all()


def test_the_same_seed_makes_the_same_canvas_and_another_seed_another():
    _, first, corners = made(CASES[0], seed=4)
    _, again, same = made(CASES[0], seed=4)
    _, _, others = made(CASES[0], seed=5)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(corners, same)
    assert not np.array_equal(corners, others)
    assert len(np.unique(corners % 42, axis=0)) > 1  # a draw for each image


def test_neither_the_images_nor_the_background_are_written_to():
    images, canvas, _ = made(CASES[1])
    canvas[:] = 0
    assert images.min() >= 20 and BACKGROUND.min() == 7
