"""A picture under way, its colours, and the shapes that are drawn on it: Pillow alone."""

import functools
import math

import numpy as np
from PIL import Image, ImageDraw

# Okabe and Ito's palette in the order of plots/style.py.
VERMILION, BLUE, GREEN, PURPLE = "#D55E00", "#0072B2", "#009E73", "#CC79A7"
ORANGE, SKY, BLACK = "#E69F00", "#56B4E9", "#000000"
PAGE, GROUND, LINE, GREY, INK = "#FFFFFF", "#F4F5F7", "#DCDFE4", "#9AA0A8", "#26292E"
FINE = 3  # pictures are drawn so many times larger: shrinking them smooths their edges


class Board:
    """A picture under way, in an environment's own units: x to the right, y upwards."""

    def __init__(
        self,
        size: tuple[int, int],
        scale: float,
        origin: tuple[float, float],
        below: Image.Image | None = None,
    ):
        """Begin a picture.

        Args:
          size: (width, height) in pixels.
          scale: pixels per unit.
          origin: the pixel of (0, 0).
          below: another board's large picture to draw on.
        """
        width, height = size
        self.large = (
            below.copy() if below else Image.new("RGB", (width * FINE, height * FINE), GROUND)
        )
        self.scale, self.origin = scale * FINE, (origin[0] * FINE, origin[1] * FINE)
        self.draw = ImageDraw.Draw(self.large)

    def pixel(self, x: float, y: float) -> tuple[float, float]:
        """Return the (column, row) of a point on the large picture."""
        return self.origin[0] + x * self.scale, self.origin[1] - y * self.scale

    def polygon(self, points, colour: str) -> None:
        """Draw a filled polygon."""
        self.draw.polygon([self.pixel(x, y) for x, y in points], fill=colour)

    def disc(self, x: float, y: float, radius: float, colour: str) -> None:
        """Draw a filled circle; radius in units."""
        (column, row), radius = self.pixel(x, y), radius * self.scale
        box = (column - radius, row - radius, column + radius, row + radius)
        self.draw.ellipse(box, fill=colour)

    def line(self, points, colour: str, width: float = 1) -> None:
        """Draw a line through points; width in pixels of the finished picture."""
        pixels = [self.pixel(x, y) for x, y in points]
        self.draw.line(pixels, fill=colour, width=round(width * FINE), joint="curve")

    def rod(
        self, start: tuple[float, float], end: tuple[float, float], width: float, colour: str
    ) -> None:
        """Draw a bar with round ends; width in units."""
        angle = math.atan2(end[1] - start[1], end[0] - start[0])
        across = (-math.sin(angle) * width / 2, math.cos(angle) * width / 2)
        corners = [
            (point[0] + side * across[0], point[1] + side * across[1])
            for point, side in ((start, 1), (end, 1), (end, -1), (start, -1))
        ]
        self.polygon(corners, colour)
        for point in (start, end):
            self.disc(*point, width / 2, colour)

    def finish(self) -> Image.Image:
        """Return the picture in its final size."""
        return self.large.reduce(FINE)


@functools.lru_cache
def rgb(colour: str) -> np.ndarray:
    """Return '#RRGGBB' as float32 [3]."""
    return np.array(tuple(bytes.fromhex(colour[1:])), np.float32)
