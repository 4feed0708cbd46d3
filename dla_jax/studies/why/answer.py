"""Sentences that answer the study: one for each diagnostic, and one for all."""

import functools
import math

from dla_jax.evidence import answers, formatting, stats
from dla_jax.studies.study import Finished

# What a diagnostic compares, of the twins: (value, unit, margin, what it means that the plain net
# has more, less, the open question). "{size}" stands for how far.
COMPARED = {
    "lesions": (
        "lesion_cost",
        "points",
        0.05,
        "a deleted block costs the plain net {size} more",
        "a deleted block costs the residual net {size} more",
        "whether a deleted block costs the plain net more",
    ),
    "walks": (
        "shattering",
        "correlation",
        0.05,
        "the gradient of deep plain nets is shattered more, by {size}",
        "the gradient of deep residual nets is shattered more, by {size}",
        "whether the gradient of deep plain nets is shattered more",
    ),
    "landscape": (
        "log_rise",
        "decades",
        0.1,
        "around the plain net the loss rises {size} as far",
        "around the residual net the loss rises {size} as far",
        "whether the loss rises further around the plain net",
    ),
    "curvature": (
        "log_curvature",
        "decades",
        0.1,
        "the largest curvature of the plain net is {size} that of the residual one",
        "the largest curvature of the residual net is {size} that of the plain one",
        "whether the plain net is curved more sharply",
    ),
}

REMEDIES = ("looks_linear", "orthogonal", "identity", "skipinit", "fixup")
MARGIN = 0.01  # of accuracy


def twins_of(found: Finished) -> tuple[str, str]:
    """Return the names of the plain and the residual network of a finished study."""
    return tuple(found.config.pair) if "networks" in found.config else tuple(found.arms)


def compared(found: Finished, name: str) -> str:
    """Return what one diagnostic shows of the twins, as the end of a sentence."""
    value, unit, margin, more, less, asked = COMPARED[name]
    plain, residual = twins_of(found)
    return answers.shown(
        answers.contrast(
            found.summary,
            ((1.0, plain), (-1.0, residual)),
            value=value,
            unit=unit,
            margin=margin,
        ),
        more=more,
        less=less,
        asked=asked,
    )


def path_words(found: Finished) -> str:
    """Return how long the paths are that carry the residual net's gradient, in words."""
    _, residual = twins_of(found)
    runs = [run for run in found.runs_of(residual) if run["effective_length"] is not None]
    if not runs:
        return "how long the paths are that carry the gradient is unknown"
    lengths, blocks = [run["effective_length"] for run in runs], runs[0]["num_blocks"]
    mean = formatting.number(sum(lengths) / len(lengths), 1)
    bounds = stats.t_interval(lengths)
    words = ", ".join(formatting.number(bound, 1) for bound in bounds)
    interval = f" [{words}]" if math.isfinite(bounds[0]) else ""
    return f"the gradient comes over paths of {mean}{interval} of {blocks} blocks, weighed by size"


def remedies_of(found: Finished) -> list[str]:
    """Return the networks of a study that have something else instead of a skip, or of a norm."""
    return [name for name in REMEDIES if name in found.arms]


def remedy_words(found: Finished) -> str:
    """Return how each remedy compares with the residual net, in words."""
    _, residual = twins_of(found)
    told = []
    for name in remedies_of(found):
        difference = answers.contrast(found.summary, ((1.0, name), (-1.0, residual)), margin=MARGIN)
        told.append(
            answers.shown(
                difference,
                more=f"{name} is {{size}} better",
                less=f"{name} is {{size}} worse",
                asked=f"whether {name} is better",
            ).replace("the difference", f"of {name} the difference")
        )
    if not told:
        return "there is no remedy among the networks"
    return f"in test accuracy, beside {residual}: {'; '.join(told)}"


def sentence(words: str) -> str:
    """Return words as a sentence."""
    return f"{words[0].upper()}{words[1:]}."


def answer(found: Finished) -> str:
    """Return what the diagnostics show of the twins together."""
    plain, residual = twins_of(found)
    counted = answers.counted(found.runs_of(plain), found.runs_of(residual), counts="are left out")
    say = functools.partial(compared, found)
    return sentence(
        f"{say('lesions')}; in {residual} {path_words(found)}; {say('walks')}; "
        f"{say('landscape')}; {say('curvature')} ({counted})"
    )
