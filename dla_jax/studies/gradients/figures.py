"""From the record of a study of gradients to its figures."""

import re

import numpy as np
from ml_collections import ConfigDict

from dla_jax.plots import layers, slips
from dla_jax.plots.style import draw_all, looks_of
from dla_jax.studies.study import Finished

LOSS_SCALE = 65_536  # what PyTorch's GradScaler starts with
MISTAKES = """(a) True mean |g| of stage 1 (solid) and what a plot of the first result of var_mean
    shows (dashed). (b) First convolution before the first step: true (solid) and times 65,536
    (dashed). (c) The norm that each step was taken with: of the run without clipping, which is what
    clipping once before the loop comes to, and of the run clipped in every step. (d) BatchNorm in
    evaluation mode after the first epoch, and as it should be: mean and seeds. In (c) and (d) each
    of the two nets has the learning rate that suits it."""


def column(rows: list[dict], name: str) -> np.ndarray:
    """Return the values under a name of the rows that have it, float [rows, ...]; None as nan."""
    return np.array([row[name] for row in rows if name in row], float)


def first_seeds(found: Finished) -> dict[str, list[dict]]:
    """Return {network: rows of its first seed}, of the networks that got as far as a step."""
    first = {}
    for network in found.arms:
        seeds = {seed: rows for seed, rows in found.rows_of(network).items() if rows}
        rows = seeds[min(seeds)] if seeds else []
        if len(rows) > 1:
            first[network] = rows
    return first


def trained_rows(found: Finished, network: str) -> list[list[dict]]:
    """Return the rows of each run of a network that did not diverge, by seed."""
    rows = found.rows_of(network)
    kept = [run["seed"] for run in found.runs_of(network) if not run["diverged"]]
    return [rows[seed] for seed in sorted(kept)]


def draw_figures(found: Finished) -> dict[str, dict]:
    """Draw the figures that this study has something for: {name: {"path", "alt"}}.

    Of the networks that run at the rate of another there is the last dense layer alone.
    """
    first = first_seeds(found)
    own = {name: rows for name, rows in first.items() if found.arms[name].lender is None}
    pair = [name for name in found.config.pair if name in first]
    updates = {name: update_map(rows) for name, rows in own.items()}
    updates = {name: shown for name, shown in updates.items() if shown[0]}
    figures = {
        "layers": (
            layers.heat_maps,
            {name: gradient_map(rows) for name, rows in own.items()},
            "root mean square gradient",
        ),
        "profiles": (
            layers.layer_profiles,
            profiles(found, list(own)),
            "gradient norm over weight norm",
            looks_of(own),
        ),
        "last_dense": (layers.first_steps, last_dense(found)),
        "convolutions": (layers.histograms, {name: histograms(first[name]) for name in pair}),
        "stages": (layers.stages, stage_curves(found)),
        "clipping": (layers.clipping, clipped(found)),
        "updates": (layers.heat_maps, updates, "update norm over weight norm"),
    }
    return draw_all(figures, found.figures)


def gradient_map(rows: list[dict]) -> tuple[list[int], np.ndarray]:
    """Return (steps, root mean square gradients float [steps, layers]) on the probe batch."""
    steps = [row["step"] for row in rows if "probe_layer_rms" in row]
    return steps, column(rows, "probe_layer_rms")


def update_map(rows: list[dict]) -> tuple[list[int], np.ndarray]:
    """Return (steps, update-to-weight ratios float [steps, layers]) of the probed steps."""
    probed = [row for row in rows if "probe_layer_rms" in row and row["step"]]
    return [row["step"] for row in probed], column(probed, "layer_update_ratio")


def profiles(found: Finished, networks: list[str]) -> dict[str, dict[str, np.ndarray]]:
    """Return {panel: {network: relative gradient of each layer [S, L]}}; none without a network.

    Runs that diverged are left out.
    """
    panels = {"before the first step": {}, "at the end": {}}
    for network in networks:
        runs = trained_rows(found, network)
        values = [column(rows, "probe_layer_relative") for rows in runs]
        if values:
            panels["before the first step"][network] = np.array([run[0] for run in values])
            panels["at the end"][network] = np.array([run[-1] for run in values])
    return panels if panels["at the end"] else {}


def last_dense(found: Finished) -> dict[str, dict[str, np.ndarray]]:
    """Return {panel: {network: mean |g| of the last dense layer in the first steps [S, steps]}}."""
    panels = {}
    for arm in found.arms.values():
        runs = [
            [row["layer_mean_abs"][-1] for row in traced(found, rows) if "layer_mean_abs" in row]
            for rows in trained_rows(found, arm.name)
        ]
        if runs:
            title = "residual" if arm.config.model.skip else "plain"
            panels.setdefault(title, {})[arm.name] = np.array(runs)
    return panels


def traced(found: Finished, rows: list[dict]) -> list[dict]:
    """Return the rows of the first steps, which have one each."""
    return [row for row in rows if 0 < row["step"] <= found.config.trace_first_steps]


