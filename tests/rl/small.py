"""The tests of `rl/` share these environments, whose values are known, and these small configs."""

import contextlib
import functools

import jax
import jax.monitoring
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from dla_jax.rl import dqn, loop, ppo, reinforce
from dla_jax.rl.envs import Env

quickly_compiled = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)
run_chunk = quickly_compiled(
    loop.run_chunk.__wrapped__, static_argnames="agent", donate_argnames="states"
)
COMPILED = []
jax.monitoring.register_event_duration_secs_listener(
    lambda event, *_, **__: (
        COMPILED.append(event) if event.endswith("backend_compile_duration") else None
    )
)
METHODS = {"ppo": ppo, "dqn": dqn, "reinforce": reinforce}


def table(follow, reward, ends=None, *, limit, continuous=False):
    """Return a deterministic environment of states 0, 1, ..., each episode from state 0.

    Observations are one-hot.

    Args:
      follow, reward, ends: [states][actions]: the next state, the reward, and whether the episode
        is over then.
      limit: steps of an episode.
      continuous: `reward` is a function of the action instead.
    """
    follow = jnp.asarray(follow)
    ends = jnp.zeros(follow.shape, bool) if ends is None else jnp.asarray(ends, bool)
    show = lambda at: jax.nn.one_hot(at, len(follow))

    def step(key, state, action):
        at, time = state
        gain = reward(action[0]) if continuous else jnp.asarray(reward, jnp.float32)[at, action]
        choice = 0 if continuous else action
        after = follow[at, choice]
        return show(after), (after, time + 1), gain, ends[at, choice], time + 1 >= limit

    reset = lambda key: (show(0), (jnp.int32(0), jnp.int32(0)))
    num_actions, action_size = (0, 1) if continuous else (follow.shape[1], 0)
    return Env(
        name="table",
        obs_shape=(len(follow),),
        native_shape=(len(follow),),
        num_actions=num_actions,
        action_size=action_size,
        max_steps=limit,
        reset=reset,
        step=step,
    )


def clock(limit, ends=False):
    """Return one state that gives 1 a step; `ends`: its time limit is an end as well.

    If it is none, the state is worth 1 / (1 - gamma).
    """
    env = table([[0, 0]], [[1.0, 1.0]], limit=limit)

    def step(*given):
        obs, state, reward, _, cut = env.step(*given)
        return obs, state, reward, cut, cut

    return env._replace(step=step) if ends else env


def arms(limit=1):
    """Return an environment of three actions, of which the last gives 1."""
    return table([[0, 0, 0]], [[0.0, 0.0, 1.0]], limit=limit)


OWN = {
    "ppo": {
        "num_steps": 8,
        "update_epochs": 2,
        "num_minibatches": 2,
        "normalise_obs": False,
        "normalise_reward": False,
        "clip_vloss": False,
    },
    "dqn": {
        "buffer_size": 64,
        "learning_starts": 16,
        "steps_per_gradient": 2,
        "block": 3,
        "n_step": 1,
        "double": False,
        "dueling": False,
        "huber": True,
        "batch_size": 8,
        "epsilon_schedule": "linear",
    },
    "reinforce": {"baseline": "value", "normalise": "none", "value_steps": 1, "side_by_side": 0},
}
HYPER = {
    "lr": 1e-2,
    "gamma": 0.9,
    "bootstrap": 1.0,
    "gae_lambda": 0.95,
    "clip_eps": 0.2,
    "ent_coef": 0.0,
    "vf_coef": 0.5,
    "tau": 1.0,
    "target_period": 10.0,
    "target_period_episodes": 0.0,
    "epsilon_start": 1.0,
    "epsilon_end": 0.5,
    "epsilon_steps": 100.0,
    "temperature_start": 1.0,
    "temperature_end": 1.0,
    "greedy_start": 0.0,
    "greedy_end": 0.0,
    "mixture": 0.0,
}


def make_config(name, hidden=(8,), total_steps=10_000, optim="adam", torso="mlp", **own):
    return ConfigDict(
        {
            "total_steps": total_steps,
            "agent": {"name": name, "num_envs": 4} | OWN[name] | own,
            "model": {
                "name": torso,
                "hidden": hidden,
                "activation": "tanh",
                "layer_norm": False,
                "shared": False,
            },
            "optim": {
                "name": optim,
                "lr": None,
                "schedule": "constant",
                "warmup_fraction": 0.0,
                "milestones": (),
                "decay_factor": 0.1,
                "momentum": 0.0,
                "nesterov": False,
                "b1": 0.9,
                "b2": 0.999,
                "eps": 1e-5,
                "weight_decay": 0.0,
                "decayed": "all",
                "clip_norm": 0.5 if optim == "adam" else 0.0,
            },
        }
    )


def make_agent(name, env, **changes):
    return METHODS[name].make(env, make_config(name, **changes))


def make_hyper(name, **changes):
    kind = METHODS[name].Hyper
    return kind(**{key: np.float32((HYPER | changes)[key]) for key in kind._fields})


@contextlib.contextmanager
def nothing_compiled():
    """Fail where something is compiled within."""
    before = len(COMPILED)
    yield
    assert len(COMPILED) == before, f"{len(COMPILED) - before} programs were compiled"


def run(agent, hyper, updates, seeds=4):
    """Take updates of `seeds` runs, or of one for each hyper of a list.

    Returns:
      (states, their parameters, metrics of the last update); the latter two of numpy.
    """
    hypers = hyper if isinstance(hyper, list) else [hyper] * seeds
    keys = jax.random.split(jax.random.key(0), len(hypers))
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *hypers)

    def one(given):
        state = agent.init(*given)
        state, metrics = jax.lax.scan(lambda state, _: agent.update(state), state, length=updates)
        return state, jax.tree.map(lambda x: x[-1], metrics)

    all_runs = quickly_compiled(lambda *given: jax.lax.map(one, given))
    states, metrics = all_runs(keys, stacked)
    return states, *jax.device_get((states.params["params"], metrics))


def softmax(x):
    return np.exp(x) / np.exp(x).sum()
