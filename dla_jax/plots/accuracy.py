"""Figures that compare accuracies and losses, from plain arrays.

What draws a figure returns what it shows, in words.
"""

from pathlib import Path

import numpy as np
from matplotlib.ticker import PercentFormatter

from dla_jax.evidence.formatting import interval, number, points
from dla_jax.plots import words
from dla_jax.plots.rows import draw_row
from dla_jax.plots.style import COLOURS, PAGE, STYLE, plt, save


def contrasts(rows: list[dict], xlabel: str, path: Path) -> str:
    """Draw a forest plot of paired differences, the first row on top.

    Args:
      rows: [{"label", "colour", "mean", "low", "high", "values": float [n]}], differences of
        accuracy in [-1, 1]; a positive one lies to the right of zero.
      xlabel: what the differences are.
    """
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(PAGE, 0.5 + 0.32 * len(rows)))
        for y, row in enumerate(reversed(rows)):
            bounds = 100 * row["low"], 100 * row["high"]
            values, colour = 100 * np.asarray(row["values"]), row["colour"]
            draw_row(axis, y, values, 100 * row["mean"], bounds, colour=colour, dots=(colour, 0.5))
            text = points(row["mean"]) + interval(row["low"], row["high"])
            place = {"xycoords": ("axes fraction", "data"), "va": "center"}
            axis.annotate(text, (1.01, y), fontsize=7, **place)
        axis.axvline(0, color="0.3", linewidth=0.8)
        axis.set_yticks(range(len(rows)), [row["label"] for row in reversed(rows)])
        axis.xaxis.set_major_formatter(lambda x, _: number(x, 0, sign=True))
        axis.grid(axis="y", visible=False)
        axis.set_xlabel(xlabel)
        save(figure, path)
    order = sorted(rows, key=lambda row: -row["mean"])
    told = [
        f"{row['label']} {points(row['mean'])}{interval(row['low'], row['high'])}" for row in order
    ]
    return f"{xlabel[0].upper()}{xlabel[1:]}, the largest first: {words.listed(told)}."


def _networks_in_words(rows: list[dict]) -> str:
    """Return the networks by test accuracy and by test loss."""
    accuracies = {row["label"]: float(np.mean(row["accuracy"])) for row in rows}
    losses = {row["label"]: float(np.mean(row["loss"])) for row in rows if len(row["loss"])}
    told = f"Test accuracy, the highest first: {words.ranked(accuracies, words.percent)}."
    if not losses:
        return told
    form = lambda loss: number(loss, 3)
    return f"{told} Test loss, the lowest first: {words.ranked(losses, form, smallest=True)}."


def networks(rows: list[dict], intervals: dict[str, list[tuple]], path: Path) -> str:
    """Draw test accuracy and test loss of each network side by side, the first network on top.

    Args:
      rows: [{"label", "accuracy": float [n], "loss": float [m]}], one a network; m = 0 where all
        runs diverged.
      intervals: {"accuracy": [(low, high), ...], "loss": ...}, one for each row that has values.
    """
    titles = {"accuracy": "test accuracy", "loss": "test loss (nats)"}
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, 2, figsize=(PAGE, 0.7 + 0.32 * len(rows)), sharey=True)
        for axis, key in zip(axes, ("accuracy", "loss"), strict=True):
            shown = [(y, row[key]) for y, row in enumerate(rows) if len(row[key])]
            for (y, values), bounds in zip(shown, intervals[key], strict=True):
                draw_row(axis, y, values, np.mean(values), bounds)
            axis.set_xlabel(titles[key])
            axis.grid(axis="y", visible=False)
        axes[0].set_yticks(range(len(rows)), [row["label"] for row in rows])
        axes[0].invert_yaxis()
        axes[0].xaxis.set_major_formatter(PercentFormatter(1, decimals=None))
        save(figure, path)
    return _networks_in_words(rows)


