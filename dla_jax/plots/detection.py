"""Figures of how well detectors tell familiar images from strange ones, from plain arrays.

A higher score means more like the training data. What draws a figure returns what it shows, in
words.
"""

import math
from pathlib import Path

import numpy as np
from matplotlib.ticker import MaxNLocator, MultipleLocator, PercentFormatter

from dla_jax.evidence.formatting import number
from dla_jax.plots import words
from dla_jax.plots.rows import draw_ranked
from dla_jax.plots.runs import incomplete, mean, name_above, span
from dla_jax.plots.style import PAGE, STYLE, looks_of, plt, save

NAMES = {
    "msp": "softmax (MSP)",
    "max_logit": "max logit",
    "energy": "energy",
    "gen": "GEN",
    "odin": "ODIN",
    "odin_as_implemented": "ODIN as implemented",
    "mahalanobis": "Mahalanobis",
    "relative_mahalanobis": "relative Mahalanobis",
    "knn": "k nearest neighbours",
    "vim": "ViM",
}
WIDTH = 0.75 * PAGE  # inches
ANSWERED = 0.8  # share of images at which errors are told
FEW = 0.05  # a share of images so small that a few decide what is drawn there
MOST = 12  # detectors or classes that are named


def shown(name: str) -> str:
    """Return the name of a detector or of a set as people read it."""
    return NAMES.get(name, name.replace("_", " "))


def three_digits(value: float) -> str:
    """Return an AUROC or another area as `0.912`; `unknown` where it is nan."""
    return "unknown" if math.isnan(value) else number(value, 3)


def _ranked(areas: dict[str, float], smallest: bool = False) -> str:
    return words.ranked(areas, three_digits, smallest=smallest, most=MOST)


def _area(x, values) -> float:
    """Return the area under the mean over networks of curves float [S, P], x rising or falling."""
    return abs(float(np.trapezoid(mean(values), x)))


