"""What a launch would run, and for how long: what --dry_run prints. Nothing is run or written."""

import itertools
import math
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ml_collections import ConfigDict

from dla_jax.config.arguments import Preset
from dla_jax.config.checks import ConfigError
from dla_jax.config.command_line import load_config
from dla_jax.config.help import minutes_words
from dla_jax.config.workdir import Launch, made_first
from dla_jax.evidence import undecidable
from dla_jax.evidence.rows import read_record
from dla_jax.studies import find
from dla_jax.studies.study import Command, Study, by_run, read_finished, select_seeds
from dla_jax.trials.arms import Arm, Trial, final_trials, select_trials
from dla_jax.trials.pool import at_a_time

HEAD = ("", "to choose rates", "to compare", "each")
SOLVED = ("tfidf", "logistic")  # models that take no steps


class Plan(NamedTuple):
    """The runs of one study, and what its workdir holds of them."""

    workdir: Path
    config: ConfigDict
    identity: dict  # of the data
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


def lines(study: Study | Command, config, launch: Launch, config_flag: str) -> list[str]:
    """Check what a launch would do, and return it, in lines for the screen.

    Args:
      config_flag: `configs/x.py:ARGUMENT`, whose preset may have been timed.

    Raises:
      ConfigError: it would be refused, or something would be fetched first.
    """
    launch = launch._replace(download=False)
    check_here(study, config, launch)
    made = studies_of(study, config.to_dict(), launch.workdir)
    plans = [
        plan_of(ConfigDict(own), launch._replace(workdir=folder)) for folder, own in made.items()
    ]
    found = []
    for plan in plans:
        found += plan_lines(plan, first=isinstance(study, Command))
    if isinstance(study, Command):
        found.append(f"{'then ' if plans else ''}{study.tell(config, launch)}")
    found.append(f"workdir: {launch.workdir}")
    return [*found, *([time_line(study, plans, launch, config_flag)] if plans else [])]


def check_here(study: Study | Command, config, launch: Launch) -> None:
    """Raise ConfigError for what a launch would refuse, or would have to fetch."""
    try:
        study.check(config, launch)
    except ConfigError as error:
        fetch = " without --dry_run, which fetches nothing" if "--download" in str(error) else ""
        raise ConfigError(f"{error}{fetch}") from None


def drawn(study: Study | Command, workdir: Path) -> str:
    """Return that a report would be drawn again, in a line.

    Raises:
      ConfigError: the study in the workdir is not finished.
    """
    if isinstance(study, Study):
        read_finished(study, workdir)
    return f"would draw the report of {workdir} again"


def studies_of(study: Study | Command, config: dict, workdir: Path) -> dict[Path, dict]:
    """Return {workdir: config} of the studies of a launch: its own, or those it makes first."""
    return made_first(workdir, config) if isinstance(study, Command) else {workdir: config}


def plan_of(config: ConfigDict, launch: Launch) -> Plan:
    """Return the plan of one study, after it has read its data."""
    study = find(config.experiment)
    described = study.describe(config, launch)
    bare = planned(study, config, described.identity)
    seeds = {arm.name: arm.seeds for arm in bare.arms.values()}
    claims = study.claims(config).values() if "claims" in config else []
    remarks = [*described.remarks, *undecidable.remarks(claims, seeds)]
    done = by_run(read_record(launch.workdir))[1]
    own = {trial.name for trial in bare.trials}
    done = {name: row for name, row in done.items() if name in own}
    return bare._replace(workdir=launch.workdir, done=done, remarks=remarks)


def planned(study: Study, config: ConfigDict, identity: dict) -> Plan:
    """Return the plan of a study in no workdir."""
    arms = study.arms(config, identity)
    select = select_trials(arms, select_seeds(config))
    return Plan(Path(), config, identity, arms, select, final_trials(arms), done={}, remarks=[])


