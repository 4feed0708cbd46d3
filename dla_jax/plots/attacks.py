"""Figures of attacks and of how well networks withstand them, from plain arrays.

Accuracies are shares of images in [0, 1]; ε is in units of images that lie in [0, 1]. What draws a
figure returns what it shows, in words.
"""

import math
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, MultipleLocator, PercentFormatter

from dla_jax.evidence.formatting import number, short
from dla_jax.plots import words
from dla_jax.plots.maps import AGAINST, FOR
from dla_jax.plots.rows import draw_ranked
from dla_jax.plots.runs import incomplete, mean, span
from dla_jax.plots.style import COLOURS, FRAMED, PAGE, STYLE, looks_of, plt, save

NAMES = {  # of attacks
    "clean": "clean",
    "fgsm": "FGSM",
    "rs_fgsm": "FGSM, random start",
    "pgd": "PGD",
    "pgd_l2": "PGD, L2",
    "apgd_ce": "APGD, cross-entropy",
    "apgd_dlr": "APGD, DLR",
    "square": "Square (black box)",
    "worst": "worst of all",
}
TRAININGS = {  # of networks; what an attack is also called has the same words
    "standard": "standard",
    "fgsm_lab_b": "FGSM, lab B's",
    "fgsm": "FGSM",
    "rs_fgsm": "FGSM, random start",
    "pgd": "PGD",
    "trades": "TRADES",
}
WIDTH = 0.75 * PAGE  # inches
BANDS = 3  # lines of a panel that have a band: more would hide one another
CHARACTERS = (51, 33)  # that fit below the axis of one panel, and of each of two side by side
MOST = 12  # networks that are named
COLOURMAP = matplotlib.colormaps["viridis"]
UNKNOWN = 128  # grey of a pixel that is nan


def shown(name: str) -> str:
    """Return the name of an attack or of a way of training as people read it."""
    return (NAMES | TRAININGS).get(name, name.replace("_", " "))


def _both_units(epsilon: float) -> tuple[str, str]:
    """Return ε as a number and as k of k/255: `0.031` and `8`."""
    digits = 3 if epsilon >= 0.001 else 5
    return short(round(float(epsilon), digits)), short(round(255 * float(epsilon), 1))


def in_both_units(epsilon: float) -> str:
    """Return ε in units of images as `0.031 (8/255)`."""
    return "{} ({}/255)".format(*_both_units(epsilon))


def in_a_list(name: str) -> str:
    """Return a name without a comma, which would end it in a list."""
    return shown(name).replace(",", "")


def _ranked(values: dict[str, float], smallest: bool = False) -> str:
    return words.ranked(values, words.percent, smallest=smallest, most=MOST)


def _spaced(epsilon: np.ndarray, characters: int) -> list[float]:
    """Return those ε whose labels do not touch: both ends, then from the right all that fit.

    `characters`: that fit below the axis.
    """
    ordered = sorted(set(epsilon.tolist()), reverse=True)
    width = (ordered[0] - ordered[-1]) / characters
    size = {each: 1 + max(map(len, _both_units(each))) for each in ordered}
    kept = []
    for each in dict.fromkeys([ordered[0], ordered[-1], *ordered]):
        if all(abs(each - other) >= width * (size[each] + size[other]) / 2 for other in kept):
            kept.append(each)
    return sorted(kept)


def _banded(curves: dict[str, np.ndarray]) -> list[str]:
    """Return which lines have a band: all of a few, else the first, the highest and the lowest."""
    if len(curves) <= BANDS:
        return list(curves)
    levels = {label: float(np.mean(mean(values))) for label, values in curves.items()}
    known = [label for label in curves if not math.isnan(levels[label])] or list(curves)
    return [next(iter(curves)), max(known, key=levels.get), min(known, key=levels.get)]


def _draw_curves(axis, panel: dict, looks: dict, dashed: set, characters: int) -> None:
    """Draw the means over networks of a panel against ε, with both units at the ticks."""
    epsilon = np.asarray(panel["epsilon"], float)
    banded = _banded(panel["curves"])
    for label, values in panel["curves"].items():
        colour, marker = looks[label]
        style = "--" if label in dashed else "-"
        look = {"color": colour, "marker": marker, "linestyle": style, "markersize": 3.5}
        axis.plot(epsilon, mean(values), label=shown(label), clip_on=False, zorder=3, **look)
        if label in banded:
            edge = 4 * (len(epsilon) == 1)  # a band of one point has no width
            axis.fill_between(epsilon, *span(values), color=colour, alpha=0.15, linewidth=edge)
    ticks = _spaced(epsilon, characters)
    axis.xaxis.set_major_locator(FixedLocator(ticks))
    axis.set_xticklabels(["\n".join(_both_units(each)) for each in ticks])
    axis.set_title(panel["title"], loc="left", parse_math=False)
    axis.set_ylim(0, 1)
    axis.yaxis.set_major_locator(MultipleLocator(0.25))
    axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axis.tick_params(labelleft=True)


