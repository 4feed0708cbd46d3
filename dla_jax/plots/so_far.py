"""The figure of an unfinished study: each run as far as it is.

What draws a figure returns what it shows, in words.
"""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.ticker import EngFormatter, MaxNLocator, PercentFormatter

from dla_jax.evidence.formatting import digits
from dla_jax.plots import words
from dla_jax.plots.style import MANY_COLOURS, PAGE, STYLE, plt, save

LABELS = {
    "train_loss": "training loss",
    "val_accuracy": "validation accuracy",
    "val_nats_per_char": "validation nats per character",
    "eval_return": "return of an episode",
}
MOST = 200  # points of a line; more are not seen, and take time


def curves(panels: dict[str, dict[str, list]], path: Path) -> str:
    """Draw a line a run, a panel a value, in the colour of its arm.

    Args:
      panels: {key of the rows: {arm: [(x float [n], y float [n]) of each run]}}; at least one run,
        and n >= 1. x counts steps.
    """
    names = list(dict.fromkeys(arm for arms in panels.values() for arm in arms))
    named = len(names) <= len(MANY_COLOURS)
    shades = matplotlib.colormaps["viridis"](np.linspace(0, 0.9, len(names)))
    colours = dict(zip(names, MANY_COLOURS if named else shades, strict=False))
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, len(panels), figsize=(PAGE, 2.8), squeeze=False)
        for axis, (key, arms) in zip(axes[0], panels.items(), strict=True):
            _draw_lines(axis, arms, colours)
            _label(axis, key)
        if named:
            handles = [plt.Line2D([], [], color=colours[name], label=name) for name in names]
            figure.legend(handles=handles, loc="outside upper center", ncols=4)
        save(figure, path)
    return " ".join(_in_words(key, arms) for key, arms in panels.items())


def _draw_lines(axis, arms: dict[str, list], colours: dict) -> None:
    lines, own = [], []
    for arm, runs in arms.items():
        for x, y in runs:
            shown = np.unique(np.linspace(0, len(x) - 1, min(len(x), MOST)).astype(int))
            lines.append(np.stack([np.asarray(x)[shown], np.asarray(y)[shown]], axis=-1))
            own.append(colours[arm])
    axis.add_collection(LineCollection(lines, colors=own, linewidths=0.9, alpha=0.8))
    ends = np.stack([line[-1] for line in lines])  # of a run of one row there is no line
    axis.scatter(ends[:, 0], ends[:, 1], s=5, c=own, zorder=3)
    axis.autoscale()


def _label(axis, key: str) -> None:
    axis.set_xlabel("step")
    axis.set_ylabel(LABELS.get(key, key.replace("_", " ")))
    axis.xaxis.set_major_locator(MaxNLocator(4))
    axis.xaxis.set_major_formatter(EngFormatter(sep=""))
    if key == "train_loss":
        axis.set_yscale("log")
    if key.endswith("accuracy"):
        axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def _in_words(key: str, arms: dict[str, list]) -> str:
    ends = {arm: float(np.mean([y[-1] for _, y in runs])) for arm, runs in arms.items()}
    ranking = words.ranked(ends, digits)
    label = LABELS.get(key, key.replace("_", " "))
    return f"{label[0].upper()}{label[1:]} where the runs are now, the highest first: {ranking}."
