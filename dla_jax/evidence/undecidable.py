"""Which claims a grid cannot decide, whatever comes out.

It is said before training, when there still is something to be done.
"""

import itertools
from collections.abc import Iterable

from dla_jax.evidence import formatting
from dla_jax.evidence.stats import smallest_p
from dla_jax.evidence.weighing import combined

MOST_REASONS = 3  # that the line shows


def seeds_needed(level: float = 0.95) -> int:
    """Return the fewest seeds that can give p < 1 - level."""
    return next(n for n in itertools.count(2) if smallest_p(n) < 1 - level)


def remarks(claims: Iterable[dict], seeds: dict[str, Iterable[int]]) -> list[str]:
    """Return a line that says how many claims cannot be decided and why, or none.

    Args:
      claims: with their "contrasts", in terms of groups.
      seeds: {group: the seeds that it is run with}.
    """
    claims, needed = list(claims), seeds_needed()
    reasons = [found for claim in claims if (found := reason(claim["contrasts"], seeds, needed))]
    if not reasons:
        return []
    alike = {}  # of those that lack the same the first speaks for all
    for kind, words in reasons:
        alike.setdefault(kind, {})[words] = None
    shown = [
        next(iter(words)) + (", and others so" if len(words) > 1 else "")
        for words in alike.values()
    ]
    told, more = "; ".join(shown[:MOST_REASONS]), len(shown) - MOST_REASONS
    if more > 0:
        told += f"; and {formatting.count(more, 'reason')} more"
    line = f"claims: {len(reasons)} of {len(claims)} cannot be decided: {told}"
    return [f"{line} ({needed} seeds in common are needed)"]


def reason(contrasts, seeds: dict[str, Iterable[int]], needed: int) -> tuple | None:
    """Return why a claim cannot be decided, (what is lacking, words), None where it can.

    The contrast with the fewest seeds says it. One that the rule leaves out, of a net against
    itself, is left out here too.
    """
    found = [terms for terms in map(combined, contrasts) if terms]
    if not found:
        return "contrast", "there is no second net or depth to compare with"
    compared = [tuple(group for _, group in terms) for terms in found]
    asked = dict.fromkeys(group for groups in compared for group in groups)
    absent = [group for group in asked if group not in seeds]
    if absent:
        be = "is" if len(absent) == 1 else "are"
        return absent[0], f"{' and '.join(absent)} {be} not in the grid"
    common = {
        groups: len(set.intersection(*(set(seeds[group]) for group in groups)))
        for groups in compared
    }
    groups = min(common, key=common.get)
    if common[groups] >= needed:
        return None
    have = "has" if len(groups) == 1 else "share"
    number = formatting.count(common[groups], "seed") if common[groups] else "no seed"
    return common[groups], f"{' and '.join(groups)} {have} {number}"
