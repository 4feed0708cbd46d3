"""From the record of a study of gradients to its summary and report."""

import math
from pathlib import Path

import numpy as np

from dla_jax.evidence import records, report, stats
from dla_jax.studies.architectures import report as architectures_report
from dla_jax.studies.gradients.figures import draw_figures, draw_mistakes, last_convolution

FAR = 1e-12  # a ratio of gradients that is smaller, 0 too, counts as this
CAPTIONS = {
    "layers": """Root mean square of each layer's gradient on a probe batch that stays the same, from initialisation on; first
        seed, one scale for all panels, whose top 3 % of values share the last colour. Light grey: exactly zero; dark grey: below
        the scale. Networks at the rate of another are left out, here and below.""",
    "profiles": """Each layer's gradient relative to its weights, before the first step and at the end; geometric mean over
        seeds, not drawn where a gradient is exactly zero.""",
    "last_dense": """Mean absolute gradient of the last dense layer in each of the first batches, of the step itself: geometric
        mean over seeds, and single seeds of the first network (thin). A line ends where a gradient is exactly zero. Lab E's
        view.""",
    "convolutions": """How the gradient of the first and of the last convolution is distributed on the probe batch, from
        initialisation on; first seed. Lab B's view, on a scale that shows what is small.""",
    "stages": """Mean absolute value and variance of the gradient of each stage, of the last step of each epoch, all seeds
        (geometric mean). Lab C's view.""",
    "updates": """How much a step moves each layer: norm of the update over norm of the weights; first seed.""",
    "clipping": """Norm of the whole gradient in each of the first steps, first seed: before clipping, and as clipping left it.
        Dotted: the threshold.""",
}


def draw(workdir: Path) -> None:
    """Writes `summary.json`, `figures/*.png` and `report.html` of a finished study; the record is only read.

    Raises:
      ConfigError: no study there, or an unfinished one.
    """
    written, config, rows, done = records.read_finished(workdir, architectures_report.num_runs)
    traces = traces_of(config, rows)
    measured = lambda run: measure(traces[run["group"]][run["seed"]], config.trace_first_steps, run)
    summary = architectures_report.summarise(config, done, measured)
    records.write_summary(workdir, summary)
    trained = {
        network: {
            seed: rows
            for seed, rows in seeds.items()
            if not done[f"final/{network}/seed{seed}"]["diverged"]
        }
        for network, seeds in traces.items()
    }
    figures = draw_figures(config, traces, trained, workdir / "figures")
    shown = lambda *names: [
        {"path": figures[name], "caption": CAPTIONS[name]} for name in names if name in figures
    ]
    sections = [
        {
            "title": "The gradient, layer by layer",
            "text": RATIOS,
            "figures": shown("layers", "profiles"),
            "table": {"head": GRADIENT_HEAD, "rows": gradient_rows(config, summary)},
        },
        {"title": "The labs' views", "figures": shown("last_dense", "convolutions", "stages")},
        {"title": "What a step moves", "figures": shown("clipping", "updates")},
        {
            "title": "What the mistakes would have reported",
            "text": MISTAKES,
            "figures": draw_mistakes(config, traces, trained, workdir / "figures"),
        },
        *architectures_report.sections(config, summary, rows, workdir),
        *architectures_report.class_section(config, written, summary),
    ]
    report.render(
        workdir / "report.html",
        title=f"Gradients on {config.data.name}",
        question=config.question,
        command=written["launches"][0]["command"],
        claims=summary["claims"],
        sections=sections,
        facts=records.facts(written, summary),
    )
    lines = architectures_report.printed_lines(config, summary)
    records.print_lines(lines, summary["claims"], workdir)


def traces_of(config, rows: list[dict]) -> dict[str, dict[int, list[dict]]]:
    """{network: {seed: rows of its run but the last}}, the record's order."""
    found = {network: {} for network in config.networks}
    for row in rows:
        stage, network, *seed = row["run"].split("/")
        if stage == "final" and not row.get("done"):
            found[network].setdefault(int(seed[0].removeprefix("seed")), []).append(row)
    return found


def decades(a: float | None, b: float | None) -> float:
    """log10(a / b) within +-12. None stands for a value that overflowed: far above all others, and nan beside another."""
    if a is None or b is None:
        return math.nan if a is b else -math.log10(FAR) if a is None else math.log10(FAR)
    return float(np.log10(np.clip(a / max(b, 1e-300), FAR, 1 / FAR)))


