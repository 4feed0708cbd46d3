"""The sentence that answers a depth study: what depth costs with skips, and without."""

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
    """Return what depth does to one kind of net, or to the second of two beside the first.

    It costs less, or brings more, only where it costs, or brings, both something on average; else
    both changes are named.
    """
    depths = max(found.config.depths), reference_of(found.config)
    deep, shallow = ([name_at(found.config, kind, depth) for kind in kinds] for depth in depths)
    terms = [((1.0, arms[0]), (-1.0, arms[1])) for arms in zip(deep, shallow, strict=True)]
    changes = [answers.contrast(found.summary, change) for change in terms]
    if len(kinds) == 1:
        return answers.shown(
            changes[0],
            more="depth brings it {size}",
            less="depth costs it {size}",
            asked="whether depth brings it more than it costs",
        )
    turned = ((-weight, arm) for weight, arm in terms[0])
    difference = answers.contrast(found.summary, (*terms[1], *turned))
    net = f"the {label(kinds[1])} net"
    if all(change["mean"] < 0 for change in changes):
        does, above, below = f"depth costs {net}", "less", "more"
    elif all(change["mean"] > 0 for change in changes):
        does, above, below = f"depth brings {net}", "more", "less"
    else:
        first, second = (answers.size(change, sign=True) for change in changes)
        told = f"the {label(kinds[0])} net changes by {first}, {net} by {second}; "
        return told + change_words(difference, f"{net} fares", "better", "worse")
    return change_words(difference, does, above, below)


def change_words(difference: dict, does: str, above: str, below: str) -> str:
    """Return how far the changes of two nets lie apart, in these words for either side of 0."""
    return answers.shown(
        difference,
        more=f"{does} {{size}} {above}",
        less=f"{does} {{size}} {below}",
        asked=f"whether {does} {above}",
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
