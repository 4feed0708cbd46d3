"""From the record of a study of agents to its summary, figures, animations and report."""

from pathlib import Path

import numpy as np

from dla_jax.evidence import formatting, records, report, selection, stats, verdicts
from dla_jax.plots import learning
from dla_jax.plots.style import draw_all
from dla_jax.rl import envs, render
from dla_jax.studies.agents.programs import make_env
from dla_jax.studies.agents.scores import on_grid, rate_score
from dla_jax.trials.arms import choose_rates, final_cells, own_config, seeds_of, select_cells

HEAD = [
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
]
FEW = " It rests on the middle half of the runs, of four on two, and is wide then; of one or two runs there is none."
INSIDE = ("train_length", "entropy", "kl", "clipped", "value_loss", "q", "td_error", "epsilon")


def draw(workdir: Path) -> None:
    """Writes `summary.json`, `figures/*` and `report.html` of a finished study; the record is only read.

    Raises:
      ConfigError: no study there, or an unfinished one.
    """
    written, config, rows, done = records.read_finished(workdir, num_runs)
    summary = summarise(config, done)
    records.write_summary(workdir, summary)
    report.render(
        workdir / "report.html",
        title=f"Agents on {', '.join(environments(config))}",
        question=config.question,
        command=written["launches"][0]["command"],
        claims=summary["claims"],
        sections=sections(config, summary, rows, workdir / "figures"),
        facts=records.facts(written, summary, ""),
    )
    records.print_lines(
        printed_lines(config, summary),
        summary["claims"],
        workdir,
        "return on fresh episodes, interquartile mean [95 % interval]",
    )


def num_runs(config) -> int:
    """How many runs the study has."""
    return len(select_cells(config)) + len(final_cells(config))


def environments(config) -> list[str]:
    """What the arms play."""
    return list(dict.fromkeys(own_config(config, arm).env.name for arm in config.arms))


def summarise(config, done: dict[str, dict]) -> dict:
    """The finished runs -> {"study", "runs", "claims", "selection"}."""
    runs = [
        {"resolution": {}}
        | {key: value for key, value in row.items() if key not in ("run", "done", "stage")}
        | {"censored": censored_of(row)}
        for row in done.values()
        if row["stage"] == "final"
    ]
    runs.sort(key=lambda run: (list(config.order).index(run["group"]), run["seed"]))
    claims = [
        {"name": name} | verdicts.weigh(claim, runs)
        for name, claim in config.claims.to_dict().items()
    ]
    cells = select_cells(config)
    choices = records.select_rows(
        cells, done, choose_rates(config, done, rate_score), "mean_return"
    )
    return {"study": "agents", "runs": runs, "claims": claims, "selection": choices}


def censored_of(run: dict) -> list[str]:
    """Return the values of a run that are only bounds: of one that was never solved, the steps to it are those of the budget."""
    return [] if run["solved_at"] is not None else ["log2_solved"]


def of_arm(summary: dict, arm: str) -> list[dict]:
    """The runs of an arm."""
    return [run for run in summary["runs"] if run["group"] == arm]


def bounded_interval(config, arm: str, values) -> tuple[np.ndarray, np.ndarray]:
    """Return the interval of the interquartile mean of returns float [runs, ...], cut where no return of the arm can lie."""
    bounds = envs.return_bounds(make_env(own_config(config, arm)))
    low, high = stats.iqm_interval(values)
    return np.clip(low, *bounds), np.clip(high, *bounds)


def scored(config, summary: dict, arm: str, key: str) -> dict:
    """Return a value of the runs of an arm, with its interquartile mean and interval; of one or two runs that is infinite."""
    values = [run[key] for run in of_arm(summary, arm)]
    ends = (
        bounded_interval(config, arm, values) if len(values) >= stats.FEWEST else (-np.inf, np.inf)
    )
    return {
        "values": values,
        "iqm": float(stats.iqm(values)),
        "low": float(ends[0]),
        "high": float(ends[1]),
    }


def score_rows(config, summary: dict) -> list[dict]:
    """What each arm, and actions at random where all play one environment, come to: best policies, and the whole of training."""
    keys, first = (
        {"best": "eval_return", "last": "last_return", "whole": "mean_return"},
        config.order[0],
    )
    found = [
        {"label": arm} | {name: scored(config, summary, arm, key) for name, key in keys.items()}
        for arm in config.order
    ]
    if len(environments(config)) == 1:
        best = scored(config, summary, first, "random_return")
        found.append({"label": "random actions", "best": best, "last": None, "whole": None})
    return found


def interval_words(row: dict) -> str:
    """`499.8 [498.0, 500.0]`."""
    ends = (
        [formatting.number(row[end], 1) for end in ("low", "high")]
        if np.isfinite(row["low"])
        else []
    )
    return formatting.number(row["iqm"], 1) + (f" [{', '.join(ends)}]" if ends else "")


