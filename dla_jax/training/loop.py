"""The supervised loop, the only one: it knows no image, token or label, only a Task."""

import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from dla_jax.config.stop import Interrupted, NonFiniteLoss, stop_requested
from dla_jax.data.batches import batch_positions
from dla_jax.evidence.rows import brief, finite_or_none
from dla_jax.training.checkpoint import Checkpoints
from dla_jax.training.mesh import data_mesh, on_any_process, put, replicated
from dla_jax.training.steps import STEPS, TrainState, init_state
from dla_jax.training.task import Plan, Task, check_task


def stack_batches(batch_at: Callable, first: int, stop: int, rows: int) -> dict:
    """Return the batches of the steps first..stop-1 as arrays [rows, B, ...].

    Rows past the last repeat it, so that all calls have one shape.
    """
    batches = [batch_at(step) for step in range(first, stop)]
    batches += batches[-1:] * (rows - len(batches))
    return jax.tree.map(lambda *leaves: np.stack(leaves), *batches)


def since_best(history: list[dict], better: Callable[[dict], tuple]) -> int:
    """Return how many evaluations ago the best one was, the first of equals; 0: it is the last.

    Args:
      better: an evaluation -> a score that is larger for a better model.
    """
    scores = [better(row) for row in history]
    return len(scores) - 1 - scores.index(max(scores))


def ended(task: Task, evaluations: list[dict]) -> bool:
    """Return whether a run ends at the last of its evaluations, by its patience or of itself."""
    patience = task.plan.patience
    if patience and since_best(evaluations, task.better) >= patience:
        return True
    return task.ends(evaluations)


def with_defaults(task: Task, seed: int) -> Task:
    """Return a task with devices and batches, those of `Task` where it names none.

    Raises:
      ConfigError: see `check_task`.
    """
    check_task(task)
    # Of an array too: rows are written as JSON, which knows no integers of numpy.
    steps = tuple(int(step) for step in task.plan.eval_steps)
    task = task._replace(plan=task.plan._replace(eval_steps=steps))
    if task.mesh is None:
        mesh = data_mesh()
        task = task._replace(mesh=mesh, data=put(task.data, replicated(mesh)))
    if task.batch_at is not None:
        return task
    num_examples = len(next(iter(task.data.values())))

    def batch_at(step: int) -> dict:
        return {"index": batch_positions(seed, step, task.batch_size, num_examples)}

    return task._replace(batch_at=batch_at)


def fit(
    task: Task,
    *,
    seed: int,
    lr: float | None = None,
    checkpoints: Checkpoints | None = None,
    resume: Callable[[int], list[dict]] = lambda step: [],
    log: Callable[[dict], None] = lambda row: None,
    save_last: bool = False,
) -> tuple[TrainState, list[dict]]:
    """Train one model.

    Args:
      seed: fixes the initial weights and every random draw.
      lr: peak learning rate of an optimiser of `optim.make_optimiser`; None: `task.tx` has its own.
      checkpoints: where the state is saved, and read from where a run goes on; None: nowhere.
      resume: the step that a restored checkpoint continues from -> the rows up to it.
      log: called with each row, {"step", "train_loss", ..., "seconds", "examples_per_s"}.
      save_last: whether the state after the last step is saved, for a longer plan to go on from.

    Returns:
      The state, with the parameters of the best evaluation, else the last ones, and all rows.

    Raises:
      ConfigError: `lr` cannot be set in this optimiser, or is missing; see also `check_task`.
      NonFiniteLoss: the loss or the gradient of a step is not finite.
      Interrupted: a stop was requested; the state is saved, where there are checkpoints.
    """
    task = with_defaults(task, seed)
    plan = task.plan
    state, key = init_state(task.init_fn, task.tx, seed=seed, lr=lr, mesh=task.mesh)
    state, best = restored(checkpoints, state) if checkpoints else (state, copy_model(state))
    step = int(state.step)
    rows = resume(step)
    if plan.probe_every_steps and step == 0 and not rows:
        rows.append({"step": 0, "seconds": 0.0} | brief(task.probe(state)))
        log(rows[-1])
    while step < plan.num_steps:
        evaluations = [row for row in rows if row["step"] in plan.eval_steps]
        if evaluations and ended(task, evaluations):
            break
        first, step = step, plan.next_stop(step)
        seconds = rows[-1]["seconds"] if rows else 0.0
        state, row = take_stretch(task, state, key, first, step, seconds)
        if plan.probe_every_steps and step % plan.probe_every_steps == 0:
            row |= brief(task.probe(state))
        if step in plan.eval_steps:
            row |= task.evaluate(state)
            if since_best([*evaluations, row], task.better) == 0:
                best = copy_model(state)
        rows.append(finite_or_none(row))
        log(rows[-1])
        stopping = on_any_process(stop_requested.is_set())
        last = save_last and step == plan.num_steps
        if checkpoints and (stopping or last or is_due(plan, step)):
            save(checkpoints, step, {"state": state, "best": best}, wait=stopping)
        if stopping:
            raise Interrupted
    params, model_state = best if plan.eval_steps else (state.params, state.model_state)
    return state._replace(params=params, model_state=model_state), rows


