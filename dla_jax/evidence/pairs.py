"""Pairs of arms that nobody made a claim of, judged by the rule for claims.

There may be many, so that what differs is only said after correction for all of them (Holm 1979).
"""

import itertools
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from dla_jax.evidence import formatting, stats, verdicts, weighing

AFTER_CORRECTION = "not decided (after correction)"
HEAD = ("verdict", "pair", "difference [95 % interval]", "p", "p (Holm)", "seeds")
SHOWN = 5  # pairs that differ, which the answer names


class Measure(NamedTuple):
    """What arms are compared by."""

    value: str  # the key of a run
    unit: str
    margin: float  # the difference below which one would not care, > 0
    words: str  # what the value is called
    better: str = ">"  # the side on which it is better, or "<"


class Judged(NamedTuple):
    """A pair of arms, and what its runs say of the first one beside the second."""

    first: str
    second: str
    contrast: verdicts.Contrast  # of first - second
    p_holm: float  # corrected for all pairs

    @property
    def verdict(self) -> str:
        """The verdict in words."""
        return verdict_words(self.contrast, self.p_holm)


def verdict_words(contrast: verdicts.Contrast, p_holm: float) -> str:
    """Return the verdict of a contrast that is better where it holds, only after correction."""
    verdict, reason = contrast.verdict, contrast.reason
    if verdict == verdicts.FAILS and reason:
        return f"no difference ({reason})"
    if verdict != verdicts.OPEN and p_holm >= 1 - stats.LEVEL:
        return AFTER_CORRECTION
    if verdict != verdicts.OPEN:
        return "better" if verdict == verdicts.HOLDS else "worse"
    return f"{verdict} ({reason})" if reason else verdict


def judge(pairs: Iterable[tuple[str, str]], runs: list[dict], measure: Measure) -> list[Judged]:
    """Return the verdict of each pair, paired by seed; of one without a common seed there is none.

    Args:
      pairs: (arm, arm that it is compared with).
      runs: as `weighing.weigh` takes them.
    """
    claim = {"value": measure.value, "unit": measure.unit}
    claim |= {"direction": measure.better, "margin": measure.margin}
    known, contrasts = [], []
    for first, second in pairs:
        terms = ((1.0, first), (-1.0, second))
        if weighing.paired_values(terms, runs, measure.value):
            found = weighing.weigh_contrast(claim, terms, runs)
            fields = {name: found[name] for name in verdicts.Contrast._fields}
            contrasts.append(verdicts.Contrast(**fields))
            known.append((first, second))
    corrected = stats.holm([contrast.p for contrast in contrasts])
    return [
        Judged(*names, contrast, float(p))
        for names, contrast, p in zip(known, contrasts, corrected, strict=True)
    ]


def row(pair: Judged, unit: str) -> list[str]:
    """Return a pair as a row of HEAD."""
    contrast = pair.contrast
    bounds = formatting.interval(contrast.low, contrast.high, unit)
    return [
        pair.verdict,
        f"{pair.first} − {pair.second}",
        f"{formatting.amount(contrast.mean, unit)}{bounds}",
        formatting.p_value(contrast.p),
        formatting.p_value(pair.p_holm),
        formatting.count(contrast.n, "seed"),
    ]


def as_json(pair: Judged) -> dict:
    """Return what a summary keeps of a pair."""
    names = {"first": pair.first, "second": pair.second, "verdict": pair.verdict}
    return names | {"p_holm": pair.p_holm, "contrast": pair.contrast._asdict()}


def of_json(kept: dict) -> Judged:
    """Return the pair that `as_json` kept."""
    contrast = verdicts.Contrast(**kept["contrast"])
    return Judged(kept["first"], kept["second"], contrast, kept["p_holm"])


def section(judged: list[Judged], measure: Measure) -> dict:
    """Return the section of a report with all pairs."""
    margin = formatting.amount(measure.margin, measure.unit, sign=False)
    # Of return any difference matters.
    within = f", with a margin of {margin} {measure.unit}" if float(margin) else ""
    text = (
        f"Arms that differ in one value, compared by {measure.words} ({measure.unit}), seed by "
        f"seed. Nobody claimed anything of them. By the rule for claims{within}; p (Holm) is "
        f"corrected for all {len(judged)} of them, and better or worse takes p (Holm) < "
        f"{formatting.number(1 - stats.LEVEL, 2)}."
    )
    rows = [row(pair, measure.unit) for pair in judged]
    return {"title": "Compared", "text": text, "table": {"head": HEAD, "rows": rows}}


