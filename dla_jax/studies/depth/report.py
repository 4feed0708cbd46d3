"""From the record of a depth study to its summary and report."""

import numpy as np

from dla_jax.evidence import formatting, stats, tables, verdicts, weighing
from dla_jax.evidence.selection import rate_words, section
from dla_jax.studies.depth.arms import reference_of
from dla_jax.studies.depth.figures import draw_figures, label
from dla_jax.studies.study import Finished

HEAD = ["arm", "depth", "learning rate", *tables.MEASURES]
QUESTION = """Deeper plain nets stop improving, residual ones do not: is it true, by how much, and
is it the skip, the initialisation, the normalisation or the learning rate?"""
CAPTIONS = {
    "accuracy": """Test accuracy: mean and 95 % t-interval over seeds, single runs as dots. Every
        arm has its own learning rate at each depth, except “shared lr”, which keeps the one of the
        reference depth. At depth 1 all arms are one net.""",
    "explanations": """Is it the skip, the initialisation, the norm or the learning rate? Paired
        differences to the plain net of depth {deepest}: mean (diamond), 95 % t-interval (bar),
        seeds (dots).""",
    "curves": """Depth {reference} (dashed) and {deepest} (solid): mean and range of the runs. A
        training loss that stays high is a failure to optimise, not over-fitting.""",
    "gradients_start": """Depth {deepest}, before the first update: L2 norm of each layer's
        gradient, geometric mean over seeds.""",
    "gradients": """Depth {deepest}, first seed, along training, one scale for all panels; before
        clipping. Light grey: exactly zero; dark grey: below the scale.""",
    "rates": "Validation accuracy of the grid.",
}


def title(found: Finished) -> str:
    """Return the title of the report."""
    networks = {"mlp": "MLPs", "resnet": "ResNets"}.get(found.config.model.name, "CNNs")
    return f"Depth study of {networks} on {found.config.data.name}"


def run_of(found: Finished, row: dict) -> dict:
    """Return what the summary keeps of a run."""
    return tables.run_of(row)


