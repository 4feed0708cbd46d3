"""Whole episodes of E environments, played to the end of the longest: what REINFORCE learns from.

Actions are drawn from softmax(logits / temperature). `greedy` is the lab's own way instead: the
likeliest action with that probability, else any action at random. REINFORCE's gradient is still
that of the softmax then, so that it is no longer the gradient of what is played.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from dla_jax.rl import networks
from dla_jax.rl.envs import Env

BLOCK = 32  # steps between two looks whether all episodes are over


class Episodes(NamedTuple):
    """E episodes: arrays [T, E, ...], whose rows past an episode's end are not `alive`."""

    obs: jax.Array
    action: jax.Array
    reward: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    alive: jax.Array  # bool: the step belongs to the episode


class Manner(NamedTuple):
    """How actions are chosen: float32 [] each."""

    temperature: jax.Array
    greedy: jax.Array  # probability of the likeliest action, in the lab's way
    mixture: jax.Array  # 1: the lab's way of acting; 0: the softmax


class Chance(NamedTuple):
    """What chance decides in T steps."""

    noise: jax.Array  # float32 [T, E, A], as a policy's `sample` takes it
    greedy: jax.Array  # float32 [T, E] in [0, 1): below `Manner.greedy` the likeliest action
    action: jax.Array  # int32 [T, E], any
    worlds: jax.Array  # keys [T, E] of the environments' steps


def play(
    env: Env, num_envs: int, policy: Callable, key: jax.Array, manner: Manner
) -> tuple[Episodes, jax.Array]:
    """Play E episodes to the end of the longest.

    Args:
      policy: observations [E, ...] -> a `Categorical` or a `Gaussian` for each.

    Returns:
      (Episodes, observations float32 [E, ...] that they ended with).
    """
    most = -(-env.max_steps // BLOCK) * BLOCK  # rows: whole blocks
    reset_key, step_key, *keys = jax.random.split(key, 5)
    chance = draw(env, (most, num_envs), keys, step_key)
    obs, env_state = jax.vmap(env.reset)(jax.random.split(reset_key, num_envs))

    def take(carry, t):
        obs, env_state, alive, last_obs = carry
        action = choose(policy(obs), t, chance, manner)
        next_obs, env_state, reward, terminated, truncated = jax.vmap(env.step)(
            chance.worlds[t], env_state, action
        )
        living = alive.reshape(-1, *[1] * (obs.ndim - 1))
        last_obs = jnp.where(living, next_obs, last_obs)
        carry = next_obs, env_state, alive & ~(terminated | truncated), last_obs
        seen = jnp.where(living, obs, 0.0)
        return carry, Episodes(seen, action, reward, terminated, truncated, alive)

    def block(carry):
        # not step by step: between runs that end at different times, each turn copies all rows
        t, carry, rows = carry
        carry, new = jax.lax.scan(take, carry, t + jnp.arange(BLOCK))
        put = lambda store, new: jax.lax.dynamic_update_slice_in_dim(store, new, t, 0)
        return t + BLOCK, carry, jax.tree.map(put, rows, new)

    def unfinished(carry):
        t, (_, _, alive, _), _ = carry
        return (t < most) & jnp.any(alive)

    carry = obs, env_state, jnp.ones(num_envs, bool), obs
    row = jax.eval_shape(take, carry, 0)[1]
    rows = jax.tree.map(lambda like: jnp.zeros((most, *like.shape), like.dtype), row)
    _, (*_, last_obs), rows = jax.lax.while_loop(unfinished, block, (jnp.int32(0), carry, rows))
    return rows, last_obs


def draw(env: Env, shape: tuple[int, int], keys: list[jax.Array], step_key: jax.Array) -> Chance:
    """Draw what chance decides in `shape` = (T, E) steps.

    Args:
      keys: three, of the policy's noise, the greedy choice and the random action.
      step_key: of the environments' steps.
    """
    noise_key, greedy_key, action_key = keys
    return Chance(
        noise=networks.draw_noise(noise_key, (*shape, env.num_outputs), env.continuous),
        greedy=jax.random.uniform(greedy_key, shape),
        action=jax.random.randint(action_key, shape, 0, max(1, env.num_actions)),
        worlds=jax.random.split(step_key, shape),
    )


def choose(policy, t: jax.Array, chance: Chance, manner: Manner) -> jax.Array:
    """Return the actions of step t, int32 [E]; of a continuous policy float32 [E, A], as drawn."""
    found = policy.tempered(manner.temperature)
    action = found.sample(chance.noise[t])
    if isinstance(found, networks.Gaussian):
        return action
    mixed = jnp.where(chance.greedy[t] < manner.greedy, found.mode(), chance.action[t])
    return jnp.where(manner.mixture > 0, mixed, action)
