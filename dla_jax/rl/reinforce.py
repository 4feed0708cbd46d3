"""REINFORCE (Williams 1992): the policy gradient of whole episodes.

It has no baseline, the batch's mean, or a value function. An update plays E episodes to their end
(`episodes.play`), so that returns are those of Monte Carlo. Actions are drawn from softmax(logits /
temperature) and learned from as such, also where they were played in the lab's own way.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from dla_jax.rl import envs, episodes, losses, networks, returns
from dla_jax.rl.agent import Agent
from dla_jax.training.optim import make_optimiser, set_learning_rate

BASELINES = ("none", "mean", "value")
NORMALISE = ("none", "batch", "episode")


class Hyper(NamedTuple):
    """What differs between runs of one compiled program: float32 [] each."""

    lr: jax.Array
    gamma: jax.Array
    # 1: from the value at a time limit, with a value function; 0: a time limit counts as an end
    bootstrap: jax.Array
    ent_coef: jax.Array  # weight of the entropy bonus
    temperature_start: jax.Array
    temperature_end: jax.Array  # reached in a line at the end of the budget
    greedy_start: jax.Array  # probability of the lab's greedy action
    greedy_end: jax.Array
    mixture: jax.Array  # 1: the lab's way of acting; 0: the softmax


class State(NamedTuple):
    """Everything a run is: its checkpoint."""

    params: dict
    opt_state: object
    value_opt_state: object
    key: jax.Array
    updates: jax.Array  # int32 []
    env_steps: jax.Array  # int32 []
    hyper: Hyper


class Rows(NamedTuple):
    """What is learned from: arrays [T, E, ...], or [T x E, ...] where those alive come first."""

    obs: jax.Array
    action: jax.Array
    advantage: jax.Array
    target: jax.Array  # the return, which values are brought to


class Parts(NamedTuple):
    """What one compiled program is made of: the same in all its runs."""

    env: envs.Env
    own: object  # `config.agent`
    net: networks.ActorCritic
    tx: optax.GradientTransformation
    total_steps: int  # environment steps of the budget


def make(env: envs.Env, config) -> Agent:
    """Return the agent of a config whose `agent.name` is "reinforce"."""
    parts = Parts(
        env=env,
        own=config.agent,
        net=networks.make_actor_critic(config.model, env.num_outputs, env.continuous),
        # the number of updates depends on the episodes, so there is no schedule
        tx=optax.flatten(make_optimiser(config.optim, 1)),
        total_steps=config.total_steps,
    )
    return Agent(
        init=functools.partial(init, parts),
        update=functools.partial(update, parts),
        actor=actor,
        act=functools.partial(act, parts),
        steps_per_update=0,
        most_steps=config.agent.num_envs * env.max_steps,
    )


def init(parts: Parts, key: jax.Array, hyper: Hyper) -> State:
    """Return the state of a new run."""
    net_key, key = jax.random.split(key)
    params = parts.net.init(net_key, jnp.zeros((1, *parts.env.obs_shape)))
    opt_state = set_learning_rate(parts.tx.init(params), hyper.lr)
    return State(
        params=params,
        opt_state=opt_state,
        value_opt_state=opt_state,
        key=key,
        updates=jnp.int32(0),
        env_steps=jnp.int32(0),
        hyper=hyper,
    )


def update(
    parts: Parts, state: State, playing: jax.Array | bool = True
) -> tuple[State, dict[str, jax.Array]]:
    """Play E episodes and learn from them: (state, {name: float32 []}).

    Args:
      playing: bool []; else what is returned is of no use.
    """
    own, hyper = parts.own, state.hyper
    manner = episodes.Manner(
        temperature=scheduled(parts, state, hyper.temperature_start, hyper.temperature_end),
        greedy=scheduled(parts, state, hyper.greedy_start, hyper.greedy_end),
        mixture=hyper.mixture,
    )
    key = jax.random.fold_in(state.key, state.updates)
    policy = functools.partial(policy_of, parts, state.params)
    played, last_obs = episodes.play(
        parts.env, own.num_envs, policy, key, manner, own.side_by_side, playing
    )
    if own.baseline == "value":
        values = value_of(parts, state.params, played.obs)
        last_value = value_of(parts, state.params, last_obs) * hyper.bootstrap
    else:
        values, last_value = jnp.zeros_like(played.reward), jnp.zeros(own.num_envs)
    target = returns_of(played, last_value, hyper.gamma)
    advantage = normalised(
        target - values, played.alive, own.normalise, centre=own.baseline == "mean"
    )
    rows, alive = Rows(played.obs, played.action, advantage, target), played.alive
    if own.side_by_side:
        rows, alive = losses.living_first(rows, alive)
    gradient = jax.grad(functools.partial(policy_loss, parts), has_aux=True)
    of_rows = lambda rows, alive: gradient(
        state.params, rows, alive, manner.temperature, hyper.ent_coef
    )
    grads, metrics = losses.mean_in_blocks(of_rows, rows, alive, block_of(parts))
    params, opt_state = descend(parts, state.params, state.opt_state, grads)
    steps = jnp.sum(played.alive)
    state = state._replace(
        params=params,
        opt_state=opt_state,
        updates=state.updates + 1,
        env_steps=state.env_steps + steps,
    )
    if own.baseline == "value":
        state, metrics["value_loss"] = fit_value(parts, state, rows, alive)
    return state, metrics | {
        "episodes": jnp.float32(own.num_envs),
        "length_sum": jnp.float32(steps),
        "return_sum": jnp.sum(jnp.where(played.alive, played.reward, 0.0)),
    }


def block_of(parts: Parts) -> int:
    """Return how many rows are learned from at once; 0: all."""
    return episodes.BLOCK * parts.own.num_envs if parts.own.side_by_side else 0


def policy_loss(
    parts: Parts,
    params: dict,
    rows: Rows,
    alive: jax.Array,
    temperature: jax.Array,
    ent_coef: jax.Array,
) -> tuple[jax.Array, dict]:
    """Return the loss of the policy, which is drawn from at a temperature, and its metrics."""
    found = policy_of(parts, params, rows.obs).tempered(temperature)
    entropy = losses.mean_alive(found.entropy(), alive)
    loss = losses.reinforce_loss(found.log_prob(rows.action), rows.advantage, alive)
    total = losses.with_entropy_bonus(loss, entropy, ent_coef)
    return total, {"policy_loss": loss, "entropy": entropy}


def fit_value(parts: Parts, state: State, rows: Rows, alive: jax.Array) -> tuple:
    """Take steps of the value function towards the returns: (state, the loss before them).

    They have an optimiser of their own.
    """

    def value_loss(params, rows, alive):
        values = value_of(parts, params, rows.obs)
        return losses.reinforce_value_loss(values, rows.target, alive)

    def step(carry, _):
        params, opt_state = carry
        of_rows = lambda rows, alive: jax.value_and_grad(value_loss)(params, rows, alive)
        loss, grads = losses.mean_in_blocks(of_rows, rows, alive, block_of(parts))
        return descend(parts, params, opt_state, grads), loss

    carry = state.params, state.value_opt_state
    (params, opt_state), found = jax.lax.scan(step, carry, length=parts.own.value_steps)
    return state._replace(params=params, value_opt_state=opt_state), found[0]


def descend(parts: Parts, params: dict, opt_state, grads: dict) -> tuple:
    """Take one step of the optimiser: (params, opt_state)."""
    updates, opt_state = parts.tx.update(grads, opt_state, params)
    return optax.apply_updates(params, updates), opt_state


def scheduled(parts: Parts, state: State, begin: jax.Array, end: jax.Array) -> jax.Array:
    """Return the value of now, on the line from `begin` to `end` over the budget: float32 []."""
    return begin + (end - begin) * jnp.minimum(1.0, state.env_steps / parts.total_steps)


def returns_of(played: episodes.Episodes, last_value: jax.Array, gamma) -> jax.Array:
    """Return the discounted returns of the rows that are alive: float32 [T, E].

    What is learned from is not weighted by gamma^t, as the gradient of the discounted return would
    be (Thomas 2014): nobody does that.

    Args:
      last_value: float32 [E], of where truncated episodes end.
    """
    reward = jnp.where(played.alive, played.reward, 0.0)
    return returns.discounted_returns(
        reward,
        terminated=~played.alive | played.terminated,
        truncated=played.alive & played.truncated,
        last_value=jnp.broadcast_to(last_value, reward.shape),
        gamma=gamma,
    )


def normalised(advantage: jax.Array, alive: jax.Array, how: str, centre: bool) -> jax.Array:
    """Return advantages float32 [T, E] less their mean, or with mean 0 and deviation 1.

    The mean is one number for all time steps, as the labs have it; over each episode, one of a
    single step teaches nothing.

    Args:
      alive: bool [T, E], the steps that count.
      how: "batch" or "episode", which have mean 0 and deviation 1 then; or "none".
      centre: less the batch's mean, where `how` is "none".
    """
    if how == "none" and not centre:
        return advantage
    axis = 0 if how == "episode" else (0, 1)
    mean = jnp.mean(advantage, axis, where=alive, keepdims=True)
    scale = 1.0 if how == "none" else jnp.std(advantage, axis, where=alive, keepdims=True) + 1e-8
    return (advantage - mean) / scale


def policy_of(parts: Parts, params: dict, obs: jax.Array):
    """Return the policy at observations [..., obs]: a `Categorical` or a `Gaussian`."""
    return parts.net.apply(params, obs, method="policy")


def value_of(parts: Parts, params: dict, obs: jax.Array) -> jax.Array:
    """Return the values of observations [..., obs]: float32 [...]."""
    return parts.net.apply(params, obs, method="value")


def actor(state: State) -> dict:
    """Return what acting needs of a state."""
    return state.params


def act(parts: Parts, actor: dict, obs: jax.Array) -> jax.Array:
    """Return the likeliest actions at observations [E, ...]."""
    return policy_of(parts, actor, obs).mode()
