"""The row that the forest plots share: every run as a dot, the interval as a bar, the centre."""

import math

import numpy as np

from dla_jax.plots.style import COLOURS


def draw_dots(axis, y: float, values, spread: float, colour=COLOURS[5]) -> None:
    """Draw values float [n] as dots around the height y, a little apart so that none hides one."""
    heights = y + np.linspace(-spread, spread, len(values))
    axis.plot(values, heights, ".", color=colour, markersize=4, markeredgewidth=0)


def draw_row(
    axis,
    y: float,
    values,
    centre: float,
    bounds: tuple[float, float],
    *,
    spread: float = 0.18,
    cap: str = "butt",
    diamond: float = 4,
    colour: str = COLOURS[1],
    dots=COLOURS[5],
) -> None:
    """Draw a row of a forest plot: dots, the bar of the interval if it is finite, and a diamond.

    Args:
      y: the height of the row.
      values: float [n], one a run.
      centre: where the diamond lies: the mean, or what else the interval is about.
      bounds: (low, high) of the interval; infinite where there is none.
      spread: how far from y the outermost dots lie.
      cap: how matplotlib ends the bar.
      diamond: its size in points.
      colour: of the bar and the diamond.
      dots: their colour.
    """
    draw_dots(axis, y, values, spread, dots)
    if math.isfinite(bounds[0]):
        look = {"linewidth": 1.6, "solid_capstyle": cap, "zorder": 3}
        axis.plot(bounds, [y, y], color=colour, **look)
    axis.plot(centre, y, "D", color=colour, markersize=diamond, zorder=4)
