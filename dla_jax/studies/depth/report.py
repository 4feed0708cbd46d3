"""From the record of a depth study to its summary and report."""

from pathlib import Path

import numpy as np

from dla_jax.evidence import formatting, records, report, stats, tables, verdicts
from dla_jax.evidence.selection import rate_words, section
from dla_jax.studies.depth.arms import (
    choose_rates,
    final_cells,
    groups_of,
    reference_of,
    resolve,
    select_cells,
)
from dla_jax.studies.depth.figures import accuracies_of, draw_figures, label

GROUP_HEAD = ["arm", "depth", "learning rate", *tables.MEASURE_HEAD]
QUESTION = """Deeper plain nets stop improving, residual ones do not: is it true, by how much, and is it the skip, the
initialisation, the normalisation or the learning rate?"""
CAPTIONS = {
    "accuracy": """Test accuracy: mean and 95 % t-interval over seeds, single runs as dots. Every arm has its own learning rate
        at each depth, except “shared lr”, which keeps the one of the reference depth. At depth 1 all arms are one net.""",
    "explanations": """Is it the skip, the initialisation, the norm or the learning rate? Paired differences to the plain net of
        depth {deepest}: mean (diamond), 95 % t-interval (bar), seeds (dots).""",
    "curves": """Depth {reference} (dashed) and {deepest} (solid): mean and range of the runs. A training loss that stays high is
        a failure to optimise, not over-fitting.""",
    "gradients_start": """Depth {deepest}, before the first update: L2 norm of each layer's gradient, geometric mean over
        seeds.""",
    "gradients": """Depth {deepest}, first seed, along training, one scale for all panels; before clipping. Light grey: exactly
        zero; dark grey: below the scale.""",
    "rates": "Validation accuracy of the grid.",
}


def draw(workdir: Path) -> None:
    """Writes `summary.json`, `figures/*.png` and `report.html` of a finished study; the record is only read.

    Raises:
      ConfigError: no study there, or an unfinished one.
    """
    written, config, rows, done = records.read_finished(
        workdir, lambda config: len(select_cells(config)) + len(final_cells(config))
    )
    summary = summarise(config, done)
    records.write_summary(workdir, summary)
    figures = draw_figures(
        config, 1 / written["data"]["num_classes"], summary, rows, workdir / "figures"
    )
    report.render(workdir / "report.html", **report_context(config, written, summary, figures))
    print_summary(config, summary, workdir)


def summarise(config, done: dict[str, dict]) -> dict:
    """The finished runs -> {"study", "runs", "claims", "secondary", "selection"}."""
    runs = [
        {"arm": row["arm"], "depth": row["depth"]} | tables.run_of(row)
        for row in done.values()
        if row["stage"] == "final"
    ]
    order = ["both", *config.arms, *config.side_arms]
    runs.sort(key=lambda run: (order.index(run["arm"]), run["depth"], run["seed"]))
    claims = [
        {"name": name}
        | verdicts.weigh(claim | {"contrasts": resolve(config, claim["contrasts"])}, runs)
        for name, claim in config.claims.to_dict().items()
    ]
    selection = records.select_rows(select_cells(config), done, choose_rates(config, done))
    return {
        "study": f"depth_study, {config.model.name} on {config.data.name}",
        "runs": runs,
        "claims": claims,
        "secondary": secondary(config, runs),
        "selection": selection,
    }