def secondary(found: Finished) -> dict:
    """Return residual minus plain at each depth, and the difference of slopes.

    No verdict uses them. The p-values of the depths are Holm-corrected.
    """
    config, runs = found.config, found.summary["runs"]
    depths = sorted(depth for depth in config.depths if depth > 1)
    if not {"plain", "residual"} <= set(config.arms):
        return {"secondary": {"per_depth": [], "slope": None}}
    pairs = {depth: paired_accuracies(runs, depth) for depth in depths}
    rows = []
    for depth in depths:
        values = {
            kind: [run["test_accuracy"] for run in found.runs_of(f"{kind}-{depth}")]
            for kind in ("residual", "plain")
        }
        superiority = stats.superiority(values["residual"], values["plain"])
        contrast = contrast_of(list(pairs[depth].values()))
        rows.append({"depth": depth, **contrast, "superiority": superiority})
    for row, p in zip(rows, stats.holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = float(p)
    late = [depth for depth in depths if depth >= reference_of(config)]
    if len(late) < 2:
        return {"secondary": {"per_depth": rows, "slope": None}}
    per_seed = [[pairs[depth][seed] for depth in late] for seed in pairs[late[0]]]
    return {"secondary": {"per_depth": rows, "slope": contrast_of(slope(late, per_seed))}}


def paired_accuracies(runs: list[dict], depth: int) -> dict[int, float]:
    """Return {seed: test accuracy of the residual net minus that of the plain one} at a depth."""
    terms = ((1.0, f"residual-{depth}"), (-1.0, f"plain-{depth}"))
    return weighing.paired_values(terms, runs, "test_accuracy")


def slope(depths: list[int], accuracies: list[list[float]]) -> np.ndarray:
    """Return the least-squares slope of accuracy on log2(depth), per doubling: float [n].

    Args:
      depths: [D].
      accuracies: [n, D].
    """
    x = np.log2(np.asarray(depths, float))
    x = x - x.mean()
    return np.asarray(accuracies, float) @ x / (x @ x)


def contrast_of(differences) -> dict:
    """Return what paired differences of accuracy say, without a verdict."""
    found = verdicts.judge(differences, direction=">", margin=0.005, bound=1.0)._asdict()
    return {key: value for key, value in found.items() if key not in ("verdict", "reason")}


def arm_rows(found: Finished) -> list[list[str]]:
    """Return the table of all arms, as text."""
    rows = []
    for arm in found.arms.values():
        runs = found.runs_of(arm.name)
        rate = rate_words(found.summary["selection"], arm.name, runs[0]["lr"])
        kind, depth = runs[0]["arm"], runs[0]["depth"]
        rows.append([label(kind), str(depth), rate, *tables.measures(runs)])
    return rows


def secondary_table(found: Finished) -> dict:
    """Return residual minus plain, depth by depth, as text."""
    shown = found.summary["secondary"]
    rows = [[f"depth {row['depth']}", *contrast_words(row)] for row in shown["per_depth"]]
    if shown["slope"]:
        rows.append(["slope per doubling of depth", *contrast_words(shown["slope"])])
    head = ["residual minus plain", "points [95 % interval]", "p", "p (Holm)", "Hedges' g"]
    return {"head": [*head, "P(residual > plain)"], "rows": rows}


def secondary_section(found: Finished) -> list[dict]:
    """Return the section of the secondary comparisons; none without two kinds of nets."""
    table = secondary_table(found)
    text = "No verdict hangs on these. P-values per depth are Holm-corrected."
    section = {"title": "Secondary comparisons", "text": text, "table": table}
    return [section] if table["rows"] else []


def contrast_words(row: dict) -> list[str]:
    """Return one secondary comparison in words, behind its name."""
    g = formatting.number(row["hedges_g"], 2, sign=True)
    if np.isnan(row["hedges_g"]):
        g = "no spread" if row["n"] >= stats.FEWEST else "too few seeds"
    return [
        formatting.points(row["mean"]) + formatting.interval(row["low"], row["high"]),
        formatting.p_value(row["p"]),
        formatting.p_value(row["p_holm"]) if "p_holm" in row else "one test",
        g,
        f"{row['superiority']:.2f}" if "superiority" in row else "not defined",
    ]


def sections(found: Finished) -> list[dict]:
    """Return the sections of the report, with their figures drawn."""
    config, figures = found.config, draw_figures(found)
    depths = {"deepest": max(config.depths), "reference": reference_of(config)}

    def drawn(*names: str) -> list[dict]:
        return [
            figures[name] | {"caption": CAPTIONS[name].format(**depths)}
            for name in names
            if name in figures
        ]

    shown = {
        label(f"{kind}-{depth}"): found.runs_of(f"{kind}-{depth}")
        for depth in dict.fromkeys((depths["reference"], depths["deepest"]))
        for kind in config.arms
    }
    return [
        {
            "title": "Accuracy against depth",
            "figures": drawn("accuracy", "explanations"),
            "table": {"head": HEAD, "rows": arm_rows(found)},
        },
        *secondary_section(found),
        {"title": "Training", "figures": drawn("curves")},
        {"title": "Gradients", "figures": drawn("gradients_start", "gradients")},
        *tables.class_section(found.written["data"]["class_names"], shown),
        *(part | {"figures": drawn("rates")} for part in section(found.summary["selection"])),
    ]


def lines(found: Finished) -> list[str]:
    """Return the short table on the screen."""
    shown = []
    for arm, row in zip(found.arms.values(), arm_rows(found), strict=True):
        words = row[HEAD.index(tables.MEASURES[tables.TEST])]
        balanced = tables.balanced_words(found.runs_of(arm.name))
        shown.append(f"{row[0]:<24} depth {row[1]:>3}   {words}{balanced}")
    return shown + tables.largest_words(found.summary["runs"])
