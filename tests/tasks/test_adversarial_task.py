"""A run that is trained against an attack: its rows, what it keeps, where it ends and goes on."""

import functools

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from configs.image_base import image_base, use_digits
from dla_jax.analysis import attacks
from dla_jax.config.stop import Interrupted, stop_requested
from dla_jax.data import images
from dla_jax.tasks import adversarial_task, classifier
from dla_jax.tasks.adversarial_task import KEYS, make_measure
from dla_jax.tasks.image_data import Loaded, info_of, put_data
from dla_jax.tasks.image_task import init_network, make_model, make_task
from dla_jax.training.checkpoint import Checkpoints
from dla_jax.training.loop import fit
from dla_jax.training.mesh import data_mesh
from dla_jax.training.steps import TrainState
from dla_jax.trials.training import scores_of

TIMES = ("seconds", "examples_per_s")


@functools.cache
def loaded():
    """Return the embedded images, and their copy on one device."""
    image_set, mesh = images.digits(), data_mesh(jax.devices()[:1])
    return Loaded(image_set, put_data(image_set, mesh), mesh)


@pytest.fixture(autouse=True)
def few_images(monkeypatch):
    """Attack as few images in all tests: one program measures them."""
    monkeypatch.setattr(adversarial_task, "NUM_IMAGES", 100)


def config_of(**attack):
    """Return the config of a small MLP, four steps an epoch.

    Every run is as long: the optimiser, and so the compiled step, is that of a number of steps.
    """
    config = image_base("architectures")
    use_digits(config)
    model = {"name": "mlp", "norm": "batch", "init": "he", "width": 6, "depth": 2, "skip": True}
    config.model = ConfigDict(model)
    config.num_epochs, config.batch_size, config.log_every_steps = 4, 268, 2
    config.attack.update({"name": "rs_fgsm", "epsilon": 0.1} | attack)
    return config


def without_times(rows):
    return [{key: value for key, value in row.items() if key not in TIMES} for row in rows]


def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(tmp_path):
    task = make_task(config_of(), loaded(), seed=0)
    expected, expected_rows = fit(task, seed=0, lr=0.01)
    written, checkpoints = [], Checkpoints(tmp_path / "run")

    def log(row):
        written.append(row)
        if row["step"] == 6:
            stop_requested.set()

    def kept(step):
        return [row for row in written if row["step"] <= step]

    with pytest.raises(Interrupted):
        fit(task, seed=0, lr=0.01, checkpoints=checkpoints, log=log)
    stop_requested.clear()
    state, rows = fit(task, seed=0, lr=0.01, checkpoints=checkpoints, resume=kept)
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(state), jax.device_get(expected))
    assert without_times(rows) == without_times(expected_rows)
    evaluated = [row for row in rows if "val_accuracy" in row]
    assert [row["step"] for row in evaluated] == [5, 9, 13, 17]
    assert all(0 <= row[key] <= 1 for row in evaluated for key in KEYS)
    last = scores_of(task, rows)
    score = lambda row: (row["val_pgd_accuracy"], row["val_accuracy"], -row["val_loss"])
    best = max(evaluated, key=score)
    assert last["best_step"] == best["step"] and last["overfitted_at"] is None
    assert {key: last[key] for key in KEYS} == {key: best[key] for key in KEYS}
    guessed = {key: task.diverged[key] for key in ("overfitted_at", *KEYS)}
    assert guessed == {"overfitted_at": None} | dict.fromkeys(KEYS, 0.1)


@pytest.mark.parametrize(("on_overfitting", "evaluations"), [("stop", 3), ("go_on", 4)])
def test_a_run_that_overfits_catastrophically_says_so_and_ends_as_configured(
    on_overfitting, evaluations, monkeypatch
):
    scripted = iter([(0.5, 0.3), (0.6, 0.4), (0.9, 0.1), (0.9, 0.2)])
    measure = lambda state: dict(zip(KEYS, next(scripted), strict=True))
    monkeypatch.setattr(adversarial_task, "make_measure", lambda *_: measure)
    config = config_of(on_overfitting=on_overfitting)
    task, states = make_task(config, loaded(), seed=0), {}

    def evaluate(state):
        states[int(state.step)] = jax.device_get(state.params)
        return task.evaluate(state)

    state, rows = fit(task._replace(evaluate=evaluate), seed=0, lr=0.01)
    assert len(states) == evaluations and rows[-1]["step"] == list(states)[-1]
    last, steps = scores_of(task, rows), list(states)
    assert last["overfitted_at"] == steps[2] and last["best_step"] == steps[1]
    assert last["val_pgd_accuracy"] == 0.4 and last["val_fgsm_accuracy"] == 0.6
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(state.params), states[steps[1]])


def test_standard_training_is_judged_on_clean_images_alone():
    task = make_task(config_of(name="standard"), loaded(), seed=0)
    assert task.better is classifier.better and "overfitted_at" not in task.diverged
    state = TrainState(0, *task.init_fn(jax.random.key(0)), ())
    assert set(task.evaluate(state)) == {"val_accuracy", "val_loss"}
    assert not task.ends([{"step": 1, "val_accuracy": 0.0}])


def test_accuracies_under_attack_are_those_of_images_attacked_one_batch_after_another():
    config, data = config_of(), loaded().data
    model = make_model(config, info_of(loaded().image_set))
    key = jax.random.key(0)
    params, state = init_network(key, model=model, shape=(8, 8, 1), own=config.model)
    params["head"]["kernel"] = 0.3 * params["head"]["kernel"]
    positions = np.arange(400, 1000, dtype=np.int32)[::-1]
    found = make_measure(model, data, positions, 0.02, seed=3)(TrainState(0, params, state, ()))

    @jax.jit
    def attacked(x, labels, key):
        forward = lambda x: model.apply({"params": params, **state}, x, train=False)[0]
        strong = attacks.pgd(forward, x, labels, key, 0.02, 0.005, 5)
        pair = attacks.fgsm(forward, x, labels, 0.02), strong, x
        return [forward(x).argmax(-1) == labels for x in pair]

    chosen, correct = positions[::6], []
    for number in range(2):
        rows = chosen[64 * number :][:64]
        rows = np.concatenate([rows, np.zeros(64 - len(rows), np.int32)])
        x = np.asarray(data["image"])[rows].astype(np.float32) / 255
        own_key = jax.random.fold_in(jax.random.key(3), number)
        correct.append(np.array(attacked(x, np.asarray(data["label"])[rows], own_key)))
    fgsm, pgd, clean = np.concatenate(correct, 1)[:, :100].mean(1)
    assert found == pytest.approx({"val_fgsm_accuracy": fgsm, "val_pgd_accuracy": pgd})
    assert pgd <= fgsm < clean
