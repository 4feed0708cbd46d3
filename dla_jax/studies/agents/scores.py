"""What a run's evaluations come to, counted in the environment steps that were taken.

An evaluation is due at equal parts of the budget, the row's "step", and is made once an update has
reached it, at the row's "env_steps". An update of REINFORCE is whole episodes, so that the two
differ by up to an update; of DQN and PPO they are equal.
"""

import numpy as np


def on_grid(rows: list[dict], grid: list[int], name: str) -> np.ndarray:
    """Return a run's values at the environment steps of `grid`, float [len(grid)].

    They are interpolated linearly between its rows.

    The first value holds before them and the last one after. A row without a value, None, makes
    what it touches nan.
    """
    values = np.array([row[name] for row in rows], float)
    return np.interp(grid, [row["env_steps"] for row in rows], values)


def solved(rows: list[dict], threshold: float | None, first_update: int, budget: int) -> dict:
    """Return when a run reached the threshold, as closely as its evaluations tell.

    That was after "solved_after" environment steps and at "solved_at" at the latest, the evaluation
    that first reached it; both None for never. "log2_solved" is the middle of the binary logarithms
    of the two, and "resolution" says that it may be off by half of what they lie apart. Never: that
    of the budget, which is only a lower bound.

    Args:
      first_update: environment steps after the first update, before which nothing was learned.
    """
    if threshold is None:
        return {"solved_after": None, "solved_at": None, "log2_solved": None, "resolution": {}}
    at = next((row["env_steps"] for row in rows if row["eval_return"] >= threshold), None)
    if at is None:
        log2_budget = float(np.log2(max(1, budget)))
        return {
            "solved_after": None,
            "solved_at": None,
            "log2_solved": log2_budget,
            "resolution": {"log2_solved": 0.0},
        }
    after = max((row["env_steps"] for row in rows if row["env_steps"] < at), default=0)
    least = max(1, first_update)  # no update at all where none fits the budget
    low, high = np.log2([max(after, least), max(at, least)])
    return {
        "solved_after": after,
        "solved_at": at,
        "log2_solved": float(low + high) / 2,
        "resolution": {"log2_solved": float(high - low) / 2},
    }


def result_of(config, rows: list[dict], scores: dict, first_update: int) -> dict:
    """Return what a run's evaluations come to.

    A run that diverged counts as chance: its scores are `scores["random_return"]`.

    `mean_return` is the mean at equal parts of the budget after the first evaluation (the area
    under the curve), `late_return` that over the second half; when it was solved is as `solved`
    says.
    """
    later = rows[1:] or rows
    curve = on_grid(rows, [row["step"] for row in later], "eval_return")
    best = max(rows, key=lambda row: (row["eval_return"], row["env_steps"]))
    broken = [row["env_steps"] for row in rows if not row["finite"]]
    rates = [
        row["env_steps_per_s"] for row in later if row["env_steps_per_s"]
    ]  # none where no update fitted
    result = {
        "step": rows[-1]["step"],
        "env_steps": rows[-1]["env_steps"],
        "best_step": best["env_steps"],
        "mean_return": float(np.mean(curve)),
        "late_return": float(np.mean(curve[len(curve) // 2 :])),
        "env_steps_per_s": float(np.mean(rates)) if rates else 0.0,
        "diverged": bool(broken),
        "diverged_at": broken[0] if broken else None,
    }
    replaced = ("eval_return", "last_return", "mean_return", "late_return") if broken else ()
    result |= dict.fromkeys(replaced, scores["random_return"])
    return result | solved(rows, config.solved_return, first_update, config.total_steps)
