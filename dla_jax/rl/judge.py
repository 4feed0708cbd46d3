"""Trained policies on an environment of gymnasium, the original of the one they were trained in.

Each policy plays greedily, whole episodes, each to its end. Nothing else of this package imports
gymnasium, and by it what an environment needs beside it, such as Box2D.
"""

import functools
from collections.abc import Callable

import gymnasium
import jax
import numpy as np
from gymnasium.spaces import Box, Discrete

from dla_jax.config.checks import ConfigError, check, nearest
from dla_jax.config.project import install_words
from dla_jax.config.stop import Interrupted, stop_requested
from dla_jax.rl.envs import Env

RANDOM = 1  # tells the stream of random actions from others of the same seed


def make(name: str, max_steps: int) -> gymnasium.Env:
    """Return an environment of gymnasium whose episodes have at most so many steps."""
    return gymnasium.make(name, max_episode_steps=max_steps, disable_env_checker=True)


def check_judge(name: str, env: Env) -> None:
    """Raise ConfigError unless policies that were trained in `env` can play `name`, here and now.

    It is refused where gymnasium has no such environment, where what it needs is not installed, and
    where its observations or actions have another shape. Whether it is the same game is the user's
    to know.
    """
    check(
        name in gymnasium.registry,
        f"env.judge: gymnasium has no {name!r}{nearest(name, gymnasium.registry)}; give the id of "
        "one of its environments, as in --config.env.judge=LunarLander-v3",
    )
    try:
        world = make(name, env.max_steps)
    except (gymnasium.error.Error, ImportError) as error:
        raise ConfigError(f"env.judge: {name} cannot be made: {_missing(error)}") from None
    seen, taken = world.observation_space, world.action_space
    world.close()
    check(
        isinstance(seen, Box) and seen.shape == env.obs_shape,
        f"env.judge: {name} has observations {_words(seen)}, those of {env.name} are of shape "
        f"{env.obs_shape}; give the environment that it stands for",
    )
    if env.continuous:
        fits = isinstance(taken, Box) and taken.shape == (env.action_size,) and taken.is_bounded()
    else:
        fits = isinstance(taken, Discrete) and taken.n == env.num_actions
    own = f"{env.action_size} numbers" if env.continuous else f"one of {env.num_actions}"
    check(
        fits,
        f"env.judge: {name} has actions {_words(taken)}, an action of {env.name} is {own}; give "
        "the environment that it stands for",
    )


def _missing(error: Exception) -> str:
    """Return what is not installed, and the line that installs it."""
    reason = str(error).strip().splitlines()[0]
    if "Box2D" not in reason:
        return f"{reason}; give another"
    return (
        f"Box2D is not installed; install it with {install_words('box2d')}, or leave it out with "
        "--config.env.judge="
    )


def _words(space: gymnasium.Space) -> str:
    return f"of shape {space.shape}" if isinstance(space, Box) else str(space)


def play(
    name: str, act: Callable, actor, seed: int, episodes: int, *, max_steps: int
) -> np.ndarray:
    """Return the returns of whole episodes of a policy, played greedily: float64 [episodes].

    Args:
      name: of an environment that `check_judge` accepts.
      act: (actor, observations float32 [E, ...]) -> actions [E], as `Agent.act`.
      actor: of one run.
      seed: of the run; it fixes the episodes, which are the same for every policy.
      max_steps: after which an episode is cut off.

    Raises:
      Interrupted: a stop was requested.
    """
    return _play(name, chooser(act, actor), seed, episodes, max_steps)


@functools.cache
def random_return(name: str, seed: int, episodes: int, *, max_steps: int) -> float:
    """Return the mean return of the same episodes under actions at random; arguments as of `play`.

    It is that of every arm, and is played once.
    """
    space, rng = make(name, max_steps).action_space, np.random.default_rng((seed, RANDOM))

    def choose(obs):
        if isinstance(space, Discrete):
            return rng.integers(space.n, size=episodes)
        return rng.uniform(-1.0, 1.0, (episodes, *space.shape)).astype(np.float32)

    return float(_play(name, choose, seed, episodes, max_steps).mean())


def chooser(act: Callable, actor) -> Callable:
    """Return the function: observations float32 [E, ...] -> actions [E] of a policy, of numpy.

    Policies of one `act` and shape share one compiled program: they are on one device, wherever
    they were trained.
    """
    actor = jax.device_put(actor, jax.devices()[0])
    return lambda obs: np.asarray(_act(act, actor, obs))


def warm(act: Callable, actor, shape: tuple[int, ...]) -> None:
    """Compile a policy for observations of a shape [E, ...]."""
    chooser(act, actor)(np.zeros(shape, np.float32))


@functools.partial(jax.jit, static_argnames="act")
def _act(act: Callable, actor, obs: jax.Array) -> jax.Array:
    return act(actor, obs)


def seeds_of(seed: int, episodes: int) -> list[int]:
    """Return the seeds of the episodes of a run: what they begin with, and chance in them."""
    return np.random.SeedSequence(seed).generate_state(episodes).tolist()


def _play(name: str, choose: Callable, seed: int, episodes: int, max_steps: int) -> np.ndarray:
    """Play copies of an environment side by side, each for one episode; `choose` as of `chooser`.

    gymnasium's vector environments would go on with those whose episode is over: they take as many
    steps as the longest episode times the copies.
    """
    worlds = [make(name, max_steps) for _ in range(episodes)]
    space, seeds = worlds[0].action_space, seeds_of(seed, episodes)
    begun = [world.reset(seed=own)[0] for world, own in zip(worlds, seeds, strict=True)]
    obs, returns, alive = np.stack(begun).astype(np.float32), np.zeros(episodes), range(episodes)
    while alive:
        if stop_requested.is_set():
            raise Interrupted
        actions, going = as_taken(space, choose(obs)), []
        for e in alive:
            obs[e], reward, terminated, truncated, _ = worlds[e].step(actions[e])
            returns[e] += reward
            if not (terminated or truncated):
                going.append(e)
        alive = going
    for world in worlds:
        world.close()
    return returns


def as_taken(space: gymnasium.Space, actions: np.ndarray) -> list:
    """Return actions [E] of a policy as an environment takes them.

    Continuous ones are clipped to [-1, 1] and scaled to its bounds, as `envs.make` does.
    """
    if isinstance(space, Discrete):
        return (space.start + actions).tolist()
    return list(space.low + (np.clip(actions, -1.0, 1.0) + 1) / 2 * (space.high - space.low))
