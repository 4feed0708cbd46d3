import functools
import itertools
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType
from ml_collections import ConfigDict

from dla_jax.config.stop import Interrupted, NonFiniteLoss, stop_requested
from dla_jax.data.batches import batch_positions
from dla_jax.training import loop as train
from dla_jax.training.checkpoint import Checkpoints
from dla_jax.training.mesh import data_mesh
from dla_jax.training.optim import make_optimiser

NOWHERE = Path("/nonexistent")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 6)).astype(np.float32)
Y = (X @ RNG.normal(size=6) + 0.1 * RNG.normal(size=40)).astype(np.float32)
DATA = {"x": X, "y": Y}
OPTIM = ConfigDict(
    {
        "name": "adam",
        "lr": 0.01,
        "schedule": "cosine",
        "warmup_fraction": 0.0,
        "milestones": (),
        "decay_factor": 0.1,
        "momentum": 0.9,
        "nesterov": False,
        "b1": 0.9,
        "b2": 0.999,
        "eps": 1e-8,
        "weight_decay": 0.0,
        "decayed": "all",
        "clip_norm": 1.0,
    }
)
PLAN = train.Plan(
    20, (5, 10, 15, 20), log_every_steps=4, checkpoint_every_steps=0, steps_per_call=3, patience=0
)


def init_fn(key):
    return {"w": jax.random.normal(key, (6,)), "b": jnp.zeros(())}, {"seen": jnp.zeros(())}


def loss_fn(params, model_state, batch, key):
    """Regression with noisy inputs, so that the step's key matters, and a counter as model state."""
    x = batch["x"] + 0.1 * jax.random.normal(key, batch["x"].shape)
    error = x @ params["w"] + params["b"] - batch["y"]
    return (error**2).mean(), ({"seen": model_state["seen"] + len(x)}, {"mean_error": error.mean()})


def evaluate(state):
    return {
        "val_loss": float(
            np.mean((X @ np.asarray(state.params["w"]) + float(state.params["b"]) - Y) ** 2)
        )
    }


def better(row):
    return (-row["val_loss"],)


@functools.cache
def optimiser(num_steps):
    return make_optimiser(OPTIM, num_steps)  # one object, so that tests share the compiled step


def fit(
    tmp_path=None,
    *,
    plan=PLAN,
    seed=0,
    lr=0.05,
    mesh=None,
    batch_size=8,
    tx=None,
    loss=loss_fn,
    **changes,
):
    def batch_at(step):
        return {"index": batch_positions(seed, step, batch_size, 40)}

    checkpoints = Checkpoints(tmp_path / "run" if tmp_path else NOWHERE)
    arguments = {
        "seed": seed,
        "lr": lr,
        "plan": plan,
        "data": DATA,
        "mesh": mesh or data_mesh(),
        "better": better,
        "checkpoints": checkpoints,
    } | changes
    return train.fit(
        init_fn, loss, tx or optimiser(plan.num_steps), batch_at, evaluate, **arguments
    )


def without_times(rows):
    return [
        {name: value for name, value in row.items() if name not in ("seconds", "examples_per_s")}
        for row in rows
    ]


def assert_same(a, b):
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(a), jax.device_get(b))


def test_it_learns_and_returns_the_best_evaluation():
    state, rows = fit(plan=PLAN._replace(num_steps=200, eval_steps=tuple(range(5, 201, 5))), lr=0.2)
    losses = [row["val_loss"] for row in rows if "val_loss" in row]
    assert evaluate(state)["val_loss"] == min(losses) < 0.1 * losses[0]


def test_the_steps_are_those_of_a_plain_python_loop():
    tx = optimiser(20)
    key_init, key_steps = jax.random.split(jax.random.key(0))
    params, model_state = init_fn(key_init)
    opt_state = tx.init(params)
    opt_state = opt_state._replace(hyperparams={"lr": jnp.float32(0.05)})
    losses = []
    for step in range(20):
        index = batch_positions(0, step, 8, 40)
        batch = {"x": X[index], "y": Y[index]}
        (loss, (model_state, _)), grads = jax.value_and_grad(loss_fn, has_aux=True)(
            params, model_state, batch, jax.random.fold_in(key_steps, step)
        )
        updates, opt_state = tx.update(grads, opt_state, params)
        params = optax.apply_updates(params, updates)
        losses.append(float(loss))
    _, rows = fit(tx=tx, plan=PLAN._replace(eval_steps=(20,)))
    state, _ = fit(tx=tx, plan=PLAN._replace(eval_steps=(20,)))
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
    assert_same(fit()[0], fit(tmp_path, plan=PLAN._replace(**changes))[0])


def test_one_trace_for_all_seeds_learning_rates_and_lengths():
    counted = chex.assert_max_traces(
        loss_fn, n=2
    )  # one for the shapes of the metrics, one for the program
    tx = optimiser(20)
    for seed, lr, plan in [
        (0, 0.1, PLAN),
        (1, 0.1, PLAN),
        (0, 0.3, PLAN),
        (2, 0.1, PLAN._replace(num_steps=11)),
    ]:
        fit(seed=seed, lr=lr, plan=plan, tx=tx, loss=counted)


