"""The sentence that answers a comparison: the best network, and what a change did."""

import numpy as np

from dla_jax.evidence import answers
from dla_jax.evidence.formatting import count
from dla_jax.evidence.pairs import AFTER_CORRECTION

NO_PAIRS = "no two networks have data and a seed in common, to be compared seed by seed"
SHOWN = 3  # networks of each verdict that are named


def answer(
    data: list[tuple[str, dict[str, list[dict]]]], pairs: list[dict], same: bool = True
) -> str:
    """Return the best network on each data set, and where a second study is better than a first.

    Args:
      data: (name of a data set, {"study: network": its runs}) of each.
      pairs: rows of `report.paired`, by the names of their columns.
      same: whether these are of networks of one name in two studies.
    """
    best = "; ".join(best_words(title, networks) for title, networks in data)
    if not same:
        told = f"of {count(len(pairs), 'pair')} {verdicts_words(pairs)}" if pairs else NO_PAIRS
        return f"{best}; {told}."
    if not pairs:
        return f"{best}; no network stands in two of these studies, to be compared seed by seed."
    studies = dict.fromkeys(row["studies"] for row in pairs)
    told = [pair_words([row for row in pairs if row["studies"] == own]) for own in studies]
    return f"{best}; seed by seed {'; '.join(told)}."


def best_words(title: str, networks: dict[str, list[dict]]) -> str:
    """Return which network is best on validation on a data set, and its test accuracy."""

    def on_validation(name: str) -> float:
        return float(np.mean([run["val_accuracy"] for run in networks[name]]))

    name = max(networks, key=on_validation)
    runs = networks[name]
    has = f"has a test accuracy of {answers.fraction(runs)} ({answers.counted(runs)})"
    if len(networks) == 1:
        return f"On {title} {name} {has}, with nothing beside it"
    return f"On {title} {name}, best of {len(networks)} on validation, {has}"


def pair_words(rows: list[dict]) -> str:
    """Return `b beside a: of 4 networks worse in plain-10 (−27.8 [−37.4, −18.2] points), ...`.

    Args:
      rows: those of one pair of studies.
    """
    second, _, first = rows[0]["studies"].partition(" − ")
    return f"{second} beside {first}: of {count(len(rows), 'network')} {verdicts_words(rows)}"


def verdicts_words(rows: list[dict]) -> str:
    """Return in which pairs the first is better or worse, and how many have another verdict."""
    told = []
    for verdict in ("better", "worse"):
        own = [row for row in rows if row["verdict"] == verdict]
        named = [f"{row['network']} ({row['points [95 % interval]']} points)" for row in own]
        if len(named) > SHOWN:
            named = [*named[:SHOWN], f"{len(named) - SHOWN} more"]
        if named:
            told.append(f"{verdict} in {', '.join(named)}")
    undecided = [row["verdict"] for row in rows if row["verdict"].startswith("not decided")]
    numbers = {
        "no different": sum(row["verdict"].startswith("no difference") for row in rows),
        "not decided after correction": undecided.count(AFTER_CORRECTION),
        "not decided": len(undecided) - undecided.count(AFTER_CORRECTION),
    }
    told += [f"{words} in {number}" for words, number in numbers.items() if number]
    return ", ".join(told)
