"""The figure of test accuracy against depth, an arm a line."""

from pathlib import Path

import numpy as np
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator, PercentFormatter

from dla_jax.plots import words
from dla_jax.plots.style import COLUMN, PAGE, STYLE, plt, save


def _depth_axis(axis, depths) -> None:
    axis.set_xscale("log", base=2)
    axis.xaxis.set_major_locator(FixedLocator(depths))
    axis.xaxis.set_major_formatter(FixedFormatter([str(depth) for depth in depths]))
    axis.xaxis.set_minor_locator(NullLocator())
    if len(depths) == 1:  # else the arms, which stand a little apart, would fill the panel
        axis.set_xlim(depths[0] / 1.5, depths[0] * 1.5)
    axis.set_xlabel("depth (layers before the head, log scale)")


LABEL_GAP = 0.062  # of a panel's height, between the names of two arms at its right edge
MAIN_WIDTH, SIDE_WIDTH = 2.0, 1.1  # of lines, in points: the main contrast stands out


def _series(
    axis, found: dict, label: str, look: tuple[str, str], shift: float, width: float
) -> None:
    """Draw the mean of an arm with its interval at each depth, and each run as a dot.

    Args:
      found: {depth: (values float [n], (low, high))}.
      look: (colour, marker).
      shift: of the depths, in powers of two.
      width: of the line, in points.
    """
    colour, marker = look
    depths = sorted(found)
    x = np.array(depths) * 2**shift
    means = np.array([np.mean(found[depth][0]) for depth in depths])
    bounds = [
        np.where(np.isfinite(found[depth][1]), found[depth][1], mean)
        for depth, mean in zip(depths, means, strict=True)
    ]
    dots = {"alpha": 0.55, "markersize": 3.5, "markeredgewidth": 0, "zorder": 4}
    for at, depth in zip(x, depths, strict=True):
        values = found[depth][0]
        spread = at * 2 ** np.linspace(-0.035, 0.035, len(values)) if len(values) > 1 else [at]
        axis.plot(spread, values, ".", color=colour, **dots)
    errors = np.maximum(0, np.abs(np.array(bounds).T - means))
    bars = {"capsize": 2, "elinewidth": 0.9, "linewidth": width, "zorder": 3}
    axis.errorbar(x, means, errors, color=colour, marker=marker, label=label, **bars)


def _apart(heights: list[float], gap: float, top: float) -> list[float]:
    """Return rising heights moved as little as keeps them `gap` apart and the last below `top`."""
    moved = list(heights)
    for i in range(1, len(moved)):
        moved[i] = max(moved[i], moved[i - 1] + gap)
    for i in reversed(range(len(moved))):
        moved[i] = min(moved[i], top if i == len(moved) - 1 else moved[i + 1] - gap)
    return moved


def _name_arms(axis, ends: dict[str, tuple[float, float]], looks: dict) -> None:
    """Write the name of each arm at the right edge, with a line of its colour to its last mean.

    `ends`: {arm: (x, y) of its last mean}.
    """
    low, high = axis.get_ylim()
    rising = sorted(ends, key=lambda arm: ends[arm][1])
    heights = [ends[arm][1] for arm in rising]
    heights = _apart(heights, gap=LABEL_GAP * (high - low), top=high)
    for arm, height in zip(rising, heights, strict=True):
        line = {"arrowstyle": "-", "color": looks[arm][0], "linewidth": 0.7, "shrinkB": 4}
        line["relpos"] = (0, 0.5)  # it begins at the middle of the word's left side
        words = {"arrowprops": line, "va": "center", "annotation_clip": False}
        across = axis.get_yaxis_transform()  # x in parts of the panel, y in accuracy
        axis.annotate(arm, ends[arm], xytext=(1.04, height), textcoords=across, **words)


def _depth_panel(axis, arms: dict, chance: float, looks: dict, width: float, gap: float) -> dict:
    """Draw the arms of a panel, `gap` apart in powers of two: {arm: (x, y) of its last mean}."""
    depths = sorted({depth for found in arms.values() for depth in found})
    axis.axhline(chance, color="0.6", linestyle=":", linewidth=0.9)
    place = {"textcoords": "offset points", "xytext": (2, 2)}
    axis.annotate("chance", (depths[0], chance), color="0.4", fontsize=7, **place)
    ends = {}
    for i, (arm, found) in enumerate(arms.items()):
        shift = (i - (len(arms) - 1) / 2) * gap
        _series(axis, found, arm, looks[arm], shift, width)
        ends[arm] = (max(found) * 2**shift, float(np.mean(found[max(found)][0])))
    _depth_axis(axis, depths)
    axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    return ends


def _depths_in_words(main: dict, side: dict) -> str:
    """Return the main arms depth by depth, and how all arms rank at the largest depth."""

    def mean(found: dict, depth: int) -> float:
        return float(np.mean(found[depth][0]))

    along = [
        f"{arm} "
        + ", ".join(f"{words.percent(mean(found, depth))} at {depth}" for depth in sorted(found))
        for arm, found in main.items()
    ]
    arms = main | side
    deepest = max(depth for found in arms.values() for depth in found)
    last = {arm: mean(found, deepest) for arm, found in arms.items() if deepest in found}
    return (
        f"Test accuracy by depth: {'; '.join(along)}. At depth {deepest}, the highest first: "
        f"{words.ranked(last, words.percent)}."
    )


def accuracy_against_depth(
    main: dict, side: dict, chance: float, looks: dict[str, tuple[str, str]], path: Path
) -> str:
    """Draw accuracy against depth in two panels: the main contrast, and the other explanations.

    Args:
      main: {arm: {depth: (values float [n], (low, high))}}, test accuracies in [0, 1].
      side: the same of the other explanations; without any there is one panel.
      chance: accuracy of guessing.
      looks: {arm: (colour, marker)} of all arms.
    """
    size, widths = (PAGE if side else COLUMN, 2.9), (1.25, 1) if side else (1,)
    with plt.rc_context(STYLE):
        shape = {"figsize": size, "width_ratios": widths, "sharey": True, "squeeze": False}
        figure, axes = plt.subplots(1, len(widths), **shape)
        left = axes[0, 0]
        ends = [_depth_panel(left, main, chance, looks, width=MAIN_WIDTH, gap=0.05)]
        left.set_title("plain and residual", loc="left")
        if side:
            right = axes[0, 1]
            ends.append(_depth_panel(right, side, chance, looks, width=SIDE_WIDTH, gap=0.09))
            right.set_title("other explanations", loc="left")
        for axis, last in zip(axes[0], ends, strict=True):  # when both know their height
            _name_arms(axis, last, looks)
        left.set_ylabel("test accuracy")
        save(figure, path)
    return _depths_in_words(main, side)
