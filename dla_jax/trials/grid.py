"""A grid of runs: choose learning rates, train what is compared, resume at any of them.

A cell is one run: a NamedTuple with stage ("select" or "final"), seed and lr, a group (the runs that share a network and
a learning rate) and a name.
"""

import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import jax

from dla_jax.config.stop import NonFiniteLoss
from dla_jax.config.workdir import Run, write_config
from dla_jax.evidence.rows import finite_or_none
from dla_jax.training.checkpoint import Checkpoints, save_model
from dla_jax.training.loop import Plan, fit, stack_batches
from dla_jax.training.mesh import describe_devices
from dla_jax.training.record import Record, progress_line
from dla_jax.training.steps import STEPS, init_state
from dla_jax.trials.pool import at_a_time, run_all


class Setting(NamedTuple):
    """What the runs of one config share."""

    config: object
    data: dict  # on the devices, [N, ...]: rows are taken by a batch's "index"
    mesh: jax.sharding.Mesh
    tx: object
    plan: Plan
    trace: Callable  # as `train.fit` takes it
    source: object  # where the data comes from, as the story knows it
    step_size: int = 1  # what a step adds to the progress line, in units
    accumulate: int = 1  # parts that the batch of a step is taken in


class Story(NamedTuple):
    """What makes one run of a grid: the functions that `train.fit` takes, and what its last row says."""

    init_fn: Callable
    loss_fn: Callable
    batch_at: Callable
    evaluate: Callable
    better: Callable  # a row of `evaluate` -> score, larger is better
    test: Callable  # state -> dict, once, at the end
    result: Callable  # (rows, the best of them) -> dict
    diverged: dict  # what stands for `result` and `test` of a run whose loss became non-finite
    facts: dict  # of the network: num_params, ...
    annotate: Callable = lambda row: row  # row of `fit` -> row as it is written
    shapes_at: tuple[int, ...] = (0,)  # steps whose batches have all shapes that there are
    warm: Callable | None = (
        None  # state -> None: what compiles `evaluate`, where that is less than all of it
    )
    at_once: Callable | None = (
        None  # () -> dict: what the last row says of a model that is not trained step by step
    )
    probe: Callable = lambda state: {}


def best_rates(cells: list, done: dict[str, dict], score: Callable) -> dict[str, float]:
    """{group: the learning rate whose runs score highest}; of equals the smallest.

    `cells` have a name, a group and an lr; `done` is the last row of each by name; `score`: rows of one rate -> number or tuple.
    """
    rates = {}
    for group in dict.fromkeys(cell.group for cell in cells):
        rows = {}
        for cell in sorted(
            (cell for cell in cells if cell.group == group), key=lambda cell: cell.lr
        ):
            rows.setdefault(cell.lr, []).append(done[cell.name])
        rates[group] = max(rows, key=lambda lr: score(rows[lr]))
    return rates


def begin(config, run: Run, identity: dict, remarks: Iterable[str] = ()) -> None:
    """Write `config.json`, before anything else is in the workdir, and say what has to be said of the data.

    `identity`: of the data, `remarks`: lines for the screen.
    """
    if run.first:
        write_config(run.workdir, config.to_dict(), describe_devices(), identity)
        for remark in remarks:
            print(remark, file=sys.stderr)


def run_grid(
    config,
    run: Run,
    *,
    select: list,
    final: list,
    choose_rates: Callable,
    setting_of: Callable,
    story_of: Callable,
    draw: Callable,
    unit: str,
) -> None:
    """Trains the runs of a study, or those left of it, in `run.workdir`, and draws its report.

    Args:
      select: cells that choose learning rates.
      final: cells that are compared, whose rates are still open.
      choose_rates: {name: last row} of finished runs -> {group: learning rate}.
      setting_of, story_of: cell -> Setting, and what makes its run.
      draw: workdir -> None.
      unit: of the progress line.

    Raises:
      NonFiniteLoss: in a study of a single run.
    """
    record, workers, cells = (
        Record(run.workdir, run.first),
        at_a_time(config.cells_at_a_time),
        [*select, *final],
    )
    done = f", {len(record.done)} of them done before" if record.done else ""
    print(
        f"{len(cells)} runs: {len(select)} choose learning rates, {len(final)} are compared{done}",
        file=sys.stderr,
    )
    amount = lambda cell: setting_of(cell).plan.num_steps * setting_of(cell).step_size
    if len(record.done) < len(cells):
        compile_programs(final, setting_of, story_of, workers)
        with progress_line(sum(map(amount, cells)), run.quiet, unit) as progress:
            progress.update(sum(amount(cell) for cell in cells if cell.name in record.done))

            def train(cell):
                story = story_of(cell)
                if story.at_once:
                    finish(record, cell, story, {"diverged_at": None} | story.at_once())
                    progress.update(amount(cell))
                else:
                    train_run(
                        setting_of(cell),
                        story,
                        cell,
                        run.workdir,
                        record,
                        progress,
                        alone=len(cells) == 1,
                    )

            train_all = lambda cells: run_all(
                train, [cell for cell in cells if cell.name not in record.done], workers
            )
            train_all(select)
            rates = choose_rates(record.done)
            train_all([cell._replace(lr=rates[cell.group]) for cell in final])
    else:
        print("the study is finished; drawing its report again", file=sys.stderr)
    record.close()
    if run.first:
        draw(run.workdir)