def secondary(config, runs: list[dict]) -> dict:
    """Residual minus plain at each depth (Holm-corrected) and the difference of slopes; no verdict hangs on them."""
    depths = sorted(depth for depth in config.depths if depth > 1)
    if not {"plain", "residual"} <= set(config.arms):
        return {"per_depth": [], "slope": None}
    rows = []
    for depth in depths:
        terms = ((1.0, f"residual-{depth}"), (-1.0, f"plain-{depth}"))
        differences = list(verdicts.paired_values(terms, runs, "test_accuracy").values())
        values = {arm: accuracies_of(runs, f"{arm}-{depth}") for arm in ("residual", "plain")}
        contrast = contrast_of(differences)
        rows.append(
            {
                "depth": depth,
                **contrast,
                "superiority": stats.superiority(values["residual"], values["plain"]),
            }
        )
    for row, p in zip(rows, stats.holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = float(p)
    late = [depth for depth in depths if depth >= reference_of(config)]
    if len(late) < 2:
        return {"per_depth": rows, "slope": None}
    by_depth = [
        verdicts.paired_values(
            ((1.0, f"residual-{d}"), (-1.0, f"plain-{d}")), runs, "test_accuracy"
        )
        for d in late
    ]
    per_seed = [[found[seed] for found in by_depth] for seed in by_depth[0]]
    return {"per_depth": rows, "slope": contrast_of(slope(late, per_seed))}


def slope(depths, accuracies) -> np.ndarray:
    """Return the least-squares slope of accuracy on log2(depth): depths [D], accuracies [n, D] -> float [n], per doubling."""
    x = np.log2(np.asarray(depths, float))
    x = x - x.mean()
    return np.asarray(accuracies, float) @ x / (x @ x)


def contrast_of(differences) -> dict:
    """Return what paired differences of accuracy say, without a verdict."""
    found = verdicts.judge(differences, ">", 0.005, bound=1.0)._asdict()
    return {key: value for key, value in found.items() if key not in ("verdict", "reason")}


def group_rows(config, summary: dict) -> list[list[str]]:
    """The table of all groups, as text."""
    table = []
    order = ["both", *config.arms, *config.side_arms]
    for arm, depth, _ in sorted(
        groups_of(config), key=lambda group: (order.index(group[0]), group[1])
    ):
        runs = [run for run in summary["runs"] if run["group"] == f"{arm}-{depth}"]
        rate = rate_words(summary["selection"], f"{arm}-{depth}", runs[0]["lr"])
        table.append([label(arm), str(depth), rate, *tables.measures(runs)])
    return table


def secondary_table(summary: dict) -> dict:
    """Residual minus plain, depth by depth, as text."""
    head = [
        "residual minus plain",
        "points [95 % interval]",
        "p",
        "p (Holm)",
        "Hedges' g",
        "P(residual > plain)",
    ]

    def cells(row):
        undefined = "no spread" if row["n"] >= stats.FEWEST else "too few seeds"
        g = (
            undefined
            if np.isnan(row["hedges_g"])
            else formatting.number(row["hedges_g"], 2, sign=True)
        )
        return [
            formatting.points(row["mean"]) + formatting.interval(row["low"], row["high"]),
            formatting.p_value(row["p"]),
            formatting.p_value(row["p_holm"]) if "p_holm" in row else "one test",
            g,
            f"{row['superiority']:.2f}" if "superiority" in row else "not defined",
        ]

    rows = [[f"depth {row['depth']}", *cells(row)] for row in summary["secondary"]["per_depth"]]
    slope = summary["secondary"]["slope"]
    rows += [["slope per doubling of depth", *cells(slope)]] if slope else []
    return {"head": head, "rows": rows}


def report_context(config, written: dict, summary: dict, figures: dict[str, Path]) -> dict:
    """What the report template is given."""
    captions = {
        name: text.format(deepest=max(config.depths), reference=reference_of(config))
        for name, text in CAPTIONS.items()
    }
    drawn = lambda *names: [
        {"path": figures[name], "caption": captions[name]} for name in names if name in figures
    ]
    sections = [
        {
            "title": "Accuracy against depth",
            "figures": drawn("accuracy", "explanations"),
            "table": {"head": GROUP_HEAD, "rows": group_rows(config, summary)},
        },
        {
            "title": "Secondary comparisons",
            "text": "No verdict hangs on these. P-values per depth are Holm-corrected.",
            "table": secondary_table(summary),
        },
        {"title": "Training", "figures": drawn("curves")},
        {"title": "Gradients", "figures": drawn("gradients_start", "gradients")},
    ]
    shown = {
        label(f"{arm}-{depth}"): [
            run for run in summary["runs"] if run["group"] == f"{arm}-{depth}"
        ]
        for depth in dict.fromkeys((reference_of(config), max(config.depths)))
        for arm in config.arms
    }
    sections += tables.class_section(written["data"]["class_names"], shown)
    sections += [found | {"figures": drawn("rates")} for found in section(summary["selection"])]
    networks = {"mlp": "MLPs", "resnet": "ResNets"}.get(config.model.name, "CNNs")
    return {
        "title": f"Depth study of {networks} on {config.data.name}",
        "question": QUESTION,
        "claims": summary["claims"],
        "sections": sections,
        "facts": records.facts(written, summary),
        "command": written["launches"][0]["command"],
    }


def print_summary(config, summary: dict, workdir: Path) -> None:
    """A short table and the paths written, on standard error."""
    column = GROUP_HEAD.index("test % [95 % interval]")
    lines = []
    for row in group_rows(config, summary):
        runs = [
            run
            for run in summary["runs"]
            if (label(run["arm"]), str(run["depth"])) == (row[0], row[1])
        ]
        lines.append(f"{row[0]:<24} depth {row[1]:>3}   {row[column]}{tables.balanced_words(runs)}")
    records.print_lines(lines + tables.largest_words(summary["runs"]), summary["claims"], workdir)
