"""Figures of the eigenvalues of the Hessian of the loss, from plain arrays.

What draws a figure returns what it shows, in words.
"""

from pathlib import Path

import numpy as np
from matplotlib.ticker import LogLocator

from dla_jax.evidence.formatting import digits
from dla_jax.plots import words
from dla_jax.plots.rows import draw_dots
from dla_jax.plots.runs import draw_runs, incomplete, log_scale, mean, median, name_above
from dla_jax.plots.style import PAGE, STYLE, plt, save

SHOWN = 1e-6  # the smallest density that is drawn, beside the largest


def _signed(value: float) -> str:
    return digits(value).replace("-", "−")


def along_training(networks: dict[str, dict], looks: dict[str, tuple[str, str]], path: Path) -> str:
    """Draw the largest eigenvalue along training: the median over runs, and the range.

    Args:
      networks: {label: {"step": int [T], "value": float [S, T]}}; nan in a run that diverged.
      looks: {label: (colour, marker)}.
    """
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(0.75 * PAGE, 3.0))
        for label, found in networks.items():
            draw_runs(axis, found["step"], found["value"], label, looks[label], centre=median)
        log_scale(axis, "y", [found["value"] for found in networks.values()])
        axis.set_xlabel("step")
        axis.set_ylabel("largest eigenvalue of the Hessian")
        name_above(figure, axis)
        save(figure, path)
    told = []
    for label, found in networks.items():
        steps, values = found["step"], median(found["value"])
        ends = (f"{_signed(float(values[i]))} at step {steps[i]}" for i in (0, -1))
        along = ", ".join(dict.fromkeys(ends))  # once where there is but one step
        told.append(f"{label.replace('_', ' ')} {along}{incomplete(found['value'])}")
    return f"Largest eigenvalue of the Hessian: {words.listed(told, '; ')}."


def largest_eigenvalues(
    networks: dict[str, np.ndarray], looks: dict[str, tuple[str, str]], path: Path
) -> str:
    """Draw the largest eigenvalue of each run of the trained networks, the first network on top.

    Args:
      networks: {label: float [S]}; nan in a run that diverged.
      looks: {label: (colour, marker)}.
    """
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(0.75 * PAGE, 0.6 + 0.32 * len(networks)))
        for y, (label, values) in enumerate(networks.items()):
            colour, marker = looks[label]
            draw_dots(axis, y, values, 0.18, (colour, 0.5))
            axis.plot(median(values), y, marker=marker, color=colour, markersize=5)
        log_scale(axis, "x", list(networks.values()))
        axis.set_yticks(range(len(networks)), [label.replace("_", " ") for label in networks])
        axis.set_ylim(len(networks) - 0.5, -0.5)
        axis.set_xlabel("largest eigenvalue of the Hessian (dots: runs, large: median)")
        axis.grid(axis="y", visible=False)
        save(figure, path)
    medians = {
        label.replace("_", " ") + incomplete(np.reshape(values, (-1, 1))): float(median(values))
        for label, values in networks.items()
    }
    ranking = words.ranked(medians, _signed)
    return f"Largest eigenvalue of the Hessian, median over runs, the highest first: {ranking}."


def densities(networks: dict[str, dict], looks: dict[str, tuple[str, str]], path: Path) -> str:
    """Draw how the eigenvalues are distributed, a row a network, the mean over runs.

    All rows have the same axes.

    Args:
      networks: {label: {"grid": float [G], rising, "density": float [S, G]}}; nan in a run that
        diverged.
      looks: {label: (colour, marker)}.
    """
    means = {label: mean(found["density"]) for label, found in networks.items()}
    peaks = [np.nanmax(each, initial=0.0) for each in means.values()]
    peaks = [peak for peak in peaks if peak > 0] or [1.0]
    peak, floor, told = max(peaks), min(peaks) * SHOWN, []
    size = (0.75 * PAGE, 0.5 + max(0.7, 1.3 - 0.1 * len(networks)) * len(networks))
    shape = {"figsize": size, "sharex": True, "sharey": True, "squeeze": False}
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(len(networks), 1, **shape)
        for axis, (label, density) in zip(axes[:, 0], means.items(), strict=True):
            grid, colour = np.asarray(networks[label]["grid"], float), looks[label][0]
            axis.fill_between(grid, density, floor, color=colour, alpha=0.3, linewidth=0)
            axis.plot(grid, density, color=colour, linewidth=0.9)
            axis.axvline(0, color="0.5", linestyle=":", linewidth=0.9)
            axis.set_title(label.replace("_", " "), loc="right", y=0.7)
            told.append(_density_in_words(label, grid, density, floor))
            told[-1] += incomplete(networks[label]["density"])
        axes[0, 0].set_yscale("log")
        axes[0, 0].set_ylim(floor, peak * 3)
        axes[0, 0].yaxis.set_major_locator(LogLocator(numticks=4))
        axes[-1, 0].set_xlabel("eigenvalue of the Hessian")
        figure.supylabel("density", fontsize=8)
        save(figure, path)
    return f"Eigenvalues of the Hessian: {words.listed(told, '; ')}."


def _density_in_words(label: str, grid: np.ndarray, density: np.ndarray, floor: float) -> str:
    """Return between which eigenvalues a density is drawn."""
    seen = grid[np.nan_to_num(density) > floor]
    name = label.replace("_", " ")
    if not len(seen):
        return f"{name} unknown"
    low, high = (_signed(float(each)) for each in (seen[0], seen[-1]))
    return f"{name} from {low} to {high}"
