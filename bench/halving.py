"""What halving would have chosen in studies whose learning rates a full grid chose.

    python -m bench.halving WORKDIR [WORKDIR ...]

It reads the records of finished studies (`selection = "full"`), which hold the validation scores of
each run along its training, and trains nothing. For each rule: of the arms with several rates how
many get the same one, what the others lose in the score of the whole run, and the steps that are
taken, of those of the full grid.
"""

import argparse
import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench.page import markdown, refuse
from dla_jax.config.checks import ConfigError, check
from dla_jax.config.written import read_config
from dla_jax.evidence.selection import LOSSES
from dla_jax.studies import find
from dla_jax.studies.study import read_finished, select_seeds
from dla_jax.trials import halving
from dla_jax.trials.arms import best_rate, select_trials


class Rule(NamedTuple):
    """A way to halve: where rates are compared, and how many go on from there."""

    cuts: tuple[Fraction, ...]  # shares of the steps
    keep: Callable  # rates -> how many go on from a cut that is not the last


def one_of(part: int) -> Callable:
    """Return a function: how many rates there are -> how many a part of them is, rounded up."""
    return lambda rates: math.ceil(rates / part)


NINTH, THIRD, END = Fraction(1, 9), Fraction(1, 3), Fraction(1)
TWO_THIRDS, QUARTERS = Fraction(2, 3), Fraction(3, 4)
RULES = {
    "a third at 1/9, the best at 1/3": Rule((NINTH, THIRD), one_of(3)),
    "a half at 1/9, the best at 1/3": Rule((NINTH, THIRD), one_of(2)),
    "the best at 1/3": Rule((THIRD,), halving.kept),
    "a half, two at least, at 1/9, the best at the end": Rule((NINTH, END), halving.kept),
    "a half, two at least, at 1/3, the best at the end": Rule((THIRD, END), halving.kept),
    "a half, two at least, at 1/3, the best at 2/3": Rule((THIRD, TWO_THIRDS), halving.kept),
    "the best at 3/4": Rule((QUARTERS,), halving.kept),
    "halving: a half, two at least, at 1/3, the best at 3/4": Rule(halving.CUTS, halving.kept),
}


class Grid(NamedTuple):
    """The full grid of one arm."""

    arm: str
    runs: dict[float, list[tuple[list[dict], dict]]]  # {rate: [(evaluations, last row) of a run]}
    score: Callable  # of the study's Tuning
    value: str  # likewise


class Outcome(NamedTuple):
    """What a rule makes of a grid."""

    full: float  # the rate that the full grid chose
    halved: float
    cost: float  # what it loses in the score of the whole runs, > 0 where it is worse
    steps: float  # share of the full grid's


def grids_of(workdir: Path) -> list[Grid]:
    """Return the grids of a finished study.

    Raises:
      ConfigError: no finished study of a full grid is there, with evaluations.
    """
    study = find(read_config(workdir)["config"]["experiment"])
    found, tuning = read_finished(study, workdir), study.tuning
    check(not halving.halves(found.config), f"{workdir}: its rates were halved; give a full grid")
    grids = {}
    for trial in select_trials(found.arms, select_seeds(found.config)):
        rows = [row for row in found.rows.get(trial.name, []) if tuning.value in row]
        grid = grids.setdefault(trial.arm, Grid(trial.arm, {}, tuning.score, tuning.value))
        grid.runs.setdefault(trial.lr, []).append((rows, found.done[trial.name]))
    evaluated = [grid for grid in grids.values() if evaluations(grid)]
    check(len(evaluated) > 0, f"{workdir}: no run that chooses a rate has {tuning.value}")
    return evaluated


def evaluations(grid: Grid) -> list[int]:
    """Return the steps at which runs were evaluated."""
    return sorted({row["step"] for own in grid.runs.values() for rows, _ in own for row in rows})


def scored(grid: Grid, rate: float, stop: int):
    """Return the score of a rate by the best evaluations of its runs until a step."""
    found = []
    for rows, end in grid.runs[rate]:
        seen = [row for row in rows if row["step"] <= stop]
        over = not seen or (end["diverged"] and end["step"] <= stop)
        found.append(end if over else max(seen, key=lambda row: grid.score([row])))
    return grid.score(found)


def outcome(grid: Grid, rule: Rule) -> Outcome:
    """Return what a rule makes of a grid."""
    steps = evaluations(grid)
    stops = halving.cuts(steps[-1], steps, rule.cuts)
    race = halving.race(
        sorted(grid.runs),
        lambda rate, cut: scored(grid, rate, stops[cut]),
        rule.keep,
        len(stops),
    )
    ends = {rate: [end for _, end in grid.runs[rate]] for rate in sorted(grid.runs)}
    full = best_rate(ends, grid.score)
    means = {rate: np.mean([end[grid.value] for end in own]) for rate, own in ends.items()}
    sign = -1.0 if grid.value in LOSSES else 1.0
    taken = float(halving.share_of(race.last_cut, stops, steps[-1]))
    cost = float(sign * (means[full] - means[race.chosen])) + 0.0  # which makes -0 of no sign
    return Outcome(full, race.chosen, cost, taken)


def arms_table(grids: list[Grid], rule: Rule) -> str:
    """Return what a rule makes of each grid, as a table in Markdown."""
    rows = []
    for grid in grids:
        found = outcome(grid, rule)
        cells = [f"{found.full:g}", f"{found.halved:g}", f"{found.cost:.4f}", f"{found.steps:.2f}"]
        rows.append([grid.arm, str(len(grid.runs)), *cells])
    return markdown(["arm", "rates", "full grid", "halving", "cost", "share of steps"], rows)


def rules_table(grids: list[Grid]) -> str:
    """Return what each rule makes of all grids together, as a table in Markdown."""
    rows = []
    for name, rule in RULES.items():
        found = [outcome(grid, rule) for grid in grids]
        same, costs = sum(each.full == each.halved for each in found), [each.cost for each in found]
        spread = [f"{np.mean(costs):.4f}", f"{np.median(costs):.4f}", f"{max(costs):.4f}"]
        small = sum(cost <= 0.01 for cost in costs)
        steps = f"{np.mean([each.steps for each in found]):.2f}"
        rows.append([name, f"{same} of {len(found)}", str(small), *spread, steps])
    head = ["what goes on", "same rate", "cost <= .01", "mean cost", "median", "largest"]
    return markdown([*head, "share of steps"], rows)


def main() -> None:
    """Print the tables of the workdirs of the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.halving", description=SHORT)
    parser.add_argument("workdirs", nargs="+", type=Path, help="of finished studies, full grids")
    try:
        found = {workdir: grids_of(workdir) for workdir in parser.parse_args().workdirs}
    except ConfigError as error:
        refuse("halving", str(error))
    for workdir, grids in found.items():
        print(f"{workdir}: {grids[0].value}; {USED}\n\n{arms_table(grids, RULES[USED])}\n")
    print(f"all of them\n\n{rules_table([grid for grids in found.values() for grid in grids])}")


USED = list(RULES)[-1]
SHORT = __doc__.splitlines()[0]

if __name__ == "__main__":
    main()
