"""What a launch would run, and for how long: what --dry_run prints. Nothing is run or written."""

from pathlib import Path

from ml_collections import ConfigDict

from dla_jax.config.checks import ConfigError
from dla_jax.config.overrides import members_of
from dla_jax.config.workdir import Launch
from dla_jax.config.written import read_config
from dla_jax.studies import modules
from dla_jax.studies.duration import time_line
from dla_jax.studies.plans import SOLVED, Plan, absent, plan_of, share_of_run, studies_of
from dla_jax.studies.running import select_seeds
from dla_jax.studies.study import Command, Study, read_finished
from dla_jax.trials import halving
from dla_jax.trials.arms import Arm, check_arms

HEAD = ("", "to choose rates", "to compare", "each")


def lines(study: Study | Command, config, launch: Launch, config_flag: str) -> list[str]:
    """Check what a launch would do, and return it, in lines for the screen.

    Args:
      config_flag: `configs/x.py:ARGUMENT`, whose preset may have been timed.

    Raises:
      ConfigError: it would be refused.
    """
    fetches, launch = launch.download, launch._replace(download=False)
    missing = check_here(study, config, launch, fetches)
    made = studies_of(study, config.to_dict(), launch.workdir)
    plans = [
        plan_of(ConfigDict(own), launch._replace(workdir=folder)) for folder, own in made.items()
    ]
    found = []
    for plan in plans:
        found += plan_lines(plan, first=isinstance(study, Command))
    if isinstance(study, Command):
        found.append(f"{'then ' if plans else ''}{study.tell(config, launch)}")
    if missing:
        found.append(f"{missing}; leave out --dry_run to fetch it")
    found.append(f"workdir: {launch.workdir}")
    return [*found, time_line(study, plans, config.to_dict(), launch.workdir, config_flag)]


def check_here(study: Study | Command, config, launch: Launch, fetches: bool) -> str:
    """Return what is not here and would be fetched first; empty where all is here.

    Args:
      fetches: whether the launch may fetch it.

    Raises:
      ConfigError: the launch would be refused.
    """
    try:
        study.check(config, launch)
    except ConfigError as error:
        if not (fetches and absent(error)):
            raise
        for own in studies_of(study, config.to_dict(), launch.workdir).values():
            if members_of(ConfigDict(own))[0]:  # the check may have stopped before its arms
                check_arms(ConfigDict(own), check_own=lambda own: None)
        return absent(error)
    return ""


def drawn(study: Study | Command, workdir: Path) -> str:
    """Return that a report would be drawn again, or what there is shown again, in a line.

    Raises:
      ConfigError: the study in the workdir is not finished.
    """
    if isinstance(study, Study):
        read_finished(study, workdir)
    experiment = read_config(workdir)["config"]["experiment"]
    reports = ":" in experiment or experiment in modules()
    return (
        f"would draw the report of {workdir} again"
        if reports
        else f"would show again what {workdir} holds"
    )


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
        *halving_line(plan),
        *(f"  {row}" for row in table),
        "",
    ]


def halving_line(plan: Plan) -> list[str]:
    """Return what halving saves of the runs that choose rates, in a line; none of a full grid."""
    if not plan.select or not halving.halves(plan.config):
        return []
    seeds = len(select_seeds(plan.config))
    tried = [len(plan.arms[name].rates) for name in {trial.arm: 0 for trial in plan.select}]
    go_on = seeds * sum(halving.kept(rates) for rates in tried)
    share = sum(share_of_run(plan, trial) for trial in plan.select) / len(plan.select)
    begin = f"rates are chosen by halving: {len(plan.select)} runs begin"
    none = f"{go_on} go on from the first cut, none to its end"
    return [f"{begin}, {none}; about {100 * (1 - share):.0f} % of their steps are saved"]


def arm_row(plan: Plan, arm: Arm) -> tuple[str, str, str, str]:
    """Return what the table says of an arm."""
    chosen = f"at the rate of {arm.lender}" if arm.lender else f"at {arm.rates[0]:g}"
    if arm.config.model.name in SOLVED or not trained_here(arm.config):
        chosen = ""
    if any(trial.arm == arm.name for trial in plan.select):
        seeds = counted(len(select_seeds(plan.config)), "seed")
        chosen = f"{counted(len(arm.rates), 'rate')} x {seeds}"
    return arm.name, chosen, counted(len(arm.seeds), "seed"), length_words(arm.config)


def trained_here(own) -> bool:
    """Return whether an arm is trained by its study, by its config, and not read from another."""
    return "optim" in own


def counted(number: int, what: str) -> str:
    """Return `1 seed`, `8 seeds`."""
    return f"{number:,} {what}{'s' if number != 1 else ''}"


def length_words(own) -> str:
    """Return how long a run of an arm is, by its config: `9 epochs`, `1,500 steps`."""
    if "total_steps" in own:
        return counted(own.total_steps, "environment step")
    if own.model.name in SOLVED:
        return "solved at once"
    if not trained_here(own):
        return "trained before"
    if "num_epochs" in own:
        return counted(own.num_epochs, "epoch")
    return counted(own.num_steps, "step")
