"""The runs of a depth study: what differs between arms and seeds, and one program for all."""

from pathlib import Path

import chex
import jax
import numpy as np
import pytest
from depth_task import load, start, task_of

from configs import mlp, rescnn
from dla_jax.studies.depth.arms import arm_of
from dla_jax.tasks import image_task
from dla_jax.tasks.image_classifier import make_loss
from dla_jax.training import loop, steps
from dla_jax.training.checkpoint import Checkpoints
from dla_jax.training.task import Plan

SMOKE = rescnn.get_config("smoke")


@pytest.fixture(scope="module")
def loaded():
    return load(SMOKE)


def model_of(loaded, kind, **more):
    config = arm_of(SMOKE, kind, 4, (0,)).config
    return image_task.make_model(config, image_task.info_of(loaded.image_set), **more)


def variables_of(state):
    return {"params": state.params, **state.model_state}


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
    parts = image_task.split(SMOKE, loaded.image_set, 3)
    seen = {int(i) for step in range(40) for i in task.batch_at(step)["index"]}
    assert seen == set(parts["train"].tolist())
    assert seen.isdisjoint({*parts["val"].tolist(), *parts["test"].tolist()})


def test_scaled_arms_scale_the_branch(loaded):
    state = start(task_of(SMOKE, loaded, "residual+scaled"))
    np.testing.assert_allclose(state.model_state["wiring"]["blocks"]["branch"], 1 / np.sqrt(3))


def test_one_program_serves_all_arms_seeds_and_learning_rates(loaded):
    before = steps.run_steps._cache_size()
    for kind, seed, lr in [
        ("plain", 0, 1e-3),
        ("residual", 1, 1e-2),
        ("residual+scaled", 2, 1e-3),
        ("plain+dirac", 0, 3e-3),
        ("plain+torch_default", 0, 1e-3),
    ]:
        task = task_of(SMOKE, loaded, kind, seed)
        state, key = steps.init_state(task.init_fn, task.tx, seed=seed, lr=lr, mesh=task.mesh)
        steps.run_steps(
            state,
            task.data,
            loop.stack_batches(task.batch_at, 0, 2, task.plan.steps_per_call),
            2,
            key,
            loss_fn=task.loss_fn,
            tx=task.tx,
            trace=task.trace,
            mesh=task.mesh,
        )
    assert steps.run_steps._cache_size() == before + 1


def test_evaluation_counts_every_example_once(loaded):
    task = task_of(SMOKE, loaded, "residual", seed=2)
    state, source = start(task, seed=2), loaded.image_set
    positions = image_task.split(SMOKE, source, 2)["val"]
    x = source.images[positions] / np.float32(255)
    model = model_of(loaded, "residual")
    logits = np.asarray(model.apply(variables_of(state), x, train=False)[0])
    labels = source.labels[positions]
    found = task.evaluate(state)
    right = (np.argmax(logits, -1) == labels).mean()
    assert found["val_accuracy"] == pytest.approx(right, abs=1e-6)
    losses = -np.asarray(jax.nn.log_softmax(logits))[np.arange(len(labels)), labels]
    assert found["val_loss"] == pytest.approx(losses.mean(), rel=1e-4)


def test_a_net_overfits_eight_examples():
    config = rescnn.get_config("smoke")
    config.model.width, config.batch_size = 16, 8
    task = task_of(config, load(config), "residual")
    eight = task.batch_at(0)
    plan = Plan(150, (150,), 0, 0, steps_per_call=50, patience=0)
    longer = plan._replace(num_steps=151, log_every_steps=150, eval_steps=(151,))

    def rows_of(plan):
        of_eight = task._replace(batch_at=lambda step: eight, plan=plan)
        checkpoints = Checkpoints(Path("/nonexistent"))
        return loop.fit(of_eight, seed=0, lr=1e-2, checkpoints=checkpoints)[1]

    first, last = rows_of(plan)[0], rows_of(longer)[-1]
    assert last["train_loss"] < 0.05 * first["train_loss"] and last["train_accuracy"] == 1


def test_augmentation_is_part_of_the_loss(loaded):
    state = start(task_of(SMOKE, loaded, "plain"))
    model = model_of(loaded, "plain", init="he")
    batch = {name: rows[:16] for name, rows in loaded.data.items()}

    def loss(seed, pad, flip):
        loss_fn = make_loss(model, pad, flip, 0.0)
        return float(loss_fn(state.params, state.model_state, batch, jax.random.key(seed))[0])

    assert loss(0, 0, False) == loss(1, 0, False) != loss(0, 2, True) != loss(1, 2, True)


def test_label_smoothing_is_the_cross_entropy_with_softened_labels(loaded):
    task = task_of(SMOKE, loaded, "plain")
    state, model = start(task), model_of(loaded, "plain")
    batch = {name: rows[:16] for name, rows in loaded.data.items()}
    given = state.params, state.model_state, batch, jax.random.key(0)
    loss = make_loss(model, 0, False, 0.2)(*given)[0]
    logits = model.apply(variables_of(state), batch["image"] / 255.0, train=False)[0]
    soft = 0.8 * np.eye(10)[np.asarray(batch["label"])] + 0.02
    np.testing.assert_allclose(loss, -(soft * jax.nn.log_softmax(logits)).sum(1).mean(), rtol=1e-5)
    assert float(loss) != pytest.approx(float(task.loss_fn(*given)[0]))


def test_a_run_is_tested_on_its_test_part_and_chosen_on_its_validation_part(loaded):
    task = task_of(SMOKE, loaded, "plain")
    state, model = start(task), model_of(loaded, "plain")
    parts = image_task.split(SMOKE, loaded.image_set, 0)
    image_set, by_hand = loaded.image_set, {}
    for part in ("val", "test"):
        images = image_set.images[parts[part]].astype(np.float32) / 255
        logits, _ = model.apply(variables_of(state), images, train=False)
        log_p = jax.nn.log_softmax(np.asarray(logits, np.float64))
        rows = np.arange(len(images))
        by_hand[part] = -float(np.mean(log_p[rows, image_set.labels[parts[part]]]))
    assert task.test(state)["test_loss"] == pytest.approx(by_hand["test"], rel=1e-5)
    assert task.evaluate(state)["val_loss"] == pytest.approx(by_hand["val"], rel=1e-5)
    assert by_hand["test"] != pytest.approx(by_hand["val"], rel=1e-4)
