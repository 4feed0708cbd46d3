"""How the runs of a study are made, by one process or by several that share its workdir."""

import contextlib
import sys

from dla_jax.config.workdir import Launch, check_workdir
from dla_jax.config.written import write_config
from dla_jax.evidence import pairs, undecidable
from dla_jax.studies.choosing import chosen_rates
from dla_jax.training.mesh import describe_devices
from dla_jax.training.record import Record
from dla_jax.trials import halving
from dla_jax.trials.arms import Arm, Trial, final_trials, select_trials
from dla_jax.trials.crew import Crew
from dla_jax.trials.grid import Job, run_grid


def train_study(study, config, launch: Launch, team: Crew | None) -> None:
    """Make the runs of a study that its workdir does not hold yet.

    Args:
      study: a `study.Study`.
      team: the processes that share the workdir; None: this is the only one.
    """
    # The first of several processes writes what all read, such as a tokenizer.
    with team.after_first("data") if team else contextlib.nullcontext():
        described = study.describe(config, launch)
        arms = study.arms(config, described.identity)
        remarks = [*described.remarks, *few_seeds(study, config, arms)]
        with team.alone("config") if team else contextlib.nullcontext():
            begin(config, launch, described._replace(remarks=remarks))
    check = team.check if team else lambda: None
    with contextlib.closing(Record(launch.workdir, launch.first, check)) as record:
        make_runs(study, config, launch, team, arms, record)


def make_runs(
    study, config, launch: Launch, team: Crew | None, arms: dict[str, Arm], record: Record
) -> None:
    """Make the runs that a record does not hold yet.

    Args:
      study, team: see `train_study`.
    """
    selected = select_trials(arms, select_seeds(config))

    def make_jobs(trials: list[Trial]) -> list[Job]:
        with team.after_first("jobs") if team else contextlib.nullcontext():
            return study.jobs(config, launch, arms, trials, record)

    def chosen(done: dict[str, dict]) -> dict[str, float]:
        return chosen_rates(config, study.tuning.score, arms, selected, done)

    run_grid(
        record,
        selected,
        final_trials(arms),
        make_jobs=make_jobs,
        choose_rates=chosen,
        side_by_side=config.cells_at_a_time if "cells_at_a_time" in config else 1,
        quiet=launch.quiet,
        unit=study.unit,
        halved_by=study.tuning.score if halving.halves(config) else None,
        crew=team,
    )


def few_seeds(study, config, arms: dict) -> list[str]:
    """Return a line for each claim, and one for a sweep, that so few seeds cannot decide.

    Args:
      study: a `study.Study`.
      arms: {name: Arm}.
    """
    seeds = {arm.name: arm.seeds for arm in arms.values()}
    claims = study.claims(config).values() if "claims" in config else []
    unseen = pairs.remarks(config.compared, seeds) if "compared" in config else []
    return [*undecidable.remarks(claims, seeds), *unseen]


def select_seeds(config) -> tuple[int, ...]:
    """Return the seeds that choose learning rates; none in a study that only measures."""
    return tuple(config.select_seeds) if "select_seeds" in config else ()


def begin(config, launch: Launch, described) -> None:
    """Write `config.json`, before anything else is in the workdir, and print the remarks.

    Args:
      described: a `study.Description`.
    """
    if launch.first:
        if launch.joins:  # another process may have begun another study since it was checked
            check_workdir(launch.workdir, config.to_dict())
        write_config(
            launch.workdir,
            config.to_dict(),
            describe_devices(),
            described.identity,
            launch.command,
            launch.joins,
        )
        for remark in described.remarks:
            print(remark, file=sys.stderr)
