"""Figures of accuracies and losses, from plain arrays."""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator, PercentFormatter

from dla_jax.evidence.formatting import interval, number, points
from dla_jax.plots.style import (
    COLOURS,
    COLUMN,
    MANY_COLOURS,
    MARKERS,
    PAGE,
    STYLE,
    epoch_axis,
    plt,
    save,
)


def _depth_axis(axis, depths) -> None:
    axis.set_xscale("log", base=2)
    axis.xaxis.set_major_locator(FixedLocator(depths))
    axis.xaxis.set_major_formatter(FixedFormatter([str(depth) for depth in depths]))
    axis.xaxis.set_minor_locator(NullLocator())
    if len(depths) == 1:  # else the arms, which stand a little apart, would fill the panel
        axis.set_xlim(depths[0] / 1.5, depths[0] * 1.5)
    axis.set_xlabel("depth (layers before the head, log scale)")


def _series(axis, points: dict, colour, marker, label, shift=0.0, line=True) -> None:
    """points: {depth: (values, (low, high))}: mean with its interval, and each run as a dot."""
    depths = sorted(points)
    x = np.array(depths) * 2**shift
    means = np.array([np.mean(points[depth][0]) for depth in depths])
    bounds = np.array(
        [
            np.where(np.isfinite(points[depth][1]), points[depth][1], mean)
            for depth, mean in zip(depths, means, strict=True)
        ]
    )
    for at, depth in zip(x, depths, strict=True):
        values = points[depth][0]
        spread = at * 2 ** np.linspace(-0.035, 0.035, len(values)) if len(values) > 1 else [at]
        axis.plot(
            spread,
            values,
            ".",
            color=colour,
            alpha=0.55,
            markersize=3.5,
            markeredgewidth=0,
            zorder=4,
        )
    errors = np.maximum(0, np.abs(bounds.T - means))
    axis.errorbar(
        x,
        means,
        errors,
        color=colour,
        marker=marker,
        capsize=2,
        label=label,
        linestyle="-" if line else "none",
        zorder=3,
        elinewidth=0.9,
    )


def accuracy_against_depth(main: dict, side: dict, chance: float, path: Path) -> None:
    """Two panels: the arms of the main contrast, and the other explanations.

    Args:
      main, side: {arm: {depth: (values float [n], (low, high))}}, test accuracies in [0, 1]; `side` may be empty.
      chance: accuracy of guessing.
    """
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            1, 2 if side else 1, figsize=(PAGE if side else COLUMN, 3.0), sharey=True, squeeze=False
        )
        panels = [(axes[0, 0], main, "plain and residual")]
        panels += [(axes[0, 1], side, "other explanations")] if side else []
        for axis, arms, title in panels:
            depths = sorted({depth for points in arms.values() for depth in points})
            axis.axhline(chance, color="0.6", linestyle=":", linewidth=0.9)
            axis.annotate(
                "chance",
                (depths[0], chance),
                textcoords="offset points",
                xytext=(2, 2),
                color="0.4",
                fontsize=6.5,
            )
            before = 0 if arms is main else len(main)  # no colour stands for two arms of a figure
            for i, (arm, values) in enumerate(arms.items()):
                shift = (i - (len(arms) - 1) / 2) * (0.05 if arms is main else 0.09)
                _series(
                    axis,
                    values,
                    MANY_COLOURS[(before + i) % 12],
                    MARKERS[(before + i) % 7],
                    arm,
                    shift,
                )
            _depth_axis(axis, depths)
            axis.set_title(title, loc="left")
            axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
            axis.legend(
                loc="upper center",
                bbox_to_anchor=(0.5, -0.2),
                ncols=2 if arms is main else 3,
                columnspacing=1.0,
            )
        axes[0, 0].set_ylabel("test accuracy")
        save(figure, path)


