"""The choice of a learning rate, and how sure it is: the chosen rate beside the runner-up.

A choice is *within noise* where the chosen rate is not clearly better than the runner-up, the rate
with the best mean among the others: where their mean difference, paired by selection seed, is at
most its standard error times Student's t quantile at CLEAR. Of two rates that do equally well one
then looks clearly better in one choice of ten, 2 (1 - CLEAR). Differences that do not vary, as
those of few seeds and images may by chance, have no standard error to go by: the spread within a
rate stands for theirs. With one seed there is neither, and nothing can be known.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy import stats

from dla_jax.evidence.formatting import amount, count

CLEAR = 0.95
LOSSES = ("val_nats_per_char", "val_loss")  # of which less is better

HALVED = (
    "By successive halving: all rates began, each with the schedule of the whole run, and some "
    "went on to the last comparison, at the share of the steps that the table names. What is said "
    "of a choice is so at that point of the training; at its end another rate might be better."
)


class Choice(NamedTuple):
    """What the selection runs of a group say of one of its rates; None: there is no such number."""

    lr: float
    rates: int  # that were tried
    seeds: int  # that it has in common with the runner-up, or has where there is none
    mean: float | None  # at `lr`
    spread: float | None  # standard deviation over seeds at `lr`
    runner_up: float | None  # of the rates whose runs all have a value
    difference: float | None  # to the runner-up, mean over seeds; > 0 where `lr` is the better one
    error: float | None  # standard error of `difference`
    within: float | None  # standard deviation over seeds, pooled over the rates
    between: float | None  # standard deviation of the rates' means
    edge: bool  # `lr` is the smallest or the largest of at least two
    noisy: bool | None  # the choice is within noise
    compared: int  # rates that were left at the last comparison
    compared_at: float | None  # share of a run's steps before it, by halving; None: a full grid


def choice(
    selection: list[dict],
    group: str,
    lr: float,
    value: str = "val_accuracy",
    smaller: bool | None = None,
) -> Choice:
    """Return how sure it is that `lr` is the group's best rate.

    Args:
      selection: rows {"group", "seed", "lr", value}, as a summary's "selection" has them; at least
        one of the group at `lr`. Of rates that were halved ("compared_at") those count that were
        left at the last comparison. A run without a value, None, keeps its rate from being the
        runner-up: it is worse than any that has one.
      smaller: whether a smaller value is better; None: as LOSSES has it.
    """
    sign = -1.0 if (value in LOSSES if smaller is None else smaller) else 1.0
    found: dict[float, dict[int, float | None]] = {}
    own = [row for row in selection if row["group"] == group]
    last, tried = last_compared(own), {row["lr"] for row in own}
    for row in left_at_last(own):
        found.setdefault(row["lr"], {})[row["seed"]] = row[value]
    whole = {rate: by_seed for rate, by_seed in found.items() if None not in by_seed.values()}
    values = {rate: list(by_seed.values()) for rate, by_seed in whole.items()}
    means = {rate: float(np.mean(each)) for rate, each in values.items()}
    spreads = {rate: float(np.std(each, ddof=1)) for rate, each in values.items() if len(each) > 1}
    others = [rate for rate in means if rate != lr]
    runner_up = max(others, key=lambda rate: sign * means[rate], default=None)
    compared = lr in whole and runner_up is not None
    common = sorted(set(whole[lr]) & set(whole[runner_up])) if compared else []
    differences = [sign * (whole[lr][seed] - whole[runner_up][seed]) for seed in common]
    difference = float(np.mean(differences)) if differences else None
    error = float(stats.sem(differences)) if len(differences) > 1 else None
    within = pooled([whole[rate] for rate in spreads])
    return Choice(
        lr=lr,
        rates=len(tried),
        seeds=len(common) if compared else len(found[lr]),
        mean=means.get(lr),
        spread=spreads.get(lr),
        runner_up=runner_up if compared else None,
        difference=difference,
        error=error,
        within=within,
        between=float(np.std(list(means.values()), ddof=1)) if len(means) > 1 else None,
        edge=len(tried) > 1 and lr in (min(tried), max(tried)),
        noisy=None if error is None else not clear(difference, error, len(common), within),
        compared=len(found),
        compared_at=last,
    )


def last_compared(rows: list[dict]) -> float | None:
    """Return the share of a run at which the rates of a group were compared last.

    None of a full grid, whose runs are compared at their best evaluation.
    """
    return max((row["compared_at"] for row in rows if "compared_at" in row), default=None)


def left_at_last(rows: list[dict]) -> list[dict]:
    """Return the rows of a group whose rates were left when they were compared last."""
    last = last_compared(rows)
    return [row for row in rows if row.get("compared_at") == last]


def pooled(rates: list[dict[int, float]]) -> float | None:
    """Return the standard deviation over seeds, pooled over rates of two seeds or more, or None."""
    squares = sum(np.var(list(by_seed.values())) * len(by_seed) for by_seed in rates)
    freedom = sum(len(by_seed) - 1 for by_seed in rates)
    return math.sqrt(squares / freedom) if freedom else None


def clear(difference: float, error: float, seeds: int, within: float) -> bool:
    """Return whether a mean difference is clearly above 0; `within` is that of Choice."""
    if error < 1e-3 * abs(difference):  # rounding, not noise
        error = within * math.sqrt(2 / seeds)
    return difference > max(error * stats.t.ppf(CLEAR, seeds - 1), 1e-9)


def rate_words(
    selection: list[dict],
    group: str,
    lr: float,
    value: str = "val_accuracy",
    smaller: bool | None = None,
) -> str:
    """Return `0.003`, `0.003 (edge)`, `0.003 (edge, within noise)` or `0.003 (one selection seed)`.

    Just the rate where `selection` has no runs of the group at it, as where nothing was searched.
    """
    if not any(row["group"] == group and row["lr"] == lr for row in selection):
        return f"{lr:g}"
    found = choice(selection, group, lr, value, smaller)
    remarks = {
        "edge": found.edge,
        "within noise": found.noisy,
        "one selection seed": found.rates > 1 and found.seeds == 1,
    }
    said = ", ".join(words for words, so in remarks.items() if so)
    return f"{lr:g} ({said})" if said else f"{lr:g}"


def choices(
    selection: list[dict], value: str = "val_accuracy", smaller: bool | None = None
) -> dict[str, Choice]:
    """Return {group: how sure it is of the rate that was chosen}, in the order of the rows."""
    rates = {row["group"]: row["lr"] for row in selection if row["chosen"]}
    return {group: choice(selection, group, lr, value, smaller) for group, lr in rates.items()}


def section(
    selection: list[dict],
    value: str = "val_accuracy",
    unit: str = "points",
    smaller: bool | None = None,
) -> list[dict]:
    """Return the report's section on the choices of learning rates, [] without a grid.

    Args:
      selection: as `choice` takes it, with "chosen".
      value: what was compared, in `unit`; accuracies, "points", are shown in per cent.
    """
    found = choices(selection, value, smaller)
    if not found:
        return []
    shown = "%" if unit == "points" else unit
    head = [
        "learning rates",
        "tried",
        "chosen",
        f"mean ± sd there ({shown})",
        "runner-up",
        f"chosen better by ± its error ({unit})",
        f"sd within a rate ({unit})",
        f"sd between rates ({unit})",
        "choice",
    ]
    rows = [[group, *cells(each, unit)] for group, each in found.items()]
    table = {"head": head, "rows": rows}
    return [{"title": "Learning rates", "text": text(list(found.values())), "table": table}]


def cells(found: Choice, unit: str) -> list[str]:
    """Return the row of one group behind its name, as text."""
    return [
        tried_words(found),
        f"{found.lr:g}",
        plus_minus(found.mean, found.spread, unit),
        "–" if found.runner_up is None else f"{found.runner_up:g}",
        plus_minus(found.difference, found.error, unit, sign=True),
        plus_minus(found.within, error=None, unit=unit),
        plus_minus(found.between, error=None, unit=unit),
        choice_words(found),
    ]


def tried_words(found: Choice) -> str:
    """Return `4`, or `4, of which 2 at 33 % of the steps`."""
    if found.compared_at is None:
        return str(found.rates)
    return f"{found.rates}, of which {found.compared} at {100 * found.compared_at:.0f} % of steps"


def plus_minus(mean: float | None, error: float | None, unit: str, sign: bool = False) -> str:
    """Return `93.1 ± 0.4`, or as much of it as there is."""
    if mean is None:
        return "–"
    words = amount(mean, unit, sign)
    return words if error is None else f"{words} ± {amount(error, unit, sign=False)}"


def choice_words(found: Choice) -> str:
    """Return what is said of a choice in the last column: `edge, within noise`, `clear`, ..."""
    if found.rates == 1:
        return "one rate"
    if found.mean is None:
        said = "no run has a value"
    elif found.runner_up is None:
        said = "the others diverged"
    elif found.noisy is None:
        said = count(found.seeds, "selection seed")
    else:
        said = "within noise" if found.noisy else "clear"
    return f"edge, {said}" if found.edge else said


def text(found: list[Choice]) -> str:
    """Return what is said above the table: how often a choice is within noise, and what that is."""
    few, many = min(each.seeds for each in found), max(each.seeds for each in found)
    told = f"{few} to {many} selection seeds" if few < many else count(few, "selection seed")
    words = [f"Each rate is the one of the best mean over {told}, which no final run has."]
    if any(each.compared_at is not None for each in found):
        words.append(HALVED)
    judged = [each for each in found if each.noisy is not None]
    if judged:
        words.append(noise_words(judged))
    if any(each.noisy is None and each.seeds == 1 and each.rates > 1 for each in found):
        words.append("With one selection seed it cannot be known how sure a choice is.")
    if any(each.edge for each in found):
        words.append(
            "Edge: the chosen rate is the smallest or the largest tried; "
            "a better one may lie beyond."
        )
    return " ".join(words)


def noise_words(judged: list[Choice]) -> str:
    """Return when a choice is within noise, and how many of these choices are."""
    noisy = sum(each.noisy for each in judged)
    loud = sum(each.within >= each.between for each in judged)
    times = ", ".join(f"{stats.t.ppf(CLEAR, n - 1):.1f} for {n}" for n in (2, 4, 8))
    return (
        "A choice is within noise where the chosen rate is not clearly better than the "
        "runner-up: where their mean difference, paired by seed, is at most so many standard "
        f"errors: {times} seeds (Student's t; of two equal rates one looks clearly better in "
        f"{200 * (1 - CLEAR):.0f} % of choices). That is so in {noisy} of "
        f"{count(len(judged), 'choice')}; other seeds might have chosen the other rate there, "
        "and as far as these runs tell either would have done. The spread within a rate is at "
        f"least that between rates in {loud} of {len(judged)}."
    )