def plan_lines(plan: Plan, first: bool) -> list[str]:
    """Return the runs of a study as a small table. `first`: it is made before a command runs."""
    counts = f"{len(plan.select)} choose learning rates, {len(plan.final)} are compared"
    title = f"{len(plan.trials)} runs: {counts}"
    held = f"; {len(plan.done)} of them are done" if plan.left else "; all of them are done"
    place = f"first the study in {plan.workdir}, " if first else ""
    rows = [HEAD, *(arm_row(plan, arm) for arm in plan.arms.values())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return [
        *plan.remarks,
        f"{place}{title}{held if plan.done else ''}",
        *(f"  {row}" for row in table),
        "",
    ]


def arm_row(plan: Plan, arm: Arm) -> tuple[str, str, str, str]:
    """Return what the table says of an arm."""
    chosen = f"at the rate of {arm.lender}" if arm.lender else f"at {arm.rates[0]:g}"
    if arm.config.model.name in SOLVED:
        chosen = ""
    if any(trial.arm == arm.name for trial in plan.select):
        seeds = counted(len(select_seeds(plan.config)), "seed")
        chosen = f"{counted(len(arm.rates), 'rate')} x {seeds}"
    return arm.name, chosen, counted(len(arm.seeds), "seed"), length_words(arm.config)


def counted(number: int, what: str) -> str:
    """Return `1 seed`, `8 seeds`."""
    return f"{number:,} {what}{'s' if number != 1 else ''}"


def length_words(own) -> str:
    """Return how long a run of an arm is, by its config: `9 epochs`, `1,500 steps`."""
    if "total_steps" in own:
        return counted(own.total_steps, "environment step")
    if own.model.name in SOLVED:
        return "solved at once"
    if "num_epochs" in own:
        return counted(own.num_epochs, "epoch")
    return counted(own.num_steps, "step")


def steps_of(own, num_examples: int) -> int:
    """Return the steps of a run of an arm, about as many as it takes; 0 for one solved at once.

    Args:
      num_examples: of the data, in all their parts.
    """
    if "total_steps" in own:
        return own.total_steps
    if own.model.name in SOLVED:
        return 0
    if "num_epochs" not in own:
        return own.num_steps
    training = num_examples * (1 - own.data.val_fraction - own.data.test_fraction)
    return own.num_epochs * math.ceil(training / own.batch_size)


def work(plan: Plan, trials: Iterable[Trial]) -> int:
    """Return the steps of some runs of a plan together."""
    num_examples = plan.identity.get("num_examples", 0)
    return sum(steps_of(plan.arms[trial.arm].config, num_examples) for trial in trials)


def time_line(study: Study | Command, plans: list[Plan], launch: Launch, config_flag: str) -> str:
    """Return how long the runs that are left would take, and how that is known."""
    left = [trial for plan in plans for trial in plan.left]
    if not left:
        return "seconds: nothing is left to be trained"
    timed = [minutes_by_own_runs(plan) for plan in plans]
    if None not in timed:
        done = counted(sum(len(plan.done) for plan in plans), "finished run")
        return f"{about(sum(timed))} on this machine, as its {done} took"
    name, preset, written = preset_of(config_flag)
    if preset is None or preset.minutes is None:
        gpu = ", which is for a GPU" if preset and preset.gpu else ""
        return f"nobody has timed {name}{gpu}"
    as_written = work_as_written(study, written, plans, launch)
    if not as_written:
        usual = f"{minutes_words(preset.minutes)} on 2 CPU cores"
        return f"nobody has timed it; {name} takes {usual}, on data that are not here"
    share = sum(work(plan, plan.left) for plan in plans) / as_written
    how = "as measured" if share == 1 else f"where a step costs what it costs in {name}"
    return f"{about(preset.minutes * share)} on 2 CPU cores, {how}"


def about(minutes: float) -> str:
    """Return a time that is not known well: `about 4.6 min`, `seconds`."""
    words = minutes_words(minutes)
    return words if words == "seconds" else f"about {words}"


def minutes_by_own_runs(plan: Plan) -> float | None:
    """Return the minutes of the runs that are left, by the seconds of those that are done.

    None where none is done. An arm with no finished run costs what the others do, a step.
    """
    seconds, steps = {}, {}
    for row in plan.done.values():
        if row.get("train_seconds") is not None:
            arm = row["group"]
            seconds[arm] = seconds.get(arm, 0.0) + row["train_seconds"]
            trial = Trial(row["stage"], arm, row["seed"], row["lr"])
            steps[arm] = steps.get(arm, 0) + max(1, work(plan, [trial]))
    if not seconds:
        return None
    mean = sum(seconds.values()) / sum(steps.values())
    total = 0.0
    for trial in plan.left:
        known = trial.arm in seconds
        cost = seconds[trial.arm] / steps[trial.arm] if known else mean
        total += cost * max(1, work(plan, [trial]))
    side_by_side = plan.config.cells_at_a_time if "cells_at_a_time" in plan.config else 1
    return total / 60 / at_a_time(side_by_side)


def preset_of(config_flag: str) -> tuple[str, Preset | None, dict]:
    """Return the name of a launch's preset, the preset, and its config as it is written.

    A config without a table of presets has none.
    """
    path, _, argument = config_flag.partition(":")
    module, config = load_config(path, argument)
    written = config.to_dict()
    presets = getattr(module, "PRESETS", {})
    given = [part.strip().removeprefix("preset=") for part in argument.split(",")]
    names = [name for name in itertools.chain(given, presets) if name in presets]
    if not names:
        return config_flag, None, written
    return names[0], presets[names[0]], load_config(path, names[0])[1].to_dict()


def work_as_written(
    study: Study | Command, written: dict, plans: list[Plan], launch: Launch
) -> int:
    """Return the steps of all runs of a preset as it is written; 0 where its data are not here."""
    total = 0
    for folder, own in studies_of(study, written, launch.workdir).items():
        config = ConfigDict(own)
        made = find(config.experiment)
        alike = [plan for plan in plans if plan.config.to_dict().get("data") == own.get("data")]
        try:
            there = launch._replace(workdir=folder)
            identity = alike[0].identity if alike else made.describe(config, there).identity
        except ConfigError:
            return 0
        plan = planned(made, config, identity)
        total += work(plan, plan.trials)
    return total
