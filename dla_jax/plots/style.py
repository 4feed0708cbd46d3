"""How figures look: for a paper column, in colours that colour-blind readers can tell apart."""

import warnings
from pathlib import Path

import matplotlib

# No screen is needed. In a notebook, where plots of one's own are shown below their cell, its
# backend stays; it draws with Agg too.
if "inline" not in (matplotlib.get_backend(auto_select=False) or ""):
    matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from dla_jax.evidence.pictures import SMALLEST_TEXT, note

# Okabe and Ito's palette (jfly.uni-koeln.de/color), in an order that keeps neighbours apart, in
# grey too.
COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
# Where more are told apart: with five of Paul Tol's muted scheme (personal.sron.nl/~pault), darker
# or greyer than those above.
MANY_COLOURS = (*COLOURS, "#882255", "#999933", "#332288", "#999999", "#AA4499")
MARKERS = ("s", "o", "^", "D", "v", "P", "X")
COLUMN, PAGE = 3.4, 7.0  # inches
SCRIPT = 0.7  # how large matplotlib draws an exponent, beside its text
STYLE = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "legend.fontsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "savefig.dpi": 220,
}
# Of pictures and matrices: without a grid, with a frame.
FRAMED = STYLE | {"axes.grid": False, "axes.spines.top": True, "axes.spines.right": True}


def looks_of(names) -> dict[str, tuple[str, str]]:
    """Return {name: (colour, marker)}; no two of the first twelve names have the same colour."""
    return {
        name: (MANY_COLOURS[i % len(MANY_COLOURS)], MARKERS[i % len(MARKERS)])
        for i, name in enumerate(names)
    }


def epoch_axis(axis) -> None:
    """Label whole epochs from left to right, also where there is but one."""
    first, last = axis.dataLim.intervalx
    axis.set_xlim(first - 0.25, last + 0.25)
    axis.set_xlabel("epoch")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def save(figure, path: Path) -> None:
    """Write a PNG, which notes how large its smallest text is, and free the figure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dpi = plt.rcParams["savefig.dpi"]
    figure.set_dpi(dpi)
    with warnings.catch_warnings():
        # Of a name in a script that the font has not.
        warnings.filterwarnings("ignore", "Glyph .* missing")
        figure.canvas.draw()  # labels of ticks are made only now
    noted = PngInfo()
    points = smallest_text(figure)
    if points is not None:
        noted.add_text(SMALLEST_TEXT, note(points * dpi / 72))
    pixels = Image.fromarray(np.asarray(figure.canvas.buffer_rgba()))
    pixels.save(path, dpi=(dpi, dpi), pnginfo=noted)
    plt.close(figure)


def smallest_text(figure) -> float | None:
    """Return the size of the smallest text of a drawn figure, in points; None without any text.

    Exponents and indices of mathematical text are smaller than the text itself.
    """
    sizes = []
    for text in figure.findobj(Text):
        words = text.get_text().strip()
        if words and text.get_visible():
            script = text.get_parse_math() and "$" in words and ("^" in words or "_" in words)
            sizes.append(text.get_fontsize() * (SCRIPT if script else 1))
    return min(sizes, default=None)


def draw_all(figures: dict[str, tuple], folder: Path) -> dict[str, dict]:
    """Draw those figures that there is something for.

    Args:
      figures: {name: (plot, data, *other arguments)}; a plot returns what it shows in words.

    Returns:
      {name: {"path", "alt": these words}}.
    """
    drawn = {}
    for name, (plot, data, *more) in figures.items():
        if data:
            path = folder / f"{name}.png"
            drawn[name] = {"path": path, "alt": plot(data, *more, path)}
    return drawn
