"""Figures of agents: learning curves, returns of the trained policies, when each was good, what its updates said."""

import math
from pathlib import Path

import numpy as np
from matplotlib.ticker import EngFormatter, MaxNLocator

from dla_jax.evidence.formatting import number
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


def _panels(count: int, height: float = 2.2, share_y: bool = True):
    columns = min(3, count)
    rows = -(-count // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(PAGE, height * rows), squeeze=False, sharex=True, sharey=share_y
    )
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


def curves(arms: dict[str, dict], solved_at: float | None, path: Path) -> None:
    """Greedy evaluation along training, a panel an arm: single seeds thin, interquartile mean thick, its interval shaded.

    Args:
      arms: {name: {"step": int [n], "iqm", "low", "high": float [n] there, "seeds": [(steps, returns) of each seed]}}.
      solved_at: the return that counts as solved, a dotted line.
    """
    with plt.rc_context(STYLE):
        figure, axes = _panels(len(arms))
        for i, (axis, (name, found)) in enumerate(zip(axes.flat, arms.items(), strict=False)):
            colour = COLOURS[i % 6]
            for steps, returns in found["seeds"]:
                axis.plot(steps, returns, color=colour, alpha=0.35, linewidth=0.5)
            axis.fill_between(
                found["step"], found["low"], found["high"], color=colour, alpha=0.25, linewidth=0
            )
            axis.plot(found["step"], found["iqm"], color=colour, linewidth=1.6)
            if solved_at is not None:
                axis.axhline(solved_at, color="0.4", linewidth=0.7, linestyle=(0, (1, 2)))
            axis.set_title(name, loc="left")
        for row in axes:
            row[0].set_ylabel("return of an episode")
        save(figure, path)


def together(arms: dict[str, dict], solved_at: float | None, path: Path) -> None:
    """The interquartile means of all arms in one panel. `arms` as `curves` has them."""
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(PAGE, 2.8))
        for i, (name, found) in enumerate(arms.items()):
            colour = COLOURS[i % 7]
            axis.fill_between(
                found["step"], found["low"], found["high"], color=colour, alpha=0.12, linewidth=0
            )
            axis.plot(
                found["step"],
                found["iqm"],
                color=colour,
                marker=MARKERS[i % 7],
                markersize=2,
                linestyle=LINES[i // 7 % 3],
                label=name,
            )
        if solved_at is not None:
            axis.axhline(solved_at, color="0.4", linewidth=0.7, linestyle=(0, (1, 2)))
        axis.xaxis.set_major_formatter(EngFormatter(sep=""))
        axis.set_xlabel("environment steps")
        axis.set_ylabel("return of an episode\n(interquartile mean)")
        axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        save(figure, path)


def scores(rows: list[dict], path: Path) -> None:
    """What the best policies get on fresh episodes, and the mean over training: runs (dots), interquartile mean, interval.

    Args:
      rows: [{"label", "best", "whole": {"values": float [n], "iqm", "low", "high"} or None}].
    """
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, 2, figsize=(PAGE, 0.8 + 0.28 * len(rows)), sharey=True)
        titles = "return of the best policy", "mean return over training"
        for axis, key, title in zip(axes, ("best", "whole"), titles, strict=True):
            for y, row in enumerate(rows):
                found = row[key]
                if found is None:
                    continue
                places = y + np.linspace(-0.25, 0.25, len(found["values"]))
                axis.plot(
                    found["values"], places, ".", color=COLOURS[5], markersize=4, markeredgewidth=0
                )
                if math.isfinite(found["low"]):
                    axis.plot(
                        [found["low"], found["high"]],
                        [y, y],
                        color=COLOURS[1],
                        linewidth=1.6,
                        zorder=3,
                    )
                axis.plot(found["iqm"], y, "D", color=COLOURS[1], markersize=3, zorder=4)
                axis.annotate(
                    number(found["iqm"], 1),
                    (1.01, y),
                    xycoords=("axes fraction", "data"),
                    va="center",
                    fontsize=6.5,
                )
            axis.set_yticks(range(len(rows)), [row["label"] for row in rows])
            axis.grid(axis="y", visible=False)
            axis.set_xlabel(title)
        axes[0].invert_yaxis()
        save(figure, path)


def solved(arms: dict[str, dict], path: Path) -> None:
    """Share of the seeds that are solved by so many steps. arms: {name: {"steps": [float or None a seed], "budget": int}}."""
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(PAGE * 0.75, 2.5))
        for i, (name, found) in enumerate(arms.items()):
            steps = sorted(step for step in found["steps"] if step is not None)
            share = np.arange(len(steps) + 1) / len(found["steps"])
            wide = 1.0 + 0.5 * (len(arms) - i) / len(arms) * 3  # lines that coincide stay visible
            axis.step(
                [0, *steps, found["budget"]],
                [*share, share[-1]],
                where="post",
                color=COLOURS[i % 7],
                linewidth=wide,
                linestyle=LINES[i // 7 % 3],
                label=f"{name}: {len(steps)} of {len(found['steps'])}",
            )
        axis.set_ylim(-0.05, 1.05)
        axis.xaxis.set_major_formatter(EngFormatter(sep=""))
        axis.set_xlabel("environment steps")
        axis.set_ylabel("share of seeds solved")
        axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        save(figure, path)


def inside(metrics: dict[str, dict[str, tuple]], path: Path) -> None:
    """What the updates said along training, a panel a metric, means over seeds.

    Args:
      metrics: {metric: {arm: (step int [n], mean float [n])}}.
    """
    with plt.rc_context(STYLE):
        figure, axes = _panels(len(metrics), share_y=False)
        names = list(dict.fromkeys(arm for found in metrics.values() for arm in found))
        for axis, (metric, found) in zip(axes.flat, metrics.items(), strict=False):
            for arm, (step, mean) in found.items():
                axis.plot(
                    step,
                    mean,
                    color=COLOURS[names.index(arm) % 7],
                    linestyle=LINES[names.index(arm) // 7 % 3],
                )
            axis.set_title(LABELS.get(metric, metric), loc="left", fontsize=7)
            if metric in ("value_loss", "loss", "td_error"):
                axis.set_yscale("log")
        handles = [
            plt.Line2D([], [], color=COLOURS[i % 7], linestyle=LINES[i // 7 % 3], label=arm)
            for i, arm in enumerate(names)
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=min(5, len(names)))
        save(figure, path)
