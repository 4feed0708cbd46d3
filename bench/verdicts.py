"""A simulation of paired runs: how often the verdict rule says what, where the truth is known.

It takes a minute or two on one core, and puts its tables into docs/verdicts.md:

    python -m bench.verdicts --samples=2000 --write
"""

import argparse
import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from bench.page import ROOT, markdown
from dla_jax.evidence import power, verdicts

PAGE = ROOT / "docs" / "verdicts.md"
SEEDS = (2, 4, 5, 6, 7, 8, 10, 12, 16)
EFFECTS = {"no effect": 0.0, "half a standard deviation": 0.5, "two standard deviations": 2.0}
MARGINS = {  # in standard deviations of a difference, with what is said of each
    1.0: "An effect of half a standard deviation is within it: one that nobody would care for.",
    0.25: "Absence would take more seeds than any study here has.",
}
VERDICTS = (verdicts.HOLDS, verdicts.FAILS, verdicts.OPEN)


class OneArm(NamedTuple):
    """Runs of one arm, drawn by (generator, how many), with their true mean and median.

    A claim whose threshold that is has nothing to be found.
    """

    draw: Callable
    mean: float
    median: float


ONE_ARM = {
    "normal": OneArm(lambda rng, n: rng.normal(size=n), 0.0, 0.0),
    "skewed (log-normal)": OneArm(lambda rng, n: -np.exp(rng.normal(size=n)), -math.exp(0.5), -1.0),
    "one run in ten fails": OneArm(
        lambda rng, n: rng.normal(0, 0.1, n) - 5.0 * (rng.uniform(size=n) < 0.1), -0.5, -0.014
    ),
}


def saying(samples: int, draw: Callable, *rule, **options) -> list[str]:
    """Return the verdicts of so many studies, whose differences `draw()` makes."""
    return [verdicts.judge(draw(), *rule, **options).verdict for _ in range(samples)]


def shares(n: int, effect: float, margin: float, samples: int) -> dict[str, float]:
    """Return {verdict: share of `samples` studies}.

    A study has n normal differences with standard deviation 1 and mean `effect`.
    """
    rng = np.random.default_rng((n, int(100 * effect)))
    found = saying(samples, lambda: rng.normal(effect, 1.0, n), ">", margin)
    return {verdict: found.count(verdict) / samples for verdict in VERDICTS}


def table(margin: float, seeds: Iterable[int], samples: int) -> str:
    """Return the table of one margin in Markdown: a row a number of seeds, per cent of studies."""
    head, rows = ["seeds", *(f"{effect}: {each}" for effect in EFFECTS for each in VERDICTS)], []
    for n in seeds:
        found = [shares(n, effect, margin, samples) for effect in EFFECTS.values()]
        rows.append([str(n), *(per_cent(share[each]) for share in found for each in VERDICTS)])
    return markdown(head, rows)


def per_cent(share: float) -> str:
    """Return a share of studies in per cent."""
    return f"{100 * share:.1f}"


def one_arm_table(seeds: Iterable[int], samples: int) -> str:
    """Return how often a claim about one arm holds though nothing is there, in per cent.

    It is judged as a mean, and as a median.
    """
    head, rows = ["seeds"], []
    for name in ONE_ARM:
        head += [f"{name}: as a mean", f"{name}: as a median"]
    for n in seeds:
        shown = [held_falsely(arm, n, samples) for arm in ONE_ARM.values()]
        rows.append([str(n), *(per_cent(share) for shares in shown for share in shares)])
    return markdown(head, rows)


def held_falsely(arm: OneArm, n: int, samples: int) -> list[float]:
    """Return the shares of studies of n runs in which a claim holds: as a mean, as a median."""
    rng, found = np.random.default_rng(n), []
    for about, truth in (("mean", arm.mean), ("median", arm.median)):
        draw = lambda truth=truth: arm.draw(rng, n) - truth
        found.append(saying(samples, draw, ">", 1e-9, about=about))
    return [each.count(verdicts.HOLDS) / samples for each in found]


def power_table(seeds: Iterable[int], samples: int) -> str:
    """Return in how many studies, in per cent, a difference is seen, and two equal arms are.

    The difference is of one standard deviation.
    """
    head = [
        "seeds",
        "one standard deviation: holds",
        "80 % power at",
        "equal, margin of 1.5: holds",
        "apart by the margin: holds",
    ]
    rows = []
    for n in seeds:
        different = per_cent(held(n, 1.0, ">", 1e-9, samples))
        equal = [per_cent(held(n, mean, "=", 1.5, samples)) for mean in (0.0, 1.5)]
        rows.append([str(n), different, f"{power.mean_factor(n):g} standard deviations", *equal])
    return markdown(head, rows)


def held(n: int, mean: float, direction: str, margin: float, samples: int) -> float:
    """Return the share of studies of n normal differences with that mean in which a claim holds."""
    rng = np.random.default_rng(n)
    found = saying(samples, lambda: rng.normal(mean, 1, n), direction, margin)
    return found.count(verdicts.HOLDS) / samples


def page(samples: int) -> str:
    """Return docs/verdicts.md."""
    parts = [
        "# What the verdict rule says where the truth is known",
        f"    python -m bench.verdicts --samples={samples} --write",
        f"Per cent of {samples:,} simulated studies of a claim `a > b`: so many seeds, "
        "differences that are normal with standard deviation 1, and a mean of 0, 0.5 or 2. The "
        "rule is that of `dla_jax/evidence/verdicts.py: judge`; *holds* and *does not hold* both "
        "need six seeds, since below no sign-flip test can give p < .05.",
        "What it says: without an effect a claim holds in at most some 3 % of studies. Six seeds "
        "nearly always see a large effect, and seldom a middling one. Absence is said only where "
        "the margin is as wide as the spread, or there are many seeds.",
    ]
    for margin, told in MARGINS.items():
        parts += [
            f"## A margin of {margin:g} standard deviation{'s' * (margin != 1)}",
            told,
            table(margin, SEEDS, samples),
        ]
    parts += [
        "## Claims about one arm",
        "Per cent of studies in which a claim `a > threshold` holds though the mean, or the "
        "median, of the runs is the threshold. With one arm there is nothing to exchange signs "
        "with: judged by t-interval and sign flips, as differences are, such claims hold falsely "
        "wherever scores are skewed or a run fails now and then, and more seeds help little. The "
        "rule judges them as a median, by the exact binomial test, which keeps 2.5 % whatever the "
        "runs look like.",
        one_arm_table((6, 8, 10, 16), samples),
        "## Power, and claims of equality",
        "Per cent of studies of normal differences with standard deviation 1. The third column "
        "is what stands beside a claim that is not decided, there in the spread of its own "
        "differences. A claim of equality holds by two one-sided tests at the margin.",
        power_table((6, 8, 10, 16), samples // 4),
    ]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Print the page, or write it."""
    program, first_line = "python -m bench.verdicts", __doc__.splitlines()[0]
    parser = argparse.ArgumentParser(prog=program, description=first_line)
    cells, into = "studies of each cell of the table", "put the tables into docs/verdicts.md"
    parser.add_argument("--samples", type=int, default=2000, help=cells)
    parser.add_argument("--write", action="store_true", help=into)
    given = parser.parse_args()
    text = page(given.samples)
    if given.write:
        PAGE.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
