"""The figure of what four slips of the labs do to pictures of gradients.

What draws a figure returns what it shows, in words.
"""

from pathlib import Path

import numpy as np
from matplotlib.ticker import PercentFormatter

from dla_jax.plots import words
from dla_jax.plots.layers import draw_clipping
from dla_jax.plots.style import COLOURS, PAGE, STYLE, epoch_axis, plt, save


def _swapped(axis, networks: dict) -> None:
    for i, (network, found) in enumerate(networks.items()):
        mean, variance = found["mean_abs"][:, 0], found["var"][:, 0]
        axis.plot(found["epoch"], mean, color=COLOURS[i], label=f"{network}: mean |g|")
        told = f"{network}: logged as mean"
        axis.plot(found["epoch"], variance, "--", color=COLOURS[i], label=told)
    variances = [value for found in networks.values() for value in found["var"][:, 0]]
    lowest = min(filter(np.isfinite, variances), default=1)
    axis.set(yscale="log", ylabel="stage 1", ylim=(lowest / 300, None))


def _scaled(axis, networks: dict, loss_scale: float) -> None:
    occupied, shift = [], np.log10(loss_scale)
    for i, (network, found) in enumerate(networks.items()):
        at, shares = np.array(found["limits"]) * np.log10(2), found["first"][0]
        look = {"where": "pre", "color": COLOURS[i]}
        axis.step(at, shares, label=f"{network}: true", **look)
        axis.step(at + shift, shares, "--", label=f"{network}: scaled", **look)
        occupied += list(at[np.flatnonzero(shares)])
    if occupied:
        axis.set_xlim(min(occupied) - 0.5, max(occupied) + shift + 0.5)
    top = 1.5 * axis.get_ylim()[1]
    axis.set(xlabel="log10 |gradient|", ylabel="fraction of the weights", ylim=(0, top))


def _clipped_once(axis, found: dict) -> None:
    draw_clipping(axis, found, ("clipped once, before training", "clipped in every step"))
    words = " / ".join(found["labels"]).replace("_", " ")
    axis.annotate(words, (0.02, 0.03), xycoords="axes fraction", fontsize=6.5)


def _frozen(axis, networks: dict) -> None:
    for i, (network, (epochs, runs)) in enumerate(networks.items()):
        colour, label = COLOURS[i % 7], network.replace("_", " ")
        for run in runs:
            axis.plot(epochs, run, color=colour, linewidth=0.4, alpha=0.5)
        axis.plot(epochs, np.mean(runs, 0), color=colour, label=label, linewidth=1.6)
    axis.set_ylabel("validation accuracy")


def _slips_in_words(panels: dict, loss_scale: float) -> str:
    """Return how far each slip moves the picture, panel by panel."""
    told = [
        f"(a) {network.replace('_', ' ')}: what is logged as the mean over the mean, at the end: "
        f"{words.times(found['var'][-1, 0], found['mean_abs'][-1, 0])}"
        for network, found in panels["swapped"].items()
    ]
    told += [
        f"(b) {network.replace('_', ' ')}: {loss_scale:,.0f} times too large"
        for network in panels["scaled"]
    ]
    if panels["clipped_once"]:
        found = panels["clipped_once"]
        largest = [words.largest(found[key]) for key in ("before", "after")]
        told.append(
            f"(c) largest gradient norm {largest[0]} where clipping came before the loop, "
            f"{largest[1]} where each step is clipped"
        )
    ends = {
        network.replace("_", " "): float(np.mean([run[-1] for run in runs]))
        for network, (_, runs) in panels["frozen"].items()
    }
    if ends:
        told.append(
            "(d) validation accuracy at the end, the highest first: "
            f"{words.ranked(ends, words.percent)}"
        )
    return f"{'; '.join(told)}." if told else "No slip could be drawn."


def mistakes(panels: dict, loss_scale: float, path: Path) -> str:
    """Draw what four slips do to the picture.

    Args:
      panels: "swapped" as `layers.stages` takes it, "scaled" as `layers.histograms`, "clipped_once"
        one entry of `layers.clipping` with "labels" or None, "frozen" {network: (epochs,
        [validation accuracies of a run, ...])}; a panel may be empty.
      loss_scale: of mixed precision.
    """
    titles = {
        "(a) variance plotted as the mean": {"ncols": 2, "loc": "lower left"},
        "(b) gradients times the loss scale": {"ncols": 2, "loc": "upper center"},
        "(c) clipping before the loop": {"loc": "best"},
        "(d) BatchNorm in evaluation mode": {"loc": "best"},
    }
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(2, 2, figsize=(PAGE, 4.6))
        swapped, scaled, clipped, frozen = axes.flat
        _swapped(swapped, panels["swapped"])
        _scaled(scaled, panels["scaled"], loss_scale)
        if panels["clipped_once"]:
            _clipped_once(clipped, panels["clipped_once"])
        _frozen(frozen, panels["frozen"])
        for axis, panel in ((swapped, "swapped"), (frozen, "frozen")):
            if panels[panel]:
                epoch_axis(axis)
        frozen.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        for axis, (title, place) in zip(axes.flat, titles.items(), strict=True):
            axis.set_title(title, loc="left")
            if axis.get_legend_handles_labels()[0]:
                axis.legend(**place)
        save(figure, path)
    return _slips_in_words(panels, loss_scale)
