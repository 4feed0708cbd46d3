"""The jobs of a supervised study: one trial each, trained by `loop.fit`."""

from collections.abc import Callable
from pathlib import Path

from dla_jax.config.stop import NonFiniteLoss
from dla_jax.evidence.rows import finite_or_none
from dla_jax.training.checkpoint import Checkpoints, save_model
from dla_jax.training.loop import fit, stack_batches
from dla_jax.training.record import Record
from dla_jax.training.steps import STEPS, init_state
from dla_jax.training.task import Baseline, Task
from dla_jax.trials import halving
from dla_jax.trials.arms import Trial
from dla_jax.trials.grid import Job


def jobs_of(
    make_task: Callable[[Trial], Task | Baseline],
    trials: list[Trial],
    workdir: Path,
    record: Record,
) -> list[Job]:
    """Return a job for each trial. `make_task` says what makes the run of a trial."""
    # One task an arm, to compile and to count steps, since the tasks of an arm differ only in the
    # seed. The last trial is a final one, which evaluates more.
    examples = {trial.arm: trial for trial in trials}
    tasks = {arm: make_task(trial) for arm, trial in examples.items()}

    def job_of(trial: Trial) -> Job:
        task = tasks[trial.arm]

        def run(given: list[Trial], progress) -> None:
            run_trial(make_task, given[0], workdir, record, progress, alone=len(trials) == 1)

        def compile_it() -> None:
            compile_task(task, examples[trial.arm].seed)

        units, program = units_of(task), program_of(task)
        if trial.stage != "select" or isinstance(task, Baseline):
            return Job([trial], units, program, compile_it, run)
        rungs = Rungs(make_task, trial, workdir, record)
        return Job([trial], units, program, compile_it, run, rungs.advance, rungs.end)

    return [job_of(trial) for trial in trials]


def units_of(task: Task | Baseline) -> int:
    """Return what a run adds to the progress line."""
    return 0 if isinstance(task, Baseline) else task.plan.num_steps * task.units_per_step


def program_of(task: Task | Baseline) -> tuple | None:
    """Return what tells the compiled programs of tasks apart; None for a baseline, without any."""
    if isinstance(task, Baseline):
        return None
    shapes = (task.batch_size, task.plan.steps_per_call, task.accumulate, task.shapes_at)
    return task.loss_fn, task.tx, shapes


def compile_task(task: Task, seed: int) -> None:
    """Compile the programs of a run by taking no step with them."""
    state, key = init_state(task.init_fn, task.tx, seed=seed, lr=0.0, mesh=task.mesh)
    (task.warm or task.evaluate)(state)
    for step in task.shapes_at:
        batch = stack_batches(task.batch_at, step, step + 1, task.plan.steps_per_call)
        state, _, _ = STEPS[task.parallel](
            state,
            task.data,
            batch,
            0,
            key,
            loss_fn=task.loss_fn,
            tx=task.tx,
            trace=task.trace,
            accumulate=task.accumulate,
            mesh=task.mesh,
        )


def run_trial(
    make_task: Callable, trial: Trial, workdir: Path, record: Record, progress, alone: bool
) -> None:
    """Train one trial, or continue it, or solve it at once, and write its rows."""
    task = make_task(trial)
    if isinstance(task, Baseline):
        record.resume(trial.name, -1)
        write_last_row(record, trial, task.facts, {"diverged_at": None} | task.fit())
    else:
        train_trial(task, trial, workdir, record, progress, alone)


def train_trial(
    task: Task, trial: Trial, workdir: Path, record: Record, progress, alone: bool
) -> None:
    """Train one network, or continue it, and write its rows.

    A final trial writes every row; its network is tested, and saved for `--from`. A trial that
    chooses a learning rate writes only its evaluations. A run that diverges is recorded as such,
    unless it is `alone`.

    Raises:
      NonFiniteLoss: a run that is `alone` diverged.
    """
    folder, compared = workdir / "checkpoints" / trial.name, trial.stage == "final"
    task = task if compared else quiet(task)
    checkpoints, meter = Checkpoints(folder / "training"), Meter(task.units_per_step)
    result = {"diverged_at": None}
    try:
        state, rows = train(task, trial, checkpoints, record, progress, meter)
        result |= scores_of(task, rows)
        if compared:
            result |= task.test(state)
            record.check()
            model = {"params": state.params, "model_state": state.model_state}
            save_model(folder / "model", model)
    except NonFiniteLoss as error:
        if alone:
            raise
        result |= diverged_result(task, error)
    record.check()
    checkpoints.delete()
    meter.move(progress, task.plan.num_steps)
    write_last_row(record, trial, task.facts, result)


def quiet(task: Task) -> Task:
    """Return the task of a run that chooses a learning rate: only its evaluations have rows."""
    none = {"log_every_steps": 0, "trace_first_steps": 0, "probe_every_steps": 0}
    return task._replace(plan=task.plan._replace(**none))


