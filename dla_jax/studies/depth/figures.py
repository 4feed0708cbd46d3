"""From the record of a depth study to its figures."""

from pathlib import Path

import numpy as np

from dla_jax.evidence import stats, verdicts
from dla_jax.evidence.tables import curve
from dla_jax.plots import accuracy, layers
from dla_jax.plots.style import draw_all
from dla_jax.studies.depth.arms import groups_of, reference_of


def accuracies_of(runs: list[dict], group: str) -> list[float]:
    """Test accuracies of a group's runs, in the order of their seeds."""
    return [run["test_accuracy"] for run in runs if run["group"] == group]


def label(arm: str) -> str:
    """How figures name an arm."""
    return arm.replace("+", " + ").replace("_", " ")


def draw_figures(
    config, chance: float, summary: dict, rows: list[dict], folder: Path
) -> dict[str, Path]:
    """Draws the figures that this grid has something for: {name: path}."""
    by_group = {}  # {group: rows of each seed, by seed}
    for row in sorted(
        (row for row in rows if row["run"].startswith("final/")),
        key=lambda row: int(row["run"].split("seed")[1]),
    ):
        _, group, seed = row["run"].split("/")
        if not row.get("done"):
            by_group.setdefault(group, {}).setdefault(seed, []).append(row)
    by_group = {group: list(seeds.values()) for group, seeds in by_group.items()}
    arms = [
        arm
        for arm in (*config.arms, *config.side_arms)
        if f"{arm}-{max(config.depths)}" in by_group
    ]
    deepest = {label(arm): by_group[f"{arm}-{max(config.depths)}"] for arm in arms}
    reference = reference_of(config)
    shown = [(arm, depth) for depth in (reference, max(config.depths)) for arm in config.arms]
    curves = {
        label(f"{arm}-{depth}"): curve(config, by_group[f"{arm}-{depth}"])
        | {"colour": config.arms.index(arm), "dashed": depth == reference}
        for arm, depth in shown
        if f"{arm}-{depth}" in by_group
    }
    starts = {
        name: [seed[0]["layer_grad_norm"] for seed in seeds]
        for name, seeds in deepest.items()
        if "shared lr" not in name
    }
    maps = {
        name: (
            [row["step"] for row in seeds[0]],
            np.array([row["layer_grad_norm"] for row in seeds[0]]),
        )
        for name, seeds in deepest.items()
    }
    figures = {
        "accuracy": (
            accuracy.accuracy_against_depth,
            *accuracy_points(config, summary["runs"]),
            chance,
        ),
        "explanations": (
            accuracy.contrasts,
            explanations(config, summary["runs"]),
            "difference of test accuracy to the plain net, percentage points",
        ),
        "curves": (accuracy.training_curves, curves),
        "gradients_start": (
            layers.layer_profiles,
            {"": starts},
            "gradient L2 norm at initialisation",
        ),
        "gradients": (layers.heat_maps, maps, "gradient L2 norm, before clipping"),
        "rates": (accuracy.learning_rate_grid, *rate_lines(config, summary["selection"])),
    }
    return draw_all(figures, folder)


def accuracy_points(config, runs: list[dict]) -> tuple[dict, dict]:
    """(main arms, other arms): {arm: {depth: (test accuracies, t-interval)}}; depth 1 is in both main arms."""

    def points(arm):
        depths = [depth for other, depth, _ in groups_of(config) if other == arm]
        values = {depth: accuracies_of(runs, f"{arm}-{depth}") for depth in depths}
        return {
            depth: (accuracies, stats.accuracy_interval(accuracies))
            for depth, accuracies in values.items()
        }

    main = {label(arm): points(arm) | points("both") for arm in config.arms}
    side = {label(arm): points(arm) for arm in config.side_arms}
    return main, {arm: found for arm, found in side.items() if found}


def explanations(config, runs: list[dict]) -> list[dict]:
    """What each change does to the deepest plain net: paired differences of test accuracy."""
    deepest, rows = max(config.depths), []
    for arm in dict.fromkeys((*config.arms, *config.side_arms)):
        terms = ((1.0, f"{arm}-{deepest}"), (-1.0, f"plain-{deepest}"))
        if arm == "plain" or any(all(run["group"] != group for run in runs) for _, group in terms):
            continue
        values = list(verdicts.paired_values(terms, runs, "test_accuracy").values())
        low, high = stats.t_interval(values, bounds=(-1.0, 1.0))
        name = label(arm)
        rows.append(
            {
                "label": name,
                "mean": float(np.mean(values)),
                "low": low,
                "high": high,
                "values": values,
            }
        )
    return rows


def rate_lines(config, selection: list[dict]) -> tuple[dict, dict]:
    """({arm: {depth: (learning rates, mean validation accuracies)}}, {(arm, depth): chosen rate}) of the main arms."""
    grid, chosen = {}, {}
    for arm in config.arms if selection else ():
        for depth in (depth for other, depth, _ in groups_of(config) if other in (arm, "both")):
            rows = [
                row for row in selection if row["depth"] == depth and row["arm"] in (arm, "both")
            ]
            lrs = sorted({row["lr"] for row in rows})
            means = [
                float(np.mean([row["val_accuracy"] for row in rows if row["lr"] == lr]))
                for lr in lrs
            ]
            grid.setdefault(arm, {})[depth] = (lrs, means)
            chosen[arm, depth] = next(row["lr"] for row in rows if row["chosen"])
    return grid, chosen
