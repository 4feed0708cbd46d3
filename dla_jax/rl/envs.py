"""Environments of gymnax behind one small interface, E of them side by side, `terminated` and `truncated` apart.

What an episode begins with is drawn before the steps are taken, for all steps at once: on a CPU the random numbers of single
resets are the larger part of a small environment's step.
"""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import gymnax
import jax
import jax.numpy as jnp
import numpy as np
from gymnax.environments import spaces
from gymnax.environments.classic_control import continuous_mountain_car

from dla_jax.config.checks import check, check_choice

DOWNLOADS = ("MNISTBandit-bsuite",)  # fetch data while they are made
# Least and most reward of a step, where they are known.
REWARDS = {
    "CartPole-v1": (0.0, 1.0),
    "Acrobot-v1": (-1.0, 0.0),
    "MountainCar-v0": (-1.0, 0.0),
    "Pendulum-v1": (-math.inf, 0.0),
}


class Env(NamedTuple):
    """One environment, as pure functions."""

    name: str
    obs_shape: tuple[int, ...]
    native_shape: tuple[int, ...]  # of observations before they were flattened
    num_actions: int  # 0: actions are continuous
    action_size: int  # numbers of a continuous action; 0: actions are discrete
    max_steps: int  # the time limit of an episode
    reset: Callable  # key -> (obs float32, state)
    step: Callable  # key, state, action -> (obs, state, reward float32 [], terminated bool [], truncated bool [])


class Running(NamedTuple):
    """E environments under way."""

    obs: jax.Array  # float32 [E, ...]
    state: object  # of the environments: arrays [E, ...]
    episode_return: jax.Array  # float32 [E], of the episodes so far
    episode_length: jax.Array  # int32 [E]


class Step(NamedTuple):
    """What one step of E environments led to."""

    reward: jax.Array  # float32 [E]
    terminated: jax.Array  # bool [E]: the episode is over, nothing comes after it
    truncated: jax.Array  # bool [E]: the time limit is reached; may come together with `terminated`
    next_obs: jax.Array  # float32 [E, ...]: what the step led to, before any reset
    episode_return: jax.Array  # float32 [E], the step included
    episode_length: jax.Array  # int32 [E]

    @property
    def done(self) -> jax.Array:
        """Whether a new episode begins: bool [E]."""
        return self.terminated | self.truncated


class MountainCarContinuous(continuous_mountain_car.ContinuousMountainCar):
    """gymnax's with gymnasium's left wall, where the car stops; gymnax 1.0 zeroes its speed at the goal instead."""

    def step_env(self, key, state, action, params):
        _, after, reward, terminated, info = super().step_env(key, state, action, params)
        at_wall = (after.position <= params.min_position) & (after.velocity < 0)
        after = after.replace(velocity=jnp.where(at_wall, 0.0, after.velocity))
        return self.get_obs(after), after, reward, terminated, info


def names() -> list[str]:
    """Environments that there are."""
    return list(gymnax.registered_envs)


def check_env(name: str) -> None:
    """Raises ConfigError for an environment that is unknown, or fetches data."""
    check_choice("env.name", name, names())
    check(
        name not in DOWNLOADS,
        f"env.name: {name} fetches its data from the network as it is made; choose another environment",
    )


def return_bounds(env: Env) -> tuple[float, float]:
    """Return what the return of an episode cannot be below or above; infinite where it is not known."""
    least, most = REWARDS.get(env.name, (-math.inf, math.inf))
    return least * env.max_steps, most * env.max_steps


