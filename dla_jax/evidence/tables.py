"""The tables of classifiers, in reports and on the screen."""

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
# Records of earlier versions do not have these.
CURVE_KEYS = ("mean_val_loss", "val_loss_rise")
CLASS_KEYS = ("balanced_accuracy", "class_accuracy", "class_counts")
MEASURES = (
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
)
TEST = MEASURES.index("test % [95 % interval]")
MOST_CLASSES = 20  # that a table shows
# Times the share that a class would have if all were alike: where the largest class has more, the
# screen shows balanced accuracy too.
IMBALANCED = 1.5


def run_of(row: dict) -> dict:
    """Return what the summary keeps of the last row of a run."""
    kept = {key: row[key] for key in RUN_KEYS} | {key: row.get(key) for key in CURVE_KEYS}
    return kept | {key: row[key] for key in CLASS_KEYS if key in row}


def known(runs: list[dict], key: str) -> list[float]:
    """Return the values of a key of those runs that have it."""
    return [run[key] for run in runs if run.get(key) is not None]


def percent(fraction: float) -> str:
    """Return a fraction of one in per cent, without a sign: `94.5`."""
    return formatting.points(fraction, sign=False)


def accuracy_words(values: list[float]) -> str:
    """Return the mean of accuracies with its interval, in per cent: `94.5 [93.0, 96.1]`.

    Args:
      values: float [n] in [0, 1].
    """
    low, high = stats.accuracy_interval(values)
    return percent(float(np.mean(values))) + formatting.interval(low, high, sign=False)


def measures(runs: list[dict]) -> list[str]:
    """Return the columns of MEASURES for the runs of one arm."""

    def mean(key: str, form: str) -> str:
        values = known(runs, key)
        return format(np.mean(values), form) if values else "diverged"

    test, balanced = known(runs, "test_accuracy"), known(runs, "balanced_accuracy")
    return [
        str(len(runs)),
        percent(np.mean([run["val_accuracy"] for run in runs])),
        accuracy_words(test),
        percent(np.mean(balanced)) if balanced else "not kept",
        percent(min(test)),
        mean("test_loss", ".3f"),
        str(sum(run["diverged"] for run in runs)),
        f"{runs[0]['num_params']:,}",
        mean("train_seconds", ".1f"),
        mean("examples_per_s", ",.0f"),
    ]


def intervals(rows: list[dict]) -> dict[str, list[tuple]]:
    """Return the intervals that a figure of networks draws.

    Args:
      rows: {"accuracy", "loss": values of the runs} of each network.

    Returns:
      {"accuracy", "loss": (low, high) of each row that has values}.
    """
    return {
        "accuracy": [stats.accuracy_interval(row["accuracy"]) for row in rows if row["accuracy"]],
        "loss": [stats.t_interval(row["loss"]) for row in rows if row["loss"]],
    }


def largest_share(runs: list[dict]) -> float | None:
    """Return the share of the largest class in the test parts of runs.

    None where the classes are about equal, or the record does not say.
    """
    counts = [np.array(run["class_counts"]) for run in runs if run.get("class_counts")]
    if not counts:
        return None
    # A class that a seed leaves out has no examples in its run.
    shares = [own.max() / own.sum() for own in counts]
    relative = [share * np.count_nonzero(own) for share, own in zip(shares, counts, strict=True)]
    return float(np.mean(shares)) if np.mean(relative) >= IMBALANCED else None


def balanced_words(runs: list[dict]) -> str:
    """Return `, balanced 50.0` for the screen, where a class is much larger than the others."""
    found = known(runs, "balanced_accuracy")
    return f", balanced {percent(np.mean(found))}" if found and largest_share(runs) else ""


def largest_words(runs: list[dict]) -> list[str]:
    """Return a line on what naming the largest class would reach, where it is much larger."""
    share = largest_share(runs)
    return [f"{'always the largest class':<24} {percent(share)}"] if share else []


def class_section(class_names: list[str], runs: dict[str, list[dict]]) -> list[dict]:
    """Return the section on accuracy class by class, the rarest first; none without such records.

    Args:
      runs: {name of a network that is shown: its runs}.
    """
    kept = {
        name: [run for run in found if run.get("class_accuracy")] for name, found in runs.items()
    }
    kept = {name: found for name, found in kept.items() if found}
    if not kept:
        return []
    every = np.array([run["class_counts"] for found in kept.values() for run in found])
    counts = every.mean(0)
    order = np.argsort(counts, kind="stable")[:MOST_CLASSES]
    rows = [class_row(class_names[label], label, counts[label], kept) for label in order]
    return [
        {
            "title": "Class by class",
            "text": class_words(class_names, every),
            "table": {"head": ["class", "test examples", *kept], "rows": rows},
        }
    ]


def class_words(class_names: list[str], counts: np.ndarray) -> str:
    """Return what stands above the table of classes.

    Args:
      counts: int [runs, C], their test examples; 0 of a class that a seed leaves out.
    """
    majority, guessed = counts.max(1) / counts.sum(1), 1 / np.count_nonzero(counts, axis=1)
    name = f", {class_names[int(counts.sum(0).argmax())]}," if counts.all() else ""
    words = (
        f"Always naming the largest class{name} has {percent(majority.mean())} % of the test part "
        "right, and a balanced accuracy, the mean over classes, of "
        f"{percent(guessed.mean())} %. Means over seeds."
    )
    if not counts.all():
        words += " A class counts for the seeds that do not leave it out."
    if counts.shape[1] > MOST_CLASSES:
        words += f" The {MOST_CLASSES} rarest of {counts.shape[1]} classes."
    return words


def class_row(name: str, label: int, count: float, kept: dict[str, list[dict]]) -> list[str]:
    """Return the row of one class: its name, its test examples, and each network's accuracy."""

    def mean(runs: list[dict]) -> str:
        found = [run["class_accuracy"][label] for run in runs]
        values = [value for value in found if value is not None]
        return percent(np.mean(values)) if values else "not tested"

    return [name, f"{count:.1f}", *(mean(runs) for runs in kept.values())]


def curve(config, seeds: list[list[dict]]) -> dict:
    """Return training loss and validation accuracy, at the evaluations that all runs reached.

    Args:
      config: of the arm.
      seeds: the rows of each of its runs.

    Returns:
      {"epoch": int [T], "train_loss", "val_accuracy": [runs][T]}.
    """
    evaluated = [[row for row in seed if "val_accuracy" in row] for seed in seeds]
    shortest = min(map(len, evaluated))
    columns = {
        key: [[row[key] for row in seed[:shortest]] for seed in evaluated]
        for key in ("train_loss", "val_accuracy")
    }
    epochs = np.arange(1, shortest + 1) * config.eval_every_epochs
    return {"epoch": np.minimum(epochs, config.num_epochs), **columns}
