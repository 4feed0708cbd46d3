"""From the record of a study of gradients to its figures."""

import re
from pathlib import Path

import numpy as np

from dla_jax.experiments.architectures_grid import own_config
from dla_jax.plots import gradients

LOSS_SCALE = 65_536  # what PyTorch's GradScaler starts with


def column(rows: list[dict], name: str) -> np.ndarray:
    """The values under a name of the rows that have it, float [rows, ...]; None becomes nan."""
    return np.array([row[name] for row in rows if name in row], float)


def first_seed(traces: dict) -> dict[str, list[dict]]:
    """{network: rows of its first seed}, of the networks that got as far as a step."""
    rows = {network: seeds[min(seeds)] for network, seeds in traces.items() if seeds}
    return {network: found for network, found in rows.items() if len(found) > 1}


def draw_figures(config, traces: dict, folder: Path) -> dict[str, Path]:
    """Draws the figures that this study has something for: {name: path}."""
    first, pair = first_seed(traces), config.pair
    probed = lambda rows: [row["step"] for row in rows if "probe_layer_rms" in row]  # noqa: E731
    at_probes = lambda rows: [row for row in rows if "probe_layer_rms" in row and row["step"]]  # noqa: E731
    maps = {network: (probed(rows), column(rows, "probe_layer_rms")) for network, rows in first.items()}
    updates = {network: (probed(rows)[1:], column(at_probes(rows), "layer_update_ratio")) for network, rows in first.items()
               if at_probes(rows)}  # fmt: skip
    figures = {
        "layers": (gradients.heat_maps, maps, "root mean square gradient"),
        "profiles": (gradients.layer_profiles, profiles(traces), "gradient norm over weight norm"),
        "last_dense": (gradients.first_steps, last_dense(config, traces)),
        "convolutions": (gradients.histograms, {network: histograms(first[network]) for network in pair if network in first}),
        "stages": (gradients.stages, {network: by_epoch(config, traces[network]) for network in pair if network in first}),
        "clipping": (gradients.clipping, clipped(config, first)),
        "updates": (gradients.heat_maps, updates, "update norm over weight norm"),
    }
    paths = {}
    for name, (plot, data, *more) in figures.items():
        if data:
            paths[name] = folder / f"{name}.png"
            plot(data, *more, paths[name])
    return paths


def complete(traces: dict, network: str) -> list[list[dict]]:
    """The rows of each seed of a network that has as many as the longest run: those that diverged are left out."""
    seeds = [traces[network][seed] for seed in sorted(traces[network])]
    return [rows for rows in seeds if len(rows) == max(map(len, seeds)) and len(rows) > 1]


def profiles(traces: dict) -> dict[str, dict[str, np.ndarray]]:
    """{panel: {network: relative gradient of each layer [S, L]}}."""
    panels = {"before the first step": 0, "at the end": -1}
    values = {network: [column(rows, "probe_layer_relative") for rows in complete(traces, network)] for network in traces}
    return {title: {network: np.array([run[at] for run in runs]) for network, runs in values.items() if runs}
            for title, at in panels.items()}  # fmt: skip


def last_dense(config, traces: dict) -> dict[str, dict[str, np.ndarray]]:
    """{panel: {network: mean |g| of the last dense layer in each of the first steps [S, steps]}}."""
    panels = {}
    for network in config.networks:
        title = "residual" if own_config(config, network).model.skip else "plain"
        runs = [[row["layer_mean_abs"][-1] for row in rows if 0 < row["step"] <= config.trace_first_steps
                 and "layer_mean_abs" in row] for rows in complete(traces, network)]  # fmt: skip
        if runs:
            panels.setdefault(title, {})[network] = np.array(runs)
    return panels


def last_convolution(names: list[str], stages: list[int]) -> int:
    """The position of the last layer of the blocks that is no shortcut."""
    return max(i for i, (name, stage) in enumerate(zip(names, stages, strict=True))
               if stage and not re.search(r"shortcut|layer\d+c", name))  # fmt: skip


def histograms(rows: list[dict]) -> dict:
    """{"steps", "limits" (log2 |g|), "first", "last": fractions [T, bins]} of the first and last convolution."""
    kept = [row for row in rows if "probe_layer_histogram" in row]
    counts = column(kept, "probe_layer_histogram")
    share = counts / counts.sum(-1, keepdims=True)
    last = last_convolution(rows[0]["layers"], rows[0]["stages"])
    return {"steps": [row["step"] for row in kept], "limits": kept[0]["histogram_limits"], "first": share[:, 0],
            "last": share[:, last]}  # fmt: skip


def by_epoch(config, seeds: dict[int, list[dict]]) -> dict[str, np.ndarray]:
    """{"mean_abs", "var": [epochs, stages]}: of the last step of each epoch that is evaluated, geometric mean over seeds."""
    runs = [[row for row in rows if "val_accuracy" in row] for rows in seeds.values()]
    runs = [rows for rows in runs if len(rows) == max(map(len, runs))]
    return {name: gradients.geometric_mean([column(rows, f"stage_{name}") for rows in runs]) for name in ("mean_abs", "var")}


def clipped(config, first: dict) -> dict[str, dict]:
    """{network: {"steps", "before", "after": [T], "threshold"}} of the networks that clip."""
    found = {}
    for network, rows in first.items():
        each = [row for row in rows if 0 < row["step"] <= config.trace_first_steps and "clipped_norm" in row]
        if each:
            found[network] = {"steps": [row["step"] for row in each], "before": column(each, "grad_norm"),
                              "after": column(each, "clipped_norm"),
                              "threshold": own_config(config, network).optim.clip_norm}  # fmt: skip
    return found


def draw_mistakes(config, traces: dict, folder: Path) -> list[tuple[Path, str]]:
    """The figure of what the labs' slips do, and its caption."""
    first, pair = first_seed(traces), config.pair
    panels = {"swapped": {network: by_epoch(config, traces[network]) for network in pair if network in first}}
    panels["scaled"] = {network: histograms(first[network]) for network in pair if network in first}
    panels["clipped_once"] = next(iter(clipped(config, first).values()), None)
    frozen = [name for name in config.networks if own_config(config, name).freeze_norm_after_epochs]
    shown = [*frozen[-1:], *(name for name in config.networks if frozen and twins(config, name, frozen[-1]))]
    panels["frozen"] = {name: [column(rows, "val_accuracy") for rows in complete(traces, name)] for name in shown}
    path = folder / "mistakes.png"
    gradients.mistakes(panels, LOSS_SCALE, path)
    caption = """(a) True mean |g| of stage 1 (solid) and what a plot of the first result of var_mean shows (dashed). (b) First
        convolution before the first step: true (solid) and times 65,536 (dashed). (c) Norm before clipping, which is what the
        step takes when clipping ran once before the loop, and after clipping in every step. (d) BatchNorm in evaluation mode
        after the first epoch, and as it should be: mean and seeds."""
    return [(path, caption)]


def twins(config, network: str, frozen: str) -> bool:
    """Whether a network is what another would be without its frozen norm."""
    ours, theirs = own_config(config, network), own_config(config, frozen)
    theirs.freeze_norm_after_epochs = 0
    return ours.to_dict() == theirs.to_dict()
