"""From the record of the study to its figures."""

import numpy as np

from dla_jax.analysis import curvature
from dla_jax.plots import gradient_paths, gradient_walks, landscapes, lesions, spectra
from dla_jax.plots.style import draw_all, looks_of
from dla_jax.studies.study import Finished
from dla_jax.studies.why.diagnostics import alphas_of
from dla_jax.studies.why.shattered import grid_of, lags_of

WIDTHS = 400  # standard deviations of an eigenvalue in the range of all that are drawn


def floats(values) -> np.ndarray:
    """Return nested lists as a float array, None as nan."""
    return np.array(values, float)


def kept_rows(found: Finished, arm: str, key: str) -> list[dict]:
    """Return the last rows of an arm that hold a measure, seed by seed."""
    return [row for row in found.last_rows(arm) if key in row]


def ordered(found: Finished) -> list[str]:
    """Return the arms in the order of figures: those that are diagnosed first."""
    first = (*found.config.diagnosed, *found.config.shattered)
    return [arm for arm in dict.fromkeys((*first, *found.arms)) if arm in found.arms]


def stacked(found: Finished, key: str) -> dict[str, np.ndarray]:
    """Return {arm: a measure of its runs, float [S, ...]}, of the arms that have it."""
    rows = {arm: kept_rows(found, arm, key) for arm in ordered(found)}
    return {arm: floats([row[key] for row in own]) for arm, own in rows.items() if own}


def first_of(found: Finished, key: str) -> dict[str, np.ndarray]:
    """Return {arm: a measure of its first seed that has it}."""
    return {arm: values[0] for arm, values in stacked(found, key).items()}


def chance_of(found: Finished) -> float:
    """Return the accuracy of guessing."""
    return 1 / found.written["data"]["num_classes"]


def draw_figures(found: Finished) -> dict[str, dict]:
    """Draw the figures that this study has something for: {name: {"path", "alt"}}."""
    looks, chance = looks_of(ordered(found)), chance_of(found)
    alphas, config = alphas_of(found.config), found.config
    line = np.linspace(alphas[0], alphas[-1], config.landscape.cut_points)
    surfaces = landscapes_of(found)
    masses = path_masses(found)
    blocks = max((own["length"][-1] for own in masses.values()), default=0)
    figures = {
        "lesions": (
            lesions.deleted_blocks,
            stacked(found, "lesion_accuracy"),
            stacked(found, "lesion_accuracy_recomputed"),
            stacked(found, "whole_accuracy"),
            stacked(found, "whole_accuracy_recomputed"),
            chance,
            looks,
        ),
        "many_lesions": (lesions.deleted_and_swapped, many_lesions(found), chance, looks),
        "paths": (gradient_paths.path_mass, masses, blocks, looks),
        "walks": (gradient_walks.walks, walks(found), looks),
        "correlations": (gradient_walks.autocorrelations, correlations(found), lags_of(config)),
        "surfaces": (landscapes.surfaces, surfaces, alphas, alphas),
        "contours": (landscapes.contours, surfaces, alphas, alphas),
        "cuts": (landscapes.cuts, stacked(found, "cut"), line, looks),
        "along": (spectra.along_training, along_training(found), looks),
        "largest": (spectra.largest_eigenvalues, largest(found), looks),
        "spectra": (spectra.densities, densities(found), looks),
    }
    return draw_all(figures, found.figures)


def many_lesions(found: Finished) -> dict[str, dict]:
    """Return what `lesions.deleted_and_swapped` draws."""
    drawn = {}
    for arm, deleted in stacked(found, "deleted_accuracy").items():
        rows = kept_rows(found, arm, "deleted_accuracy")
        row = rows[0]
        drawn[arm] = {
            "counts": row["deleted_counts"],
            "deleted": deleted,
            "swaps": row.get("swap_counts", []),
            "swapped": floats([own.get("swapped_accuracy", []) for own in rows]),
        }
    return drawn


def path_masses(found: Finished) -> dict[str, dict]:
    """Return what `gradient_paths.path_mass` draws, of the networks with more than one path."""
    drawn = {}
    for arm, norms in stacked(found, "path_norm").items():
        row = kept_rows(found, arm, "path_norm")[0]
        if np.nansum(norms > 0) > len(norms):
            masses = stacked(found, "path_mass")[arm]
            drawn[arm] = {"length": row["path_length"], "norm": norms, "mass": masses}
    return drawn


def walks(found: Finished) -> dict[str, dict]:
    """Return the gradient of the first seed of each network, at its largest depth."""
    drawn = {}
    for arm, gradients in first_of(found, "walk_gradient").items():
        depths = kept_rows(found, arm, "walk_depths")[0]["walk_depths"]
        deepest = gradients[int(np.argmax(depths))]
        drawn[arm] = {"grid": grid_of(found.config), "gradient": deepest}
    return drawn


def landscapes_of(found: Finished) -> dict[str, np.ndarray]:
    """Return the loss around the first seed of each network that chose its own learning rate."""
    surfaces = first_of(found, "surface")
    return {arm: own for arm, own in surfaces.items() if found.arms[arm].lender is None}


def correlations(found: Finished) -> dict[str, dict]:
    """Return {network: {depth: autocorrelations of its runs [S, lags]}}."""
    drawn = {}
    for arm, values in stacked(found, "walk_correlation").items():
        depths = kept_rows(found, arm, "walk_depths")[0]["walk_depths"]
        drawn[arm] = {depth: values[:, i] for i, depth in enumerate(depths)}
    return drawn


def along_training(found: Finished) -> dict[str, dict]:
    """Return the largest eigenvalue of the Hessian at the probed steps of each run."""
    drawn = {}
    for arm in ordered(found):
        runs = [
            [row for row in rows if "top_eigenvalue" in row] for rows in found.rows_of(arm).values()
        ]
        whole = max(map(len, runs), default=0)
        runs = [rows for rows in runs if len(rows) == whole]  # a run that diverged has fewer
        if whole:
            drawn[arm] = {
                "step": [row["step"] for row in runs[0]],
                "value": floats([[row["top_eigenvalue"] for row in rows] for rows in runs]),
            }
    return drawn


def largest(found: Finished) -> dict[str, np.ndarray]:
    """Return the largest eigenvalue at the end, where there is nothing of it along training."""
    return {} if along_training(found) else stacked(found, "kept_top_eigenvalue")


def densities(found: Finished) -> dict[str, dict]:
    """Return the density of the Hessian's eigenvalues of each network, on one grid."""
    nodes, weights = stacked(found, "spectrum_nodes"), stacked(found, "spectrum_weights")
    finite = np.concatenate([own[np.isfinite(own)] for own in nodes.values()] or [[]])
    if not len(finite):
        return {}
    width = max((finite.max() - finite.min()) / WIDTHS, 1e-6)
    grid = np.linspace(finite.min() - 5 * width, finite.max() + 5 * width, 5 * WIDTHS)
    drawn = {}
    for arm, own in nodes.items():
        pairs = zip(own, weights[arm], strict=True)
        density = [curvature.smoothed(node, weight, grid, width) for node, weight in pairs]
        drawn[arm] = {"grid": grid, "density": np.array(density)}
    return drawn
