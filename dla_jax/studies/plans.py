"""What a study would run, and what its workdir holds of it: its runs, and their steps."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ml_collections import ConfigDict

from dla_jax.config.checks import ConfigError
from dla_jax.config.workdir import Launch, made_first
from dla_jax.config.written import check_same_data, read_config
from dla_jax.evidence.rows import by_run, read_record
from dla_jax.studies import find
from dla_jax.studies.running import few_seeds, select_seeds
from dla_jax.studies.study import Command, Description, Study
from dla_jax.trials import halving
from dla_jax.trials.arms import Arm, Trial, final_trials, select_trials

SOLVED = ("tfidf", "logistic")  # models that take no steps


class Plan(NamedTuple):
    """The runs of one study, and what its workdir holds of them."""

    workdir: Path
    config: ConfigDict
    identity: dict  # of the data; empty where they are not here
    arms: dict[str, Arm]
    select: list[Trial]
    final: list[Trial]
    done: dict[str, dict]  # {run: its last row}
    remarks: list[str]

    @property
    def trials(self) -> list[Trial]:
        """All runs."""
        return [*self.select, *self.final]

    @property
    def left(self) -> list[Trial]:
        """The runs that the workdir does not hold."""
        return [trial for trial in self.trials if trial.name not in self.done]


def studies_of(study: Study | Command, config: dict, workdir: Path) -> dict[Path, dict]:
    """Return {workdir: config} of the studies of a launch: its own, or those it makes first."""
    return made_first(workdir, config) if isinstance(study, Command) else {workdir: config}


def plan_of(config: ConfigDict, launch: Launch) -> Plan:
    """Return the plan of one study, after it has read its data, where they are here.

    Raises:
      ConfigError: the workdir was begun on other data.
    """
    study = find(config.experiment)
    try:
        described = study.describe(config, launch)
    except ConfigError as error:
        if not absent(error):
            raise
        described = Description(identity={}, remarks=[])
    if described.identity and (launch.workdir / "config.json").is_file():
        check_same_data(launch.workdir, read_config(launch.workdir)["data"], described.identity)
    bare = planned(study, config, described.identity)
    remarks = [*described.remarks, *few_seeds(study, config, bare.arms)]
    done = by_run(read_record(launch.workdir))[1]
    own = {trial.name for trial in bare.trials}
    done = {name: row for name, row in done.items() if name in own}
    return bare._replace(workdir=launch.workdir, done=done, remarks=remarks)


def absent(error: ConfigError) -> str:
    """Return what a launch would fetch, as an error without it says; empty where it is another."""
    missing, _, mending = str(error).rpartition("; ")
    return missing if mending.endswith("fetch it with --download") else ""


def planned(study: Study, config: ConfigDict, identity: dict) -> Plan:
    """Return the plan of a study in no workdir."""
    arms = study.arms(config, identity)
    select = select_trials(arms, select_seeds(config))
    return Plan(Path(), config, identity, arms, select, final_trials(arms), done={}, remarks=[])


def steps_of(own, num_examples: int) -> int:
    """Return the steps of a run of an arm, about as many as it takes.

    It is 0 for one that is solved at once, or read from another study.

    Args:
      num_examples: of the data, in all their parts.
    """
    if "total_steps" in own:
        return own.total_steps
    if own.model.name in SOLVED or "optim" not in own:
        return 0
    if "num_epochs" not in own:
        return own.num_steps
    training = num_examples * (1 - own.data.val_fraction - own.data.test_fraction)
    return own.num_epochs * math.ceil(training / own.batch_size)


def share_of_run(plan: Plan, trial: Trial) -> float:
    """Return the share of a run's steps that it takes, on the average over the rates of its arm.

    It is 1 but for a run that chooses a rate by halving.
    """
    arm = plan.arms[trial.arm]
    own = arm.config
    if trial.stage != "select" or not halving.halves(plan.config):
        return 1.0
    unit = "epochs" if "num_epochs" in own else "steps"
    # Of epochs as if each had so many steps that a step more or less does not count.
    steps = 1000 if unit == "epochs" else 1
    length, every = steps * own[f"num_{unit}"], steps * own[f"eval_every_{unit}"]
    return float(halving.share(len(arm.rates), length, range(every, length, every)))


def work(plan: Plan, trials: Iterable[Trial]) -> int:
    """Return the steps of some runs of a plan together."""
    num_examples = plan.identity.get("num_examples", 0)
    return round(
        sum(
            steps_of(plan.arms[trial.arm].config, num_examples) * share_of_run(plan, trial)
            for trial in trials
        )
    )
