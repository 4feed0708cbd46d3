"""How a config writes a claim down: who made it, what was reported, and the one contrast that decides it (`stats.weigh`).

Imports nothing that is slow: configs are read before anything else.
"""

from collections.abc import Iterable

from ml_collections import ConfigDict


def claim(statement: str, source: str, reported: str, *contrasts: tuple, direction: str = ">", value: str = "test_accuracy",
          unit: str = "points", margin: float = 0.005) -> dict:  # fmt: skip
    """One claim, as `stats.weigh` takes it."""
    return {"statement": statement, "source": source, "reported": reported, "contrasts": contrasts, "direction": direction,
            "value": value, "unit": unit, "margin": margin}  # fmt: skip


def difference(a: str, b: str) -> tuple:
    """The contrast a - b of two groups."""
    return ((1.0, a), (-1.0, b))


def answerable(found: dict[str, dict], groups: Iterable[str]) -> ConfigDict:
    """The claims whose every group is among those that are run."""
    groups, asked = (
        set(groups),
        {name: {group for terms in entry["contrasts"] for _, group in terms} for name, entry in found.items()},
    )
    return ConfigDict({name: entry for name, entry in found.items() if asked[name] <= groups})
