"""From the record of the study to its summary and report."""

import math

import numpy as np

from dla_jax.analysis.paths import effective_length
from dla_jax.evidence import formatting, stats, tables
from dla_jax.studies.architectures.report import class_section, network_run, network_sections
from dla_jax.studies.study import Finished, data_facts
from dla_jax.studies.why.answer import compared, path_words, remedy_words, sentence, twins_of
from dla_jax.studies.why.diagnostics import alphas_of
from dla_jax.studies.why.figures import draw_figures, floats

LARGEST = 1e6  # nats; a larger rise of the loss counts as this, and one that overflowed
SMALLEST = 1e-6  # what a curvature, or a rise, that is not positive counts as
HEAD = (
    "network",
    "whole %",
    "one block deleted: cost, points",
    "half deleted: cost",
    "two swapped: cost",
    "effective path / blocks",
    "fresh nets: correlation at the lag",
    "loss rises by, nats (geometric mean)",
    "largest eigenvalue (geometric mean)",
)
CAPTIONS = {
    "lesions": """Test accuracy after one block is deleted, its input passed on: mean and range of
        the runs, dashed the whole network. Right, where there is BatchNorm: with its statistics
        recomputed on training images.""",
    "many_lesions": """Test accuracy after so many random blocks are deleted, and after so many
        random pairs of blocks change places.""",
    "paths": """The gradient at the first block's input over paths through exactly so many
        branches: its mean norm (left), the share of paths (middle), and the product of both
        (right), with its mean.""",
    "walks": """dy/dx of a fresh dense network with one input, over that input: the deepest ones,
        first seed.""",
    "correlations": """How alike the gradients at two inputs are, by their distance in steps of the
        grid: mean over fresh networks and seeds; a line a depth.""",
    "surfaces": """The loss around the trained network, along two random filter-normalised
        directions, in the log; first seed. What lies above the scale is cut.""",
    "contours": """The same from above, on one scale; the star is the trained network.""",
    "cuts": """The loss along the first direction, all seeds: median and range.""",
    "along": """The largest eigenvalue of the Hessian along training: median and range.""",
    "largest": """The largest eigenvalue of the Hessian of the networks that are kept.""",
    "spectra": """The density of the eigenvalues of the Hessian of the networks that are kept, best
        on validation; each is drawn as a Gaussian, whose standard deviation is 1/400 of the range
        of all.""",
}


def title(found: Finished) -> str:
    """Return the title of the report."""
    return f"Why skips help: {found.written['data']['name']}"


def facts(found: Finished) -> dict[str, str]:
    """Return what the report says of the data, and of the networks where they were read."""
    data = found.written["data"]
    read = data.get("networks", {})
    said = {"networks": f"read with --from: {', '.join(read.values())}"} if read else {}
    return data_facts(found, counted="examples") | said


def run_of(found: Finished, row: dict) -> dict:
    """Return what the summary keeps of a run, and what its claims compare.

    A network that is not diagnosed, or whose run diverged, has None instead.
    """
    values = dict.fromkeys((*MEASURES, *SHATTERED))
    if "lesion_accuracy" in row:
        values |= measure(found, row)
    if "walk_correlation" in row:
        values |= {"shattering": shattering_of(found, row)}
    return network_run(found, row) | values


MEASURES = (
    "num_blocks",
    "whole_accuracy",
    "lesion_cost",
    "lesion_cost_recomputed",
    "half_cost",
    "swap_cost",
    "effective_length",
    "length_ratio",
    "log_rise",
    "log_curvature",
    "log_curvature_along",
)
SHATTERED = ("shattering",)


def measure(found: Finished, row: dict) -> dict[str, float | None]:
    """Return what the claims compare of one diagnosed network (configs/claims/why.py)."""
    whole, blocks = row["whole_accuracy"], len(row["lesion_accuracy"])
    values = {
        "num_blocks": blocks,
        "whole_accuracy": whole,
        "lesion_cost": whole - mean_of(row["lesion_accuracy"]),
        "half_cost": whole - at(row["deleted_counts"], row["deleted_accuracy"], blocks / 2),
        "log_curvature": log_curvature(row["kept_top_eigenvalue"]),
    }
    if "lesion_accuracy_recomputed" in row:
        again = row["whole_accuracy_recomputed"]
        values["lesion_cost_recomputed"] = again - mean_of(row["lesion_accuracy_recomputed"])
    if "swapped_accuracy" in row:
        values["swap_cost"] = whole - at(row["swap_counts"], row["swapped_accuracy"], 1)
    return (
        values
        | length_of(row, blocks)
        | {"log_rise": log_rise(found, row)}
        | {"log_curvature_along": log_curvature_along(found, row)}
    )


def mean_of(values) -> float:
    """Return the mean of numbers."""
    return float(np.mean(values))


def at(places, values, place: float) -> float:
    """Return a curve's value at a place, half-way between two points where it lies there."""
    return float(np.interp(place, places, values))


def length_of(row: dict, blocks: int) -> dict[str, float | None]:
    """Return the mean length of a path weighed by the gradient it carries, and its ratio to L / 2.

    It is None where no path carries a gradient.
    """
    masses = floats(row["path_mass"])
    if not np.isfinite(masses).all() or masses.sum() <= 0:
        return {"effective_length": None, "length_ratio": None}
    length = effective_length({"length": row["path_length"], "mass": masses})
    return {"effective_length": length, "length_ratio": length / (blocks / 2)}


