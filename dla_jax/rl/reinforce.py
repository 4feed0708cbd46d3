"""REINFORCE (Williams 1992): the policy gradient of whole episodes, with no baseline, the batch's mean, or a value function.

An update plays E episodes to their end, so that returns are those of Monte Carlo. Actions are drawn from softmax(logits /
temperature) and learned from as such. `greedy` is the labs' own way instead: the likeliest action with that probability, else
any action at random, while the gradient is still that of the softmax, so that it is no longer the gradient of what is played.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from dla_jax.rl import envs, networks, returns
from dla_jax.rl.agent import Agent
from dla_jax.training.optim import make_optimiser, set_learning_rate

BASELINES = ("none", "mean", "value")
NORMALISE = ("none", "batch", "episode")
BLOCK = 32  # steps between two looks whether all episodes are over


class Hyper(NamedTuple):
    """What differs between runs of one compiled program: float32 [] each."""

    lr: jax.Array
    gamma: jax.Array
    bootstrap: (
        jax.Array
    )  # 1: from the value at a time limit, with a value function; 0: a time limit counts as an end
    entropy: jax.Array  # weight of the entropy bonus
    temperature_start: jax.Array
    temperature_end: jax.Array  # reached in a line at the end of the budget
    greedy_start: jax.Array  # probability of the labs' greedy action
    greedy_end: jax.Array
    mixture: jax.Array  # 1: the labs' way of acting; 0: the softmax


class State(NamedTuple):
    """Everything a run is: its checkpoint."""

    params: dict
    opt_state: object
    value_opt_state: object
    key: jax.Array
    updates: jax.Array  # int32 []
    env_steps: jax.Array  # int32 []
    hyper: Hyper


class Episodes(NamedTuple):
    """E episodes: arrays [T, E, ...], whose rows past an episode's end are not `alive`."""

    obs: jax.Array
    action: jax.Array
    reward: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    alive: jax.Array  # bool: the step belongs to the episode


