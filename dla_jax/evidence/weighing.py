"""A claim weighed: its contrasts read from the runs of a study, and the rule applied to each."""

import math

from dla_jax.evidence.verdicts import NOT_RUN, judge, judge_all


def combined(terms) -> tuple[tuple[float, str], ...]:
    """Return the terms of a contrast with one weight a group, without those that cancel.

    Of a net against itself none is left.
    """
    weights = {}
    for weight, group in terms:
        weights[group] = weights.get(group, 0.0) + float(weight)
    return tuple((weight, group) for group, weight in weights.items() if weight)


def paired_values(terms, runs: list[dict], value: str) -> dict[int, float]:
    """Return a linear contrast run by run.

    That is {seed: sum of weight * value of the run of that group and seed}.

    Args:
      terms: ((weight, group), ...).
      runs: dicts with "group", "seed" and `value`.
      value: the key to compare; None in a run that has no such value.

    Returns:
      One entry for each seed that every group of the contrast has a value for.
    """
    by_group = {group: {} for _, group in terms}
    for run in runs:
        if run["group"] in by_group and run[value] is not None:
            by_group[run["group"]][run["seed"]] = run[value]
    seeds = sorted(set.intersection(*(set(found) for found in by_group.values())))
    return {seed: sum(weight * by_group[group][seed] for weight, group in terms) for seed in seeds}


def weigh(claim: dict, runs: list[dict]) -> dict:
    """Return a claim with what was measured and its verdict.

    Args:
      claim: {"statement", "source", "reported", "contrasts": (terms, ...), "direction", "value",
        "unit", "margin", "threshold"} as `claims.claim` makes it; without a threshold it is 0.
      runs: dicts with "group", "seed", "diverged" and the values; of a diverged run an accuracy is
        chance, others None. "censored", where there is one, names the values that are at least so
        large, since the run was cut off at its budget; "resolution" says of some values how far
        they may be from the truth: {value: half-width}.

    Returns:
      The claim with "verdict", "results" (a `Contrast` as dict for each contrast, with "terms",
      "in_favour" and "without_diverged", the same of the pairs that no diverged run touches) and
      "missing": what the grid lacks.
    """
    claim = {"threshold": 0.0} | claim
    contrasts = [terms for terms in map(combined, claim["contrasts"]) if terms]
    missing = absent_from(contrasts, runs, claim["value"])
    if missing:
        return claim | {"verdict": NOT_RUN, "results": [], "missing": missing}
    results = [weigh_contrast(claim, terms, runs) for terms in contrasts]
    verdict = judge_all([result["verdict"] for result in results])
    return claim | {"verdict": verdict, "results": results, "missing": []}


def absent_from(contrasts: list[tuple], runs: list[dict], value: str) -> list[str]:
    """Return what a grid lacks to weigh these contrasts.

    It may lack groups with that value, seeds in common, or a second net.
    """
    if not contrasts:
        return ["a second net or depth to compare with"]
    groups = dict.fromkeys(group for terms in contrasts for _, group in terms)
    present = {run["group"] for run in runs if run["group"] in groups and run[value] is not None}
    missing = [group for group in groups if group not in present]
    if missing:
        return missing
    apart = [terms for terms in contrasts if not paired_values(terms, runs, value)]
    return [f"a seed that {' and '.join(group for _, group in terms)} share" for terms in apart]


def weigh_contrast(claim: dict, terms: tuple, runs: list[dict]) -> dict:
    """Return one contrast of a claim as `weigh` does.

    All numbers are those of the differences minus the claim's threshold. If both runs of a pair
    were cut off at the budget, the pair tells nothing: it counts as 0, and leaves the contrast
    open.
    """
    weights, value = {group: weight for weight, group in terms}, claim["value"]
    threshold, found = claim.get("threshold", 0.0), paired_values(terms, runs, value)
    differences = {seed: contrast - threshold for seed, contrast in found.items()}
    resolution = dict.fromkeys(differences, 0.0)
    diverged, over, under = set(), set(), set()
    for run in runs:
        if run["group"] not in weights or run["seed"] not in differences:
            continue
        seed, weight = run["seed"], weights[run["group"]]
        resolution[seed] += abs(weight) * run.get("resolution", {}).get(value, 0.0)
        if run["diverged"]:
            diverged.add(seed)
        if value in run.get("censored", ()):
            (over if weight > 0 else under).add(seed)
    differences |= dict.fromkeys(over & under, 0.0)

    def rule(seeds):
        return judge(
            [differences[seed] for seed in seeds],
            claim["direction"],
            claim["margin"],
            bound=bound_of(terms, claim["unit"]) + abs(threshold),
            at_least=any(seed in over for seed in seeds),
            at_most=any(seed in under for seed in seeds),
            about="median" if len(terms) == 1 else "mean",
            resolution=[resolution[seed] for seed in seeds],
        )._asdict()

    kept = [seed for seed in differences if seed not in diverged]
    return rule(list(differences)) | {
        "terms": [list(term) for term in terms],
        "in_favour": sum(favours(difference, claim) for difference in differences.values()),
        "without_diverged": rule(kept) if diverged and kept else None,
    }


def favours(difference: float, claim: dict) -> bool:
    """Return whether one seed alone speaks for a claim."""
    if claim["direction"] == "=":
        return abs(difference) < claim["margin"]
    return difference > 0 if claim["direction"] == ">" else difference < 0


def bound_of(terms: tuple, unit: str) -> float:
    """Return what the size of a contrast cannot exceed.

    Of fractions of one ("points") that is the sum of the weights of either sign.
    """
    if unit != "points":
        return math.inf
    positive = sum(weight for weight, _ in terms if weight > 0)
    negative = -sum(weight for weight, _ in terms if weight < 0)
    return max(positive, negative)
