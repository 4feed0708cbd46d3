"""The other sides of `bench.rl`: purejaxrl, Stable-Baselines3 and CleanRL with our numbers.

purejaxrl and CleanRL are checkouts that the user brings: they are adapted to the installed gymnax
and gymnasium as they are imported, and nothing of them is here. `python -m bench.rl_others SCRIPT
...` runs a script of CleanRL so.
"""

import importlib
import os
import resource
import runpy
import subprocess
import sys
import tempfile
import time
import types
from pathlib import Path

import numpy as np

from bench import page, processes

GUESS = 5000  # CleanRL's environment steps per second, about, to choose how long it runs


def timed(prepare, units: int, seconds: float) -> dict:
    """Return the rates of whole runs, as many as begin within `seconds`.

    Args:
      prepare: compiles, and returns a function that takes one run of `units` environment steps.
    """
    begin = processes.spent()
    once = prepare()
    prepared, runs, begin = (processes.spent() - begin)[0], 0, processes.spent()
    while not runs or (processes.spent() - begin)[0] < seconds:
        once()
        runs += 1
    return rates(processes.spent() - begin, runs * units, prepared)


def rates(spent: np.ndarray, units: float, compiled: float = 0.0) -> dict:
    """Return environment steps per second of wall time and of CPU time, and what compiling took.

    `spent`: seconds (wall, CPU), float [2]; `compiled`: seconds.
    """
    return {"wall": units / spent[0], "cpu": units / spent[1], "compile": compiled}


