"""How a config writes a claim down: who made it, what was reported, and what decides it.

Imports nothing that is slow: configs are read before anything else.
"""

from collections.abc import Iterable

from ml_collections import ConfigDict


def claim(
    statement: str,
    source: str,
    reported: str,
    *contrasts: tuple,
    direction: str = ">",
    value: str = "test_accuracy",
    unit: str = "points",
    margin: float = 0.005,
    threshold: float = 0.0,
    figures: dict[str, float] | None = None,
    example: dict[str, float] | None = None,
) -> dict:
    """Return one claim, as `weighing.weigh` takes it.

    Args:
      statement: the claim, in words that its contrasts bear out.
      source: who says so, or "hypothesis".
      reported: what they reported.
      contrasts: made with `difference`, or with `alone` for a claim about one arm. Several mean
        "always": the claim holds only if each does.
      direction: the side of the threshold where the claim wants a contrast: ">", "<", or "=" for
        within the margin of it.
      value: the key of a run that is compared.
      unit: "points" for fractions of one; else the word that is written behind a number.
      margin: the difference below which one would not care, > 0.
      threshold: what a contrast is measured from.
      figures: the reported numbers, {group as the contrasts name it: value}, all in one unit (per
        cent is fine where the threshold is 0). A test checks that they make the claim true.
      example: where nothing was reported as numbers, invented ones that make the claim true.

    A ConfigDict sorts its keys: the letter before a claim's name sets its place on the page.
    """
    return {
        "figures": tuple((figures or {}).items()),
        "example": tuple((example or {}).items()),
        "statement": statement,
        "source": source,
        "reported": reported,
        "contrasts": contrasts,
        "direction": direction,
        "value": value,
        "unit": unit,
        "margin": margin,
        "threshold": threshold,
    }


def difference(a: str, b: str) -> tuple:
    """Return the contrast a - b of two groups."""
    return ((1.0, a), (-1.0, b))


def alone(group: str) -> tuple:
    """Return the contrast of one group with the threshold: `judge` takes its median run."""
    return ((1.0, group),)


def answerable(found: dict[str, dict], groups: Iterable[str]) -> ConfigDict:
    """Return the claims whose every group is among those that are run."""
    groups = set(groups)
    asked = {
        name: {group for terms in entry["contrasts"] for _, group in terms}
        for name, entry in found.items()
    }
    return ConfigDict({name: entry for name, entry in found.items() if asked[name] <= groups})
