"""The steps of a run are those of a plain Python loop, however they are grouped and split."""

import functools
import itertools
import json

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType
from ml_collections import ConfigDict
from regression import (
    DATA,
    OPTIM,
    PLAN,
    X,
    Y,
    assert_close,
    assert_same,
    evaluate,
    fit,
    init_fn,
    loss_fn,
    make_task,
    optimiser,
    without_times,
)

from dla_jax.config.checks import ConfigError
from dla_jax.data.batches import batch_positions
from dla_jax.training import loop
from dla_jax.training.optim import make_optimiser
from dla_jax.training.task import Plan, Task, measure_nothing, smaller_loss

ADAM = optax.adam(0.05)  # one object: tests share the compiled step


@functools.cache
def usual():
    """Return what `fit` does by itself: (state, rows)."""
    return fit()


def test_it_learns_and_returns_the_best_evaluation():
    state, rows = fit(plan=PLAN._replace(num_steps=200, eval_steps=tuple(range(5, 201, 5))), lr=0.2)
    losses = [row["val_loss"] for row in rows if "val_loss" in row]
    assert evaluate(state)["val_loss"] == min(losses) < 0.1 * losses[0]


def test_the_steps_are_those_of_a_plain_python_loop():
    tx = optimiser(20)
    key_init, key_steps = jax.random.split(jax.random.key(0))
    params, model_state = init_fn(key_init)
    opt_state = jax.jit(tx.init)(params)
    opt_state = opt_state._replace(hyperparams={"lr": jnp.float32(0.05)})
    losses = []

    @jax.jit
    def take_step(params, model_state, opt_state, batch, step):
        key = jax.random.fold_in(key_steps, step)
        gradient = jax.value_and_grad(loss_fn, has_aux=True)
        (loss, (model_state, _)), grads = gradient(params, model_state, batch, key)
        updates, opt_state = tx.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), model_state, opt_state, loss

    for step in range(20):
        index = batch_positions(0, step, 8, 40)
        batch = {"x": X[index], "y": Y[index]}
        carry = params, model_state, opt_state
        params, model_state, opt_state, loss = take_step(*carry, batch, step)
        losses.append(float(loss))
    state, rows = fit(tx=tx, plan=PLAN._replace(eval_steps=(20,)))
    np.testing.assert_allclose(state.params["w"], params["w"], rtol=1e-4)
    assert float(state.model_state["seen"]) == float(model_state["seen"]) == 160
    assert [row["step"] for row in rows] == [1, 4, 8, 12, 16, 20]
    expected = [np.mean(losses[a:b]) for a, b in itertools.pairwise([0, 1, 4, 8, 12, 16, 20])]
    np.testing.assert_allclose([row["train_loss"] for row in rows], expected, rtol=1e-4)


@pytest.mark.parametrize(
    "changes",
    [
        {"steps_per_call": 1},
        {"steps_per_call": 100},
        {"log_every_steps": 0},
        {"checkpoint_every_steps": 7},
    ],
)
def test_how_steps_are_grouped_changes_no_bit(changes, tmp_path):
    assert_same(usual()[0], fit(tmp_path, plan=PLAN._replace(**changes))[0])


def test_one_trace_for_all_seeds_learning_rates_and_lengths():
    # One for the shapes of the metrics, one for the program.
    counted = chex.assert_max_traces(loss_fn, n=2)
    for seed, lr, plan in [
        (0, 0.1, PLAN),
        (1, 0.1, PLAN),
        (0, 0.3, PLAN),
        (2, 0.1, PLAN._replace(num_steps=11)),
    ]:
        fit(seed=seed, lr=lr, plan=plan, tx=optimiser(20), loss_fn=counted)


def assert_close_runs(a, b):
    (first_state, first_rows), (second_state, second_rows) = a, b
    assert_close(first_state, second_state, rtol=2e-5, atol=1e-6)
    for row, other in zip(without_times(first_rows), without_times(second_rows), strict=True):
        assert row == pytest.approx(other, rel=1e-4, abs=1e-6)


def test_four_devices_equal_one():
    assert jax.device_count() == 4
    one = jax.make_mesh((1,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:1])
    assert_close_runs(usual(), fit(mesh=one))


def plain_loss(params, model_state, batch, key):
    """Return a mean over examples that uses no key, so that splitting the batch changes nothing."""
    error = batch["x"] @ params["w"] + params["b"] - batch["y"]
    return (error**2).mean(), (model_state, {"mean_error": error.mean()})


def test_pmap_equals_jit():
    assert_close_runs(*(fit(loss_fn=plain_loss, parallel=kind) for kind in ("jit", "pmap")))


def test_pmap_splits_the_batch_and_gives_each_device_its_own_key():
    seen = []

    def spying(params, model_state, batch, key):
        jax.debug.callback(
            lambda x, key: seen.append((x.shape, tuple(key.tolist()))),
            batch["x"],
            jax.random.key_data(key),
        )
        return plain_loss(params, model_state, batch, key)

    fit(loss_fn=spying, parallel="pmap", plan=PLAN._replace(num_steps=1, eval_steps=(1,)))
    jax.effects_barrier()
    assert {shape for shape, _ in seen} == {(2, 6)} and len({key for _, key in seen}) == 4


