"""Figures of networks whose blocks are deleted or swapped after training, from plain arrays.

What draws a figure returns what it shows, in words.
"""

from pathlib import Path

import numpy as np
from matplotlib.ticker import MaxNLocator, PercentFormatter

from dla_jax.plots import words
from dla_jax.plots.runs import draw_runs, incomplete, mean, name_above
from dla_jax.plots.style import PAGE, STYLE, plt, save


def _accuracy_axis(axis, chance: float) -> None:
    """Name chance, and write accuracies in percent and whole numbers of blocks."""
    axis.axhline(chance, color="0.6", linestyle=":", linewidth=0.9, zorder=1)
    place = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
    axis.annotate("chance", (0, chance), (2, 2), color="0.4", fontsize=7, **place)
    axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    axis.set_ylim(bottom=0)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def _one_deleted(axis, networks: dict, whole: dict, looks: dict) -> None:
    """Draw accuracies [S, L] block by block, and those [S] without damage as dashed lines."""
    for label, accuracy in networks.items():
        blocks = np.arange(1, accuracy.shape[1] + 1)
        draw_runs(axis, blocks, accuracy, label, looks[label])
        look = {"linestyle": "--", "linewidth": 0.9, "color": looks[label][0]}
        axis.axhline(mean(whole[label]), **look)
    axis.plot([], [], "--", color="0.4", linewidth=0.9, label="no block deleted")
    axis.set_xlabel("deleted block (1: first)")


def _worst_in_words(networks: dict, whole: dict) -> str:
    told = []
    for label, accuracy in networks.items():
        damaged = np.ma.masked_invalid(mean(accuracy))
        values = mean(whole[label]), np.ma.filled(damaged.mean(), np.nan)
        lowest = np.ma.filled(damaged.min(), np.nan)
        block = f" (block {damaged.argmin() + 1})" if np.isfinite(lowest) else ""
        numbers = ", ".join(map(words.percent, [*values, lowest]))
        told.append(f"{label.replace('_', ' ')} {numbers}{block}{incomplete(accuracy)}")
    return words.listed(told, "; ")


def deleted_blocks(
    networks: dict[str, np.ndarray],
    recomputed: dict[str, np.ndarray],
    whole: dict[str, np.ndarray],
    whole_recomputed: dict[str, np.ndarray],
    chance: float,
    looks: dict[str, tuple[str, str]],
    path: Path,
) -> str:
    """Draw accuracy after each block in turn is deleted (Veit et al. 2016, figure 3).

    Args:
      networks: {label: accuracy float [S, L]}, block by block; nan in a run that diverged.
      recomputed: the same where the statistics of BatchNorm are those of the damaged network; {}
        where there is none, which leaves one panel.
      whole: {label: accuracy float [S]} of the undamaged networks.
      whole_recomputed: the same with recomputed statistics; {} without any.
      chance: accuracy of guessing.
      looks: {label: (colour, marker)}.
    """
    panels = {"BatchNorm's statistics kept": networks} if recomputed else {"": networks}
    panels |= {"BatchNorm's statistics recomputed": recomputed} if recomputed else {}
    size = (PAGE, 3.0)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, len(panels), figsize=size, sharey=True, squeeze=False)
        for axis, (title, drawn) in zip(axes[0], panels.items(), strict=True):
            undamaged = whole_recomputed if drawn is recomputed else whole
            _one_deleted(axis, drawn, undamaged, looks)
            _accuracy_axis(axis, chance)
            axis.set_title(title, loc="left")
        axes[0, 0].set_ylabel("accuracy")
        name_above(figure, axes[0, 0])
        save(figure, path)
    told = (
        "Accuracy with no block deleted, on average with one deleted, and with the one deleted "
        f"that costs most: {_worst_in_words(networks, whole)}."
    )
    if recomputed:
        told += f" With statistics recomputed: {_worst_in_words(recomputed, whole_recomputed)}."
    return told


def _ends_in_words(networks: dict[str, dict], amounts: str, values: str) -> str:
    told = []
    for label, found in networks.items():
        if len(found[amounts]):
            means = mean(found[values])
            first, last = (f"{words.percent(means[i])} at {found[amounts][i]}" for i in (0, -1))
            along = first if len(means) == 1 else f"{first}, {last}"
            told.append(f"{label.replace('_', ' ')} {along}{incomplete(found[values])}")
    return words.listed(told, "; ")


def deleted_and_swapped(
    networks: dict[str, dict], chance: float, looks: dict[str, tuple[str, str]], path: Path
) -> str:
    """Draw accuracy against deleted blocks, and against swaps of two (Veit et al. 2016, figure 5).

    Args:
      networks: {label: {"counts": int [K], "deleted": accuracy float [S, K], "swaps": int [M],
        "swapped": accuracy float [S, M]}}; nan in a run that diverged. Where no network has two
        blocks, all M = 0, there is one panel.
      chance: accuracy of guessing.
      looks: {label: (colour, marker)}.
    """
    panels = [("counts", "deleted", "random blocks deleted")]
    if any(len(found["swaps"]) for found in networks.values()):
        panels.append(("swaps", "swapped", "swaps of two random blocks"))
    size = (PAGE, 3.0)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, len(panels), figsize=size, sharey=True, squeeze=False)
        for axis, (amounts, values, xlabel) in zip(axes[0], panels, strict=True):
            for label, found in networks.items():
                if len(found[amounts]):
                    draw_runs(axis, found[amounts], found[values], label, looks[label])
            _accuracy_axis(axis, chance)
            axis.set_xlabel(xlabel)
        axes[0, 0].set_ylabel("accuracy")
        name_above(figure, axes[0, 0])
        save(figure, path)
    told = [
        f"{xlabel}: {_ends_in_words(networks, amounts, values)}"
        for amounts, values, xlabel in panels
    ]
    return f"Accuracy by number of {'. By number of '.join(told)}. Chance: {words.percent(chance)}."
