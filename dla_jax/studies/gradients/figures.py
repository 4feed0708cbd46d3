"""From the record of a study of gradients to its figures."""

import re
from pathlib import Path

import numpy as np

from dla_jax.plots import layers
from dla_jax.plots.style import draw_all
from dla_jax.trials.arms import lender_of, own_config

LOSS_SCALE = 65_536  # what PyTorch's GradScaler starts with


def column(rows: list[dict], name: str) -> np.ndarray:
    """The values under a name of the rows that have it, float [rows, ...]; None becomes nan."""
    return np.array([row[name] for row in rows if name in row], float)


def first_seed(traces: dict) -> dict[str, list[dict]]:
    """{network: rows of its first seed}, of the networks that got as far as a step."""
    rows = {network: seeds[min(seeds)] for network, seeds in traces.items() if seeds}
    return {network: found for network, found in rows.items() if len(found) > 1}


def draw_figures(config, traces: dict, trained: dict, folder: Path) -> dict[str, Path]:
    """Draws the figures that this study has something for: {name: path}. `trained`: `traces` without what diverged.

    Of the networks that run at the rate of another there is the last dense layer alone.
    """
    first, pair = first_seed(traces), config.pair
    own = {network: rows for network, rows in first.items() if lender_of(config, network) is None}
    probed = lambda rows: [row["step"] for row in rows if "probe_layer_rms" in row]
    at_probes = lambda rows: [row for row in rows if "probe_layer_rms" in row and row["step"]]
    maps = {
        network: (probed(rows), column(rows, "probe_layer_rms")) for network, rows in own.items()
    }
    updates = {
        network: (probed(rows)[1:], column(at_probes(rows), "layer_update_ratio"))
        for network, rows in own.items()
        if at_probes(rows)
    }
    figures = {
        "layers": (layers.heat_maps, maps, "root mean square gradient"),
        "profiles": (
            layers.layer_profiles,
            profiles({name: trained[name] for name in own}),
            "gradient norm over weight norm",
        ),
        "last_dense": (layers.first_steps, last_dense(config, trained)),
        "convolutions": (
            layers.histograms,
            {network: histograms(first[network]) for network in pair if network in first},
        ),
        "stages": (layers.stages, stage_curves(config, trained)),
        "clipping": (layers.clipping, clipped(config, first)),
        "updates": (layers.heat_maps, updates, "update norm over weight norm"),
    }
    return draw_all(figures, folder)


def runs_of(trained: dict, network: str) -> list[list[dict]]:
    """The rows of each run of a network that did not diverge, by seed."""
    return [trained[network][seed] for seed in sorted(trained[network])]


def profiles(trained: dict) -> dict[str, dict[str, np.ndarray]]:
    """{panel: {network: relative gradient of each layer [S, L]}}."""
    panels = {"before the first step": 0, "at the end": -1}
    values = {
        network: [column(rows, "probe_layer_relative") for rows in runs_of(trained, network)]
        for network in trained
    }
    return {
        title: {
            network: np.array([run[at] for run in runs]) for network, runs in values.items() if runs
        }
        for title, at in panels.items()
    }


def last_dense(config, trained: dict) -> dict[str, dict[str, np.ndarray]]:
    """{panel: {network: mean |g| of the last dense layer in each of the first steps [S, steps]}}."""
    panels = {}
    for network in config.networks:
        title = "residual" if own_config(config, network).model.skip else "plain"
        runs = [
            [
                row["layer_mean_abs"][-1]
                for row in rows
                if 0 < row["step"] <= config.trace_first_steps and "layer_mean_abs" in row
            ]
            for rows in runs_of(trained, network)
        ]
        if runs:
            panels.setdefault(title, {})[network] = np.array(runs)
    return panels


def last_convolution(names: list[str], stages: list[int]) -> int:
    """The position of the last layer of the blocks that is no shortcut."""
    return max(
        i
        for i, (name, stage) in enumerate(zip(names, stages, strict=True))
        if stage and not re.search(r"shortcut|layer\d+c", name)
    )