def test_batches_are_split_over_the_devices():
    seen = []

    def spying(params, model_state, batch, key):
        jax.debug.inspect_array_sharding(batch["x"], callback=lambda s: seen.append(s))
        return loss_fn(params, model_state, batch, key)

    fit(loss_fn=spying)
    assert any(sharding.shard_shape((8, 6)) == (2, 6) for sharding in seen)


def test_seeds_and_learning_rates_differ():
    base = usual()[0].params["w"]
    assert not np.allclose(base, fit(seed=1)[0].params["w"])
    assert not np.allclose(base, fit(lr=0.06)[0].params["w"])
    assert_same(base, fit()[0].params["w"])


def test_streamed_batches_need_no_resident_data():
    resident = make_task()

    def batch_at(step):
        index = resident.batch_at(step)["index"]
        return {"x": X[index], "y": Y[index]}

    state, _ = fit(batch_at=batch_at, data={})
    assert_close(state.params, usual()[0].params, rtol=1e-6)


def test_a_task_that_leaves_all_open_is_the_same_run():
    """Devices, batches and an optimiser's own rate; without evaluations the last state returns."""
    plan = PLAN._replace(eval_steps=(), steps_per_call=32)
    expected, rows = fit(seed=3, lr=None, tx=ADAM, plan=plan, evaluate=measure_nothing)
    short = Task(init_fn, loss_fn, ADAM, plan, DATA, batch_size=8)
    state, own_rows = loop.fit(short, seed=3)
    assert_same(state, expected)
    assert without_times(own_rows) == without_times(rows)
    assert int(state.step) == 20 and float(state.model_state["seen"]) == 160


def test_a_smaller_val_loss_is_better_unless_a_task_says_otherwise():
    plan = PLAN._replace(num_steps=60, eval_steps=(30, 60), steps_per_call=32)
    short = Task(init_fn, loss_fn, ADAM, plan, DATA, batch_size=8, evaluate=evaluate)
    state, rows = loop.fit(short, seed=0)
    losses = {row["step"]: row["val_loss"] for row in rows if "val_loss" in row}
    assert evaluate(state)["val_loss"] == losses[60] < losses[30]


def test_a_rate_that_an_optimiser_does_not_take_is_refused():
    with pytest.raises(ConfigError, match=r"lr: 0.5 cannot be set .* optax.adam\(1e-3\)"):
        fit(lr=0.5, tx=ADAM)


def test_an_optimiser_without_a_rate_is_refused():
    with pytest.raises(ConfigError, match=r"lr: this optimiser has none; give fit\(lr=...\)"):
        fit(lr=None, tx=make_optimiser(ConfigDict(OPTIM.to_dict() | {"lr": None}), 20))
    how = {"plan": PLAN._replace(num_steps=5), "tx": optimiser(20)}
    state, _ = fit(lr=None, **how)  # that of its config
    assert_same(state.params, fit(lr=0.01, **how)[0].params)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"plan": Plan(50, [100])}, "eval_steps: none lies within the 50 steps"),
        ({"plan": Plan(50, (0, 51))}, "eval_steps: none lies within the 50 steps"),
        ({"plan": Plan(50, (step for step in (10, 20)))}, "eval_steps: can be read only once"),
        ({"plan": Plan(50)}, "evaluate: given without eval_steps"),
        ({"evaluate": measure_nothing}, "eval_steps: given without evaluate"),
        (
            {"evaluate": measure_nothing, "plan": Plan(50, patience=2)},
            "patience: 2 without eval_steps",
        ),
        ({"data": {"x": X, "y": Y[:10]}}, "data: arrays of unequal length: x has 40, y has 10"),
        ({"data": {"x": X, "y": Y.tolist()}}, "data: y is no array [N, ...] (list)"),
        ({"data": {"x": X, "y": Y[0]}}, "data: y is no array [N, ...] (float32)"),
        ({"data": {}, "batch_at": None}, "data: empty, and no batch_at"),
    ],
)
def test_a_task_that_cannot_be_meant_is_refused_before_it_starts(changes, words):
    with pytest.raises(ConfigError) as caught:
        fit(init_fn=None, **changes)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_evaluations_may_stand_in_an_array_and_one_of_them_beyond_the_end():
    plan = PLAN._replace(eval_steps=np.array([5, 10, 15, 20, 25]))
    state, rows = fit(plan=plan)
    assert_same(state, usual()[0])
    assert json.loads(json.dumps(without_times(rows))) == without_times(usual()[1])


def test_an_evaluation_without_a_loss_is_refused_and_one_that_is_not_finite_is_worst():
    with pytest.raises(ConfigError, match=r"no 'val_loss'; give one, or Task\(better=...\)"):
        fit(evaluate=lambda state: {"accuracy": 1.0}, better=smaller_loss)
    losses = iter([4.0, float("nan"), 3.0, float("inf")])
    _, rows = fit(evaluate=lambda state: {"val_loss": next(losses)}, better=smaller_loss)
    evaluations = [row for row in rows if "val_loss" in row]
    assert [row["val_loss"] for row in evaluations] == [4.0, None, 3.0, None]
    assert loop.since_best(evaluations, smaller_loss) == 1
