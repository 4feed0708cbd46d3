"""Figures of language models beside n-grams, from plain arrays.

Losses are drawn in bits per character throughout.

What draws a figure returns what it shows, in words.
"""

import itertools
import math
from pathlib import Path

import numpy as np
from matplotlib.ticker import FixedFormatter, FixedLocator, MaxNLocator, NullLocator

from dla_jax.evidence.formatting import number
from dla_jax.plots import words
from dla_jax.plots.rows import draw_row
from dla_jax.plots.style import COLOURS, FRAMED, MARKERS, PAGE, STYLE, plt, save

BITS = 1 / math.log(2)  # of a nat


def _at_the_edge(axis, y: float, text: str, colour: str) -> None:
    place = {"xycoords": ("axes fraction", "data"), "va": "center"}
    axis.annotate(text, (1.005, y), fontsize=6.5, color=colour, **place)


def _ngram_lines(axis, ngrams: dict[int, float]) -> None:
    """Draw a horizontal line for each order, with its label at the right edge.

    Labels that would lie on one another are left out.
    """
    low, high = axis.get_ylim()
    taken: list[float] = []
    for order, nats in sorted(ngrams.items(), key=lambda item: item[1]):
        bits = nats * BITS
        if not low <= bits <= high:
            continue
        axis.axhline(bits, color="0.55", linewidth=0.7, linestyle=(0, (1, 2)), zorder=1)
        if all(abs(bits - other) > 0.035 * (high - low) for other in taken):
            _at_the_edge(axis, bits, f"{order}-gram", "0.35")
            taken.append(bits)


def scores(rows: list[dict], ngrams: dict[int, float], scored_on: str, path: Path) -> str:
    """Draw each network's runs beside the n-grams, the first network on top.

    Args:
      rows: [{"label", "nats": float [n] per character, "low", "high"}].
      ngrams: {order: nats per character}.
      scored_on: the part of the text.
    """
    labels = [row["label"] for row in rows] + [f"{order}-gram" for order in ngrams]
    # N-grams far beyond the networks would squeeze the rest; their figures stand.
    worst = max(max(row["nats"]) for row in rows) + 0.15
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(PAGE, 0.9 + 0.26 * len(labels)))
        for y, nats in enumerate(ngrams.values(), len(rows)):
            at, look = (nats * BITS if nats < worst else np.nan), {"markeredgewidth": 1.6}
            axis.plot(at, y, "|", color="0.3", markersize=10, **look)
            _at_the_edge(axis, y, f"{nats * BITS:.3f}", "0.35")
        for y, row in enumerate(rows):
            values, bounds = np.asarray(row["nats"]) * BITS, (row["low"] * BITS, row["high"] * BITS)
            draw_row(axis, y, values, values.mean(), bounds, spread=0.2, cap="projecting")
            _at_the_edge(axis, y, f"{values.mean():.3f}", "0")
        axis.axvline(min(ngrams.values()) * BITS, color="0.5", linewidth=0.8, linestyle=":")
        axis.set_yticks(range(len(labels)), labels)
        axis.invert_yaxis()
        axis.grid(axis="y", visible=False)
        axis.set_xlabel(f"bits per character on {scored_on} (smaller is better)")
        save(figure, path)
    means = {row["label"]: float(np.mean(row["nats"])) * BITS for row in rows}
    means |= {f"{order}-gram": nats * BITS for order, nats in ngrams.items()}
    ranking = words.ranked(means, lambda bits: number(bits, 3), smallest=True)
    return f"Bits per character on {scored_on}, the lowest first: {ranking}."


def _learning_curves(axis, found: dict) -> list[float]:
    """Draw a network's means over seeds with their range, and return the extremes, in bits."""
    extremes = []
    for key, steps, colour, label in (
        ("train", found["train_step"], COLOURS[4], "training"),
        ("val", found["step"], COLOURS[1], "validation"),
    ):
        values = np.asarray(found[key], float) * BITS
        if not values.size:
            continue
        low, high, size = values.min(0), values.max(0), 3 if key == "val" else 0
        axis.fill_between(steps, low, high, color=colour, alpha=0.2, linewidth=0)
        axis.plot(steps, values.mean(0), ".-", color=colour, label=label, markersize=size)
        extremes += [values.min(), values.max()]
    return extremes


def _validation_in_words(name: str, found: dict) -> str:
    """Return the lowest validation loss of a network as `curves` takes it, and the last one."""
    means = np.asarray(found["val"], float).mean(0) * BITS
    if not means.size:
        return f"{name} unknown"
    lowest, best = found["step"][int(means.argmin())], number(means.min(), 3)
    return f"{name} {best} at its best, step {lowest:,}, {number(means[-1], 3)} last"


