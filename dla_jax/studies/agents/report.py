"""From the record of a study of agents to its summary and report."""

import numpy as np

from dla_jax.config.elsewhere import is_own
from dla_jax.evidence import formatting, selection, stats
from dla_jax.rl import drawers
from dla_jax.studies.agents import judging, transfer
from dla_jax.studies.agents.figures import draw_figures, endings_words, panels_of
from dla_jax.studies.agents.levels import interval_words, scored
from dla_jax.studies.agents.programs import make_env
from dla_jax.studies.study import Finished

HEAD = (
    "arm",
    "reported",
    "learning rate",
    "runs",
    "best policy",
    "last policy",
    "mean over training",
    "solved",
    "steps to solve (median)",
    "P(better than the first)",
    "diverged",
    "parameters",
    "steps/s, side by side",
)
SCORES = {"best": "eval_return", "last": "last_return", "whole": "mean_return"}
LEFT_OUT = ("run", "done", "stage")
CAPTIONS = {
    "scores": """Runs (dots), interquartile mean (diamond), its 95 % interval (bar). It rests on the
        middle half of the runs, of four on two, and is wide then; of one or two runs there is
        none.""",
    "together": """Greedy evaluation on {episodes} episodes; band: 95 % interval of the
        interquartile mean; dotted: solved. A run whose evaluations do not lie at equal parts of the
        budget, since its updates are whole episodes, is interpolated there.""",
    "curves": "Each arm with its single seeds, where they were evaluated.",
    "solved": """Seeds whose evaluation has once reached the return that counts as solved, from that
        evaluation on; a line that ends low: some seeds fail.""",
    "inside": "Means over seeds of what the updates said.",
}


def title(found: Finished) -> str:
    """Return the title of the report."""
    judges = ", ".join(transfer.judges(found))
    return f"Agents on {', '.join(environments(found))}{judges and f', judged on {judges}'}"


def environments(found: Finished) -> list[str]:
    """Return what the arms play."""
    return list(dict.fromkeys(arm.config.env.name for arm in found.arms.values()))


def run_of(found: Finished, row: dict) -> dict:
    """Return what the summary keeps of a run, and which of its values are only bounds."""
    kept = {key: value for key, value in row.items() if key not in LEFT_OUT}
    known = dict.fromkeys(judging.VALUES) | {"resolution": {}} | kept  # judged or not
    return known | {"censored": censored_of(row)}


def censored_of(run: dict) -> list[str]:
    """Return the values of a run that are only bounds.

    Of one that was never solved, the steps to it are those of the budget.
    """
    return [] if run["solved_at"] is not None else ["log2_solved"]


def score_rows(found: Finished) -> list[dict]:
    """Return what each arm comes to: its best policies, the last ones, the whole of training.

    Where all arms play one environment, actions at random stand beside them.
    """
    rows = []
    for name in found.arms:
        scores = {part: scored(found, name, key) for part, key in SCORES.items()}
        rows.append({"label": name} | scores)
    if len(environments(found)) == 1:
        best = scored(found, next(iter(found.arms)), "random_return")
        rows.append({"label": "random actions", "best": best, "last": None, "whole": None})
    return rows


def table_rows(found: Finished, scores: list[dict]) -> list[list[str]]:
    """Return the table of the arms, as text."""
    first, rows = found.runs_of(next(iter(found.arms))), []
    for row in scores:
        if row["whole"] is None:
            empty = [""] * (len(HEAD) - 5)
            rows.append(
                [row["label"], "", "", str(len(first)), interval_words(row["best"]), *empty]
            )
        else:
            rows.append(arm_row(found, row, first))
    return rows


def arm_row(found: Finished, row: dict, first: list[dict]) -> list[str]:
    """Return the row of one arm. `first`: the runs of the arm that others are compared with."""
    config, name = found.config, row["label"]
    runs = found.runs_of(name)
    solved = sum(run["solved_at"] is not None for run in runs)
    better = stats.improvement(row["whole"]["values"], [run["mean_return"] for run in first])
    speed = np.mean([run["env_steps_per_s"] for run in runs])
    return [
        name,
        config.reported[name],
        selection.rate_words(found.summary["selection"], name, runs[0]["lr"], "mean_return"),
        str(len(runs)),
        interval_words(row["best"]),
        interval_words(row["last"]),
        interval_words(row["whole"]),
        f"{solved} of {len(runs)}" if config.solved_return is not None else "no threshold",
        steps_words(found, name),
        "–" if runs == first else better_words(better, min(len(runs), len(first))),
        str(sum(run["diverged"] for run in runs)),
        f"{runs[0]['num_params']:,}",
        f"{speed:,.0f}",
    ]


def better_words(better: tuple[float, float, float], fewest: int) -> str:
    """Return `0.75 [0.50, 0.94]`; without the interval where an arm has hardly any runs."""
    share, low, high = better
    return f"{share:.2f}" + (f" [{low:.2f}, {high:.2f}]" if fewest >= stats.FEWEST else "")


