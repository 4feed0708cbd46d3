"""Deep Q-learning (Mnih et al. 2015), double (van Hasselt et al. 2016, arXiv:1509.06461), dueling, n-step, with any target rule.

The target network moves by `tau` towards the online one every `period` gradient steps: soft updates are (tau, 1), hard ones
(1, period), and no target network at all is (1, 1). So the rule is data, and arms that differ in it share one program.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from dla_jax.rl import envs, networks, replay
from dla_jax.rl.agent import Agent
from dla_jax.training.optim import make_optimiser, set_learning_rate


class Hyper(NamedTuple):
    """What differs between runs of one compiled program: float32 [] each."""

    lr: jax.Array
    gamma: jax.Array
    bootstrap: jax.Array  # 1: from the value at a time limit; 0: a time limit counts as an end
    tau: jax.Array
    period: jax.Array  # gradient steps between two moves of the target network
    period_episodes: (
        jax.Array
    )  # lab's rule: it moves at every step of each such episode; 0: `period` holds
    epsilon_start: jax.Array
    epsilon_end: jax.Array
    epsilon_steps: jax.Array  # environment steps of the decay


class State(NamedTuple):
    """Everything a run is: its checkpoint. `updates` and `env_steps` are the same in all runs of a program."""

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


def steps_per_update(own) -> int:
    """Environment steps of one update, which is `own.block` gradient steps."""
    return own.num_envs * own.steps_per_gradient * own.block


def make(env: envs.Env, config) -> Agent:
    """The agent of a config whose `agent.name` is "dqn"."""
    own = config.agent
    net = networks.QNetwork(networks.make_torso(config.model), env.num_actions, own.dueling)
    length, first_rows = own.buffer_size // own.num_envs, own.learning_starts // own.num_envs
    num_updates = (config.total_steps - first_rows * own.num_envs) // steps_per_update(own)
    tx = optax.flatten(make_optimiser(config.optim, num_updates * own.block))
    q = net.apply

    def init(key, hyper):
        net_key, env_key, fill_key, key = jax.random.split(key, 4)
        running = envs.start(env, env_key, own.num_envs)
        params = net.init(net_key, running.obs)
        action_key, fill_key = jax.random.split(fill_key)
        actions = jax.random.randint(action_key, (first_rows, own.num_envs), 0, env.num_actions)

        def take(running, xs):
            after, step = envs.advance(env, running, xs[0], xs[1])
            return after, (row_of(running.obs, xs[0], step), jnp.sum(step.done))

        running, (rows, ended) = jax.lax.scan(
            take, running, (actions, envs.draw(env, fill_key, first_rows, own.num_envs))
        )
        ring = replay.start(jax.tree.map(lambda x: x[0], rows), length)
        ring = jax.tree.map(lambda store, new: store.at[:first_rows].set(new), ring, rows)
        return State(
            params,
            params,
            set_learning_rate(tx.init(params), hyper.lr),
            running,
            ring,
            jnp.sum(ended),
            key,
            jnp.int32(0),
            jnp.int32(first_rows * own.num_envs),
            hyper,
        )

    def row_of(obs, action, step):
        return replay.Transition(
            obs, action, step.reward, step.next_obs, step.terminated, step.truncated
        )

    def epsilon(hyper, env_steps):
        part = env_steps / hyper.epsilon_steps
        left = (
            jnp.exp(-part) if own.epsilon_schedule == "exponential" else jnp.maximum(0.0, 1 - part)
        )
        return hyper.epsilon_end + (hyper.epsilon_start - hyper.epsilon_end) * left

    def loss_fn(params, target, batch, discount, hyper):
        values = jnp.take_along_axis(q(params, batch.obs), batch.action[:, None], -1)[:, 0]
        goal = targets(
            q(target, batch.next_obs),
            q(params, batch.next_obs) if own.double else None,
            batch,
            discount,
            hyper.bootstrap,
        )
        error = values - jax.lax.stop_gradient(goal)
        loss = jnp.mean(optax.huber_loss(error) if own.huber else error**2)
        return loss, {"loss": loss, "q": jnp.mean(values), "td_error": jnp.mean(jnp.abs(error))}

    def learn(state, rows, uniform):
        """One gradient step, with `rows` int32 [] in the ring ever since."""
        hyper = state.hyper
        places = replay.sample_places(uniform, rows, length, own.num_envs, own.n_step)
        batch, discount = replay.take(state.ring, *places, hyper.gamma, own.n_step)
        grads, metrics = jax.grad(loss_fn, has_aux=True)(
            state.params, state.target, batch, discount, hyper
        )
        updates, opt_state = tx.update(grads, state.opt_state, state.params)
        return state._replace(
            params=optax.apply_updates(state.params, updates), opt_state=opt_state
        ), metrics

    def move_target(state, gradient_steps):
        """The target network after so many gradient steps."""
        by_steps = gradient_steps % jnp.int32(state.hyper.period) == 0
        by_episodes = state.episodes % jnp.maximum(jnp.int32(state.hyper.period_episodes), 1) == 0
        due = jnp.where(state.hyper.period_episodes > 0, by_episodes, by_steps)
        return state._replace(
            target=optax.incremental_update(
                state.params, state.target, jnp.where(due, state.hyper.tau, 0.0)
            )
        )

    def update(state):
        shape = (own.block, own.steps_per_gradient, own.num_envs)
        keys = jax.random.split(jax.random.fold_in(state.key, state.updates), 4)
        drawn = jax.tree.map(
            lambda x: x.reshape(*shape[:2], *x.shape[1:]),
            envs.draw(env, keys[0], own.block * own.steps_per_gradient, own.num_envs),
        )
        chance = jax.random.uniform(keys[1], shape)
        other = jax.random.randint(keys[2], shape, 0, env.num_actions)
        places = jax.random.uniform(keys[3], (own.block, 2, own.batch_size))
        first, explored = state.updates * own.block, epsilon(state.hyper, state.env_steps)

        def take(carry, xs):
            (state, rows), (chance, other, drawn) = carry, xs
            obs = state.running.obs
            action = jnp.where(chance < explored, other, jnp.argmax(q(state.params, obs), -1))
            running, step = envs.advance(env, state.running, action, drawn)
            ring, episodes = (
                replay.add(state.ring, row_of(obs, action, step), rows),
                state.episodes + jnp.sum(step.done),
            )
            return (
                state._replace(running=running, ring=ring, episodes=episodes),
                rows + 1,
            ), envs.episode_sums(step)

        def iterate(carry, xs):
            (state, rows, count), (chance, other, places, drawn) = carry, xs
            (state, rows), sums = jax.lax.scan(
                take, (state, rows), (chance, other, drawn), unroll=own.steps_per_gradient == 1
            )
            state, metrics = learn(state, rows, places)
            return (move_target(state, count + 1), rows, count + 1), (
                jax.tree.map(jnp.sum, sums),
                metrics,
            )

        rows = first_rows + first * own.steps_per_gradient
        (state, _, _), (sums, metrics) = jax.lax.scan(
            iterate, (state, rows, first), (chance, other, places, drawn)
        )
        state = state._replace(
            updates=state.updates + 1, env_steps=state.env_steps + steps_per_update(own)
        )
        return state, jax.tree.map(jnp.sum, sums) | jax.tree.map(jnp.mean, metrics) | {
            "epsilon": explored
        }

    act = lambda actor, obs: jnp.argmax(q(actor, obs), -1)
    return Agent(
        init,
        update,
        lambda state: state.params,
        act,
        steps_per_update(own),
        steps_per_update(own),
        first_rows * own.num_envs,
    )


def targets(target_q, online_q, batch: replay.Transition, discount, bootstrap) -> jax.Array:
    """Q-learning targets: float32 [B].

    Args:
      target_q: float32 [B, A], the target network on `batch.next_obs`.
      online_q: float32 [B, A], the online network there, which then chooses the action (double Q-learning), or None.
      discount: float32 [B], of the value of `next_obs`.
      bootstrap: 1 or 0: whether a time limit is bootstrapped, or counts as an end.
    """
    chosen = jnp.argmax(target_q if online_q is None else online_q, -1)
    value = jnp.take_along_axis(target_q, chosen[:, None], -1)[:, 0]
    over = batch.terminated | (batch.truncated & (bootstrap == 0))
    return batch.reward + discount * jnp.where(over, 0.0, value)
