"""The supervised loop, the only one: it knows no image, token or label, only the functions it is handed."""

import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dla_jax.config.stop import Interrupted, NonFiniteLoss, stop_requested
from dla_jax.evidence.rows import brief, finite_or_none
from dla_jax.training.checkpoint import Checkpoints
from dla_jax.training.mesh import on_any_process
from dla_jax.training.steps import STEPS, init_state


class Plan(NamedTuple):
    """When things happen in a run. All in optimiser steps, except `patience`."""

    num_steps: int
    eval_steps: tuple[int, ...]
    log_every_steps: int
    checkpoint_every_steps: int  # 0: only when interrupted
    steps_per_call: int
    patience: int  # evaluations without improvement after which to stop; 0: never
    trace_first_steps: int = 0  # so many steps at the start have a row each
    probe_every_steps: int = 0  # 0: never

    def next_stop(self, step: int) -> int:
        """The next step at which a row is written: a function of the plan alone, so that a resumed run writes the same rows."""
        every = (self.log_every_steps, self.checkpoint_every_steps, self.probe_every_steps)
        multiples = [(step // steps + 1) * steps for steps in every if steps]
        first = [step + 1] if step < max(1, self.trace_first_steps) else []
        later = [
            stop for stop in (*first, *self.eval_steps, self.num_steps, *multiples) if stop > step
        ]
        return min(self.num_steps, *later) if later else self.num_steps

    def longest_stretch(self) -> int:
        """Steps between the two stops that lie farthest apart: more need not fit into a call."""
        longest, step = 1, 0
        while step < self.num_steps:
            step, before = self.next_stop(step), step
            longest = max(longest, step - before)
        return longest


def stack_batches(batch_at: Callable, first: int, stop: int, rows: int) -> dict:
    """Batches of the steps first..stop-1 as arrays [rows, B, ...]; rows past the last repeat it, for one shape."""
    batches = [batch_at(step) for step in range(first, stop)]
    batches += batches[-1:] * (rows - len(batches))
    return jax.tree.map(lambda *leaves: np.stack(leaves), *batches)


def since_best(history: list[dict], better: Callable[[dict], tuple]) -> int:
    """Evaluations since the best one, the first of equals (0: the last is the best). `better`: larger is better."""
    scores = [better(row) for row in history]
    return len(scores) - 1 - scores.index(max(scores))


def no_trace(grads, updates, params) -> dict:
    """What `fit` traces when it is not asked to."""
    return {}


def fit(
    init_fn,
    loss_fn,
    tx,
    batch_at,
    evaluate,
    *,
    seed: int,
    lr: float,
    plan: Plan,
    data: dict,
    mesh,
    better,
    parallel: str = "jit",
    accumulate: int = 1,
    trace=no_trace,
    probe=lambda state: {},
    checkpoints: Checkpoints,
    resume=lambda step: [],
    log=lambda row: None,
):
    """Trains one model.

    Args:
      init_fn: key -> (params, model_state).
      loss_fn: (params, model_state, batch, key) -> (loss float32 [], (model_state, metrics: dict of float32 [])).
      tx: from `optim.make_optimiser`.
      batch_at: step -> dict of numpy arrays [B, ...]; `index` selects rows of `data`. A pure function of the step.
      evaluate: state -> dict of floats, on validation data, and of texts to be shown.
      lr: peak learning rate.
      better: a row of `evaluate` -> a score that is larger for a better model.
      parallel: "jit" or "pmap", a key of STEPS.
      accumulate: into how many parts the batch of a step is cut.
      trace: (grads, updates, params) -> dict of arrays: of the step that a row is written at, in 4 digits.
      probe: state -> dict of arrays: before the first step and every `plan.probe_every_steps`, in 4 digits.
      resume: the step that a restored checkpoint goes on from -> the rows up to it.
      log: called with each row, {"step", "train_loss", ..., "seconds", "examples_per_s"}.

    Returns:
      The state with the parameters of the best evaluation, and all rows.

    Raises:
      NonFiniteLoss, Interrupted.
    """
    state, key = init_state(init_fn, tx, seed=seed, lr=lr, mesh=mesh)
    best = jax.tree.map(jnp.copy, (state.params, state.model_state))
    restored = checkpoints.restore_latest({"state": state, "best": best})
    if restored:
        state, best = restored[1]["state"], tuple(restored[1]["best"])
    step = int(state.step)
    rows = resume(step)
    seconds = rows[-1]["seconds"] if rows else 0.0
    if plan.probe_every_steps and step == 0 and not rows:
        rows.append(row := {"step": 0, "seconds": 0.0} | brief(probe(state)))
        log(row)

    while step < plan.num_steps:
        evaluations = [row for row in rows if row["step"] in plan.eval_steps]
        if plan.patience and evaluations and since_best(evaluations, better) >= plan.patience:
            break
        first, stop, parts, start = step, plan.next_stop(step), [], time.perf_counter()
        while step < stop:
            ahead = min(stop, step + plan.steps_per_call)
            batches = stack_batches(batch_at, step, ahead, plan.steps_per_call)
            state, series, traced = STEPS[parallel](
                state,
                data,
                batches,
                ahead - step,
                key,
                loss_fn=loss_fn,
                tx=tx,
                trace=trace,
                accumulate=accumulate,
                mesh=mesh,
            )
            parts.append(
                {name: np.asarray(values)[: ahead - step] for name, values in series.items()}
            )
            finite = np.isfinite(parts[-1]["train_loss"]) & np.isfinite(parts[-1]["grad_norm"])
            if not finite.all():
                raise NonFiniteLoss(step + 1 + int(finite.argmin()))
            step = ahead
        means = {
            name: float(np.concatenate([part[name] for part in parts]).mean(dtype=np.float64))
            for name in parts[0]
        }
        row = {"step": step} | means
        row |= brief(traced)
        stretch = time.perf_counter() - start
        seconds += stretch
        examples = len(jax.tree.leaves(batches)[0][0]) * (step - first)
        row |= {"seconds": seconds, "examples_per_s": examples / stretch}
        if plan.probe_every_steps and step % plan.probe_every_steps == 0:
            row |= brief(probe(state))
        if step in plan.eval_steps:
            row |= evaluate(state)
            if since_best([*evaluations, row], better) == 0:
                best = jax.tree.map(jnp.copy, (state.params, state.model_state))
        rows.append(row := finite_or_none(row))
        log(row)
        stopping = on_any_process(stop_requested.is_set())
        if stopping or (plan.checkpoint_every_steps and step % plan.checkpoint_every_steps == 0):
            checkpoints.save(step, {"state": state, "best": best})
        if stopping:
            checkpoints.wait()
            raise Interrupted
    return state._replace(params=best[0], model_state=best[1]), rows
