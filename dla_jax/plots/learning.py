"""Figures of agents, from plain arrays.

They show learning curves, returns of the trained policies, when each was good, and what its
updates said.

What draws a figure returns what it shows, in words.
"""

from pathlib import Path

import numpy as np
from matplotlib.ticker import EngFormatter, MaxNLocator

from dla_jax.evidence.formatting import number
from dla_jax.plots import words
from dla_jax.plots.rows import draw_row
from dla_jax.plots.style import COLOURS, MARKERS, PAGE, STYLE, plt, save

LINES = "-", "--", ":"  # one more for every seven colours
LABELS = {
    "entropy": "entropy of the policy, nats",
    "kl": "KL divergence of an update, nats",
    "clipped": "share of ratios clipped",
    "value_loss": "value loss",
    "policy_loss": "policy loss",
    "q": "mean action value of the batch",
    "td_error": "mean |TD error|",
    "loss": "loss",
    "epsilon": "exploration rate",
    "train_length": "length of a training episode",
}
ON_A_LOG_SCALE = ("value_loss", "loss", "td_error")


def _look(i: int) -> dict:
    """Return colour and line style of the arm number i."""
    return {"color": COLOURS[i % 7], "linestyle": LINES[i // 7 % 3]}


def _panels(count: int, share_y: bool):
    """Return a figure and its axes [rows, 3 or fewer], of which `count` are visible."""
    columns = min(3, count)
    rows = -(-count // columns)
    shared = {"squeeze": False, "sharex": True, "sharey": share_y}
    figure, axes = plt.subplots(rows, columns, figsize=(PAGE, 2.2 * rows), **shared)
    for axis in axes.flat[count:]:
        axis.set_visible(False)
    for axis in axes.flat[:count]:
        axis.xaxis.set_major_locator(MaxNLocator(4))
        axis.xaxis.set_major_formatter(EngFormatter(sep=""))
    for column in range(columns):
        last = axes.flat[[i for i in range(count) if i % columns == column][-1]]
        last.set_xlabel("environment steps")
        last.tick_params(labelbottom=True)
    return figure, axes


def _shade(axis, found: dict, colour: str, alpha: float) -> None:
    low, high = found["low"], found["high"]
    axis.fill_between(found["step"], low, high, color=colour, alpha=alpha, linewidth=0)


def _solved_line(axis, solved_at: float | None) -> None:
    if solved_at is not None:
        axis.axhline(solved_at, color="0.4", linewidth=0.7, linestyle=(0, (1, 2)))


def _returns_in_words(arms: dict[str, dict]) -> str:
    """Return the interquartile mean of each arm at the first evaluation and at the last."""
    order = sorted(arms, key=lambda name: -arms[name]["iqm"][-1])
    told = [
        f"{name} from {number(arms[name]['iqm'][0], 1)} to {number(arms[name]['iqm'][-1], 1)}"
        for name in order
    ]
    return f"Return from the first evaluation to the last, the highest first: {words.listed(told)}."


def curves(arms: dict[str, dict], solved_at: float | None, path: Path) -> str:
    """Draw greedy evaluation along training, a panel an arm.

    Single seeds are thin, their interquartile mean is thick, and its interval is shaded.

    Args:
      arms: {name: {"step": int [n], "iqm", "low", "high": float [n] there,
        "seeds": [(steps, returns) of each seed]}}.
      solved_at: the return that counts as solved, a dotted line.
    """
    with plt.rc_context(STYLE):
        figure, axes = _panels(len(arms), share_y=True)
        for i, (axis, (name, found)) in enumerate(zip(axes.flat, arms.items(), strict=False)):
            colour = COLOURS[i % 6]
            for steps, returns in found["seeds"]:
                axis.plot(steps, returns, color=colour, alpha=0.35, linewidth=0.5)
            _shade(axis, found, colour, alpha=0.25)
            axis.plot(found["step"], found["iqm"], color=colour, linewidth=1.6)
            _solved_line(axis, solved_at)
            axis.set_title(name, loc="left")
        for row in axes:
            row[0].set_ylabel("return of an episode")
        save(figure, path)
    return _returns_in_words(arms)


def together(arms: dict[str, dict], solved_at: float | None, path: Path) -> str:
    """Draw the interquartile means of all arms in one panel; arguments as of `curves`."""
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(PAGE, 2.8))
        for i, (name, found) in enumerate(arms.items()):
            _shade(axis, found, COLOURS[i % 7], alpha=0.12)
            look = _look(i) | {"marker": MARKERS[i % 7], "markersize": 2}
            axis.plot(found["step"], found["iqm"], label=name, **look)
        _solved_line(axis, solved_at)
        axis.xaxis.set_major_formatter(EngFormatter(sep=""))
        axis.set_xlabel("environment steps")
        axis.set_ylabel("return of an episode\n(interquartile mean)")
        axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        save(figure, path)
    return _returns_in_words(arms)


def scores(rows: list[dict], path: Path) -> str:
    """Draw the mean return over training, and what the best policies get on fresh episodes.

    A dot is a run, a diamond the interquartile mean, a bar its interval; the first row is on top.

    Args:
      rows: [{"label", "best", "whole": {"values": float [n], "iqm", "low", "high"} or None}].
    """
    # What the study compares stands on the left, which a narrow screen shows first.
    titles = {"whole": "mean return over training", "best": "return of the best policy"}
    place = {"xycoords": ("axes fraction", "data"), "va": "center"}
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, 2, figsize=(PAGE, 0.8 + 0.28 * len(rows)), sharey=True)
        for axis, (key, title) in zip(axes, titles.items(), strict=True):
            shown = [(y, row[key]) for y, row in enumerate(rows) if row[key] is not None]
            for y, found in shown:
                bounds, look = (found["low"], found["high"]), {"cap": "projecting", "diamond": 3}
                draw_row(axis, y, found["values"], found["iqm"], bounds, spread=0.25, **look)
                axis.annotate(number(found["iqm"], 1), (1.01, y), fontsize=6.5, **place)
            axis.set_yticks(range(len(rows)), [row["label"] for row in rows])
            axis.grid(axis="y", visible=False)
            axis.set_xlabel(title)
        axes[0].invert_yaxis()
        save(figure, path)
    told = []
    for key, title in titles.items():
        means = {row["label"]: row[key]["iqm"] for row in rows if row[key] is not None}
        ranking = words.ranked(means, lambda value: number(value, 1))
        told.append(f"{title[0].upper()}{title[1:]}, the highest first: {ranking}.")
    return " ".join(told)


def solved(arms: dict[str, dict], path: Path) -> str:
    """Draw the share of the seeds that are solved by so many steps.

    `arms`: {name: {"steps": [float or None a seed], "budget": int}}.
    """
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(PAGE * 0.75, 2.5))
        for i, (name, found) in enumerate(arms.items()):
            steps = sorted(step for step in found["steps"] if step is not None)
            share = np.arange(len(steps) + 1) / len(found["steps"])
            x, y = [0, *steps, found["budget"]], [*share, share[-1]]
            wide = 1.0 + 0.5 * (len(arms) - i) / len(arms) * 3  # lines that coincide stay visible
            label = f"{name}: {len(steps)} of {len(found['steps'])}"
            axis.step(x, y, where="post", linewidth=wide, label=label, **_look(i))
        axis.set_ylim(-0.05, 1.05)
        axis.xaxis.set_major_formatter(EngFormatter(sep=""))
        axis.set_xlabel("environment steps")
        axis.set_ylabel("share of seeds solved")
        axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        save(figure, path)
    told = []
    for name, found in arms.items():
        steps = [step for step in found["steps"] if step is not None]
        last = f" by {max(steps):,} steps" if steps else ""
        told.append(f"{name} {len(steps)} of {len(found['steps'])}{last}")
    return f"Seeds solved: {words.listed(told)}."