def log_rise(found: Finished, row: dict) -> float:
    """Return log10 of how far the loss rises within half the radius, on the mean.

    On a grid of three points, which has none there, it is that of the points beside the middle.

    A rise is the loss at a point of the landscape minus that of the network, in its middle.
    """
    alphas = alphas_of(found.config)
    distance = np.hypot(alphas[:, None], alphas[None, :])
    losses = np.nan_to_num(floats(row["surface"]), nan=LARGEST, posinf=LARGEST)
    rises = np.minimum(losses - losses[len(alphas) // 2, len(alphas) // 2], LARGEST)
    reach = max(found.config.landscape.radius / 2, alphas[1] - alphas[0])
    near = rises[(distance > 0) & (distance <= reach)]
    return float(np.log10(max(near.mean(), SMALLEST)))


def log_curvature(value: float | None) -> float | None:
    """Return log10 of the largest eigenvalue; None where it overflowed."""
    return None if value is None else math.log10(max(value, SMALLEST))


def log_curvature_along(found: Finished, row: dict) -> float | None:
    """Return the mean of log10 of the largest eigenvalue along training; None without probes.

    What the network starts with is no part of it.
    """
    rows = [own for own in found.rows_of(row["group"])[row["seed"]] if own["step"]]
    values = [own["top_eigenvalue"] for own in rows if own.get("top_eigenvalue") is not None]
    return mean_of([log_curvature(value) for value in values]) if values else None


def shattering_of(found: Finished, row: dict) -> float | None:
    """Return 1 minus the autocorrelation of the deepest network's gradient at `shattering.lag`."""
    deepest = int(np.argmax(row["walk_depths"]))
    value = row["walk_correlation"][deepest][found.config.shattering.lag]
    return None if value is None else 1 - value


def sections(found: Finished) -> list[dict]:
    """Return the sections of the report, a sentence and its pictures for each diagnostic."""
    figures = draw_figures(found)

    def shown(*names: str) -> list[dict]:
        return [
            figures[name] | {"caption": CAPTIONS[name], "main": name == "surfaces"}
            for name in names
            if name in figures
        ]

    diagnosed = [
        {
            "title": "Lesions",
            "text": sentence(compared(found, "lesions")),
            "figures": shown("lesions", "many_lesions"),
        },
        {
            "title": "Paths",
            "text": sentence(f"in {twins_of(found)[1]} {path_words(found)}"),
            "figures": shown("paths"),
        },
        {
            "title": "Shattered gradients",
            "text": sentence(f"{compared(found, 'walks')}") + walk_words(found),
            "figures": shown("walks", "correlations"),
        },
        {
            "title": "The loss landscape",
            "text": sentence(compared(found, "landscape")),
            "figures": shown("surfaces", "contours", "cuts"),
        },
        {
            "title": "Curvature",
            "text": sentence(compared(found, "curvature")) + ending_words(found),
            "figures": shown("along", "largest", "spectra"),
        },
        {"title": "All measures", "table": {"head": HEAD, "rows": measured_rows(found)}},
    ]
    if "networks" not in found.config:
        return diagnosed
    first, *others = network_sections(found)
    remedies = first | {"title": "Remedies", "text": sentence(remedy_words(found))}
    return [*diagnosed, remedies, *others, *class_section(found)]


def walk_words(found: Finished) -> str:
    """Return what the measure of shattering is, as a sentence."""
    own = found.config.shattering
    return (
        f" Measured in {own.num_networks} fresh dense networks a seed, {max(own.depths)} layers "
        f"deep, {own.lag} of {own.points} inputs apart."
    )


def ending_words(found: Finished) -> str:
    """Return that curvature is that of the end of training alone, where networks were read."""
    if "networks" in found.config:
        return ""
    return (
        " Networks that were read show the end of their training alone: there is no curvature "
        "along it, and there are no remedies."
    )


def measured_rows(found: Finished) -> list[list[str]]:
    """Return the table of what was measured, as text: means over runs with their intervals."""
    rows = []
    for name in found.arms:
        runs = found.runs_of(name)
        if all(run["lesion_cost"] is None and run["shattering"] is None for run in runs):
            continue
        blocks = next((run["num_blocks"] for run in runs if run["num_blocks"]), 1)
        rows.append(
            [
                name,
                told(runs, "whole_accuracy", 100, 1),
                told(runs, "lesion_cost", 100, 1),
                told(runs, "half_cost", 100, 1),
                told(runs, "swap_cost", 100, 1),
                told(runs, "effective_length", 1 / blocks, 2),
                told(runs, "shattering", -1, 2, offset=1),
                factor_words(runs, "log_rise"),
                factor_words(runs, "log_curvature"),
            ]
        )
    return rows


def told(runs: list[dict], key: str, times: float, digits: int, offset: float = 0.0) -> str:
    """Return the mean of a value with its interval, or nothing where no run has one."""
    values = [offset + times * value for value in tables.known(runs, key)]
    if not values:
        return ""
    words = formatting.number(mean_of(values), digits)
    low, high = stats.t_interval(values)
    if not math.isfinite(low):
        return words
    return f"{words} [{formatting.number(low, digits)}, {formatting.number(high, digits)}]"


def factor_words(runs: list[dict], key: str) -> str:
    """Return the geometric mean of a value kept as log10."""
    values = tables.known(runs, key)
    return formatting.digits(10 ** mean_of(values)) if values else ""
