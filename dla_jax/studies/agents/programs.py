"""Programs of agents: runs of one structure are rows of one compiled program."""

import itertools
import math
from typing import NamedTuple

import jax
from ml_collections import FrozenConfigDict

from dla_jax.config.arguments import flatten
from dla_jax.config.checks import lookup
from dla_jax.config.elsewhere import is_own
from dla_jax.rl import dqn, envs, ppo, reinforce
from dla_jax.rl.agent import Agent
from dla_jax.trials.arms import Arm, Trial

METHODS = {"reinforce": reinforce, "dqn": dqn, "ppo": ppo}
# Where the config has what is data in a program, not structure: runs that differ in it alone share
# the program.
HYPERS = {
    "reinforce": (
        "gamma",
        "bootstrap",
        "agent.ent_coef",
        "agent.temperature_start",
        "agent.temperature_end",
        "agent.greedy_start",
        "agent.greedy_end",
        "agent.mixture",
    ),
    "dqn": (
        "gamma",
        "bootstrap",
        "agent.tau",
        "agent.target_period",
        "agent.target_period_episodes",
        "agent.epsilon_start",
        "agent.epsilon_end",
        "agent.epsilon_fraction",
    ),
    "ppo": (
        "gamma",
        "bootstrap",
        "agent.gae_lambda",
        "agent.clip_eps",
        "agent.ent_coef",
        "agent.vf_coef",
    ),
}
NOT_STRUCTURE = (
    "seeds",
    "select_seeds",
    "lrs",
    "optim.lr",
    "question",
    "experiment",
    "cells_at_a_time",
)
# {(environment, structure): its agent}: what was traced of it serves later studies of this process.
_AGENTS = {}
OVERHEAD = 0.3  # of a program, in runs: what more runs in one save


class Program(NamedTuple):
    """What runs of one structure share."""

    config: object
    env: envs.Env
    agent: Agent


class Batch(NamedTuple):
    """Runs that are one array."""

    program: Program
    trials: list[Trial]
    size: int  # places, of which the last may be left over


class Point(NamedTuple):
    """A moment of evaluation."""

    updates: int  # since the one before
    env_steps: int  # of the budget


def make_env(config) -> envs.Env:
    """Return the environment of an arm."""
    return envs.make(
        config.env.name,
        flatten=config.model.name == "mlp",
        sticky=config.env.sticky,
        max_steps=config.env.max_steps,
    )


def return_bounds(config) -> tuple[float, float]:
    """Return the least and the most that a return of an arm can be; infinite where it is not known.

    Nothing is made of an environment of one's own: a report is drawn from its record alone.
    """
    if is_own(config.env.name):
        return -math.inf, math.inf
    return envs.return_bounds(make_env(config))


def structure(config) -> tuple:
    """Return what makes a program: every key of an arm except those that are data in it."""
    left_out = (*NOT_STRUCTURE, *HYPERS[config.agent.name])
    keys = sorted(flatten(config.to_dict()).items())
    return tuple((key, str(value)) for key, value in keys if key not in left_out)


def agent_of(env: envs.Env, config, key: tuple) -> Agent:
    """Return the agent of an environment and a structure; one that was made before serves again."""
    if (env, key) in _AGENTS:
        return _AGENTS[env, key]
    agent = METHODS[config.agent.name].make(env, FrozenConfigDict(config.to_dict()))
    if not is_own(config.env.name):  # one's own is another object each time
        _AGENTS[env, key] = agent
    return agent


def programs_of(arms: dict[str, Arm]) -> dict[str, Program]:
    """Return {arm: its program}; arms of one structure have the same."""
    made, found = {}, {}
    for arm in arms.values():
        key = structure(arm.config)
        if key not in made:
            env = make_env(arm.config)
            made[key] = Program(arm.config, env, agent_of(env, arm.config, key))
        found[arm.name] = made[key]
    return found


def make_hyper(config, lr: float):
    """Return the numbers of a run as its method's `Hyper`.

    `epsilon_steps` is the length of the decay in environment steps.
    """
    name = config.agent.name
    values = {path.removeprefix("agent."): float(lookup(config, path)) for path in HYPERS[name]}
    if "epsilon_fraction" in values:
        values["epsilon_steps"] = values.pop("epsilon_fraction") * config.total_steps
    return METHODS[name].Hyper(lr=lr, **values)


def points_of(program: Program) -> list[Point]:
    """Return when a run is evaluated.

    It is evaluated before its first update, and at equal parts of its budget, after whole updates.
    Where the steps of an update are not known before, as those of whole episodes, the parts alone
    are.
    """
    config, agent = program.config, program.agent
    parts = [part / config.num_evaluations for part in range(config.num_evaluations + 1)]
    if not agent.steps_per_update:
        return [Point(0, round(part * config.total_steps)) for part in parts]
    total = (config.total_steps - agent.first_steps) // agent.steps_per_update
    points = [Point(0, 0)]
    for before, after in itertools.pairwise(round(part * total) for part in parts):
        if after > before:
            env_steps = agent.first_steps + after * agent.steps_per_update
            points.append(Point(after - before, env_steps))
    return points


def budget_of(program: Program) -> int:
    """Return the environment steps of a run's budget that whole updates can use."""
    return points_of(program)[-1].env_steps


def batch_size(counts: list[int], most: int, devices: int) -> int:
    """Return how many runs to put into one program, at most `most`: the cheapest number.

    Args:
      counts: how many runs there are of each stage; the last batch of a stage is filled up.
      devices: over which the runs are split.
    """

    def cost(size: int) -> float:
        return sum(-(-count // size) * (size + OVERHEAD) for count in counts)

    return min(range(most, 0, -devices), key=cost)


def batches_of(trials: list[Trial], programs: dict[str, Program]) -> list[Batch]:
    """Return the trials that run together: of one program and stage, in order.

    A batch holds as many as `batch_size` says, or fewer.
    """
    groups = {}
    for trial in trials:
        stages = groups.setdefault(id(programs[trial.arm]), {})
        stages.setdefault(trial.stage, []).append(trial)
    batches = []
    for stages in groups.values():
        program = programs[next(iter(stages.values()))[0].arm]
        counts = [len(found) for found in stages.values()]
        size = batch_size(counts, program.config.runs_at_once, jax.device_count())
        for found in stages.values():
            starts = range(0, len(found), size)
            batches += [Batch(program, found[i : i + size], size) for i in starts]
    return batches
