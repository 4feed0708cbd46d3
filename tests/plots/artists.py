"""Reads what a figure shows from its artists, without a file."""

import sys
from pathlib import Path
from unittest import mock

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgba


def drawn(plot, *arguments, **more):
    """Return the figure that a function of dla_jax/plots draws, and what it says.

    `save` keeps the figure meanwhile.
    """
    kept = []
    keep = lambda figure, path: kept.append(figure)
    with mock.patch.object(sys.modules[plot.__module__], "save", keep):
        told = plot(*arguments, path=Path("not written"), **more)
    (figure,) = kept
    plt.close(figure)  # its artists stay
    return figure, told


def figure_of(plot, *arguments, **more):
    """Return the figure that a function of dla_jax/plots draws."""
    return drawn(plot, *arguments, **more)[0]


def points(line) -> list[tuple[float, float]]:
    """Return the points (x, y) of a line."""
    return list(zip(*(np.asarray(each, float).tolist() for each in line.get_data()), strict=True))


def marked(axis, marker: str) -> list[tuple[float, float]]:
    """Return the points of all lines with that marker, in the order in which they were drawn."""
    lines = [line for line in axis.get_lines() if line.get_marker() == marker]
    return [point for line in lines for point in points(line)]


def labelled(axis) -> dict:
    """Return {label: line} of the lines that a legend names."""
    handles, labels = axis.get_legend_handles_labels()
    return dict(zip(labels, handles, strict=True))


def row_names(axis) -> dict[float, str]:
    """Return {height: text} of the ticks of the vertical axis."""
    texts = [label.get_text() for label in axis.get_yticklabels()]
    return dict(zip(axis.get_yticks().tolist(), texts, strict=True))


def same_colour(one, other) -> bool:
    """Return whether two colours look alike, transparency aside."""
    return to_rgba(one)[:3] == to_rgba(other)[:3]


def band(axis, which: int = 0) -> np.ndarray:
    """Return (x, low, high) of a shaded range, float [3, points], in the order in which x grows."""
    corners = axis.collections[which].get_paths()[0].vertices
    x = np.unique(corners[:, 0])
    sides = [corners[corners[:, 0] == at, 1] for at in x]
    return np.array([x, [side.min() for side in sides], [side.max() for side in sides]])
