"""Proximal policy optimisation: an actor and a critic, many small steps on each rollout.

As in Schulman et al. 2017, arXiv:1707.06347, with what usual implementations do beside the paper
(Huang et al. 2022, "The 37 implementation details of PPO"), and with values bootstrapped at time
limits, which most of them do not do.
"""

import functools
import math
import sys
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from dla_jax.rl import envs, losses, networks, normalise, returns
from dla_jax.rl.agent import Agent
from dla_jax.training.optim import make_optimiser, set_learning_rate

# Rows of a run that a CPU takes through its networks together; docs/benchmarks.md has why.
ROWS = 4096


class Hyper(NamedTuple):
    """What differs between runs of one compiled program: float32 [] each."""

    lr: jax.Array
    gamma: jax.Array
    gae_lambda: jax.Array
    clip_eps: jax.Array  # of the probability ratio, and of the change of a value
    ent_coef: jax.Array  # weight of the entropy bonus
    vf_coef: jax.Array  # weight of the value loss
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


class Parts(NamedTuple):
    """What one compiled program is made of: the same in all its runs."""

    env: envs.Env
    own: object  # `config.agent`
    net: networks.ActorCritic
    tx: optax.GradientTransformation


class Rollout(NamedTuple):
    """T steps of E environments: arrays [T, E, ...]."""

    obs: jax.Array  # normalised
    action: jax.Array
    log_prob: jax.Array
    step: envs.Step


class Batch(NamedTuple):
    """What is learned from: arrays [T, E, ...], or rows of them."""

    obs: jax.Array  # float32, normalised
    action: jax.Array
    log_prob: jax.Array  # float32, of the policy that played
    value: jax.Array  # float32, of the critic at that time
    advantage: jax.Array  # float32
    target: jax.Array  # float32, of the value


def steps_per_update(own) -> int:
    """Return the environment steps of one rollout."""
    return own.num_steps * own.num_envs


def make(env: envs.Env, config) -> Agent:
    """Return the agent of a config whose `agent.name` is "ppo"."""
    parts, steps = make_parts(env, config), steps_per_update(config.agent)
    return Agent(
        init=functools.partial(init, parts),
        update=functools.partial(update, parts),
        actor=actor,
        act=functools.partial(act, parts),
        steps_per_update=steps,
        most_steps=steps,
    )


def make_parts(env: envs.Env, config) -> Parts:
    """Return what the program of a config is made of."""
    own, updates = config.agent, config.total_steps // steps_per_update(config.agent)
    gradient_steps = updates * own.update_epochs * own.num_minibatches
    return Parts(
        env=env,
        own=own,
        net=networks.make_actor_critic(config.model, env.num_outputs, env.continuous),
        tx=optax.flatten(make_optimiser(config.optim, gradient_steps)),
    )


def init(parts: Parts, key: jax.Array, hyper: Hyper) -> State:
    """Return the state of a new run."""
    num_envs = parts.own.num_envs
    net_key, env_key, key = jax.random.split(key, 3)
    running = envs.start(parts.env, env_key, num_envs)
    params = parts.net.init(net_key, running.obs)
    return State(
        params=params,
        opt_state=set_learning_rate(parts.tx.init(params), hyper.lr),
        running=running,
        obs_stats=normalise.start(parts.env.obs_shape),
        return_stats=normalise.start(()),
        discounted=jnp.zeros(num_envs),
        key=key,
        updates=jnp.int32(0),
        env_steps=jnp.int32(0),
        hyper=hyper,
    )


def update(parts: Parts, state: State) -> tuple[State, dict[str, jax.Array]]:
    """Play one rollout and learn from it: (state, {name: float32 []})."""
    collect_key, learn_key = jax.random.split(jax.random.fold_in(state.key, state.updates))
    state, raw_obs, rollout = collect(parts, state, collect_key)
    return improve(parts, state, raw_obs, rollout, learn_key)


