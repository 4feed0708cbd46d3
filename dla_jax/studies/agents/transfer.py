"""Where policies were trained beside where they are judged: a table, a figure, and what it says."""

import numpy as np
from scipy.stats import spearmanr

from dla_jax.evidence import formatting, stats
from dla_jax.studies.agents.levels import interval_words, scored
from dla_jax.studies.study import Finished

RANKED = 10  # runs at least whose ranks are compared
PLACES = ("here", "there")
COUNTED = (*PLACES, "there, last policy")
COLUMNS = (
    "arm",
    "runs",
    "best policy, here",
    "best policy, there",
    "there − here",
    "last policy, here",
    "last policy, there",
)


def judged_arms(found: Finished) -> list[str]:
    """Return the arms whose final policies are judged on an environment of gymnasium."""
    return [name for name, arm in found.arms.items() if arm.config.env.judge]


def judges(found: Finished) -> list[str]:
    """Return the environments of gymnasium that arms are judged on."""
    return list(dict.fromkeys(found.arms[name].config.env.judge for name in judged_arms(found)))


def places(found: Finished) -> tuple[str, str]:
    """Return the names of where judged arms were trained, and of where they are judged."""
    trained = dict.fromkeys(found.arms[name].config.env.name for name in judged_arms(found))
    return ", ".join(trained), ", ".join(judges(found))


def there_words(found: Finished, name: str) -> str:
    """Return what stands of an arm on the screen: the return of its best policies as judged."""
    judge = found.arms[name].config.env.judge
    if not judge:
        return ""
    return f"   on {judge} {interval_words(scored(found, name, 'judged_return'))}"


def difference(found: Finished, name: str) -> tuple[float, float, float]:
    """Return the mean over runs of the return there less that here, and its t-interval."""
    runs = found.runs_of(name)
    differences = [run["judged_return"] - run["eval_return"] for run in runs]
    return float(np.mean(differences)), *stats.t_interval(differences)


def together(found: Finished) -> tuple[float, float, float]:
    """Return the difference of all judged arms, and its t-interval over seeds.

    The arms play the same episodes with a seed, and are no independent runs: their differences are
    first averaged, seed by seed.
    """
    by_seed: dict[int, list[float]] = {}
    for name in judged_arms(found):
        for run in found.runs_of(name):
            own = run["judged_return"] - run["eval_return"]
            by_seed.setdefault(run["seed"], []).append(own)
    differences = [np.mean(values) for values in by_seed.values()]
    return float(np.mean(differences)), *stats.t_interval(differences)


def difference_words(mean: float, low: float, high: float) -> str:
    """Return `−8.1 [−20.3, +4.1]`, the return there less that here."""
    words = formatting.number(mean, 1, sign=True)
    if not np.isfinite(low):
        return words
    ends = (formatting.number(end, 1, sign=True) for end in (low, high))
    return f"{words} [{', '.join(ends)}]"


def reached(found: Finished, name: str, key: str) -> str:
    """Return `14 of 16`: how many runs of an arm have at least what counts as solved."""
    values = [run[key] for run in found.runs_of(name)]
    return f"{sum(value >= found.config.solved_return for value in values)} of {len(values)}"


def table(found: Finished) -> dict:
    """Return the table of the judged arms, and of actions at random where all play alike."""
    threshold, names = found.config.solved_return, judged_arms(found)
    counted = [] if threshold is None else [formatting.short(threshold)]
    head = [*COLUMNS, *(f"at least {least}, {place}" for least in counted for place in COUNTED)]
    rows = []
    for name in names:
        best, last = (
            [interval_words(scored(found, name, key)) for key in keys]
            for keys in (("eval_return", "judged_return"), ("last_return", "judged_last_return"))
        )
        rows.append(
            [name, str(len(found.runs_of(name))), *best, difference_words(*difference(found, name))]
        )
        keys = ("eval_return", "judged_return", "judged_last_return") * len(counted)
        rows[-1] += [*last, *(reached(found, name, key) for key in keys)]
    if len(judges(found)) == 1:
        chance = [
            interval_words(scored(found, names[0], key))
            for key in ("random_return", "judged_random")
        ]
        runs = str(len(found.runs_of(names[0])))
        rows.append(["random actions", runs, *chance, *[""] * (len(head) - 4)])
    return {"head": head, "rows": rows}


