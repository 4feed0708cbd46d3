"""The supervised loop, the only one: it knows no image, token or label, only the functions it is handed."""

import functools
import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from dla_jax.checkpoint import Checkpoints
from dla_jax.mesh import replicated, split_rows
from dla_jax.optim import set_learning_rate
from dla_jax.stop import Interrupted, NonFiniteLoss, stop_requested


class TrainState(NamedTuple):
    """step: int32 [], steps taken; params, model_state, opt_state: pytrees of arrays."""

    step: jax.Array
    params: dict
    model_state: dict
    opt_state: optax.OptState


class Plan(NamedTuple):
    """When things happen in a run. All in optimiser steps, except `patience`."""

    num_steps: int
    eval_steps: tuple[int, ...]
    log_every_steps: int
    checkpoint_every_steps: int  # 0: only when interrupted
    steps_per_call: int
    patience: int  # evaluations without improvement after which to stop; 0: never

    def next_stop(self, step: int) -> int:
        """The next step at which a row is written: a function of the plan alone, so that a resumed run writes the same rows."""
        multiples = [(step // every + 1) * every for every in (self.log_every_steps, self.checkpoint_every_steps) if every]
        later = [stop for stop in (1, *self.eval_steps, self.num_steps, *multiples) if stop > step]
        return min(self.num_steps, *later) if later else self.num_steps


def _one_step(state: TrainState, batch: dict, key: jax.Array, loss_fn, tx, trace):
    step_key = jax.random.fold_in(key, state.step)
    (loss, (model_state, metrics)), grads = jax.value_and_grad(loss_fn, has_aux=True)(
        state.params, state.model_state, batch, step_key
    )
    updates, opt_state = tx.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    metrics = {"train_loss": loss, "grad_norm": optax.tree.norm(grads)} | metrics
    return TrainState(state.step + 1, params, model_state, opt_state), metrics, trace(grads)


@functools.partial(jax.jit, static_argnames=("loss_fn", "tx", "trace", "mesh"), donate_argnames="state")
def run_steps(state: TrainState, data: dict, batches: dict, num_steps, key, *, loss_fn, tx, trace, mesh):
    """Up to `num_steps` optimiser steps in one compiled call; stops early after a step whose loss is not finite.

    The number of steps is traced and the loop a `while`, so that one program serves every stretch between two stops.

    Args:
      state: donated.
      data: arrays that stay on the device, [N, ...]; rows are taken by `batches["index"]` where it is there.
      batches: arrays [K, B, ...], one batch a step; only the first `num_steps` <= K are used.
      num_steps: int32 [].
      key: the run's key; step s uses fold_in(key, s).

    Returns:
      state; the metrics of each step, float32 [K] (0 for steps not taken); `trace(grads)` of the last step.
    """

    def batch_of(i):
        batch = jax.tree.map(lambda rows: jax.lax.with_sharding_constraint(rows[i], split_rows(mesh)), batches)
        index = batch.pop("index", None)
        return batch if index is None else batch | {name: rows[index] for name, rows in data.items()}

    def body(carry):
        i, state, series, _ = carry
        state, metrics, traced = _one_step(state, batch_of(i), key, loss_fn, tx, trace)
        state = jax.lax.with_sharding_constraint(state, replicated(mesh))
        return i + 1, state, jax.tree.map(lambda all_steps, value: all_steps.at[i].set(value), series, metrics), traced

    def go_on(carry):
        i, _, series, _ = carry
        return (i < num_steps) & jnp.isfinite(series["train_loss"][jnp.maximum(i - 1, 0)])

    max_steps = len(jax.tree.leaves(batches)[0])
    metrics, traced = jax.eval_shape(lambda s: _one_step(s, batch_of(0), key, loss_fn, tx, trace)[1:], state)
    series = jax.tree.map(lambda leaf: jnp.zeros((max_steps, *leaf.shape), leaf.dtype), metrics)
    traced = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), traced)
    return jax.lax.while_loop(go_on, body, (0, state, series, traced))[1:]


