"""Figures of language models beside n-grams, from plain arrays. Losses are in bits per character throughout."""

import itertools
import math
from pathlib import Path

import numpy as np
from matplotlib.ticker import FixedFormatter, FixedLocator, MaxNLocator, NullLocator

from dla_jax.plots.style import COLOURS, MARKERS, PAGE, STYLE, plt, save

BITS = 1 / math.log(2)  # of a nat


def _at_the_edge(axis, y: float, text: str, colour: str) -> None:
    axis.annotate(
        text,
        (1.005, y),
        xycoords=("axes fraction", "data"),
        va="center",
        fontsize=6.5,
        color=colour,
    )


def _ngram_lines(axis, ngrams: dict[int, float], colour="0.55") -> None:
    """A horizontal line for each order, labelled at the right edge; labels that would lie on one another are left out."""
    low, high = axis.get_ylim()
    taken: list[float] = []
    for order, nats in sorted(ngrams.items(), key=lambda item: item[1]):
        bits = nats * BITS
        if not low <= bits <= high:
            continue
        axis.axhline(bits, color=colour, linewidth=0.7, linestyle=(0, (1, 2)), zorder=1)
        if all(abs(bits - other) > 0.035 * (high - low) for other in taken):
            _at_the_edge(axis, bits, f"{order}-gram", "0.35")
            taken.append(bits)


def scores(rows: list[dict], ngrams: dict[int, float], scored_on: str, path: Path) -> None:
    """Each network's runs beside the n-grams.

    Args:
      rows: [{"label", "nats": float [n] per character, "low", "high"}].
      ngrams: {order: nats per character}.
      scored_on: the part of the text.
    """
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(PAGE, 0.9 + 0.26 * (len(rows) + len(ngrams))))
        labels = [row["label"] for row in rows] + [f"{order}-gram" for order in ngrams]
        worst = (
            max(max(row["nats"]) for row in rows) + 0.15
        )  # n-grams far beyond it would squeeze the rest; their figures stand
        for y, nats in enumerate(ngrams.values(), len(rows)):
            axis.plot(
                nats * BITS if nats < worst else np.nan,
                y,
                "|",
                color="0.3",
                markersize=10,
                markeredgewidth=1.6,
            )
            _at_the_edge(axis, y, f"{nats * BITS:.3f}", "0.35")
        for y, row in enumerate(rows):
            values = np.asarray(row["nats"]) * BITS
            axis.plot(
                values,
                y + np.linspace(-0.2, 0.2, len(values)),
                ".",
                color=COLOURS[5],
                markersize=4,
                markeredgewidth=0,
            )
            if math.isfinite(row["low"]):
                axis.plot(
                    [row["low"] * BITS, row["high"] * BITS],
                    [y, y],
                    color=COLOURS[1],
                    linewidth=1.6,
                    zorder=3,
                )
            axis.plot(values.mean(), y, "D", color=COLOURS[1], zorder=4)
            _at_the_edge(axis, y, f"{values.mean():.3f}", "0")
        axis.axvline(min(ngrams.values()) * BITS, color="0.5", linewidth=0.8, linestyle=":")
        axis.set_yticks(range(len(labels)), labels)
        axis.invert_yaxis()
        axis.grid(axis="y", visible=False)
        axis.set_xlabel(f"bits per character on {scored_on} (smaller is better)")
        save(figure, path)