def improve(
    parts: Parts, state: State, raw_obs: jax.Array, rollout: Rollout, key: jax.Array
) -> tuple[State, dict[str, jax.Array]]:
    """Learn from what `collect` returned, wherever it was played: as `update`."""
    hyper, step = state.hyper, rollout.step
    if parts.own.normalise_reward:
        state, reward = normalise_reward(state, step)
    else:
        reward = step.reward
    values = values_of(parts, state.params, rollout.obs)
    next_values = values_of(parts, state.params, seen(parts, state.obs_stats, step.next_obs))
    over = returns.episode_over(step.terminated, step.truncated, hyper.bootstrap)
    advantage = returns.gae(
        reward, over, step.truncated, values, next_values, hyper.gamma, hyper.gae_lambda
    )
    batch = Batch(
        obs=rollout.obs,
        action=rollout.action,
        log_prob=rollout.log_prob,
        value=values,
        advantage=advantage,
        target=values + advantage,
    )
    state, metrics = learn(parts, state, batch, key)
    if parts.own.normalise_obs:
        state = state._replace(obs_stats=normalise.add(state.obs_stats, raw_obs))
    state = state._replace(
        updates=state.updates + 1, env_steps=state.env_steps + steps_per_update(parts.own)
    )
    return state, envs.episode_sums(step) | metrics


def collect(parts: Parts, state: State, key: jax.Array) -> tuple[State, jax.Array, Rollout]:
    """Play a rollout: (state, observations [T, E, ...] before they are normalised, Rollout)."""
    env, shape = parts.env, (parts.own.num_steps, parts.own.num_envs)
    noise_key, env_key = jax.random.split(key)
    noise = networks.draw_noise(noise_key, (*shape, env.num_outputs), env.continuous)

    def take(running, xs):
        noise, drawn = xs
        obs = seen(parts, state.obs_stats, running.obs)
        found = policy_of(parts, state.params, obs)
        action = found.sample(noise)
        after, step = envs.advance(env, running, action, drawn)
        return after, (running.obs, Rollout(obs, action, found.log_prob(action), step))

    running, (raw_obs, rollout) = jax.lax.scan(
        take, state.running, (noise, envs.draw(env, env_key, *shape))
    )
    return state._replace(running=running), raw_obs, rollout


def learn(parts: Parts, state: State, batch: Batch, key: jax.Array) -> tuple[State, dict]:
    """Take some epochs of gradient steps: (state, {name: float32 []}, means over the steps)."""
    own, size = parts.own, steps_per_update(parts.own)
    rows = jax.tree.map(lambda x: x.reshape(size, *x.shape[2:]), batch)
    orders = jax.vmap(lambda key: jax.random.permutation(key, size))(
        jax.random.split(key, own.update_epochs)
    )

    def minibatch(carry, index):
        params, opt_state = carry
        batch = jax.tree.map(lambda x: x[index], rows)
        batch = batch._replace(advantage=returns.standardised(batch.advantage))
        grads, metrics = gradient(parts, params, batch, state.hyper)
        updates, opt_state = parts.tx.update(grads, opt_state, params)
        return (optax.apply_updates(params, updates), opt_state), metrics

    orders = orders.reshape(own.update_epochs * own.num_minibatches, -1)
    (params, opt_state), metrics = jax.lax.scan(minibatch, (state.params, state.opt_state), orders)
    return state._replace(params=params, opt_state=opt_state), jax.tree.map(jnp.mean, metrics)


def rows_at_once() -> int:
    """Return how many rows of a run are taken through its networks together, at most."""
    return ROWS if jax.default_backend() == "cpu" else sys.maxsize