def steps_words(found: Finished, name: str) -> str:
    """Return `15,360 to 20,480`: between which steps the median run of an arm is solved.

    A run that is never solved counts as later than any; of records that do not say after which
    steps, only the second number is there.
    """
    if found.config.solved_return is None:
        return "–"
    runs = found.runs_of(name)

    def median(key: str) -> float:
        return np.median([np.inf if run["solved_at"] is None else run[key] for run in runs])

    steps = median("solved_at")
    if not np.isfinite(steps):
        return f"> {found.arms[name].config.total_steps:,}"
    if any("solved_after" not in run for run in runs):
        return f"{steps:,.0f}"
    return f"{median('solved_after'):,.0f} to {steps:,.0f}"


def lines(found: Finished) -> list[str]:
    """Return the short table on the screen."""
    shown = []
    for row in score_rows(found):
        words = f"{row['label']:<24} {interval_words(row['best'])}"
        if row["whole"] is not None:
            runs = found.runs_of(row["label"])
            solved = sum(run["solved_at"] is not None for run in runs)
            words += f"   over training {interval_words(row['whole'])}"
            if found.config.solved_return is not None:
                words += f"   solved {solved} of {len(runs)}"
            words += f"{transfer.there_words(found, row['label'])}"
            words += f"   reported: {found.config.reported[row['label']]}"
        shown.append(words)
    undrawn, reached = undrawn_environments(found), transfer.reached_words(found)
    shown += [reached] if reached else []
    return shown + nothing_to_learn(found) + ([undrawn_words(undrawn)] if undrawn else [])


def nothing_to_learn(found: Finished) -> list[str]:
    """Return a line for each arm whose every evaluation had the return of random actions.

    No choice changes anything there.
    """
    shown = []
    for name in found.arms:
        keys = (*SCORES.values(), "random_return")
        returns = {run[key] for run in found.runs_of(name) for key in keys}
        if len(returns) == 1:
            value = formatting.short(returns.pop())
            shown.append(
                f"{name}: every episode has return {value}, as random actions have; "
                "there is nothing to learn"
            )
    return shown


def solved_words(config) -> str:
    """Return what counts as solved, and how closely it is known when."""
    if config.solved_return is None:
        return ""
    return (
        f" Solved: an evaluation of {config.eval_episodes} episodes reaches "
        f"{formatting.short(config.solved_return)}. When, is known up to the interval between two "
        'evaluations, which is what "steps to solve" shows of the median run; claims about it take '
        "the middle, on the scale of doublings, and their intervals are widened by half of what "
        "the two lie apart."
    )


def sections(found: Finished) -> list[dict]:
    """Return the sections of the report, with their figures drawn."""
    config, scores = found.config, score_rows(found)
    figures, missing = draw_figures(found, scores), undrawn_environments(found)
    alike = " ".join(nothing_to_learn(found))

    def drawn(*names: str) -> list[dict]:
        return [
            figures[name] | {"caption": CAPTIONS[name].format(episodes=config.eval_episodes)}
            for name in names
            if name in figures
        ]

    policies = [
        drawing
        | {
            "caption": f"{name.removeprefix('policy_')}, first seed: before training, halfway, at "
            f"the end.{endings_words(found, name.removeprefix('policy_'))}",
        }
        for name, drawing in figures.items()
        if name.startswith("policy_")
    ]
    returns = {
        "title": "Returns",
        "text": "The policy that was best in evaluation, greedily on "
        f"{config.test_episodes} fresh episodes, the last one, and the mean over all evaluations "
        "of training, which P(better) compares. Interquartile means with 95 % intervals over seeds."
        f"{solved_words(config)} {alike}",
        "figures": drawn("scores"),
        "table": {"head": HEAD, "rows": table_rows(found, scores)},
    }
    undrawn = {"text": undrawn_words(missing)} if missing else {}
    parts = [
        *transfer.section(found, figures),
        returns,
        *selection.section(found.summary["selection"], "mean_return", "return"),
        {"title": "Learning curves", "figures": drawn("together", "curves")},
        {"title": "When is it solved?", "figures": drawn("solved")},
        {"title": "Inside the updates", "figures": drawn("inside")},
        {"title": "The policy, played", "figures": policies, **undrawn},
    ]
    return [part for part in parts if part.get("figures") or "text" in part]


def undrawn_environments(found: Finished) -> list[str]:
    """Return the environments whose episodes cannot be drawn."""
    undrawn = {}
    for name, arm in found.arms.items():
        if not can_draw(found, name):
            undrawn[arm.config.env.name] = None
    return list(undrawn)


def can_draw(found: Finished, name: str) -> bool:
    """Return whether the episodes of an arm can be drawn; one's own environment is not made."""
    config = found.arms[name].config
    if is_own(config.env.name):
        return bool(panels_of(found, name))
    return drawers.can_draw(config.env.name, make_env(config).scene_shape)


def undrawn_words(environments: list[str]) -> str:
    """Return why there is no animation."""
    return (
        f"No episode of {', '.join(environments)} is drawn: pictures are made of "
        f"{', '.join(drawers.CONTROL)} and of environments whose observations are images of up to "
        f"{len(drawers.CHANNELS)} channels."
    )
