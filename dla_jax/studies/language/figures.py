"""From the record of a study of language models to its figures."""

import numpy as np

from dla_jax.evidence import stats
from dla_jax.plots import characters
from dla_jax.plots.style import draw_all
from dla_jax.studies.study import Finished

NAMES = {"val": "validation text", "test": "test text"}


def draw_figures(found: Finished) -> dict[str, dict]:
    """Draw all figures that there is something for: {name: {"path", "alt"}}."""
    run = found.summary["runs"][0]
    scored = NAMES[run["scored_on"]]
    ngrams = by_order(run["ngram_nats_per_char"])
    val_ngrams = by_order(run["val_ngram_nats_per_char"])
    curves = {network: curve(found, network) for network in found.arms}
    positions = {network: loss_by_position(found, network) for network in found.arms}
    figures = {
        "scores": (characters.scores, bars(found), ngrams, scored),
        "curves": (characters.curves, without_none(curves), val_ngrams),
        "by_context": (characters.by_context, without_none(positions), ngrams, scored),
    }
    drawn = draw_all(figures, found.figures)
    for network in found.arms:
        first = found.last_rows(network)[0]
        if "attention" in first:
            path = found.figures / f"attention_{network}.png"
            weights = np.array(first["attention"])
            alt = characters.attention(weights, first["attention_tokens"], path)
            drawn[f"attention_{network}"] = {"path": path, "alt": alt}
    return drawn


def by_order(ngrams: dict[str, float]) -> dict[int, float]:
    """Return {order: nats} of n-grams as the record has them, with whole numbers as keys."""
    return {int(order): nats for order, nats in ngrams.items()}


def without_none(found: dict) -> dict:
    """Return a dict without the keys whose value is None."""
    return {key: value for key, value in found.items() if value is not None}


def bars(found: Finished) -> list[dict]:
    """Return the score of each network's runs with their interval."""
    rows = []
    for network in found.arms:
        nats = [run["nats_per_char"] for run in found.runs_of(network)]
        low, high = stats.t_interval(nats)
        rows.append({"label": network, "nats": nats, "low": low, "high": high})
    return rows


def curve(found: Finished, network: str) -> dict | None:
    """Return training and validation of the runs of a network, at the steps that all reached.

    Runs that diverged are left out; None where no run is left.
    """
    rows, runs = found.rows_of(network), found.runs_of(network)
    seeds = [rows[run["seed"]] for run in runs if not run["diverged"]]
    if not seeds:
        return None
    per_char = runs[0]["tokens_per_char"]
    evaluated = [
        [row for row in seed if row.get("val_nats_per_char") is not None] for seed in seeds
    ]
    shortest, length = min(map(len, evaluated)), min(map(len, seeds))
    return {
        "step": [row["step"] for row in evaluated[0][:shortest]],
        "val": [[row["val_nats_per_char"] for row in seed[:shortest]] for seed in evaluated],
        "train_step": [row["step"] for row in seeds[0][:length]],
        "train": [[row["train_loss"] * per_char for row in seed[:length]] for seed in seeds],
    }


def loss_by_position(found: Finished, network: str) -> tuple[float, np.ndarray] | None:
    """Return (characters a token, mean nats by position in a window), float [T].

    None for runs whose record does not hold it.
    """
    finals = found.last_rows(network)
    known = [row["nats_by_position"] for row in finals if "nats_by_position" in row]
    if not known:
        return None
    return 1 / finals[0]["scored_tokens_per_char"], np.mean(known, axis=0)
