"""What the runs of a network show together: a centre and a range, of all that is finite."""

from collections.abc import Callable

import numpy as np
from matplotlib.ticker import LogFormatter


def _finite(values) -> np.ma.MaskedArray:
    return np.ma.masked_invalid(np.asarray(values, float))


def mean(values) -> np.ndarray:
    """Return the mean over runs, float [S, ...] to [...]; nan where no run is finite."""
    return np.ma.filled(_finite(values).mean(0), np.nan)


def median(values) -> np.ndarray:
    """Return the median over runs, float [S, ...] to [...]; nan where no run is finite."""
    return np.ma.filled(np.ma.median(_finite(values), axis=0), np.nan)


def span(values) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and the largest finite value over runs; nan where no run is finite."""
    finite = _finite(values)
    return tuple(np.ma.filled(side, np.nan) for side in (finite.min(0), finite.max(0)))


def incomplete(values) -> str:
    """Return ` (not finite in 1 of 8 runs)`, or nothing where all of float [S, n] is finite."""
    bad = ~np.isfinite(np.asarray(values, float)).all(axis=1)
    return f" (not finite in {bad.sum()} of {len(bad)} runs)" if bad.any() else ""


def draw_runs(
    axis, x, values, label: str, look: tuple[str, str], centre: Callable = mean, size: float = 3
) -> None:
    """Draw the centre of the runs as a line, and their range as a band.

    Args:
      x: float [n].
      values: float [S, n].
      look: (colour, marker).
      centre: `mean` or `median`.
      size: of the markers, in points.
    """
    colour, marker = look
    low, high = span(values)
    if len(x) == 1:
        axis.vlines(x, low, high, color=colour, alpha=0.4)  # a band of one point has no width
    else:
        axis.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
    name = label.replace("_", " ")
    axis.plot(x, centre(values), marker=marker, color=colour, markersize=size, label=name)


def plain_ticks(side) -> None:
    """Write `20`, which is easier than `2 × 10^1`, at the ticks of a short logarithmic axis."""
    side.set_major_formatter(LogFormatter())
    side.set_minor_formatter(LogFormatter(minor_thresholds=(2, 0.5)))


def log_scale(axis, which: str, values: list) -> None:
    """Make the "x" or "y" axis of a panel logarithmic, as far as the values allow it.

    Where some are not positive it goes on below zero; where none but zeros are finite it stays
    linear.

    Args:
      values: what is drawn, float arrays of any shapes.
    """
    values = np.concatenate([np.ravel(np.asarray(each, float)) for each in values])
    sizes = np.abs(values[np.isfinite(values) & (values != 0)])
    if not len(sizes):
        return
    if np.any(values <= 0):
        near = max(sizes.min(), sizes.max() * 1e-3)  # closer to zero than that it is linear
        getattr(axis, f"set_{which}scale")("symlog", linthresh=near)
        return
    getattr(axis, f"set_{which}scale")("log")
    if sizes.max() < 100 * sizes.min():
        plain_ticks(getattr(axis, f"{which}axis"))


def name_above(figure, axis, columns: int = 4) -> None:
    """Put the legend of a panel above the whole figure."""
    figure.legend(*axis.get_legend_handles_labels(), loc="outside upper center", ncols=columns)
