"""A grid of runs of image classifiers: choose learning rates, train what is compared, resume at any of them.

A cell is one run: a NamedTuple with stage ("select" or "final"), seed and lr, a group (the runs that share a network and
a learning rate) and a name.
"""

import sys
import time
from collections.abc import Callable

import numpy as np

from dla_jax import config as configs
from dla_jax.cells import at_a_time, run_all
from dla_jax.config import Run
from dla_jax.data.images import ImageSet
from dla_jax.experiments.image_runs import Setting, train_run
from dla_jax.logs import Record, progress_line
from dla_jax.mesh import describe_devices
from dla_jax.steps import STEPS, init_state
from dla_jax.train import stack_batches


def best_rates(cells: list, done: dict[str, dict]) -> dict[str, float]:
    """{group: the learning rate of highest mean validation accuracy}; of equals the one of lowest loss, then the smallest.

    `cells` have a name, a group and an lr; `done` is the last row of each by name.
    """
    rates = {}
    for group in dict.fromkeys(cell.group for cell in cells):
        rows = {}
        for cell in sorted((cell for cell in cells if cell.group == group), key=lambda cell: cell.lr):
            rows.setdefault(cell.lr, []).append(done[cell.name])
        mean = lambda lr, key: float(np.mean([np.inf if row[key] is None else row[key] for row in rows[lr]]))  # noqa: E731, B023
        rates[group] = max(rows, key=lambda lr: (mean(lr, "val_accuracy"), -mean(lr, "val_loss")))
    return rates


def run_grid(config, run: Run, image_set: ImageSet, *, select: list, final: list, choose_rates: Callable,
             setting_of: Callable, arguments_of: Callable, draw: Callable) -> None:  # fmt: skip
    """Trains the runs of a study, or those left of it, in `run.workdir`, and draws its report.

    Args:
      select: cells that choose learning rates.
      final: cells that are compared, whose rates are still open.
      choose_rates: {name: last row} of finished runs -> {group: learning rate}.
      setting_of, arguments_of: cell -> Setting, and the functions and data of its run.
      draw: workdir -> None.
    """
    if run.first:
        configs.write_config(run.workdir, config.to_dict(), describe_devices(), image_set.identity)
    record, workers, cells = Record(run.workdir, run.first), at_a_time(config.cells_at_a_time), [*select, *final]
    done = f", {len(record.done)} of them done before" if record.done else ""
    print(f"{len(cells)} runs: {len(select)} choose learning rates, {len(final)} are compared{done}", file=sys.stderr)
    num_images = lambda cell: setting_of(cell).plan.num_steps * setting_of(cell).config.batch_size  # noqa: E731
    if len(record.done) < len(cells):
        compile_programs(final, setting_of, arguments_of, workers)
        with progress_line(sum(map(num_images, cells)), run.quiet, "img") as progress:
            progress.update(sum(num_images(cell) for cell in cells if cell.name in record.done))

            def train_all(cells):
                todo = [cell for cell in cells if cell.name not in record.done]
                run_all(lambda cell: train_run(setting_of(cell), arguments_of(cell), cell, run.workdir, record, progress),
                        todo, workers)  # fmt: skip

            train_all(select)
            rates = choose_rates(record.done)
            train_all([cell._replace(lr=rates[cell.group]) for cell in final])
    else:
        print("the study is finished; drawing its report again", file=sys.stderr)
    record.close()
    if run.first:
        draw(run.workdir)


def compile_programs(cells: list, setting_of: Callable, arguments_of: Callable, workers: int) -> None:
    """Compiles each program that the cells need, side by side; groups that share one compile it once."""
    started, programs = time.perf_counter(), {}
    for cell in {cell.group: cell for cell in cells}.values():
        setting, arguments = setting_of(cell), arguments_of(cell)
        shapes = setting.config.batch_size, setting.plan.steps_per_call
        programs.setdefault((arguments["loss_fn"], setting.tx, shapes), (setting, arguments, cell.seed))
    run_all(lambda program: compile_program(*program), programs.values(), workers)
    print(f"{len(programs)} programs compiled in {time.perf_counter() - started:.0f} s", file=sys.stderr)


def compile_program(setting: Setting, arguments: dict, seed: int) -> None:
    """Compiles the programs of a run by taking no step with them."""
    state, key = init_state(arguments["init_fn"], setting.tx, seed=seed, lr=0.0, mesh=setting.mesh)
    arguments["evaluate"](state)
    batch = stack_batches(arguments["batch_at"], 0, 1, setting.plan.steps_per_call)
    steps = STEPS[setting.config.parallel]
    steps(state, setting.data, batch, 0, key, loss_fn=arguments["loss_fn"], tx=setting.tx, trace=setting.trace,
          mesh=setting.mesh)  # fmt: skip
