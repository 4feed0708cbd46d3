"""Figures of the gradient of a network with one input along that input, from plain arrays.

What draws a figure returns what it shows, in words.
"""

import math
from pathlib import Path

import matplotlib
import numpy as np

from dla_jax.evidence.formatting import number
from dla_jax.plots import words
from dla_jax.plots.runs import incomplete, mean
from dla_jax.plots.style import MARKERS, PAGE, STYLE, plt, save


def neighbours(gradient) -> float:
    """Return the uncentred autocorrelation of float [N] at lag 1; nan where it is all zero.

    It is nan, too, where a value is not finite.
    """
    gradient = np.asarray(gradient, float)
    power = np.mean(gradient**2)
    if not 0 < power < math.inf:
        return math.nan
    return float(np.mean(gradient[1:] * gradient[:-1]) / power)


def _decimals(value: float) -> str:
    return number(value, 2) if math.isfinite(value) else "unknown"


def walks(networks: dict[str, dict], looks: dict[str, tuple[str, str]], path: Path) -> str:
    """Draw dy/dx along x, a panel a network (Balduzzi et al. 2017, figure 1).

    A gradient that shatters looks like white noise; one that does not, like a random walk. Each is
    over its root mean square, so that sizes do not hide shapes.

    Args:
      networks: {label: {"grid": float [N], "gradient": float [N]}}, in the order of the panels.
      looks: {label: (colour, marker)}.
    """
    columns = min(3 if len(networks) != 4 else 2, len(networks))
    rows = -(-len(networks) // columns)
    shape = {"figsize": (PAGE, 0.5 + 1.35 * rows), "sharey": True, "squeeze": False}
    told = []
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(rows, columns, **shape)
        for axis, (label, found) in zip(axes.flat, networks.items(), strict=False):
            gradient = np.asarray(found["gradient"], float)
            size = np.sqrt(np.mean(gradient**2))
            shown = gradient / size if 0 < size < math.inf else gradient  # nan is not drawn
            axis.plot(found["grid"], shown, color=looks[label][0], linewidth=0.7)
            near, name = _decimals(neighbours(gradient)), label.replace("_", " ")
            axis.set_title(f"{name} (lag 1: {near})", loc="left")
            told.append(f"{name} {near}")
        for axis in axes.flat[len(networks) :]:
            axis.axis("off")
        for axis in axes.flat[max(0, len(networks) - columns) : len(networks)]:
            axis.set_xlabel("input x")
        for row in axes:
            row[0].set_ylabel("dy/dx over its rms")
        save(figure, path)
    return f"Autocorrelation of dy/dx between neighbours on the grid: {words.listed(told)}."


def _depth_lines(axis, depths: dict[int, np.ndarray], lags, colours: dict, marks: dict) -> None:
    for depth, values in depths.items():
        look = {"color": colours[depth], "marker": marks[depth], "markersize": 3}
        axis.plot(lags, mean(values), label=str(depth), **look)
    axis.axhline(0, color="0.3", linewidth=0.8, zorder=1)
    axis.set_xlabel("lag (points of the grid)")


def autocorrelations(panels: dict[str, dict[int, np.ndarray]], lags, path: Path) -> str:
    """Draw the autocorrelation of dy/dx by lag, a line a depth, the mean over runs.

    Args:
      panels: {title: {depth: float [S, lags]}}; nan in a run that diverged.
      lags: int [lags], rising.
    """
    deep = sorted({depth for depths in panels.values() for depth in depths})
    shades = matplotlib.colormaps["viridis_r"](np.linspace(0.12, 1, len(deep)))
    colours = dict(zip(deep, shades, strict=True))
    marks = {depth: MARKERS[i % len(MARKERS)] for i, depth in enumerate(deep)}
    columns = min(4, len(panels))
    rows = -(-len(panels) // columns)
    shape = {"figsize": (PAGE, 0.5 + 2.2 * rows), "sharex": True, "sharey": True, "squeeze": False}
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(rows, columns, **shape)
        for axis, (title, depths) in zip(axes.flat, panels.items(), strict=False):
            _depth_lines(axis, depths, lags, colours, marks)
            axis.set_title(title.replace("_", " "), loc="left")
        for axis in axes.flat[len(panels) :]:
            axis.axis("off")
        for row in axes:
            row[0].set_ylabel("autocorrelation of dy/dx")
        lines = {}
        for axis in axes.flat:
            lines |= dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
        named = [lines[str(depth)] for depth in deep]
        figure.legend(named, deep, title="depth", loc="outside right center", title_fontsize=7)
        save(figure, path)
    return _fall_in_words(panels, lags)


def _fall_in_words(panels: dict[str, dict[int, np.ndarray]], lags) -> str:
    """Return the autocorrelation at the first lag beyond 0, depth by depth."""
    at = int(np.argmax(np.asarray(lags) > 0))
    told = []
    for title, depths in panels.items():
        along = [
            f"{_decimals(mean(depths[depth])[at])} at depth {depth}{incomplete(depths[depth])}"
            for depth in sorted(depths)
        ]
        told.append(f"{title.replace('_', ' ')} {words.listed(along)}")
    return f"Autocorrelation of dy/dx at lag {lags[at]}: {'; '.join(told)}."