def is_due(plan: Plan, step: int) -> bool:
    """Return whether a plan has a checkpoint after a step."""
    return plan.checkpoint_every_steps > 0 and step % plan.checkpoint_every_steps == 0


def save(checkpoints: Checkpoints, step: int, tree: dict, wait: bool) -> None:
    """Start saving a state; `wait`: until it is on disk."""
    checkpoints.save(step, tree)
    if wait:
        checkpoints.wait()


def restored(checkpoints: Checkpoints, state: TrainState) -> tuple[TrainState, tuple[dict, dict]]:
    """Return the state to go on from, that of the newest checkpoint if any, and the best model."""
    best = copy_model(state)
    found = checkpoints.restore_latest({"state": state, "best": best})
    return (found[1]["state"], tuple(found[1]["best"])) if found else (state, best)


def copy_model(state: TrainState) -> tuple[dict, dict]:
    """Return a copy of (params, model_state), which the next steps do not donate."""
    return _copied((state.params, state.model_state))


@jax.jit  # one program, not one for each shape
def _copied(leaves):
    return jax.tree.map(jnp.copy, leaves)


def take_stretch(
    task: Task, state: TrainState, key: jax.Array, first: int, stop: int, seconds: float
) -> tuple[TrainState, dict]:
    """Take the steps from `first` to `stop`, which lie between two rows.

    Args:
      state: after `first` steps; donated.
      key: of the run's steps.
      seconds: how long the steps before took.

    Returns:
      The state, and the row: means over the steps, the trace of the last one in 4 digits, and
        times.

    Raises:
      NonFiniteLoss: the loss or the gradient of a step is not finite.
    """
    step, parts, start = first, [], time.perf_counter()
    while step < stop:
        ahead = min(stop, step + task.plan.steps_per_call)
        batches = stack_batches(task.batch_at, step, ahead, task.plan.steps_per_call)
        state, series, traced = STEPS[task.parallel](
            state,
            task.data,
            batches,
            ahead - step,
            key,
            loss_fn=task.loss_fn,
            tx=task.tx,
            trace=task.trace,
            accumulate=task.accumulate,
            mesh=task.mesh,
        )
        parts.append({name: np.asarray(values)[: ahead - step] for name, values in series.items()})
        finite = np.isfinite(parts[-1]["train_loss"]) & np.isfinite(parts[-1]["grad_norm"])
        if not finite.all():
            raise NonFiniteLoss(step + 1 + int(finite.argmin()))
        step = ahead
    series = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    means = {name: float(values.mean(dtype=np.float64)) for name, values in series.items()}
    row = {"step": step} | means | brief(traced)
    stretch = time.perf_counter() - start
    examples = len(jax.tree.leaves(batches)[0][0]) * (step - first)
    return state, row | {"seconds": seconds + stretch, "examples_per_s": examples / stretch}
