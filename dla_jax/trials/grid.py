"""A grid of runs: choose learning rates, then train what is compared; resumable at any run."""

import sys
import time
from collections.abc import Callable, Hashable
from typing import NamedTuple

from dla_jax.training.record import Record, progress_line
from dla_jax.trials.arms import Trial
from dla_jax.trials.crew import Alone, Crew
from dla_jax.trials.halving import run_rungs
from dla_jax.trials.pool import at_a_time, run_all


class Job(NamedTuple):
    """Trials that run together: one alone, or several that are rows of one program."""

    trials: list[Trial]
    units: int  # what they add to the progress line
    program: Hashable  # jobs of one program compile it once; None: there is nothing to compile
    compile: Callable[[], None]
    run: Callable  # (trials, progress) -> None: writes their rows, or what is left of them
    # Of a job that chooses rates, where they are chosen by halving. (cut, progress) -> what the run
    # scored at the cuts so far, once it is trained to one; (cut, progress) -> None: ends it there.
    advance: Callable | None = None
    end: Callable | None = None


def run_grid(
    record: Record,
    select: list[Trial],
    final: list[Trial],
    *,
    make_jobs: Callable[[list[Trial]], list[Job]],
    choose_rates: Callable[[dict[str, dict]], dict[str, float]],
    side_by_side: int,
    quiet: bool,
    unit: str,
    halved_by: Callable | None = None,
    crew: Crew | None = None,
) -> None:
    """Run the trials of a study that the record does not hold yet.

    Args:
      select: those that choose learning rates.
      final: those that are compared, whose rates are still open.
      make_jobs: called once, with all trials, where some are left.
      choose_rates: {name: last row} of the finished runs -> {arm: learning rate}.
      side_by_side: how many jobs run at once (`pool.at_a_time`).
      unit: of the progress line.
      halved_by: last rows of the runs at one rate -> their score, where rates are chosen by
        halving; None: all runs that choose one go to their end.
      crew: the processes that share the workdir; None: this is the only one.

    Raises:
      NonFiniteLoss: in a study of a single run.
      Interrupted: a stop was requested; what was under way is saved.
    """
    trials = [*select, *final]
    done = f", {len(record.done)} of them done before" if record.done else ""
    print(
        f"{len(trials)} runs: {len(select)} choose learning rates, {len(final)} are compared{done}",
        file=sys.stderr,
    )
    if all(trial.name in record.done for trial in trials):
        print("the study is finished; drawing its report again", file=sys.stderr)
        return
    jobs, team = make_jobs(trials), crew or Alone()
    left = [job for job in jobs if any(trial.name not in record.done for trial in job.trials)]
    if crew:
        jobs, workers = compiled_at_first(jobs, crew), at_a_time(side_by_side or 1)
    else:
        workers = at_a_time(side_by_side)
        compile_programs(left, workers)
    with progress_line(sum(job.units for job in jobs), quiet, unit) as progress:
        progress.update(sum(job.units for job in jobs) - sum(job.units for job in left))
        run_phases(jobs, record, team, workers, progress, choose_rates, halved_by)


def run_phases(
    jobs: list[Job],
    record: Record,
    team: Alone | Crew,
    workers: int,
    progress,
    choose_rates: Callable,
    halved_by: Callable | None,
) -> None:
    """Run the jobs that choose rates, then those that are compared, as far as they are not done."""
    selecting = [job for job in jobs if job.trials[0].stage == "select"]
    comparing = [job for job in jobs if job.trials[0].stage != "select"]

    def is_done(job: Job) -> bool:
        looked = [record.look(trial.name) for trial in job.trials]  # at each of them
        return all(looked)

    if halved_by:
        run_rungs(selecting, record, halved_by, workers, progress, team)
    else:
        team.each(lambda job: job.run(job.trials, progress), selecting, workers, run_name, is_done)
    rates = choose_rates(record.done)

    def run_at_rates(job: Job) -> None:
        job.run([trial._replace(lr=rates[trial.arm]) for trial in job.trials], progress)

    team.each(run_at_rates, comparing, workers, run_name, is_done)


def run_name(job: Job) -> str:
    """Return what a crew calls the running of a job."""
    return f"{job.trials[0].name}/run"


def compiled_at_first(jobs: list[Job], crew: Crew) -> list[Job]:
    """Return jobs that compile their program before they first run, as few processes as may be."""
    # As `compile_programs` picks them: the last job of a program compiles all that the others need.
    programs = {job.program: job for job in jobs}
    numbers = {program: number for number, program in enumerate(programs)}

    def prepared(job: Job) -> Job:
        def prepare() -> None:
            name = f"compile/{numbers[job.program]}"
            crew.prepare(job.program, name, programs[job.program].compile)

        def run(*given) -> None:
            prepare()
            job.run(*given)

        def advance(*given) -> list[dict]:
            prepare()
            return job.advance(*given)

        def end(*given) -> None:
            prepare()
            job.end(*given)

        return job._replace(run=run, advance=advance, end=end)

    return [prepared(job) for job in jobs]


def compile_programs(jobs: list[Job], workers: int) -> None:
    """Compile each program that the jobs need, side by side, each once."""
    started = time.perf_counter()
    programs = {job.program: job for job in jobs if job.program is not None}
    run_all(lambda job: job.compile(), programs.values(), workers)
    if programs:
        seconds = time.perf_counter() - started
        print(f"{len(programs)} programs compiled in {seconds:.0f} s", file=sys.stderr)