def contrasts(rows: list[dict], xlabel: str, path: Path) -> None:
    """A forest plot. rows: [{"label", "mean", "low", "high", "values": float [n]}], differences of accuracy in [-1, 1]."""
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(PAGE, 0.5 + 0.32 * len(rows)))
        for y, row in enumerate(reversed(rows)):
            values = 100 * np.asarray(row["values"])
            axis.plot(
                values,
                y + np.linspace(-0.18, 0.18, len(values)),
                ".",
                color=COLOURS[5],
                markersize=4,
                markeredgewidth=0,
            )
            if np.isfinite(row["low"]):
                ends = 100 * row["low"], 100 * row["high"]
                axis.plot(
                    ends, [y, y], color=COLOURS[1], linewidth=1.6, solid_capstyle="butt", zorder=3
                )
            axis.plot(100 * row["mean"], y, "D", color=COLOURS[1], zorder=4)
            text = points(row["mean"]) + interval(row["low"], row["high"])
            axis.annotate(
                text, (1.01, y), xycoords=("axes fraction", "data"), va="center", fontsize=7
            )
        axis.axvline(0, color="0.3", linewidth=0.8)
        axis.set_yticks(range(len(rows)), [row["label"] for row in reversed(rows)])
        axis.xaxis.set_major_formatter(lambda x, _: number(x, 0, sign=True))
        axis.grid(axis="y", visible=False)
        axis.set_xlabel(xlabel)
        save(figure, path)


def networks(rows: list[dict], intervals: dict[str, list[tuple]], path: Path) -> None:
    """Test accuracy and test loss of each network, side by side.

    Args:
      rows: [{"label", "accuracy": float [n], "loss": float [m]}], one a network; m = 0 where all runs diverged.
      intervals: {"accuracy": [(low, high), ...], "loss": ...}, one for each row that has values.
    """
    titles = {"accuracy": "test accuracy", "loss": "test loss (nats)"}
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, 2, figsize=(PAGE, 0.7 + 0.32 * len(rows)), sharey=True)
        for axis, key in zip(axes, ("accuracy", "loss"), strict=True):
            shown = [(y, row["label"], row[key]) for y, row in enumerate(rows) if len(row[key])]
            for (y, _, values), (low, high) in zip(shown, intervals[key], strict=True):
                axis.plot(
                    values,
                    y + np.linspace(-0.18, 0.18, len(values)),
                    ".",
                    color=COLOURS[5],
                    markersize=4,
                    markeredgewidth=0,
                )
                if np.isfinite(low):
                    axis.plot(
                        [low, high],
                        [y, y],
                        color=COLOURS[1],
                        linewidth=1.6,
                        solid_capstyle="butt",
                        zorder=3,
                    )
                axis.plot(np.mean(values), y, "D", color=COLOURS[1], zorder=4)
            axis.set_xlabel(titles[key])
            axis.grid(axis="y", visible=False)
        axes[0].set_yticks(range(len(rows)), [row["label"] for row in rows])
        axes[0].invert_yaxis()
        axes[0].xaxis.set_major_formatter(PercentFormatter(1, decimals=None))
        save(figure, path)


