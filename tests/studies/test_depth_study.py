"""The runs of a depth study: what differs between arms and seeds, and one program for all."""

import functools
from pathlib import Path

import chex
import jax
import numpy as np
import pytest
import scipy.special
from depth_task import load, start, task_of

from configs import mlp, rescnn
from dla_jax.studies.depth.arms import arm_of
from dla_jax.tasks import image_data, image_task
from dla_jax.tasks.image_classifier import make_loss
from dla_jax.training import loop, steps
from dla_jax.training.checkpoint import Checkpoints
from dla_jax.training.task import Plan

SMOKE = rescnn.get_config("smoke")


@pytest.fixture(scope="module")
def loaded():
    return load(SMOKE)


STEPS_PER_CALL = 50


def wider_config():
    """Return the config of nets that learn eight examples.

    Two tests take it, and share the compiled step.
    """
    config = rescnn.get_config("smoke")
    config.model.width, config.batch_size = 16, 8
    return config


def model_of(loaded, kind, **more):
    config = arm_of(SMOKE, kind, 4, (0,)).config
    return image_task.make_model(config, image_data.info_of(loaded.image_set), **more)


def log_p_of(loaded, kind, state, positions):
    """Return the logarithms of the probabilities of the classes, in evaluation mode."""
    x = loaded.image_set.images[positions] / np.float32(255)
    params, model_state = jax.device_get((state.params, state.model_state))
    logits = applied({"params": params, **model_state}, x, model_of(loaded, kind, init="he"))
    return scipy.special.log_softmax(np.asarray(logits, np.float64), -1)


@functools.partial(jax.jit, static_argnums=2)
def applied(variables, x, model):
    return model.apply(variables, x, train=False)[0]


@functools.partial(jax.jit, static_argnames="loss_fn")
def loss_of(params, model_state, batch, key, *, loss_fn):
    return loss_fn(params, model_state, batch, key)[0]


def first_rows(loaded):
    """Return a batch."""
    return {"image": loaded.image_set.images[:16], "label": loaded.image_set.labels[:16]}


@pytest.mark.parametrize("module", [rescnn, mlp])
def test_the_skip_is_the_only_difference_of_the_main_contrast(module):
    config = module.get_config("smoke")
    loaded = load(config)
    plain, residual = (task_of(config, loaded, kind) for kind in ("plain", "residual"))
    plain_state, residual_state = start(plain), start(residual)
    chex.assert_trees_all_equal(plain_state.params, residual_state.params)
    first, second = (
        state.model_state["wiring"]["blocks"] for state in (plain_state, residual_state)
    )
    np.testing.assert_array_equal(first["skip"], [0, 0, 0])
    np.testing.assert_array_equal(second["skip"], [1, 1, 1])
    np.testing.assert_array_equal(first["branch"], second["branch"])
    assert plain.loss_fn is residual.loss_fn and plain.facts == residual.facts
    for step in (0, 7, 100):
        np.testing.assert_array_equal(
            plain.batch_at(step)["index"], residual.batch_at(step)["index"]
        )


def test_other_seeds_have_other_weights_splits_and_orders(loaded):
    tasks = [task_of(SMOKE, loaded, "plain", seed) for seed in (0, 1)]
    first, second = (start(task, seed).params["stem"]["kernel"] for seed, task in enumerate(tasks))
    assert not np.allclose(first, second)
    assert not np.array_equal(tasks[0].batch_at(0)["index"], tasks[1].batch_at(0)["index"])


def test_a_seed_trains_on_its_training_part_only(loaded):
    task = task_of(SMOKE, loaded, "plain", seed=3)
    parts = image_data.split(SMOKE, loaded.image_set, 3)
    seen = {int(i) for step in range(40) for i in task.batch_at(step)["index"]}
    assert seen == set(parts["train"].tolist())
    assert seen.isdisjoint({*parts["val"].tolist(), *parts["test"].tolist()})


def test_scaled_arms_scale_the_branch(loaded):
    state = start(task_of(SMOKE, loaded, "residual+scaled"))
    np.testing.assert_allclose(state.model_state["wiring"]["blocks"]["branch"], 1 / np.sqrt(3))


