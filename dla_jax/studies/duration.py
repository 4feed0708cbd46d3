"""How long the runs of a launch would take, by those that are done, or by a preset's minutes."""

from pathlib import Path

from ml_collections import ConfigDict

from dla_jax.config.arguments import Preset, flatten
from dla_jax.config.command_line import load_config, name_of, split_words_of
from dla_jax.config.help import minutes_words, words_of
from dla_jax.evidence.formatting import count
from dla_jax.studies import find
from dla_jax.studies.plans import Plan, planned, studies_of, work
from dla_jax.studies.study import Command, Study
from dla_jax.trials.arms import Trial
from dla_jax.trials.pool import at_a_time

# Keys that say how many runs and steps there are, not what a step costs.
LENGTHS = (
    "seeds",
    "num_side_seeds",
    "select_seeds",
    "lrs",
    "selection",
    "optim.lr",
    "num_epochs",
    "num_steps",
    "total_steps",
)


def time_line(
    study: Study | Command, plans: list[Plan], config: dict, workdir: Path, config_flag: str
) -> str:
    """Return how long a launch would take, without the runs that are done, and how that is known.

    Args:
      config: of the launch.
      config_flag: as in `dry_run.lines`.
    """
    if plans and not any(plan.left for plan in plans):
        return "seconds: nothing is left to be trained"
    timed = [minutes_by_own_runs(plan) for plan in plans]
    if timed and None not in timed:
        done = count(sum(len(plan.done) for plan in plans), "finished run")
        return f"{about(sum(timed))} on this machine, as its {done} took"
    name, preset, written = preset_of(config_flag)
    if preset is None or preset.minutes is None:
        gpu = ", which is for a GPU" if preset and preset.gpu else ""
        return f"nobody has timed {name}{gpu}"
    whole = all(plan.left == plan.trials for plan in plans)
    if whole and flatten(config) == flatten(written):
        return f"{about(preset.minutes)} on 2 CPU cores, as measured"
    usual = f"{name} as it is written takes {minutes_words(preset.minutes)} on 2 CPU cores"
    if not plans:
        return usual
    share = share_of(study, plans, config, written, workdir)
    if share is None:
        return f"nobody has timed this; {usual}"
    how = f"where a step costs what it costs in {name}"
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
        # A network that was read ("network") says how long it was trained elsewhere.
        if row.get("train_seconds") is not None and "network" not in row:
            arm = row["group"]
            seconds[arm] = seconds.get(arm, 0.0) + row["train_seconds"]
            trial = Trial(row["stage"], arm, row["seed"], row["lr"])
            taken = row["step"] if "cuts" in row else work(plan, [trial])  # halved where it is so
            steps[arm] = steps.get(arm, 0) + max(1, taken)
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
    """Return a launch's preset as it is typed, the preset, and its config as it is written.

    A config without a table of presets has none.
    """
    path, colon, argument = config_flag.partition(":")
    module, written = load_config(path, argument)
    presets = getattr(module, "PRESETS", {})
    names = [name for name in [*words_of(argument), *presets] if name in presets]
    if not names:
        return name_of(path) + colon + argument, None, written.to_dict()
    name = names[0]
    written = load_config(path, name)[1]
    split_words_of(written)  # as the config of a launch is
    return f"{name_of(path)}:{name}", presets[name], written.to_dict()


def share_of(
    study: Study | Command, plans: list[Plan], config: dict, written: dict, workdir: Path
) -> float | None:
    """Return the steps that are left, as a share of those of a preset as it is written.

    None where a step may cost something else: an arm, or a key, that the preset has not.
    """
    if isinstance(study, Command) and flatten(config | {"made": 0}) != flatten(
        written | {"made": 0}
    ):
        return None
    studies, total = studies_of(study, written, workdir), 0
    for plan in plans:
        own = ConfigDict(studies.get(plan.workdir, {}))
        if own.get("experiment") != plan.config.experiment:
            return None
        original = planned(find(own.experiment), own, plan.identity)
        if not costs_alike(plan, original):
            return None
        total += work(original, original.trials)
    return sum(work(plan, plan.left) for plan in plans) / total if total else None


def costs_alike(plan: Plan, original: Plan) -> bool:
    """Return whether another plan has all arms of a plan, and a step of each costs the same."""

    def costly(own: ConfigDict) -> dict:
        flat = flatten(own.to_dict())
        return {key: value for key, value in flat.items() if key not in LENGTHS}

    return all(
        name in original.arms and costly(arm.config) == costly(original.arms[name].config)
        for name, arm in plan.arms.items()
    )