def num_parts_of(num_rows: int) -> int:
    """Return into how many equal parts a minibatch is divided.

    It is the least power of two whose parts have at most `rows_at_once` rows, or a smaller one
    where these would not be equal.
    """
    return math.gcd(num_rows, 1 << ((num_rows - 1) // rows_at_once()).bit_length())


def gradient(parts: Parts, params: dict, batch: Batch, hyper: Hyper) -> tuple[dict, dict]:
    """Return (gradient of the loss, metrics float32 []): means over equal parts of a minibatch."""
    of_part = jax.grad(functools.partial(loss, parts), has_aux=True)
    num_parts = num_parts_of(len(batch.advantage))
    if num_parts == 1:
        return of_part(params, batch, hyper)
    divided = jax.tree.map(lambda x: x.reshape(num_parts, -1, *x.shape[1:]), batch)
    found = jax.lax.map(lambda part: of_part(params, part, hyper), divided)
    return jax.tree.map(lambda x: x.mean(0), found)


def loss(parts: Parts, params: dict, batch: Batch, hyper: Hyper) -> tuple[jax.Array, dict]:
    """Return the loss, equation 9 of the paper with a minus, and its metrics: float32 [] each.

    Args:
      batch: rows [B, ...] of a minibatch, whose advantages are standardised over all of it.
    """
    found, values = parts.net.apply(params, batch.obs)
    log_ratio = found.log_prob(batch.action) - batch.log_prob
    ratio = jnp.exp(log_ratio)
    policy_loss = losses.ppo_clip_loss(ratio, batch.advantage, hyper.clip_eps)
    value_loss = losses.ppo_value_loss(
        values, batch.value, batch.target, hyper.clip_eps, clipped=parts.own.clip_vloss
    )
    entropy = found.entropy().mean()
    total = policy_loss + hyper.vf_coef * value_loss
    return losses.with_entropy_bonus(total, entropy, hyper.ent_coef), {
        "policy_loss": policy_loss,
        "value_loss": value_loss,
        "entropy": entropy,
        "kl": jnp.mean(ratio - 1 - log_ratio),  # http://joschu.net/blog/kl-approx.html
        "clipped": jnp.mean(jnp.abs(ratio - 1) > hyper.clip_eps),
    }


def normalise_reward(state: State, step: envs.Step) -> tuple[State, jax.Array]:
    """Divide rewards [T, E] by the deviation of the discounted sums of rewards so far."""

    def add(total, xs):
        total = total * state.hyper.gamma + xs[0]
        return jnp.where(xs[1], 0.0, total), total

    discounted, totals = jax.lax.scan(add, state.discounted, (step.reward, step.done))
    stats = normalise.add(state.return_stats, totals)
    reward = jnp.clip(step.reward / normalise.deviation(stats), -10.0, 10.0)
    return state._replace(discounted=discounted, return_stats=stats), reward


def seen(parts: Parts, stats: normalise.Stats, obs: jax.Array) -> jax.Array:
    """Return observations [..., obs] as the networks see them, normalised or not."""
    return normalise.centred(obs, stats) if parts.own.normalise_obs else obs


def policy_of(parts: Parts, params: dict, obs: jax.Array):
    """Return the policy at observations [..., obs]: a `Categorical` or a `Gaussian`."""
    return parts.net.apply(params, obs, method="policy")


def values_of(parts: Parts, params: dict, obs: jax.Array) -> jax.Array:
    """Return the values of observations [T, E, obs]: float32 [T, E].

    At most `rows_at_once` are computed together, or E if these are more.
    """
    value = functools.partial(parts.net.apply, params, method="value")
    return jax.lax.map(value, obs, batch_size=max(1, rows_at_once() // obs.shape[1]))


def actor(state: State) -> dict:
    """Return what acting needs of a state."""
    return {"params": state.params, "obs_stats": state.obs_stats}


def act(parts: Parts, actor: dict, obs: jax.Array) -> jax.Array:
    """Return the likeliest actions at observations [E, ...]."""
    return policy_of(parts, actor["params"], seen(parts, actor["obs_stats"], obs)).mode()
