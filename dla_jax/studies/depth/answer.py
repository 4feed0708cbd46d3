"""The sentence that answers a depth study: what depth costs with skips, and without."""

import numpy as np

from dla_jax.evidence import answers
from dla_jax.studies.depth.arms import name_at, reference_of
from dla_jax.studies.depth.figures import label
from dla_jax.studies.study import Finished


def answer(found: Finished) -> str:
    """Return what the deepest main arms have, and what their depth did to them.

    A main arm is compared with another one where there is one, else with itself at the reference
    depth.
    """
    kinds = compared_kinds(found.config)
    reference, deepest = reference_of(found.config), max(found.config.depths)
    arms = [name_at(found.config, kind, deepest) for kind in kinds]
    runs = [found.runs_of(arm) for arm in arms]
    has = f"the {label(kinds[0])} net has a test accuracy of {answers.fraction(runs[0])}"
    if len(kinds) > 1:
        has += f", the {label(kinds[1])} one of {answers.fraction(runs[1])}"
    told = f"At depth {deepest} {has} ({answers.counted(*runs)})"
    if reference < deepest:
        return f"{told}: from depth {reference} on, {depth_words(found, kinds)}."
    return f"{told}: {kind_words(found, kinds)}."


def compared_kinds(config) -> list[str]:
    """Return one or two main arms: plain and residual where both are there, else the first ones."""
    both = [kind for kind in ("plain", "residual") if kind in config.arms]
    return both if len(both) == 2 else list(config.arms[:2])


def depth_words(found: Finished, kinds: list[str]) -> str:
    """Return what depth does to one kind of net, or to the second of two beside the first."""
    depths = max(found.config.depths), reference_of(found.config)
    deep, shallow = ([name_at(found.config, kind, depth) for kind in kinds] for depth in depths)
    first = ((1.0, deep[0]), (-1.0, shallow[0]))
    if len(kinds) == 1:
        return answers.shown(
            answers.contrast(found.summary, first),
            more="depth brings it {size}",
            less="depth costs it {size}",
            asked="whether depth brings it more than it costs",
        )
    means = [np.mean([run["test_accuracy"] for run in found.runs_of(arm)]) for _, arm in first]
    does, above, below = ("costs", "less", "more")
    if means[0] >= means[1]:
        does, above, below = ("brings", "more", "less")
    net = f"the {label(kinds[1])} net"
    second = ((1.0, deep[1]), (-1.0, shallow[1]))
    return answers.shown(
        answers.contrast(found.summary, (*second, *((-weight, arm) for weight, arm in first))),
        more=f"depth {does} {net} {{size}} {above}",
        less=f"depth {does} {net} {{size}} {below}",
        asked=f"whether depth {does} {net} {above}",
    )


def kind_words(found: Finished, kinds: list[str]) -> str:
    """Return how two kinds of nets of the only depth compare."""
    if len(kinds) == 1:
        return "there is no other net to compare it with"
    first, second = (name_at(found.config, kind, max(found.config.depths)) for kind in kinds)
    net = f"the {label(kinds[1])} net"
    return answers.shown(
        answers.contrast(found.summary, ((1.0, second), (-1.0, first))),
        more=f"{net} is {{size}} better",
        less=f"{net} is {{size}} worse",
        asked=f"whether {net} is better",
    )
