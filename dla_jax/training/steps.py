"""The compiled part of training: a stretch of optimiser steps in one call, on one device or split over many."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from dla_jax.training.mesh import put, replicated, split_rows
from dla_jax.training.optim import clipped_norm, set_learning_rate


class TrainState(NamedTuple):
    """step: int32 [], steps taken; params, model_state, opt_state: pytrees of arrays."""

    step: jax.Array
    params: dict
    model_state: dict
    opt_state: optax.OptState


def init_state(init_fn, tx, *, seed: int, lr: float, mesh) -> tuple[TrainState, jax.Array]:
    """The state before the first step, replicated over the mesh, and the key of the steps."""
    key_init, key_steps = jax.random.split(jax.random.key(seed))
    params, model_state = init_fn(key_init)
    opt_state = set_learning_rate(jax.jit(tx.init)(params), lr)
    return put(
        TrainState(jnp.int32(0), params, model_state, opt_state), replicated(mesh)
    ), key_steps


def _gradient(params, model_state, batch: dict, key: jax.Array, loss_fn, accumulate: int):
    """((loss, (model_state, metrics)), grads): means over `accumulate` parts of the batch, taken one after another."""
    of_part = jax.value_and_grad(loss_fn, has_aux=True)
    if accumulate == 1:
        return of_part(params, model_state, batch, key)
    # Part i has the rows i, i + accumulate, ...: of a batch that is split over devices, every device has as many of each.
    parts = jax.tree.map(
        lambda rows: rows.reshape(-1, accumulate, *rows.shape[1:]).swapaxes(0, 1), batch
    )

    def add(carry, part):
        total, model_state = carry
        number, rows = part
        (loss, (model_state, metrics)), grads = of_part(
            params, model_state, rows, jax.random.fold_in(key, number)
        )
        return (
            jax.tree.map(lambda t, new: t + new / accumulate, total, (loss, metrics, grads)),
            model_state,
        ), None

    shapes = jax.eval_shape(
        of_part, params, model_state, jax.tree.map(lambda rows: rows[0], parts), key
    )
    (loss, (_, metrics)), grads = jax.tree.map(
        lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes
    )
    carry = (loss, metrics, grads), model_state
    ((loss, metrics, grads), model_state), _ = jax.lax.scan(
        add, carry, (jnp.arange(accumulate), parts)
    )
    return (loss, (model_state, metrics)), grads


def _one_step(state: TrainState, batch: dict, key: jax.Array, loss_fn, tx, accumulate, axis):
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
    metrics = (
        {"train_loss": loss, "grad_norm": optax.tree.norm(grads)}
        | clipped_norm(opt_state)
        | metrics
    )
    return (
        TrainState(state.step + 1, params, model_state, opt_state),
        metrics,
        (grads, updates, state.params),
    )


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
    """The loop of `run_steps`. `axis`: name of pmap's axis; `split`, `whole`: jit's constraints on batches and state."""

    def batch_of(i):
        batch = jax.tree.map(lambda rows: split(rows[i]), batches)
        index = batch.pop("index", None)
        return (
            batch if index is None else batch | {name: rows[index] for name, rows in data.items()}
        )

    def body(carry):
        i, state, series, traced = carry
        state, metrics, step = _one_step(state, batch_of(i), key, loss_fn, tx, accumulate, axis)
        traced = jax.lax.cond(i + 1 == num_steps, trace, lambda *_: traced, *step)
        return (
            i + 1,
            whole(state),
            jax.tree.map(lambda all_steps, value: all_steps.at[i].set(value), series, metrics),
            traced,
        )

    def go_on(carry):
        i, _, series, _ = carry
        last = jnp.maximum(i - 1, 0)
        return (
            (i < num_steps)
            & jnp.isfinite(series["train_loss"][last])
            & jnp.isfinite(series["grad_norm"][last])
        )

    max_steps = len(jax.tree.leaves(batches)[0])
    metrics, step = jax.eval_shape(
        lambda s: _one_step(s, batch_of(0), key, loss_fn, tx, accumulate, axis)[1:], state
    )
    traced = jax.eval_shape(trace, *step)
    series = jax.tree.map(lambda leaf: jnp.zeros((max_steps, *leaf.shape), leaf.dtype), metrics)
    traced = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), traced)
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
    """Up to `num_steps` optimiser steps in one compiled call; stops early after a step whose loss or gradient is not finite.

    The number of steps is traced and the loop a `while`, so that one program serves every stretch between two stops.

    Args:
      state: donated.
      data: arrays that stay on the device, [N, ...]; rows are taken by `batches["index"]` where it is there.
      batches: arrays [K, B, ...], one batch a step, split over the mesh; only the first `num_steps` <= K are used.
      num_steps: int32 [].
      key: the run's key; step s uses fold_in(key, s).
      accumulate: into how many parts a batch is cut, whose gradients are averaged: less memory, and
        without dropout the same step.

    Returns:
      state; the metrics of each step, float32 [K] (0 for steps not taken); `trace(grads, updates, params)` of the last
      step, params being those that the gradient was taken at.
    """
    constrain = lambda sharding: functools.partial(
        jax.lax.with_sharding_constraint, shardings=sharding
    )
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
    """`run_steps` by `jax.pmap`: a program a device, gradients averaged by hand; for one host.

    Equal to `run_steps` for a loss that is a mean over examples and uses no key. BatchNorm, dropout and augmentation differ:
    each device normalises, and draws, for its own part of the batch.
    """
    parts = jax.tree.map(
        lambda rows: rows.reshape(len(rows), mesh.size, -1, *rows.shape[2:]), batches
    )
    return _pmapped(loss_fn, tx, trace, accumulate)(state, data, parts, num_steps, key)


@functools.cache
def _pmapped(loss_fn, tx, trace, accumulate):
    steps = functools.partial(
        _take_steps, loss_fn=loss_fn, tx=tx, trace=trace, accumulate=accumulate, axis="data"
    )
    return jax.pmap(steps, "data", in_axes=(None, None, 1, None, None), out_axes=None)


STEPS = {"jit": run_steps, "pmap": run_steps_pmap}