def pair(
    values: dict[str, np.ndarray],
    bounds: tuple[float, float],
    seconds: dict[str, np.ndarray],
    path: Path,
) -> None:
    """Two networks, run by run: slope chart, strip plot of the differences, seconds of an epoch.

    Args:
      values: {network: test accuracies float [n]}, the same seeds in the same order.
      bounds: interval of the mean difference, second minus first.
      seconds: {network: float [m]}, networks that may have other names.
    """
    names = [name.replace("_", " ") for name in values]
    first, second = values.values()
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, 3, figsize=(PAGE, 2.7), width_ratios=(1.2, 1, 1))
        for a, b in zip(first, second, strict=True):
            colour = "0.6" if a == b else COLOURS[1] if b > a else COLOURS[0]
            axes[0].plot([0, 1], [a, b], "o-", color=colour, linewidth=0.8, markersize=3, alpha=0.7)
        axes[0].plot(
            [0, 1], [first.mean(), second.mean()], "D-", color="black", linewidth=2, label="mean"
        )
        axes[0].yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
        axes[0].set_ylabel("test accuracy")
        axes[0].legend()
        differences = 100 * (second - first)
        spread = np.linspace(-0.12, 0.12, len(differences))
        axes[1].plot(spread, differences, ".", color=COLOURS[5], markersize=6, markeredgewidth=0)
        if np.isfinite(bounds[0]):
            axes[1].plot([0.3, 0.3], 100 * np.array(bounds), color=COLOURS[1], linewidth=1.6)
        axes[1].plot(0.3, differences.mean(), "D", color=COLOURS[1])
        axes[1].axhline(0, color="0.3", linewidth=0.8)
        axes[1].set_xlim(-0.4, 0.6)
        axes[1].set_xticks([])
        axes[1].set_ylabel(f"{names[1]} minus {names[0]}, points")
        for x, times in enumerate(seconds.values()):
            axes[2].plot(
                x + np.linspace(-0.12, 0.12, len(times)),
                times,
                ".",
                color=COLOURS[x],
                markersize=5,
                markeredgewidth=0,
            )
            if len(times):
                axes[2].plot(
                    [x - 0.2, x + 0.2], [np.median(times)] * 2, color=COLOURS[x], linewidth=1.6
                )
        axes[2].set_ylim(bottom=0)
        axes[2].set_ylabel("seconds an epoch (bar: median)")
        for axis, labels in (
            (axes[0], names),
            (axes[2], [name.replace("_", "\n", 1).replace("_", " ") for name in seconds]),
        ):
            axis.set_xlim(-0.35, 1.35)
            axis.set_xticks([0, 1], labels)
        save(figure, path)


def training_curves(curves: dict[str, dict], path: Path) -> None:
    """Training loss and validation accuracy against epochs.

    Args:
      curves: {label: {"epoch": float [T], "train_loss": float [S, T], "val_accuracy": float [S, T], "colour": its index,
        "dashed": bool}}; mean over runs with the range of the runs.
    """
    with plt.rc_context(STYLE):
        many = len(curves) > 4  # then ranges would hide one another
        figure, axes = plt.subplots(1, 2, figsize=(PAGE, 2.8 if many else 2.5))
        for label, curve in curves.items():
            for axis, name in zip(axes, ("train_loss", "val_accuracy"), strict=True):
                colour, style = COLOURS[curve["colour"] % 7], "--" if curve["dashed"] else "-"
                values = np.asarray(curve[name])
                axis.plot(
                    curve["epoch"],
                    values.mean(0),
                    style,
                    color=colour,
                    label=label.replace("_", " "),
                )
                axis.fill_between(
                    curve["epoch"],
                    values.min(0),
                    values.max(0),
                    color=colour,
                    alpha=0.04 if many else 0.13,
                    linewidth=0,
                )
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


def learning_rate_grid(
    grid: dict[str, dict[int, tuple]], chosen: dict[tuple[str, int], float], path: Path
) -> None:
    """Validation accuracy against learning rate, a line a depth, a panel an arm.

    Args:
      grid: {arm: {depth: (lrs float [K], accuracies float [K])}}.
      chosen: {(arm, depth): learning rate}, ringed.
    """
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, len(grid), figsize=(PAGE, 2.4), sharey=True, squeeze=False)
        for axis, (arm, lines) in zip(axes[0], grid.items(), strict=True):
            shades = matplotlib.colormaps["viridis"](np.linspace(0, 0.85, len(lines)))
            for colour, marker, (depth, (lrs, accuracies)) in zip(
                shades, MARKERS * 3, sorted(lines.items()), strict=False
            ):
                axis.plot(
                    lrs,
                    accuracies,
                    marker=marker,
                    markersize=3,
                    color=colour,
                    label=f"depth {depth}",
                )
                best = list(lrs).index(chosen[arm, depth])
                axis.plot(
                    lrs[best],
                    accuracies[best],
                    "o",
                    markersize=9,
                    markerfacecolor="none",
                    color=colour,
                )
            axis.set_xscale("log")
            axis.set_title(arm, loc="left")
            axis.set_xlabel("peak learning rate (ring: chosen)")
            axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes[0, 0].set_ylabel("validation accuracy")
        axes[0, -1].legend()
        save(figure, path)
