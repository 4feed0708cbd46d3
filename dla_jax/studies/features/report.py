"""From the record of classifiers of texts to their summary and report."""

import numpy as np

from dla_jax.evidence import formatting, selection, tables
from dla_jax.plots import classes
from dla_jax.studies.architectures.report import (
    NETWORK_HEAD,
    best_beside,
    by_size,
    draw_curves,
    draw_networks,
    measured_rows,
)
from dla_jax.studies.study import Finished

HEAD = (*NETWORK_HEAD, "macro F1 %")
SHOWN = 4  # networks whose confusion is drawn


def answer(found: Finished) -> str:
    """Return how the network that is best on validation compares with TF-IDF."""
    bags = [arm.name for arm in found.arms.values() if arm.config.model.name == "tfidf"]
    return best_beside(found, bags)


def run_of(found: Finished, row: dict) -> dict:
    """Return what the summary keeps of a run, and what its claims compare.

    `beyond_reported` is the accuracy minus what the config says was reported of a network. It is
    None where the data is another, or a part of it, on which as many epochs are fewer steps.
    """
    config, num_examples = found.config, found.written["data"]["num_examples"]
    same = config.reported_for.to_dict() == {
        "name": config.data.name,
        "num_examples": num_examples,
    }
    reported = config.reported_accuracy.to_dict().get(row["group"]) if same else None
    beyond = None if reported is None else row["test_accuracy"] - reported
    return tables.run_of(row) | {"macro_f1": row["macro_f1"], "beyond_reported": beyond}


def sections(found: Finished) -> list[dict]:
    """Return the sections of the report, with their figures drawn."""
    class_names = found.written["data"]["class_names"]
    words = [token_words(found), solver_words(found)]
    return [
        {
            "title": "The classifiers",
            "text": " ".join(filter(None, words)),
            "figures": [draw_networks(found)],
            "table": {"head": HEAD, "rows": network_rows(found)},
        },
        {"title": "Training", "figures": draw_curves(found)},
        *selection.section(found.summary["selection"]),
        {"title": "What is taken for what", "figures": [draw_confusion(found)]},
        *wrong_section(found),
        *tables.class_section(
            class_names, {network: found.last_rows(network) for network in found.arms}
        ),
    ]


def best_network(found: Finished) -> str:
    """Return the network with the highest mean validation accuracy."""

    def accuracy(network: str) -> float:
        return np.mean([run["val_accuracy"] for run in found.runs_of(network)])

    return max(found.arms, key=accuracy)


def token_words(found: Finished) -> str:
    """Return how long the texts are, and how many were cut."""
    alike = {}
    for network in found.arms:
        row = found.last_rows(network)[0]
        if "truncated" in row:
            cut = f"{formatting.count(row['truncated'], 'text')} cut to {row['max_length']}"
            words = f"{row['tokens_per_text']:.0f} tokens a text, {cut}"
            alike.setdefault(words, []).append(network)
    learned = " The tokenizer was learned from all texts, without their labels."
    shown = "; ".join(f"{', '.join(networks)}: {words}" for words, networks in alike.items())
    return shown + "." + ("" if found.config.encoder.path else learned)


def network_rows(found: Finished) -> list[list[str]]:
    """Return the table of the networks, as text."""
    rows = measured_rows(found)
    for row in rows:
        model = found.arms[row[0]].config.model
        runs = [run for run in found.last_rows(row[0]) if run["macro_f1"] is not None]
        if "strengths" in model:
            row[2] = strength_words(model.strengths, runs)
        f1 = [run["macro_f1"] for run in runs]
        row.append(f"{100 * np.mean(f1):.1f}" if f1 else "diverged")
    return rows


def strength_words(tried: tuple[float, ...], runs: list[dict]) -> str:
    """Return the strengths that runs chose of those that were tried: `C = 0.1, 100 (edge)`."""
    edges = (min(tried), max(tried)) if len(tried) > 1 else ()
    chosen = sorted({run["strength"] for run in runs})
    words = [f"{strength:g}{' (edge)' if strength in edges else ''}" for strength in chosen]
    return "C = " + ", ".join(words)


def solver_words(found: Finished) -> str:
    """Return how exactly each logistic regression was solved.

    Nothing without one, or where the record does not say it.
    """
    words = []
    for network in found.arms:
        model, runs = found.arms[network].config.model, found.last_rows(network)
        if any("unsolved" not in run for run in runs):
            continue
        tried = ", ".join(f"{strength:g}" for strength in sorted(model.strengths))
        unsolved = sorted({strength for run in runs for strength in run["unsolved"]})
        exactly = f"solved until no component of the gradient exceeds {model.tolerance:g}"
        if unsolved:
            at = ", ".join(f"{strength:g}" for strength in unsolved)
            exactly += f" (but not at C = {at}: stopped too early)"
        words.append(
            f"{network}: logistic regression, {exactly}; each run chose C, on its validation part, "
            f"of {tried}."
        )
    return " ".join(words)


def draw_confusion(found: Finished) -> dict:
    """Draw the confusion matrices, of the largest networks where there are many."""
    class_names, counts = found.written["data"]["class_names"], {}
    for network in by_size(found)[-SHOWN:]:
        matrices = [
            np.array(run["confusion"])
            for run in found.last_rows(network)
            if run["confusion"] is not None
        ]
        counts[network] = sum(matrices, np.zeros((len(class_names),) * 2, int))
    path = found.figures / "confusion.png"
    alt = classes.confusion(counts, class_names, path)
    caption = "Share of each true class (row), in %, all seeds together."
    return {"path": path, "alt": alt, "caption": caption}


def wrong_section(found: Finished) -> list[dict]:
    """Return the section of what the best network got most wrong; none where it got nothing."""
    best = best_network(found)
    text = (
        f"Test texts that {best}, best on validation, took for something else with the highest "
        "probability; first seed. Some labels are wrong themselves."
    )
    samples = wrong_texts(found, best)
    section = {"title": "What was most surely wrong", "text": text, "samples": samples}
    return [section] if samples else []


def wrong_texts(found: Finished, network: str) -> list[dict]:
    """Return what the first seed of a network got most wrong, as samples of the report."""
    return [
        {
            "caption": f"{example['label']}, taken for {example['predicted']} with probability "
            f"{example['probability']:.3f}",
            "text": example["text"],
        }
        for example in found.last_rows(network)[0]["wrong"]
    ]
