"""What the runs of all classifiers share: the plan of a training in epochs, and its last row."""

import functools
import math
from collections.abc import Callable

import numpy as np
import optax
from ml_collections import FrozenConfigDict

from dla_jax.config.checks import check, choice, count, number
from dla_jax.data import batches, splits
from dla_jax.training.optim import make_optimiser
from dla_jax.training.task import Plan

# The keys that every study of classifiers has.
RULES = {
    "label_smoothing": number(low=0, below=1),
    "class_weight": choice(splits.CLASS_WEIGHTS),
    "num_epochs": count(),
    "batch_size": count(),
    "eval_every_epochs": count(),
    "steps_per_call": count(),
    "log_every_steps": count(low=0),
    "checkpoint_every_steps": count(low=0),
    "patience": count(low=0),
    "cells_at_a_time": count(low=0),
}


def check_parts(batch_size: int, parts: int, of: str) -> None:
    """Raise ConfigError for a batch that cannot be cut into equal parts.

    Args:
      of: what the parts are, for the message.
    """
    check(batch_size % parts == 0, f"batch_size: {batch_size} is not divisible by {of}")


def make_plan(config, num_examples: int, **rows: int) -> Plan:
    """Return the plan of a run over so many training examples.

    Args:
      rows: fields of `Plan` that say which steps have a row.
    """
    epochs = range(1, config.num_epochs + 1)
    ends = [batches.epoch_end(epoch, config.batch_size, num_examples) for epoch in epochs]
    every = config.eval_every_epochs
    plan = Plan(
        num_steps=ends[-1],
        eval_steps=tuple(sorted({*ends[every - 1 :: every], ends[-1]})),
        log_every_steps=config.log_every_steps,
        checkpoint_every_steps=config.checkpoint_every_steps,
        steps_per_call=config.steps_per_call,
        patience=config.patience,
        **rows,
    )
    return plan._replace(steps_per_call=min(config.steps_per_call, plan.longest_stretch()))


def shared_optimiser(optim, num_steps: int) -> optax.GradientTransformation:
    """Return the optimiser of a `config.optim`, one object for all networks that are trained alike.

    Networks of one module then share the compiled step, whatever the learning rate: `fit` sets it.
    """
    return _shared_optimiser(FrozenConfigDict(optim.to_dict() | {"lr": None}), num_steps)


@functools.cache
def _shared_optimiser(optim: FrozenConfigDict, num_steps: int) -> optax.GradientTransformation:
    return make_optimiser(optim, num_steps)


def better(row: dict) -> tuple[float, float]:
    """Return the score by which the best evaluation of a run is chosen."""
    return row["val_accuracy"], -math.inf if row["val_loss"] is None else -row["val_loss"]


def rate_score(rows: list[dict]) -> tuple[float, float]:
    """Return the score by which a learning rate is chosen: mean validation accuracy, then loss.

    It is accuracy under PGD where all runs were trained against an attack and measured it.
    """

    def mean(key: str) -> float:
        return float(np.mean([np.inf if row[key] is None else row[key] for row in rows]))

    attacked = all(row.get("val_pgd_accuracy") is not None for row in rows)
    return mean("val_pgd_accuracy" if attacked else "val_accuracy"), -mean("val_loss")


def run_result(
    rows: list[dict], best: dict, *, batch_size: int, num_examples: int, chance: float
) -> dict:
    """Return what the last row of a run says of its training.

    The test scores are those of guessing until runs that are compared are tested. `mean_val_loss`
    is the mean over all evaluations, low where a run improves early. An evaluation that is worse
    than guessing, or not finite, counts as guessing: otherwise a single early one would decide the
    mean. `val_loss_rise` is the last loss less the lowest, None where the last is not finite.

    Args:
      rows: all rows of the run.
      best: the evaluation that is best on validation.
      chance: the accuracy of guessing.
    """
    rate = rows[-1]["step"] * batch_size / rows[-1]["seconds"]
    losses = [row["val_loss"] for row in rows if "val_loss" in row]
    finite, guessing = [loss for loss in losses if loss is not None], -math.log(chance)
    bounded = [guessing if loss is None else min(loss, guessing) for loss in losses]
    rise = losses[-1] - min(finite) if finite and losses[-1] is not None else None
    return {
        "val_accuracy": best["val_accuracy"],
        "val_loss": best["val_loss"],
        "test_accuracy": chance,
        "test_loss": None,
        "mean_val_loss": sum(bounded) / len(bounded),
        "val_loss_rise": rise,
        "examples_per_s": rate,
        "seconds_per_epoch": num_examples / rate,
    }


def result_of(config, num_examples: int, num_classes: int) -> Callable:
    """Return the function (rows, best) -> `run_result`, for a Task's `result`.

    Args:
      num_examples: of the training part.
    """
    return functools.partial(
        run_result,
        batch_size=config.batch_size,
        num_examples=num_examples,
        chance=1 / num_classes,
    )
