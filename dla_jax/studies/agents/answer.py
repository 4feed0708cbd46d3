"""The sentence that answers a study of agents: which arm learns most, and who solves it."""

import numpy as np

from dla_jax.evidence import answers, formatting, stats
from dla_jax.studies.agents.programs import return_bounds
from dla_jax.studies.agents.report import environments, interval_words, scored, steps_words
from dla_jax.studies.study import Finished

# Of return, where no claim says which difference matters: any does, returns have no common scale.
MARGIN = 1e-6


def answer(found: Finished) -> str:
    """Return the arm with the highest return over training beside the next one.

    Levels are plain means, as their difference is. The two arms are chosen by the returns that are
    then compared, which favours the first one; the next one is the arm it leads by the least.
    Returns of several environments are not compared.
    """
    if len(environments(found)) > 1:
        return several_words(found)
    names = sorted(found.arms, key=lambda name: mean_of(found, name), reverse=True)[:2]
    runs = [found.runs_of(name) for name in names]
    returns = [mean_words(found, name) for name in names]
    solved = ""
    if found.config.solved_return is not None:
        told = [solved_words(found, name) for name in names]
        solved = f"; it is solved {' and '.join(told)}"
    counted = answers.counted(*runs, counts="count as random actions")
    has = f"{names[0]} has a mean return over training of {returns[0]}"
    if len(names) == 1:
        return f"On {environments(found)[0]} {has} ({counted}){solved}."
    beside = ", the highest, and" if len(found.arms) > 2 else " and"
    difference = answers.contrast(
        found.summary,
        ((1.0, names[0]), (-1.0, names[1])),
        value="mean_return",
        unit="return",
        margin=MARGIN,
    )
    ending = answers.shown(
        difference,
        more=f"the return of {names[0]} is {{size}} higher",
        less=f"the return of {names[1]} is {{size}} higher",
        asked=f"whether {names[0]} learns more than {names[1]}",
    )
    return (
        f"On {environments(found)[0]} {has}{beside} {names[1]} one of {returns[1]} ({counted}): "
        f"{ending}{solved}."
    )


def mean_of(found: Finished, name: str) -> float:
    """Return the mean of the returns of an arm over training."""
    return float(np.mean([run["mean_return"] for run in found.runs_of(name)]))


def mean_words(found: Finished, name: str) -> str:
    """Return the mean of the returns of an arm over training with its t-interval."""
    values = [run["mean_return"] for run in found.runs_of(name)]
    bounds = return_bounds(found.arms[name].config)
    interval = formatting.interval(*stats.t_interval(values, bounds=bounds), "return", sign=False)
    return formatting.amount(mean_of(found, name), "return", sign=False) + interval


def solved_words(found: Finished, name: str) -> str:
    """Return on how many seeds an arm solves its environment, and when the median one does."""
    runs = found.runs_of(name)
    solved = sum(run["solved_at"] is not None for run in runs)
    words = f"by {name} on {solved} of {formatting.count(len(runs), 'seed')}"
    if 2 * solved <= len(runs):
        return words
    return f"{words} (the median one after {steps_words(found, name)} steps)"


def several_words(found: Finished) -> str:
    """Return the interquartile mean return of each arm's best policies, where it plays."""
    words = [
        f"{interval_words(scored(found, name, 'eval_return'))} on {arm.config.env.name}"
        for name, arm in found.arms.items()
    ]
    counted = answers.counted(
        *(found.runs_of(name) for name in found.arms), counts="count as random actions"
    )
    return (
        "The best policies of each run reach an interquartile mean return of "
        f"{', '.join(words)} ({counted})."
    )
