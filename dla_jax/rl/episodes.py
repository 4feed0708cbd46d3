"""Whole episodes, E of them, played to their ends: what REINFORCE learns from.

Actions are drawn from softmax(logits / temperature). `greedy` is the lab's own way instead: the
likeliest action with that probability, else any action at random. REINFORCE's gradient is still
that of the softmax then, so that it is no longer the gradient of what is played.
"""

import functools
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
    """What chance decides in T steps of E episodes; or in one step of W of them, [W, ...]."""

    noise: jax.Array  # float32 [T, E, A], as a policy's `sample` takes it
    greedy: jax.Array  # float32 [T, E] in [0, 1): below `Manner.greedy` the likeliest action
    action: jax.Array  # int32 [T, E], any
    worlds: jax.Array  # keys [T, E] of the environments' steps


class Seats(NamedTuple):
    """W places, each of which plays one episode after another."""

    obs: jax.Array  # float32 [W, ...]
    state: object  # of the environments: arrays [W, ...]
    episode: jax.Array  # int32 [W], which one it plays
    step: jax.Array  # int32 [W], of that episode
    alive: jax.Array  # bool [W]: it is one of the E, and not over
    following: jax.Array  # int32 [], the first episode that nobody has begun


class Turn(NamedTuple):
    """What W seats did at once: arrays [W, ...]."""

    row: Episodes
    next_obs: jax.Array  # what the step led to
    episode: jax.Array
    step: jax.Array


