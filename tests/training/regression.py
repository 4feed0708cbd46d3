"""A linear regression that trains in no time: its data, its Task, and one run of it."""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from dla_jax.data.batches import batch_positions
from dla_jax.training import loop
from dla_jax.training.checkpoint import Checkpoints
from dla_jax.training.mesh import data_mesh
from dla_jax.training.optim import make_optimiser
from dla_jax.training.task import Plan, Task

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
PLAN = Plan(
    num_steps=20,
    eval_steps=(5, 10, 15, 20),
    log_every_steps=4,
    checkpoint_every_steps=0,
    steps_per_call=3,
    patience=0,
)


def init_fn(key):
    return {"w": jax.random.normal(key, (6,)), "b": jnp.zeros(())}, {"seen": jnp.zeros(())}


def loss_fn(params, model_state, batch, key):
    """Return a loss with noisy inputs, so that the step's key matters, and count the examples."""
    x = batch["x"] + 0.1 * jax.random.normal(key, batch["x"].shape)
    error = x @ params["w"] + params["b"] - batch["y"]
    return (error**2).mean(), ({"seen": model_state["seen"] + len(x)}, {"mean_error": error.mean()})


def evaluate(state):
    """Return the loss without noise on all data."""
    predicted = X @ np.asarray(state.params["w"]) + float(state.params["b"])
    return {"val_loss": float(np.mean((predicted - Y) ** 2))}


def trace_of(grads, updates, params):
    return {"largest": jnp.max(jnp.abs(grads["w"]))[None], "moved": updates["w"]}


def probe_of(state):
    return {"probe": state.params["w"]}


def better(row):
    return (-row["val_loss"],)


@functools.cache
def optimiser(num_steps):
    """Return one object for each length, so that tests share the compiled step."""
    return make_optimiser(OPTIM, num_steps)


def make_task(seed=0, plan=PLAN, **changes):
    """Return the Task of a seed. `changes`: fields of it."""

    def batch_at(step):
        return {"index": batch_positions(seed, step, 8, 40)}

    task = Task(
        init_fn=init_fn,
        loss_fn=loss_fn,
        tx=optimiser(plan.num_steps),
        batch_at=batch_at,
        evaluate=evaluate,
        better=better,
        plan=plan,
        data=DATA,
        mesh=data_mesh(),
        batch_size=8,
        test=evaluate,
        result=lambda rows, best: {},
        diverged={},
        facts={},
    )
    return task._replace(**changes)


def fit(folder=None, *, seed=0, lr=0.05, resume=lambda step: [], log=lambda row: None, **changes):
    """Train the Task of a seed: (state, rows). `folder`: of its checkpoints, if it keeps any."""
    return loop.fit(
        make_task(seed, **changes),
        seed=seed,
        lr=lr,
        checkpoints=Checkpoints(folder / "run" if folder else NOWHERE),
        resume=resume,
        log=log,
    )


def without_times(rows):
    times = ("seconds", "examples_per_s")
    return [{name: value for name, value in row.items() if name not in times} for row in rows]


def assert_same(a, b):
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(a), jax.device_get(b))


def assert_close(a, b, **tolerances):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, **tolerances), a, b)