def make(env: envs.Env, config) -> Agent:
    """The agent of a config whose `agent.name` is "reinforce"."""
    own, continuous = config.agent, env.num_actions == 0
    outputs = env.action_size if continuous else env.num_actions
    most = -(-env.max_steps // BLOCK) * BLOCK  # rows: whole blocks
    net = networks.ActorCritic(
        networks.make_torso(config.model), outputs, continuous, config.model.shared
    )
    tx = optax.flatten(
        make_optimiser(config.optim, 1)
    )  # the number of updates depends on the episodes: no schedule
    policy = lambda params, obs: net.apply(params, obs, method="policy")
    value = lambda params, obs: net.apply(params, obs, method="value")

    def init(key, hyper):
        net_key, key = jax.random.split(key)
        params = net.init(net_key, jnp.zeros((1, *env.obs_shape)))
        opt_state = set_learning_rate(tx.init(params), hyper.lr)
        return State(params, opt_state, opt_state, key, jnp.int32(0), jnp.int32(0), hyper)

    def scheduled(state, name):
        begin, end = getattr(state.hyper, f"{name}_start"), getattr(state.hyper, f"{name}_end")
        return begin + (end - begin) * jnp.minimum(1.0, state.env_steps / config.total_steps)

    def tempered(params, obs, temperature):
        found = policy(params, obs)
        return found if continuous else networks.Categorical(found.logits / temperature)

    def play(state, key, temperature, greedy):
        """E episodes, to the end of the longest: (Episodes, observations float32 [E, ...] that they ended with)."""
        reset_key, step_key, *keys = jax.random.split(key, 5)
        obs, env_state = jax.vmap(env.reset)(jax.random.split(reset_key, own.num_envs))
        noise = networks.draw_noise(keys[0], (most, own.num_envs, outputs), continuous)
        chance = jax.random.uniform(keys[1], (most, own.num_envs))
        any_action = jax.random.randint(keys[2], (most, own.num_envs), 0, max(1, env.num_actions))
        step_keys = jax.random.split(step_key, (most, own.num_envs))

        def take(carry, t):
            obs, env_state, alive, last_obs = carry
            found = tempered(state.params, obs, temperature)
            action = found.sample(noise[t])
            if not continuous:
                mixed = jnp.where(chance[t] < greedy, found.mode(), any_action[t])
                action = jnp.where(state.hyper.mixture > 0, mixed, action)
            next_obs, env_state, reward, terminated, truncated = jax.vmap(env.step)(
                step_keys[t], env_state, action
            )
            living = alive.reshape(-1, *[1] * (obs.ndim - 1))
            last_obs = jnp.where(living, next_obs, last_obs)
            carry = next_obs, env_state, alive & ~(terminated | truncated), last_obs
            return carry, Episodes(
                jnp.where(living, obs, 0.0), action, reward, terminated, truncated, alive
            )

        def block(
            carry,
        ):  # not step by step: between runs that end at different times, each turn copies all rows
            t, carry, rows = carry
            carry, new = jax.lax.scan(take, carry, t + jnp.arange(BLOCK))
            rows = jax.tree.map(
                lambda store, new: jax.lax.dynamic_update_slice_in_dim(store, new, t, 0), rows, new
            )
            return t + BLOCK, carry, rows

        alive = jnp.ones(own.num_envs, bool)
        carry = obs, env_state, alive, obs
        rows = jax.tree.map(
            lambda row: jnp.zeros((most, *row.shape), row.dtype), jax.eval_shape(take, carry, 0)[1]
        )
        unfinished = lambda carry: (carry[0] < most) & jnp.any(carry[1][2])
        _, (*_, last_obs), rows = jax.lax.while_loop(unfinished, block, (jnp.int32(0), carry, rows))
        return rows, last_obs

    def policy_loss(params, episodes, temperature, advantage, hyper):
        found = tempered(params, episodes.obs, temperature)
        entropy = mean_alive(found.entropy(), episodes.alive)
        loss = -mean_alive(found.log_prob(episodes.action) * advantage, episodes.alive)
        return loss - hyper.entropy * entropy, {"policy_loss": loss, "entropy": entropy}

    def value_loss(params, episodes, target):
        return 0.5 * mean_alive((value(params, episodes.obs) - target) ** 2, episodes.alive)

    def descend(params, opt_state, grads):
        updates, opt_state = tx.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state

    def fit_value(state, episodes, target):
        """Some steps of the value function towards the returns, with an optimiser of its own: (state, loss before them)."""

        def step(carry, _):
            loss, grads = jax.value_and_grad(value_loss)(carry[0], episodes, target)
            return descend(*carry, grads), loss

        (params, opt_state), losses = jax.lax.scan(
            step, (state.params, state.value_opt_state), None, own.value_steps
        )
        return state._replace(params=params, value_opt_state=opt_state), losses[0]

    def update(state):
        temperature, greedy = scheduled(state, "temperature"), scheduled(state, "greedy")
        episodes, last_obs = play(
            state, jax.random.fold_in(state.key, state.updates), temperature, greedy
        )
        if own.baseline == "value":
            values, last_value = (
                value(state.params, episodes.obs),
                value(state.params, last_obs) * state.hyper.bootstrap,
            )
        else:
            values, last_value = jnp.zeros_like(episodes.reward), jnp.zeros(own.num_envs)
        target = returns_of(episodes, last_value, state.hyper.gamma)
        advantage = normalised(
            target - values, episodes.alive, own.normalise, own.baseline == "mean"
        )
        grads, metrics = jax.grad(policy_loss, has_aux=True)(
            state.params, episodes, temperature, advantage, state.hyper
        )
        params, opt_state = descend(state.params, state.opt_state, grads)
        steps = jnp.sum(episodes.alive)
        state = state._replace(
            params=params,
            opt_state=opt_state,
            updates=state.updates + 1,
            env_steps=state.env_steps + steps,
        )
        if own.baseline == "value":
            state, metrics["value_loss"] = fit_value(state, episodes, target)
        sums = {"episodes": jnp.float32(own.num_envs), "length_sum": jnp.float32(steps)}
        return state, metrics | sums | {
            "return_sum": jnp.sum(jnp.where(episodes.alive, episodes.reward, 0.0))
        }

    act = lambda actor, obs: policy(actor, obs).mode()
    return Agent(init, update, lambda state: state.params, act, 0, own.num_envs * env.max_steps)


def mean_alive(values: jax.Array, alive: jax.Array) -> jax.Array:
    """The mean over the steps that belong to episodes: float32 [T, E] -> []. So each step weighs the same, not each episode."""
    return jnp.sum(jnp.where(alive, values, 0.0)) / jnp.sum(alive)


def returns_of(episodes: Episodes, last_value: jax.Array, gamma) -> jax.Array:
    """Discounted returns of the rows that are alive: float32 [T, E]. `last_value`: float32 [E], of where truncated episodes end.

    What is learned from is not weighted by gamma^t, as the gradient of the discounted return would be (Thomas 2014): nobody does.
    """
    reward, over = (
        jnp.where(episodes.alive, episodes.reward, 0.0),
        ~episodes.alive | episodes.terminated,
    )
    last = jnp.broadcast_to(last_value, reward.shape)
    return returns.discounted_returns(
        reward, over, episodes.alive & episodes.truncated, last, gamma
    )


def normalised(advantage: jax.Array, alive: jax.Array, how: str, centre: bool) -> jax.Array:
    """Advantages float32 [T, E] less their mean (`centre`), or with mean 0 and deviation 1 over the batch or each episode.

    The mean is one number for all time steps, as the labs have it; over each episode, one of a single step teaches nothing.
    """
    if how == "none" and not centre:
        return advantage
    axis = 0 if how == "episode" else (0, 1)
    mean = jnp.mean(advantage, axis, where=alive, keepdims=True)
    scale = 1.0 if how == "none" else jnp.std(advantage, axis, where=alive, keepdims=True) + 1e-8
    return (advantage - mean) / scale
