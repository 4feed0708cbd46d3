"""Figures of the loss around trained weights, from plain arrays.

What draws a figure returns what it shows, in words.
"""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.ticker import MaxNLocator

from dla_jax.evidence.formatting import count, digits, short
from dla_jax.plots import words
from dla_jax.plots.runs import draw_runs, incomplete, log_scale, median, name_above, plain_ticks
from dla_jax.plots.style import FRAMED, PAGE, STYLE, plt, save

DECADES = 6  # that one scale tells apart, at most
COLOURMAP = matplotlib.colormaps["viridis"]


def _scale(networks: dict[str, np.ndarray]) -> tuple[float, float]:
    """Return the lowest and the highest loss of a scale for all networks, low < high.

    What lies far above nearly all else is beyond it: a corner that explodes must not hide the rest.
    """
    losses = np.concatenate([np.ravel(loss) for loss in networks.values()])
    losses = losses[np.isfinite(losses) & (losses > 0)]
    if not len(losses):
        return 0.1, 1.0
    high = min(float(losses.max()), 10 * float(np.quantile(losses, 0.9)))
    low = max(float(losses.min()), high * 10.0**-DECADES)
    return low, max(high, 2 * low)


def _heights(loss, low: float, high: float) -> np.ma.MaskedArray:
    """Return log10 of losses within the scale; nan is masked, what overflowed is high."""
    return np.ma.masked_invalid(np.log10(np.clip(np.asarray(loss, float), low, high)))


def _valleys(loss: np.ndarray) -> int:
    """Return how many inner points float [A, B] lie below all their eight neighbours."""
    a, b = loss.shape
    inner = loss[1:-1, 1:-1]
    around = [
        loss[1 + i : a - 1 + i, 1 + j : b - 1 + j]
        for i in (-1, 0, 1)
        for j in (-1, 0, 1)
        if (i, j) != (0, 0)
    ]
    return int(np.sum(np.all([inner < other for other in around], axis=0)))


def _planes_in_words(networks: dict[str, np.ndarray], alphas, betas) -> str:
    """Return the loss at the trained weights and around them, and how many valleys there are."""
    middle = np.argmin(np.abs(alphas)), np.argmin(np.abs(betas))
    told = []
    for label, loss in networks.items():
        loss = np.asarray(loss, float)
        finite = loss[np.isfinite(loss)]
        around = digits(float(np.median(finite))) if len(finite) else "unknown"
        text = f"{label.replace('_', ' ')} {digits(float(loss[middle]))}, {around} and "
        text += words.largest(loss.flat)
        if len(finite):
            text += f", {count(_valleys(loss), 'local minimum').replace('minimums', 'minima')}"
        told.append(text)
    return (
        "Loss at the trained weights, its median and its largest in the plane: "
        f"{words.listed(told, '; ')}."
    )


