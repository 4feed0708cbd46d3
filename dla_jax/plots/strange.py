"""Figures of the scores of one detector: how they are distributed, and how ODIN's two knobs act.

A higher score means more like the training data. What draws a figure returns what it shows, in
words.
"""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter

from dla_jax.evidence.formatting import short
from dla_jax.plots import words
from dla_jax.plots.detection import WIDTH, shown, three_digits
from dla_jax.plots.style import COLOURS, FRAMED, PAGE, STYLE, plt, save

BINS = 40
REACH = 3  # how many times the range of familiar images the axis goes on beyond it, at most
COLOURMAP = matplotlib.colormaps["viridis"]


def _range(scores) -> np.ndarray:
    """Return between which two scores 99 % of the finite ones lie."""
    scores = np.asarray(scores, float)
    return np.quantile(scores[np.isfinite(scores)], [0.005, 0.995])


def _limits(panels: list[dict]) -> tuple[float, float]:
    """Return the ends of an axis for all panels, low < high.

    What lies far beyond nearly all familiar images must not press these into one bin.
    """
    familiar = np.array([_range(panel["familiar"]) for panel in panels])
    strange = np.array([_range(panel["strange"]) for panel in panels])
    low, high = familiar[:, 0].min(), familiar[:, 1].max()
    reach = REACH * (high - low) if high > low else np.inf
    low = max(min(low, strange[:, 0].min()), low - reach)
    high = min(max(high, strange[:, 1].max()), high + reach)
    if high > low:
        return float(low), float(high)
    margin = max(1.0, abs(low)) / 2
    return float(low - margin), float(high + margin)


def _draw_populations(axis, panel: dict, edges: np.ndarray) -> None:
    """Draw the share of familiar and of strange images in each bin, and the threshold."""
    filled = {"familiar": COLOURS[1], "strange": COLOURS[0]}
    for name, colour in filled.items():
        scores = np.asarray(panel[name], float)
        inside = np.clip(scores[~np.isnan(scores)], edges[0], edges[-1])
        shares = np.histogram(inside, edges)[0] / len(inside)
        look = {"hatch": "//////"} if name == "strange" else {}
        axis.stairs(shares, edges, fill=True, facecolor=(colour, 0.3), edgecolor=colour, **look)
    axis.axvline(panel["threshold"], color="black", linestyle="--", linewidth=0.9)
    axis.set_title(f"{shown(panel['title'])}: AUROC {three_digits(panel['auroc'])}", loc="left")
    axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axis.yaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    axis.tick_params(labelbottom=True)


def histograms(panels: list[dict], name: str, path: Path) -> str:
    """Draw how the score of a detector is distributed over familiar and over strange images.

    One axis serves all panels. What lies beyond it is in the outermost bins.

    Args:
      panels: [{"title": strange set, "familiar": float [n], "strange": float [m], "auroc",
        "threshold": the score that 95 % of the familiar reach}].
      name: of the detector.
    """
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    edges = np.linspace(*_limits(panels), BINS + 1)
    with plt.rc_context(STYLE):
        size = (WIDTH if columns > 1 else 0.55 * PAGE, 0.7 + 1.25 * rows)
        figure, axes = plt.subplots(rows, columns, figsize=size, sharex=True, squeeze=False)
        for axis in axes.flat[len(panels) :]:
            axis.set_visible(False)
        for axis, panel in zip(axes.flat, panels, strict=False):
            _draw_populations(axis, panel, edges)
        note = "what lies beyond the axis is in the last bars"
        figure.supxlabel(f"{shown(name)} (higher: more familiar)\n{note}", fontsize=7)
        figure.supylabel("share of images", fontsize=8)
        handles = [
            Rectangle((0, 0), 1, 1, facecolor=(COLOURS[1], 0.3), edgecolor=COLOURS[1]),
            Rectangle((0, 0), 1, 1, facecolor=(COLOURS[0], 0.3), edgecolor=COLOURS[0], hatch="///"),
            Line2D([], [], color="black", linestyle="--", linewidth=0.9),
        ]
        labels = ("familiar", "strange", "95 % of the familiar lie to its right")
        figure.legend(handles, labels, loc="outside upper center", ncols=3)
        save(figure, path)
    areas = {shown(panel["title"]): float(panel["auroc"]) for panel in panels}
    passed = {
        shown(panel["title"]): float(np.mean(panel["strange"] >= panel["threshold"]))
        for panel in panels
    }
    return (
        f"{shown(name)}, AUROC by strange set, the lowest first: "
        f"{words.ranked(areas, three_digits, smallest=True)}. Strange images that reach the score "
        f"that 95 % of the familiar reach, the most first: {words.ranked(passed, words.percent)}."
    )