class Meter:
    """How far a run has moved the progress line."""

    def __init__(self, units_per_step: int):
        self._units, self._step = units_per_step, 0

    def move(self, progress, step: int) -> None:
        """Move the line to a step of the run."""
        progress.update((step - self._step) * self._units)
        self._step = step


def train(
    task: Task,
    trial: Trial,
    checkpoints: Checkpoints,
    record: Record,
    progress,
    meter: Meter,
    save_last: bool = False,
) -> tuple:
    """Train one network, or continue it, and write its rows but the last (see `loop.fit`)."""

    def log(row: dict) -> None:
        record.append({"run": trial.name} | task.annotate(row))
        meter.move(progress, row["step"])
        if row["step"]:
            progress.set_postfix_str(f"loss {row['train_loss']:.3f}", refresh=False)

    def resume(step: int) -> list[dict]:
        meter.move(progress, step)
        return record.resume(trial.name, step)

    return fit(
        task,
        seed=trial.seed,
        lr=trial.lr,
        checkpoints=checkpoints,
        resume=resume,
        log=log,
        save_last=save_last,
    )


class Rungs:
    """A run that chooses a learning rate by halving: trained from cut to cut (`halving.py`).

    Its last row has "cuts", what it scored at each cut that it came to, and "whole_steps", those of
    its schedule.
    """

    def __init__(self, make_task: Callable, trial: Trial, workdir: Path, record: Record):
        self._make_task, self._trial, self._record = make_task, trial, record
        self._folder = workdir / "checkpoints" / trial.name / "training"
        self._facts, self._whole_steps, self._meter = {}, 0, None
        self._results, self._is_over = [], False

    def advance(self, cut: int, progress) -> list[dict]:
        """Train to a cut, or as far as the run goes; return what it scored at the cuts so far.

        A run that is over before, as one that diverged, gets its last row. What was trained by
        another process, or before a stop, is read back.
        """
        while len(self._results) <= cut and not self._is_over:
            self._advance_to(len(self._results), progress)
        return self._results

    def _advance_to(self, cut: int, progress) -> None:
        task, trial = quiet(self._make_task(self._trial)), self._trial
        self._facts, self._whole_steps = task.facts, task.plan.num_steps
        self._meter = self._meter or Meter(task.units_per_step)
        stops = halving.cuts(task.plan.num_steps, task.plan.eval_steps)
        stop, checkpoints = stops[cut], Checkpoints(self._folder)
        shorter = task._replace(plan=task.plan._replace(num_steps=stop))
        goes_on = cut + 1 < len(stops)
        try:
            _, rows = train(
                shorter, trial, checkpoints, self._record, progress, self._meter, save_last=goes_on
            )
            checkpoints.wait()
            rows = [row for row in rows if row["step"] <= stop]  # a stop may have come later
            self._results.append({"diverged_at": None} | scores_of(task, rows))
            self._is_over = rows[-1]["step"] < stop
        except NonFiniteLoss as error:
            self._results.append(diverged_result(task, error))
            self._is_over = True
        self._record.pause(trial.name)
        if self._is_over:
            self._write_last(progress)

    def end(self, cut: int, progress) -> None:
        """Write the last row of the run, which goes no further than a cut."""
        self.advance(cut, progress)
        if not self._is_over:
            self._write_last(progress)

    def _write_last(self, progress) -> None:
        self._record.check()
        Checkpoints(self._folder).delete()
        self._meter.move(progress, self._whole_steps)
        halved = {"cuts": self._results, "whole_steps": self._whole_steps}
        write_last_row(self._record, self._trial, self._facts, self._results[-1] | halved)


def diverged_result(task: Task, error: NonFiniteLoss) -> dict:
    """Return what the last row says of a run whose loss became non-finite."""
    steps = {"step": error.step, "diverged_at": error.step, "best_step": 0}
    return steps | {"train_seconds": None} | task.diverged


def scores_of(task: Task, rows: list[dict]) -> dict:
    """Return what the last row says of the training, from all rows of the run."""
    best = max((row for row in rows if row["step"] in task.plan.eval_steps), key=task.better)
    times = {"best_step": best["step"], "step": rows[-1]["step"]}
    return times | {"train_seconds": rows[-1]["seconds"]} | task.result(rows, best)


def write_last_row(record: Record, trial: Trial, facts: dict, result: dict) -> None:
    """Write the last row of a run, which says that it is done."""
    diverged = {"diverged": result["diverged_at"] is not None}
    row = {"run": trial.name, "done": True} | identity_of(trial) | facts | diverged | result
    record.append(finite_or_none(row))


def identity_of(trial: Trial) -> dict:
    """Return which run it is, as the record says it: "group" is the arm."""
    return {"stage": trial.stage, "group": trial.arm, "seed": trial.seed, "lr": trial.lr}
