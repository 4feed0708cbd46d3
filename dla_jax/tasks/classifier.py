"""What the runs of all classifiers share: the plan of a training in epochs, and what its last row says."""

import functools
import math

import numpy as np
from ml_collections import FrozenConfigDict

from dla_jax.data import batches
from dla_jax.training.loop import Plan
from dla_jax.training.optim import make_optimiser


def make_plan(config, num_examples: int, **rows: int) -> Plan:
    """The plan of a run over so many training examples. `rows`: fields of `Plan` that say which steps have a row."""
    ends = [
        batches.epoch_end(epoch, config.batch_size, num_examples)
        for epoch in range(1, config.num_epochs + 1)
    ]
    evaluations = tuple(
        sorted({*ends[config.eval_every_epochs - 1 :: config.eval_every_epochs], ends[-1]})
    )
    plan = Plan(
        ends[-1],
        evaluations,
        config.log_every_steps,
        config.checkpoint_every_steps,
        config.steps_per_call,
        config.patience,
        **rows,
    )
    return plan._replace(steps_per_call=min(config.steps_per_call, plan.longest_stretch()))


def shared_optimiser(optim, num_steps: int):
    """One object for all networks that are trained alike, so that those of one module share the compiled step.

    Whatever the learning rate: `fit` sets it.
    """
    return _shared_optimiser(FrozenConfigDict(optim.to_dict() | {"lr": None}), num_steps)


@functools.cache
def _shared_optimiser(optim: FrozenConfigDict, num_steps: int):
    return make_optimiser(optim, num_steps)


def better(row: dict) -> tuple[float, float]:
    """The score by which the best evaluation of a run is chosen."""
    return row["val_accuracy"], -math.inf if row["val_loss"] is None else -row["val_loss"]


def run_result(
    rows: list[dict], best: dict, *, batch_size: int, num_examples: int, chance: float
) -> dict:
    """What the last row of a run says of its training; test scores follow for runs that are compared.

    `mean_val_loss`: of all evaluations, low where a run soon gets down; one that is worse than guessing, or not finite, counts
    as guessing, or a single early one would be the mean. `val_loss_rise`: the last one less the lowest, None where the last is
    not finite.
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


def rate_score(rows: list[dict]) -> tuple[float, float]:
    """By which a learning rate is chosen: mean validation accuracy, then the lowest mean loss."""
    mean = lambda key: float(np.mean([np.inf if row[key] is None else row[key] for row in rows]))
    return mean("val_accuracy"), -mean("val_loss")
