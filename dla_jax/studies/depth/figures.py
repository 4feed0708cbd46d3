"""From the record of a depth study to its figures."""

import numpy as np

from dla_jax.evidence import stats, weighing
from dla_jax.evidence.selection import left_at_last
from dla_jax.evidence.tables import curve
from dla_jax.plots import accuracy, depths, layers, training
from dla_jax.plots.style import draw_all, looks_of
from dla_jax.studies.depth.arms import reference_of
from dla_jax.studies.study import Finished

# They have the same colours in every study; other arms take those that are left.
USUAL = (
    "plain",
    "residual",
    "residual+scaled",
    "plain+torch_default",
    "plain+dirac",
    "plain+batch",
    "residual+batch",
    "plain+shared_lr",
)


def label(arm: str) -> str:
    """Return how figures name an arm: `plain + batch-25`."""
    return arm.replace("+", " + ").replace("_", " ")


def kinds_of(config) -> list[str]:
    """Return the kinds of nets that are compared, each once."""
    return list(dict.fromkeys((*config.arms, *config.side_arms)))


def coloured(config) -> list[str]:
    """Return the usual kinds of nets and those of a config, in the order of their colours."""
    return list(dict.fromkeys((*USUAL, *kinds_of(config))))


def draw_figures(found: Finished) -> dict[str, dict]:
    """Draw the figures that the study has something for: {name: {"path", "alt"}}."""
    config, deepest = found.config, max(found.config.depths)
    looks = looks_of(map(label, coloured(config)))
    chance = 1 / found.written["data"]["num_classes"]
    rows = {}  # of the deepest nets, seed by seed
    for kind in kinds_of(config):
        if f"{kind}-{deepest}" in found.arms:
            rows[label(kind)] = rows_by_seed(found, f"{kind}-{deepest}")
    rows = {name: seeds for name, seeds in rows.items() if seeds}
    starts = {
        name: [seed[0]["layer_grad_norm"] for seed in seeds]
        for name, seeds in rows.items()
        if "shared lr" not in name
    }
    figures = {
        "accuracy": (depths.accuracy_against_depth, *accuracy_points(found), chance, looks),
        "explanations": (
            accuracy.contrasts,
            [row | {"colour": looks[row["label"]][0]} for row in explanations(found)],
            "difference of test accuracy to the plain net, percentage points",
        ),
        "curves": (training.training_curves, training_curves(found)),
        "gradients_start": (
            layers.layer_profiles,
            {"": starts},
            "gradient L2 norm at initialisation",
            looks,
        ),
        "gradients": (
            layers.heat_maps,
            {name: gradient_map(seeds[0]) for name, seeds in rows.items()},
            "gradient L2 norm, before clipping",
        ),
        "rates": (training.learning_rate_grid, *rate_lines(found)),
    }
    return draw_all(figures, found.figures)


def rows_by_seed(found: Finished, arm: str) -> list[list[dict]]:
    """Return the rows of each run of an arm that got as far as a row, seed by seed."""
    return [rows for _, rows in sorted(found.rows_of(arm).items()) if rows]


def gradient_map(rows: list[dict]) -> tuple[list[int], np.ndarray]:
    """Return (steps, gradient norms float [steps, layers]) of one run."""
    return [row["step"] for row in rows], np.array([row["layer_grad_norm"] for row in rows])


def training_curves(found: Finished) -> dict[str, dict]:
    """Return the curves of the main arms at the reference depth (dashed) and the largest.

    There are none where no arm was evaluated in all of its runs.
    """
    config, colours, curves = found.config, coloured(found.config), {}
    for depth in (reference_of(config), max(config.depths)):
        for kind in config.arms:
            arm = f"{kind}-{depth}"
            seeds = rows_by_seed(found, arm) if arm in found.arms else []
            if seeds:
                style = {"colour": colours.index(kind), "dashed": depth == reference_of(config)}
                curves[label(arm)] = curve(config, seeds) | style
    return curves if any(len(each["epoch"]) for each in curves.values()) else {}


def accuracy_points(found: Finished) -> tuple[dict, dict]:
    """Return (main arms, other arms): {arm: {depth: (test accuracies, t-interval)}}.

    Depth 1, where all arms are one net, is in every main arm.
    """

    def points(kind: str) -> dict:
        shown = {}
        for arm in found.arms.values():
            if arm.name.rpartition("-")[0] == kind:
                values = [run["test_accuracy"] for run in found.runs_of(arm.name)]
                shown[arm.config.model.depth] = (values, stats.accuracy_interval(values))
        return shown

    main = {label(kind): points(kind) | points("both") for kind in found.config.arms}
    side = {label(kind): points(kind) for kind in found.config.side_arms}
    return main, {kind: shown for kind, shown in side.items() if shown}


def explanations(found: Finished) -> list[dict]:
    """Return what each change does to the deepest plain net: paired differences of accuracy."""
    runs, plain, rows = found.summary["runs"], f"plain-{max(found.config.depths)}", []
    for kind in kinds_of(found.config):
        arm = f"{kind}-{max(found.config.depths)}"
        if kind == "plain" or not (found.runs_of(arm) and found.runs_of(plain)):
            continue
        pairs = weighing.paired_values(((1.0, arm), (-1.0, plain)), runs, "test_accuracy")
        values = list(pairs.values())
        low, high = stats.t_interval(values, bounds=(-1.0, 1.0))
        mean = float(np.mean(values))
        rows.append(
            {"label": label(kind), "mean": mean, "low": low, "high": high, "values": values}
        )
    return rows


def rate_lines(found: Finished) -> tuple[dict, dict]:
    """Return the grid of learning rates of the main arms, and the chosen ones.

    Returns:
      {arm: {depth: (learning rates, mean validation accuracies)}} and {(arm, depth): chosen rate}.
    """
    selection, grid, chosen = found.summary["selection"], {}, {}
    for kind in found.config.arms if selection else ():
        for arm in found.arms.values():
            rows = [row for row in selection if row["group"] == arm.name]
            rows = left_at_last(rows)  # those that halving left behind have other steps behind them
            if arm.name.rpartition("-")[0] not in (kind, "both") or not rows:
                continue
            depth, lrs = arm.config.model.depth, sorted({row["lr"] for row in rows})
            means = [
                float(np.mean([row["val_accuracy"] for row in rows if row["lr"] == lr]))
                for lr in lrs
            ]
            grid.setdefault(kind, {})[depth] = (lrs, means)
            chosen[kind, depth] = next(row["lr"] for row in rows if row["chosen"])
    return grid, chosen
