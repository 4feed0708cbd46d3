"""What the runs of an arm come to: interquartile means of returns with their intervals."""

import numpy as np

from dla_jax.evidence import formatting, stats
from dla_jax.studies.agents.programs import return_bounds
from dla_jax.studies.study import Finished


def bounded_interval(config, values) -> tuple[np.ndarray, np.ndarray]:
    """Return the interval of the interquartile mean of returns, cut where no return can lie.

    Args:
      config: of the arm.
      values: float [runs, ...].
    """
    bounds = return_bounds(config)
    low, high = stats.iqm_interval(values)
    return np.clip(low, *bounds), np.clip(high, *bounds)


def scored(found: Finished, name: str, key: str) -> dict:
    """Return a value of the runs of an arm, with its interquartile mean and interval.

    The interval of one or two runs is infinite.
    """
    values, ends = [run[key] for run in found.runs_of(name)], (-np.inf, np.inf)
    if len(values) >= stats.FEWEST:
        ends = bounded_interval(found.arms[name].config, values)
    iqm = float(stats.iqm(values))
    return {"values": values, "iqm": iqm, "low": float(ends[0]), "high": float(ends[1])}


def interval_words(row: dict) -> str:
    """Return an interquartile mean with its interval: `499.8 [498.0, 500.0]`."""
    words = formatting.number(row["iqm"], 1)
    if not np.isfinite(row["low"]):
        return words
    return f"{words} [{formatting.number(row['low'], 1)}, {formatting.number(row['high'], 1)}]"
