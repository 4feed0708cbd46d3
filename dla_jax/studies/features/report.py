"""From the record of classifiers of texts to their summary, figures and report."""

from pathlib import Path

import numpy as np

from dla_jax.evidence import formatting, records, report, selection
from dla_jax.evidence import tables as classifier_report
from dla_jax.evidence.tables import MEASURE_HEAD
from dla_jax.plots import classes as plots
from dla_jax.studies.architectures import report as architectures_report
from dla_jax.studies.architectures.report import by_size, num_runs
from dla_jax.trials.arms import own_config, seeds_of

SHOWN = 4  # networks whose confusion is drawn


def draw(workdir: Path) -> None:
    """Writes `summary.json`, `figures/*.png` and `report.html` of a finished study; the record is only read.

    Raises:
      ConfigError: no study there, or an unfinished one.
    """
    written, config, rows, done = records.read_finished(workdir, num_runs)
    summary = architectures_report.summarise(
        config,
        done,
        lambda run: measured(config, written["data"]["num_examples"], run),
        sized=lambda *_: {},
    )
    records.write_summary(workdir, summary)
    report.render(
        workdir / "report.html",
        title=f"Classifiers of texts on {written['data']['name']}",
        question=config.question,
        command=written["launches"][0]["command"],
        claims=summary["claims"],
        sections=sections(config, summary, rows, done, written["data"]["class_names"], workdir),
        facts=records.facts(written, summary, "texts"),
    )
    records.print_lines(
        architectures_report.printed_lines(config, summary), summary["claims"], workdir
    )


def measured(config, num_examples: int, run: dict) -> dict:
    """What claims compare beside accuracy and loss: `beyond_reported`, accuracy minus what the config says was reported of a
    network; None where the data is another, or a part of it, on which as many epochs are fewer steps."""
    same = config.reported_for.to_dict() == {"name": config.data.name, "num_examples": num_examples}
    reported = config.reported_accuracy.to_dict().get(run["group"]) if same else None
    return {
        "macro_f1": run["macro_f1"],
        "beyond_reported": None if reported is None else run["test_accuracy"] - reported,
    }


def sections(
    config,
    summary: dict,
    rows: list[dict],
    done: dict[str, dict],
    class_names: list[str],
    workdir: Path,
) -> list[dict]:
    """The sections of the report, with their figures drawn."""
    best = best_network(summary)
    return [
        {
            "title": "The classifiers",
            "text": " ".join(filter(None, (token_words(config, done), solver_words(config, done)))),
            "figures": [
                {
                    "path": architectures_report.draw_networks(config, summary, workdir),
                    "caption": "Test accuracy and loss of the "
                    "state that is best on validation: mean (diamond), 95 % t-interval (bar), seeds (dots).",
                }
            ],
            "table": {
                "head": ["network", "reported", "learning rate", *MEASURE_HEAD, "macro F1 %"],
                "rows": network_rows(config, summary, done),
            },
        },
        {
            "title": "Training",
            "figures": [
                {
                    "path": architectures_report.draw_curves(config, summary, rows, workdir),
                    "caption": "Mean and range.",
                }
            ],
        },
        *selection.section(summary["selection"]),
        {
            "title": "What is taken for what",
            "figures": [
                {
                    "path": draw_confusion(config, summary, done, class_names, workdir),
                    "caption": "Share of each true class (row), in %, all seeds together.",
                }
            ],
        },
        {
            "title": "What was most surely wrong",
            "text": f"Test texts that {best}, best on validation, took for something else "
            "with the highest probability; first seed. Some labels are wrong themselves.",
            "samples": wrong_texts(config, done, best),
        },
        *classifier_report.class_section(
            class_names, {network: finals(config, done, network) for network in config.networks}
        ),
    ]