def _draw_curves(axis, curves: dict[str, tuple], shaded: tuple) -> None:
    """Draw the means over networks; of the shaded detectors the range, too.

    A detector looks the same in every figure.

    Args:
      curves: {detector: (x float [P], values float [S, P])}.
    """
    looks = looks_of(dict.fromkeys([*NAMES, *curves]))
    for i, (name, (x, values)) in enumerate(curves.items()):
        colour, marker = looks[name]
        every = max(1, len(x) // 5)
        look = {"marker": marker, "markevery": (i * every // len(curves), every), "markersize": 3.5}
        axis.plot(x, mean(values), color=colour, label=shown(name), linewidth=1, **look)
        if name in shaded:
            axis.fill_between(x, *span(values), color=colour, alpha=0.15, linewidth=0)


def _steady(curves: dict[str, tuple]) -> np.ndarray:
    """Return the finite means over networks where more than a few images decide."""
    means = [mean(values)[np.asarray(x) >= FEW] for x, values in curves.values()]
    means = np.concatenate(means)
    return means[np.isfinite(means)]


def curves(
    roc: dict[str, dict],
    precision_recall: dict[str, dict],
    path: Path,
    *,
    familiar: float | None = None,
) -> str:
    """Draw ROC and precision-recall curves, the mean over networks; familiar images are positive.

    The range over networks is drawn for the first detector and for that of the largest area.

    Args:
      roc: {detector: {"fpr": float [P], "tpr": float [S, P]}}, from 0 to 1.
      precision_recall: {detector: {"recall": float [P], "precision": float [S, P]}}.
      familiar: share of familiar images among all, which is the precision of chance.
    """
    sides = (
        {name: (found["fpr"], found["tpr"]) for name, found in roc.items()},
        {name: (found["recall"], found["precision"]) for name, found in precision_recall.items()},
    )
    best = max(sides[0], key=lambda name: np.nan_to_num(_area(*sides[0][name])))
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.5))
        for axis, side in zip((left, right), sides, strict=True):
            _draw_curves(axis, side, shaded=(next(iter(side)), best))
            axis.xaxis.set_major_locator(MultipleLocator(0.25))
        chance = {"color": "0.4", "linestyle": "--", "linewidth": 0.9, "label": "chance"}
        left.plot([0, 1], [0, 1], **chance)
        if familiar is not None:
            right.axhline(familiar, **chance)
        lowest = min([*_steady(sides[1]), 1.0 if familiar is None else familiar])
        right.set_ylim(lowest - 0.1 * (1.02 - lowest), 1.02)
        left.set(xlabel="strange images accepted (FPR)", ylabel="familiar images accepted (TPR)")
        right.set(xlabel="familiar images accepted (recall)", ylabel="familiar among the accepted")
        left.set_title("ROC", loc="left")
        right.set_title("precision and recall", loc="left")
        note = "bands: range over networks of the first detector and of the best"
        figure.supxlabel(note, fontsize=7)
        name_above(figure, left, columns=3)
        save(figure, path)
    told = []
    for title, side in zip(("ROC", "precision-recall"), sides, strict=True):
        areas = {shown(name) + incomplete(y): _area(x, y) for name, (x, y) in side.items()}
        told.append(f"Area under the {title} curve, the largest first: {_ranked(areas)}.")
    return " ".join(told)


def _error(shares, risks) -> float:
    """Return the mean error over networks at `ANSWERED`; nan where the curve does not reach it."""
    order, nowhere = np.argsort(shares), {"left": np.nan, "right": np.nan}
    return float(np.interp(ANSWERED, np.asarray(shares)[order], mean(risks)[order], **nowhere))


def coverage(found: dict[str, dict], path: Path) -> str:
    """Draw the error among the images answered against their share, the mean over networks.

    Those of the lowest score are refused first (El-Yaniv and Wiener 2010). The range over networks
    is drawn for the first detector and for that of the smallest error at `ANSWERED`.

    Args:
      found: {detector: {"coverage": float [P] in (0, 1], "risk": error float [S, P]}}.
    """
    sides = {name: (each["coverage"], each["risk"]) for name, each in found.items()}
    first = next(iter(sides))
    errors = {name: _error(*curve) for name, curve in sides.items()}
    best = min(sides, key=lambda name: np.nan_to_num(errors[name], nan=np.inf))
    whole = float(mean(sides[first][1])[np.argmax(sides[first][0])])
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(WIDTH, 3.4))
        _draw_curves(axis, sides, shaded=(first, best))
        look = {"color": "0.4", "linestyle": "--", "linewidth": 0.9}
        axis.axhline(whole, label="refused at random", **look)
        axis.set_title("what is gained by refusing to answer where the score is low", loc="left")
        axis.set_xlabel("share of the images that are answered (bands: range over networks)")
        axis.set_ylabel("error among those answered")
        for side in (axis.xaxis, axis.yaxis):
            side.set_major_formatter(PercentFormatter(1, decimals=None))
        highest = max([*_steady(sides), whole])
        axis.set_ylim(0, 1.1 * highest if highest > 0 else 1)
        name_above(figure, axis, columns=3)
        save(figure, path)
    errors = {shown(name) + incomplete(sides[name][1]): error for name, error in errors.items()}
    return (
        f"Error with every image answered: {words.percent(whole)}; with "
        f"{100 * ANSWERED:g} % answered, the smallest first: "
        f"{words.ranked(errors, words.percent, smallest=True, most=MOST)}."
    )


def _auroc_axis(axes, values: list[list[float]]) -> bool:
    """Give all panels an axis that holds all values; mark chance, and return if it is in range."""
    values = np.concatenate([np.ravel(each) for each in values])
    values = values[np.isfinite(values)]
    low, high = (values.min(), values.max()) if len(values) else (0.5, 1.0)
    margin = max(0.04 * (high - low), 0.005)
    marked = bool(low - margin <= 0.5 <= high + margin)
    for axis in axes:
        axis.set_xlim(max(low, 0) - margin, min(high, 1) + margin)
        axis.xaxis.set_major_locator(MaxNLocator(4))
        if marked:
            axis.axvline(0.5, color="0.4", linestyle="--", linewidth=0.9, zorder=1)
    return marked


