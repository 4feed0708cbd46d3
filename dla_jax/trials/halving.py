"""Learning rates by successive halving: what lags behind is not trained to the end.

All rates of an arm begin, each with the schedule of the whole run. They are compared twice, at the
first evaluation after a third and after three quarters of the steps: the better half, two at least,
goes on from the first cut, and the best is chosen at the second, where its runs end too. Earlier
cuts, as the paper has them, lose rates that start slowly and end best (`python -m bench.halving`).

Reference: Jamieson & Talwalkar 2016, arXiv:1502.07943.
"""

import math
from collections.abc import Callable, Collection
from fractions import Fraction
from typing import NamedTuple

SELECTIONS = ("full", "halving")  # values of the key `selection`
CUTS = (Fraction(1, 3), Fraction(3, 4))  # of the steps, at which rates are compared
Score = Callable[[list[dict]], float | tuple]  # rows of the runs at one rate -> larger is better


class Race(NamedTuple):
    """What became of the rates of an arm."""

    chosen: float
    last_cut: dict[float, int]  # {rate: the cut, 0 or 1, at which it was compared last}


def halves(config) -> bool:
    """Return whether a study chooses its rates by halving; one without the key has a full grid."""
    return "selection" in config and config.selection == "halving"


def cuts(
    length: int, evaluations: Collection[int], shares: tuple[Fraction, ...] = CUTS
) -> tuple[int, ...]:
    """Return the steps at which rates are compared: the first evaluation not before each share.

    It may be before by less than a step, since the ends of epochs are rounded to steps.

    Args:
      length: of a run, in steps.
      evaluations: the steps at which it is evaluated; the end always counts as one.
    """
    stops = (*evaluations, length)
    return tuple(
        min(stop for stop in stops if stop >= math.floor(share * length)) for share in shares
    )


def kept(rates: int) -> int:
    """Return how many of so many rates go on from the first cut."""
    return min(rates, max(2, math.ceil(rates / 2)))


def ranked(rates: list[float], score: Callable[[float], float | tuple]) -> list[float]:
    """Return rates in the order of their scores, the best first; of equals the smallest."""
    return sorted(sorted(rates), key=score, reverse=True)


def race(
    rates: Collection[float], score: Callable, keep: Callable = kept, num_cuts: int = len(CUTS)
) -> Race:
    """Return which rate halving chooses; the last cut leaves one.

    Args:
      score: (rate, cut) -> its score there; asked only of rates that got so far.
      keep: how many there are -> how many go on from a cut that is not the last.
    """
    going, last_cut = list(rates), {}
    for cut in range(num_cuts):
        order = ranked(going, lambda rate: score(rate, cut))  # noqa: B023 - called at once
        last_cut |= dict.fromkeys(order, cut)
        going = order[: keep(len(order)) if cut + 1 < num_cuts else 1]
        if len(going) == 1:
            break
    return Race(going[0], last_cut)


def share_of(last_cut: dict[float, int], stops: tuple[int, ...], length: int) -> Fraction:
    """Return the steps that a race takes, of those of a full grid of its rates.

    Args:
      last_cut: of the race.
      stops: the step of each cut.
      length: of a whole run, in steps.
    """
    return Fraction(sum(stops[cut] for cut in last_cut.values()), len(last_cut) * length)


def share(rates: int, length: int, evaluations: Collection[int]) -> Fraction:
    """Return the steps that halving takes, of those of a full grid of so many rates."""
    last_cut = race(range(rates), lambda rate, cut: rate).last_cut
    return share_of(last_cut, cuts(length, evaluations), length)


def at_cut(results: list[dict], cut: int) -> dict:
    """Return what a run scored at a cut; one that ended before it, what it ended with."""
    return results[min(cut, len(results) - 1)]


def race_of(rows: dict[float, list[dict]], score: Score) -> Race:
    """Return what became of the rates of an arm.

    Args:
      rows: {rate: last rows of its runs}, with "cuts", what each run scored at every cut.
    """

    def scored(rate: float, cut: int):
        return score([at_cut(row["cuts"], cut) for row in rows[rate]])

    return race(rows, scored)


def chosen_rate(rows: dict[float, list[dict]], score: Score) -> float:
    """Return the rate that halving chose (arguments: `race_of`), for `arms.choose_rates`."""
    return race_of(rows, score).chosen


class Rung:
    """What is done with the jobs that are under way at a cut."""

    def __init__(self, cut: int, record, progress, team):
        self._cut, self._record, self._progress, self._team = cut, record, progress, team
        self._is_last = cut + 1 == len(CUTS)

    def name_of(self, job) -> str:
        """Return what a crew calls the way of a job to the cut."""
        return f"{job.trials[0].name}/cut{self._cut}"

    def is_over(self, job) -> bool:
        """Return whether a run has its last row."""
        return self._record.look(job.trials[0].name)

    def is_there(self, job) -> bool:
        """Return whether a run has come to the cut, or ended before."""
        return self.is_over(job) or (
            not self._is_last and self._team.kept(self.name_of(job)) is not None
        )

    def advance(self, job) -> None:
        """Train a run to the cut; at the last one it ends there."""
        found = job.advance(self._cut, self._progress)
        if self._is_last:
            self.end(job)
        elif not self.is_over(job):
            self._team.keep(self.name_of(job), found)

    def end(self, job) -> None:
        """End a run that goes no further, unless it has ended of itself."""
        if not self.is_over(job):
            job.end(self._cut, self._progress)

    def results_of(self, job) -> list[dict]:
        """Return what a run that `is_there` scored at the cuts so far."""
        if self.is_over(job):
            return self._record.done[job.trials[0].name]["cuts"]
        return self._team.kept(self.name_of(job))


def run_rungs(jobs: list, record, score: Score, workers: int, progress, team) -> None:
    """Run the jobs that choose rates, from cut to cut, each as far as its rate goes.

    A run that a record holds is not run again. What went on before a stop is decided again, from
    the same rows, so that a study that was stopped makes the same choices.

    Args:
      jobs: all of them, of one trial each; `advance` and `end` are those of `grid.Job`.
      team: who does so: `crew.Alone`, or a `crew.Crew`.
    """
    going = {}  # {arm: {rate: its jobs}}
    for job in jobs:
        (trial,) = job.trials
        going.setdefault(trial.arm, {}).setdefault(trial.lr, []).append(job)
    for cut in range(len(CUTS)):
        rung = Rung(cut, record, progress, team)
        under_way = [job for rates in going.values() for own in rates.values() for job in own]
        team.each(rung.advance, under_way, workers, rung.name_of, rung.is_there)
        if cut + 1 == len(CUTS):
            return
        behind = []
        for rates in going.values():
            order = ranked(
                list(rates),
                lambda rate: score([at_cut(rung.results_of(job), cut) for job in rates[rate]]),  # noqa: B023
            )
            behind += [job for rate in order[kept(len(order)) :] for job in rates.pop(rate)]
        team.each(rung.end, behind, workers, lambda job: f"{job.trials[0].name}/end", rung.is_over)