def init_state(init_fn, tx, *, seed: int, lr: float, mesh) -> tuple[TrainState, jax.Array]:
    """The state before the first step, replicated over the mesh, and the key of the steps."""
    key_init, key_steps = jax.random.split(jax.random.key(seed))
    params, model_state = init_fn(key_init)
    opt_state = set_learning_rate(jax.jit(tx.init)(params), lr)
    return jax.device_put(TrainState(jnp.int32(0), params, model_state, opt_state), replicated(mesh)), key_steps


def stack_batches(batch_at: Callable, first: int, stop: int, rows: int) -> dict:
    """Batches of the steps first..stop-1 as arrays [rows, B, ...]; rows past the last repeat it, for one shape."""
    batches = [batch_at(min(step, stop - 1)) for step in range(first, first + rows)]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *batches)


def since_best(history: list[dict], better: Callable[[dict], tuple]) -> int:
    """Evaluations since the best one, the first of equals (0: the last is the best). `better`: larger is better."""
    scores = [better(row) for row in history]
    return len(scores) - 1 - scores.index(max(scores))


def fit(init_fn, loss_fn, tx, batch_at, evaluate, *, seed: int, lr: float, plan: Plan, data: dict, mesh, better,
        trace=lambda grads: {}, checkpoints: Checkpoints, resume=lambda step: [], log=lambda row: None):  # fmt: skip
    """Trains one model.

    Args:
      init_fn: key -> (params, model_state).
      loss_fn: (params, model_state, batch, key) -> (loss float32 [], (model_state, metrics: dict of float32 [])).
      tx: from `optim.make_optimiser`.
      batch_at: step -> dict of numpy arrays [B, ...]; `index` selects rows of `data`. A pure function of the step.
      evaluate: state -> dict of floats, on validation data.
      lr: peak learning rate.
      better: a row of `evaluate` -> a score that is larger for a better model.
      trace: grads -> dict of float32 [K], logged beside the metrics in 4 digits.
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

    while step < plan.num_steps:
        evaluations = [row for row in rows if row["step"] in plan.eval_steps]
        if plan.patience and evaluations and since_best(evaluations, better) >= plan.patience:
            break
        first, stop, parts, start = step, plan.next_stop(step), [], time.perf_counter()
        while step < stop:
            ahead = min(stop, step + plan.steps_per_call)
            batches = stack_batches(batch_at, step, ahead, plan.steps_per_call)
            state, series, traced = run_steps(
                state, data, batches, ahead - step, key, loss_fn=loss_fn, tx=tx, trace=trace, mesh=mesh
            )
            parts.append({name: np.asarray(values)[: ahead - step] for name, values in series.items()})
            finite = np.isfinite(parts[-1]["train_loss"])
            if not finite.all():
                raise NonFiniteLoss(step + 1 + int(finite.argmin()))
            step = ahead
        means = {name: float(np.concatenate([part[name] for part in parts]).mean(dtype=np.float64)) for name in parts[0]}
        row = {"step": step} | means
        row |= {name: [float(f"{value:.4g}") for value in np.asarray(values)] for name, values in traced.items()}
        stretch = time.perf_counter() - start
        seconds += stretch
        examples = len(jax.tree.leaves(batches)[0][0]) * (step - first)
        row |= {"seconds": seconds, "examples_per_s": examples / stretch}
        if step in plan.eval_steps:
            row |= evaluate(state)
            if since_best([*evaluations, row], better) == 0:
                best = jax.tree.map(jnp.copy, (state.params, state.model_state))
        rows.append(row)
        log(row)
        stopping = stop_requested.is_set()
        if stopping or (plan.checkpoint_every_steps and step % plan.checkpoint_every_steps == 0):
            checkpoints.save(step, {"state": state, "best": best})
        if stopping:
            checkpoints.wait()
            raise Interrupted
    return state._replace(params=best[0], model_state=best[1]), rows
