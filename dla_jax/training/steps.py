"""The compiled part of training: many optimiser steps in one call, on one device or on many."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from dla_jax.config.checks import check
from dla_jax.training.mesh import put, replicated, split_rows
from dla_jax.training.optim import clipped_norm, set_learning_rate


class TrainState(NamedTuple):
    """step: int32 [], steps taken; params, model_state, opt_state: pytrees of arrays."""

    step: jax.Array
    params: dict
    model_state: dict
    opt_state: optax.OptState


def init_state(init_fn, tx, *, seed: int, lr: float | None, mesh) -> tuple[TrainState, jax.Array]:
    """Make the state before the first step, replicated over the mesh, and the key of the steps.

    `lr` None leaves the optimiser its own learning rate.

    Raises:
      ConfigError: `lr` cannot be set, or the optimiser has none of its own.
    """
    key_init, key_steps = jax.random.split(jax.random.key(seed))
    params, model_state = init_fn(key_init)
    opt_state = jax.jit(tx.init)(params)
    if lr is not None:
        opt_state = set_learning_rate(opt_state, lr)
    else:
        own = getattr(opt_state, "hyperparams", {}).get("lr")
        # That of `make_optimiser` without one is 0: it would train nothing.
        check(own is None or own != 0, "lr: this optimiser has none; give fit(lr=...)")
    state = TrainState(jnp.int32(0), params, model_state, opt_state)
    return put(state, replicated(mesh)), key_steps


def _gradient(params, model_state, batch: dict, key: jax.Array, loss_fn, accumulate: int):
    """Return ((loss, (model_state, metrics)), grads).

    They are means over `accumulate` parts of the batch, taken one after another.
    """
    of_part = jax.value_and_grad(loss_fn, has_aux=True)
    if accumulate == 1:
        return of_part(params, model_state, batch, key)

    of_part = jax.jit(of_part, inline=True)  # so that it is traced once, for shapes and loop

    # Part i has the rows i, i + accumulate, ...: of a batch that is split over devices, every
    # device has as many of each.
    def cut(rows):
        return rows.reshape(-1, accumulate, *rows.shape[1:]).swapaxes(0, 1)

    parts = jax.tree.map(cut, batch)

    def add(carry, part):
        total, model_state = carry
        number, rows = part
        own_key = jax.random.fold_in(key, number)
        (loss, (model_state, metrics)), grads = of_part(params, model_state, rows, own_key)
        new = (loss, metrics, grads)
        return (jax.tree.map(lambda t, n: t + n / accumulate, total, new), model_state), None

    first = jax.tree.map(lambda rows: rows[0], parts)
    shapes = jax.eval_shape(of_part, params, model_state, first, key)
    (loss, (_, metrics)), grads = _zeros(shapes)
    carry = (loss, metrics, grads), model_state
    numbered = (jnp.arange(accumulate), parts)
    ((loss, metrics, grads), model_state), _ = jax.lax.scan(add, carry, numbered)
    return (loss, (model_state, metrics)), grads


def _zeros(shapes):
    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)


def _one_step(state: TrainState, batch: dict, key: jax.Array, loss_fn, tx, accumulate, axis):
    """Return the state after a step, its metrics, and (gradients, updates, params before it)."""
    step_key = jax.random.fold_in(key, state.step)
    if axis:
        step_key = jax.random.fold_in(step_key, jax.lax.axis_index(axis))
    (loss, (model_state, metrics)), grads = _gradient(
        state.params, state.model_state, batch, step_key, loss_fn, accumulate
    )
    if axis:
        loss, model_state, metrics, grads = jax.lax.pmean((loss, model_state, metrics, grads), axis)
    updates, opt_state = tx.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    own = {"train_loss": loss, "grad_norm": optax.tree.norm(grads)} | clipped_norm(opt_state)
    after = TrainState(state.step + 1, params, model_state, opt_state)
    return after, own | metrics, (grads, updates, state.params)


def _take_steps(
    state,
    data,
    batches,
    num_steps,
    key,
    *,
    loss_fn,
    tx,
    trace,
    accumulate,
    axis=None,
    split=lambda x: x,
    whole=lambda x: x,
):
    """Run the loop of `run_steps`.

    Args beside those of `run_steps`:
      axis: name of pmap's axis.
      split, whole: jit's constraints on batches and state.
    """

    @functools.partial(jax.jit, inline=True)  # so that it is traced once, for shapes and loop
    def one_step(state, batch, key):
        return _one_step(state, batch, key, loss_fn, tx, accumulate, axis)

    def step_at(i, state):
        batch = jax.tree.map(lambda rows: split(rows[i]), batches)
        index = batch.pop("index", None)
        if index is not None:
            batch |= {name: rows[index] for name, rows in data.items()}
        return one_step(state, batch, key)

    def body(carry):
        i, state, series, traced = carry
        state, metrics, step = step_at(i, state)
        traced = jax.lax.cond(i + 1 == num_steps, trace, lambda *_: traced, *step)
        series = jax.tree.map(lambda every, value: every.at[i].set(value), series, metrics)
        return i + 1, whole(state), series, traced

    def go_on(carry):
        i, _, series, _ = carry
        last = jnp.maximum(i - 1, 0)
        loss, norm = series["train_loss"][last], series["grad_norm"][last]
        return (i < num_steps) & jnp.isfinite(loss) & jnp.isfinite(norm)

    max_steps = len(jax.tree.leaves(batches)[0])
    metrics, step = jax.eval_shape(lambda state: step_at(0, state)[1:], state)
    series = jax.tree.map(lambda leaf: jnp.zeros((max_steps, *leaf.shape), leaf.dtype), metrics)
    traced = _zeros(jax.eval_shape(trace, *step))
    return jax.lax.while_loop(go_on, body, (0, state, series, traced))[1:]


@functools.partial(
    jax.jit,
    static_argnames=("loss_fn", "tx", "trace", "accumulate", "mesh"),
    donate_argnames="state",
)
def run_steps(
    state: TrainState,
    data: dict,
    batches: dict,
    num_steps,
    key,
    *,
    loss_fn,
    tx,
    trace,
    mesh,
    accumulate=1,
):
    """Take up to `num_steps` optimiser steps in one compiled call.

    Stops early after a step whose loss or gradient is not finite. The number of steps is traced and
    the loop a `while`, so that one program serves every stretch between two stops.

    Args:
      state: donated.
      data: arrays that stay on the device, [N, ...]; rows are taken by `batches["index"]` where it
        is there.
      batches: arrays [K, B, ...], one batch a step, split over the mesh; only the first
        `num_steps` <= K are used.
      num_steps: int32 [].
      key: the run's key; step s uses fold_in(key, s).
      loss_fn: (params, model_state, batch, key) -> (loss, (model_state, metrics)).
      tx: the optimiser, an `optax.GradientTransformation`.
      trace: (grads, updates, params) -> pytree of arrays.
      mesh: the devices.
      accumulate: into how many parts a batch is cut, whose gradients are averaged: less memory, and
        without dropout the same step.

    Returns:
      state; the metrics of each step, float32 [K] (0 for steps not taken); `trace` of the last
      step, params being those that the gradient was taken at.
    """

    def constrain(sharding):
        return functools.partial(jax.lax.with_sharding_constraint, shardings=sharding)

    return _take_steps(
        state,
        data,
        batches,
        num_steps,
        key,
        loss_fn=loss_fn,
        tx=tx,
        trace=trace,
        accumulate=accumulate,
        split=constrain(split_rows(mesh)),
        whole=constrain(replicated(mesh)),
    )


def run_steps_pmap(
    state: TrainState,
    data: dict,
    batches: dict,
    num_steps,
    key,
    *,
    loss_fn,
    tx,
    trace,
    mesh,
    accumulate=1,
):
    """Do as `run_steps` by `jax.pmap`, on one host.

    Every device has its own program, and the gradients are averaged by hand. Equal to `run_steps`
    for a loss that is a mean over examples and uses no key. BatchNorm, dropout and augmentation
    differ: each device normalises, and draws, for its own part of the batch.
    """

    def cut(rows):
        return rows.reshape(len(rows), mesh.size, -1, *rows.shape[2:])

    parts = jax.tree.map(cut, batches)
    return _pmapped(loss_fn, tx, trace, accumulate)(state, data, parts, num_steps, key)


@functools.cache
def _pmapped(loss_fn, tx, trace, accumulate):
    steps = functools.partial(
        _take_steps, loss_fn=loss_fn, tx=tx, trace=trace, accumulate=accumulate, axis="data"
    )
    return jax.pmap(steps, "data", in_axes=(None, None, 1, None, None), out_axes=None)


STEPS = {"jit": run_steps, "pmap": run_steps_pmap}
