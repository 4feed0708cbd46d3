"""A run that stops before its last step: on request, early, or where it diverges."""

import functools
import itertools

import jax
import jax.numpy as jnp
import pytest
from regression import PLAN, assert_same, fit, loss_fn, probe_of, trace_of, without_times

from dla_jax.config.stop import Interrupted, NonFiniteLoss, stop_requested


class Written:
    """The rows of a run that is asked to stop at a step, as a record keeps them."""

    def __init__(self, stop_at):
        self.rows, self.stop_at = [], stop_at

    def log(self, row):
        self.rows.append(row)
        if row["step"] == self.stop_at:
            stop_requested.set()

    def resume(self, step):
        return [row for row in self.rows if row["step"] <= step]


PLANS = {
    "no checkpoints": PLAN,
    "checkpoints": PLAN._replace(checkpoint_every_steps=3),
    "checkpoints and probes": PLAN._replace(
        checkpoint_every_steps=7, trace_first_steps=10, probe_every_steps=4
    ),
}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """Return a function: name of a plan -> (state, rows) of a run that was not stopped."""

    @functools.cache
    def run(name):
        folder = tmp_path_factory.mktemp("uninterrupted")
        return fit(folder, plan=PLANS[name], trace=trace_of, probe=probe_of)

    return run


@pytest.mark.parametrize(
    ("name", "stop_at"),
    [
        *itertools.product(["no checkpoints", "checkpoints"], [1, 15]),
        *itertools.product(["checkpoints and probes"], [1, 8, 20]),
        pytest.param("checkpoints and probes", 15, marks=pytest.mark.slow),
    ],
)
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(
    name, stop_at, tmp_path, uninterrupted
):
    traced = {"plan": PLANS[name], "trace": trace_of, "probe": probe_of}
    expected_state, expected_rows = uninterrupted(name)
    written = Written(stop_at)
    with pytest.raises(Interrupted):
        fit(tmp_path, log=written.log, **traced)
    stop_requested.clear()
    state, rows = fit(tmp_path, resume=written.resume, **traced)
    assert_same(expected_state, state)
    assert without_times(rows) == without_times(expected_rows)


def test_the_best_parameters_survive_a_resume(tmp_path):
    """The best evaluation lies before the interruption, and the later ones are worse."""
    scores, states = iter([3.0, 1.0, 4.0, 5.0]), []

    def scripted(state):
        states.append(jax.device_get(state.params))
        return {"val_loss": next(scores)}

    written = Written(stop_at=16)
    with pytest.raises(Interrupted):
        fit(tmp_path, evaluate=scripted, log=written.log)
    stop_requested.clear()
    state, _ = fit(tmp_path, evaluate=scripted, resume=written.resume)
    assert_same(state.params, states[1])


@pytest.mark.parametrize("patience", [1, 2, 3])
def test_early_stopping_equals_its_definition(patience):
    script = [5.0, 4.0, 4.5, 3.0, 3.0, 3.5, 2.0, 9.0, 9.0, 9.0]
    scores = iter(script)
    plan = PLAN._replace(num_steps=20, eval_steps=tuple(range(2, 21, 2)), patience=patience)
    _, rows = fit(plan=plan, evaluate=lambda state: {"val_loss": next(scores)})
    best, without = float("inf"), 0
    for count, score in enumerate(script, 1):
        best, without = (score, 0) if score < best else (best, without + 1)
        if without == patience:
            break
    assert sum("val_loss" in row for row in rows) == count


def test_a_non_finite_loss_names_its_step():
    def explodes(params, model_state, batch, key):
        loss, aux = loss_fn(params, model_state, batch, key)
        from_seventh_step_on = model_state["seen"] >= 6 * 8
        return jnp.where(from_seventh_step_on, jnp.inf, loss), aux

    with pytest.raises(NonFiniteLoss) as caught:
        fit(loss_fn=explodes)
    assert caught.value.step == 7


def test_a_gradient_that_is_not_finite_stops_the_run_too():
    def steep(params, model_state, batch, key):
        loss, aux = loss_fn(params, model_state, batch, key)
        return loss * 1e25, aux  # finite, but the square of its gradient is not

    with pytest.raises(NonFiniteLoss) as caught:
        fit(loss_fn=steep)
    assert caught.value.step == 1