def table_rows(config, summary: dict) -> list[list[str]]:
    """The table of the arms, as text."""
    rows, first = [], of_arm(summary, config.order[0])
    for row in score_rows(config, summary):
        if row["whole"] is None:
            rows.append(
                [
                    row["label"],
                    "",
                    "",
                    str(len(first)),
                    interval_words(row["best"]),
                    *[""] * (len(HEAD) - 5),
                ]
            )
            continue
        arm, runs = row["label"], of_arm(summary, row["label"])
        rate = selection.rate_words(summary["selection"], arm, runs[0]["lr"], "mean_return")
        solved = sum(run["solved_at"] is not None for run in runs)
        better = stats.improvement(row["whole"]["values"], [run["mean_return"] for run in first])
        rows.append(
            [
                arm,
                config.reported[arm],
                rate,
                str(len(runs)),
                interval_words(row["best"]),
                interval_words(row["last"]),
                interval_words(row["whole"]),
                f"{solved} of {len(runs)}" if config.solved_at is not None else "no threshold",
                steps_words(config, arm, runs),
                "–" if runs == first else better_words(better, min(len(runs), len(first))),
                str(sum(run["diverged"] for run in runs)),
                f"{runs[0]['num_params']:,}",
                f"{np.mean([run['env_steps_per_s'] for run in runs]):,.0f}",
            ]
        )
    return rows


def better_words(better: tuple[float, float, float], fewest: int) -> str:
    """Return `0.75 [0.50, 0.94]`; without the interval where an arm has hardly any runs."""
    return f"{better[0]:.2f}" + (
        f" [{better[1]:.2f}, {better[2]:.2f}]" if fewest >= stats.FEWEST else ""
    )


def steps_words(config, arm: str, runs: list[dict]) -> str:
    """Return `15,360 to 20,480`: between which steps the median run is solved, of all runs of an arm.

    A run that is never solved counts as later than any; of records that do not say after which steps, only the second number.
    """
    if config.solved_at is None:
        return "–"
    steps = np.median([np.inf if run["solved_at"] is None else run["solved_at"] for run in runs])
    if not np.isfinite(steps):
        return f"> {own_config(config, arm).total_steps:,}"
    if any("solved_after" not in run for run in runs):
        return f"{steps:,.0f}"
    after = np.median([np.inf if run["solved_at"] is None else run["solved_after"] for run in runs])
    return f"{after:,.0f} to {steps:,.0f}"


def printed_lines(config, summary: dict) -> list[str]:
    """The short table on the screen."""
    lines = []
    for row in score_rows(config, summary):
        words = f"{row['label']:<24} {interval_words(row['best'])}"
        if row["whole"] is not None:
            runs = of_arm(summary, row["label"])
            solved = sum(run["solved_at"] is not None for run in runs)
            words += f"   over training {interval_words(row['whole'])}"
            words += f"   solved {solved} of {len(runs)}" if config.solved_at is not None else ""
            words += f"   reported: {config.reported[row['label']]}"
        lines.append(words)
    undrawn = undrawn_environments(config)
    return lines + nothing_to_learn(config, summary) + ([undrawn_words(undrawn)] if undrawn else [])


def nothing_to_learn(config, summary: dict) -> list[str]:
    """Return a line for each arm whose every evaluation had the return of random actions: no choice changes anything there."""
    lines = []
    for arm in config.order:
        keys = ("eval_return", "last_return", "mean_return", "random_return")
        found = {run[key] for run in of_arm(summary, arm) for key in keys}
        if len(found) == 1:
            value = formatting.short(found.pop())
            lines.append(
                f"{arm}: every episode has return {value}, as random actions have; there is nothing to learn"
            )
    return lines


def solved_words(config) -> str:
    """Return what counts as solved, and how closely it is known when."""
    if config.solved_at is None:
        return ""
    return (
        f" Solved: an evaluation of {config.eval_episodes} episodes reaches {formatting.short(config.solved_at)}. When, is known "
        'up to the interval between two evaluations, which is what "steps to solve" shows of the median run; claims about it '
        "take the middle, on the scale of doublings, and their intervals are widened by half of what the two lie apart."
    )


def sections(config, summary: dict, rows: list[dict], folder: Path) -> list[dict]:
    """The sections of the report, with their figures drawn."""
    found, missing = draw_figures(config, summary, rows, folder), undrawn_environments(config)
    undrawn, alike = (
        {"text": undrawn_words(missing)} if missing else {},
        " ".join(nothing_to_learn(config, summary)),
    )
    figure = lambda name, caption: (
        [{"path": found[name], "caption": caption}] if name in found else []
    )
    all_sections = [
        {
            "title": "Returns",
            "text": f"The policy that was best in evaluation, greedily on {config.test_episodes} fresh "
            f"episodes, the last one, and the mean over all evaluations of training, which P(better) compares. Interquartile means "
            f"with 95 % intervals over seeds.{solved_words(config)} {alike}",
            "figures": figure(
                "scores",
                f"Runs (dots), interquartile mean (diamond), its 95 % interval (bar).{FEW}",
            ),
            "table": {"head": HEAD, "rows": table_rows(config, summary)},
        },
        *selection.section(summary["selection"], "mean_return", "return"),
        {
            "title": "Learning curves",
            "figures": [
                *figure(
                    "together",
                    f"Greedy evaluation on {config.eval_episodes} episodes; band: 95 % interval of the "
                    "interquartile mean; dotted: solved. A run whose evaluations do not lie at equal parts of the budget, since "
                    "its updates are whole episodes, is interpolated there.",
                ),
                *figure("curves", "Each arm with its single seeds, where they were evaluated."),
            ],
        },
        {
            "title": "When is it solved?",
            "figures": figure(
                "solved",
                "Seeds whose evaluation has once reached the return that "
                "counts as solved, from that evaluation on; a line that ends low: some "
                "seeds fail.",
            ),
        },
        {
            "title": "Inside the updates",
            "figures": figure("inside", "Means over seeds of what the updates said."),
        },
        {
            "title": "The policy, played",
            "figures": [
                {
                    "path": path,
                    "caption": f"{name.removeprefix('policy_')}, first seed: before training, halfway, at the end.",
                }
                for name, path in found.items()
                if name.startswith("policy_")
            ],
            **undrawn,
        },
    ]
    return [section for section in all_sections if section.get("figures") or "text" in section]


