"""Figures of classifiers of texts, from plain arrays."""

from pathlib import Path

import numpy as np

from dla_jax.plots.style import PAGE, STYLE, plt, save

MOST_WORDS = 12  # classes whose cells have numbers


def confusion(networks: dict[str, np.ndarray], class_names: list[str], path: Path) -> None:
    """How often each class is taken for each, a panel a network.

    Args:
      networks: {name: int [C, C], row: true class, column: predicted}.
    """
    columns = min(2, len(networks))
    rows = -(-len(networks) // columns)
    with plt.rc_context(
        STYLE | {"axes.grid": False, "axes.spines.top": True, "axes.spines.right": True}
    ):
        side = min(PAGE / columns, 3.4)
        figure, axes = plt.subplots(
            rows, columns, figsize=(side * columns, side * 0.9 * rows), squeeze=False, sharey=True
        )
        for axis in axes.flat[len(networks) :]:
            axis.set_visible(False)
        for axis, (name, counts) in zip(axes.flat, networks.items(), strict=False):
            shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
            axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
            if len(class_names) <= MOST_WORDS:
                for (i, j), share in np.ndenumerate(shares):
                    axis.text(
                        j,
                        i,
                        f"{100 * share:.1f}",
                        ha="center",
                        va="center",
                        fontsize=6,
                        color="white" if share > 0.5 else "black",
                    )
            axis.set_xticks(range(len(class_names)), class_names, rotation=35, ha="right")
            axis.set_yticks(range(len(class_names)), class_names)
            axis.set_title(name, loc="left")
            axis.set_xlabel("predicted")
        for row in axes:
            row[0].set_ylabel("true class")
        save(figure, path)