def curves(networks: dict[str, dict], ngrams: dict[int, float], path: Path) -> str:
    """Draw validation and training losses along the steps, a panel a network.

    Args:
      networks: {name: {"step": int [n], "val": nats per character [seeds, n],
        "train_step": int [m], "train": [seeds, m]}}.
      ngrams: {order: nats per character on validation}.
    """
    columns = min(3, len(networks))
    rows = -(-len(networks) // columns)
    shared, extremes = {"sharey": True, "squeeze": False}, []
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(rows, columns, figsize=(PAGE, 2.5 * rows), **shared)
        for axis in axes.flat[len(networks) :]:
            axis.set_visible(False)
        for axis, (name, found) in zip(axes.flat, networks.items(), strict=False):
            extremes += _learning_curves(axis, found)
            axis.set_title(name, loc="left")
            axis.set_xlabel("optimiser step")
            axis.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        lowest = min([*extremes, *(nats * BITS for nats in ngrams.values())])
        axes[0, 0].set_ylim(lowest - 0.08, max(*extremes, lowest + 0.5) + 0.1)
        for axis in axes.flat[: len(networks)]:
            _ngram_lines(axis, ngrams)
        axes[0, 0].set_ylabel("bits per character")
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
        save(figure, path)
    told = [_validation_in_words(name, found) for name, found in networks.items()]
    return f"Bits per character of the validation text: {words.listed(told, '; ')}."


def _by_stretches(width: float, nats) -> tuple[list[float], list[float]]:
    """Return characters of context and mean bits, over stretches that grow with the context.

    Single lengths far out would be noise on a logarithmic axis.
    """
    edges = np.unique(np.round(np.geomspace(1, len(nats) + 1, 24)).astype(int))
    stretches = list(itertools.pairwise(edges))
    x = [width * math.sqrt(start * max(start, stop - 1)) for start, stop in stretches]
    y = [np.mean(nats[start - 1 : stop - 1]) * BITS for start, stop in stretches]
    return x, y


def by_context(
    networks: dict[str, tuple], ngrams: dict[int, float], scored_on: str, path: Path
) -> str:
    """Draw the loss against the length of the context: how much of it a model makes something of.

    Args:
      networks: {name: (characters a token, nats per character float [T] behind 1 to T tokens of
        context, means over windows and runs)}.
      ngrams: {order: nats per character}: an n-gram of order k has k - 1 characters of context.
      scored_on: the part of the text.
    """
    longest = max(round(width * len(nats)) for width, nats in networks.values())
    ticks = [2**i for i in range(longest.bit_length()) if 2**i <= longest]
    orders = [order for order in sorted(ngrams) if order > 1]
    bits = [ngrams[order] * BITS for order in orders]
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(PAGE * 0.7, 3.0))
        for i, (name, (width, nats)) in enumerate(networks.items()):
            look = {"color": COLOURS[i % 7], "marker": MARKERS[i % 7], "markersize": 3}
            axis.plot(*_by_stretches(width, nats), label=name, **look)
        axis.plot([order - 1 for order in orders], bits, "x--", color="0.3", label="n-grams")
        axis.set_xscale("log", base=2)
        axis.xaxis.set_major_locator(FixedLocator(ticks))
        axis.xaxis.set_major_formatter(FixedFormatter([str(tick) for tick in ticks]))
        axis.xaxis.set_minor_locator(NullLocator())
        axis.set_xlabel("characters of context (log scale)")
        axis.set_ylabel(f"bits per character on {scored_on}")
        axis.legend()
        save(figure, path)
    told = []
    for name, (width, nats) in networks.items():
        x, y = _by_stretches(width, nats)
        told.append(
            f"{name} {number(y[0], 2)} behind a context of {words.digits(x[0])}, "
            f"{number(y[-1], 2)} behind one of {words.digits(x[-1])}"
        )
    return f"Bits per character, by characters of context: {words.listed(told, '; ')}."


def _attention_in_words(weights: np.ndarray) -> str:
    """Return what share of its attention a token gives itself, the one before, and the first.

    The first two tokens are left out: of them these are not three. Even attention gives the same to
    each token up to itself.
    """
    maps = weights.reshape(-1, *weights.shape[-2:])
    later = np.arange(2, maps.shape[-1])
    if not len(later):
        return "Too few tokens to tell what they attend to."
    means = {
        "itself": float(maps[:, later, later].mean()),
        "the token before": float(maps[:, later, later - 1].mean()),
        "the first token": float(maps[:, later, 0].mean()),
    }
    even = words.percent(float(np.mean(1 / (later + 1))))
    return (
        "Mean share of its attention that a token from the third on gives, the largest first: "
        f"{words.ranked(means, words.percent)}; even attention would give each {even}."
    )


def attention(weights: np.ndarray, tokens: list[str], path: Path) -> str:
    """Draw a map a head: row i is what token i attends to.

    Args:
      weights: float [n_layer, n_head, T, T], rows that sum to one.
      tokens: T texts.
    """
    layers, heads = weights.shape[:2]
    words = [token.replace("\n", "⏎").replace(" ", "␣") for token in tokens]
    size = (PAGE, min(PAGE / heads, 1.75) * layers + 0.3)
    look = {"cmap": "magma_r", "vmin": 0, "vmax": 1, "interpolation": "nearest", "aspect": "equal"}
    with plt.rc_context(FRAMED):
        figure, axes = plt.subplots(layers, heads, figsize=size, squeeze=False)
        for (layer, head), axis in np.ndenumerate(axes):
            axis.imshow(np.sqrt(weights[layer, head]), **look)
            axis.set_xticks([])
            axis.set_yticks([])
            if heads <= 4 and head == 0:
                small = max(2.5, min(6, 90 / len(words)))
                axis.set_yticks(range(len(words)), words, fontsize=small)
                axis.tick_params(length=0, pad=1)
            if layer == 0:
                axis.set_title(f"head {head + 1}" if heads <= 8 else str(head + 1), fontsize=7)
            if head == 0:
                axis.set_ylabel(f"layer {layer + 1}", fontsize=7)
        save(figure, path)
    return _attention_in_words(weights)
