"""The row that the forest plots share: every run as a dot, the interval as a bar, the centre."""

import math
from collections.abc import Callable

import numpy as np

from dla_jax.plots.runs import mean
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


def draw_ranked(
    axis, values: dict[str, np.ndarray], bounds: dict[str, tuple[float, float]], form: Callable
) -> None:
    """Draw a row for each name, its mean as a number beside it; that of the highest is orange.

    Args:
      values: {name: float [n], one a run}, the first on top; nan in a run without one.
      bounds: {name: (low, high)} of the mean's interval; nan or infinite where there is none.
      form: how a mean is written.
    """
    means = {name: float(mean(each)) for name, each in values.items()}
    best = max((each for each in means.values() if not math.isnan(each)), default=None)
    for y, (name, each) in enumerate(values.items()):
        leads = means[name] == best
        colour = COLOURS[0] if leads else COLOURS[1]
        draw_row(axis, y, each, means[name], bounds[name], colour=colour, diamond=3)
        place = {"xycoords": ("axes fraction", "data"), "va": "center", "color": colour}
        text = "–" if math.isnan(means[name]) else form(means[name])
        axis.annotate(text, (1.03, y), fontsize=7, weight="bold" if leads else "normal", **place)