def pairs(found: Finished) -> dict[str, dict]:
    """Return {arm: {"here", "there": float [runs]}} of the best policies, as the figure has them.

    Without a judged arm it is {}.
    """
    return {
        name: {
            "here": [run["eval_return"] for run in found.runs_of(name)],
            "there": [run["judged_return"] for run in found.runs_of(name)],
        }
        for name in judged_arms(found)
    }


def caption(found: Finished) -> str:
    """Return the caption of the figure, with what the runs say of policies that change places."""
    here, there = places(found)
    told = "; ".join(verdict_words(found, name) for name in judged_arms(found))
    return (
        f"A run's best policy: its return on {here}, where it was trained, and on {there}. On the "
        f"dotted diagonal both are equal. {told}.{together_words(found)}{ranks_words(found)}"
    )


def verdict_words(found: Finished, name: str) -> str:
    """Return whether an arm returns more or less there, in a clause."""
    mean, low, high = difference(found, name)
    shown = (low > 0) - (high < 0) if np.isfinite(low) else 0
    says = {
        1: "returns more there",
        -1: "returns less there",
        0: "no difference is shown",
    }[shown]
    own = pairs(found)[name]
    below = int(np.less(own["there"], own["here"]).sum())
    return (
        f"{name}: {says} ({difference_words(mean, low, high)}), {below} of "
        f"{formatting.count(len(own['here']), 'run')} below the diagonal"
    )


def together_words(found: Finished) -> str:
    """Return how far apart the two returns are, all arms together; nothing of a single arm."""
    if len(judged_arms(found)) == 1:
        return ""
    return f" All arms together, there less here: {difference_words(*together(found))}."


def ranks_words(found: Finished) -> str:
    """Return how alike the runs of all arms are ranked; nothing of few runs, or of equal ones."""
    here, there = (np.concatenate([own[side] for own in pairs(found).values()]) for side in PLACES)
    if len(here) < RANKED or np.ptp(here) == 0 or np.ptp(there) == 0:
        return ""
    rho = formatting.number(float(spearmanr(here, there).statistic), 2)
    return f" Rank correlation of the {len(here)} runs (Spearman's): {rho}."


def reached_words(found: Finished) -> str:
    """Return on how many seeds best policies have at least what counts as solved, in both places.

    Without a judged arm, or where nothing counts as solved, it is empty.
    """
    names, threshold = judged_arms(found), found.config.solved_return
    if not names or threshold is None:
        return ""
    here, there = places(found)
    told = [
        f"{name} on {reached(found, name, 'judged_return')} seeds"
        f" ({reached(found, name, 'eval_return')})"
        for name in names
    ]
    return (
        f"a best policy returns at least {formatting.short(threshold)} on gymnasium's {there} "
        f"(on {here}): {', '.join(told)}"
    )


def section(found: Finished, figures: dict[str, dict]) -> list[dict]:
    """Return the section of a judged study: [] for another.

    Args:
      figures: as `figures.draw_figures` made them.
    """
    if not judged_arms(found):
        return []
    here, there = places(found)
    episodes = max(found.arms[name].config.test_episodes for name in judged_arms(found))
    text = (
        f"Policies were trained on {here} (here), and then played on gymnasium's {there} (there), "
        f"greedily, {formatting.count(episodes, 'whole episode')} each; runs of one seed play the "
        "same ones. Interquartile means with 95 % intervals over seeds; differences are means of "
        "the best policies, run by run, with t-intervals."
    )
    drawn = [figures["transfer"] | {"caption": caption(found)}] if "transfer" in figures else []
    title = f"On gymnasium's {there}"
    return [{"title": title, "text": text, "figures": drawn, "table": table(found)}]
