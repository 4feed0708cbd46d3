"""The figure of accuracy while networks are trained against attacks, from plain arrays."""

from pathlib import Path

import numpy as np
from matplotlib.ticker import MaxNLocator, MultipleLocator, PercentFormatter

from dla_jax.plots import words
from dla_jax.plots.attacks import shown
from dla_jax.plots.runs import draw_runs, mean, name_above
from dla_jax.plots.style import PAGE, STYLE, looks_of, plt, save

LINES = {"clean": "clean images", "fgsm": "under FGSM", "pgd": "under PGD"}


def while_trained(panels: dict[str, dict], path: Path) -> str:
    """Draw accuracy on validation images along training, a panel a way of training.

    Where the line of PGD falls away from that of FGSM, networks overfit to their own attack.

    Args:
      panels: {way: {"step": int [E], and for each of LINES float [S, E]}}, shares of images; nan
        after the end of a run.
    """
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    looks = looks_of(LINES)
    with plt.rc_context(STYLE):
        size = ((0.5, 0.75, 1.0)[columns - 1] * PAGE, 0.7 + 1.7 * rows)
        shape = {"figsize": size, "sharex": True, "sharey": True, "squeeze": False}
        figure, axes = plt.subplots(rows, columns, **shape)
        for axis in axes.flat[len(panels) :]:
            axis.set_visible(False)
        for axis, (way, panel) in zip(axes.flat, panels.items(), strict=False):
            for key, label in LINES.items():
                draw_runs(axis, panel["step"], panel[key], label, looks[key])
            axis.set_title(shown(way), loc="left")
            axis.set_ylim(0, 1.04)  # markers at 100 % stay whole
            axis.yaxis.set_major_locator(MultipleLocator(0.25))
            axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
            axis.xaxis.set_major_locator(MaxNLocator(4, integer=True))
            axis.tick_params(labelbottom=True)
        name_above(figure, axes[0, 0], columns=len(LINES))
        figure.supxlabel("step (lines: mean; bands: range over networks)", fontsize=8)
        figure.supylabel("accuracy, validation", fontsize=8)
        save(figure, path)
    return " ".join(_panel_in_words(way, panel) for way, panel in panels.items())


def _panel_in_words(way: str, panel: dict) -> str:
    """Return the last of each line, and the best under PGD."""
    means = {label: mean(panel[key]) for key, label in LINES.items()}
    last = [f"{label} {words.percent(float(values[-1]))}" for label, values in means.items()]
    best = words.percent(float(np.nanmax(means[LINES["pgd"]])))
    return f"{shown(way)}: at the end {', '.join(last)}; best mean under PGD {best}."
