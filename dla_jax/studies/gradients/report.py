"""From the record of a study of gradients to its summary and report."""

import math

import numpy as np

from dla_jax.evidence import stats
from dla_jax.studies.architectures.report import class_section, network_run, network_sections
from dla_jax.studies.gradients.figures import draw_figures, draw_mistakes, last_convolution
from dla_jax.studies.study import Finished

FAR = 1e-12  # a smaller ratio of gradients, 0 too, counts as this
HEAD = (
    "network",
    "diverged",
    "first / last convolution: start",
    "over the run [95 % interval]",
    "last dense layer: end / start",
    "largest norm",
    "clipped",
)
RATIOS = """Factors, geometric means over seeds, except for the start of the runs that did not
diverge. First and last convolution: norm of the gradient over norm of the weights, on the probe
batch. Last dense layer: mean |g| in the last tenth of the first steps over that in their first
tenth; largest norm of the whole gradient, and steps that were clipped, among these steps too. The
claims above count in decades, powers of ten, from where their bound lies: a tenth of the last
convolution's gradient, ten times it, or a norm of 100."""
MISTAKES = """Four slips of the labs, each easily made, and what they do to the picture, re-enacted
on the runs above. (a) Lab C plots the first result of torch.var_mean as the mean: it is the
variance, orders of magnitude smaller, and it falls with the square. (b) Lab B's histograms show
gradients that mixed precision had multiplied by its loss scale, 65,536 at the start and then
doubled or halved as training continues, so that the widths of two runs do not compare. (c) Lab B
clips once, before training, when there is no gradient yet: that run is one without clipping. (d)
Lab C leaves BatchNorm in evaluation mode after the first epoch."""
CAPTIONS = {
    "layers": """Root mean square of each layer's gradient on a probe batch that stays the same,
        from initialisation on; first seed, one scale for all panels, whose top 3 % of values share
        the last colour. Light grey: exactly zero; dark grey: below the scale. Networks at the rate
        of another are left out, here and below.""",
    "profiles": """Each layer's gradient relative to its weights, before the first step and at the
        end; geometric mean over seeds, not drawn where a gradient is exactly zero.""",
    "last_dense": """Mean absolute gradient of the last dense layer in each of the first batches, of
        the step itself: geometric mean over seeds, and single seeds of the first network (thin). A
        line ends where a gradient is exactly zero. Lab E's view.""",
    "convolutions": """How the gradient of the first and of the last convolution is distributed on
        the probe batch, from initialisation on; first seed. Lab B's view, on a scale that shows
        what is small.""",
    "stages": """Mean absolute value and variance of the gradient of each stage, of the last step of
        each epoch, all seeds (geometric mean). Lab C's view.""",
    "updates": """How much a step moves each layer: norm of the update over norm of the weights;
        first seed.""",
    "clipping": """Norm of the whole gradient in each of the first steps, first seed: before
        clipping, and as clipping left it. Dotted: the threshold.""",
}


def run_of(found: Finished, row: dict) -> dict:
    """Return what the summary keeps of a run, and what its claims compare."""
    rows = found.rows_of(row["group"])[row["seed"]]
    return network_run(found, row) | measure(rows, found.config.trace_first_steps, row)


def decades(a: float | None, b: float | None) -> float:
    """Return log10(a / b), within +-12.

    None stands for a value that overflowed: far above all others, and nan beside another.
    """
    if a is None or b is None:
        return math.nan if a is b else -math.log10(FAR) if a is None else math.log10(FAR)
    return float(np.log10(np.clip(a / max(b, 1e-300), FAR, 1 / FAR)))


def mean_of(values) -> float:
    """Return the mean of the values that are neither None nor nan; nan without any."""
    known = [value for value in values if value is not None and not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan


def known_or_none(value: float) -> float | None:
    """Return a number, or None for nan."""
    return None if math.isnan(value) else value


def measure(rows: list[dict], first_steps: int, run: dict) -> dict[str, float | None]:
    """Return what the claims compare of one run, as far as it got (configs/claims/gradients.py).

    Args:
      rows: those of the run.
      first_steps: how many steps at its start have a row each.
      run: its last row.
    """
    diverged, last = run["diverged"], last_convolution(rows[0]["layers"], rows[0]["stages"])
    probes = [row for row in rows if "probe_layer_relative" in row]
    relative = [row["probe_layer_relative"] for row in probes]
    along = [decades(layers[0], layers[last]) for layers in relative]
    sizes = [decades(row["probe_layer_mean_abs"][0], 1) for row in probes]
    steps = [row for row in rows if 0 < row["step"] <= first_steps]
    largest = math.inf if diverged else max(row["grad_norm"] for row in steps)
    return {
        "first_size": mean_of(sizes),
        "first_layer": known_or_none(mean_of(along)),
        "start_first_layer": known_or_none(along[0]),
        "last_dense_change": None if diverged else last_dense_change(steps),
        "largest_norm": decades(largest, 1),
        "last_val_accuracy": run["val_accuracy"] if diverged else rows[-1]["val_accuracy"],
        "clipped_steps": float(np.mean([was_clipped(row) for row in steps])) if steps else 0.0,
    }


def last_dense_change(steps: list[dict]) -> float:
    """Return how much the last dense layer's mean |g| changes over the first steps, in decades.

    It compares the last tenth of these steps with the first.
    """
    dense, tenth = [row["layer_mean_abs"][-1] for row in steps], max(1, len(steps) // 10)
    return decades(np.mean(dense[-tenth:]), np.mean(dense[:tenth]))


def was_clipped(row: dict) -> bool:
    """Return whether clipping made the gradient of a step smaller."""
    return "clipped_norm" in row and row["clipped_norm"] < 0.999 * row["grad_norm"]


def sections(found: Finished) -> list[dict]:
    """Return the sections of the report, with their figures drawn."""
    figures = draw_figures(found)

    def shown(*names: str) -> list[dict]:
        return [
            figures[name] | {"caption": CAPTIONS[name], "main": name == "profiles"}
            for name in names
            if name in figures
        ]

    return [
        {
            "title": "The gradient, layer by layer",
            "text": RATIOS,
            "figures": shown("layers", "profiles"),
            "table": {"head": HEAD, "rows": gradient_rows(found)},
        },
        {"title": "The labs' views", "figures": shown("last_dense", "convolutions", "stages")},
        {"title": "What a step moves", "figures": shown("clipping", "updates")},
        {
            "title": "What the mistakes would have reported",
            "text": MISTAKES,
            "figures": draw_mistakes(found),
        },
        *network_sections(found),
        *class_section(found),
    ]


def factor(decades: float) -> str:
    """Return decades as a factor, in words."""
    return "unknown" if math.isnan(decades) else f"{10.0**decades:.2g}"


def gradient_rows(found: Finished) -> list[list[str]]:
    """Return the table of the gradients, as text: factors, not decades."""
    table = []
    for network in found.arms:
        runs = found.runs_of(network)
        kept = [run for run in runs if not run["diverged"]]
        along = [run["first_layer"] for run in kept if run["first_layer"] is not None]
        interval = ""
        if len(along) >= stats.FEWEST:
            interval = f" [{', '.join(map(factor, stats.t_interval(along)))}]"
        table.append(
            [
                network,
                str(len(runs) - len(kept)),
                factor(mean_of(run["start_first_layer"] for run in runs)),
                factor(mean_of(along)) + interval,
                factor(mean_of(run["last_dense_change"] for run in kept)),
                factor(mean_of(run["largest_norm"] for run in kept)),
                f"{100 * mean_of(run['clipped_steps'] for run in runs):.0f} %",
            ]
        )
    return table
