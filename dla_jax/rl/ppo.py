"""Proximal policy optimisation (Schulman et al. 2017, arXiv:1707.06347): an actor and a critic, many small steps on each rollout.

With what usual implementations do beside the paper (Huang et al. 2022, "The 37 implementation details of PPO"), and with values
bootstrapped at time limits, which most of them do not do.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from dla_jax.rl import envs, networks, normalise, returns
from dla_jax.rl.agent import Agent
from dla_jax.training.optim import make_optimiser, set_learning_rate


class Hyper(NamedTuple):
    """What differs between runs of one compiled program: float32 [] each."""

    lr: jax.Array
    gamma: jax.Array
    gae_lambda: jax.Array
    clip: jax.Array  # of the probability ratio, and of the change of a value
    entropy: jax.Array  # weight of the entropy bonus
    value: jax.Array  # weight of the value loss
    bootstrap: jax.Array  # 1: from the value at a time limit; 0: a time limit counts as an end


class State(NamedTuple):
    """Everything a run is: its checkpoint."""

    params: dict
    opt_state: object
    running: envs.Running
    obs_stats: normalise.Stats
    return_stats: normalise.Stats
    discounted: jax.Array  # float32 [E], the discounted sum of rewards so far
    key: jax.Array
    updates: jax.Array  # int32 []
    env_steps: jax.Array  # int32 []
    hyper: Hyper


class Rollout(NamedTuple):
    """T steps of E environments: arrays [T, E, ...]."""

    obs: jax.Array  # normalised
    action: jax.Array
    log_prob: jax.Array
    step: envs.Step


def steps_per_update(own) -> int:
    """Environment steps of one rollout."""
    return own.rollout_steps * own.num_envs


def make(env: envs.Env, config) -> Agent:
    """The agent of a config whose `agent.name` is "ppo"."""
    own, continuous = config.agent, env.num_actions == 0
    outputs = env.action_size if continuous else env.num_actions
    net = networks.ActorCritic(
        networks.make_torso(config.model), outputs, continuous, config.model.shared
    )
    shape, num_updates = (
        (own.rollout_steps, own.num_envs),
        config.total_steps // steps_per_update(own),
    )
    tx = optax.flatten(make_optimiser(config.optim, num_updates * own.epochs * own.minibatches))
    policy = lambda params, obs: net.apply(params, obs, method="policy")
    value = lambda params, obs: net.apply(params, obs, method="value")

    def init(key, hyper):
        net_key, env_key, key = jax.random.split(key, 3)
        running = envs.start(env, env_key, own.num_envs)
        params = net.init(net_key, running.obs)
        stats = normalise.start(env.obs_shape)
        return State(
            params,
            set_learning_rate(tx.init(params), hyper.lr),
            running,
            stats,
            normalise.start(()),
            jnp.zeros(own.num_envs),
            key,
            jnp.int32(0),
            jnp.int32(0),
            hyper,
        )

    def seen(stats, obs):
        return normalise.centred(obs, stats) if own.normalise_obs else obs

    def collect(state, key):
        noise_key, env_key = jax.random.split(key)
        noise = networks.draw_noise(noise_key, (*shape, outputs), continuous)

        def take(running, xs):
            noise, drawn = xs
            obs = seen(state.obs_stats, running.obs)
            found = policy(state.params, obs)
            action = found.sample(noise)
            after, step = envs.advance(env, running, action, drawn)
            return after, (running.obs, Rollout(obs, action, found.log_prob(action), step))

        running, (raw_obs, rollout) = jax.lax.scan(
            take, state.running, (noise, envs.draw(env, env_key, *shape))
        )
        return state._replace(running=running), raw_obs, rollout

    def loss_fn(params, batch, hyper):
        obs, action, old_log_prob, old_value, advantage, target = batch
        found, values = net.apply(params, obs)
        log_ratio = found.log_prob(action) - old_log_prob
        ratio = jnp.exp(log_ratio)
        advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        clipped = jnp.clip(ratio, 1 - hyper.clip, 1 + hyper.clip)
        policy_loss = -jnp.minimum(ratio * advantage, clipped * advantage).mean()  # equation 7
        error = (values - target) ** 2
        if own.clip_value:
            near = old_value + jnp.clip(values - old_value, -hyper.clip, hyper.clip)
            error = jnp.maximum(error, (near - target) ** 2)
        value_loss, entropy = 0.5 * error.mean(), found.entropy().mean()
        loss = policy_loss + hyper.value * value_loss - hyper.entropy * entropy  # equation 9
        return loss, {
            "policy_loss": policy_loss,
            "value_loss": value_loss,
            "entropy": entropy,
            "kl": jnp.mean(ratio - 1 - log_ratio),  # http://joschu.net/blog/kl-approx.html
            "clipped": jnp.mean(jnp.abs(ratio - 1) > hyper.clip),
        }

    def learn(state, batch, key):
        size = steps_per_update(own)
        rows = jax.tree.map(lambda x: x.reshape(size, *x.shape[2:]), batch)
        orders = jax.vmap(lambda key: jax.random.permutation(key, size))(
            jax.random.split(key, own.epochs)
        )

        def minibatch(carry, index):
            params, opt_state = carry
            grads, metrics = jax.grad(loss_fn, has_aux=True)(
                params, jax.tree.map(lambda x: x[index], rows), state.hyper
            )
            updates, opt_state = tx.update(grads, opt_state, params)
            return (optax.apply_updates(params, updates), opt_state), metrics

        orders = orders.reshape(own.epochs * own.minibatches, -1)
        (params, opt_state), metrics = jax.lax.scan(
            minibatch, (state.params, state.opt_state), orders
        )
        return state._replace(params=params, opt_state=opt_state), jax.tree.map(jnp.mean, metrics)

    def update(state):
        key, hyper = jax.random.fold_in(state.key, state.updates), state.hyper
        collect_key, learn_key = jax.random.split(key)
        state, raw_obs, rollout = collect(state, collect_key)
        step = rollout.step
        if own.normalise_reward:
            state, reward = normalise_reward(state, step)
        else:
            reward = step.reward
        values = value(state.params, rollout.obs)
        next_values = value(state.params, seen(state.obs_stats, step.next_obs))
        terminated = step.terminated | (step.truncated & (hyper.bootstrap == 0))
        advantage = returns.gae(
            reward, terminated, step.truncated, values, next_values, hyper.gamma, hyper.gae_lambda
        )
        batch = (
            rollout.obs,
            rollout.action,
            rollout.log_prob,
            values,
            advantage,
            values + advantage,
        )
        state, metrics = learn(state, batch, learn_key)
        if own.normalise_obs:
            state = state._replace(obs_stats=normalise.add(state.obs_stats, raw_obs))
        state = state._replace(
            updates=state.updates + 1, env_steps=state.env_steps + steps_per_update(own)
        )
        return state, envs.episode_sums(step) | metrics

    def normalise_reward(state, step):
        def add(total, xs):
            total = total * state.hyper.gamma + xs[0]
            return jnp.where(xs[1], 0.0, total), total

        discounted, totals = jax.lax.scan(add, state.discounted, (step.reward, step.done))
        stats = normalise.add(state.return_stats, totals)
        reward = jnp.clip(step.reward / normalise.deviation(stats), -10.0, 10.0)
        return state._replace(discounted=discounted, return_stats=stats), reward

    def actor(state):
        return {"params": state.params, "obs_stats": state.obs_stats}

    def act(actor, obs):
        return policy(actor["params"], seen(actor["obs_stats"], obs)).mode()

    return Agent(init, update, actor, act, steps_per_update(own), steps_per_update(own))
