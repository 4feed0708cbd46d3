"""What the reports of the stories about classifiers share."""

import numpy as np

from dla_jax.evidence import formatting, stats

RUN_KEYS = (
    "group",
    "seed",
    "lr",
    "num_params",
    "val_accuracy",
    "test_accuracy",
    "test_loss",
    "best_step",
    "diverged",
    "diverged_at",
    "train_seconds",
    "examples_per_s",
    "seconds_per_epoch",
)
CURVE_KEYS = ("mean_val_loss", "val_loss_rise")  # which records of before do not have, as these
CLASS_KEYS = ("balanced_accuracy", "class_accuracy", "class_counts")
MEASURE_HEAD = [
    "runs",
    "validation %",
    "test % [95 % interval]",
    "balanced %",
    "worst %",
    "test loss",
    "diverged",
    "parameters",
    "train s",
    "examples/s",
]
MOST_CLASSES = 20  # that a table shows


def run_of(row: dict) -> dict:
    """Return what the summary keeps of the last row of a run."""
    kept = {key: row[key] for key in RUN_KEYS} | {key: row.get(key) for key in CURVE_KEYS}
    return kept | {key: row[key] for key in CLASS_KEYS if key in row}


def accuracy_words(values) -> str:
    """Return the mean of accuracies float [n] in [0, 1] with its interval, in per cent: `94.5 [93.0, 96.1]`."""
    return formatting.points(float(np.mean(values)), False) + formatting.interval(
        *stats.accuracy_interval(values), sign=False
    )


def measures(runs: list[dict]) -> list[str]:
    """Return the columns of MEASURE_HEAD for the runs of one group."""

    def mean(key, form, absent="diverged"):
        values = [run[key] for run in runs if run.get(key) is not None]
        return format(np.mean(values), form) if values else absent

    test = [run["test_accuracy"] for run in runs]
    balanced = [
        run["balanced_accuracy"] for run in runs if run.get("balanced_accuracy") is not None
    ]
    return [
        str(len(runs)),
        formatting.points(np.mean([run["val_accuracy"] for run in runs]), False),
        accuracy_words(test),
        formatting.points(np.mean(balanced), False) if balanced else "not kept",
        formatting.points(min(test), False),
        mean("test_loss", ".3f"),
        str(sum(run["diverged"] for run in runs)),
        f"{runs[0]['num_params']:,}",
        mean("train_seconds", ".1f"),
        mean("examples_per_s", ",.0f"),
    ]


def intervals(rows: list[dict]) -> dict[str, list[tuple]]:
    """Return the intervals that `plots.accuracy.networks` draws: of "accuracy" and "loss" of each row that has values."""
    return {
        "accuracy": [stats.accuracy_interval(row["accuracy"]) for row in rows if row["accuracy"]],
        "loss": [stats.t_interval(row["loss"]) for row in rows if row["loss"]],
    }


IMBALANCED = 1.5  # times the share of a class if all were alike: from there on the screen shows balanced accuracy too


def largest_share(runs: list[dict]) -> float | None:
    """Return the share of the largest class in the test parts of runs; None where they are even, or the record has none."""
    counts = [run["class_counts"] for run in runs if run.get("class_counts")]
    shares = np.sum(counts, axis=0) / np.sum(counts) if counts else np.zeros(1)
    return float(shares.max()) if shares.max() * len(shares) >= IMBALANCED else None


def balanced_words(runs: list[dict]) -> str:
    """Return `, balanced 50.0` for the screen, where a class is much larger than others; else nothing."""
    found = [run["balanced_accuracy"] for run in runs if run.get("balanced_accuracy") is not None]
    return (
        f", balanced {formatting.points(np.mean(found), False)}"
        if found and largest_share(runs)
        else ""
    )


def largest_words(runs: list[dict]) -> list[str]:
    """Return a line for the screen on what naming the largest class would reach, where it is much larger than others."""
    share = largest_share(runs)
    return [f"{'always the largest class':<24} {formatting.points(share, False)}"] if share else []


def class_section(class_names: list[str], runs: dict[str, list[dict]]) -> list[dict]:
    """Return the section of the report that shows accuracy class by class, the rarest first; none without such records.

    `runs`: those of each network that is shown, by its name.
    """
    kept = {
        name: [run for run in found if run.get("class_accuracy")] for name, found in runs.items()
    }
    kept = {name: found for name, found in kept.items() if found}
    if not kept:
        return []
    counts = np.mean([run["class_counts"] for found in kept.values() for run in found], axis=0)
    largest = int(counts.argmax())
    majority, guessed = counts[largest] / counts.sum(), 1 / np.count_nonzero(counts)
    text = (
        f"Always naming the largest class, {class_names[largest]}, has {formatting.points(majority, False)} % of the test part "
        f"right, and a balanced accuracy, the mean over classes, of {formatting.points(guessed, False)} %. Means over seeds."
    )

    def mean(found, label):
        values = [
            run["class_accuracy"][label]
            for run in found
            if run["class_accuracy"][label] is not None
        ]
        return formatting.points(np.mean(values), False) if values else "not tested"

    order = np.argsort(counts, kind="stable")[:MOST_CLASSES]
    if len(counts) > MOST_CLASSES:
        text += f" The {MOST_CLASSES} rarest of {len(counts)} classes."
    rows = [
        [
            class_names[label],
            f"{counts[label]:.1f}",
            *(mean(found, label) for found in kept.values()),
        ]
        for label in order
    ]
    return [
        {
            "title": "Class by class",
            "text": text,
            "table": {"head": ["class", "test examples", *kept], "rows": rows},
        }
    ]


def curve(config, seeds: list[list[dict]]) -> dict:
    """Training loss and validation accuracy at the evaluations that all runs of a group reached."""
    evaluated = [[row for row in seed if "val_accuracy" in row] for seed in seeds]
    shortest = min(map(len, evaluated))
    columns = {
        key: [[row[key] for row in seed[:shortest]] for seed in evaluated]
        for key in ("train_loss", "val_accuracy")
    }
    epochs = np.minimum(np.arange(1, shortest + 1) * config.eval_every_epochs, config.num_epochs)
    return {"epoch": epochs, **columns}
