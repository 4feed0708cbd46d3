"""Many runs of one agent in one compiled program: chunks of updates, greedy evaluation, checkpoints.

Runs differ in their key and in the numbers of `hyper`, and lie along a leading axis N, which is split over the devices where
there are several. What leaves a chunk are sums and counts, never trajectories.
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


def keys_of(seed: int) -> Keys:
    """The keys of run `seed`."""
    return Keys(*jax.random.split(jax.random.key(seed), 4))


def start(agent: Agent, seeds: list[int], hypers: list) -> object:
    """The states of N runs, stacked.

    One after another: batched, the QR of an orthogonal initialisation can stall jaxlib's CPU thread pool for good (0.10.2).
    """
    init = jax.jit(agent.init)
    states = [
        init(keys_of(seed).train, jax.tree.map(jnp.float32, hyper))
        for seed, hyper in zip(seeds, hypers, strict=True)
    ]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
    if agent.steps_per_update:  # counters are the same in all runs, and stay so
        stacked = stacked._replace(updates=states[0].updates, env_steps=states[0].env_steps)
    return spread(stacked)


def spread(states):
    """The runs of the leading axis over the devices, which must divide their number; what has none on every device."""
    mesh = data_mesh()
    if mesh.size == 1:
        return states
    return jax.tree.map(
        lambda x: jax.device_put(x, split_rows(mesh) if x.ndim else replicated(mesh)), states
    )


def axes_of(agent: Agent, states):
    """What `vmap` runs over: everything but the counters that all runs share."""
    axes = jax.tree.map(lambda _: 0, states)
    return axes._replace(updates=None, env_steps=None) if agent.steps_per_update else axes


@functools.partial(jax.jit, static_argnames="agent", donate_argnames="states")
def run_chunk(agent: Agent, states, updates: jax.Array, target: jax.Array, limit: jax.Array):
    """Updates of every run.

    Args:
      updates: int32 [], how many; used where an update has a fixed number of environment steps.
      target: int32 [], environment steps that a run goes on to otherwise.
      limit: int32 [], environment steps that it never exceeds: another update must surely fit.

    Returns:
      (states, {name: float32 [N]}): metrics, means over the updates, but sums for those of episodes; and "updates", how many.
    """

    def of_run(state):
        zeros = jax.tree.map(lambda x: jnp.zeros(x.shape), jax.eval_shape(agent.update, state)[1])

        def body(carry):
            state, sums, count = carry
            state, metrics = agent.update(state)
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
    """Return the environment steps after the first update of every run: int [N]. `states` as `start` made them; they are kept."""
    if agent.steps_per_update:
        return np.full(runs, agent.first_steps + agent.steps_per_update)
    copies = jax.tree.map(
        jnp.copy, states
    )  # states are donated; to a target of one step it is one update
    return env_steps(run_chunk(agent, copies, *map(jnp.int32, (0, 1, limit)))[0], runs)


def play(env: Env, choose: Callable, key: jax.Array, episodes: int) -> jax.Array:
    """Returns of whole episodes side by side: float32 [episodes]. `choose`: observations, step int32 [] -> actions."""
    reset_key, step_key = jax.random.split(key)
    obs, state = jax.vmap(env.reset)(jax.random.split(reset_key, episodes))

    def take(carry):
        t, obs, state, alive, total = carry
        step_keys = jax.random.split(jax.random.fold_in(step_key, t), episodes)
        obs, state, reward, terminated, truncated = jax.vmap(env.step)(
            step_keys, state, choose(obs, t)
        )
        return (
            t + 1,
            obs,
            state,
            alive & ~(terminated | truncated),
            total + jnp.where(alive, reward, 0.0),
        )

    carry = jnp.int32(0), obs, state, jnp.ones(episodes, bool), jnp.zeros(episodes)
    return jax.lax.while_loop(
        lambda carry: (carry[0] < env.max_steps) & jnp.any(carry[3]), take, carry
    )[-1]


@functools.partial(jax.jit, static_argnames=("env", "act", "episodes"))
def evaluate(env: Env, act: Callable, actors, keys: jax.Array, episodes: int) -> jax.Array:
    """Returns of whole episodes, played greedily: float32 [N, episodes]. `keys`: [N]."""
    return jax.vmap(lambda actor, key: play(env, lambda obs, t: act(actor, obs), key, episodes))(
        actors, keys
    )


@functools.partial(jax.jit, static_argnames=("env", "episodes"))
def evaluate_random(env: Env, keys: jax.Array, episodes: int) -> jax.Array:
    """Returns of whole episodes of actions drawn uniformly: float32 [N, episodes]. `keys`: [N]."""

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
def watch(env: Env, act: Callable, actor, key: jax.Array):
    """One greedy episode of one run: (observations float32 [max_steps, ...], its length int32 [], its return float32 [])."""
    reset_key, step_key = jax.random.split(key)
    obs, state = env.reset(reset_key)

    def take(carry, t):
        obs, state, alive, length, total = carry
        after, state, reward, terminated, truncated = env.step(
            jax.random.fold_in(step_key, t), state, act(actor, obs[None])[0]
        )
        carry = (
            after,
            state,
            alive & ~(terminated | truncated),
            length + alive,
            total + jnp.where(alive, reward, 0.0),
        )
        return carry, obs

    carry = obs, state, jnp.bool_(True), jnp.int32(0), jnp.float32(0)
    (*_, length, total), rows = jax.lax.scan(take, carry, jnp.arange(env.max_steps))
    return rows, length, total


@jax.jit
def keep_best(best: Best, score: jax.Array, actors) -> Best:
    """The better of each run's best so far and its policy now; of equals the later."""
    better = score >= best.score
    pick = lambda new, old: jnp.where(better.reshape(-1, *[1] * (old.ndim - 1)), new, old)
    return Best(jnp.where(better, score, best.score), jax.tree.map(pick, actors, best.actor))


def none_yet(agent: Agent, states, runs: int) -> Best:
    """Before the first evaluation."""
    return Best(
        jnp.full(runs, -jnp.inf), jax.tree.map(jnp.copy, actors_of(agent, states))
    )  # copies: states are donated


def actors_of(agent: Agent, states):
    """What acting needs, of every run."""
    axes = axes_of(agent, states)
    return jax.vmap(agent.actor, in_axes=(axes,))(states)


def env_steps(states, runs: int) -> np.ndarray:
    """Environment steps so far, of every run: int [N]."""
    return np.broadcast_to(np.asarray(states.env_steps), runs)


def to_arrays(states) -> dict[str, jax.Array]:
    """The leaves of a state as a checkpoint holds them: keys as their data."""
    plain = lambda x: (
        jax.random.key_data(x) if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key) else x
    )
    return {f"{i:03}": plain(leaf) for i, leaf in enumerate(jax.tree.leaves(states))}


def from_arrays(arrays: dict, like):
    """The state again, that `to_arrays` made; `like`: a state of the same shapes."""
    leaves, tree = jax.tree.flatten(like)
    typed = lambda x, new: (
        jax.random.wrap_key_data(new)
        if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)
        else new
    )
    found = [typed(leaf, jnp.asarray(arrays[f"{i:03}"])) for i, leaf in enumerate(leaves)]
    return spread(jax.tree.unflatten(tree, found))
