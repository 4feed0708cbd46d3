"""How a batch of agents is trained: many runs in one program, their rows, their best policies."""

import math
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dla_jax.config.stop import Interrupted, NonFiniteLoss, stop_requested
from dla_jax.evidence.rows import brief, finite_or_none
from dla_jax.rl import envs, loop
from dla_jax.rl.drawers import ENDINGS
from dla_jax.studies.agents import judging
from dla_jax.studies.agents.programs import Batch, Point, make_hyper, points_of
from dla_jax.studies.agents.scores import result_of
from dla_jax.training.checkpoint import Checkpoints, save_model
from dla_jax.training.record import Record
from dla_jax.trials.arms import Arm
from dla_jax.trials.training import write_last_row

WATCHED = 10  # episodes of a policy among which one with the wanted ending is looked for


class Runs(NamedTuple):
    """The runs of a batch, stacked, as far as they have got."""

    states: object  # what the agents know, and where they are
    best: loop.Best
    keys: loop.Keys


class Evaluation(NamedTuple):
    """What a batch did up to a point, and how it did there."""

    metrics: dict[str, np.ndarray]  # {name: float [N]}, of the updates since the point before
    returns: np.ndarray  # float [N, episodes]
    env_steps: np.ndarray  # int [N], that the runs took in all
    rate: float  # environment steps a second, all runs together
    seconds: float  # of this stretch


def first_runs(arms: dict[str, Arm], batch: Batch) -> Runs:
    """Return the runs of a batch before their first step.

    Places that are left over repeat the last run.
    """
    trials = batch.trials + batch.trials[-1:] * (batch.size - len(batch.trials))
    hypers = [make_hyper(arms[trial.arm].config, trial.lr) for trial in trials]
    states = loop.start(batch.program.agent, [trial.seed for trial in trials], hypers)
    keys = loop.stack(*(loop.keys_of(trial.seed) for trial in trials))
    return Runs(states, loop.none_yet(batch.program.agent, states, batch.size), keys)


def compile_batch(arms: dict[str, Arm], batch: Batch) -> None:
    """Compile what a batch needs, by taking no step."""
    program, runs = batch.program, first_runs(arms, batch)
    zero = jnp.int32(0)
    states, _ = loop.run_chunk(program.agent, runs.states, zero, zero, zero)
    actors = loop.actors_of(program.agent, states)
    for episodes in (program.config.eval_episodes, program.config.test_episodes):
        loop.evaluate(program.env, program.agent.act, actors, runs.keys.test, episodes)
    if batch.trials[0].stage == "final":
        judging.compile_judge(program, row_of_tree(actors, 0))


def train_batch(
    arms: dict[str, Arm],
    batch: Batch,
    workdir: Path,
    record: Record,
    progress,
    watched: Callable,
    alone: bool,
) -> None:
    """Train the runs of a batch, or continue them; write their rows, save their best policies.

    Args:
      watched: (trial, env_steps) -> the `wanted` of `watch`; None: no episode is kept then.

    Raises:
      NonFiniteLoss: a run that is `alone` diverged; others are recorded as such, and play on.
      Interrupted: a stop was requested; the state is saved.
    """
    program, trials, points = batch.program, batch.trials, points_of(batch.program)
    env, agent, own = program.env, program.agent, program.config
    runs = first_runs(arms, batch)
    first_update = loop.first_update_steps(agent, runs.states, batch.size, own.total_steps)
    checkpoints = Checkpoints(workdir / "checkpoints" / trials[0].name / "training")
    runs, done = restored(checkpoints, runs)
    # The others were written before a crash.
    left = [(n, trial) for n, trial in enumerate(trials) if trial.name not in record.done]
    reached = env_steps_at(points, done) if done >= 0 else -1
    rows = {trial.name: record.resume(trial.name, reached) for _, trial in left}
    seconds = next((row["seconds"] for row in reversed(rows[left[0][1].name])), 0.0)
    progress.update(len(trials) * env_steps_at(points, done))
    chance = np.asarray(loop.evaluate_random(env, runs.keys.random, own.test_episodes)).mean(1)

    for i in range(done + 1, len(points)):
        runs, found = advance(batch, runs, points[i], i)
        seconds += found.seconds
        for n, trial in left:
            row = {"run": trial.name, "step": points[i].env_steps, "seconds": seconds}
            row |= row_of(found, n, chance[n])
            wanted = watched(trial, points[i].env_steps)
            if wanted is not None:
                actor = row_of_tree(loop.actors_of(agent, runs.states), n)
                row["watched"] = watch(env, agent.act, actor, runs.keys.evaluate[n], wanted)
            rows[trial.name].append(finite_or_none(row))
            record.append(rows[trial.name][-1])
            if alone and not row["finite"]:
                raise NonFiniteLoss(row["env_steps"])
        progress.update(len(trials) * (points[i].env_steps - env_steps_at(points, i - 1)))
        progress.set_postfix_str(f"return {found.returns.mean():.1f}", refresh=False)
        save_if_due(checkpoints, batch, runs, i)
    checkpoints.wait()
    scores, seconds = final_scores(batch, runs, chance), seconds / len(trials)
    for n, trial in left:
        own_scores = {name: float(values[n]) for name, values in scores.items()}
        if trial.stage == "final":
            record.check()  # another worker may have taken over
            own_scores |= keep_and_judge(batch, runs, n, rows[trial.name], workdir)
        facts = facts_of(own, runs) | {"train_seconds": seconds} | own_scores
        result = result_of(own, rows[trial.name], own_scores, first_update[n])
        write_last_row(record, trial, facts, result)
    checkpoints.delete()