def import_purejaxrl(path: str, agent: str):
    """Return the module of an agent, with gymnax's interface of before 1.0.

    What it imports for other environments is left out.
    """
    import gymnax
    import jax
    from gymnax.wrappers import LegacyStepAPIWrapper

    make = gymnax.make

    def make_legacy(name, **settings):
        env, params = make(name, **settings)
        return LegacyStepAPIWrapper(env), params

    gymnax.make, jax.tree_map = make_legacy, jax.tree.map
    parts = ("brax", "brax.envs", "brax.envs.wrappers", "brax.envs.wrappers.training")
    for name in (*parts, "navix", "wandb"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["brax"].envs = sys.modules["brax.envs"]
    training = sys.modules["brax.envs.wrappers.training"]
    training.EpisodeWrapper = training.AutoResetWrapper = object
    sys.path.insert(0, path)
    module, wrappers = importlib.import_module(agent), importlib.import_module("wrappers")
    for name in ("LogWrapper", "FlattenObservationWrapper"):
        setattr(module, name, getattr(wrappers, name))
    return module


def purejaxrl_config(job, config, hyper: dict) -> dict:
    """Return our config as purejaxrl has it."""
    own = config.agent
    found = {
        "ENV_NAME": "CartPole-v1",
        "NUM_ENVS": own.num_envs,
        "TOTAL_TIMESTEPS": job.steps,
        "LR": hyper["lr"],
        "GAMMA": hyper["gamma"],
    }
    if job.agent == "ppo":  # 64 units twice are written in its code
        return found | {
            "NUM_STEPS": own.num_steps,
            "UPDATE_EPOCHS": own.update_epochs,
            "NUM_MINIBATCHES": own.num_minibatches,
            "GAE_LAMBDA": hyper["gae_lambda"],
            "CLIP_EPS": hyper["clip_eps"],
            "ENT_COEF": hyper["ent_coef"],
            "VF_COEF": hyper["vf_coef"],
            "MAX_GRAD_NORM": config.optim.clip_norm,
            "ACTIVATION": config.model.activation,
            "ANNEAL_LR": config.optim.schedule == "linear",
            "DEBUG": False,
        }
    interval = own.num_envs * own.steps_per_gradient  # 120 and 84 units are written in its code
    return found | {
        "BUFFER_SIZE": own.buffer_size,
        "BUFFER_BATCH_SIZE": own.batch_size,
        "LEARNING_STARTS": own.learning_starts,
        "TRAINING_INTERVAL": interval,
        "TARGET_UPDATE_INTERVAL": hyper["target_period"] * interval,
        "TAU": hyper["tau"],
        "EPSILON_START": hyper["epsilon_start"],
        "EPSILON_FINISH": hyper["epsilon_end"],
        "EPSILON_ANNEAL_TIME": hyper["epsilon_steps"],
        "LR_LINEAR_DECAY": False,
        "WANDB_MODE": "disabled",
    }


def purejaxrl(job, config, hyper: dict, seconds: float) -> dict:
    """Time whole runs; several side by side as its page shows it, batched by `vmap`."""
    import jax

    module, keys = import_purejaxrl(job.path, job.agent), jax.random.PRNGKey(0)
    if job.runs > 1:
        keys = jax.random.split(keys, job.runs)

    def prepare():
        train = module.make_train(purejaxrl_config(job, config, hyper))
        run = jax.jit(train if job.runs == 1 else jax.vmap(train)).lower(keys).compile()
        return lambda: jax.block_until_ready(run(keys))

    per_update = config.agent.num_envs * (config.agent.num_steps if job.agent == "ppo" else 1)
    return timed(prepare, job.steps // per_update * per_update * job.runs, seconds)


def make_sb3(job, config, hyper: dict):
    """Return a model of Stable-Baselines3 with our numbers."""
    import stable_baselines3
    import torch
    from stable_baselines3.common.env_util import make_vec_env

    torch.set_num_threads(1)
    own, lr = config.agent, hyper["lr"]
    activation = {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU}[config.model.activation]
    policy = {"net_arch": list(config.model.hidden), "activation_fn": activation}
    common = {"gamma": hyper["gamma"], "policy_kwargs": policy, "device": "cpu", "seed": 0}
    envs = make_vec_env("CartPole-v1", own.num_envs)
    if job.agent == "ppo":
        return stable_baselines3.PPO(
            "MlpPolicy",
            envs,
            learning_rate=lambda left: lr * left,
            n_steps=own.num_steps,
            batch_size=own.num_steps * own.num_envs // own.num_minibatches,
            n_epochs=own.update_epochs,
            gae_lambda=hyper["gae_lambda"],
            clip_range=hyper["clip_eps"],
            clip_range_vf=hyper["clip_eps"],
            ent_coef=hyper["ent_coef"],
            vf_coef=hyper["vf_coef"],
            max_grad_norm=config.optim.clip_norm,
            **common,
        )
    return stable_baselines3.DQN(
        "MlpPolicy",
        envs,
        learning_rate=lr,
        buffer_size=own.buffer_size,
        learning_starts=own.learning_starts,
        batch_size=own.batch_size,
        train_freq=own.steps_per_gradient,
        gradient_steps=1,
        tau=hyper["tau"],
        target_update_interval=hyper["target_period"] * own.num_envs * own.steps_per_gradient,
        exploration_initial_eps=hyper["epsilon_start"],
        exploration_final_eps=hyper["epsilon_end"],
        exploration_fraction=min(1.0, hyper["epsilon_steps"] / job.steps),
        **common,
    )


def sb3(job, config, hyper: dict, seconds: float) -> dict:
    """Time some `seconds` of learning, and return the rates of a whole run at this speed.

    The steps before learning starts are timed apart.
    """
    model = make_sb3(job, config, hyper)

    def learn(steps):
        """Return (wall, CPU) seconds, and the steps that it took: whole rollouts."""
        before, begin = model.num_timesteps, processes.spent()
        model.learn(int(steps), reset_num_timesteps=False)
        return processes.spent() - begin, model.num_timesteps - before

    first = config.agent.learning_starts if job.agent == "dqn" else 0
    filled, taken = learn(first) if first else (np.zeros(2), 0)
    warm, few = learn(2000)
    spent, many = learn(max(2000, few / warm[0] * seconds))
    return rates(filled + spent / many * (job.steps - taken), job.steps)


def cleanrl(job, config, hyper: dict, seconds: float) -> dict:
    """Time its script with two budgets.

    What the longer run takes beyond the shorter counts, so that imports do not.
    """
    own, rollout = config.agent, config.agent.num_steps * config.agent.num_envs
    numbers = {
        "num-envs": own.num_envs,
        "num-steps": own.num_steps,
        "update-epochs": own.update_epochs,
        "num-minibatches": own.num_minibatches,
        "learning-rate": hyper["lr"],
        "gamma": hyper["gamma"],
        "gae-lambda": hyper["gae_lambda"],
        "clip-coef": hyper["clip_eps"],
        "ent-coef": hyper["ent_coef"],
        "vf-coef": hyper["vf_coef"],
        "max-grad-norm": config.optim.clip_norm,
    }

    def run(steps):
        given = numbers | {"total-timesteps": steps}
        words = ["--no-cuda", *(f"--{name}={value}" for name, value in given.items())]
        begin = spent_by_children()
        run_apart([str(Path(job.path) / "ppo.py"), *words])
        return spent_by_children() - begin

    few, more = 2 * rollout, rollout * max(1, round(GUESS * seconds / rollout))
    short = run(few)
    return rates(run(few + more) - short, more)


def run_apart(words: list[str]) -> None:
    """Do `run_script` in a process of its own; end this one where that fails."""
    command = (sys.executable, "-m", "bench.rl_others", *words)
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    own = os.environ | {"PYTHONPATH": str(page.ROOT)}
    # The script writes logs for TensorBoard where it runs.
    with tempfile.TemporaryDirectory() as folder:
        result = subprocess.run(command, cwd=folder, env=own, check=False, **streams)
    if result.returncode:
        sys.exit(processes.last_line(result.stderr))


def spent_by_children() -> np.ndarray:
    """Return the seconds of wall time so far, and of CPU time of processes that have ended.

    Those are the ones that this process started and has waited for: float [2].
    """
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return np.array((time.perf_counter(), used.ru_utime + used.ru_stime))


def run_script(words: list[str]) -> None:
    """Run a script of CleanRL as a program, with the vector environments of gymnasium 0.29.

    They begin anew, and tell of it, as those did.
    """
    import gymnasium
    from gymnasium.vector import AutoresetMode, SyncVectorEnv

    class Vector(SyncVectorEnv):
        def __init__(self, makers):
            super().__init__(makers, autoreset_mode=AutoresetMode.SAME_STEP)

        def step(self, actions):
            *found, infos = super().step(actions)
            if "final_info" in infos:
                ended, over = infos["final_info"]["episode"], infos["_final_info"]
                infos["final_info"] = [
                    {"episode": {key: ended[key][i] for key in "rl"}} if over[i] else None
                    for i in range(self.num_envs)
                ]
            return *found, infos

    gymnasium.vector.SyncVectorEnv = Vector
    sys.argv = words
    runpy.run_path(words[0], run_name="__main__")


SIDES = {"purejaxrl": purejaxrl, "sb3": sb3, "cleanrl": cleanrl}

if __name__ == "__main__":
    run_script(sys.argv[1:])
