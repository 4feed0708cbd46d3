"""How the networks of the study of gradients train: frozen BatchNorm, probes, shared programs."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from gradient_tasks import config_of, loaded, module_of, start_of, task_of

from dla_jax.studies.gradients.study import make_probed
from dla_jax.tasks.image_data import split
from dla_jax.tasks.image_task import freeze_norm_at
from dla_jax.training.loop import stack_batches
from dla_jax.training.steps import run_steps
from dla_jax.training.task import no_trace

copied = jax.jit(functools.partial(jax.tree.map, jnp.copy))


def take_steps(network, num_steps, first=0, state=None):
    task, fresh, key = start_of(network)
    fresh = copied(fresh)  # the steps donate it
    batch = stack_batches(task.batch_at, first, first + num_steps, rows=17)
    return run_steps(
        state or fresh,
        task.data,
        batch,
        num_steps,
        key,
        loss_fn=task.loss_fn,
        tx=task.tx,
        trace=no_trace,
        mesh=task.mesh,
    )[0]


def flat(tree):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(jax.device_get(tree))])


@functools.partial(jax.jit, static_argnames="loss_fn")
def loss_of(params, model_state, batch, key, *, loss_fn):
    """Return (loss, the model state afterwards)."""
    loss, (model_state, _) = loss_fn(params, model_state, batch, key)
    return loss, model_state


def first_64(task):
    """Return a batch."""
    return {name: np.asarray(rows)[:64] for name, rows in task.data.items()}


def statistics_of_norm(state):
    return flat(state.model_state["batch_stats"])


def frozen_at(network):
    config = config_of(network)
    return freeze_norm_at(config, len(split(config, loaded().image_set, 0)["train"]))


def test_frozen_norm_moves_in_the_first_epoch_only_and_the_usual_one_always():
    epoch = frozen_at("residual_frozen_norm")
    assert epoch == -(-1077 // 64) and frozen_at("residual") == 0
    before = statistics_of_norm(start_of("residual_frozen_norm")[1])
    state = take_steps("residual_frozen_norm", epoch)
    during = statistics_of_norm(state)
    assert not np.allclose(before, during)
    params = flat(state.params)
    state = take_steps("residual_frozen_norm", 3, epoch, state)
    assert np.array_equal(during, statistics_of_norm(state))
    assert not np.array_equal(params, flat(state.params))
    # The usual one counts no steps: its loss moves the statistics whenever it is taken.
    task, state, key = start_of("residual")
    given = *jax.device_get((state.params, state.model_state)), first_64(task), key
    _, after = loss_of(*given, loss_fn=task.loss_fn)
    assert after.keys() == state.model_state.keys() and "steps" not in after
    moved = flat(after["batch_stats"])
    assert not np.allclose(statistics_of_norm(state), moved)


def test_frozen_norm_uses_the_running_statistics():
    task, state, key = start_of("residual_frozen_norm")
    state = jax.device_get(state)
    batch = {name: np.asarray(rows)[:32] for name, rows in task.data.items()}
    model, x = module_of("residual_frozen_norm"), batch["image"] / np.float32(255)

    @functools.partial(jax.jit, static_argnums=1)
    def logits_of(model_state, mode):
        variables = {"params": state.params, **model_state}
        return model.apply(variables, x, train=mode, mutable=["batch_stats"])[0][0]

    # The loss after freezing is that of the net in evaluation mode; before, that of the batch's own
    # statistics.
    for taken, mode in ((0.0, True), (17.0, False)):
        model_state = state.model_state | {"steps": {"taken": np.float32(taken)}}
        log_p = scipy.special.log_softmax(logits_of(model_state, mode), -1)
        expected = -log_p[np.arange(32), batch["label"]].mean()
        given = state.params, model_state, batch, key
        loss, after = loss_of(*given, loss_fn=task.loss_fn)
        assert float(loss) == pytest.approx(float(expected), rel=1e-5)
        assert float(after["steps"]["taken"]) == taken + 1


def test_a_probe_sees_the_images_as_they_are():
    # Also where training crops and flips them.
    config = config_of("residual")
    config.data.update({"pad": 2, "flip": True})
    shaken = make_probed(config, loaded(), 0)
    task, state, key = start_of("residual")
    found, expected = shaken.probe(state), task.probe(state)
    jax.tree.map(np.testing.assert_array_equal, found, expected)
    given = *jax.device_get((state.params, state.model_state)), first_64(shaken), key
    losses = [float(loss_of(*given, loss_fn=one.loss_fn)[0]) for one in (shaken, task)]
    assert losses[0] != pytest.approx(losses[1], rel=1e-3)  # while the step's own does change


def test_plain_and_residual_share_the_compiled_step_and_the_initial_weights():
    (plain, a, _), (residual, b, _) = start_of("plain"), start_of("residual")
    assert plain.loss_fn is residual.loss_fn and plain.tx is residual.tx
    jax.tree.map(np.testing.assert_array_equal, a.params, b.params)
    assert plain.tx is not task_of("residual_clipped").tx