def restored(checkpoints: Checkpoints, runs: Runs) -> tuple[Runs, int]:
    """Return the runs as they were last saved, and the point they had reached.

    Without a checkpoint the runs come back as they are, and the point is -1.
    """
    like = (runs.states, runs.best)
    found = checkpoints.restore_latest(loop.to_arrays(like))
    if not found:
        return runs, -1
    states, best = loop.from_arrays(found[1], like)
    return runs._replace(states=states, best=best), found[0]


def advance(batch: Batch, runs: Runs, point: Point, number: int) -> tuple[Runs, Evaluation]:
    """Take the updates up to a point, and evaluate the policies there.

    Args:
      number: of the point, which fixes the episodes of the evaluation.
    """
    program, num_runs = batch.program, len(batch.trials)
    agent, own = program.agent, program.config
    taken = loop.env_steps(runs.states, batch.size)[:num_runs].sum()
    start = time.perf_counter()
    amounts = map(jnp.int32, (point.updates, point.env_steps, own.total_steps))
    states, metrics = loop.run_chunk(agent, runs.states, *amounts)
    metrics = {name: np.asarray(values) for name, values in metrics.items()}
    stretch = time.perf_counter() - start
    actors = loop.actors_of(agent, states)
    fresh = jax.vmap(jax.random.fold_in, in_axes=(0, None))(runs.keys.evaluate, number)
    returns = loop.evaluate(program.env, agent.act, actors, fresh, own.eval_episodes)
    best = loop.keep_best(runs.best, returns.mean(1), actors)
    steps = loop.env_steps(states, batch.size)
    rate = float(steps[:num_runs].sum() - taken) / stretch
    found = Evaluation(metrics, np.asarray(returns), steps, rate, stretch)
    return runs._replace(states=states, best=best), found


def save_if_due(checkpoints: Checkpoints, batch: Batch, runs: Runs, number: int) -> None:
    """Save the runs at every so many points, or when a stop was requested; 0: only then.

    They are also saved before they are judged: that may be interrupted, and they are not trained
    again.

    Raises:
      Interrupted: a stop was requested.
    """
    own, stopping = batch.program.config, stop_requested.is_set()
    last = number + 1 == len(points_of(batch.program))
    judged_next = last and bool(own.env.judge) and batch.trials[0].stage == "final"
    every = own.checkpoint_every_evaluations
    if stopping or judged_next or (every and number % every == 0):
        checkpoints.save(number, loop.to_arrays((runs.states, runs.best)))
    if stopping:
        checkpoints.wait()
        raise Interrupted


def final_scores(batch: Batch, runs: Runs, chance: np.ndarray) -> dict[str, np.ndarray]:
    """Return {name: mean return on fresh episodes, float [N]} of the best and the last policies."""
    program = batch.program
    policies = {
        "eval_return": runs.best.actor,
        "last_return": loop.actors_of(program.agent, runs.states),
    }
    episodes, scores = program.config.test_episodes, {}
    for name, actors in policies.items():
        returns = loop.evaluate(program.env, program.agent.act, actors, runs.keys.test, episodes)
        scores[name] = np.asarray(returns).mean(1)
    return scores | {"random_return": chance}


