"""What the reports of the stories about classifiers share."""

import numpy as np

from dla_jax import report, stats

RUN_KEYS = ("group", "seed", "lr", "num_params", "val_accuracy", "test_accuracy", "test_loss", "best_step", "diverged",
            "diverged_at", "train_seconds", "examples_per_s", "seconds_per_epoch")  # fmt: skip
MEASURE_HEAD = ["runs", "validation %", "test % [95 % interval]", "worst %", "test loss", "diverged", "parameters", "train s",
                "examples/s"]  # fmt: skip


def measures(runs: list[dict]) -> list[str]:
    """The columns of MEASURE_HEAD for the runs of one group."""

    def mean(key, form):
        values = [run[key] for run in runs if run[key] is not None]
        return format(np.mean(values), form) if values else "diverged"

    test = [run["test_accuracy"] for run in runs]
    low, high = stats.t_interval(test)
    return [str(len(runs)), format(100 * np.mean([run["val_accuracy"] for run in runs]), ".1f"),
            f"{100 * np.mean(test):.1f} [{report.points(low, False)}, {report.points(high, False)}]", f"{100 * min(test):.1f}",
            mean("test_loss", ".3f"), str(sum(run["diverged"] for run in runs)), f"{runs[0]['num_params']:,}",
            mean("train_seconds", ".1f"), mean("examples_per_s", ",.0f")]  # fmt: skip


def curve(config, seeds: list[list[dict]]) -> dict:
    """Training loss and validation accuracy at the evaluations that all runs of a group reached."""
    evaluated = [[row for row in seed if "val_accuracy" in row] for seed in seeds]
    shortest = min(map(len, evaluated))
    columns = {key: [[row[key] for row in seed[:shortest]] for seed in evaluated] for key in ("train_loss", "val_accuracy")}
    epochs = np.minimum(np.arange(1, shortest + 1) * config.eval_every_epochs, config.num_epochs)
    return {"epoch": epochs, **columns}


def rate_score(rows: list[dict]) -> tuple[float, float]:
    """By which a learning rate is chosen: mean validation accuracy, then the lowest mean loss."""
    mean = lambda key: float(np.mean([np.inf if row[key] is None else row[key] for row in rows]))  # noqa: E731
    return mean("val_accuracy"), -mean("val_loss")