def table(
    rows: dict[str, dict[str, np.ndarray]],
    intervals: dict[str, dict[str, tuple[float, float]]],
    sets: list[str],
    path: Path,
) -> str:
    """Draw the AUROC of each detector on each strange set, a panel a set, a row a detector.

    Args:
      rows: {detector: {set: AUROC float [S]}}, the first on top; nan in a run that diverged.
      intervals: {detector: {set: (low, high)}} of the mean; nan or infinite where there is none.
      sets: those drawn, in this order.
    """
    columns = min(2, len(sets))
    lines = -(-len(sets) // columns)
    size = (WIDTH if columns > 1 else 0.55 * PAGE, 0.3 + lines * (0.45 + 0.15 * len(rows)))
    with plt.rc_context(STYLE):
        shape = {"figsize": size, "sharex": True, "sharey": True, "squeeze": False}
        figure, axes = plt.subplots(lines, columns, **shape)
        for axis in axes.flat[len(sets) :]:
            axis.set_visible(False)
        panels = axes.flat[: len(sets)]
        for axis, name in zip(panels, sets, strict=True):
            values, bounds = ({d: each[name] for d, each in of.items()} for of in (rows, intervals))
            draw_ranked(axis, values, bounds, form=three_digits)
            axis.set_title(shown(name), loc="left")
            axis.grid(axis="y", visible=False)
            axis.tick_params(labelbottom=True)
        every = [[*each[name], *intervals[d][name]] for d, each in rows.items() for name in sets]
        chance = "; dashed: chance" if _auroc_axis(panels, every) else ""
        axes[0, 0].set_yticks(range(len(rows)), [shown(name) for name in rows])
        axes[0, 0].set_ylim(len(rows) - 0.5, -0.5)
        note = "AUROC (dots: networks; diamond: mean; bar: its 95 % interval;"
        figure.supxlabel(f"{note}\norange: the best{chance})", fontsize=7)
        save(figure, path)
    told = []
    for name in sets:
        means = {
            shown(d) + incomplete(np.reshape(each[name], (-1, 1))): float(mean(each[name]))
            for d, each in rows.items()
        }
        told.append(f"{shown(name)}: {_ranked(means)}")
    return f"Mean AUROC, the highest first. {'. '.join(told)}."


def class_rocs(found: dict[str, dict], path: Path) -> str:
    """Draw the ROC of each class against all others: nothing strange is in it.

    Of many classes those of the lowest AUROC are drawn.

    Args:
      found: {class: {"fpr": float [P], "tpr": float [P], "auroc": float}}.
    """
    areas = {shown(name): float(each["auroc"]) for name, each in found.items()}
    hardest = sorted(found, key=lambda name: np.nan_to_num(found[name]["auroc"], nan=1.0))[:MOST]
    some = {name: each for name, each in found.items() if name in hardest}
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(WIDTH, 3.3))
        looks = looks_of(some)
        for i, (name, each) in enumerate(some.items()):
            colour, marker = looks[name]
            every = max(1, len(each["fpr"]) // 4)
            look = {"marker": marker, "markevery": (i * every // len(some), every)}
            label = f"{shown(name)} {three_digits(areas[shown(name)])}"
            axis.plot(each["fpr"], each["tpr"], color=colour, linewidth=1, label=label, **look)
        look = {"color": "0.4", "linestyle": "--", "linewidth": 0.9}
        axis.plot([0, 1], [0, 1], label="chance 0.500", **look)
        title = "classes told apart from one another: no strange image is in it"
        figure.suptitle(title, fontsize=8)
        axis.set_xlabel("images of other classes taken for the class")
        axis.set_ylabel("images of the class found")
        kind = "AUROC" if len(some) == len(found) else f"AUROC, the lowest {len(some)}"
        figure.legend(loc="outside right center", title=kind, title_fontsize=7)
        save(figure, path)
    return (
        "Classes told apart from one another, with no strange image: AUROC of each class against "
        f"the others, the lowest first: {_ranked(areas, smallest=True)}."
    )