def best_network(summary: dict) -> str:
    """The network with the highest mean validation accuracy."""
    groups = dict.fromkeys(run["group"] for run in summary["runs"])
    return max(
        groups,
        key=lambda group: np.mean(
            [run["val_accuracy"] for run in summary["runs"] if run["group"] == group]
        ),
    )


def finals(config, done: dict[str, dict], network: str) -> list[dict]:
    """The last rows of a network's compared runs."""
    return [done[f"final/{network}/seed{seed}"] for seed in seeds_of(config, network)]


def token_words(config, done: dict[str, dict]) -> str:
    """How long the texts are, and how many were cut."""
    found = {}
    for network in config.networks:
        row = finals(config, done, network)[0]
        if "truncated" in row:
            cut = f"{formatting.count(row['truncated'], 'text')} cut to {row['max_length']}"
            found.setdefault(f"{row['tokens_per_text']:.0f} tokens a text, {cut}", []).append(
                network
            )
    learned = (
        ""
        if config.encoder.path
        else " The tokenizer was learned from all texts, without their labels."
    )
    return (
        "; ".join(f"{', '.join(networks)}: {words}" for words, networks in found.items())
        + "."
        + learned
    )


def network_rows(config, summary: dict, done: dict[str, dict]) -> list[list[str]]:
    """The table of the networks, as text."""
    rows = architectures_report.network_rows(config, summary)
    for row in rows:
        runs = [run for run in finals(config, done, row[0]) if run["macro_f1"] is not None]
        if "strengths" in own_config(config, row[0]).model:
            row[2] = strength_words(own_config(config, row[0]).model.strengths, runs)
        row.append(
            f"{100 * np.mean([run['macro_f1'] for run in runs]):.1f}" if runs else "diverged"
        )
    return rows


def strength_words(tried: tuple[float, ...], runs: list[dict]) -> str:
    """Return the strengths that runs chose of those that were tried: `C = 0.1, 100 (edge)`."""
    edges = (min(tried), max(tried)) if len(tried) > 1 else ()
    chosen = sorted({run["strength"] for run in runs})
    return "C = " + ", ".join(
        f"{strength:g}{' (edge)' if strength in edges else ''}" for strength in chosen
    )


def solver_words(config, done: dict[str, dict]) -> str:
    """Return how exactly each logistic regression was solved; nothing without one, or of a record that does not say it."""
    words = []
    for network in config.networks:
        model, runs = own_config(config, network).model, finals(config, done, network)
        if any("unsolved" not in run for run in runs):
            continue
        tried = ", ".join(f"{strength:g}" for strength in sorted(model.strengths))
        unsolved = sorted({strength for run in runs for strength in run["unsolved"]})
        exactly = f"solved until no component of the gradient exceeds {model.tolerance:g}"
        if unsolved:
            exactly += f" (but not at C = {', '.join(f'{strength:g}' for strength in unsolved)}: stopped too early)"
        words.append(
            f"{network}: logistic regression, {exactly}; each run chose C, on its validation part, of {tried}."
        )
    return " ".join(words)


def draw_confusion(
    config, summary: dict, done: dict[str, dict], class_names: list[str], workdir: Path
) -> Path:
    """The figure of the confusion matrices, of the largest networks where there are many."""
    counts = {}
    for network in by_size(config, summary)[-SHOWN:]:
        found = [
            np.array(run["confusion"])
            for run in finals(config, done, network)
            if run["confusion"] is not None
        ]
        counts[network] = sum(found, np.zeros((len(class_names),) * 2, int))
    plots.confusion(counts, class_names, workdir / "figures" / "confusion.png")
    return workdir / "figures" / "confusion.png"


def wrong_texts(config, done: dict[str, dict], network: str) -> list[dict]:
    """What the first seed of a network got most wrong, as samples of the report."""
    wrong = finals(config, done, network)[0]["wrong"]
    return [
        {
            "caption": f"{example['label']}, taken for {example['predicted']} with probability {example['probability']:.3f}",
            "text": example["text"],
        }
        for example in wrong
    ]
