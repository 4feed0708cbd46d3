"""Several images on one larger canvas."""

import numpy as np


def scatter(
    rng: np.random.Generator, size: tuple[int, int], rows: int, columns: int, step: int
) -> tuple[np.ndarray, tuple]:
    """Where images of a size lie in the cells of a grid, half as large again as they are, one each.

    Args:
      step: corners lie at multiples of it, in pixels.

    Returns:
      int [rows * columns, 2], row and column of the top left pixel of each image, cell by cell; (height, width) of the canvas.
    """
    cell = np.array([-(-3 * side // (2 * step)) * step for side in size])
    cells = np.array([(i, j) for i in range(rows) for j in range(columns)])
    corners = cells * cell + step * rng.integers(0, (cell - size) // step + 1, (len(cells), 2))
    return corners, (int(rows * cell[0]), int(columns * cell[1]))


def place(
    images: np.ndarray, corners: np.ndarray, size: tuple[int, int], background: np.ndarray
) -> np.ndarray:
    """A canvas uint8 [H, W, C] of a size and colour, uint8 [C], with images uint8 [n, h, w, C] at their corners, int [n, 2]."""
    canvas = np.broadcast_to(background, (*size, images.shape[-1])).copy()
    for image, (top, left) in zip(images, corners, strict=True):
        canvas[top : top + image.shape[0], left : left + image.shape[1]] = image
    return canvas
