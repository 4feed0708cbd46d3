"""Deep Q-learning, double, dueling, n-step, with any target rule.

Mnih et al. 2015; double: van Hasselt et al. 2016, arXiv:1509.06461.

The target network moves by `tau` towards the online one every `target_period` gradient steps. Soft
updates are (tau, 1), hard ones (1, period), and no target network at all is (1, 1). So the rule is
data, and arms that differ in it share one program.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from dla_jax.rl import envs, losses, networks, replay, returns
from dla_jax.rl.agent import Agent
from dla_jax.training.optim import make_optimiser, set_learning_rate


class Hyper(NamedTuple):
    """What differs between runs of one compiled program: float32 [] each."""

    lr: jax.Array
    gamma: jax.Array
    bootstrap: jax.Array  # 1: from the value at a time limit; 0: a time limit counts as an end
    tau: jax.Array
    target_period: jax.Array  # gradient steps between two moves of the target network
    # The lab's rule: it moves at every step while the number of ended episodes is a multiple of
    # this; 0: `target_period` holds.
    target_period_episodes: jax.Array
    epsilon_start: jax.Array
    epsilon_end: jax.Array
    epsilon_steps: jax.Array  # environment steps of the decay


class State(NamedTuple):
    """Everything a run is: its checkpoint.

    `updates` and `env_steps` are the same in all runs of a program.
    """

    params: dict
    target: dict
    opt_state: object
    running: envs.Running
    ring: replay.Transition
    episodes: jax.Array  # int32 [], ended so far
    key: jax.Array
    updates: jax.Array  # int32 []
    env_steps: jax.Array  # int32 []
    hyper: Hyper


class Parts(NamedTuple):
    """What one compiled program is made of: the same in all its runs."""

    env: envs.Env
    own: object  # `config.agent`
    net: networks.QNetwork
    tx: optax.GradientTransformation

    @property
    def first_rows(self) -> int:
        """Return the rows of random steps that are in the ring before the first update."""
        return self.own.learning_starts // self.own.num_envs

    @property
    def ring_rows(self) -> int:
        """Return the rows that the ring holds at most."""
        return self.own.buffer_size // self.own.num_envs


class Chance(NamedTuple):
    """What chance decides in an update: G gradient steps, each after K steps of E environments."""

    explore: jax.Array  # float32 [G, K, E] in [0, 1): below epsilon `action` is played
    action: jax.Array  # int32 [G, K, E], any
    worlds: tuple  # [G, K, E, ...], as `envs.draw` gives it
    places: jax.Array  # float32 [G, 2, B] in [0, 1), which rows are learned from


def steps_per_update(own) -> int:
    """Return the environment steps of one update, which is `own.block` gradient steps."""
    return own.num_envs * own.steps_per_gradient * own.block


def make(env: envs.Env, config) -> Agent:
    """Return the agent of a config whose `agent.name` is "dqn"."""
    own, steps = config.agent, steps_per_update(config.agent)
    net = networks.QNetwork(networks.make_torso(config.model), env.num_actions, own.dueling)
    first_steps = own.learning_starts // own.num_envs * own.num_envs
    num_updates = (config.total_steps - first_steps) // steps
    tx = optax.flatten(make_optimiser(config.optim, num_updates * own.block))
    parts = Parts(env, own, net, tx)
    return Agent(
        init=functools.partial(init, parts),
        update=functools.partial(update, parts),
        actor=actor,
        act=functools.partial(act, parts),
        steps_per_update=steps,
        most_steps=steps,
        first_steps=first_steps,
    )


def init(parts: Parts, key: jax.Array, hyper: Hyper) -> State:
    """Return the state of a new run, with rows of random steps in its ring."""
    net_key, env_key, fill_key, key = jax.random.split(key, 4)
    running = envs.start(parts.env, env_key, parts.own.num_envs)
    params = parts.net.init(net_key, running.obs)
    running, ring, episodes = begin_ring(parts, running, fill_key)
    return State(
        params=params,
        target=params,
        opt_state=set_learning_rate(parts.tx.init(params), hyper.lr),
        running=running,
        ring=ring,
        episodes=episodes,
        key=key,
        updates=jnp.int32(0),
        env_steps=jnp.int32(parts.first_rows * parts.own.num_envs),
        hyper=hyper,
    )


def begin_ring(parts: Parts, running: envs.Running, key: jax.Array) -> tuple:
    """Take random steps: (running, the ring with their rows, the episodes that ended int32 [])."""
    env, shape = parts.env, (parts.first_rows, parts.own.num_envs)
    action_key, env_key = jax.random.split(key)
    actions = jax.random.randint(action_key, shape, 0, env.num_actions)

    def take(running, xs):
        action, drawn = xs
        after, step = envs.advance(env, running, action, drawn)
        return after, (row_of(running.obs, action, step), jnp.sum(step.done))

    drawn = envs.draw(env, env_key, *shape)
    running, (rows, ended) = jax.lax.scan(take, running, (actions, drawn))
    ring = replay.start(jax.tree.map(lambda x: x[0], rows), parts.ring_rows)
    ring = jax.tree.map(lambda store, new: store.at[: parts.first_rows].set(new), ring, rows)
    return running, ring, jnp.sum(ended)


def update(parts: Parts, state: State) -> tuple[State, dict[str, jax.Array]]:
    """Take some gradient steps, each after some steps of play: (state, {name: float32 []})."""
    own = parts.own
    chance = draw(parts, jax.random.fold_in(state.key, state.updates))
    explored = epsilon(own, state.hyper, state.env_steps)

    def iterate(carry, chance):
        state, rows, gradient_steps = carry
        (state, rows), sums = collect(parts, state, rows, chance, explored)
        state, metrics = learn(parts, state, rows, chance.places)
        state = move_target(state, gradient_steps + 1)
        return (state, rows, gradient_steps + 1), (jax.tree.map(jnp.sum, sums), metrics)

    before = state.updates * own.block  # gradient steps
    rows = parts.first_rows + before * own.steps_per_gradient
    (state, _, _), (sums, metrics) = jax.lax.scan(iterate, (state, rows, before), chance)
    state = state._replace(
        updates=state.updates + 1, env_steps=state.env_steps + steps_per_update(own)
    )
    told = jax.tree.map(jnp.sum, sums) | jax.tree.map(jnp.mean, metrics)
    return state, told | {"epsilon": explored}


def draw(parts: Parts, key: jax.Array) -> Chance:
    """Draw what chance decides in an update."""
    env, own = parts.env, parts.own
    shape = (own.block, own.steps_per_gradient, own.num_envs)
    env_key, explore_key, action_key, place_key = jax.random.split(key, 4)
    worlds = envs.draw(env, env_key, own.block * own.steps_per_gradient, own.num_envs)
    return Chance(
        explore=jax.random.uniform(explore_key, shape),
        action=jax.random.randint(action_key, shape, 0, env.num_actions),
        worlds=jax.tree.map(lambda x: x.reshape(*shape[:2], *x.shape[1:]), worlds),
        places=jax.random.uniform(place_key, (own.block, 2, own.batch_size)),
    )


def collect(parts: Parts, state: State, rows: jax.Array, chance: Chance, explored: jax.Array):
    """Take the steps of play before a gradient step, and add their rows to the ring.

    Args:
      rows: int32 [], how many were ever added to the ring.
      chance: of these steps, without the axis G.
      explored: float32 [], epsilon.

    Returns:
      ((state, rows), sums of the ended episodes {name: float32 [K]}).
    """

    def take(carry, xs):
        (state, rows), (explore, other, drawn) = carry, xs
        obs = state.running.obs
        best = jnp.argmax(parts.net.apply(state.params, obs), -1)
        action = jnp.where(explore < explored, other, best)
        running, step = envs.advance(parts.env, state.running, action, drawn)
        state = state._replace(
            running=running,
            ring=replay.add(state.ring, row_of(obs, action, step), rows),
            episodes=state.episodes + jnp.sum(step.done),
        )
        return (state, rows + 1), envs.episode_sums(step)

    return jax.lax.scan(
        take,
        (state, rows),
        (chance.explore, chance.action, chance.worlds),
        unroll=parts.own.steps_per_gradient == 1,
    )


def learn(parts: Parts, state: State, rows: jax.Array, uniform: jax.Array) -> tuple[State, dict]:
    """Take one gradient step: (state, {name: float32 []}).

    Args:
      rows: int32 [], how many were ever added to the ring.
      uniform: float32 [2, B] in [0, 1), which rows are learned from.
    """
    own, hyper = parts.own, state.hyper
    places = replay.sample_places(uniform, rows, parts.ring_rows, own.num_envs, own.n_step)
    batch, discount = replay.take(state.ring, *places, hyper.gamma, own.n_step)
    gradient = jax.grad(functools.partial(loss, parts), has_aux=True)
    grads, metrics = gradient(state.params, state.target, batch, discount, hyper)
    updates, opt_state = parts.tx.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    return state._replace(params=params, opt_state=opt_state), metrics


def loss(
    parts: Parts,
    params: dict,
    target: dict,
    batch: replay.Transition,
    discount: jax.Array,
    hyper: Hyper,
) -> tuple[jax.Array, dict]:
    """Return the loss of a batch and its metrics."""
    q, own = parts.net.apply, parts.own
    values = jnp.take_along_axis(q(params, batch.obs), batch.action[:, None], -1)[:, 0]
    goal = returns.q_targets(
        target_q=q(target, batch.next_obs),
        online_q=q(params, batch.next_obs) if own.double else None,
        reward=batch.reward,
        over=returns.episode_over(batch.terminated, batch.truncated, hyper.bootstrap),
        discount=discount,
    )
    found = losses.td_loss(values, goal, huber=own.huber)
    error = jnp.mean(jnp.abs(values - goal))
    return found, {"loss": found, "q": jnp.mean(values), "td_error": error}


def move_target(state: State, gradient_steps: jax.Array) -> State:
    """Move the target network where its rule says so after so many gradient steps, int32 []."""
    hyper = state.hyper
    by_steps = gradient_steps % jnp.int32(hyper.target_period) == 0
    every = jnp.maximum(jnp.int32(hyper.target_period_episodes), 1)
    by_episodes = state.episodes % every == 0
    due = jnp.where(hyper.target_period_episodes > 0, by_episodes, by_steps)
    step = jnp.where(due, hyper.tau, 0.0)
    return state._replace(target=optax.incremental_update(state.params, state.target, step))


def epsilon(own, hyper: Hyper, env_steps: jax.Array) -> jax.Array:
    """Return the probability of any action after so many environment steps: float32 []."""
    part = env_steps / hyper.epsilon_steps
    exponential = own.epsilon_schedule == "exponential"
    left = jnp.exp(-part) if exponential else jnp.maximum(0.0, 1 - part)
    return hyper.epsilon_end + (hyper.epsilon_start - hyper.epsilon_end) * left


def row_of(obs: jax.Array, action: jax.Array, step: envs.Step) -> replay.Transition:
    """Return what the ring keeps of a step of E environments."""
    return replay.Transition(
        obs, action, step.reward, step.next_obs, step.terminated, step.truncated
    )


def actor(state: State) -> dict:
    """Return what acting needs of a state."""
    return state.params


def act(parts: Parts, actor: dict, obs: jax.Array) -> jax.Array:
    """Return the actions of the highest value at observations [E, ...]: int32 [E]."""
    return jnp.argmax(parts.net.apply(actor, obs), -1)
