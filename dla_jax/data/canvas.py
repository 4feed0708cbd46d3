"""Several images on one larger canvas."""

import numpy as np


def scatter(
    rng: np.random.Generator, size: tuple[int, int], rows: int, columns: int, step: int
) -> tuple[np.ndarray, tuple]:
    """Draw where images of a size lie in the cells of a grid, one in each cell.

    A cell is half as large again as an image.

    Args:
      step: corners lie at multiples of it, in pixels.

    Returns:
      int [rows * columns, 2], row and column of the top left pixel of each image, cell by cell;
      (height, width) of the canvas.
    """
    cell = np.array([-(-3 * side // (2 * step)) * step for side in size])
    cells = np.array([(i, j) for i in range(rows) for j in range(columns)])
    corners = cells * cell + step * rng.integers(0, (cell - size) // step + 1, (len(cells), 2))
    return corners, (int(rows * cell[0]), int(columns * cell[1]))


def place(
    images: np.ndarray, corners: np.ndarray, size: tuple[int, int], background: np.ndarray
) -> np.ndarray:
    """Return a canvas of a size and a colour, with images at their corners.

    Args:
      images: uint8 [n, h, w, C].
      corners: int [n, 2], row and column of the top left pixel of each image.
      size: (H, W) of the canvas.
      background: its colour, uint8 [C].

    Returns:
      uint8 [H, W, C].
    """
    canvas = np.broadcast_to(background, (*size, images.shape[-1])).copy()
    for image, (top, left) in zip(images, corners, strict=True):
        canvas[top : top + image.shape[0], left : left + image.shape[1]] = image
    return canvas
