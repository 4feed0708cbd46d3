"""From the record of a comparison of networks to its summary, figures and report."""

import math

import numpy as np

from dla_jax.evidence import answers, formatting, stats, tables
from dla_jax.evidence.selection import rate_words, section
from dla_jax.plots import accuracy, training
from dla_jax.studies.study import Finished

NETWORK_HEAD = ("network", "reported", "learning rate", *tables.MEASURES)
CAPTIONS = {
    "networks": """Test accuracy and loss of the state that is best on validation: mean (diamond),
        95 % t-interval (bar), seeds (dots).""",
    "pair": """{runs}: a line a seed, which fixes split, order and the weights that both share at
        first, blue where the second is better, orange where it is worse (left); the differences
        with their mean and 95 % t-interval (middle); seconds of an epoch, all runs (right).""",
    "curves": "Mean and range.",
}


def answer(found: Finished) -> str:
    """Return how the second network of the pair compares with the first.

    Without a pair it is the network that is best on validation beside the next one.
    """
    if found.config.pair:
        first, second = found.config.pair
        return answers.two_accuracies(found, second, first)
    return best_words(found, found.arms)


def best_words(found: Finished, networks) -> str:
    """Return how the best of some networks on validation compares with the next one."""
    ranked = answers.ranked(found, networks)
    if len(ranked) < 2:
        return answers.one_accuracy(found, ranked[0])
    remarks = ", best on validation,", ", the next,"
    return answers.two_accuracies(found, *ranked[:2], remarks)


def best_beside(found: Finished, baselines: list[str]) -> str:
    """Return how the network that is best on validation compares with the best baseline.

    Where either is missing it is the best network beside the next one.
    """
    others = [name for name in found.arms if name not in baselines]
    if not (baselines and others):
        return best_words(found, found.arms)
    remark = ", best on validation," if len(others) > 1 else ""
    best = answers.ranked(found, others)[0]
    return answers.two_accuracies(found, best, answers.ranked(found, baselines)[0], (remark, ""))


def network_run(found: Finished, row: dict) -> dict:
    """Return what the summary keeps of a run, and what its claims compare."""
    return tables.run_of(row) | cost_and_use(row, found.written["data"]["num_classes"])


def cost_and_use(run: dict, num_classes: int) -> dict:
    """Return what claims compare beside accuracy and loss.

    `above_guessing` is the accuracy minus that of guessing, `log2_seconds` the binary logarithm of
    the seconds of an epoch.
    """
    seconds = run["seconds_per_epoch"]
    return {
        "above_guessing": run["test_accuracy"] - 1 / num_classes,
        "log2_seconds": None if seconds is None else math.log2(seconds),
    }


def sections(found: Finished) -> list[dict]:
    """Return the sections of the report, with their figures drawn."""
    return [*network_sections(found), *class_section(found)]


def network_sections(found: Finished) -> list[dict]:
    """Return the sections that compare the networks, with their figures drawn."""
    return [
        {
            "title": "The networks",
            "figures": [draw_networks(found), *draw_pair(found)],
            "table": {"head": NETWORK_HEAD, "rows": measured_rows(found)},
        },
        {"title": "Training", "figures": draw_curves(found)},
        *section(found.summary["selection"]),
    ]


def class_section(found: Finished) -> list[dict]:
    """Return the section of accuracy class by class, where the record has it."""
    runs = {network: found.runs_of(network) for network in by_size(found)}
    return tables.class_section(found.written["data"]["class_names"], runs)


def lines(found: Finished) -> list[str]:
    """Return the short table on the screen."""
    shown, test = [], NETWORK_HEAD.index(tables.MEASURES[tables.TEST])
    for row in measured_rows(found):
        balanced = tables.balanced_words(found.runs_of(row[0]))
        shown.append(f"{row[0]:<24} {row[test]}{balanced}   reported: {row[1]}")
    return shown + tables.largest_words(found.summary["runs"])


def by_size(found: Finished) -> list[str]:
    """Return the networks, the smallest first."""
    params = {run["group"]: run["num_params"] for run in found.summary["runs"]}
    return sorted(found.arms, key=lambda network: params[network])


def measured_rows(found: Finished) -> list[list[str]]:
    """Return the table of the networks, as text."""
    rows = []
    for network in by_size(found):
        runs, lender = found.runs_of(network), found.arms[network].lender
        rate = rate_words(found.summary["selection"], network, runs[0]["lr"])
        rate += f" (that of {lender})" if lender else ""
        rows.append([network, found.config.reported[network], rate, *tables.measures(runs)])
    return rows


def draw_networks(found: Finished) -> dict:
    """Draw accuracies and losses; return the figure with its caption."""
    rows = []
    for network in by_size(found):
        runs = found.runs_of(network)
        losses = [run["test_loss"] for run in runs if run["test_loss"] is not None]
        accuracies = [run["test_accuracy"] for run in runs]
        rows.append({"label": network, "accuracy": accuracies, "loss": losses})
    path = found.figures / "networks.png"
    alt = accuracy.networks(rows, tables.intervals(rows), path)
    return {"path": path, "alt": alt, "caption": CAPTIONS["networks"]}


def draw_pair(found: Finished) -> list[dict]:
    """Draw the paired runs; return the figure with its caption.

    There is none where the study has no pair with two seeds in common.
    """
    pair = found.config.pair
    runs = {name: {run["seed"]: run for run in found.runs_of(name)} for name in pair}
    seeds = sorted(set.intersection(*map(set, runs.values()))) if runs else []
    if len(seeds) < 2:
        return []
    values = {
        name: np.array([by_seed[seed]["test_accuracy"] for seed in seeds])
        for name, by_seed in runs.items()
    }
    interval = stats.t_interval(values[pair[1]] - values[pair[0]], bounds=(-1.0, 1.0))
    path = found.figures / "pair.png"
    alt = accuracy.pair(values, interval, epoch_seconds(found), path)
    words = formatting.count(len(seeds), "paired run")
    return [{"path": path, "alt": alt, "caption": CAPTIONS["pair"].format(runs=words)}]


def epoch_seconds(found: Finished) -> dict[str, list[float]]:
    """Return {network of the pair: seconds of an epoch of each run that did not diverge}.

    Of the plain net it is the one that has no addition to do, where the study has it.
    """
    networks = found.config.networks
    timed = [f"{name}_no_addition" for name in found.config.pair]
    names = [
        bare if bare in networks else name
        for bare, name in zip(timed, found.config.pair, strict=True)
    ]
    return {
        name: [run["seconds_per_epoch"] for run in found.runs_of(name) if not run["diverged"]]
        for name in names
    }


def draw_curves(found: Finished) -> list[dict]:
    """Draw training loss and validation accuracy; return the figure with its caption.

    There is none where nothing is trained step by step, or was ever evaluated.
    """
    curves = {}
    for i, network in enumerate(by_size(found)):
        runs = list(found.rows_of(network).values())
        if not all(runs):
            continue  # a baseline that is not trained step by step
        style = {"colour": i, "dashed": i >= 7}
        curves[network] = tables.curve(found.arms[network].config, runs) | style
    if not any(len(curve["epoch"]) for curve in curves.values()):
        return []
    path = found.figures / "curves.png"
    alt = training.training_curves(curves, path)
    return [{"path": path, "alt": alt, "caption": CAPTIONS["curves"]}]