def train_run(
    setting: Setting, story: Story, cell, workdir: Path, record: Record, progress, alone: bool
) -> None:
    """Trains one network, or goes on with it, and writes its rows.

    Of a cell of stage "final" every row is written, and the network is tested and saved for `--from`; of others, which choose
    a learning rate, the evaluations alone. A run that diverges is recorded as such, unless it is `alone`: then NonFiniteLoss.
    """
    folder, compared, plan, size = (
        workdir / "checkpoints" / cell.name,
        cell.stage == "final",
        setting.plan,
        setting.step_size,
    )
    if not compared:
        plan = plan._replace(log_every_steps=0, trace_first_steps=0, probe_every_steps=0)
    checkpoints, seen = Checkpoints(folder / "training"), 0

    def log(row):
        nonlocal seen
        record.append({"run": cell.name} | story.annotate(row))
        progress.update((row["step"] - seen) * size)
        if row["step"]:
            progress.set_postfix_str(f"loss {row['train_loss']:.3f}", refresh=False)
        seen = row["step"]

    def resume(step):
        nonlocal seen
        seen = step
        progress.update(step * size)
        return record.resume(cell.name, step)

    result = {"diverged_at": None}
    try:
        state, rows = fit(
            story.init_fn,
            story.loss_fn,
            setting.tx,
            story.batch_at,
            story.evaluate,
            seed=cell.seed,
            lr=cell.lr,
            plan=plan,
            data=setting.data,
            mesh=setting.mesh,
            better=story.better,
            accumulate=setting.accumulate,
            parallel=setting.config.parallel,
            trace=setting.trace,
            probe=story.probe,
            checkpoints=checkpoints,
            resume=resume,
            log=log,
        )
        best = max((row for row in rows if row["step"] in plan.eval_steps), key=story.better)
        result |= {
            "best_step": best["step"],
            "step": rows[-1]["step"],
            "train_seconds": rows[-1]["seconds"],
        }
        result |= story.result(rows, best)
        if compared:
            result |= story.test(state)
            save_model(folder / "model", {"params": state.params, "model_state": state.model_state})
    except NonFiniteLoss as error:
        if alone:
            raise
        result |= {
            "step": error.step,
            "diverged_at": error.step,
            "best_step": 0,
            "train_seconds": None,
        } | story.diverged
    checkpoints.delete()
    progress.update((plan.num_steps - seen) * size)
    finish(record, cell, story, result)


def finish(record: Record, cell, story: Story, result: dict) -> None:
    """Writes the last row of a run."""
    identity = (
        cell._asdict()
        | {"group": cell.group}
        | story.facts
        | {"diverged": result["diverged_at"] is not None}
    )
    record.append(finite_or_none({"run": cell.name, "done": True} | identity | result))


def compile_programs(cells: list, setting_of: Callable, story_of: Callable, workers: int) -> None:
    """Compiles each program that the cells need, side by side; groups that share one compile it once."""
    started, programs = time.perf_counter(), {}
    for cell in {cell.group: cell for cell in cells}.values():
        setting, story = setting_of(cell), story_of(cell)
        if story.at_once:
            continue
        shapes = (
            setting.config.batch_size,
            setting.plan.steps_per_call,
            setting.accumulate,
            story.shapes_at,
        )
        programs.setdefault((story.loss_fn, setting.tx, shapes), (setting, story, cell.seed))
    run_all(lambda program: compile_program(*program), programs.values(), workers)
    print(
        f"{len(programs)} programs compiled in {time.perf_counter() - started:.0f} s",
        file=sys.stderr,
    )


def compile_program(setting: Setting, story: Story, seed: int) -> None:
    """Compiles the programs of a run by taking no step with them."""
    state, key = init_state(story.init_fn, setting.tx, seed=seed, lr=0.0, mesh=setting.mesh)
    (story.warm or story.evaluate)(state)
    for step in story.shapes_at:
        batch = stack_batches(story.batch_at, step, step + 1, setting.plan.steps_per_call)
        state, _, _ = STEPS[setting.config.parallel](
            state,
            setting.data,
            batch,
            0,
            key,
            loss_fn=story.loss_fn,
            tx=setting.tx,
            trace=setting.trace,
            accumulate=setting.accumulate,
            mesh=setting.mesh,
        )