def test_one_program_serves_all_arms_seeds_and_learning_rates():
    config = wider_config()
    loaded = load(config, jax.devices()[:1])
    steps.run_steps.clear_cache()  # of what other tests compiled
    for kind, seed, lr in [
        ("plain", 0, 1e-3),
        ("residual", 1, 1e-2),
        ("residual+scaled", 2, 1e-3),
        ("plain+dirac", 0, 3e-3),
        ("plain+torch_default", 0, 1e-3),
    ]:
        task = task_of(config, loaded, kind, seed)
        state, key = steps.init_state(task.init_fn, task.tx, seed=seed, lr=lr, mesh=task.mesh)
        steps.run_steps(
            state,
            task.data,
            loop.stack_batches(task.batch_at, 0, 2, STEPS_PER_CALL),
            2,
            key,
            loss_fn=task.loss_fn,
            tx=task.tx,
            trace=task.trace,
            mesh=task.mesh,
        )
    assert steps.run_steps._cache_size() == 1


def test_evaluation_counts_every_example_once(loaded):
    task = task_of(SMOKE, loaded, "residual", seed=2)
    state, source = start(task, seed=2), loaded.image_set
    positions = image_data.split(SMOKE, source, 2)["val"]
    log_p, labels = log_p_of(loaded, "residual", state, positions), source.labels[positions]
    found = task.evaluate(state)
    right = (np.argmax(log_p, -1) == labels).mean()
    assert found["val_accuracy"] == pytest.approx(right, abs=1e-6)
    losses = -log_p[np.arange(len(labels)), labels]
    assert found["val_loss"] == pytest.approx(losses.mean(), rel=1e-4)


def test_a_net_overfits_eight_examples():
    config = wider_config()
    task = task_of(config, load(config, jax.devices()[:1]), "residual")
    eight = task.batch_at(0)
    plan = Plan(150, (150,), 0, 0, STEPS_PER_CALL, patience=0)
    longer = plan._replace(num_steps=151, log_every_steps=150, eval_steps=(151,))

    def rows_of(plan):
        of_eight = task._replace(batch_at=lambda step: eight, plan=plan)
        checkpoints = Checkpoints(Path("/nonexistent"))
        return loop.fit(of_eight, seed=0, lr=1e-2, checkpoints=checkpoints)[1]

    first, last = rows_of(plan)[0], rows_of(longer)[-1]
    assert last["train_loss"] < 0.05 * first["train_loss"] and last["train_accuracy"] == 1


def test_augmentation_is_part_of_the_loss(loaded):
    state = jax.device_get(start(task_of(SMOKE, loaded, "plain")))
    model = model_of(loaded, "plain", init="he")
    given = state.params, state.model_state, first_rows(loaded)

    def loss(seed, pad, flip):
        loss_fn = make_loss(model, pad, flip, 0.0)
        return float(loss_of(*given, jax.random.key(seed), loss_fn=loss_fn))

    assert loss(0, 0, False) == loss(1, 0, False) != loss(0, 2, True) != loss(1, 2, True)


def test_label_smoothing_is_the_cross_entropy_with_softened_labels(loaded):
    task = task_of(SMOKE, loaded, "plain")
    state, batch = jax.device_get(start(task)), first_rows(loaded)
    given = state.params, state.model_state, batch, jax.random.key(0)
    smoothed = make_loss(model_of(loaded, "plain", init="he"), 0, False, 0.2)
    loss = loss_of(*given, loss_fn=smoothed)
    soft = 0.8 * np.eye(10)[batch["label"]] + 0.02
    log_p = log_p_of(loaded, "plain", state, np.arange(16))
    np.testing.assert_allclose(loss, -(soft * log_p).sum(1).mean(), rtol=1e-5)
    assert float(loss) != pytest.approx(float(loss_of(*given, loss_fn=task.loss_fn)))


def test_a_run_is_tested_on_its_test_part_and_chosen_on_its_validation_part(loaded):
    task = task_of(SMOKE, loaded, "plain")
    state = start(task)
    parts = image_data.split(SMOKE, loaded.image_set, 0)
    by_hand = {}
    for part in ("val", "test"):
        log_p = log_p_of(loaded, "plain", state, parts[part])
        labels = loaded.image_set.labels[parts[part]]
        by_hand[part] = -float(np.mean(log_p[np.arange(len(labels)), labels]))
    assert task.test(state)["test_loss"] == pytest.approx(by_hand["test"], rel=1e-5)
    assert task.evaluate(state)["val_loss"] == pytest.approx(by_hand["val"], rel=1e-5)
    assert by_hand["test"] != pytest.approx(by_hand["val"], rel=1e-4)
