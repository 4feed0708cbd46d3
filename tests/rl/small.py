"""What the tests of `rl/` share: environments with known values, small configs, quick compilation."""

import contextlib
import functools

import jax
import jax.monitoring
import jax.numpy as jnp
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
    """A deterministic environment of states 0, 1, ... (one-hot observations), each episode from state 0.

    follow, reward, ends: [states][actions]: the next state, the reward, and whether the episode is over then. `continuous`: rewards
    are a function of the action instead.
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
    """One state, reward 1 a step: a state is worth 1 / (1 - gamma) if the time limit is no end."""
    env = table([[0, 0]], [[1.0, 1.0]], limit=limit)
    step = lambda *given: (lambda obs, state, reward, over, cut: (obs, state, reward, cut, cut))(
        *env.step(*given)
    )
    return env._replace(step=step) if ends else env


def arms(limit=1):
    """Three actions, of which the last gives 1."""
    return table([[0, 0, 0]], [[0.0, 0.0, 1.0]], limit=limit)


OWN = {
    "ppo": {
        "rollout_steps": 8,
        "epochs": 2,
        "minibatches": 2,
        "normalise_obs": False,
        "normalise_reward": False,
        "clip_value": False,
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
    "reinforce": {"baseline": "value", "normalise": "none", "value_steps": 1},
}
HYPER = {
    "lr": 1e-2,
    "gamma": 0.9,
    "bootstrap": 1.0,
    "gae_lambda": 0.95,
    "clip": 0.2,
    "entropy": 0.0,
    "value": 0.5,
    "tau": 1.0,
    "period": 10.0,
    "period_episodes": 0.0,
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
    return kind(**{key: jnp.float32((HYPER | changes)[key]) for key in kind._fields})


@contextlib.contextmanager
def nothing_compiled():
    """Fails where something is compiled within."""
    before = len(COMPILED)
    yield
    assert len(COMPILED) == before, f"{len(COMPILED) - before} programs were compiled"
