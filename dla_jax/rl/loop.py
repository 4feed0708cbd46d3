"""Many runs of one agent in one compiled program: chunks of updates, evaluation, checkpoints.

Runs differ in their key and in the numbers of `hyper`. They lie along a leading axis N, which is
split over the devices where there are several. What leaves a chunk are sums and counts, never
trajectories.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dla_jax.rl.agent import Agent
from dla_jax.rl.envs import Env
from dla_jax.training.mesh import data_mesh, replicated, split_rows

SUMS = ("episodes", "return_sum", "length_sum")


class Keys(NamedTuple):
    """What chance decides in a run, apart: typed keys."""

    train: jax.Array
    evaluate: jax.Array  # which policy is best
    test: jax.Array  # what it is worth
    random: jax.Array  # what actions at random are worth


class Best(NamedTuple):
    """The policy that scored best so far, of each run."""

    score: jax.Array  # float32 [N]
    actor: object


class Episode(NamedTuple):
    """One episode that was watched."""

    # float32 [max_steps, ...]: what each step led to, as `Env.scene` has it; where there is none,
    # what each step was taken on, as an observation
    scenes: jax.Array
    length: jax.Array  # int32 []
    total: jax.Array  # float32 [], its return
    terminated: jax.Array  # bool []; if not, the time limit ended it
    last_reward: jax.Array  # float32 []


def keys_of(seed: int) -> Keys:
    """Return the keys of run `seed`."""
    return Keys(*jax.random.split(jax.random.key(seed), 4))


def start(agent: Agent, seeds: list[int], hypers: list) -> object:
    """Return the states of N runs, stacked.

    They are made one after another: batched, the QR of an orthogonal initialisation can stall
    jaxlib's CPU thread pool for good (0.10.2).
    """
    init = jax.jit(agent.init)
    states = [
        init(keys_of(seed).train, jax.tree.map(jnp.float32, hyper))
        for seed, hyper in zip(seeds, hypers, strict=True)
    ]
    stacked = stack(*states)
    if agent.steps_per_update:  # counters are the same in all runs, and stay so
        stacked = stacked._replace(updates=states[0].updates, env_steps=states[0].env_steps)
    return spread(stacked)


def stack(*trees):
    """Return trees of the same shapes as one tree, stacked along a new leading axis."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def spread(states):
    """Return states whose leading axis, the runs, is split over the devices.

    The devices must divide the number of runs. What has no leading axis is on every device.
    """
    mesh = data_mesh()
    if mesh.size == 1:
        return states
    return jax.tree.map(
        lambda x: jax.device_put(x, split_rows(mesh) if x.ndim else replicated(mesh)), states
    )


def axes_of(agent: Agent, states):
    """Return the axes that `vmap` runs over: all except the counters that all runs share."""
    axes = jax.tree.map(lambda _: 0, states)
    return axes._replace(updates=None, env_steps=None) if agent.steps_per_update else axes


@functools.partial(jax.jit, static_argnames="agent", donate_argnames="states")
def run_chunk(agent: Agent, states, updates: jax.Array, target: jax.Array, limit: jax.Array):
    """Take updates of every run.

    Args:
      updates: int32 [], how many; used where an update has a fixed number of environment steps.
      target: int32 [], environment steps that a run goes on to otherwise.
      limit: int32 [], environment steps that it never exceeds: another update must surely fit.

    Returns:
      (states, {name: float32 [N]}): metrics, means over the updates, or sums for those of episodes;
      and "updates", how many.
    """

    update = jax.jit(agent.update, inline=True)  # so that it is traced once, for shapes and loop

    def of_run(state):
        waits = {} if agent.steps_per_update else {"playing": jax.ShapeDtypeStruct((), bool)}
        metrics = jax.eval_shape(update, state, **waits)[1]
        zeros = jax.tree.map(lambda x: jnp.zeros(x.shape), metrics)

        def body(carry):
            state, sums, count = carry
            # Runs whose steps differ reach the target at different times; those that wait for the
            # others, and keep what they had, need not play on.
            waits = {} if agent.steps_per_update else {"playing": unfinished(carry)}
            state, metrics = update(state, **waits)
            return state, jax.tree.map(jnp.add, sums, metrics), count + 1

        def unfinished(carry):
            if agent.steps_per_update:
                return carry[2] < updates
            return (carry[0].env_steps < target) & (carry[0].env_steps + agent.most_steps <= limit)

        state, sums, count = jax.lax.while_loop(unfinished, body, (state, zeros, jnp.int32(0)))
        means = {
            name: total if name in SUMS else total / jnp.maximum(count, 1)
            for name, total in sums.items()
        }
        return state, means | {"updates": count}

    axes = axes_of(agent, states)
    return jax.vmap(of_run, in_axes=(axes,), out_axes=(axes, 0))(states)


def first_update_steps(agent: Agent, states, runs: int, limit: int) -> np.ndarray:
    """Return the environment steps after the first update of every run: int [N].

    `states` are as `start` made them, and are kept.
    """
    if agent.steps_per_update:
        return np.full(runs, agent.first_steps + agent.steps_per_update)
    copies = jax.tree.map(jnp.copy, states)  # states are donated
    # to a target of one step it is one update
    after, _ = run_chunk(agent, copies, jnp.int32(0), jnp.int32(1), jnp.int32(limit))
    return env_steps(after, runs)