def test_four_devices_equal_one():
    assert jax.device_count() == 4
    one = jax.make_mesh((1,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:1])
    (four_state, four_rows), (one_state, one_rows) = fit(), fit(mesh=one)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6), four_state, one_state
    )
    for a, b in zip(without_times(four_rows), without_times(one_rows), strict=True):
        assert a == pytest.approx(b, rel=1e-4, abs=1e-6)


def plain_loss(params, model_state, batch, key):
    """Regression without noise: a mean over examples that uses no key, so that splitting the batch changes nothing."""
    error = batch["x"] @ params["w"] + params["b"] - batch["y"]
    return (error**2).mean(), (model_state, {"mean_error": error.mean()})


def test_pmap_equals_jit():
    (jit_state, jit_rows), (pmap_state, pmap_rows) = (
        fit(loss=plain_loss, parallel=kind) for kind in ("jit", "pmap")
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6), jit_state, pmap_state
    )
    for a, b in zip(without_times(jit_rows), without_times(pmap_rows), strict=True):
        assert a == pytest.approx(b, rel=1e-4, abs=1e-6)


def test_pmap_splits_the_batch_and_gives_each_device_its_own_key():
    seen = []

    def spying(params, model_state, batch, key):
        jax.debug.callback(
            lambda x, key: seen.append((x.shape, tuple(key.tolist()))),
            batch["x"],
            jax.random.key_data(key),
        )
        return plain_loss(params, model_state, batch, key)

    fit(loss=spying, parallel="pmap", plan=PLAN._replace(num_steps=1, eval_steps=(1,)))
    jax.effects_barrier()
    assert {shape for shape, _ in seen} == {(2, 6)} and len({key for _, key in seen}) == 4


def test_batches_are_split_over_the_devices():
    seen = []

    def spying(params, model_state, batch, key):
        jax.debug.inspect_array_sharding(batch["x"], callback=lambda s: seen.append(s))
        return loss_fn(params, model_state, batch, key)

    fit(loss=spying)
    assert any(sharding.shard_shape((8, 6)) == (2, 6) for sharding in seen)


def test_seeds_and_learning_rates_differ():
    base = fit()[0].params["w"]
    assert not np.allclose(base, fit(seed=1)[0].params["w"]) and not np.allclose(
        base, fit(lr=0.06)[0].params["w"]
    )
    assert_same(base, fit()[0].params["w"])


def trace_of(grads, updates, params):
    return {"largest": jnp.max(jnp.abs(grads["w"]))[None], "moved": updates["w"]}


def probe_of(state):
    return {"probe": state.params["w"]}


@pytest.mark.parametrize("stop_at", [1, 8, 15, 20])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"checkpoint_every_steps": 3},
        {"checkpoint_every_steps": 7, "trace_first_steps": 10, "probe_every_steps": 4},
    ],
)
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(stop_at, more, tmp_path):
    plan, traced = PLAN._replace(**more), {"trace": trace_of, "probe": probe_of}
    expected_state, expected_rows = fit(
        plan=plan, checkpoints=Checkpoints(tmp_path / "other"), **traced
    )
    written = []

    def log(row):
        written.append(row)
        if row["step"] == stop_at:
            stop_requested.set()

    with pytest.raises(Interrupted):
        fit(tmp_path, plan=plan, log=log, **traced)
    stop_requested.clear()
    state, rows = fit(
        tmp_path,
        plan=plan,
        resume=lambda step: [row for row in written if row["step"] <= step],
        **traced,
    )
    assert_same(expected_state, state)
    assert without_times(rows) == without_times(expected_rows)


def test_rows_stand_at_the_first_steps_and_probes_at_their_multiples_and_before_the_first():
    plan = PLAN._replace(trace_first_steps=3, probe_every_steps=6, log_every_steps=0)
    _, rows = fit(plan=plan, trace=trace_of, probe=probe_of)
    assert [row["step"] for row in rows] == [0, 1, 2, 3, 5, 6, 10, 12, 15, 18, 20]
    assert [row["step"] for row in rows if "probe" in row] == [0, 6, 12, 18]
    assert all(("moved" in row) == (row["step"] > 0) for row in rows)
    weights = init_fn(jax.random.split(jax.random.key(0))[0])[0]["w"]
    np.testing.assert_allclose(rows[0]["probe"], weights, rtol=1e-3)  # before the first step
    moved = sum(
        np.array(row["moved"]) for row in rows[1:4]
    )  # of steps 1 to 3, each with a row of its own
    state, _ = fit(plan=plan._replace(num_steps=3, eval_steps=(3,)), tx=optimiser(20))
    np.testing.assert_allclose(weights + moved, state.params["w"], rtol=1e-3, atol=1e-4)


