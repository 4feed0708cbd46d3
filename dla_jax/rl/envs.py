"""Environments of gymnax behind one small interface, E of them side by side.

`terminated` and `truncated` are kept apart. What an episode begins with is drawn before the steps
are taken, for all steps at once: on a CPU the random numbers of single resets are the larger part
of a small environment's step.
"""

import dataclasses
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

from dla_jax.config.checks import check, nearest
from dla_jax.config.elsewhere import is_own
from dla_jax.rl import own_environment
from dla_jax.rl.lunar_lander import LunarLander, scene

DOWNLOADS = ("MNISTBandit-bsuite",)  # fetch data while they are made
OURS = {  # those that gymnax lacks
    "LunarLanderJax-v0": LunarLander(),
    "LunarLanderContinuousJax-v0": LunarLander(continuous=True),
}
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
    # key, state, action -> (obs, state, reward float32 [], terminated bool [], truncated bool [])
    step: Callable
    # state -> float32 [...], what drawers are given; None: the observation is all they need
    scene: Callable | None = None

    @property
    def continuous(self) -> bool:
        """Return whether actions are numbers in [-1, 1], not one of several."""
        return self.num_actions == 0

    @property
    def num_outputs(self) -> int:
        """Return how many numbers a policy needs for an action: logits or means."""
        return self.action_size if self.continuous else self.num_actions

    @property
    def scene_shape(self) -> tuple[int, ...]:
        """Return the shape of what drawers are given, observations not flattened."""
        if self.scene is None:
            return self.native_shape
        beginning = lambda seed: self.scene(self.reset(jax.random.key(seed))[1])
        return jax.eval_shape(beginning, 0).shape


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
        """Return where a new episode begins: bool [E]."""
        return self.terminated | self.truncated


class MountainCarContinuous(continuous_mountain_car.ContinuousMountainCar):
    """gymnax's car with gymnasium's left wall, which stops it; gymnax 1.0 stops it at the goal."""

    def step_env(self, key, state, action, params):
        _, after, reward, terminated, info = super().step_env(key, state, action, params)
        at_wall = (after.position <= params.min_position) & (after.velocity < 0)
        after = after.replace(velocity=jnp.where(at_wall, 0.0, after.velocity))
        return self.get_obs(after), after, reward, terminated, info


def names() -> list[str]:
    """Return the names of all environments."""
    return [*gymnax.registered_envs, *OURS]


def check_env(name: str) -> None:
    """Raise ConfigError for an environment that is unknown, fetches data, or cannot be played."""
    if is_own(name):
        own_environment.load(name)
        return
    check(
        name in names(),
        f"env.name: unknown {name!r}{nearest(name, names())}; known: {', '.join(names())}; or your "
        f"own, package.module:factory, as in {own_environment.EXAMPLE}",
    )
    check(
        name not in DOWNLOADS,
        f"env.name: {name} fetches its data from the network as it is made; choose another "
        "environment",
    )


def return_bounds(env: Env) -> tuple[float, float]:
    """Return the least and the most that a return can be; infinite where it is not known."""
    least, most = REWARDS.get(env.name, (-math.inf, math.inf))
    return least * env.max_steps, most * env.max_steps


def make(name: str, *, flatten: bool, sticky: float = 0.0, max_steps: int = 0) -> Env:
    """Return an environment of gymnax, one of our own, or `package.module:factory`, by its name.

    Integer observations become one-hot vectors; continuous actions are given in [-1, 1] and clipped
    to it, whatever the environment's own bounds are.

    Args:
      flatten: observations as vectors.
      sticky: probability in [0, 1) that the last action is repeated (Machado et al. 2018,
        arXiv:1709.06009).
      max_steps: another time limit; 0 keeps the environment's own.
    """
    if is_own(name):
        return _as_env(name, *own_environment.load(name)[:2], flatten, sticky, max_steps)
    return _known(name, flatten, sticky, max_steps)


@functools.cache
def _known(name: str, flatten: bool, sticky: float, max_steps: int) -> Env:
    """Return an environment that is not one's own: the same object each time.

    So what was traced of it serves all that are made alike.
    """
    return _as_env(name, *_make(name), flatten, sticky, max_steps)