def make(name: str, *, flatten: bool, sticky: float = 0.0, max_steps: int = 0) -> Env:
    """An environment of gymnax by its name.

    Integer observations become one-hot vectors; continuous actions are given in [-1, 1] and clipped to it, whatever the
    environment's own bounds are.

    Args:
      flatten: observations as vectors.
      sticky: probability that the last action is repeated (Machado et al. 2018, arXiv:1709.06009), in [0, 1).
      max_steps: another time limit; 0 keeps the environment's own.
    """
    game, params = _make(name)
    if max_steps:
        params = params.replace(max_steps_in_episode=max_steps)
    action_space, encode = (
        game.action_space(params),
        _encoder(game.observation_space(params), flatten),
    )
    discrete = isinstance(action_space, spaces.Discrete)
    low, high = (
        (None, None)
        if discrete
        else (jnp.asarray(bound, jnp.float32) for bound in (action_space.low, action_space.high))
    )

    def reset(key):
        obs, state = game.reset_env(key, params)
        typed = lambda x: jax.lax.convert_element_type(x, jnp.asarray(x).dtype)  # noqa: E731 - as a checkpoint gives it back
        return encode(obs), jax.tree.map(typed, state)

    def step(key, state, action):
        if not discrete:
            action = low + (jnp.clip(action, -1.0, 1.0) + 1) / 2 * (high - low)
        obs, state, reward, terminated, _ = game.step_env(key, state, action, params)
        truncated = game.is_truncated(state, params)
        return encode(obs), state, jnp.float32(reward), jnp.bool_(terminated), jnp.bool_(truncated)

    shape = jax.eval_shape(lambda seed: reset(jax.random.key(seed))[0], 0).shape
    native = jax.eval_shape(lambda seed: game.reset_env(jax.random.key(seed), params)[0], 0).shape
    size = 0 if discrete else int(np.prod(action_space.shape))
    env = Env(
        name,
        shape,
        native if math.prod(native) == math.prod(shape) else shape,
        action_space.n if discrete else 0,
        size,
        int(params.max_steps_in_episode),
        reset,
        step,
    )
    return with_sticky_actions(env, sticky) if sticky else env


@functools.cache
def _make(name: str):
    game, params = gymnax.make(name)
    return (MountainCarContinuous() if name == "MountainCarContinuous-v0" else game), params


def _encoder(space, flatten: bool) -> Callable:
    """Observation as the environment has it -> float32 vector or image."""
    highest = (
        space.n - 1 if isinstance(space, spaces.Discrete) else np.max(np.asarray(space.high))
    )  # now: `encode` is traced

    def encode(obs):
        if jnp.issubdtype(obs.dtype, jnp.integer):
            return jax.nn.one_hot(obs, int(highest) + 1).reshape(-1)
        return jnp.float32(obs.reshape(-1) if flatten else obs)

    return encode


def with_sticky_actions(env: Env, probability: float) -> Env:
    """The environment with the last action repeated with a probability, whatever is asked for."""

    def reset(key):
        obs, state = env.reset(key)
        return obs, (state, jnp.zeros(env.action_size) if env.action_size else jnp.int32(0))

    def step(key, state, action):
        inner, last = state
        stick_key, step_key = jax.random.split(key)
        action = jnp.where(jax.random.bernoulli(stick_key, probability), last, action)
        obs, inner, *rest = env.step(step_key, inner, action)
        return obs, (inner, action), *rest

    return env._replace(reset=reset, step=step)


def start(env: Env, key: jax.Array, num_envs: int) -> Running:
    """E environments, each at the beginning of an episode."""
    obs, state = jax.vmap(env.reset)(jax.random.split(key, num_envs))
    return Running(obs, state, jnp.zeros(num_envs), jnp.zeros(num_envs, jnp.int32))


def draw(env: Env, key: jax.Array, num_steps: int, num_envs: int) -> tuple:
    """What chance has to say in so many steps, for `advance`: (keys [T, E], beginnings of episodes (obs, state) [T, E, ...])."""
    step_key, reset_key = jax.random.split(key)
    shape = (num_steps, num_envs)
    fresh = jax.vmap(jax.vmap(env.reset))(jax.random.split(reset_key, shape))
    return jax.random.split(step_key, shape), fresh


def advance(env: Env, running: Running, action: jax.Array, drawn: tuple) -> tuple[Running, Step]:
    """One step of E environments; those whose episode is over go on with what `drawn` has for them, one row of `draw`.

    Args:
      action: int32 [E], or float32 [E, A] in [-1, 1].
    """
    keys, (fresh_obs, fresh_state) = drawn
    obs, state, reward, terminated, truncated = jax.vmap(env.step)(keys, running.state, action)
    step = Step(
        reward,
        terminated,
        truncated,
        obs,
        running.episode_return + reward,
        running.episode_length + 1,
    )
    renewed = lambda new, old: jnp.where(step.done.reshape(-1, *[1] * (old.ndim - 1)), new, old)
    return Running(
        renewed(fresh_obs, obs),
        jax.tree.map(renewed, fresh_state, state),
        jnp.where(step.done, 0.0, step.episode_return),
        jnp.where(step.done, 0, step.episode_length),
    ), step


def episode_sums(step: Step) -> dict[str, jax.Array]:
    """Of steps [...]: how many episodes ended, and the sums of their returns and lengths: float32 []."""
    count = lambda values: jnp.sum(jnp.where(step.done, values, 0.0))
    return {
        "episodes": count(1.0),
        "return_sum": count(step.episode_return),
        "length_sum": count(step.episode_length),
    }