def test_the_best_parameters_survive_a_resume(tmp_path):
    """The best evaluation lies before the interruption, and the later ones are worse."""
    scores = iter([3.0, 1.0, 4.0, 5.0])
    states = []

    def scripted(state):
        states.append(jax.device_get(state.params))
        return {"val_loss": next(scores)}

    written = []

    def log(row):
        written.append(row)
        if row["step"] == 16:
            stop_requested.set()

    arguments = (
        init_fn,
        loss_fn,
        optimiser(20),
        lambda step: {"index": batch_positions(0, step, 8, 40)},
        scripted,
    )
    common = {
        "seed": 0,
        "lr": 0.05,
        "plan": PLAN,
        "data": DATA,
        "mesh": data_mesh(),
        "better": better,
    }
    with pytest.raises(Interrupted):
        train.fit(*arguments, **common, checkpoints=Checkpoints(tmp_path / "run"), log=log)
    stop_requested.clear()
    state, _ = train.fit(
        *arguments,
        **common,
        checkpoints=Checkpoints(tmp_path / "run"),
        resume=lambda step: [row for row in written if row["step"] <= step],
    )
    assert_same(state.params, states[1])


@pytest.mark.parametrize("patience", [1, 2, 3])
def test_early_stopping_equals_its_definition(patience):
    script = [5.0, 4.0, 4.5, 3.0, 3.0, 3.5, 2.0, 9.0, 9.0, 9.0]
    scores = iter(script)
    plan = PLAN._replace(num_steps=20, eval_steps=tuple(range(2, 21, 2)), patience=patience)
    _, rows = train.fit(
        init_fn,
        loss_fn,
        optimiser(20),
        lambda step: {"index": batch_positions(0, step, 8, 40)},
        lambda state: {"val_loss": next(scores)},
        seed=0,
        lr=0.05,
        plan=plan,
        data=DATA,
        mesh=data_mesh(),
        better=better,
        checkpoints=Checkpoints(NOWHERE),
    )
    best, without = float("inf"), 0
    for count, score in enumerate(script, 1):
        best, without = (score, 0) if score < best else (best, without + 1)
        if without == patience:
            break
    assert sum("val_loss" in row for row in rows) == count


def test_a_non_finite_loss_names_its_step():
    def explodes(params, model_state, batch, key):
        loss, aux = loss_fn(params, model_state, batch, key)
        return jnp.where(
            model_state["seen"] >= 6 * 8, jnp.inf, loss
        ), aux  # from the seventh step on

    with pytest.raises(NonFiniteLoss) as caught:
        fit(loss=explodes)
    assert caught.value.step == 7


def test_gradients_are_traced_from_the_step_itself():
    def trace(grads, updates, params):
        return {
            "norms": jnp.stack([jnp.linalg.norm(grads["w"]), jnp.abs(grads["b"])]),
            "updates": updates["w"],
            "params": params["w"],
        }

    _, rows = fit(trace=trace)
    key_init, key_steps = jax.random.split(jax.random.key(0))
    index = batch_positions(0, 0, 8, 40)
    grads = jax.grad(
        lambda p: loss_fn(
            p,
            init_fn(key_init)[1],
            {"x": X[index], "y": Y[index]},
            jax.random.fold_in(key_steps, 0),
        )[0]
    )(init_fn(key_init)[0])
    np.testing.assert_allclose(
        rows[0]["norms"], [np.linalg.norm(grads["w"]), abs(grads["b"])], rtol=1e-3
    )
    np.testing.assert_allclose(rows[0]["grad_norm"], np.hypot(*rows[0]["norms"]), rtol=1e-3)
    np.testing.assert_allclose(
        rows[0]["params"], init_fn(key_init)[0]["w"], rtol=1e-3
    )  # those that it was taken at
    state, _ = fit(plan=PLAN._replace(num_steps=1, eval_steps=(1,)))
    np.testing.assert_allclose(
        rows[0]["updates"], state.params["w"] - init_fn(key_init)[0]["w"], rtol=2e-3, atol=1e-7
    )


def test_streamed_batches_need_no_resident_data():
    def batch_at(step):
        index = batch_positions(0, step, 8, 40)
        return {"x": X[index], "y": Y[index]}

    checkpoints = Checkpoints(NOWHERE)
    state, _ = train.fit(
        init_fn,
        loss_fn,
        optimiser(20),
        batch_at,
        evaluate,
        seed=0,
        lr=0.05,
        plan=PLAN,
        data={},
        mesh=data_mesh(),
        better=better,
        checkpoints=checkpoints,
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), state.params, fit()[0].params
    )


def test_a_gradient_that_is_not_finite_stops_the_run_too():
    def steep(params, model_state, batch, key):
        loss, aux = loss_fn(params, model_state, batch, key)
        return loss * 1e25, aux  # finite, but the square of its gradient is not

    with pytest.raises(NonFiniteLoss) as caught:
        fit(loss=steep)
    assert caught.value.step == 1