def histograms(rows: list[dict]) -> dict:
    """{"steps", "limits" (log2 |g|), "first", "last": fractions [T, bins]} of the first and last convolution."""
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


def stage_curves(config, trained: dict) -> dict[str, dict[str, np.ndarray]]:
    """{network of the pair: {"epoch" [T], "mean_abs", "var" [T, stages]}}: of the last step of each epoch that is evaluated,
    geometric mean over runs, as far as all of them got."""
    found = {}
    for network in config.pair:
        runs = [
            [row for row in rows if "val_accuracy" in row] for rows in runs_of(trained, network)
        ]
        shortest = min(map(len, runs), default=0)
        if shortest:
            means = {
                name: layers.geometric_mean(
                    [column(rows[:shortest], f"stage_{name}") for rows in runs]
                )
                for name in ("mean_abs", "var")
            }
            found[network] = {"epoch": epochs(config, shortest)} | means
    return found


def epochs(config, evaluations: int) -> np.ndarray:
    """The epochs after which a run is evaluated: int [evaluations]."""
    return np.minimum(np.arange(1, evaluations + 1) * config.eval_every_epochs, config.num_epochs)


def clipped(config, first: dict) -> dict[str, dict]:
    """{network: {"before", "after": [first steps], "threshold"}} of the networks that clip."""
    found = {}
    for network, rows in first.items():
        each = [
            row
            for row in rows
            if 0 < row["step"] <= config.trace_first_steps and "clipped_norm" in row
        ]
        if each:
            found[network] = {
                "before": column(each, "grad_norm"),
                "after": column(each, "clipped_norm"),
                "threshold": own_config(config, network).optim.clip_norm,
            }
    return found


def draw_mistakes(config, traces: dict, trained: dict, folder: Path) -> list[dict]:
    """The figure of what the labs' slips do, with its caption."""
    first = first_seed(traces)
    clips = [
        (name, twin)
        for name in clipped(config, first)
        for twin in first
        if twins(config, twin, name, "optim.clip_norm", 0.0)
    ]
    freezes = [
        (name, twin)
        for name in config.networks
        for twin in config.networks
        if twins(config, twin, name, "freeze_norm_after_epochs", 0)
    ]
    shown = {
        name: [column(rows, "val_accuracy") for rows in runs_of(trained, name)]
        for name in (freezes[-1] if freezes else ())
    }
    panels = {
        "swapped": stage_curves(config, trained),
        "scaled": {
            network: histograms(first[network]) for network in config.pair if network in first
        },
        "clipped_once": clipped_once(config, first, *clips[0]) if clips else None,
        "frozen": {
            name: (epochs(config, len(runs[0])), runs) for name, runs in shown.items() if runs
        },
    }
    path = folder / "mistakes.png"
    layers.mistakes(panels, LOSS_SCALE, path)
    caption = """(a) True mean |g| of stage 1 (solid) and what a plot of the first result of var_mean shows (dashed). (b) First
        convolution before the first step: true (solid) and times 65,536 (dashed). (c) The norm that each step was taken with: of
        the run without clipping, which is what clipping once before the loop comes to, and of the run clipped in every step. (d)
        BatchNorm in evaluation mode after the first epoch, and as it should be: mean and seeds. In (c) and (d) each of the two
        nets has the learning rate that suits it."""
    return [{"path": path, "caption": caption}]


def clipped_once(config, first: dict, network: str, unclipped: str) -> dict:
    """The norms that the steps of a clipped network and of its twin without clipping were taken with."""
    norms = lambda name, key: column(
        [row for row in first[name] if 0 < row["step"] <= config.trace_first_steps], key
    )
    return {
        "labels": (unclipped, network),
        "before": norms(unclipped, "grad_norm"),
        "after": norms(network, "clipped_norm"),
        "threshold": own_config(config, network).optim.clip_norm,
    }


def twins(config, network: str, other: str, key: str, value) -> bool:
    """Whether a network is what another would be if its `key` had this value, and had another before."""
    ours, theirs = own_config(config, network), own_config(config, other)
    theirs.update_from_flattened_dict({key: value})
    return ours.to_dict() == theirs.to_dict() != own_config(config, other).to_dict()