def lines(judged: list[Judged], unit: str) -> list[str]:
    """Return the pairs for the screen."""
    found = []
    for pair in judged:
        verdict, names, difference, *_, seeds = row(pair, unit)
        p = f"p (Holm) = {formatting.p_value(pair.p_holm)}"
        found.append(f"  {verdict:<12} {names}: {difference} {unit}, {p}, {seeds}")
    return found


def answer(judged: list[Judged], best: str, found: str, arms: int, measure: Measure) -> str:
    """Return the sentence that answers: the best arm, which pairs differ, and how many do not.

    Args:
      best: the name of the best arm.
      found: what it was best in, and reached.
      arms: how many there are.
    """
    begin = f"Of {arms} arms {best} is the best {found}"
    if not judged:
        return f"{begin}; no two arms have a seed in common, to be compared."
    apart = [pair for pair in judged if pair.verdict in ("better", "worse")]
    told = [apart_words(pair, measure.unit) for pair in apart[:SHOWN]]
    if len(apart) > SHOWN:
        told.append(f"and {len(apart) - SHOWN} more")
    alike = sum(pair.verdict.startswith("no difference") for pair in judged)
    rest = len(judged) - len(apart) - alike
    shown = f"{are(len(apart))} shown to differ" + (f" ({'; '.join(told)})" if told else "")
    numbers = [shown]
    numbers += [f"{are(alike)} shown not to"] if alike else []
    numbers += [f"{are(rest)} not decided"] if rest else []
    return f"{begin}; of {formatting.count(len(judged), 'pair')} {', '.join(numbers)}."


def are(number: int) -> str:
    """Return `1 is`, `2 are`."""
    return f"{number} {'is' if number == 1 else 'are'}"


def apart_words(pair: Judged, unit: str) -> str:
    """Return `a better than b by 3.2 points [1.1, 5.2]`."""
    contrast = pair.contrast
    sign = 1.0 if contrast.mean > 0 else -1.0
    ends = sorted((sign * contrast.low, sign * contrast.high))
    size = formatting.amount(sign * contrast.mean, unit, sign=False)
    bounds = formatting.interval(*ends, unit, sign=False)
    return f"{pair.first} {pair.verdict} than {pair.second} by {size} {unit}{bounds}"


def best_words(runs: list[dict], measure: Measure) -> str:
    """Return what an arm has, `test accuracy 95.2 points [94.1, 96.3], 6 seeds`."""
    values = [run[measure.value] for run in runs if run[measure.value] is not None]
    if not values:
        return "none of its runs has a value"
    bounds = (0.0, 1.0) if measure.unit == "points" else (-np.inf, np.inf)
    interval = stats.t_interval(values, bounds=bounds)
    size = formatting.amount(float(np.mean(values)), measure.unit, sign=False)
    shown = formatting.interval(*interval, measure.unit, sign=False)
    unit = " %" if measure.unit == "points" else ""
    return f"{measure.words} {size}{unit}{shown}, {formatting.count(len(values), 'seed')}"


def remarks(pairs: Iterable[tuple[str, str]], seeds: dict[str, tuple[int, ...]]) -> list[str]:
    """Return a line where so few seeds can tell none of so many pairs apart, or none.

    Args:
      seeds: {arm: its seeds}.
    """
    common = [len(set(seeds[first]) & set(seeds[second])) for first, second in pairs]
    if not common or max(common) >= (needed := seeds_needed(len(common))):
        return []
    return [
        f"compared: {formatting.count(max(common), 'seed')} can tell none of "
        f"{formatting.count(len(common), 'pair')} apart, whatever comes out, since p is corrected "
        f"for all of them; {needed} seeds are needed"
    ]


def seeds_needed(number: int) -> int:
    """Return the fewest seeds that can give p < 1 - LEVEL after Holm's correction for n pairs."""
    return next(n for n in itertools.count(2) if number * stats.smallest_p(n) < 1 - stats.LEVEL)
