"""The figure of the gradient over paths of each length, from plain arrays.

What draws a figure returns what it shows, in words.
"""

import math
from pathlib import Path

import numpy as np
from matplotlib.ticker import MaxNLocator, PercentFormatter

from dla_jax.evidence.formatting import number
from dla_jax.plots import words
from dla_jax.plots.runs import draw_runs, incomplete, log_scale, mean, median, name_above
from dla_jax.plots.style import PAGE, STYLE, plt, save


def shares(mass) -> np.ndarray:
    """Return each run's mass float [S, K] over its sum; nan where that is 0 or not finite."""
    mass = np.asarray(mass, float)
    total = mass.sum(1, keepdims=True)
    return np.divide(
        mass, total, out=np.full_like(mass, np.nan), where=np.isfinite(total) & (total > 0)
    )


def effective_length(length, mass) -> float:
    """Return the mean length of a path, weighted by the mass float [S, K], the mean over runs."""
    return float(mean(shares(mass) @ np.asarray(length, float)))


def _percent_axis(axis) -> None:
    axis.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    axis.set_ylim(bottom=0)


def _draw_norms(axis, networks: dict, looks: dict) -> None:
    norms = {
        label: np.where(np.asarray(found["norm"]) > 0, found["norm"], np.nan)
        for label, found in networks.items()
    }
    for label, norm in norms.items():
        draw_runs(axis, networks[label]["length"], norm, label, looks[label], centre=median)
    log_scale(axis, "y", list(norms.values()))
    axis.set_title("gradient norm of one path", loc="left")


def _draw_numbers(axis, num_blocks: int) -> None:
    lengths = np.arange(num_blocks + 1)
    paths = np.array([math.comb(num_blocks, k) / 2**num_blocks for k in lengths])
    axis.plot(lengths, paths, ".-", color="0.35")
    axis.fill_between(lengths, paths, color="0.85", linewidth=0)
    _percent_axis(axis)
    axis.set_title(f"× share of the $2^{{{num_blocks}}}$ paths", loc="left")


def _draw_shares(axis, networks: dict, num_blocks: int, looks: dict) -> None:
    """Draw the share of each length, and lines at the effective lengths, which are named."""
    for label, found in networks.items():
        at = effective_length(found["length"], found["mass"])
        name = f"{label}, effective length {number(at, 1)}" if math.isfinite(at) else label
        draw_runs(axis, found["length"], shares(found["mass"]), name, looks[label])
        if math.isfinite(at):
            axis.axvline(at, color=looks[label][0], linestyle="--", linewidth=0.9)
    half, name = num_blocks / 2, f"mean length of all paths {number(num_blocks / 2, 1)}"
    axis.axvline(half, color="0.4", linestyle=":", linewidth=1.1, label=name)
    _percent_axis(axis)
    axis.set_title("= share of the gradient mass", loc="left")


def path_mass(
    networks: dict[str, dict], num_blocks: int, looks: dict[str, tuple[str, str]], path: Path
) -> str:
    """Draw the gradient by the length of its path, in three panels (Veit et al. 2016, figure 6).

    The norm of one path of k branches, times how many of the 2^L paths there are, C(L, k), gives
    the share of the gradient that arrives over paths of that length.

    Args:
      networks: {label: {"length": int [K], "norm": float [S, K], of one path, "mass": float
        [S, K], of all paths of a length}}; nan in a run that diverged.
      num_blocks: L, the length of the longest path.
      looks: {label: (colour, marker)}.
    """
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, 3, figsize=(PAGE, 2.7), sharex=True)
        _draw_norms(axes[0], networks, looks)
        _draw_numbers(axes[1], num_blocks)
        _draw_shares(axes[2], networks, num_blocks, looks)
        for axis in axes:
            axis.set_xlabel("blocks on the path")
            axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        name_above(figure, axes[2], columns=3)
        save(figure, path)
    told = []
    for label, found in networks.items():
        at = effective_length(found["length"], found["mass"])
        ends = median(found["norm"])[[0, -1]]
        short, long = found["length"][0], found["length"][-1]
        text = f"{label.replace('_', ' ')} {number(at, 1) if math.isfinite(at) else 'unknown'}"
        if short != long and math.isfinite(at):
            ratio = words.times(*ends)
            text += f" (norm of a path of {short}: {ratio} that of one of {long})"
        told.append(text + incomplete(found["mass"]))
    return (
        f"Effective length of the paths that carry the gradient: {words.listed(told, '; ')}. The "
        f"mean of all paths is {number(num_blocks / 2, 1)} of {num_blocks} blocks."
    )