def curves(networks: dict[str, dict], ngrams: dict[int, float], path: Path) -> None:
    """Validation and training along the steps, a panel a network.

    Args:
      networks: {name: {"step": int [n], "val": nats per character [seeds, n], "train_step": int [m], "train": [seeds, m]}}.
      ngrams: {order: nats per character on validation}.
    """
    with plt.rc_context(STYLE):
        columns = min(3, len(networks))
        rows = -(-len(networks) // columns)
        figure, axes = plt.subplots(
            rows, columns, figsize=(PAGE, 2.5 * rows), sharey=True, squeeze=False
        )
        for axis in axes.flat[len(networks) :]:
            axis.set_visible(False)
        drawn = []
        for axis, (name, found) in zip(axes.flat, networks.items(), strict=False):
            for key, steps, colour, label in (
                ("train", found["train_step"], COLOURS[4], "training"),
                ("val", found["step"], COLOURS[1], "validation"),
            ):
                values = np.asarray(found[key], float) * BITS
                if not values.size:
                    continue
                mean = values.mean(0)
                axis.fill_between(
                    steps, values.min(0), values.max(0), color=colour, alpha=0.2, linewidth=0
                )
                axis.plot(
                    steps,
                    mean,
                    color=colour,
                    label=label,
                    marker=".",
                    markersize=3 if key == "val" else 0,
                )
                drawn += [values.min(), values.max()]
            axis.set_title(name, loc="left")
            axis.set_xlabel("optimiser step")
            axis.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        lowest = min([*drawn, *(nats * BITS for nats in ngrams.values())])
        axes[0, 0].set_ylim(lowest - 0.08, max(*drawn, lowest + 0.5) + 0.1)
        for axis in axes.flat[: len(networks)]:
            _ngram_lines(axis, ngrams)
        axes[0, 0].set_ylabel("bits per character")
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
        save(figure, path)


def by_context(
    networks: dict[str, tuple], ngrams: dict[int, float], scored_on: str, path: Path
) -> None:
    """Loss against the length of the context: how much of it a model makes something of.

    Args:
      networks: {name: (characters a token, nats per character [T] behind 1 to T tokens of context, means over windows and runs)}.
      ngrams: {order: nats per character}: an n-gram of order k has k - 1 characters of context.
    """
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(PAGE * 0.7, 3.0))
        longest = max(round(width * len(nats)) for width, nats in networks.values())
        for i, (name, (width, nats)) in enumerate(networks.items()):
            # Means over stretches that grow with the context: single lengths far out are noise on a logarithmic axis.
            edges = np.unique(np.round(np.geomspace(1, len(nats) + 1, 24)).astype(int))
            x = [width * math.sqrt(a * max(a, b - 1)) for a, b in itertools.pairwise(edges)]
            y = [np.mean(nats[a - 1 : b - 1]) * BITS for a, b in itertools.pairwise(edges)]
            axis.plot(x, y, color=COLOURS[i % 7], marker=MARKERS[i % 7], markersize=3, label=name)
        orders = [order for order in sorted(ngrams) if order > 1]
        bits = [ngrams[order] * BITS for order in orders]
        axis.plot([order - 1 for order in orders], bits, "x--", color="0.3", label="n-grams")
        axis.set_xscale("log", base=2)
        ticks = [2**i for i in range(longest.bit_length()) if 2**i <= longest]
        axis.xaxis.set_major_locator(FixedLocator(ticks))
        axis.xaxis.set_major_formatter(FixedFormatter([str(tick) for tick in ticks]))
        axis.xaxis.set_minor_locator(NullLocator())
        axis.set_xlabel("characters of context (log scale)")
        axis.set_ylabel(f"bits per character on {scored_on}")
        axis.legend()
        save(figure, path)


def attention(weights: np.ndarray, tokens: list[str], path: Path) -> None:
    """A map a head: row i is what token i attends to.

    Args:
      weights: float [n_layer, n_head, T, T], rows that sum to one.
      tokens: T texts.
    """
    layers, heads = weights.shape[:2]
    words = [token.replace("\n", "⏎").replace(" ", "␣") for token in tokens]
    size = min(PAGE / heads, 1.75)
    with plt.rc_context(
        STYLE | {"axes.grid": False, "axes.spines.top": True, "axes.spines.right": True}
    ):
        figure, axes = plt.subplots(
            layers, heads, figsize=(PAGE, size * layers + 0.3), squeeze=False
        )
        for (layer, head), axis in np.ndenumerate(axes):
            axis.imshow(
                np.sqrt(weights[layer, head]),
                cmap="magma_r",
                vmin=0,
                vmax=1,
                interpolation="nearest",
                aspect="equal",
            )
            axis.set_xticks([]), axis.set_yticks([])
            if heads <= 4 and head == 0:
                axis.set_yticks(
                    range(len(words)), words, fontsize=max(2.5, min(6, 90 / len(words)))
                )
                axis.tick_params(length=0, pad=1)
            if layer == 0:
                axis.set_title(f"head {head + 1}" if heads <= 8 else str(head + 1), fontsize=7)
            if head == 0:
                axis.set_ylabel(f"layer {layer + 1}", fontsize=7)
        save(figure, path)