def _draw_cells(axis, areas: np.ndarray, chosen: tuple[int, int], colours) -> None:
    """Draw areas [T, E] with their numbers, a frame round the chosen one, a dot in the best."""
    axis.set_facecolor("0.85")
    axis.imshow(np.ma.masked_invalid(areas), norm=colours, cmap=COLOURMAP, aspect="auto")
    for (i, j), value in np.ndenumerate(areas):
        known = np.isfinite(value)
        look = {"color": "white" if known and colours(value) < 0.6 else "black", "fontsize": 7}
        axis.text(j, i, three_digits(value) if known else "–", ha="center", va="center", **look)
    row, column = chosen
    look = {"fill": False, "edgecolor": COLOURS[0], "linewidth": 2.2, "zorder": 3}
    axis.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, clip_on=False, **look))
    if np.isfinite(areas).any():
        row, column = _best(areas)
        look = {"color": COLOURS[0], "markeredgecolor": "white", "markeredgewidth": 0.7}
        axis.plot(column + 0.35, row - 0.3, "o", markersize=5, zorder=4, **look)


def _best(areas: np.ndarray) -> tuple[int, int]:
    """Return the place of the largest finite area."""
    row, column = np.unravel_index(np.nanargmax(areas), areas.shape)
    return int(row), int(column)


def _setting(temperatures, epsilons, place: tuple[int, int]) -> str:
    return f"T {short(temperatures[place[0]])}, ε {short(epsilons[place[1]])}"


def _gains_in_words(values: dict, temperatures, epsilons, chosen: tuple[int, int]) -> str:
    """Return how much better the best setting of each panel looks than the chosen one."""
    told = []
    for name, areas in values.items():
        if not np.isfinite(areas).any():
            told.append((np.inf, f"{shown(name)} unknown"))
            continue
        best, at = _best(areas), areas[chosen]
        gain = areas[best] - at
        text = (
            f"{shown(name)} {three_digits(at)}, best {three_digits(areas[best])} at "
            f"{_setting(temperatures, epsilons, best)} ({three_digits(gain)} more)"
        )
        told.append((-gain if np.isfinite(gain) else np.inf, text))
    told = [text for _, text in sorted(told, key=lambda each: each[0])]
    setting = _setting(temperatures, epsilons, chosen)
    return (
        f"AUROC at {setting}, which the tuning sets chose, and at the best setting of each panel, "
        f"the largest difference first: {words.listed(told, '; ')}."
    )


def grid(
    values: dict[str, np.ndarray],
    temperatures,
    epsilons,
    chosen: tuple[int, int],
    title: str,
    path: Path,
) -> str:
    """Draw AUROC over temperature and ε as heat maps on one scale of colours.

    The setting chosen on the tuning sets has a frame, the best of each panel a dot: how far apart
    the two are is what choosing on the reported images would add.

    Args:
      values: {panel: float [T, E]}, row: temperature; nan where unknown.
      temperatures: float [T].
      epsilons: float [E], in [0, 1], units of images.
      chosen: (row, column) of the setting.
      title: of the figure.
    """
    values = {name: np.asarray(areas, float) for name, areas in values.items()}
    every = np.concatenate([np.ravel(areas) for areas in values.values()])
    every = every[np.isfinite(every)]
    low, high = min(every, default=0.5), max(every, default=1.0)
    colours = matplotlib.colors.Normalize(low, high if high > low else low + 0.01)
    height = 0.55 + 0.24 * len(temperatures)  # of a panel, in inches
    size = (max(3.6, 1.4 + 0.44 * len(epsilons)), 0.9 + height * len(values))
    with plt.rc_context(FRAMED):
        figure, axes = plt.subplots(len(values), 1, figsize=size, sharex=True, squeeze=False)
        for axis, (name, areas) in zip(axes[:, 0], values.items(), strict=True):
            _draw_cells(axis, areas, chosen, colours)
            axis.set_title(shown(name), loc="left")
            axis.set_yticks(range(len(temperatures)), [short(each) for each in temperatures])
            axis.set_ylabel("temperature")
        axes[-1, 0].set_xticks(range(len(epsilons)), [short(each) for each in epsilons])
        axes[-1, 0].set_xlabel("ε (images lie in [0, 1])")
        scale = matplotlib.cm.ScalarMappable(colours, COLOURMAP)
        figure.colorbar(scale, ax=axes, label="AUROC", pad=0.02, fraction=0.05)
        figure.suptitle(title, fontsize=8)
        frame = Rectangle((0, 0), 1, 1, fill=False, edgecolor=COLOURS[0], linewidth=2)
        dot = Line2D([], [], color=COLOURS[0], marker="o", linestyle="none", markersize=5)
        labels = ("chosen on the tuning sets", "best of the panel")
        figure.legend([frame, dot], labels, loc="outside lower center", ncols=2)
        save(figure, path)
    return _gains_in_words(values, temperatures, epsilons, chosen)
