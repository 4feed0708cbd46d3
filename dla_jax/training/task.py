"""What one training run is made of: the functions that `loop.fit` calls, and its plan of steps."""

import math
from collections.abc import Callable, Collection
from typing import NamedTuple

import jax
import optax

from dla_jax.config.checks import check


class Plan(NamedTuple):
    """When things happen in a run. All in optimiser steps, except `patience`."""

    num_steps: int
    eval_steps: Collection[int] = ()
    log_every_steps: int = 0  # 0: rows for the first step, the evaluations and the last step
    checkpoint_every_steps: int = 0  # 0: only when interrupted
    steps_per_call: int = 32
    patience: int = 0  # evaluations without improvement after which to stop; 0: never
    trace_first_steps: int = 0  # so many steps at the start have a row each
    probe_every_steps: int = 0  # 0: never

    def next_stop(self, step: int) -> int:
        """Return the next step at which a row is written.

        It is a function of the plan alone, so that a resumed run writes the same rows.
        """
        every = (self.log_every_steps, self.checkpoint_every_steps, self.probe_every_steps)
        multiples = [(step // steps + 1) * steps for steps in every if steps]
        # The first step always has a row, for gradients at initialisation.
        first = [step + 1] if step < max(1, self.trace_first_steps) else []
        planned = (*first, *self.eval_steps, self.num_steps, *multiples)
        later = [stop for stop in planned if stop > step]
        return min(self.num_steps, *later) if later else self.num_steps

    def longest_stretch(self) -> int:
        """Return the steps between the two stops that lie farthest apart.

        A compiled call needs no room for more.
        """
        longest, step = 1, 0
        while step < self.num_steps:
            step, before = self.next_stop(step), step
            longest = max(longest, step - before)
        return longest


def no_trace(grads: dict, updates: dict, params: dict) -> dict:
    """Trace nothing of a step."""
    return {}


def measure_nothing(state) -> dict:
    """Measure nothing of a state."""
    return {}


def smaller_loss(row: dict) -> float:
    """Score an evaluation by its "val_loss": the smaller, the better; one not finite is worst.

    Raises:
      ConfigError: there is none.
    """
    check("val_loss" in row, "evaluate gives no 'val_loss'; give one, or Task(better=...)")
    loss = row["val_loss"]
    return -loss if loss is not None and math.isfinite(loss) else -math.inf


def never(rows: list[dict]) -> bool:
    """Never end a run."""
    return False


def no_result(rows: list[dict], best: dict) -> dict:
    """Return nothing of the rows of a run."""
    return {}


def unchanged(row: dict) -> dict:
    """Return a row as it is."""
    return row


class Task(NamedTuple):
    """One training run: a network, its data, its optimiser, and what is measured.

    `state` is a `steps.TrainState`, `row` and `rows` are what `fit` makes of a stretch of steps.
    """

    init_fn: Callable  # key -> (params, model_state)
    loss_fn: Callable  # (params, model_state, batch, key) -> (loss [], (model_state, metrics))
    tx: optax.GradientTransformation  # of optax, or of `optim.make_optimiser`
    plan: Plan
    data: dict  # arrays [N, ...], on the devices of `mesh`
    batch_size: int = 32
    # step -> dict of numpy arrays [B, ...]; "index" selects rows of `data`. None: all of these, in
    # another order each epoch.
    batch_at: Callable | None = None
    evaluate: Callable = measure_nothing  # state -> dict of floats on validation data, and of texts
    better: Callable = smaller_loss  # a row of `evaluate` -> larger for a better model
    ends: Callable = never  # rows of all evaluations so far -> whether the run ends at the last
    mesh: jax.sharding.Mesh | None = None  # None: all devices, and `data` are put there
    test: Callable = measure_nothing  # state -> dict of the last row; called once, at the end
    result: Callable = no_result  # (rows, the best of them) -> dict of the last row
    diverged: dict = {}  # what stands for `result` and `test` when the loss became non-finite
    facts: dict = {}  # what the last row says of the network: num_params, ...
    trace: Callable = no_trace  # (grads, updates, params) -> dict of arrays, of steps with a row
    probe: Callable = measure_nothing  # state -> dict of arrays, every `plan.probe_every_steps`
    annotate: Callable = unchanged  # a row of `fit` -> the row as it is written
    accumulate: int = 1  # into how many parts the batch of a step is cut
    parallel: str = "jit"  # or "pmap", a key of `steps.STEPS`
    units_per_step: int = 1  # what a step adds to the progress line
    shapes_at: tuple[int, ...] = (0,)  # steps whose batches have all shapes that there are
    warm: Callable | None = None  # state -> None: compiles `evaluate`; None: `evaluate` itself does


def check_task(task: Task) -> None:
    """Raise ConfigError for a task that would train on other rows than it says, or keep no model.

    Nothing of it is called.
    """
    check_plan(task.plan)
    evaluates = task.evaluate is not measure_nothing
    check(
        evaluates or len(task.plan.eval_steps) == 0,
        "eval_steps: given without evaluate; give Task(evaluate=...), or leave them out",
    )
    check(
        not evaluates or len(task.plan.eval_steps) > 0,
        "evaluate: given without eval_steps; give Plan(eval_steps=...), or leave it out",
    )
    check_data(task.data)
    check(
        len(task.data) > 0 or task.batch_at is not None,
        "data: empty, and no batch_at; give one of them",
    )


def check_plan(plan: Plan) -> None:
    """Raise ConfigError for evaluations that are never reached, or a patience without any."""
    check(
        isinstance(plan.eval_steps, Collection),
        "eval_steps: can be read only once; give a tuple, a list or a range",
    )
    check(
        len(plan.eval_steps) == 0 or any(0 < step <= plan.num_steps for step in plan.eval_steps),
        f"eval_steps: none lies within the {plan.num_steps} steps",
    )
    check(
        not plan.patience or len(plan.eval_steps) > 0,
        f"patience: {plan.patience} without eval_steps; give Plan(eval_steps=...), or leave it out",
    )


def check_data(data: dict) -> None:
    """Raise ConfigError unless all of it are arrays [N, ...] of one N."""
    shapes = {name: getattr(leaf, "shape", None) for name, leaf in data.items()}
    for name, shape in shapes.items():
        kind = type(data[name]).__name__
        check(bool(shape), f"data: {name} is no array [N, ...] ({kind}); give one")
    lengths = ", ".join(f"{name} has {shape[0]}" for name, shape in shapes.items())
    check(
        len({shape[0] for shape in shapes.values()}) <= 1,
        f"data: arrays of unequal length: {lengths}; give each a row an example",
    )


class Baseline(NamedTuple):
    """A run without steps: a model that is solved at once, such as logistic regression."""

    fit: Callable  # () -> dict of the last row
    facts: dict  # what the last row says beside
