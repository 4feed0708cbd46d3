"""How figures look: for a paper column, in colours that colour-blind readers can tell apart."""

import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # no screen needed

import matplotlib.pyplot as plt
from matplotlib.ticker import MaxNLocator

# Okabe and Ito's palette (jfly.uni-koeln.de/color), in an order that keeps neighbours apart, in
# grey too.
COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
# Where more are told apart: with five of Paul Tol's muted scheme (personal.sron.nl/~pault), darker
# or greyer than those above.
MANY_COLOURS = (*COLOURS, "#882255", "#999933", "#332288", "#999999", "#AA4499")
MARKERS = ("s", "o", "^", "D", "v", "P", "X")
COLUMN, PAGE = 3.4, 7.0  # inches
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


def epoch_axis(axis) -> None:
    """Label whole epochs from left to right, also where there is but one."""
    first, last = axis.dataLim.intervalx
    axis.set_xlim(first - 0.25, last + 0.25)
    axis.set_xlabel("epoch")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def save(figure, path: Path) -> None:
    """Write a PNG and free the figure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        # Of a name in a script that the font has not.
        warnings.filterwarnings("ignore", "Glyph .* missing")
        figure.savefig(path)
    plt.close(figure)


def draw_all(figures: dict[str, tuple], folder: Path) -> dict[str, Path]:
    """Draw those figures that there is something for, and return {name: path}.

    `figures`: {name: (plot, data, *other arguments)}.
    """
    paths = {}
    for name, (plot, data, *more) in figures.items():
        if data:
            paths[name] = folder / f"{name}.png"
            plot(data, *more, paths[name])
    return paths