def last_convolution(names: list[str], stages: list[int]) -> int:
    """Return the position of the last layer of the blocks that is no shortcut."""
    inside = [
        i
        for i, (name, stage) in enumerate(zip(names, stages, strict=True))
        if stage and not re.search(r"shortcut|layer\d+c", name)
    ]
    return max(inside)


def histograms(rows: list[dict]) -> dict:
    """Return the distribution of the gradient of the first and last convolution on the probe batch.

    Returns:
      {"steps", "limits" (log2 |g|), "first", "last": fractions [T, bins]}.
    """
    kept = [row for row in rows if "probe_layer_histogram" in row]
    counts = column(kept, "probe_layer_histogram")
    share = counts / counts.sum(-1, keepdims=True)
    last = last_convolution(rows[0]["layers"], rows[0]["stages"])
    return {
        "steps": [row["step"] for row in kept],
        "limits": kept[0]["histogram_limits"],
        "first": share[:, 0],
        "last": share[:, last],
    }


def stage_curves(found: Finished) -> dict[str, dict[str, np.ndarray]]:
    """Return the gradient of the stages in the last step of each epoch that is evaluated.

    It is the geometric mean over runs, as far as all of them got.

    Returns:
      {network of the pair: {"epoch" [T], "mean_abs", "var" [T, stages]}}.
    """
    curves = {}
    for network in found.config.pair:
        runs = [
            [row for row in rows if "val_accuracy" in row] for rows in trained_rows(found, network)
        ]
        shortest = min(map(len, runs), default=0)
        if shortest:
            means = {}
            for name in ("mean_abs", "var"):
                values = [column(rows[:shortest], f"stage_{name}") for rows in runs]
                means[name] = layers.geometric_mean(values)
            curves[network] = {"epoch": epochs(found.config, shortest)} | means
    return curves


def epochs(config, evaluations: int) -> np.ndarray:
    """Return the epochs after which a run is evaluated: int [evaluations]."""
    ends = np.arange(1, evaluations + 1) * config.eval_every_epochs
    return np.minimum(ends, config.num_epochs)


def clipped(found: Finished) -> dict[str, dict]:
    """Return {network: {"before", "after": [first steps], "threshold"}} of those that clip."""
    shown = {}
    for network, rows in first_seeds(found).items():
        each = [row for row in traced(found, rows) if "clipped_norm" in row]
        if each:
            shown[network] = {
                "before": column(each, "grad_norm"),
                "after": column(each, "clipped_norm"),
                "threshold": found.arms[network].config.optim.clip_norm,
            }
    return shown


def draw_mistakes(found: Finished) -> list[dict]:
    """Draw what the labs' slips do; return the figure with its caption."""
    first = first_seeds(found)
    clips = twins_of(found, "optim.clip_norm", 0.0)
    clips = [pair for pair in clips if pair[0] in clipped(found) and pair[1] in first]
    freezes = twins_of(found, "freeze_norm_after_epochs", 0)
    accuracies = {
        name: [column(rows, "val_accuracy") for rows in trained_rows(found, name)]
        for name in (freezes[-1] if freezes else ())
    }
    panels = {
        "swapped": stage_curves(found),
        "scaled": {name: histograms(first[name]) for name in found.config.pair if name in first},
        "clipped_once": clipped_once(found, *clips[0]) if clips else None,
        "frozen": {
            name: (epochs(found.config, len(runs[0])), runs)
            for name, runs in accuracies.items()
            if runs
        },
    }
    path = found.figures / "mistakes.png"
    alt = slips.mistakes(panels, LOSS_SCALE, path)
    return [{"path": path, "alt": alt, "caption": MISTAKES}]


def clipped_once(found: Finished, network: str, unclipped: str) -> dict:
    """Return the gradient norms of the steps of a clipped network and of its unclipped twin."""
    first = first_seeds(found)
    return {
        "labels": (unclipped, network),
        "before": column(traced(found, first[unclipped]), "grad_norm"),
        "after": column(traced(found, first[network]), "clipped_norm"),
        "threshold": found.arms[network].config.optim.clip_norm,
    }


def twins_of(found: Finished, key: str, value) -> list[tuple[str, str]]:
    """Return pairs (network, twin) that differ in a key alone, in which the twin has `value`."""
    configs = {name: arm.config for name, arm in found.arms.items()}
    return [
        (name, twin)
        for name in configs
        for twin in configs
        if differs_alone(configs[twin], configs[name], key, value)
    ]


def differs_alone(twin: ConfigDict, other: ConfigDict, key: str, value) -> bool:
    """Return whether a config equals another one in which `key` is set to a new value."""
    changed = ConfigDict(other.to_dict())
    changed.update_from_flattened_dict({key: value})
    return twin.to_dict() == changed.to_dict() != other.to_dict()
