"""Figures of classifiers of texts, from plain arrays.

What draws a figure returns what it shows, in words.
"""

from pathlib import Path

import numpy as np

from dla_jax.plots import words
from dla_jax.plots.style import FRAMED, PAGE, plt, save

MOST_WORDS = 12  # classes whose cells have numbers


def _write_shares(axis, shares: np.ndarray) -> None:
    """Write each share, float [C, C] in [0, 1], into its cell in per cent."""
    for (i, j), share in np.ndenumerate(shares):
        look = {"fontsize": 6, "color": "white" if share > 0.5 else "black"}
        axis.text(j, i, f"{100 * share:.1f}", ha="center", va="center", **look)


def _confused_in_words(name: str, counts: np.ndarray, class_names: list[str]) -> str:
    """Return how often a network is right, and which class it most often takes for another."""
    if not counts.sum():
        return f"{name}: nothing was tested."
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    right = words.percent(np.trace(counts) / counts.sum())
    wrong = shares * (1 - np.eye(len(shares)))
    if not wrong.any():
        return f"{name}: {right} right."
    true, taken = np.unravel_index(wrong.argmax(), wrong.shape)
    return (
        f"{name}: {right} right; most often wrong: {words.percent(wrong[true, taken])} of "
        f"{class_names[true]} are taken for {class_names[taken]}."
    )


def confusion(networks: dict[str, np.ndarray], class_names: list[str], path: Path) -> str:
    """Draw how often each class is taken for each, a panel a network.

    Args:
      networks: {name: int [C, C], row: true class, column: predicted}.
      class_names: C texts.
    """
    columns = min(2, len(networks))
    rows = -(-len(networks) // columns)
    side, places = min(PAGE / columns, 3.4), range(len(class_names))
    with plt.rc_context(FRAMED):
        size = (side * columns, side * 0.9 * rows)
        figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, sharey=True)
        for axis in axes.flat[len(networks) :]:
            axis.set_visible(False)
        for axis, (name, counts) in zip(axes.flat, networks.items(), strict=False):
            shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
            axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
            if len(class_names) <= MOST_WORDS:
                _write_shares(axis, shares)
            axis.set_xticks(places, class_names, rotation=35, ha="right")
            axis.set_yticks(places, class_names)
            axis.set_title(name, loc="left")
            axis.set_xlabel("predicted")
        for row in axes:
            row[0].set_ylabel("true class")
        save(figure, path)
    told = [_confused_in_words(name, counts, class_names) for name, counts in networks.items()]
    return " ".join(told)