def keep_and_judge(
    batch: Batch, runs: Runs, n: int, rows: list[dict], workdir: Path
) -> dict[str, float]:
    """Save the best policy of run n, and return what it and the last one are worth as judged.

    Args:
      rows: of the run.
    """
    program, trial = batch.program, batch.trials[n]
    actors = runs.best.actor, loop.actors_of(program.agent, runs.states)
    policies = judging.Policies(*(row_of_tree(stacked, n) for stacked in actors))
    save_model(workdir / "checkpoints" / trial.name / "model", policies.best)
    diverged = not all(row["finite"] for row in rows)
    return judging.judged(program, policies, trial.seed, diverged)


def facts_of(own, runs: Runs) -> dict:
    """Return what the last row of a run says of its environment and network."""
    num_params = sum(math.prod(leaf.shape[1:]) for leaf in jax.tree.leaves(runs.states.params))
    return {"env": own.env.name, "algorithm": own.agent.name, "num_params": num_params}


@jax.jit
def row_of_tree(tree, n: int):
    """Return run n of stacked runs."""
    return jax.tree.map(lambda leaf: leaf[n], tree)


def env_steps_at(points: list[Point], i: int) -> int:
    """Return the environment steps of the budget at a point; 0 before the first."""
    return points[i].env_steps if i >= 0 else 0


def row_of(found: Evaluation, n: int, chance: float) -> dict:
    """Return what run n of a batch has to say at a point.

    That is its evaluation, its training since the point before, and what its updates said; means of
    no update are None.

    Args:
      chance: the return of random actions, which stands for an evaluation that is no number.
    """
    metrics, own = found.metrics, found.returns[n]
    episodes = metrics["episodes"][n]
    skipped = {*loop.SUMS, "updates"}
    told = {name: float(values[n]) for name, values in metrics.items() if name not in skipped}
    told = told if metrics["updates"][n] else dict.fromkeys(told)
    numbers = [value for value in told.values() if value is not None]
    finite = np.isfinite(own).all() and np.isfinite(numbers).all()
    train = {
        f"train_{name}": float(metrics[f"{name}_sum"][n] / episodes) if episodes else None
        for name in ("return", "length")
    }
    evaluated = {
        "env_steps": int(found.env_steps[n]),
        "env_steps_per_s": found.rate,
        "eval_return": float(own.mean()) if finite else float(chance),
        "eval_std": float(own.std()),
        "episodes": int(episodes),
        "finite": bool(finite),
    }
    return evaluated | train | told


def watch(env: envs.Env, act: Callable, actor, key: jax.Array, wanted: str) -> dict:
    """Return an episode as the record keeps it: {"scenes": [T][...], "length", "return"}.

    Where episodes end in several ways, there are also its "ending", and "endings": how many of
    WATCHED episodes ended in each. It is the first of them that ended as `wanted`, or the first.
    """
    first = loop.watch(env, act, actor, key)
    if env.name not in ENDINGS:
        return kept(env, first)
    others = [jax.random.fold_in(key, i) for i in range(1, WATCHED)]
    episodes = [first, *(loop.watch(env, act, actor, other) for other in others)]
    endings = [ending_of(env, episode) for episode in episodes]
    found = endings.index(wanted) if wanted in endings else 0
    ended = {"ending": endings[found], "endings": dict(Counter(endings))}
    return kept(env, episodes[found]) | ended


def ending_of(env: envs.Env, episode: loop.Episode) -> str:
    """Return the words for how an episode ended."""
    last = np.asarray(episode.scenes)[int(episode.length) - 1]
    return ENDINGS[env.name](last, bool(episode.terminated), float(episode.last_reward))


def kept(env: envs.Env, episode: loop.Episode) -> dict:
    """Return an episode as the record keeps it; images as one integer a cell, a bit a channel."""
    scenes = np.asarray(episode.scenes)[: int(episode.length)].reshape(-1, *env.scene_shape)
    if scenes.ndim > 2:
        bits = 1 << np.arange(scenes[0, 0, 0].size)
        scenes = (scenes > 0).reshape(*scenes.shape[:3], -1) @ bits
    return brief({"scenes": scenes, "length": episode.length, "return": episode.total})
