"""How often the verdict rule says what, where the truth is known: a simulation of paired runs.

It takes a minute or two on one core, and puts its tables into docs/verdicts.md:

    python -m bench.verdicts --samples=2000 --write
"""

import argparse
from collections.abc import Iterable

import numpy as np

from bench.page import ROOT
from dla_jax import verdicts

PAGE = ROOT / "docs" / "verdicts.md"
SEEDS = (2, 4, 5, 6, 7, 8, 10, 12, 16)
EFFECTS = {"no effect": 0.0, "half a standard deviation": 0.5, "two standard deviations": 2.0}
MARGINS = {  # in standard deviations of a difference, with what is said of each
    1.0: "An effect of half a standard deviation is within it: one that nobody would care for.",
    0.25: "Absence would take more seeds than any study here has.",
}
VERDICTS = (verdicts.HOLDS, verdicts.FAILS, verdicts.OPEN)


def shares(n: int, effect: float, margin: float, samples: int) -> dict[str, float]:
    """Return {verdict: share of `samples` studies} of n normal differences with standard deviation 1 and mean `effect`."""
    rng = np.random.default_rng((n, int(100 * effect)))
    found = [verdicts.judge(rng.normal(effect, 1.0, n), ">", margin).verdict for _ in range(samples)]
    return {verdict: found.count(verdict) / samples for verdict in VERDICTS}


def table(margin: float, seeds: Iterable[int], samples: int) -> str:
    """Return the table of one margin in Markdown: a row a number of seeds, per cent of studies."""
    head = ["seeds", *(f"{effect}: {verdict}" for effect in EFFECTS for verdict in VERDICTS)]
    rows = [head, ["---"] * len(head)]
    for n in seeds:
        found = [shares(n, effect, margin, samples) for effect in EFFECTS.values()]
        rows.append([str(n), *(f"{100 * each[verdict]:.1f}" for each in found for verdict in VERDICTS)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def page(samples: int) -> str:
    """Return docs/verdicts.md."""
    parts = [
        "# What the verdict rule says where the truth is known",
        f"    python -m bench.verdicts --samples={samples} --write",
        f"Per cent of {samples:,} simulated studies of a claim `a > b`: so many seeds, differences that are normal with standard "
        "deviation 1, and a mean of 0, 0.5 or 2. The rule is that of `dla_jax/stats.py: judge`; *holds* and *does not hold* both "
        "need six seeds, since below no sign-flip test can give p < .05.",
        "What it says: without an effect a claim holds in at most some 3 % of studies. Six seeds nearly always see a large "
        "effect, and seldom a middling one. Absence is said only where the margin is as wide as the spread, or there are many "
        "seeds.",
    ]
    for margin, told in MARGINS.items():
        parts += [f"## A margin of {margin:g} standard deviation{'s' * (margin != 1)}", told, table(margin, SEEDS, samples)]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Print the page, or write it."""
    parser = argparse.ArgumentParser(prog="python -m bench.verdicts", description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=2000, help="studies of each cell of the table")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/verdicts.md")
    given = parser.parse_args()
    text = page(given.samples)
    if given.write:
        PAGE.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
