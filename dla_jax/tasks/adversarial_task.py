"""The Task of a run that is trained against an attack: what is measured, kept, and when it ends."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from dla_jax.analysis.attacks import fgsm, pgd
from dla_jax.analysis.overfitting import overfitted_at
from dla_jax.data import batches
from dla_jax.tasks.adversarial_loss import attack_of
from dla_jax.training.metrics import masked_sums
from dla_jax.training.task import Task

NUM_IMAGES = 256  # of the validation part that are attacked at an evaluation, at most
AT_ONCE = 64  # of them
NUM_STEPS = 5  # of PGD, each a quarter of epsilon long
KEYS = ("val_fgsm_accuracy", "val_pgd_accuracy")  # what is measured


@functools.partial(jax.jit, static_argnames="model")
def attacked_accuracy(variables, data, positions, mask, epsilon, key, *, model) -> jax.Array:
    """Return the accuracy under FGSM, and under PGD from a random start, float32 [2].

    The network is in evaluation mode.

    Args:
      key: of the random start.
      data, positions, mask: as `image_classifier.score` takes them.
      epsilon: float32 [], of images in [0, 1].
    """

    def forward(x):
        return model.apply(variables, x, train=False)[0]

    def correct(batch):
        rows, weights, number = batch
        x, labels = data["image"][rows].astype(jnp.float32) / 255, data["label"][rows]
        own = jax.random.fold_in(key, number)
        found = (
            fgsm(forward, x, labels, epsilon),
            pgd(forward, x, labels, own, epsilon, epsilon / 4, NUM_STEPS),
        )
        return jnp.stack([masked_sums(forward(x), labels, weights)["accuracy"] for x in found])

    numbered = positions, mask, jnp.arange(len(positions))
    return jax.lax.map(correct, numbered).sum(0) / mask.sum()


def make_measure(model, data: dict, positions: np.ndarray, epsilon: float, seed: int) -> Callable:
    """Return the function state -> {name of KEYS: accuracy} on some validation images.

    PGD starts at the same random places at each call, so that evaluations of a run are comparable.

    Args:
      seed: of the run, and so of these places.
      positions: int32 [n], the validation part, of which evenly spread ones are attacked.
    """
    count = min(NUM_IMAGES, len(positions))
    chosen = positions[np.arange(count) * len(positions) // count]
    padded, mask = batches.padded_batches(chosen, AT_ONCE)
    key = jax.random.key(seed)

    def measure(state) -> dict[str, float]:
        variables = {"params": state.params, **state.model_state}
        found = attacked_accuracy(variables, data, padded, mask, epsilon, key, model=model)
        return dict(zip(KEYS, np.asarray(found).tolist(), strict=True))

    return measure


def overfitted(rows: list[dict]) -> int | None:
    """Return the step at which a run overfitted catastrophically, else None.

    Args:
      rows: of the run; those without evaluation count for nothing.
    """
    found = [row for row in rows if KEYS[0] in row]
    steps = [row["step"] for row in found]
    return overfitted_at(steps, *([row[key] for row in found] for key in KEYS))


def against_attack(task: Task, config, model, positions: np.ndarray, seed: int) -> Task:
    """Return the task of a run, which is also judged under attack if it is trained against one.

    The state that is kept is that of the best validation accuracy under PGD, of equals the best on
    clean images: robust accuracy may fall long before clean accuracy does (Rice et al. 2020,
    arXiv:2002.11569). The last row has those accuracies of it, and "overfitted_at", the step of
    `analysis.overfitting` or None.

    Args:
      config: of the arm.
      model, positions, seed: as `make_measure` takes them.
    """
    attack = attack_of(config)
    if attack is None:
        return task
    measure = make_measure(model, task.data, positions, attack.epsilon, seed)
    stops = config.attack.on_overfitting == "stop"
    guessing = dict.fromkeys(KEYS, task.diverged["val_accuracy"])

    def result(rows: list[dict], best: dict) -> dict:
        own = {key: best[key] for key in KEYS} | {"overfitted_at": overfitted(rows)}
        return task.result(rows, best) | own

    return task._replace(
        evaluate=lambda state: task.evaluate(state) | measure(state),
        better=lambda row: (row["val_pgd_accuracy"], *task.better(row)),
        ends=lambda rows: stops and overfitted(rows) is not None,
        result=result,
        diverged=task.diverged | guessing | {"overfitted_at": None},
    )