def _panel_in_words(panel: dict) -> str:
    """Return what the lines of a panel say at the first, the middle and the last ε."""
    epsilon = panel["epsilon"]
    told = []
    for place in sorted({0, len(epsilon) // 2, len(epsilon) - 1}):
        values = {
            in_a_list(label) + incomplete(curve): float(mean(curve)[place])
            for label, curve in panel["curves"].items()
        }
        told.append(f"at ε {in_both_units(epsilon[place])} {_ranked(values)}")
    return f"{panel['title']}: {'; '.join(told)}."


def accuracy_curves(panels: list[dict], path: Path, *, y: str = "accuracy") -> str:
    """Draw accuracy against ε, two panels a row, the mean over networks.

    A label looks the same in all panels, and a way of training in all figures. The range over
    networks is drawn for at most three lines of a panel.

    Args:
      panels: of {"title", "epsilon": float [E], rising, "curves": {label: share of images float
        [S, E]}, "dashed": labels, may be absent}; nan where a network diverged.
      y: what the lines are shares of images of.
    """
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    labels = dict.fromkeys(label for panel in panels for label in panel["curves"])
    kept = TRAININGS if labels.keys() & TRAININGS.keys() else {}  # their looks are kept for them
    looks = looks_of(kept | labels)
    dashed = {label for panel in panels for label in panel.get("dashed", ())}
    crowded = any(len(panel["curves"]) > BANDS for panel in panels)
    with plt.rc_context(STYLE):
        size = (WIDTH if columns > 1 else 0.55 * PAGE, 0.75 + 1.75 * rows)
        figure, axes = plt.subplots(rows, columns, figsize=size, sharey=True, squeeze=False)
        for axis in axes.flat[len(panels) :]:
            axis.set_visible(False)
        for axis, panel in zip(axes.flat, panels, strict=False):
            _draw_curves(axis, panel, looks, dashed, CHARACTERS[columns - 1])
        units = "upper row: ε (images lie in [0, 1]); lower row: k of ε = k/255"
        of = " of the first, the highest and the lowest line" if crowded else ""
        figure.supxlabel(f"{units}\nbands: range over networks{of}", fontsize=7)
        figure.supylabel(y, fontsize=8)
        legend = {}
        for axis in axes.flat[: len(panels)]:
            handles, texts = axis.get_legend_handles_labels()
            legend |= zip(texts, handles, strict=True)
        place = {"loc": "outside upper center", "ncols": 1 + columns}
        figure.legend(legend.values(), legend.keys(), **place)
        save(figure, path)
    return " ".join([f"Mean {y}, the highest first.", *map(_panel_in_words, panels)])


def by_attack(
    rows: dict[str, dict[str, np.ndarray]],
    intervals: dict[str, dict[str, tuple[float, float]]],
    attacks: list[str],
    path: Path,
) -> str:
    """Draw the accuracy of each network under each attack, a panel an attack, a row a network.

    Args:
      rows: {network: {attack: accuracy float [S]}}, the first on top; nan in a run that diverged.
      intervals: {network: {attack: (low, high)}} of the mean; nan or infinite where there is none.
      attacks: those drawn, in this order.
    """
    columns = min(3, len(attacks))
    lines = -(-len(attacks) // columns)
    size = ((0.4, 0.6, 0.75)[columns - 1] * PAGE, 0.4 + lines * (0.4 + 0.15 * len(rows)))
    told = []
    with plt.rc_context(STYLE):
        shape = {"figsize": size, "sharex": True, "sharey": True, "squeeze": False}
        figure, axes = plt.subplots(lines, columns, **shape)
        for axis in axes.flat[len(attacks) :]:
            axis.set_visible(False)
        for axis, attack in zip(axes.flat, attacks, strict=False):
            values, bounds = (
                {name: each[attack] for name, each in of.items()} for of in (rows, intervals)
            )
            draw_ranked(axis, values, bounds, form=lambda share: number(100 * share, 1))
            axis.set_title(shown(attack), loc="left")
            axis.grid(axis="y", visible=False)
            axis.tick_params(labelbottom=True)
            means = {
                in_a_list(name) + incomplete(np.reshape(each, (-1, 1))): float(mean(each))
                for name, each in values.items()
            }
            told.append(f"{in_a_list(attack)}: {_ranked(means)}")
        axes[0, 0].set(xlim=(-0.03, 1.03), ylim=(len(rows) - 0.5, -0.5))
        axes[0, 0].xaxis.set_major_locator(MultipleLocator(0.5))
        axes[0, 0].xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes[0, 0].set_yticks(range(len(rows)), [shown(name) for name in rows])
        note = "accuracy (dots: networks; diamond and number: mean;"
        figure.supxlabel(f"{note}\nbar: its 95 % interval; orange: the best)", fontsize=7)
        save(figure, path)
    return f"Mean accuracy under each attack, the highest first. {'. '.join(told)}."


def _transfer_in_words(values: np.ndarray, names: list[str]) -> str:
    """Return how networks do on their own images, and whose images harm the others most."""
    names = [in_a_list(name) for name in names]
    own = dict(zip(names, np.diag(values).tolist(), strict=True))
    told = [
        f"Accuracy on images made for the network itself, the lowest first: {_ranked(own, True)}"
    ]
    if len(names) > 1:
        others = np.where(np.eye(len(names), dtype=bool), np.nan, values)
        made = dict(zip(names, mean(others).tolist(), strict=True))
        tested = dict(zip(names, mean(others.T).tolist(), strict=True))
        told += [
            "Mean accuracy of the other networks on images made for one, the lowest first: "
            f"{_ranked(made, True)}",
            "Mean accuracy of one on images made for the others, the lowest first: "
            f"{_ranked(tested, True)}",
        ]
    return f"{'. '.join(told)}."


def transfer(values: np.ndarray, names: list[str], path: Path) -> str:
    """Draw how well networks withstand the images that PGD made for one another.

    Args:
      values: accuracy float [n, n], row: the network that is tested, column: the one that the
        images were made for; nan where unknown.
      names: of the n networks.
    """
    values = np.asarray(values, float)
    count = len(names)
    colours = matplotlib.colors.Normalize(0, 1)
    with plt.rc_context(FRAMED):
        size = (max(3.0, 1.9 + 0.42 * count), 1.8 + 0.28 * count)
        figure, axis = plt.subplots(figsize=size)
        axis.set_facecolor("0.85")
        axis.imshow(np.ma.masked_invalid(values), norm=colours, cmap=COLOURMAP, aspect="auto")
        for (i, j), value in np.ndenumerate(values):
            known = math.isfinite(value)
            look = {"color": "white" if known and value < 0.6 else "black", "fontsize": 7}
            text = number(100 * value, 1) if known else "–"
            axis.text(j, i, text, ha="center", va="center", **look)
        for i in range(count):
            look = {"fill": False, "edgecolor": COLOURS[0], "linewidth": 1.8, "zorder": 3}
            axis.add_patch(Rectangle((i - 0.5, i - 0.5), 1, 1, clip_on=False, **look))
        texts = [shown(name) for name in names]
        axis.set_xticks(range(count), texts, rotation=40, ha="right", rotation_mode="anchor")
        axis.set_yticks(range(count), texts)
        figure.supxlabel("images that PGD made for\n(framed: for the network itself)", fontsize=8)
        figure.supylabel("accuracy (%) of", fontsize=8)
        save(figure, path)
    return _transfer_in_words(values, names)


def signed(values: np.ndarray) -> np.ndarray:
    """Return a map of two signs as a picture: white at 0, blue below, orange above.

    The largest absolute value has the full colour; nan is grey.

    Args:
      values: float [H, W, C], whose channels are summed.

    Returns:
      uint8 [H, W, 3].
    """
    total = np.asarray(values, float).sum(-1)
    finite = np.abs(total[np.isfinite(total)])
    scaled = np.clip(total / (finite.max(initial=0) or 1), -1, 1)[..., None]
    full = np.where(scaled > 0, FOR, AGAINST)
    pixels = 255 + np.abs(scaled) * (full - 255.0)
    return np.where(np.isnan(scaled), UNKNOWN, pixels).round().astype(np.uint8)