def undrawn_environments(config) -> list[str]:
    """Return the environments whose episodes cannot be drawn."""
    found = {}
    for arm in config.order:
        env = make_env(own_config(config, arm))
        if not render.can_draw(env.name, env.native_shape):
            found[env.name] = None
    return list(found)


def undrawn_words(environments: list[str]) -> str:
    """Return why there is no animation."""
    return (
        f"No episode of {', '.join(environments)} is drawn: pictures are made of {', '.join(render.CONTROL)} and of environments "
        "whose observations are images."
    )


def curve_of(config, rows: list[dict], arm: str) -> dict:
    """Return the evaluations of all seeds of an arm, and at equal parts of the budget their interquartile mean and interval."""
    runs = [
        [row for row in rows if row["run"] == f"final/{arm}/seed{seed}" and not row.get("done")]
        for seed in seeds_of(config, arm)
    ]
    grid = [row["step"] for row in runs[0]]
    returns = np.array([on_grid(run, grid, "eval_return") for run in runs])
    iqm, ends = stats.iqm(returns), bounded_interval(config, arm, returns)
    low, high = (
        (np.where(np.isfinite(end), end, iqm) for end in ends)
        if len(runs) >= stats.FEWEST
        else (iqm, iqm)
    )
    told = [name for name in INSIDE if name in runs[0][1]]
    metrics = {name: np.array([on_grid(run[1:], grid[1:], name) for run in runs]) for name in told}
    return {
        "step": grid,
        "seeds": [
            ([row["env_steps"] for row in run], [row["eval_return"] for row in run]) for run in runs
        ],
        "iqm": iqm,
        "low": low,
        "high": high,
        "metrics": {
            name: np.ma.masked_invalid(values).mean(0).filled(np.nan)
            for name, values in metrics.items()
        },
    }


def draw_figures(config, summary: dict, rows: list[dict], folder: Path) -> dict[str, Path]:
    """All figures and animations that there is something for: {name: path}."""
    arms = {arm: curve_of(config, rows, arm) for arm in config.order}
    several = arms if len(arms) > 1 else {}
    solved = {
        arm: {
            "steps": [run["solved_at"] for run in of_arm(summary, arm)],
            "budget": own_config(config, arm).total_steps,
        }
        for arm in (config.order if config.solved_at is not None else ())
    }
    inside = {
        name: {
            arm: (found["step"][1:], found["metrics"][name])
            for arm, found in arms.items()
            if name in found["metrics"]
        }
        for name in INSIDE
    }
    paths = draw_all(
        {
            "scores": (learning.scores, score_rows(config, summary)),
            "together": (learning.together, several, config.solved_at),
            "curves": (learning.curves, arms, config.solved_at),
            "solved": (learning.solved, solved),
            "inside": (learning.inside, {name: found for name, found in inside.items() if found}),
        },
        folder,
    )
    for arm in config.order:
        panels = panels_of(config, rows, arm)
        if panels:
            paths[f"policy_{arm}"] = folder / f"policy_{arm}.gif"
            render.gif(paths[f"policy_{arm}"], panels)
    return paths


def panels_of(config, rows: list[dict], arm: str) -> list[dict]:
    """The episodes of an arm's first seed that were kept, as `render.gif` takes them."""
    name, own = f"final/{arm}/seed{seeds_of(config, arm)[0]}", own_config(config, arm)
    kept = [row for row in rows if row["run"] == name and "watched" in row]
    return [
        {
            "title": f"{row['env_steps']:,} steps",
            "name": own.env.name,
            "obs": unpacked(row["watched"]["obs"]),
            "note": f"return {formatting.short(row['watched']['return'])}",
        }
        for row in kept
    ]


def unpacked(obs: list) -> np.ndarray:
    """Observations as `agents_runs.watch` packed them: [T, D] as they are, integers [T, H, W] -> channels [T, H, W, C]."""
    obs = np.array(obs)
    if obs.ndim < 3:
        return obs
    channels = max(1, int(obs.max()).bit_length())
    return obs[..., None] >> np.arange(channels) & 1
