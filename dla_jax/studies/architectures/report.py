"""From the record of a comparison of networks to its summary, figures and report."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dla_jax.evidence import formatting, records, report, stats, tables, verdicts
from dla_jax.evidence.selection import rate_words, section
from dla_jax.plots import accuracy
from dla_jax.tasks.classifier import rate_score
from dla_jax.trials.arms import (
    choose_rates,
    final_cells,
    lender_of,
    own_config,
    seeds_of,
    select_cells,
)

TEST = 3 + tables.MEASURE_HEAD.index("test % [95 % interval]")


def draw(workdir: Path) -> None:
    """Writes `summary.json`, `figures/*.png` and `report.html` of a finished study; the record is only read.

    Raises:
      ConfigError: no study there, or an unfinished one.
    """
    written, config, rows, done = records.read_finished(workdir, num_runs)
    summary = summarise(config, done, lambda run: cost_and_use(run, written["data"]["num_classes"]))
    records.write_summary(workdir, summary)
    report.render(
        workdir / "report.html",
        title=f"Networks on {config.data.name}",
        question=config.question,
        command=written["launches"][0]["command"],
        claims=summary["claims"],
        sections=[
            *sections(config, summary, rows, workdir),
            *class_section(config, written, summary),
        ],
        facts=records.facts(written, summary),
    )
    records.print_lines(printed_lines(config, summary), summary["claims"], workdir)


def sections(config, summary: dict, rows: list[dict], workdir: Path) -> list[dict]:
    """The sections of the report that compare the networks, with their figures drawn."""
    return [
        {
            "title": "The networks",
            "figures": [
                {
                    "path": draw_networks(config, summary, workdir),
                    "caption": "Test accuracy and "
                    "loss of the state that is best on validation: mean (diamond), 95 % t-interval (bar), seeds (dots).",
                },
                *draw_pair(config, summary, workdir),
            ],
            "table": {
                "head": ["network", "reported", "learning rate", *tables.MEASURE_HEAD],
                "rows": network_rows(config, summary),
            },
        },
        {
            "title": "Training",
            "figures": [
                {"path": draw_curves(config, summary, rows, workdir), "caption": "Mean and range."}
            ],
        },
        *section(summary["selection"]),
    ]


def class_section(config, written: dict, summary: dict) -> list[dict]:
    """Return the section of accuracy class by class, where the record has it."""
    runs = {
        network: [run for run in summary["runs"] if run["group"] == network]
        for network in by_size(config, summary)
    }
    return tables.class_section(written["data"]["class_names"], runs)


def printed_lines(config, summary: dict) -> list[str]:
    """The short table on the screen."""
    lines = []
    for row in network_rows(config, summary):
        runs = [run for run in summary["runs"] if run["group"] == row[0]]
        lines.append(f"{row[0]:<24} {row[TEST]}{tables.balanced_words(runs)}   reported: {row[1]}")
    return lines + tables.largest_words(summary["runs"])


def by_size(config, summary: dict) -> list[str]:
    """The networks, the smallest first."""
    params = {run["group"]: run["num_params"] for run in summary["runs"]}
    return sorted(config.networks, key=lambda network: params[network])


def num_runs(config) -> int:
    """How many runs the study has."""
    return len(select_cells(config)) + len(final_cells(config))


NEGLIGIBLE = 0.05  # accuracy beyond guessing that would be of no use


def cost_and_use(run: dict, num_classes: int) -> dict:
    """What claims compare beside accuracy and loss: `beyond_guessing`, accuracy minus that of guessing minus NEGLIGIBLE, and
    `log2_seconds`, the binary logarithm of the seconds of an epoch."""
    seconds = run["seconds_per_epoch"]
    return {
        "beyond_guessing": run["test_accuracy"] - 1 / num_classes - NEGLIGIBLE,
        "log2_seconds": None if seconds is None else math.log2(seconds),
    }


def depth_of(config, network: str) -> dict[str, int]:
    """What a run of image nets says beside its scores."""
    return {"depth": own_config(config, network).model.depth}


def summarise(
    config, done: dict[str, dict], measured: Callable, sized: Callable = depth_of
) -> dict:
    """The finished runs -> {"study", "runs", "claims", "selection"}.

    `measured`: the last row of a run -> what else its claims compare; `sized`: (config, network) -> what else is said of it.
    """
    final = [row for row in done.values() if row["stage"] == "final"]
    runs = [
        {"arm": row["group"]} | sized(config, row["group"]) | tables.run_of(row) | measured(row)
        for row in final
    ]
    runs.sort(key=lambda run: (list(config.networks).index(run["arm"]), run["seed"]))
    claims = [
        {"name": name} | verdicts.weigh(claim, runs)
        for name, claim in config.claims.to_dict().items()
    ]
    cells = select_cells(config)
    return {
        "study": f"{config.experiment} on {config.data.name}",
        "runs": runs,
        "claims": claims,
        "selection": records.select_rows(cells, done, choose_rates(config, done, rate_score)),
    }


def network_rows(config, summary: dict) -> list[list[str]]:
    """The table of the networks, as text."""
    rows = []
    for network in by_size(config, summary):
        runs = [run for run in summary["runs"] if run["group"] == network]
        rate, lender = (
            rate_words(summary["selection"], network, runs[0]["lr"]),
            lender_of(config, network),
        )
        rows.append(
            [
                network,
                config.reported[network],
                rate if lender is None else f"{rate} (that of {lender})",
                *tables.measures(runs),
            ]
        )
    return rows


def draw_networks(config, summary: dict, workdir: Path) -> Path:
    """The figure of accuracies and losses."""
    rows = []
    for network in by_size(config, summary):
        runs = [run for run in summary["runs"] if run["group"] == network]
        losses = [run["test_loss"] for run in runs if run["test_loss"] is not None]
        rows.append(
            {"label": network, "accuracy": [run["test_accuracy"] for run in runs], "loss": losses}
        )
    accuracy.networks(rows, tables.intervals(rows), workdir / "figures" / "networks.png")
    return workdir / "figures" / "networks.png"


def draw_pair(config, summary: dict, workdir: Path) -> list[dict]:
    """The figure of the paired runs, with its caption; nothing where the study has no pair with two seeds in common."""
    runs = {
        network: {run["seed"]: run for run in summary["runs"] if run["group"] == network}
        for network in config.pair
    }
    seeds = sorted(set.intersection(*map(set, runs.values()))) if runs else []
    if len(seeds) < 2:
        return []
    values = {
        network: np.array([by_seed[seed]["test_accuracy"] for seed in seeds])
        for network, by_seed in runs.items()
    }
    seconds = {
        network: [run["seconds_per_epoch"] for run in by_seed.values() if not run["diverged"]]
        for network, by_seed in timed_runs(config, summary).items()
    }
    first, second = config.pair
    path = workdir / "figures" / "pair.png"
    accuracy.pair(
        values, stats.t_interval(values[second] - values[first], bounds=(-1.0, 1.0)), seconds, path
    )
    caption = f"""{formatting.count(len(seeds), "paired run")}: a line a seed, which fixes split, order and the weights that
        both share at first, blue where the second is better, orange where it is worse (left); the differences with their mean
        and 95 % t-interval (middle); seconds of an epoch, all runs (right)."""
    return [{"path": path, "caption": caption}]


def timed_runs(config, summary: dict) -> dict[str, dict[int, dict]]:
    """{network: {seed: run}} of the pair, the plain net as the one that has no addition to do where the study has it."""
    shown = [
        f"{name}_no_addition" if f"{name}_no_addition" in config.networks else name
        for name in config.pair
    ]
    return {
        name: {run["seed"]: run for run in summary["runs"] if run["group"] == name}
        for name in shown
    }


def draw_curves(config, summary: dict, rows: list[dict], workdir: Path) -> Path:
    """The figure of training loss and validation accuracy."""
    curves = {}
    for i, network in enumerate(by_size(config, summary)):
        runs = [
            [
                row
                for row in rows
                if row["run"] == f"final/{network}/seed{seed}" and not row.get("done")
            ]
            for seed in seeds_of(config, network)
        ]
        if not all(runs):
            continue  # a baseline that is not trained step by step
        curves[network] = tables.curve(own_config(config, network), runs) | {
            "colour": i,
            "dashed": i >= 7,
        }
    accuracy.training_curves(curves, workdir / "figures" / "curves.png")
    return workdir / "figures" / "curves.png"
