"""PPO trained in gymnasium's own LunarLander, so that such policies can play in ours too."""

import functools
from collections.abc import Iterable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import FrozenConfigDict

from bench.lunar_returns import Player, greedy
from configs import ppo as ppo_config
from dla_jax.rl import envs, judge, networks, ppo
from dla_jax.studies.agents.programs import make_hyper
from dla_jax.studies.agents.study import arms_of

WORLD = "LunarLander-v3"


class Worlds:
    """E worlds of gymnasium side by side; one whose episode is over begins the next."""

    def __init__(self, num_envs: int, max_steps: int, seed: int):
        self._worlds = [judge.make(WORLD, max_steps) for _ in range(num_envs)]
        seeds = judge.seeds_of(seed, num_envs)
        begun = [world.reset(seed=own)[0] for world, own in zip(self._worlds, seeds, strict=True)]
        self.obs = np.stack(begun)  # float32 [E, 8]
        self._returns, self._lengths = np.zeros(num_envs, np.float32), np.zeros(num_envs, np.int32)

    def step(self, actions: np.ndarray) -> envs.Step:
        """Take one step of each: arrays [E, ...]."""
        rows = []
        self._lengths += 1
        for i, (world, action) in enumerate(zip(self._worlds, actions.tolist(), strict=True)):
            obs, reward, terminated, truncated, _ = world.step(action)
            self._returns[i] += reward
            rows.append((reward, terminated, truncated, obs))
            self.obs[i] = world.reset()[0] if terminated or truncated else obs
        reward, terminated, truncated, obs = map(np.array, zip(*rows, strict=True))
        told = self._returns.copy(), self._lengths.copy()
        over = terminated | truncated
        self._returns[over], self._lengths[over] = 0, 0
        return envs.Step(np.float32(reward), terminated, truncated, obs, *told)


class Played(NamedTuple):
    """One step of E environments, on the host."""

    raw_obs: np.ndarray
    rollout: ppo.Rollout


@functools.partial(jax.jit, static_argnames="parts")
def choose(parts: ppo.Parts, state: ppo.State, obs: jax.Array, noise: jax.Array) -> tuple:
    """Return (observations as the network sees them, actions, their log-probabilities)."""
    obs = ppo.seen(parts, state.obs_stats, obs)
    found = ppo.policy_of(parts, state.params, obs)
    action = found.sample(noise)
    return obs, action, found.log_prob(action)


def collect(parts: ppo.Parts, state: ppo.State, worlds: Worlds, key: jax.Array) -> Played:
    """Play a rollout, as `ppo.collect` does in an environment of JAX: arrays [T, E, ...]."""
    shape = parts.own.num_steps, parts.own.num_envs, parts.env.num_outputs
    noise = np.asarray(networks.draw_noise(key, shape, parts.env.continuous))
    rows = []
    for row in noise:
        raw_obs = worlds.obs.copy()
        obs, action, log_prob = jax.device_get(choose(parts, state, raw_obs, row))
        rows.append(Played(raw_obs, ppo.Rollout(obs, action, log_prob, worlds.step(action))))
    return jax.tree.map(lambda *leaves: np.stack(leaves), *rows)


def lunar_arm():
    """Return the arm `ppo` of `configs/ppo.py:lunar`."""
    return arms_of(ppo_config.get_config("lunar"), {})["ppo"]


def train(arm, seeds: Iterable[int]) -> dict[str, Player]:
    """Return {name: the policy after the last step} of a run of an arm of PPO for each seed."""
    config = FrozenConfigDict(arm.config.to_dict())
    env = envs.make("LunarLanderJax-v0", flatten=True)  # for shapes
    parts = ppo.make_parts(env, config)
    play = functools.partial(greedy, functools.partial(ppo.act, parts))
    hyper = jax.tree.map(jnp.float32, make_hyper(config, arm.rates[0]))
    begin = jax.jit(functools.partial(ppo.init, parts))
    improve = jax.jit(functools.partial(ppo.improve, parts))
    new_worlds = functools.partial(Worlds, config.agent.num_envs, env.max_steps)
    players = {}
    for seed in seeds:
        state, worlds = begin(jax.random.key(seed), hyper), new_worlds(seed)
        for _ in range(config.total_steps // ppo.steps_per_update(config.agent)):
            key = jax.random.fold_in(state.key, state.updates)
            play_key, learn_key = jax.random.split(key)
            state, _ = improve(state, *collect(parts, state, worlds, play_key), learn_key)
        players[f"seed {seed}"] = Player(f"seed {seed}", env, play, ppo.actor(state))
    return players
