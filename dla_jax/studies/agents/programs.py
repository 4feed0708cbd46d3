"""Runs of agents: which program each belongs to, many of them in one, and what their rows say."""

import functools
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import FrozenConfigDict

from dla_jax.config.arguments import flatten
from dla_jax.config.stop import Interrupted, NonFiniteLoss, stop_requested
from dla_jax.evidence.rows import brief, finite_or_none
from dla_jax.rl import dqn, envs, loop, ppo, reinforce
from dla_jax.rl.agent import Agent
from dla_jax.studies.agents.scores import result_of
from dla_jax.training.checkpoint import Checkpoints, save_model
from dla_jax.trials.arms import own_config

METHODS = {"reinforce": reinforce, "dqn": dqn, "ppo": ppo}
# Where the config has what is data in a program, not structure: runs that differ in it alone share the program.
HYPERS = {
    "reinforce": (
        "gamma",
        "bootstrap",
        "agent.entropy",
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
        "agent.period",
        "agent.period_episodes",
        "agent.epsilon_start",
        "agent.epsilon_end",
        "agent.epsilon_fraction",
    ),
    "ppo": ("gamma", "bootstrap", "agent.gae_lambda", "agent.clip", "agent.entropy", "agent.value"),
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
OVERHEAD = 0.3  # of a program, in runs: what more runs in one save


class Program(NamedTuple):
    """What runs of one structure share."""

    config: object
    env: envs.Env
    agent: Agent


class Batch(NamedTuple):
    """Runs that are one array."""

    program: Program
    cells: list
    size: int  # places, of which the last may be left over


class Point(NamedTuple):
    """A moment of evaluation."""

    updates: int  # since the one before
    env_steps: int  # of the budget


def make_env(config) -> envs.Env:
    """The environment of an arm."""
    return envs.make(
        config.env.name,
        flatten=config.model.name == "mlp",
        sticky=config.env.sticky,
        max_steps=config.env.max_steps,
    )


def lookup(config, path: str):
    """The value of a dotted key."""
    return functools.reduce(lambda group, name: group[name], path.split("."), config)


def structure(config) -> tuple:
    """What makes a program: every key but those that are data in it."""
    left_out = (*NOT_STRUCTURE, *HYPERS[config.agent.name])
    return tuple(
        (key, str(value))
        for key, value in sorted(flatten(config.to_dict()).items())
        if key not in left_out
    )


def programs_of(config, cells: list) -> dict[str, Program]:
    """{arm: its program}; arms of one structure have the same."""
    made, found = {}, {}
    for arm in dict.fromkeys(cell.group for cell in cells):
        own = own_config(config, arm)
        key = structure(own)
        if key not in made:
            env = make_env(own)
            made[key] = Program(
                own, env, METHODS[own.agent.name].make(env, FrozenConfigDict(own.to_dict()))
            )
        found[arm] = made[key]
    return found


def make_hyper(config, lr: float):
    """The numbers of a run as its method has them."""
    name = config.agent.name
    values = {path.removeprefix("agent."): float(lookup(config, path)) for path in HYPERS[name]}
    if "epsilon_fraction" in values:
        values["epsilon_steps"] = values.pop("epsilon_fraction") * config.total_steps
    return METHODS[name].Hyper(lr=lr, **values)


def points_of(program: Program) -> list[Point]:
    """When a run is evaluated: before its first update, and at equal parts of its budget, after whole updates."""
    config, agent = program.config, program.agent
    parts = [i / config.num_evaluations for i in range(config.num_evaluations + 1)]
    if not agent.steps_per_update:
        return [Point(0, round(part * config.total_steps)) for part in parts]
    total = (config.total_steps - agent.first_steps) // agent.steps_per_update
    at = [round(part * total) for part in parts]
    later = [
        (b - a, agent.first_steps + b * agent.steps_per_update)
        for a, b in itertools.pairwise(at)
        if b > a
    ]
    return [Point(0, 0), *(Point(*found) for found in later)]


def batch_size(counts: list[int], most: int, devices: int) -> int:
    """How many runs to put into one program, at most `most`: the cheapest for stages of so many, the last batch filled up."""
    cost = lambda size: sum(-(-count // size) * (size + OVERHEAD) for count in counts)
    return min(range(most, 0, -devices), key=cost)


def batches_of(cells: list, programs: dict[str, Program]) -> list[Batch]:
    """Cells that run together: of one program and stage, in order, as many as `batch_size` says or fewer."""
    groups = {}
    for cell in cells:
        groups.setdefault(id(programs[cell.group]), {}).setdefault(cell.stage, []).append(cell)
    batches = []
    for stages in groups.values():
        program = programs[next(iter(stages.values()))[0].group]
        size = batch_size(
            [len(found) for found in stages.values()],
            program.config.runs_at_once,
            jax.device_count(),
        )
        batches += [
            Batch(program, found[i : i + size], size)
            for found in stages.values()
            for i in range(0, len(found), size)
        ]
    return batches


def first_states(config, batch: Batch):
    """The states that the runs of a batch begin with; places that are left over repeat the last run."""
    cells = batch.cells + batch.cells[-1:] * (batch.size - len(batch.cells))
    hypers = [make_hyper(own_config(config, cell.group), cell.lr) for cell in cells]
    states = loop.start(batch.program.agent, [cell.seed for cell in cells], hypers)
    return states, jax.tree.map(
        lambda *keys: jnp.stack(keys), *[loop.keys_of(cell.seed) for cell in cells]
    )


def compile_program(config, batch: Batch) -> None:
    """Compiles what a batch needs, by taking no step."""
    program, (states, keys) = batch.program, first_states(config, batch)
    states, _ = loop.run_chunk(program.agent, states, jnp.int32(0), jnp.int32(0), jnp.int32(0))
    for episodes in (program.config.eval_episodes, program.config.test_episodes):
        loop.evaluate(
            program.env,
            program.agent.act,
            loop.actors_of(program.agent, states),
            keys.test,
            episodes,
        )


def train_batch(
    config, batch: Batch, workdir: Path, record, progress, watched: Callable, alone: bool
) -> None:
    """Trains the runs of a batch, or goes on with them, and writes their rows; saves the best policy of those that are compared.

    `watched(cell, step)`: whether an episode of the policy at that step is to be kept, for drawing.

    Raises:
      NonFiniteLoss: of a run that is `alone`; others are recorded as diverged, and play on.
    """
    program, cells = batch.program, batch.cells
    env, agent, points, own = program.env, program.agent, points_of(program), program.config
    states, keys = first_states(config, batch)
    first_update = loop.first_update_steps(agent, states, batch.size, own.total_steps)
    best = loop.none_yet(agent, states, batch.size)
    checkpoints = Checkpoints(workdir / "checkpoints" / cells[0].name / "training")
    restored = checkpoints.restore_latest(loop.to_arrays((states, best)))
    done, arrays = restored or (-1, None)
    if restored:
        states, best = loop.from_arrays(arrays, (states, best))
    places = [
        (n, cell) for n, cell in enumerate(cells) if cell.name not in record.done
    ]  # others: written before a crash
    rows = {
        cell.name: record.resume(cell.name, at(points, done) if restored else -1)
        for _, cell in places
    }
    seconds = rows[places[0][1].name][-1]["seconds"] if rows[places[0][1].name] else 0.0
    progress.update(len(cells) * at(points, done))
    chance = np.asarray(loop.evaluate_random(env, keys.random, own.test_episodes)).mean(1)

    for i in range(done + 1, len(points)):
        before, taken = at(points, i - 1), loop.env_steps(states, batch.size)[: len(cells)].sum()
        start = time.perf_counter()
        amounts = map(jnp.int32, (points[i].updates, points[i].env_steps, own.total_steps))
        states, metrics = loop.run_chunk(agent, states, *amounts)
        metrics = {name: np.asarray(values) for name, values in metrics.items()}
        stretch = time.perf_counter() - start
        seconds += stretch
        actors = loop.actors_of(agent, states)
        fresh = jax.vmap(jax.random.fold_in, in_axes=(0, None))(keys.evaluate, i)
        returns = loop.evaluate(env, agent.act, actors, fresh, own.eval_episodes)
        best, returns = loop.keep_best(best, returns.mean(1), actors), np.asarray(returns)
        steps = loop.env_steps(states, batch.size)
        rate = float(steps[: len(cells)].sum() - taken) / stretch
        for n, cell in places:
            row = {"run": cell.name, "step": points[i].env_steps, "env_steps": int(steps[n])}
            row |= row_of(metrics, returns, n, chance[n]) | {
                "seconds": seconds,
                "env_steps_per_s": rate,
            }
            if watched(cell, points[i].env_steps):
                row["watched"] = watch(env, agent.act, run_of(actors, n), keys.evaluate[n])
            rows[cell.name].append(finite_or_none(row))
            record.append(rows[cell.name][-1])
            if alone and not row["finite"]:
                raise NonFiniteLoss(row["env_steps"])
        progress.update(len(cells) * (points[i].env_steps - before))
        progress.set_postfix_str(f"return {returns.mean():.1f}", refresh=False)
        stopping = stop_requested.is_set()
        if stopping or (
            own.checkpoint_every_evaluations and i % own.checkpoint_every_evaluations == 0
        ):
            checkpoints.save(i, loop.to_arrays((states, best)))
        if stopping:
            checkpoints.wait()
            raise Interrupted

    policies = {"eval_return": best.actor, "last_return": loop.actors_of(agent, states)}
    tests = {
        name: np.asarray(loop.evaluate(env, agent.act, actors, keys.test, own.test_episodes)).mean(
            1
        )
        for name, actors in policies.items()
    } | {"random_return": chance}
    for n, cell in places:
        if cell.stage == "final":
            save_model(workdir / "checkpoints" / cell.name / "model", run_of(best.actor, n))
        scores = {name: float(values[n]) for name, values in tests.items()}
        facts = {
            "env": own.env.name,
            "algorithm": own.agent.name,
            "train_seconds": seconds / len(cells),
            "num_params": sum(leaf.size for leaf in jax.tree.leaves(run_of(states.params, n))),
        }
        identity = {"run": cell.name, "done": True} | cell._asdict() | {"group": cell.group}
        record.append(
            finite_or_none(
                identity | facts | scores | result_of(own, rows[cell.name], scores, first_update[n])
            )
        )
    checkpoints.delete()


def run_of(tree, n: int):
    """Run n of stacked runs."""
    return jax.tree.map(lambda leaf: leaf[n], tree)


def at(points: list[Point], i: int) -> int:
    """Environment steps of the budget at a point; 0 before the first."""
    return points[i].env_steps if i >= 0 else 0


def row_of(metrics: dict[str, np.ndarray], returns: np.ndarray, n: int, chance: float) -> dict:
    """What run n of a batch has to say at a point: its evaluation, its training since the last one, what its updates said.

    Args:
      metrics: {name: float [N]} as `loop.run_chunk` gives them; means of no update are None.
      returns: float [N, episodes], of the evaluation.
      chance: the return of random actions, which stands for an evaluation that is no number.
    """
    episodes, own = metrics["episodes"][n], returns[n]
    told = {
        name: float(values[n])
        for name, values in metrics.items()
        if name not in (*loop.SUMS, "updates")
    }
    told = told if metrics["updates"][n] else dict.fromkeys(told)
    finite = np.isfinite(own).all() and all(
        value is None or np.isfinite(value) for value in told.values()
    )
    train = {
        f"train_{name}": float(metrics[f"{name}_sum"][n] / episodes) if episodes else None
        for name in ("return", "length")
    }
    return (
        {
            "eval_return": float(own.mean()) if finite else float(chance),
            "eval_std": float(own.std()),
            "episodes": int(episodes),
            "finite": bool(finite),
        }
        | train
        | told
    )


def watch(env: envs.Env, act: Callable, actor, key: jax.Array) -> dict:
    """An episode as the record keeps it: {"obs": [T][...], "length", "return"}; images as one integer a cell, a bit a channel."""
    obs, length, total = loop.watch(env, act, actor, key)
    obs = np.asarray(obs)[: int(length)].reshape(-1, *env.native_shape)
    if obs.ndim > 2:
        obs = (obs > 0).reshape(*obs.shape[:3], -1) @ (1 << np.arange(obs[0, 0, 0].size))
    return brief({"obs": obs, "length": length, "return": total})
