"""Figures of gradients, layer by layer, from plain arrays.

What draws a figure returns what it shows, in words.
"""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.colors import LogNorm

from dla_jax.evidence.formatting import number
from dla_jax.plots import words
from dla_jax.plots.style import COLOURS, COLUMN, MARKERS, PAGE, STYLE, epoch_axis, plt, save


def geometric_mean(values) -> np.ndarray:
    """Return the geometric mean over the first axis.

    Where a value is 0 it is nan, which no figure shows.
    """
    values = np.asarray(values, float)
    return np.exp(np.log(np.where(values > 0, values, np.nan)).mean(0))


def _common_scale(maps: dict[str, tuple[np.ndarray, np.ndarray]]) -> LogNorm:
    """Return one log scale for all maps."""
    finite = [norms[np.isfinite(norms) & (norms > 0)] for _, norms in maps.values()]
    positive = np.concatenate(finite)
    if not len(positive):
        return LogNorm(0.1, 1, clip=False)  # dead or overflowed: no colour tells them apart
    high = np.quantile(positive, 0.97)  # one run that explodes must not hide all others
    return LogNorm(max(positive.min(), high * 1e-7), high, clip=False)


def _heat_map(axis, steps, norms: np.ndarray, scale: LogNorm):
    """Draw values float [T, layers], the first layer at the bottom, and return the image."""
    high = scale.vmax  # what overflowed is large
    shown = np.ma.masked_equal(np.nan_to_num(norms, nan=high, posinf=high), 0)
    last = norms.shape[1] - 1
    image = axis.imshow(
        shown.T,
        aspect="auto",
        origin="lower",
        norm=scale,
        cmap=matplotlib.colormaps["viridis"].with_extremes(bad="0.85", under="0.2"),
        interpolation="nearest",
        extent=(-0.5, len(steps) - 0.5, -0.5, last + 0.5),
    )
    # Columns are rows of the record, whatever steps lie between them.
    ticks = np.unique(np.linspace(0, len(steps) - 1, 4).round().astype(int))
    axis.set_xticks(ticks, ["init" if steps[i] <= 1 else str(steps[i]) for i in ticks])
    axis.set_yticks([0, last // 2, last], ["stem", str(last // 2), "head"])
    return image


def _map_in_words(title: str, found: tuple[np.ndarray, np.ndarray]) -> str:
    """Return the first layer beside the last, at both ends of a map, and how much of it is zero."""
    steps, norms = found
    starts, ends = (words.times(row[0], row[-1]) for row in (norms[0], norms[-1]))
    zero = np.mean(norms == 0)
    none = f", {words.percent(zero)} of the map exactly zero" if zero else ""
    name = title.replace("_", " ")
    return f"{name} {starts} at step {steps[0]}, {ends} at step {steps[-1]}{none}"


def heat_maps(maps: dict[str, tuple[np.ndarray, np.ndarray]], label: str, path: Path) -> str:
    """Draw layer against step, a positive value on one log scale for all panels.

    Args:
      maps: {title: (steps int [T], values float [T, layers])}, nan or infinite where a value
        overflowed.
      label: what the values are.
    """
    columns = min(4, len(maps))
    rows = -(-len(maps) // columns)
    scale, size, image = _common_scale(maps), (PAGE, 0.5 + 1.75 * rows), None
    with plt.rc_context(STYLE | {"axes.grid": False}):
        figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, sharey=True)
        for axis, (title, (steps, norms)) in zip(axes.flat, maps.items(), strict=False):
            image = _heat_map(axis, steps, norms, scale)
            axis.set_title(title.replace("_", " "), loc="left")
        for axis in axes.flat[len(maps) :]:
            axis.axis("off")
        for axis in axes[-1]:
            axis.set_xlabel("step")
        for row in axes:
            row[0].set_ylabel("layer")
        figure.colorbar(image, ax=axes, label=label, shrink=0.9, extend="both")
        save(figure, path)
    told = words.listed([_map_in_words(*entry) for entry in maps.items()], "; ")
    return f"{label[0].upper()}{label[1:]}, first layer over last: {told}."


def layer_profiles(
    panels: dict[str, dict[str, np.ndarray]],
    ylabel: str,
    looks: dict[str, tuple[str, str]],
    path: Path,
) -> str:
    """Draw a value of each layer in the order of the network: the mean over runs, in the log.

    Args:
      panels: {title: {label: float [S, layers]}}.
      ylabel: what the values are.
      looks: {label: (colour, marker)}.
    """
    wide = len(panels) > 1
    size = (PAGE if wide else COLUMN, 2.9)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, len(panels), figsize=size, sharey=True, squeeze=False)
        for axis, (title, profiles) in zip(axes[0], panels.items(), strict=True):
            for i, (label, values) in enumerate(profiles.items()):
                means = geometric_mean(values)
                colour, marker = looks[label]
                look = {"marker": marker, "color": colour, "markersize": 2.5}
                line = "-" if i < 7 else "--"
                axis.plot(range(len(means)), means, line, label=label.replace("_", " "), **look)
            axis.set_yscale("log")
            axis.set_xlabel("layer (0: stem, last: head)")
            axis.set_title(title if wide else "", loc="left")
        axes[0, 0].set_ylabel(ylabel)
        lines = axes[0, 0].get_legend_handles_labels()
        figure.legend(*lines, loc="outside upper center", ncols=4 if wide else 2)
        save(figure, path)
    told = []
    for title, profiles in panels.items():
        ends = {label: geometric_mean(values)[[0, -1]] for label, values in profiles.items()}
        ratios = [f"{label.replace('_', ' ')} {words.times(*each)}" for label, each in ends.items()]
        told.append(f"{title}{': ' if title else ''}{words.listed(ratios)}")
    return f"{ylabel[0].upper()}{ylabel[1:]}, first layer over last: {'; '.join(told)}."


def _first_steps(axis, networks: dict[str, np.ndarray]) -> None:
    """Draw the mean of each network's runs, float [S, steps]; of the first each run, too."""
    for i, (network, runs) in enumerate(networks.items()):
        steps = np.arange(1, runs.shape[1] + 1)
        if i == 0:
            shown = np.where(runs > 0, runs, np.nan).T
            axis.plot(steps, shown, color=COLOURS[i], linewidth=0.3, alpha=0.5)
        look = {"color": COLOURS[i % 7], "linewidth": 1.6 if i == 0 else 0.9}
        axis.plot(steps, geometric_mean(runs), label=network.replace("_", " "), **look)


def first_steps(panels: dict[str, dict[str, np.ndarray]], path: Path) -> str:
    """Draw the mean |g| of the last dense layer step by step.

    `panels`: {title: {network: float [S, steps]}}.
    """
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, len(panels), figsize=(PAGE, 2.8), sharey=True, squeeze=False)
        for axis, (title, networks) in zip(axes[0], panels.items(), strict=True):
            _first_steps(axis, networks)
            axis.set_yscale("log")
            axis.set_xlabel("batch")
            axis.set_title(title, loc="left")
            axis.legend()
        axes[0, 0].set_ylabel("mean |gradient|, last dense layer")
        save(figure, path)
    told = []
    for networks in panels.values():
        for network, runs in networks.items():
            tenth = max(1, runs.shape[1] // 10)
            kept = words.times(np.mean(runs[:, -tenth:]), np.mean(runs[:, :tenth]))
            told.append(f"{network.replace('_', ' ')} {kept}")
    return f"Mean |gradient| of the last dense layer, last tenth over first: {words.listed(told)}."


def _histogram(axis, found: dict, part: str, shown_bins: tuple[int, int]):
    """Draw the fractions of one convolution, [T, bins], bins upwards, and return the image."""
    edges = np.array([found["limits"][0] - 1, *found["limits"]]) * np.log10(2)
    at, shown = np.arange(len(found["steps"]) + 1) - 0.5, np.asarray(found[part]).T
    look = {"norm": LogNorm(1e-4, 0.3), "cmap": "viridis", "rasterized": True}
    image = axis.pcolormesh(at, edges, np.ma.masked_equal(shown, 0), **look)
    low, high = shown_bins
    axis.set_ylim(edges[low], edges[high - 1])
    axis.set_facecolor("0.9")
    return image


def _median(limits, shares) -> str:
    """Return log10 of the median |g| of a histogram, at the upper bound of its bin.

    Args:
      limits: upper bounds of the bins in log2, [bins] or one less where the last has none.
      shares: fractions [bins], nan where nothing was counted.
    """
    if np.isnan(shares).any():
        return "unknown"
    place = int(np.searchsorted(np.cumsum(shares), 0.5))
    return number(limits[min(place, len(limits) - 1)] * np.log10(2), 1)


def histograms(networks: dict[str, dict], path: Path) -> str:
    """Draw how |g| of the first and the last convolution is distributed along training.

    Args:
      networks: {network: {"steps": int [T], "limits": upper bounds of the bins in log2 |g|,
        "first", "last": fractions [T, bins]}}.
    """
    parts, size, image = ("first", "last"), (PAGE, 4.0), None
    sums = [np.asarray(found[part]).sum(0) for found in networks.values() for part in parts]
    occupied = np.concatenate([np.flatnonzero(each) for each in sums])
    shown_bins = max(0, min(occupied) - 1), max(occupied) + 2
    with plt.rc_context(STYLE | {"axes.grid": False}):
        shared = {"sharex": True, "sharey": True, "squeeze": False}
        figure, axes = plt.subplots(2, len(networks), figsize=size, **shared)
        for column, (network, found) in zip(axes.T, networks.items(), strict=True):
            for axis, part in zip(column, parts, strict=True):
                image = _histogram(axis, found, part, shown_bins)
                axis.set_title(f"{network.replace('_', ' ')}: {part} convolution", loc="left")
            steps = found["steps"]
            ticks = np.unique(np.linspace(0, len(steps) - 1, 5).round().astype(int))
            words = ["init" if steps[i] == 0 else str(steps[i]) for i in ticks]
            column[1].set_xticks(ticks, words)
            column[1].set_xlabel("step")
        for row in axes:
            row[0].set_ylabel("log10 |gradient|")
        figure.colorbar(image, ax=axes, label="fraction of the weights", shrink=0.9)
        save(figure, path)
    told = []
    for network, found in networks.items():
        for part in parts:
            start, end = (_median(found["limits"], found[part][i]) for i in (0, -1))
            name = f"{network.replace('_', ' ')}, {part} convolution"
            told.append(f"{name}, {start} at the start and {end} at the end")
    return f"Median size of the gradient, log10: {'; '.join(told)}."


def _stage_lines(axis, epoch, values: np.ndarray) -> None:
    """Draw values [T, stages], a line a stage: the first is dark, the last is bright."""
    shades = matplotlib.colormaps["viridis"](np.linspace(0, 0.85, values.shape[1]))
    for stage, (colour, along) in enumerate(zip(shades, values.T, strict=True), 1):
        look = {"marker": MARKERS[(stage - 1) % 7], "markersize": 3, "color": colour}
        axis.plot(epoch, along, label=f"stage {stage}", **look)
    axis.set_yscale("log")


def stages(networks: dict[str, dict[str, np.ndarray]], path: Path) -> str:
    """Draw mean |g| and variance of each stage along training.

    `networks`: {network: {"epoch": [T], "mean_abs", "var": [T, stages]}}.
    """
    labels = {"mean_abs": "mean |gradient|", "var": "variance of the gradient"}
    shared = {"sharex": True, "sharey": "row", "squeeze": False}
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(2, len(networks), figsize=(PAGE, 3.9), **shared)
        for column, (network, found) in zip(axes.T, networks.items(), strict=True):
            for axis, name in zip(column, labels, strict=True):
                _stage_lines(axis, found["epoch"], found[name])
            column[0].set_title(network.replace("_", " "), loc="left")
            epoch_axis(column[1])
        for axis, label in zip(axes[:, 0], labels.values(), strict=True):
            axis.set_ylabel(label)
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
        save(figure, path)
    told = []
    for network, found in networks.items():
        first, last = found["mean_abs"][:, 0], found["mean_abs"][:, -1]
        starts, ends = (words.times(first[i], last[i]) for i in (0, -1))
        name = network.replace("_", " ")
        told.append(f"{name} {starts} after the first epoch, {ends} after the last")
    return f"Mean |gradient| of the first stage over that of the last: {'; '.join(told)}."


def draw_clipping(axis, found: dict, labels: tuple[str, str]) -> None:
    """Draw the norm of the gradient before and after clipping, as `clipping` takes it."""
    for i, (key, label) in enumerate(zip(("before", "after"), labels, strict=True)):
        steps = range(1, len(found[key]) + 1)
        axis.plot(steps, found[key], color=COLOURS[i], linewidth=0.9, label=label)
    axis.axhline(found["threshold"], color="0.4", linestyle=":", linewidth=0.9)
    axis.set_yscale("log")
    axis.set_xlabel("step")
    axis.set_ylabel("gradient norm")


def clipping(networks: dict[str, dict], path: Path) -> str:
    """Draw the norm of the gradient before and after clipping, a panel a network.

    `networks`: {network: {"before", "after": [T], "threshold"}}.
    """
    columns = min(3, len(networks))
    rows = -(-len(networks) // columns)
    shared = {"sharex": True, "sharey": True, "squeeze": False}
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(rows, columns, figsize=(PAGE, 0.4 + 1.9 * rows), **shared)
        for axis, (network, found) in zip(axes.flat, networks.items(), strict=False):
            draw_clipping(axis, found, ("before", "after"))
            axis.set_title(network.replace("_", " "), loc="left")
            axis.label_outer()
        for axis in axes.flat[len(networks) :]:
            axis.axis("off")
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
        save(figure, path)
    told = [
        f"{network.replace('_', ' ')} {words.largest(found['before'])} and "
        f"{words.largest(found['after'])}"
        for network, found in networks.items()
    ]
    return f"Largest gradient norm before and after clipping: {words.listed(told, '; ')}."
