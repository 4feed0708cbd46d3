"""Which method learns an environment, how fast, how surely, and what its choices do to it.

Every arm of the config is the config itself with its own overrides: a method, or a change of it. Each first gets its own learning
rate, unless it brings one; then arms x seeds, paired by seed. Runs of one structure are one compiled program.
"""

import functools
import sys
import time

import jax

from dla_jax.config.checks import check
from dla_jax.config.workdir import Run
from dla_jax.rl.render import can_draw
from dla_jax.studies.agents import checks, programs
from dla_jax.studies.agents.programs import batches_of, programs_of
from dla_jax.studies.agents.report import draw as draw
from dla_jax.studies.agents.scores import rate_score
from dla_jax.training.record import Record, progress_line
from dla_jax.trials.arms import (
    check_networks,
    choose_rates,
    final_cells,
    select_cells,
    undecidable_claims,
)
from dla_jax.trials.grid import begin
from dla_jax.trials.pool import at_a_time, run_all


def check_config(config, run: Run) -> None:
    """Raises ConfigError for a config that this study cannot run, before anything slow."""
    check(run.from_dir is None, "--from: this study trains its own agents; leave it out")
    check(
        jax.process_count() == 1, "--multihost: agents run on the devices of one host; leave it out"
    )
    check(
        sorted(config.order) == sorted(config.arms),
        f"order: {', '.join(config.order)} is no order of the arms; give each once: {', '.join(config.arms)}",
    )
    check_networks(config, checks.check_config)


def run(config, run: Run) -> None:
    """Runs the study, or what is left of it, in `run.workdir`, and draws its report."""
    begin(config, run, {"name": config.env.name}, undecidable_claims(config))
    record, workers = Record(run.workdir, run.first), at_a_time(config.cells_at_a_time)
    select, final = select_cells(config), final_cells(config)
    cells, programs = [*select, *final], programs_of(config, [*select, *final])
    done = f", {len(record.done)} of them done before" if record.done else ""
    print(
        f"{len(cells)} runs: {len(select)} choose learning rates, {len(final)} are compared{done}",
        file=sys.stderr,
    )
    if len(record.done) < len(cells):
        batches = batches_of(cells, programs)
        left = lambda stage: [
            batch
            for batch in batches
            if batch.cells[0].stage == stage
            and any(cell.name not in record.done for cell in batch.cells)
        ]
        compile_programs(config, [*left("select"), *left("final")], workers)
        budget = lambda cells: sum(
            programs.points_of(programs[cell.group])[-1].env_steps for cell in cells
        )
        with progress_line(budget(cells), run.quiet, "step") as progress:
            progress.update(
                budget(cells)
                - sum(budget(batch.cells) for stage in ("select", "final") for batch in left(stage))
            )
            train = functools.partial(
                train_batch, config, run, record, progress, alone=len(cells) == 1
            )
            run_all(train, left("select"), workers)
            rates = choose_rates(config, record.done, rate_score)
            at_rates = lambda cells: [cell._replace(lr=rates[cell.group]) for cell in cells]
            run_all(
                train,
                [batch._replace(cells=at_rates(batch.cells)) for batch in left("final")],
                workers,
            )
    else:
        print("the study is finished; drawing its report again", file=sys.stderr)
    record.close()
    if run.first:
        draw(run.workdir)


def compile_programs(config, batches: list, workers: int) -> None:
    """Compiles the programs of the batches, side by side, each once."""
    started, programs = time.perf_counter(), {id(batch.program): batch for batch in batches}
    run_all(lambda batch: programs.compile_program(config, batch), programs.values(), workers)
    print(
        f"{len(programs)} programs compiled in {time.perf_counter() - started:.0f} s",
        file=sys.stderr,
    )


def train_batch(config, run: Run, record: Record, progress, batch, alone: bool) -> None:
    """Trains a batch; of each arm's first seed an episode is kept at the start, in the middle and at the end, to be drawn."""
    points = programs.points_of(batch.program)
    moments = {points[i].env_steps for i in (0, len(points) // 2, len(points) - 1)}
    env = batch.program.env
    watched = lambda cell, step: (
        cell.stage == "final"
        and cell.seed == config.seeds[0]
        and step in moments
        and can_draw(env.name, env.native_shape)
    )
    programs.train_batch(config, batch, run.workdir, record, progress, watched, alone)
