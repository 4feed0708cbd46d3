"""Figures of training: curves along epochs, and what each learning rate reached.

What draws a figure returns what it shows, in words.
"""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.ticker import PercentFormatter

from dla_jax.plots import words
from dla_jax.plots.style import MANY_COLOURS, MARKERS, PAGE, STYLE, epoch_axis, plt, save

MANY = 4  # curves; of more than that the ranges would hide one another


def _curve(axis, label: str, curve: dict, name: str, alpha: float) -> None:
    colour, style = MANY_COLOURS[curve["colour"] % 12], "--" if curve["dashed"] else "-"
    epoch, values = curve["epoch"], np.asarray(curve[name])
    axis.plot(epoch, values.mean(0), style, color=colour, label=label.replace("_", " "))
    low, high = values.min(0), values.max(0)
    axis.fill_between(epoch, low, high, color=colour, alpha=alpha, linewidth=0)


def _ends_in_words(curves: dict[str, dict]) -> str:
    """Return what validation accuracy and training loss are at the last evaluation.

    They are unknown of a network one of whose runs was not evaluated at all.
    """

    def ends(name: str) -> dict[str, float]:
        last = {}
        for label, curve in curves.items():
            values = np.asarray(curve[name], float)
            last[label.replace("_", " ")] = float(values[:, -1].mean()) if values.size else np.nan
        return last

    accuracies = words.ranked(ends("val_accuracy"), words.percent)
    losses = words.ranked(ends("train_loss"), words.digits, smallest=True)
    return (
        f"At the end, validation accuracy, the highest first: {accuracies}. Training loss, the "
        f"lowest first: {losses}."
    )


def training_curves(curves: dict[str, dict], path: Path) -> str:
    """Draw training loss and validation accuracy against epochs: mean of the runs, and their range.

    Args:
      curves: {label: {"epoch": float [T], "train_loss": float [S, T], "val_accuracy": float [S, T],
        "colour": its index, "dashed": bool}}; one with T = 0 is named in the words alone, and at
        least one has more.
    """
    shown = {label: curve for label, curve in curves.items() if len(curve["epoch"])}
    many = len(shown) > MANY
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, 2, figsize=(PAGE, 2.8 if many else 2.5))
        for label, curve in shown.items():
            for axis, name in zip(axes, ("train_loss", "val_accuracy"), strict=True):
                _curve(axis, label, curve, name, alpha=0.04 if many else 0.13)
        axes[0].set_yscale("log")
        axes[0].set_ylabel("training loss (nats)")
        axes[1].set_ylabel("validation accuracy")
        axes[1].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        if many:
            figure.legend(*axes[1].get_legend_handles_labels(), loc="outside upper center", ncols=4)
        else:
            axes[1].legend()
        for axis in axes:
            epoch_axis(axis)
        save(figure, path)
    return _ends_in_words(curves)


def _rates(axis, lines: dict[int, tuple], chosen: dict[int, float]) -> None:
    """Draw a line a depth, {depth: (lrs, accuracies)}, with a ring at the rate that was chosen."""
    shades = matplotlib.colormaps["viridis"](np.linspace(0, 0.85, len(lines)))
    looks = zip(shades, MARKERS * 3, sorted(lines.items()), strict=False)
    for colour, marker, (depth, (lrs, accuracies)) in looks:
        label = f"depth {depth}"
        axis.plot(lrs, accuracies, marker=marker, markersize=3, color=colour, label=label)
        best = list(lrs).index(chosen[depth])
        ring = {"markersize": 9, "markerfacecolor": "none"}
        axis.plot(lrs[best], accuracies[best], "o", color=colour, **ring)


def learning_rate_grid(
    grid: dict[str, dict[int, tuple]], chosen: dict[tuple[str, int], float], path: Path
) -> str:
    """Draw validation accuracy against learning rate, a line a depth, a panel an arm.

    Args:
      grid: {arm: {depth: (lrs float [K], accuracies float [K])}}.
      chosen: {(arm, depth): learning rate}, ringed.
    """
    with plt.rc_context(STYLE):
        size = {"figsize": (PAGE, 2.4), "sharex": True, "sharey": True, "squeeze": False}
        figure, axes = plt.subplots(1, len(grid), **size)
        tried = sorted({lr for lines in grid.values() for lrs, _ in lines.values() for lr in lrs})
        for axis, (arm, lines) in zip(axes[0], grid.items(), strict=True):
            _rates(axis, lines, {depth: chosen[arm, depth] for depth in lines})
            axis.set_xscale("log")
            axis.set_xticks(tried, [f"{lr:g}" for lr in tried])
            axis.minorticks_off()  # whose labels overlap where the rates span less than a decade
            axis.set_title(arm, loc="left")
            axis.set_xlabel("peak learning rate (ring: chosen)")
            axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes[0, 0].set_ylabel("validation accuracy")
        axes[0, -1].legend()
        save(figure, path)
    told = [
        f"{arm} {', '.join(f'{chosen[arm, depth]:g} at depth {depth}' for depth in sorted(lines))}"
        for arm, lines in grid.items()
    ]
    return f"Chosen learning rates: {'; '.join(told)}."
