"""Figures of gradients, from plain arrays."""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.ticker import PercentFormatter

from dla_jax.plots.style import COLOURS, COLUMN, MARKERS, PAGE, STYLE, epoch_axis, plt, save


def geometric_mean(values) -> np.ndarray:
    """Over the first axis; nan, which no figure shows, where a value is 0."""
    values = np.asarray(values, float)
    return np.exp(np.log(np.where(values > 0, values, np.nan)).mean(0))


def heat_maps(maps: dict[str, tuple[np.ndarray, np.ndarray]], label: str, path: Path) -> None:
    """Layer x step, a positive value on one log scale for all panels.

    Args:
      maps: {title: (steps int [T], values float [T, layers])}, nan or infinite where a value overflowed.
      label: what the values are.
    """
    with plt.rc_context(STYLE | {"axes.grid": False}):
        columns = min(4, len(maps))
        rows = -(-len(maps) // columns)
        figure, axes = plt.subplots(
            rows, columns, figsize=(PAGE, 0.5 + 1.75 * rows), squeeze=False, sharey=True
        )
        positive = np.concatenate(
            [norms[np.isfinite(norms) & (norms > 0)] for _, norms in maps.values()]
        )
        high = np.quantile(positive, 0.97)  # one run that explodes must not hide all others
        norm, image = LogNorm(max(positive.min(), high * 1e-7), high, clip=False), None
        colours = matplotlib.colormaps["viridis"].with_extremes(bad="0.85", under="0.2")
        for axis, (title, (steps, norms)) in zip(axes.flat, maps.items(), strict=False):
            shown = np.ma.masked_equal(
                np.nan_to_num(norms, nan=high, posinf=high), 0
            )  # what overflowed is large
            image = axis.imshow(
                shown.T,
                aspect="auto",
                origin="lower",
                norm=norm,
                cmap=colours,
                interpolation="nearest",
                extent=(-0.5, len(steps) - 0.5, -0.5, norms.shape[1] - 0.5),
            )
            ticks = np.unique(
                np.linspace(0, len(steps) - 1, 4).round().astype(int)
            )  # columns are rows of the record
            axis.set_xticks(ticks, ["init" if steps[i] <= 1 else str(steps[i]) for i in ticks])
            last = norms.shape[1] - 1
            axis.set_yticks([0, last // 2, last], ["stem", str(last // 2), "head"])
            axis.set_title(title.replace("_", " "), loc="left")
        for axis in axes.flat[len(maps) :]:
            axis.axis("off")
        for axis in axes[-1]:
            axis.set_xlabel("step")
        for row in axes:
            row[0].set_ylabel("layer")
        figure.colorbar(image, ax=axes, label=label, shrink=0.9, extend="both")
        save(figure, path)


def layer_profiles(panels: dict[str, dict[str, np.ndarray]], ylabel: str, path: Path) -> None:
    """A value of each layer, in the order of the network: mean over runs in the log. panels: {title: {label: [S, layers]}}."""
    with plt.rc_context(STYLE):
        wide = len(panels) > 1
        figure, axes = plt.subplots(
            1, len(panels), figsize=(PAGE if wide else COLUMN, 2.9), sharey=True, squeeze=False
        )
        for axis, (title, profiles) in zip(axes[0], panels.items(), strict=True):
            for i, (label, values) in enumerate(profiles.items()):
                means = geometric_mean(values)
                axis.plot(
                    range(len(means)),
                    means,
                    "-" if i < 7 else "--",
                    marker=MARKERS[i % 7],
                    color=COLOURS[i % 7],
                    markersize=2.5,
                    label=label.replace("_", " "),
                )
            axis.set_yscale("log")
            axis.set_xlabel("layer (0: stem, last: head)")
            axis.set_title(title if wide else "", loc="left")
        axes[0, 0].set_ylabel(ylabel)
        figure.legend(
            *axes[0, 0].get_legend_handles_labels(),
            loc="outside upper center",
            ncols=4 if wide else 2,
        )
        save(figure, path)


def first_steps(panels: dict[str, dict[str, np.ndarray]], path: Path) -> None:
    """Mean |g| of the last dense layer, step by step. panels: {title: {network: float [S, steps]}}."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, len(panels), figsize=(PAGE, 2.8), sharey=True, squeeze=False)
        for axis, (title, networks) in zip(axes[0], panels.items(), strict=True):
            for i, (network, runs) in enumerate(networks.items()):
                steps = np.arange(1, runs.shape[1] + 1)
                if i == 0:
                    axis.plot(
                        steps,
                        np.where(runs > 0, runs, np.nan).T,
                        color=COLOURS[i],
                        linewidth=0.3,
                        alpha=0.5,
                    )
                axis.plot(
                    steps,
                    geometric_mean(runs),
                    color=COLOURS[i % 7],
                    label=network.replace("_", " "),
                    linewidth=1.6 if i == 0 else 0.9,
                )
            axis.set_yscale("log")
            axis.set_xlabel("batch")
            axis.set_title(title, loc="left")
            axis.legend()
        axes[0, 0].set_ylabel("mean |gradient|, last dense layer")
        save(figure, path)


def histograms(networks: dict[str, dict], path: Path) -> None:
    """Distribution of |g| of the first and the last convolution along training, one panel each.

    Args:
      networks: {network: {"steps": int [T], "limits": upper bounds of the bins in log2 |g|, "first", "last": fractions
        [T, bins]}}.
    """
    with plt.rc_context(STYLE | {"axes.grid": False}):
        figure, axes = plt.subplots(
            2, len(networks), figsize=(PAGE, 4.0), sharex=True, sharey=True, squeeze=False
        )
        occupied = [
            bin
            for found in networks.values()
            for part in ("first", "last")
            for bin in np.flatnonzero(np.asarray(found[part]).sum(0))
        ]
        low, high = max(0, min(occupied) - 1), max(occupied) + 2
        image = None
        for j, (network, found) in enumerate(networks.items()):
            edges = np.array([found["limits"][0] - 1, *found["limits"]]) * np.log10(2)
            for i, part in enumerate(("first", "last")):
                shown = np.ma.masked_equal(np.asarray(found[part]).T, 0)
                image = axes[i, j].pcolormesh(
                    np.arange(len(found["steps"]) + 1) - 0.5,
                    edges,
                    shown,
                    norm=LogNorm(1e-4, 0.3),
                    cmap="viridis",
                    rasterized=True,
                )
                axes[i, j].set_title(f"{network.replace('_', ' ')}: {part} convolution", loc="left")
                axes[i, j].set_facecolor("0.9")
                axes[i, j].set_ylim(edges[low], edges[high - 1])
            ticks = np.unique(np.linspace(0, len(found["steps"]) - 1, 5).round().astype(int))
            axes[1, j].set_xticks(
                ticks, ["init" if found["steps"][i] == 0 else str(found["steps"][i]) for i in ticks]
            )
            axes[1, j].set_xlabel("step")
        for row in axes:
            row[0].set_ylabel("log10 |gradient|")
        figure.colorbar(image, ax=axes, label="fraction of the weights", shrink=0.9)
        save(figure, path)


def stages(networks: dict[str, dict[str, np.ndarray]], path: Path) -> None:
    """Mean |g| and variance of each stage. networks: {network: {"epoch": [T], "mean_abs", "var": [T, stages]}}."""
    labels = {"mean_abs": "mean |gradient|", "var": "variance of the gradient"}
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            2, len(networks), figsize=(PAGE, 3.9), sharex=True, sharey="row", squeeze=False
        )
        for j, (network, found) in enumerate(networks.items()):
            for i, (name, label) in enumerate(labels.items()):
                shades = matplotlib.colormaps["viridis"](np.linspace(0, 0.85, found[name].shape[1]))
                for stage, (colour, values) in enumerate(
                    zip(shades, found[name].T, strict=True), 1
                ):
                    axes[i, j].plot(
                        found["epoch"],
                        values,
                        marker=MARKERS[(stage - 1) % 7],
                        markersize=3,
                        color=colour,
                        label=f"stage {stage}",
                    )
                axes[i, j].set_yscale("log")
                axes[i, 0].set_ylabel(label)
            axes[0, j].set_title(network.replace("_", " "), loc="left")
            epoch_axis(axes[1, j])
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
        save(figure, path)


def _clipping(axis, found: dict, labels: tuple[str, str]) -> None:
    for i, (values, label) in enumerate(
        zip((found["before"], found["after"]), labels, strict=True)
    ):
        axis.plot(range(1, len(values) + 1), values, color=COLOURS[i], linewidth=0.9, label=label)
    axis.axhline(found["threshold"], color="0.4", linestyle=":", linewidth=0.9)
    axis.set_yscale("log")
    axis.set_xlabel("step")
    axis.set_ylabel("gradient norm")


def clipping(networks: dict[str, dict], path: Path) -> None:
    """Norm of the gradient before and after clipping. networks: {network: {"before", "after": [T], "threshold"}}."""
    with plt.rc_context(STYLE):
        columns = min(3, len(networks))
        rows = -(-len(networks) // columns)
        figure, axes = plt.subplots(
            rows, columns, figsize=(PAGE, 0.4 + 1.9 * rows), sharex=True, sharey=True, squeeze=False
        )
        for axis, (network, found) in zip(axes.flat, networks.items(), strict=False):
            _clipping(axis, found, ("before", "after"))
            axis.set_title(network.replace("_", " "), loc="left")
            axis.label_outer()
        for axis in axes.flat[len(networks) :]:
            axis.axis("off")
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
        save(figure, path)


def mistakes(panels: dict, loss_scale: float, path: Path) -> None:
    """What four slips do to the picture.

    Args:
      panels: "swapped" as `stages` takes it, "scaled" as `histograms`, "clipped_once" one entry of `clipping` with "labels" or
        None, "frozen" {network: (epochs, [validation accuracies of a run, ...])}; a panel may be empty.
      loss_scale: of mixed precision.
    """
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(2, 2, figsize=(PAGE, 4.6))
        for i, (network, found) in enumerate(panels["swapped"].items()):
            axes[0, 0].plot(
                found["epoch"],
                found["mean_abs"][:, 0],
                color=COLOURS[i],
                label=f"{network}: mean |g|",
            )
            axes[0, 0].plot(
                found["epoch"],
                found["var"][:, 0],
                "--",
                color=COLOURS[i],
                label=f"{network}: logged as mean",
            )
        lowest = min(
            (np.nanmin(found["var"][:, 0]) for found in panels["swapped"].values()), default=1
        )
        axes[0, 0].set(yscale="log", ylabel="stage 1", ylim=(lowest / 300, None))
        for i, (network, found) in enumerate(panels["scaled"].items()):
            at = np.array(found["limits"]) * np.log10(2)
            axes[0, 1].step(
                at, found["first"][0], where="pre", color=COLOURS[i], label=f"{network}: true"
            )
            axes[0, 1].step(
                at + np.log10(loss_scale),
                found["first"][0],
                "--",
                where="pre",
                color=COLOURS[i],
                label=f"{network}: scaled",
            )
        occupied = [at[np.flatnonzero(found["first"][0])] for found in panels["scaled"].values()]
        if occupied:
            axes[0, 1].set_xlim(
                min(map(min, occupied)) - 0.5, max(map(max, occupied)) + np.log10(loss_scale) + 0.5
            )
        axes[0, 1].set(
            xlabel="log10 |gradient|",
            ylabel="fraction of the weights",
            ylim=(0, 1.5 * axes[0, 1].get_ylim()[1]),
        )
        if panels["clipped_once"]:
            _clipping(
                axes[1, 0],
                panels["clipped_once"],
                ("clipped once, before training", "clipped in every step"),
            )
            axes[1, 0].annotate(
                " / ".join(panels["clipped_once"]["labels"]).replace("_", " "),
                (0.02, 0.03),
                xycoords="axes fraction",
                fontsize=6.5,
            )
        for i, (network, (epochs, runs)) in enumerate(panels["frozen"].items()):
            for run in runs:
                axes[1, 1].plot(epochs, run, color=COLOURS[i % 7], linewidth=0.4, alpha=0.5)
            axes[1, 1].plot(
                epochs,
                np.mean(runs, 0),
                color=COLOURS[i % 7],
                label=network.replace("_", " "),
                linewidth=1.6,
            )
        axes[1, 1].set_ylabel("validation accuracy")
        for axis, panel in ((axes[0, 0], "swapped"), (axes[1, 1], "frozen")):
            if panels[panel]:
                epoch_axis(axis)
        axes[1, 1].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        titles = (
            "(a) variance plotted as the mean",
            "(b) gradients times the loss scale",
            "(c) clipping before the loop",
            "(d) BatchNorm in evaluation mode",
        )
        for axis, title in zip(axes.flat, titles, strict=True):
            axis.set_title(title, loc="left")
            if axis.get_legend_handles_labels()[0]:
                places = {
                    "(a)": {"ncols": 2, "loc": "lower left"},
                    "(b)": {"ncols": 2, "loc": "upper center"},
                }
                axis.legend(**places.get(title[:3], {"loc": "best"}))
        save(figure, path)
