"""From the record of a study of agents to its figures and animations."""

import numpy as np

from dla_jax.evidence import formatting, stats
from dla_jax.plots import learning, places
from dla_jax.plots.style import draw_all
from dla_jax.rl import render
from dla_jax.rl.lander_picture import CRASHED, LANDED
from dla_jax.studies.agents import transfer
from dla_jax.studies.agents.levels import bounded_interval
from dla_jax.studies.agents.scores import on_grid
from dla_jax.studies.study import Finished

INSIDE = ("train_length", "entropy", "kl", "clipped", "value_loss", "q", "td_error", "epsilon")


def draw_figures(found: Finished, scores: list[dict]) -> dict[str, dict]:
    """Draw all figures and animations that there is something for: {name: {"path", "alt"}}.

    Args:
      scores: what each arm comes to (`report.score_rows`).
    """
    threshold = found.config.solved_return
    curves = {name: curve_of(found, name) for name in found.arms}
    several = curves if len(curves) > 1 else {}
    drawn = draw_all(
        {
            "scores": (learning.scores, scores),
            "together": (learning.together, several, threshold),
            "curves": (learning.curves, curves, threshold),
            "solved": (learning.solved, solved_steps(found)),
            "inside": (learning.inside, inside_updates(curves)),
            "transfer": (places.two_places, transfer.pairs(found), transfer.places(found)),
        },
        found.figures,
    )
    for name in found.arms:
        panels = panels_of(found, name)
        if panels:
            path = found.figures / f"policy_{name}.gif"
            render.gif(path, panels)
            told = "; ".join(f"after {panel['title']}: {panel['note']}" for panel in panels)
            drawn[f"policy_{name}"] = {"path": path, "alt": f"{name} {told}."}
    return drawn


def curve_of(found: Finished, name: str) -> dict:
    """Return the evaluations of all seeds of an arm.

    At equal parts of the budget there are also their interquartile mean and its interval.
    """
    runs = list(found.rows_of(name).values())
    grid = [row["step"] for row in runs[0]]
    returns = np.array([on_grid(run, grid, "eval_return") for run in runs])
    iqm = stats.iqm(returns)
    low = high = iqm
    if len(runs) >= stats.FEWEST:
        ends = bounded_interval(found.arms[name].config, returns)
        low, high = (np.where(np.isfinite(end), end, iqm) for end in ends)
    metrics = {}
    for metric in INSIDE:
        if metric in runs[0][1]:
            values = np.array([on_grid(run[1:], grid[1:], metric) for run in runs])
            metrics[metric] = np.ma.masked_invalid(values).mean(0).filled(np.nan)
    seeds = [
        ([row["env_steps"] for row in run], [row["eval_return"] for row in run]) for run in runs
    ]
    return {
        "step": grid,
        "seeds": seeds,
        "iqm": iqm,
        "low": low,
        "high": high,
        "metrics": metrics,
    }


def solved_steps(found: Finished) -> dict[str, dict]:
    """Return {arm: {"steps": when each run was solved, "budget"}}; none without a threshold."""
    if found.config.solved_return is None:
        return {}
    return {
        arm.name: {
            "steps": [run["solved_at"] for run in found.runs_of(arm.name)],
            "budget": arm.config.total_steps,
        }
        for arm in found.arms.values()
    }


def inside_updates(curves: dict[str, dict]) -> dict[str, dict]:
    """Return {metric: {arm: (steps, means over seeds)}} of what the updates said."""
    inside = {}
    for metric in INSIDE:
        told = {
            name: (curve["step"][1:], curve["metrics"][metric])
            for name, curve in curves.items()
            if metric in curve["metrics"]
        }
        if told:
            inside[metric] = told
    return inside


def panels_of(found: Finished, name: str) -> list[dict]:
    """Return the episodes of an arm's first seed that were kept, as `render.gif` takes them."""
    return [
        {
            "title": f"{row['env_steps']:,} steps",
            "name": found.arms[name].config.env.name,
            "scenes": unpacked(scenes_of(row["watched"])),
            "note": note_of(row["watched"]),
        }
        for row in watched_rows(found, name)
    ]


def watched_rows(found: Finished, name: str) -> list[dict]:
    """Return the rows of an arm's first seed with which an episode was kept."""
    rows = found.rows_of(name)[found.arms[name].seeds[0]]
    return [row for row in rows if "watched" in row]


def endings_words(found: Finished, name: str) -> str:
    """Return how the episodes of an arm ended among which those to draw were chosen.

    It is empty where episodes end in one way only.
    """
    rows = [row for row in watched_rows(found, name) if "endings" in row["watched"]]
    if not rows:
        return ""
    told = []
    for row in rows:
        ways = ", ".join(f"{way} {count}" for way, count in row["watched"]["endings"].items())
        told.append(f"after {row['env_steps']:,} steps {ways}")
    played = sum(rows[0]["watched"]["endings"].values())
    return (
        f" Of {played} episodes each: {'; '.join(told)}. The first is drawn; before training the "
        f"first that {CRASHED}, at the end the first that {LANDED}, if there is one."
    )


def note_of(watched: dict) -> str:
    """Return what stands below the end of an episode: `landed, return 251`, or `return 31`."""
    score = f"return {formatting.short(watched['return'])}"
    return f"{watched['ending']}, {score}" if "ending" in watched else score


def scenes_of(watched: dict) -> list:
    """Return the scenes of an episode; earlier versions wrote them as observations."""
    return watched["scenes"] if "scenes" in watched else watched["obs"]


def unpacked(scenes: list) -> np.ndarray:
    """Return scenes as `training.watch` packed them.

    [T, D] come back as they are, integers [T, H, W] as channels [T, H, W, C].
    """
    scenes = np.array(scenes)
    if scenes.ndim < 3:
        return scenes
    channels = max(1, int(scenes.max()).bit_length())
    return scenes[..., None] >> np.arange(channels) & 1
