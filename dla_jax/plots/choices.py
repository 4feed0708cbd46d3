"""The figure of multiple choice by kind of question, from plain arrays."""

from pathlib import Path

import numpy as np
from matplotlib.ticker import PercentFormatter

from dla_jax.plots import words
from dla_jax.plots.runs import draw_runs, incomplete, mean, name_above, span
from dla_jax.plots.style import PAGE, STYLE, looks_of, plt, save


def by_group(panels: list[dict], chance: float, path: Path) -> str:
    """Draw the accuracy of networks by group of questions, a panel a grouping, a line a network.

    Args:
      panels: of {"title", "groups": names [G], "curves": {network: float [S, G]}, "ordered":
        whether the groups have an order}; nan where a run has no question of a group. All have the
        same networks.
      chance: the accuracy of guessing.
    """
    looks = looks_of(panels[0]["curves"])
    with plt.rc_context(STYLE):
        size = (PAGE, 1.0 + 2.0 * len(panels))
        figure, axes = plt.subplots(len(panels), 1, figsize=size, sharey=True, squeeze=False)
        for axis, panel in zip(axes[:, 0], panels, strict=True):
            places = np.arange(len(panel["groups"]))
            if panel["ordered"]:
                for name, values in panel["curves"].items():
                    draw_runs(axis, places, values, name, looks[name])
            else:
                _draw_apart(axis, panel["curves"], looks)
            axis.axhline(chance, color="0.4", linewidth=0.8, linestyle=(0, (1, 2)))
            axis.set_xticks(places, panel["groups"])
            axis.set_title(panel["title"], loc="left")
            axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        name_above(figure, axes[0, 0])
        figure.supylabel("test accuracy (dotted: guessing)", fontsize=8)
        save(figure, path)
    return " ".join(_panel_in_words(panel) for panel in panels)


def _draw_apart(axis, curves: dict[str, np.ndarray], looks: dict) -> None:
    """Draw mean and range of each group by themselves: between kinds a line would mean nothing."""
    for i, (name, values) in enumerate(curves.items()):
        colour, marker = looks[name]
        places = np.arange(values.shape[1]) + 0.7 * ((i + 0.5) / len(curves) - 0.5)
        axis.vlines(places, *span(values), color=colour, alpha=0.5)
        look = {"color": colour, "marker": marker, "linestyle": "none", "markersize": 3}
        axis.plot(places, mean(values), label=name.replace("_", " "), **look)


def _panel_in_words(panel: dict) -> str:
    """Return the mean accuracy of each network in each group, the highest first."""
    told = []
    for i, group in enumerate(panel["groups"]):
        values = {
            name + incomplete(own[:, i : i + 1]): float(mean(own)[i])
            for name, own in panel["curves"].items()
        }
        told.append(f"{group} {words.ranked(values, words.percent)}")
    return f"{panel['title']}: {'; '.join(told)}."