def _grid_of(networks: dict) -> tuple[int, int]:
    """Return (rows, columns) of the panels."""
    columns = min(4, len(networks)) if len(networks) != 6 else 3
    return -(-len(networks) // columns), columns


def _contour(axis, loss, alphas, betas, low: float, high: float) -> None:
    """Draw losses [A, B], alpha to the right and beta upwards."""
    heights, (bottom, top) = _heights(loss, low, high).T, np.log10([low, high])
    axis.set_facecolor("0.85")
    if heights.count():
        # A little wider than the scale: what lies at its ends is inside.
        levels = np.linspace(bottom - 1e-6, top + 1e-6, 28)
        look = {"norm": Normalize(bottom, top), "cmap": COLOURMAP}
        axis.contourf(alphas, betas, heights, levels=levels, **look)
        lines = [level for level in levels[1:-1:2] if heights.min() < level < heights.max()]
        if lines:
            look = {"colors": "white", "linewidths": 0.4, "linestyles": "solid"}
            axis.contour(alphas, betas, heights, levels=lines, **look)
    look = {"markersize": 6, "markeredgecolor": "black", "markeredgewidth": 0.6}
    axis.plot(0, 0, "*", color="white", **look)
    axis.set_aspect("equal")
    for side in (axis.xaxis, axis.yaxis):
        side.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        side.set_major_formatter(lambda x, _: short(x))


def _name_colours(figure, axes, networks: dict, low: float, high: float) -> None:
    """Draw the scale of colours beside all panels, with a tip where some loss lies beyond it."""
    beyond = any(np.any(np.asarray(loss) > high) for loss in networks.values())
    colours = ScalarMappable(LogNorm(low, high), COLOURMAP)
    look = {"shrink": 0.8, "extend": "max" if beyond else "neither"}
    bar = figure.colorbar(colours, ax=axes, label="loss", **look)
    if high < 100 * low:
        plain_ticks(bar.ax.yaxis)


def contours(networks: dict[str, np.ndarray], alphas, betas, path: Path) -> str:
    """Draw the loss in a plane through the trained weights (Li et al. 2018, figure 5).

    One scale of colours serves all panels; a star marks the trained weights.

    Args:
      networks: {label: loss float [A, B]}; nan or infinite where it overflowed.
      alphas: float [A], rising: how far along the first direction, in norms of the filters.
      betas: float [B], along the second.
    """
    low, high = _scale(networks)
    rows, columns = _grid_of(networks)
    side = (PAGE - 1.25) / columns - 0.28  # of a panel, in inches, beside what is written
    with plt.rc_context(FRAMED):
        shape = {
            "figsize": (PAGE, rows * (side + 0.57)),
            "sharex": True,
            "sharey": True,
            "squeeze": False,
        }
        shape["layout"] = "compressed"  # square panels leave no gaps
        figure, axes = plt.subplots(rows, columns, **shape)
        for axis, (label, loss) in zip(axes.flat, networks.items(), strict=False):
            _contour(axis, loss, alphas, betas, low, high)
            axis.set_title(label.replace("_", " "), loc="left")
        for axis in axes.flat[len(networks) :]:
            axis.axis("off")
        for axis in axes.flat[max(0, len(networks) - columns) : len(networks)]:
            axis.set_xlabel("first direction")
            axis.tick_params(labelbottom=True)
        for row in axes:
            row[0].set_ylabel("second direction")
        _name_colours(figure, axes, networks, low, high)
        save(figure, path)
    return _planes_in_words(networks, alphas, betas)


def _surface(axis, loss, alphas, betas, low: float, high: float) -> None:
    """Draw log10 of losses [A, B] as a surface over the plane."""
    bottom, top = np.log10([low, high])
    heights = np.ma.filled(_heights(loss, low, high), np.nan)
    x, y = np.meshgrid(alphas, betas, indexing="ij")
    look = {"cmap": COLOURMAP, "norm": Normalize(bottom, top), "edgecolor": (0, 0, 0, 0.25)}
    axis.plot_surface(x, y, heights, rstride=1, cstride=1, linewidth=0.15, **look)
    axis.set_zlim(bottom, top)
    for side in (axis.xaxis, axis.yaxis):
        side.set_major_locator(MaxNLocator(2, steps=[1, 2, 5, 10]))
    ticks = np.arange(np.ceil(bottom), np.floor(top) + 1)
    ticks = ticks if len(ticks) > 1 else np.array([bottom, top])
    axis.set_zticks(ticks, [short(float(f"{10.0**tick:.2g}")) for tick in ticks])
    axis.view_init(elev=32, azim=-55)
    axis.tick_params(pad=-2)
    axis.set_box_aspect((1, 1, 0.75), zoom=1.05)


def surfaces(networks: dict[str, np.ndarray], alphas, betas, path: Path) -> str:
    """Draw the loss over a plane through the trained weights (Li et al. 2018, figure 1).

    The height is the loss on one log scale for all panels. The arguments are those of `contours`.
    """
    low, high = _scale(networks)
    rows, columns = _grid_of(networks)
    with plt.rc_context(FRAMED):
        shape = {"figsize": (PAGE, 0.45 + rows * PAGE / columns * 0.75), "squeeze": False}
        figure, axes = plt.subplots(rows, columns, subplot_kw={"projection": "3d"}, **shape)
        for axis, (label, loss) in zip(axes.flat, networks.items(), strict=False):
            _surface(axis, loss, alphas, betas, low, high)
            axis.set_title(label.replace("_", " "))
        for axis in axes.flat[len(networks) :]:
            axis.axis("off")
        _name_colours(figure, axes, networks, low, high)
        save(figure, path)
    return _planes_in_words(networks, alphas, betas)


def cuts(
    networks: dict[str, np.ndarray], alphas, looks: dict[str, tuple[str, str]], path: Path
) -> str:
    """Draw the loss along a line through the trained weights: the median over runs, and the range.

    Args:
      networks: {label: loss float [S, A]}; nan or infinite where it overflowed.
      alphas: float [A], rising: how far along a direction, in norms of the filters.
      looks: {label: (colour, marker)}.
    """
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(0.75 * PAGE, 3.0))
        positive = {
            label: np.where(np.asarray(loss) > 0, loss, np.nan) for label, loss in networks.items()
        }
        for label, loss in positive.items():
            draw_runs(axis, alphas, loss, label, looks[label], centre=median)
        axis.axvline(0, color="0.5", linestyle=":", linewidth=0.9)
        log_scale(axis, "y", list(positive.values()))
        axis.set_xlabel("distance from the trained weights (in norms of the filters)")
        axis.set_ylabel("loss")
        name_above(figure, axis)
        save(figure, path)
    middle = int(np.argmin(np.abs(alphas)))
    told = []
    for label, loss in networks.items():
        at = median(loss)
        left, centre, right = (digits(float(at[i])) for i in (0, middle, -1))
        text = f"{label.replace('_', ' ')} {centre}, {left} and {right}"
        told.append(text + incomplete(loss))
    ends = f"{short(float(alphas[0]))} and at {short(float(alphas[-1]))}"
    return f"Loss at the trained weights, at {ends}: {words.listed(told, '; ')}."