def play(env: Env, choose: Callable, key: jax.Array, episodes: int) -> jax.Array:
    """Return the returns of whole episodes side by side: float32 [episodes].

    `choose`: observations, step int32 [] -> actions.
    """
    reset_key, step_key = jax.random.split(key)
    obs, state = jax.vmap(env.reset)(jax.random.split(reset_key, episodes))

    def take(carry):
        t, obs, state, alive, total = carry
        step_keys = jax.random.split(jax.random.fold_in(step_key, t), episodes)
        obs, state, reward, terminated, truncated = jax.vmap(env.step)(
            step_keys, state, choose(obs, t)
        )
        over, total = terminated | truncated, total + jnp.where(alive, reward, 0.0)
        return t + 1, obs, state, alive & ~over, total

    def unfinished(carry):
        t, _, _, alive, _ = carry
        return (t < env.max_steps) & jnp.any(alive)

    carry = jnp.int32(0), obs, state, jnp.ones(episodes, bool), jnp.zeros(episodes)
    return jax.lax.while_loop(unfinished, take, carry)[-1]


@functools.partial(jax.jit, static_argnames=("env", "act", "episodes"))
def evaluate(env: Env, act: Callable, actors, keys: jax.Array, episodes: int) -> jax.Array:
    """Return the returns of whole episodes, played greedily: float32 [N, episodes]. `keys`: [N]."""
    of_run = lambda actor, key: play(env, lambda obs, t: act(actor, obs), key, episodes)
    return jax.vmap(of_run)(actors, keys)


@functools.partial(jax.jit, static_argnames=("env", "episodes"))
def evaluate_random(env: Env, keys: jax.Array, episodes: int) -> jax.Array:
    """Return the returns of whole episodes of random actions: float32 [N, episodes]."""

    def of_run(key):
        env_key, action_key = jax.random.split(key)

        def choose(obs, t):
            key = jax.random.fold_in(action_key, t)
            if env.num_actions:
                return jax.random.randint(key, (episodes,), 0, env.num_actions)
            return jax.random.uniform(key, (episodes, env.action_size), minval=-1.0, maxval=1.0)

        return play(env, choose, env_key, episodes)

    return jax.vmap(of_run)(keys)


@functools.partial(jax.jit, static_argnames=("env", "act"))
def watch(env: Env, act: Callable, actor, key: jax.Array) -> Episode:
    """Play one greedy episode of one run."""
    reset_key, step_key = jax.random.split(key)
    obs, state = env.reset(reset_key)

    def take(carry, t):
        obs, state, alive, length, total, last = carry
        after, state, reward, terminated, truncated = env.step(
            jax.random.fold_in(step_key, t), state, act(actor, obs[None])[0]
        )
        on = alive & ~(terminated | truncated)
        total = total + jnp.where(alive, reward, 0.0)
        last = jax.tree.map(lambda new, old: jnp.where(alive, new, old), (terminated, reward), last)
        scene = env.scene(state) if env.scene else obs
        return (after, state, on, length + alive, total, last), scene

    none = jnp.bool_(False), jnp.float32(0)
    carry = obs, state, jnp.bool_(True), jnp.int32(0), jnp.float32(0), none
    (*_, length, total, last), scenes = jax.lax.scan(take, carry, jnp.arange(env.max_steps))
    return Episode(scenes, length, total, *last)


@jax.jit
def keep_best(best: Best, score: jax.Array, actors) -> Best:
    """Return the better of each run's best so far and its policy now; of equals the later."""
    better = score >= best.score
    pick = lambda new, old: jnp.where(better.reshape(-1, *[1] * (old.ndim - 1)), new, old)
    return Best(jnp.where(better, score, best.score), jax.tree.map(pick, actors, best.actor))


def none_yet(agent: Agent, states, runs: int) -> Best:
    """Return the best policies before the first evaluation."""
    actors = jax.tree.map(jnp.copy, actors_of(agent, states))  # copies: states are donated
    return Best(jnp.full(runs, -jnp.inf), actors)


def actors_of(agent: Agent, states):
    """Return what acting needs, of every run."""
    axes = axes_of(agent, states)
    return jax.vmap(agent.actor, in_axes=(axes,))(states)


def env_steps(states, runs: int) -> np.ndarray:
    """Return the environment steps so far, of every run: int [N]."""
    return np.broadcast_to(np.asarray(states.env_steps), runs)


def to_arrays(states) -> dict[str, jax.Array]:
    """Return the leaves of a state as a checkpoint holds them: keys as their data."""
    plain = lambda x: jax.random.key_data(x) if is_key(x) else x
    return {f"{i:03}": plain(leaf) for i, leaf in enumerate(jax.tree.leaves(states))}


def from_arrays(arrays: dict, like):
    """Return the state that `to_arrays` took apart; `like`: a state of the same shapes."""
    leaves, tree = jax.tree.flatten(like)
    typed = lambda x, new: jax.random.wrap_key_data(new) if is_key(x) else new
    found = [typed(leaf, jnp.asarray(arrays[f"{i:03}"])) for i, leaf in enumerate(leaves)]
    return spread(jax.tree.unflatten(tree, found))


def is_key(x: jax.Array) -> bool:
    """Return whether an array is one of typed random keys."""
    return jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)
