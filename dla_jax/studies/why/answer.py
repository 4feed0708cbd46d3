"""Sentences that answer the study: one for each diagnostic, and one for all."""

import functools

from dla_jax.evidence import answers, formatting
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
        "with depth the plain net's gradient is shattered more, by {size}",
        "with depth the residual net's gradient is shattered more, by {size}",
        "whether the plain net's gradient is shattered more",
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
    mean = sum(run["effective_length"] for run in runs) / len(runs)
    blocks = runs[0]["num_blocks"]
    length = formatting.number(mean, 1)
    return f"the gradient comes over paths of {length} of {blocks} blocks (weighed by its size)"


def sentence(words: str) -> str:
    """Return words as a sentence."""
    return f"{words[0].upper()}{words[1:]}."


def answer(found: Finished) -> str:
    """Return what lesions, paths, the landscape and curvature show of the twins together."""
    plain, residual = twins_of(found)
    counted = answers.counted(found.runs_of(plain), found.runs_of(residual))
    say = functools.partial(compared, found)
    return sentence(
        f"{say('lesions')}; in {residual} {path_words(found)}; "
        f"{say('landscape')}; {say('curvature')} ({counted})"
    )
