"""The sentence that answers a study of gradients: does it vanish, and what does a skip keep?"""

import numpy as np

from dla_jax.evidence import answers, stats, verdicts
from dla_jax.studies.study import Finished

TENTH = -1.0  # decades: a gradient below it is said to vanish
MARGIN = 0.05  # decades


def answer(found: Finished) -> str:
    """Return what the first convolution keeps of the last one's gradient, of both of the pair.

    Without a pair it is the first network alone.
    """
    names = [name for name in found.config.pair if name in found.arms] or list(found.arms)[:1]
    runs = [found.runs_of(name) for name in names]
    has = " and ".join(ratio(own, name) for name, own in zip(names, runs, strict=True))
    counted = answers.counted(*runs, counts="are known as far as they got")
    told = (
        "Over training the gradient of the first convolution, relative to its weights, is "
        f"{has} ({counted})"
    )
    vanished = vanishing(found, names[0])
    if len(names) == 1:
        return f"{told}: {vanished}."
    difference = answers.contrast(
        found.summary,
        ((1.0, names[1]), (-1.0, names[0])),
        value="first_layer",
        unit="decades",
        margin=MARGIN,
    )
    kept = answers.shown(
        difference,
        more=f"{names[1]} keeps {{size}} as much as {names[0]}",
        less=f"{names[0]} keeps {{size}} as much as {names[1]}",
        asked=f"whether {names[1]} keeps more than {names[0]}",
    )
    return f"{told}: {vanished}, and {kept}."


def ratio(runs: list[dict], name: str) -> str:
    """Return the geometric mean of the ratio of a network's gradients with its interval."""
    values = [run["first_layer"] for run in runs if run["first_layer"] is not None]
    if not values:
        return f"unknown in {name}"
    times = answers.factor(float(np.mean(values)), *stats.t_interval(values))
    return f"{times} that of the last one in {name}"


def vanishing(found: Finished, name: str) -> str:
    """Return whether the gradient of a network's median run vanishes, by the rule for claims."""
    median = answers.contrast(
        found.summary,
        ((1.0, name),),
        value="first_layer",
        unit="decades",
        margin=MARGIN,
        threshold=TENTH,
    )
    if median["verdict"] == verdicts.HOLDS:
        return f"that of {name} does not vanish (fall below a tenth)"
    if median["verdict"] == verdicts.FAILS:
        about = "is about a tenth" if median["reason"] else "vanishes (falls below a tenth)"
        return f"that of {name} {about}"
    return f"whether that of {name} vanishes (falls below a tenth) is not decided"
