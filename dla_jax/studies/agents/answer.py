"""The sentence that answers a study of agents: which arm learns most, and who solves it."""

import numpy as np

from dla_jax.evidence import answers, formatting, stats
from dla_jax.studies.agents import transfer
from dla_jax.studies.agents.levels import interval_words, scored
from dla_jax.studies.agents.programs import return_bounds
from dla_jax.studies.agents.report import environments, steps_words
from dla_jax.studies.study import Finished

# Of return, where no claim says which difference matters: any does, returns have no common scale.
MARGIN = 1e-6


def answer(found: Finished) -> str:
    """Return the arm with the highest return over training beside the next one.

    Where all arms are judged on one environment of gymnasium, it is the return of their best
    policies there. Levels are plain means, as their difference is. The two arms are chosen by the
    returns that are then compared, which favours the first one; the next one is the arm it leads by
    the least. Returns of several environments are not compared.
    """
    if len(environments(found)) > 1:
        return several_words(found)
    judge, value = judged_on(found), value_of(found)
    names = sorted(found.arms, key=lambda name: mean_of(found, name, value), reverse=True)[:2]
    runs = [found.runs_of(name) for name in names]
    returns = [mean_words(found, name, value) for name in names]
    counted = answers.counted(*runs, counts="count as random actions")
    if judge:
        place, own, other = f"gymnasium's {judge}", "the best policies of {} have", "those of {}"
    else:
        place, own, other = environments(found)[0], "{} has", "{}"
    what = "a mean return" if judge else "a mean return over training"
    has = f"On {place} {own.format(names[0])} {what} of {returns[0]}"
    ending = f"{judged_words(found, names)}{training_words(found, names)}."
    if len(names) == 1:
        return f"{has} ({counted}){ending}"
    beside = ", the highest, and" if len(found.arms) > 2 else " and"
    difference = answers.contrast(
        found.summary,
        ((1.0, names[0]), (-1.0, names[1])),
        value=value,
        unit="return",
        margin=MARGIN,
    )
    shown = answers.shown(
        difference,
        more=f"the return of {names[0]} is {{size}} higher",
        less=f"the return of {names[1]} is {{size}} higher",
        asked=f"whether {names[0]} {'returns' if judge else 'learns'} more than {names[1]}",
    )
    second = f"{other.format(names[1])} one of {returns[1]}"
    return f"{has}{beside} {second} ({counted}): {shown}{ending}"


def judged_on(found: Finished) -> str:
    """Return the environment of gymnasium on which all arms are judged, or nothing."""
    every = len(transfer.judged_arms(found)) == len(found.arms)
    return transfer.judges(found)[0] if every and len(transfer.judges(found)) == 1 else ""


def value_of(found: Finished) -> str:
    """Return the key of what the arms of a study are compared by."""
    return "judged_return" if judged_on(found) else "mean_return"


def judged_words(found: Finished, names: list[str]) -> str:
    """Return on how many seeds the best policies of arms reach there what counts as solved."""
    if not judged_on(found) or found.config.solved_return is None:
        return ""
    told = [f"{name} on {transfer.reached(found, name, 'judged_return')} seeds" for name in names]
    return f"; {formatting.short(found.config.solved_return)} is reached by {' and '.join(told)}"


def training_words(found: Finished, names: list[str]) -> str:
    """Return on how many seeds arms solve the environment they are trained in."""
    if found.config.solved_return is None:
        return ""
    told = " and ".join(solved_words(found, name) for name in names)
    if judged_on(found):
        return f"; in training, on {environments(found)[0]}, it is solved {told}"
    return f"; it is solved {told}"


def mean_of(found: Finished, name: str, value: str) -> float:
    """Return the mean over the runs of an arm of one of their values."""
    return float(np.mean([run[value] for run in found.runs_of(name)]))


def mean_words(found: Finished, name: str, value: str) -> str:
    """Return the mean over the runs of an arm of one of their returns, with its t-interval."""
    values = [run[value] for run in found.runs_of(name)]
    bounds = return_bounds(found.arms[name].config)
    interval = formatting.interval(*stats.t_interval(values, bounds=bounds), "return", sign=False)
    return formatting.amount(mean_of(found, name, value), "return", sign=False) + interval


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