def _as_env(name: str, game, params, flatten: bool, sticky: float, max_steps: int) -> Env:
    """Return an environment of gymnax's interface as `make` has it."""
    if max_steps:
        params = dataclasses.replace(params, max_steps_in_episode=max_steps)
    action_space = game.action_space(params)
    encode = _encoder(game.observation_space(params), flatten)
    discrete = isinstance(action_space, spaces.Discrete)
    if not discrete:
        low = jnp.asarray(action_space.low, jnp.float32)
        high = jnp.asarray(action_space.high, jnp.float32)

    def reset(key):
        obs, state = game.reset_env(key, params)
        # as a checkpoint gives it back: without weak types
        typed = lambda x: jax.lax.convert_element_type(x, jnp.asarray(x).dtype)
        return encode(obs), jax.tree.map(typed, state)

    def step(key, state, action):
        if not discrete:
            action = jnp.clip(action, -1.0, 1.0).reshape(action_space.shape)
            action = low + (action + 1) / 2 * (high - low)
        obs, state, reward, terminated, _ = game.step_env(key, state, action, params)
        truncated = game.is_truncated(state, params)
        return encode(obs), state, jnp.float32(reward), jnp.bool_(terminated), jnp.bool_(truncated)

    shape = jax.eval_shape(lambda seed: reset(jax.random.key(seed))[0], 0).shape
    native = jax.eval_shape(lambda seed: game.reset_env(jax.random.key(seed), params)[0], 0).shape
    env = Env(
        name=name,
        obs_shape=shape,
        native_shape=native if math.prod(native) == math.prod(shape) else shape,
        num_actions=action_space.n if discrete else 0,
        action_size=0 if discrete else int(np.prod(action_space.shape)),
        max_steps=int(params.max_steps_in_episode),
        reset=reset,
        step=step,
        scene=scene if name in OURS else None,
    )
    return with_sticky_actions(env, sticky) if sticky else env


@functools.cache
def _make(name: str):
    """Return (environment, its parameters) of gymnax, with our own in place of a wrong one."""
    if name in OURS:
        return OURS[name], OURS[name].default_params
    game, params = gymnax.make(name)
    return (MountainCarContinuous() if name == "MountainCarContinuous-v0" else game), params


def _encoder(space, flatten: bool) -> Callable:
    """Return a function: observation as the environment has it -> float32 vector or image."""
    # now, not in `encode`, which is traced
    discrete = isinstance(space, spaces.Discrete)
    highest = space.n - 1 if discrete else np.max(np.asarray(space.high))

    def encode(obs):
        obs = jnp.asarray(obs)
        if jnp.issubdtype(obs.dtype, jnp.integer):
            return jax.nn.one_hot(obs, int(highest) + 1).reshape(-1)
        return jnp.float32(obs.reshape(-1) if flatten else obs)

    return encode


def with_sticky_actions(env: Env, probability: float) -> Env:
    """Return the environment that repeats the last action with a probability, whatever is asked."""

    def reset(key):
        obs, state = env.reset(key)
        return obs, (state, jnp.zeros(env.action_size) if env.action_size else jnp.int32(0))

    def step(key, state, action):
        inner, last = state
        stick_key, step_key = jax.random.split(key)
        action = jnp.where(jax.random.bernoulli(stick_key, probability), last, action)
        obs, inner, *rest = env.step(step_key, inner, action)
        return obs, (inner, action), *rest

    shown = env.scene and (lambda state: env.scene(state[0]))
    return env._replace(reset=reset, step=step, scene=shown)


def start(env: Env, key: jax.Array, num_envs: int) -> Running:
    """Return E environments, each at the beginning of an episode."""
    obs, state = jax.vmap(env.reset)(jax.random.split(key, num_envs))
    return Running(obs, state, jnp.zeros(num_envs), jnp.zeros(num_envs, jnp.int32))


def draw(env: Env, key: jax.Array, num_steps: int, num_envs: int) -> tuple:
    """Draw what chance decides in T steps of E environments, for `advance`.

    Returns:
      (keys [T, E], beginnings of episodes (obs, state) [T, E, ...]).
    """
    step_key, reset_key = jax.random.split(key)
    shape = (num_steps, num_envs)
    fresh = jax.vmap(jax.vmap(env.reset))(jax.random.split(reset_key, shape))
    return jax.random.split(step_key, shape), fresh


def advance(env: Env, running: Running, action: jax.Array, drawn: tuple) -> tuple[Running, Step]:
    """Take one step of E environments; those whose episode is over begin the next one.

    Args:
      action: int32 [E], or float32 [E, A] in [-1, 1].
      drawn: one row of `draw`.
    """
    keys, (fresh_obs, fresh_state) = drawn
    obs, state, reward, terminated, truncated = jax.vmap(env.step)(keys, running.state, action)
    step = Step(
        reward=reward,
        terminated=terminated,
        truncated=truncated,
        next_obs=obs,
        episode_return=running.episode_return + reward,
        episode_length=running.episode_length + 1,
    )
    renewed = lambda new, old: jnp.where(step.done.reshape(-1, *[1] * (old.ndim - 1)), new, old)
    after = Running(
        obs=renewed(fresh_obs, obs),
        state=jax.tree.map(renewed, fresh_state, state),
        episode_return=jnp.where(step.done, 0.0, step.episode_return),
        episode_length=jnp.where(step.done, 0, step.episode_length),
    )
    return after, step


def episode_sums(step: Step) -> dict[str, jax.Array]:
    """Return how many episodes ended in steps [...], and the sums of their returns and lengths."""
    count = lambda values: jnp.sum(jnp.where(step.done, values, 0.0))
    return {
        "episodes": count(1.0),
        "return_sum": count(step.episode_return),
        "length_sum": count(step.episode_length),
    }