def mean_of(values) -> float:
    """The mean of those that are neither None nor nan; nan without any."""
    known = [value for value in values if value is not None and not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan


def measure(rows: list[dict], first_steps: int, run: dict) -> dict[str, float | None]:
    """What the claims compare (configs/gradients.py: claims) of the rows of one run, as far as it got. `run`: its last row."""
    diverged, last = run["diverged"], last_convolution(rows[0]["layers"], rows[0]["stages"])
    probes = [row for row in rows if "probe_layer_relative" in row]
    along = [
        decades(row["probe_layer_relative"][0], row["probe_layer_relative"][last]) for row in probes
    ]
    sizes = [decades(row["probe_layer_mean_abs"][0], 1) for row in probes]
    steps = [row for row in rows if 0 < row["step"] <= first_steps]
    dense, tenth = [row["layer_mean_abs"][-1] for row in steps], max(1, len(steps) // 10)
    start, first_layer = (
        None if math.isnan(value) else value for value in (along[0], mean_of(along))
    )
    largest = math.inf if diverged else max(row["grad_norm"] for row in steps)
    return {
        "first_size": mean_of(sizes),
        "first_layer": first_layer,
        "start_first_layer": start,
        "above_vanishing": None if first_layer is None else first_layer + 1,
        "start_above_vanishing": None if start is None else start + 1,
        "below_exploding": None if first_layer is None else 1 - first_layer,
        "start_below_exploding": None if start is None else 1 - start,
        "last_dense": None
        if diverged
        else decades(np.mean(dense[-tenth:]), np.mean(dense[:tenth])) + 1,
        "bounded": 2 - decades(largest, 1),
        "last_val_accuracy": run["val_accuracy"] if diverged else rows[-1]["val_accuracy"],
        "clipped_steps": float(
            np.mean(
                [
                    "clipped_norm" in row and row["clipped_norm"] < 0.999 * row["grad_norm"]
                    for row in steps
                ]
            )
        )
        if steps
        else 0.0,
    }


GRADIENT_HEAD = [
    "network",
    "diverged",
    "first / last convolution: start",
    "over the run [95 % interval]",
    "last dense layer: end / start",
    "largest norm",
    "clipped",
]
RATIOS = """Factors, geometric means over seeds, but for the start of the runs that did not diverge. First and last
convolution: norm of the gradient over norm of the weights, on the probe batch. Last dense layer: mean |g| in the last tenth
of the first steps over that in their first tenth; largest norm of the whole gradient, and steps that were clipped, among
these steps too. The claims above count in decades, powers of ten, from where their bound lies: 0 is a tenth of the last
convolution's gradient, ten times it, or a norm of 100."""


def gradient_rows(config, summary: dict) -> list[list[str]]:
    """The table of the gradients, as text: factors, not decades."""

    def factor(decades):
        return "unknown" if math.isnan(decades) else f"{10.0**decades:.2g}"

    table = []
    for network in config.networks:
        runs = [run for run in summary["runs"] if run["group"] == network]
        kept = [run for run in runs if not run["diverged"]]
        start = mean_of(run["start_above_vanishing"] for run in runs) - 1
        along = [run["first_layer"] for run in kept if run["first_layer"] is not None]
        interval = (
            f" [{', '.join(map(factor, stats.t_interval(along)))}]"
            if len(along) >= stats.FEWEST
            else ""
        )
        table.append(
            [
                network,
                str(len(runs) - len(kept)),
                factor(start),
                factor(mean_of(along)) + interval,
                factor(mean_of(run["last_dense"] for run in kept) - 1),
                factor(2 - mean_of(run["bounded"] for run in kept)),
                f"{100 * mean_of(run['clipped_steps'] for run in runs):.0f} %",
            ]
        )
    return table


MISTAKES = """Four slips of the labs, each easily made, and what they do to the picture, re-enacted on the runs above.
(a) Lab C plots the first result of torch.var_mean as the mean: it is the variance, orders of magnitude smaller, and it
falls with the square. (b) Lab B's histograms show gradients that mixed precision had multiplied by its loss scale, 65,536 at
the start and then doubled or halved as training goes, so that the widths of two runs do not compare. (c) Lab B clips once,
before training, when there is no gradient yet: that run is one without clipping. (d) Lab C leaves BatchNorm in
evaluation mode after the first epoch."""
