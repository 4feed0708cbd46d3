"""The sentence that answers a study of agents: which arm learns most, and who solves it."""

from dla_jax.evidence import answers, formatting, stats
from dla_jax.studies.agents.report import environments, interval_words, scored, steps_words
from dla_jax.studies.study import Finished

MARGIN = 10.0  # of return, where no claim says another one


def answer(found: Finished) -> str:
    """Return the arm with the highest return over training beside the next one.

    Of two or more arms it is these that lie closest, so that to choose them by their returns finds
    no difference that is not there. Returns of several environments are not compared.
    """
    if len(environments(found)) > 1:
        return several_words(found)
    names = sorted(found.arms, key=lambda name: iqm_of(found, name), reverse=True)[:2]
    runs = [found.runs_of(name) for name in names]
    returns = [interval_words(scored(found, name, "mean_return")) for name in names]
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
        more=f"{names[0]} has {{size}} more",
        less=f"{names[1]} has {{size}} more",
        asked=f"whether {names[0]} learns more than {names[1]}",
    )
    return (
        f"On {environments(found)[0]} {has}{beside} {names[1]} one of {returns[1]} ({counted}): "
        f"{ending}{solved}."
    )


def iqm_of(found: Finished, name: str) -> float:
    """Return the interquartile mean of the returns of an arm over training."""
    return float(stats.iqm([run["mean_return"] for run in found.runs_of(name)]))


def solved_words(found: Finished, name: str) -> str:
    """Return on how many seeds an arm solves its environment, and when the median one does."""
    runs = found.runs_of(name)
    solved = sum(run["solved_at"] is not None for run in runs)
    words = f"by {name} on {solved} of {formatting.count(len(runs), 'seed')}"
    if 2 * solved <= len(runs):
        return words
    return f"{words} (the median one after {steps_words(found, name)} steps)"


def several_words(found: Finished) -> str:
    """Return the return of the best policies of each arm, on the environment that it plays."""
    words = [
        f"{interval_words(scored(found, name, 'eval_return'))} on {arm.config.env.name}"
        for name, arm in found.arms.items()
    ]
    counted = answers.counted(
        *(found.runs_of(name) for name in found.arms), counts="count as random actions"
    )
    return f"The best policies of each run reach a return of {', '.join(words)} ({counted})."