def _slopes(axis, names: list[str], first: np.ndarray, second: np.ndarray) -> None:
    """Draw a line a run from the first network to the second: blue where the second is better."""
    look = {"linewidth": 0.8, "markersize": 3, "alpha": 0.7}
    for a, b in zip(first, second, strict=True):
        colour = "0.6" if a == b else COLOURS[1] if b > a else COLOURS[0]
        axis.plot([0, 1], [a, b], "o-", color=colour, **look)
    means = [first.mean(), second.mean()]
    axis.plot([0, 1], means, "D-", color="black", linewidth=2, label="mean")
    axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    axis.set_ylabel("test accuracy")
    axis.legend()
    axis.set_xlim(-0.35, 1.35)
    axis.set_xticks([0, 1], names)


def _differences(axis, ylabel: str, differences: np.ndarray, bounds: tuple[float, float]) -> None:
    """Draw paired differences in percentage points, and the interval (in fractions) beside them."""
    spread = np.linspace(-0.12, 0.12, len(differences))
    axis.plot(spread, differences, ".", color=COLOURS[5], markersize=6, markeredgewidth=0)
    if np.isfinite(bounds[0]):
        axis.plot([0.3, 0.3], 100 * np.array(bounds), color=COLOURS[1], linewidth=1.6)
    axis.plot(0.3, differences.mean(), "D", color=COLOURS[1])
    axis.axhline(0, color="0.3", linewidth=0.8)
    axis.set_xlim(-0.4, 0.6)
    axis.set_xticks([])
    axis.set_ylabel(ylabel)


def _epoch_seconds(axis, seconds: dict[str, np.ndarray]) -> None:
    for x, times in enumerate(seconds.values()):
        spread = x + np.linspace(-0.12, 0.12, len(times))
        axis.plot(spread, times, ".", color=COLOURS[x], markersize=5, markeredgewidth=0)
        if len(times):
            bar = [np.median(times)] * 2
            axis.plot([x - 0.2, x + 0.2], bar, color=COLOURS[x], linewidth=1.6)
    axis.set_ylim(bottom=0)
    axis.set_ylabel("seconds an epoch (bar: median)")
    axis.set_xlim(-0.35, 1.35)
    axis.set_xticks([0, 1], [name.replace("_", "\n", 1).replace("_", " ") for name in seconds])


def _pair_in_words(
    names: list[str],
    differences: np.ndarray,
    bounds: tuple[float, float],
    seconds: dict[str, np.ndarray],
) -> str:
    """Return in how many runs the second network is higher, by how much, and how long each takes.

    Args:
      differences: float [n], second minus first, in fractions.
    """
    higher, lower, runs = np.sum(differences > 0), np.sum(differences < 0), len(differences)
    medians = [
        f"{name.replace('_', ' ')} {np.median(times):.2g} s"
        for name, times in seconds.items()
        if len(times)
    ]
    told = (
        f"Test accuracy of {names[1]} is higher than that of {names[0]} in {higher} of {runs} "
        f"runs, lower in {lower}; on average {points(float(np.mean(differences)))} points"
        f"{interval(*bounds)}."
    )
    return told + (f" Median seconds of an epoch: {', '.join(medians)}." if medians else "")


def pair(
    values: dict[str, np.ndarray],
    bounds: tuple[float, float],
    seconds: dict[str, np.ndarray],
    path: Path,
) -> str:
    """Draw two networks run by run: slopes, their differences, and the seconds of an epoch.

    Args:
      values: {network: test accuracies float [n]}, the same seeds in the same order.
      bounds: interval of the mean difference, second minus first.
      seconds: {network: float [m]}, networks that may have other names.
    """
    names = [name.replace("_", " ") for name in values]
    first, second = values.values()
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, 3, figsize=(PAGE, 2.7), width_ratios=(1.2, 1, 1))
        _slopes(axes[0], names, first, second)
        ylabel = f"{names[1]} minus {names[0]}, points"
        _differences(axes[1], ylabel, 100 * (second - first), bounds)
        _epoch_seconds(axes[2], seconds)
        save(figure, path)
    return _pair_in_words(names, second - first, bounds, seconds)
