"""The rows of a run: where they stand, and what is traced and probed for them."""

import jax
import jax.numpy as jnp
import numpy as np
from regression import PLAN, X, Y, fit, init_fn, loss_fn, optimiser, probe_of, trace_of

from dla_jax.data.batches import batch_positions


def test_rows_stand_at_the_first_steps_and_probes_at_their_multiples_and_before_the_first():
    plan = PLAN._replace(trace_first_steps=3, probe_every_steps=6, log_every_steps=0)
    _, rows = fit(plan=plan, trace=trace_of, probe=probe_of)
    assert [row["step"] for row in rows] == [0, 1, 2, 3, 5, 6, 10, 12, 15, 18, 20]
    assert [row["step"] for row in rows if "probe" in row] == [0, 6, 12, 18]
    assert all(("moved" in row) == (row["step"] > 0) for row in rows)
    weights = np.asarray(jax.jit(init_fn)(jax.random.split(jax.random.key(0))[0])[0]["w"])
    np.testing.assert_allclose(rows[0]["probe"], weights, rtol=1e-3)  # before the first step
    # Of steps 1 to 3, each with a row of its own.
    moved = sum(np.array(row["moved"]) for row in rows[1:4])
    state, _ = fit(plan=plan._replace(num_steps=3, eval_steps=(3,)), tx=optimiser(20))
    np.testing.assert_allclose(weights + moved, state.params["w"], rtol=1e-3, atol=1e-4)


def test_gradients_are_traced_from_the_step_itself():
    def trace(grads, updates, params):
        return {
            "norms": jnp.stack([jnp.linalg.norm(grads["w"]), jnp.abs(grads["b"])]),
            "updates": updates["w"],
            "params": params["w"],
        }

    _, rows = fit(trace=trace)
    key_init, key_steps = jax.random.split(jax.random.key(0))
    params, model_state = jax.device_get(jax.jit(init_fn)(key_init))
    index = batch_positions(0, 0, 8, 40)
    batch, key = {"x": X[index], "y": Y[index]}, jax.random.fold_in(key_steps, 0)
    grads = jax.jit(jax.grad(lambda p: loss_fn(p, model_state, batch, key)[0]))(params)
    first, norms = rows[0], [np.linalg.norm(grads["w"]), abs(grads["b"])]
    np.testing.assert_allclose(first["norms"], norms, rtol=1e-3)
    np.testing.assert_allclose(first["grad_norm"], np.hypot(*first["norms"]), rtol=1e-3)
    # Those that the gradient was taken at.
    np.testing.assert_allclose(first["params"], params["w"], rtol=1e-3)
    state, _ = fit(plan=PLAN._replace(num_steps=1, eval_steps=(1,)), tx=optimiser(20))
    moved = state.params["w"] - params["w"]
    np.testing.assert_allclose(first["updates"], moved, rtol=2e-3, atol=1e-7)