def last_known(values: np.ndarray) -> float:
    """Return the last of float [n] that is not nan; nan without any."""
    values = np.asarray(values, float)
    known = values[~np.isnan(values)]
    return float(known[-1]) if len(known) else np.nan


def inside(metrics: dict[str, dict[str, tuple]], path: Path) -> str:
    """Draw what the updates said along training, a panel a metric, means over seeds.

    Args:
      metrics: {metric: {arm: (step int [n], mean float [n])}}.
    """
    names = list(dict.fromkeys(arm for found in metrics.values() for arm in found))
    looks = {arm: _look(i) for i, arm in enumerate(names)}
    with plt.rc_context(STYLE):
        figure, axes = _panels(len(metrics), share_y=False)
        for axis, (metric, found) in zip(axes.flat, metrics.items(), strict=False):
            for arm, (step, mean) in found.items():
                axis.plot(step, mean, **looks[arm])
            axis.set_title(LABELS.get(metric, metric), loc="left", fontsize=7)
            if metric in ON_A_LOG_SCALE:
                axis.set_yscale("log")
        handles = [plt.Line2D([], [], label=arm, **look) for arm, look in looks.items()]
        figure.legend(handles=handles, loc="outside lower center", ncols=min(5, len(names)))
        save(figure, path)
    told = []
    for metric, found in metrics.items():
        ends = {arm: last_known(mean) for arm, (_, mean) in found.items()}
        told.append(f"{LABELS.get(metric, metric)}: {words.ranked(ends, words.digits)}")
    return f"At the end: {words.listed(told, '; ')}."