def play(
    env: Env,
    num_envs: int,
    policy: Callable,
    key: jax.Array,
    manner: Manner,
    side_by_side: int = 0,
    playing: jax.Array | bool = True,
) -> tuple[Episodes, jax.Array]:
    """Play E episodes to their ends, W of them at a time; a seat that is done takes the next.

    The episodes are the same for every W, as chance belongs to an episode and its step. Few at a
    time are quicker where lengths differ much: nobody waits for the longest.

    Args:
      policy: observations [W, ...] -> a `Categorical` or a `Gaussian` for each.
      side_by_side: W, a divisor of E; 0: all.
      playing: bool []; else no episode is begun, which takes no time among runs that play.

    Returns:
      (Episodes, observations float32 [E, ...] that they ended with).
    """
    width = side_by_side or num_envs
    steps = -(-env.max_steps // BLOCK) * BLOCK  # of an episode: whole blocks
    # No seat needs more turns: the one that is free first has played E / W - 1 episodes at most.
    turns = steps * num_envs // width
    reset_key, step_key, *keys = jax.random.split(key, 5)
    chance = draw(env, (steps, num_envs), keys, step_key)
    starts = jax.vmap(env.reset)(jax.random.split(reset_key, num_envs))
    take = functools.partial(take_turn, env, policy, manner, chance, starts)
    take = jax.jit(take, inline=True)  # so that it is traced once, for shapes and loop

    def block(carry):
        # not turn by turn: between runs that end at different times, each turn copies all rows
        turn, seats, played = carry
        seats, new = jax.lax.scan(take, seats, length=BLOCK)
        put = lambda store, new: jax.lax.dynamic_update_slice_in_dim(store, new, turn, 0)
        return turn + BLOCK, seats, jax.tree.map(put, played, new)

    def unfinished(carry):
        turn, seats, _ = carry
        return (turn < turns) & jnp.any(seats.alive)

    seats = first_seats(starts, width, playing)
    new = jax.eval_shape(take, seats, None)[1]
    played = jax.tree.map(lambda like: jnp.zeros((turns, *like.shape), like.dtype), new)
    *_, played = jax.lax.while_loop(unfinished, block, (jnp.int32(0), seats, played))
    return by_episode(played, steps, num_envs)


def first_seats(starts: tuple, width: int, playing: jax.Array | bool) -> Seats:
    """Return W seats that begin the first W episodes, if they are `playing`.

    Args:
      starts: as `take_turn` has them.
    """
    obs, state = jax.tree.map(lambda x: x[:width], starts)
    return Seats(
        obs=obs,
        state=state,
        episode=jnp.arange(width),
        step=jnp.zeros(width, jnp.int32),
        alive=jnp.full(width, playing),
        following=jnp.int32(width),
    )


def take_turn(
    env: Env, policy: Callable, manner: Manner, chance: Chance, starts: tuple, seats: Seats, _
) -> tuple[Seats, Turn]:
    """Take a step in every seat, and begin the next episode in each whose own is over.

    Args:
      chance: of all steps, [T, E, ...].
      starts: (observations, states) [E, ...] that episodes begin with.
    """
    own = jax.tree.map(lambda x: x[seats.step, seats.episode], chance)
    action = choose(policy(seats.obs), own, manner)
    obs, state, reward, terminated, truncated = jax.vmap(env.step)(own.worlds, seats.state, action)
    seen = jnp.where(along(seats.alive, obs), seats.obs, 0.0)
    row = Episodes(seen, action, reward, terminated, truncated, seats.alive)
    turn = Turn(row, next_obs=obs, episode=seats.episode, step=seats.step)
    over = seats.alive & (terminated | truncated)
    after = seats._replace(
        obs=obs,
        state=state,
        step=jnp.minimum(seats.step + 1, chance.greedy.shape[0] - 1),
        alive=seats.alive & ~over,
    )
    return begin_next(after, over, starts), turn


def begin_next(seats: Seats, over: jax.Array, starts: tuple) -> Seats:
    """Return seats of which those that are `over`, bool [W], begin an episode, while any is left.

    Args:
      starts: as `take_turn` has them.
    """
    num_envs, width = len(starts[0]), len(over)
    if width == num_envs:  # all have begun at once
        return seats
    episode = seats.following + jnp.cumsum(over) - 1
    begins = over & (episode < num_envs)
    episode = jnp.where(begins, episode, seats.episode)
    obs, state = jax.tree.map(
        lambda start, now: jnp.where(along(begins, now), start[episode], now),
        starts,
        (seats.obs, seats.state),
    )
    return Seats(
        obs=obs,
        state=state,
        episode=episode,
        step=jnp.where(begins, 0, seats.step),
        alive=seats.alive | begins,
        following=seats.following + jnp.sum(over),
    )


def by_episode(played: Turn, steps: int, num_envs: int) -> tuple[Episodes, jax.Array]:
    """Return what was played as (Episodes [T, E, ...], observations [E, ...] they ended with).

    Args:
      played: arrays [turns, W, ...], as many as T x E in all.
      steps: T.
    """
    flat = jax.tree.map(lambda x: x.reshape(steps * num_envs, *x.shape[2:]), played)
    place = jnp.where(flat.row.alive, flat.step * num_envs + flat.episode, steps * num_envs)
    # where in `flat` a step of an episode is; a step that was not played is not alive: the last
    order = jnp.arange(steps * num_envs)
    nowhere = jnp.full(steps * num_envs, -1)
    where = nowhere.at[place].set(order, mode="drop").reshape(steps, num_envs)
    rows = jax.tree.map(lambda x: x[where], flat.row)
    alive = where >= 0
    last = where[jnp.sum(alive, axis=0) - 1, jnp.arange(num_envs)]
    return rows._replace(
        obs=jnp.where(along(alive, rows.obs), rows.obs, 0.0), alive=alive
    ), flat.next_obs[last]


def along(mask: jax.Array, array: jax.Array) -> jax.Array:
    """Return a mask whose axes are the first of an array, with as many axes as the array."""
    return mask.reshape(*mask.shape, *[1] * (array.ndim - mask.ndim))


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


def choose(policy, chance: Chance, manner: Manner) -> jax.Array:
    """Return the actions of a step, int32 [W]; of a continuous policy float32 [W, A], as drawn."""
    found = policy.tempered(manner.temperature)
    action = found.sample(chance.noise)
    if isinstance(found, networks.Gaussian):
        return action
    mixed = jnp.where(chance.greedy < manner.greedy, found.mode(), chance.action)
    return jnp.where(manner.mixture > 0, mixed, action)
