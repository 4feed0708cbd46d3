"""From the record of a comparison of networks to its summary, figures and report."""

import json
from pathlib import Path

from ml_collections import ConfigDict

from dla_jax import plots, report, stats
from dla_jax.config import check, read_config, write_atomically
from dla_jax.experiments import image_report, image_runs
from dla_jax.experiments.architectures_grid import own_config, select_cells
from dla_jax.logs import finite_or_none, read_rows

TEST = 3 + image_report.MEASURE_HEAD.index("test % [95 % interval]")


def draw(workdir: Path) -> None:
    """Writes `summary.json`, `figures/*.png` and `report.html` of a finished study; the record is only read.

    Raises:
      ConfigError: no study there, or an unfinished one.
    """
    written, rows = read_config(workdir), read_rows(workdir / "metrics.jsonl")
    config, done = ConfigDict(written["config"]), {row["run"]: row for row in rows if row.get("done")}
    expected = len(select_cells(config)) + len(config.networks) * len(config.seeds)
    check(len(done) == expected, f"the study in {workdir} is not finished ({len(done)} of {expected} runs); go on with: "
          f"{image_report.resume_command(written, workdir)}")  # fmt: skip
    summary = summarise(config, done)
    write_atomically(workdir / "summary.json", json.dumps(finite_or_none(summary), indent=1, allow_nan=False))
    table = network_rows(config, summary)
    sections = [
        {"title": "The networks", "figures": [{"path": draw_networks(config, summary, workdir), "caption": "Test accuracy and "
         "loss at the end: mean (diamond), 95 % t-interval (bar), seeds (dots). The loss can rank nets otherwise."}],
         "table": {"head": ["network", "reported", "learning rate", *image_report.MEASURE_HEAD], "rows": table}},
        {"title": "Training", "figures": [{"path": draw_curves(config, summary, rows, workdir), "caption": "Mean and range."}]},
    ]  # fmt: skip
    report.render(workdir / "report.html", title=f"Networks on {config.data.name}", question=config.question,
                  command=written["launches"][0]["command"], claims=summary["claims"], sections=sections,
                  facts=image_report.facts(written, summary))  # fmt: skip
    image_report.print_lines([f"{row[0]:<24} {row[TEST]}   reported: {row[1]}" for row in table], summary["claims"], workdir)


def by_size(config, summary: dict) -> list[str]:
    """The networks, the smallest first."""
    params = {run["group"]: run["num_params"] for run in summary["runs"]}
    return sorted(config.networks, key=lambda network: params[network])


def summarise(config, done: dict[str, dict]) -> dict:
    """The finished runs -> {"study", "runs", "claims", "selection"}."""
    final = [row for row in done.values() if row["stage"] == "final"]
    runs = [{"arm": row["group"], "depth": config.networks[row["group"]].model.depth}
            | {key: row[key] for key in image_report.RUN_KEYS} for row in final]  # fmt: skip
    runs.sort(key=lambda run: (list(config.networks).index(run["arm"]), run["seed"]))
    claims = [{"name": name} | stats.weigh(claim, runs) for name, claim in config.claims.to_dict().items()]
    cells = select_cells(config)
    return {"study": f"architectures on {config.data.name}", "runs": runs, "claims": claims,
            "selection": image_report.select_rows(cells, done, image_runs.best_rates(cells, done))}  # fmt: skip


def network_rows(config, summary: dict) -> list[list[str]]:
    """The table of the networks, as text."""
    rows = []
    for network in by_size(config, summary):
        runs = [run for run in summary["runs"] if run["group"] == network]
        tried = [row["lr"] for row in summary["selection"] if row["group"] == network]
        edge = bool(tried) and runs[0]["lr"] in (min(tried), max(tried))
        rows.append(
            [network, config.reported[network], f"{runs[0]['lr']:g}{' (edge)' if edge else ''}", *image_report.measures(runs)]
        )
    return rows


def draw_networks(config, summary: dict, workdir: Path) -> Path:
    """The figure of accuracies and losses."""
    rows = []
    for network in by_size(config, summary):
        runs = [run for run in summary["runs"] if run["group"] == network]
        losses = [run["test_loss"] for run in runs if run["test_loss"] is not None]
        rows.append({"label": network, "accuracy": [run["test_accuracy"] for run in runs], "loss": losses})
    plots.networks(rows, {key: [stats.t_interval(row[key]) for row in rows if row[key]] for key in ("accuracy", "loss")},
                   workdir / "figures" / "networks.png")  # fmt: skip
    return workdir / "figures" / "networks.png"


def draw_curves(config, summary: dict, rows: list[dict], workdir: Path) -> Path:
    """The figure of training loss and validation accuracy."""
    curves = {}
    for i, network in enumerate(by_size(config, summary)):
        runs = [[row for row in rows if row["run"] == f"final/{network}/seed{seed}" and not row.get("done")]
                for seed in config.seeds]  # fmt: skip
        curves[network] = image_report.curve(own_config(config, network), runs) | {"colour": i, "dashed": False}
    plots.training_curves(curves, workdir / "figures" / "curves.png")
    return workdir / "figures" / "curves.png"
