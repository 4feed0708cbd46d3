"""What an arm of a study of agents may say: errors of one line, before anything is compiled."""

import jax

from dla_jax.config.checks import (
    check,
    check_choice,
    check_count,
    check_rules,
    choice,
    count,
    number,
    optional,
)
from dla_jax.rl import dqn, envs, networks, ppo, reinforce
from dla_jax.studies.agents.judging import check_judge
from dla_jax.studies.agents.programs import METHODS, make_env
from dla_jax.training.optim import check_optim

COUNTS = {
    "total_steps": count(),
    "num_evaluations": count(),
    "eval_episodes": count(),
    "test_episodes": count(),
    "runs_at_once": count(),
    "cells_at_a_time": count(low=0),
    "checkpoint_every_evaluations": count(low=0),
    "env.max_steps": count(low=0),
}
NUMBERS = {
    "gamma": number(low=0, high=1),
    "env.sticky": number(low=0, below=1),
    "solved_return": optional(number()),
}
MODEL = {
    "name": choice(networks.TORSOS),
    "activation": choice(networks.ACTIVATIONS),
}
REINFORCE = {
    "num_envs": count(),
    "side_by_side": count(low=0),
    "baseline": choice(reinforce.BASELINES),
    "normalise": choice(reinforce.NORMALISE),
    "temperature_start": number(above=0),
    "temperature_end": number(above=0),
    "greedy_start": number(low=0, high=1),
    "greedy_end": number(low=0, high=1),
    "ent_coef": number(low=0),
    "value_steps": count(),
}
DQN = {
    "num_envs": count(),
    "steps_per_gradient": count(),
    "block": count(),
    "buffer_size": count(),
    "learning_starts": count(),
    "batch_size": count(),
    "n_step": count(),
    "target_period": count(),
    "target_period_episodes": count(low=0),
    "tau": number(above=0, high=1),
    "epsilon_start": number(low=0, high=1),
    "epsilon_end": number(low=0, high=1),
    "epsilon_fraction": number(above=0),
    "epsilon_schedule": choice(("linear", "exponential")),
}
PPO = {
    "num_envs": count(),
    "num_steps": count(),
    "update_epochs": count(),
    "num_minibatches": count(),
    "gae_lambda": number(low=0, high=1),
    "clip_eps": number(above=0),
    "ent_coef": number(low=0),
    "vf_coef": number(low=0),
}


def check_config(config) -> None:
    """Raise ConfigError for the config of one arm that cannot run."""
    check_rules(config, COUNTS)
    check(
        config.runs_at_once % jax.device_count() == 0,
        f"runs_at_once: {config.runs_at_once} do not split over {jax.device_count()} devices; "
        "give a multiple",
    )
    check_rules(config, NUMBERS)
    envs.check_env(config.env.name)
    check_choice("agent.name", config.agent.name, tuple(METHODS))
    check_model(config.model)
    check_optim(config.optim)
    check(
        config.optim.decayed == "all",
        f"optim.decayed: {config.optim.decayed}; agents' parameters decay alike: give all",
    )
    env = make_env(config)
    check(
        env.num_actions != 1,
        f"env.name: {config.env.name} has one action, so there is nothing to choose; give another",
    )
    check(
        config.model.name == "mlp" or len(env.obs_shape) == 3,
        f"model.name: cnn is for images, and {config.env.name} has observations "
        f"{env.obs_shape}; give mlp",
    )
    check_judge(config, env)
    checks = {"reinforce": check_reinforce, "dqn": check_dqn, "ppo": check_ppo}
    checks[config.agent.name](config, env)


def check_model(model) -> None:
    """Raise ConfigError for a `config.model` that cannot be made."""
    check_rules(model, MODEL, prefix="model.")
    check(
        len(model.hidden) > 0,
        "model.hidden is empty; give widths of hidden layers, as in --config.model.hidden=64,64",
    )
    for width in model.hidden:
        check_count("model.hidden", width)


def check_budget(config, least: int, what: str) -> None:
    """Raise ConfigError unless an update fits into the budget."""
    check(
        config.total_steps >= least,
        f"total_steps: {config.total_steps} is less than {what}, {least} environment steps; "
        "give at least as many",
    )


def check_reinforce(config, env: envs.Env) -> None:
    """Raise ConfigError for a `config.agent` of REINFORCE that cannot run, or cannot learn."""
    own = config.agent
    check_rules(own, REINFORCE, prefix="agent.")
    check(
        own.side_by_side == 0 or own.num_envs % own.side_by_side == 0,
        f"agent.side_by_side: {own.num_envs} episodes an update (agent.num_envs) cannot be played "
        f"{own.side_by_side} at a time without a rest; give a divisor of {own.num_envs}, or 0 for "
        "all at once",
    )
    plain = own.temperature_start == own.temperature_end == 1 and not own.mixture
    check(
        env.num_actions > 0 or plain,
        f"agent.temperature_start, agent.mixture: {env.name}'s actions are continuous; "
        "leave them at 1 and 0",
    )
    check(
        config.optim.schedule == "constant" and config.optim.warmup_fraction == 0,
        f"optim.schedule: {config.optim.schedule} needs to know how many updates there are, which "
        "depends on the episodes of REINFORCE; give constant",
    )
    steps = env.max_steps if own.normalise == "episode" else own.num_envs * env.max_steps
    check(
        steps > 1 or (own.normalise == "none" and own.baseline != "mean"),
        f"agent.normalise: {own.normalise}, baseline {own.baseline}, over a single step leaves an "
        "advantage of 0: nothing would be learned; give more agent.num_envs, or normalise none",
    )
    what = f"{own.num_envs} episodes of at most {env.max_steps} steps"
    check_budget(config, own.num_envs * env.max_steps, what)


def check_dqn(config, env: envs.Env) -> None:
    """Raise ConfigError for a `config.agent` of DQN that cannot run."""
    own = config.agent
    check(
        env.num_actions > 0,
        f"agent.name: dqn chooses among actions, and those of {env.name} are continuous; "
        "give ppo or reinforce",
    )
    check_rules(own, DQN, prefix="agent.")
    for key in ("buffer_size", "learning_starts"):
        check(
            own[key] % own.num_envs == 0,
            f"agent.{key}: {own[key]} is not divisible by agent.num_envs, {own.num_envs}",
        )
    check(
        own.n_step * own.num_envs <= own.learning_starts <= own.buffer_size,
        f"agent.learning_starts: {own.learning_starts} must be at least n_step times num_envs, "
        f"{own.n_step * own.num_envs}, and at most buffer_size, {own.buffer_size}",
    )
    least = own.learning_starts + dqn.steps_per_update(own)
    check_budget(config, least, "learning_starts and one block of gradient steps")


def check_ppo(config, env: envs.Env) -> None:
    """Raise ConfigError for a `config.agent` of PPO that cannot run, or cannot learn."""
    own = config.agent
    check_rules(own, PPO, prefix="agent.")
    rows = ppo.steps_per_update(own)
    check(
        rows % own.num_minibatches == 0,
        f"agent.num_minibatches: {rows} steps of a rollout ({own.num_steps} x {own.num_envs} "
        f"environments) cannot be cut into {own.num_minibatches} equal minibatches; give a divisor",
    )
    check(
        rows > own.num_minibatches,
        f"agent.num_minibatches: {own.num_minibatches} of {rows} steps are minibatches of one, "
        "whose advantage less its own mean is 0: nothing would be learned; give fewer",
    )
    check_budget(config, rows, "one rollout")
