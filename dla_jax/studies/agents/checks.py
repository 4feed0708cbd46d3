"""What an arm of a study of agents may say: errors of one line, before anything is compiled."""

import jax

from dla_jax.config.checks import check, check_choice, check_count, check_number
from dla_jax.rl import dqn, envs, networks, ppo, reinforce
from dla_jax.studies.agents.programs import METHODS, lookup, make_env
from dla_jax.training.optim import check_optim


def check_config(config) -> None:
    """Raises ConfigError for the config of one arm."""
    for key in ("total_steps", "num_evaluations", "eval_episodes", "test_episodes", "runs_at_once"):
        check_count(key, config[key])
    for key in ("cells_at_a_time", "checkpoint_every_evaluations", "env.max_steps"):
        check_count(key, lookup(config, key), low=0)
    check(
        config.runs_at_once % jax.device_count() == 0,
        f"runs_at_once: {config.runs_at_once} do not split over {jax.device_count()} devices; give a multiple",
    )
    check_number("gamma", config.gamma, low=0, high=1)
    check_number("env.sticky", config.env.sticky, low=0, below=1)
    if config.solved_at is not None:
        check_number("solved_at", config.solved_at)
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
        f"model.name: cnn is for images, and {config.env.name} has observations {env.obs_shape}; give mlp",
    )
    {"reinforce": check_reinforce, "dqn": check_dqn, "ppo": check_ppo}[config.agent.name](
        config, env
    )


def check_model(model) -> None:
    """Raises ConfigError for `config.model`."""
    check_choice("model.name", model.name, networks.TORSOS)
    check_choice("model.activation", model.activation, tuple(networks.ACTIVATIONS))
    check(
        len(model.hidden) > 0,
        "model.hidden is empty; give widths of hidden layers, as in --config.model.hidden=64,64",
    )
    for width in model.hidden:
        check_count("model.hidden", width)


def check_budget(config, least: int, what: str) -> None:
    """Raises ConfigError unless an update fits into the budget."""
    check(
        config.total_steps >= least,
        f"total_steps: {config.total_steps} is less than {what}, {least} environment steps; give at least as many",
    )


def check_reinforce(config, env: envs.Env) -> None:
    """Raises ConfigError for `config.agent` of REINFORCE."""
    own = config.agent
    check_count("agent.num_envs", own.num_envs)
    check_choice("agent.baseline", own.baseline, reinforce.BASELINES)
    check_choice("agent.normalise", own.normalise, reinforce.NORMALISE)
    for key in ("temperature_start", "temperature_end"):
        check_number(f"agent.{key}", own[key], above=0)
    for key in ("greedy_start", "greedy_end"):
        check_number(f"agent.{key}", own[key], low=0, high=1)
    check_number("agent.entropy", own.entropy, low=0)
    check_count("agent.value_steps", own.value_steps)
    plain = own.temperature_start == own.temperature_end == 1 and not own.mixture
    check(
        env.num_actions > 0 or plain,
        f"agent.temperature_start, agent.mixture: {env.name}'s actions are continuous; leave them at 1 and 0",
    )
    check(
        config.optim.schedule == "constant" and config.optim.warmup_fraction == 0,
        f"optim.schedule: {config.optim.schedule} needs to know how many updates there are, which depends on the episodes of "
        "REINFORCE; give constant",
    )
    steps = env.max_steps if own.normalise == "episode" else own.num_envs * env.max_steps
    check(
        steps > 1 or (own.normalise == "none" and own.baseline != "mean"),
        f"agent.normalise: {own.normalise}, baseline {own.baseline}, over a single step leaves an advantage of 0: nothing "
        "would be learned; give more agent.num_envs, or normalise none",
    )
    check_budget(
        config,
        own.num_envs * env.max_steps,
        f"{own.num_envs} episodes of at most {env.max_steps} steps",
    )


def check_dqn(config, env: envs.Env) -> None:
    """Raises ConfigError for `config.agent` of DQN."""
    own = config.agent
    check(
        env.num_actions > 0,
        f"agent.name: dqn chooses among actions, and those of {env.name} are continuous; give ppo or reinforce",
    )
    for key in (
        "num_envs",
        "steps_per_gradient",
        "block",
        "buffer_size",
        "learning_starts",
        "batch_size",
        "n_step",
        "period",
    ):
        check_count(f"agent.{key}", own[key])
    check_count("agent.period_episodes", own.period_episodes, low=0)
    check_number("agent.tau", own.tau, above=0, high=1)
    for key in ("epsilon_start", "epsilon_end"):
        check_number(f"agent.{key}", own[key], low=0, high=1)
    check_number("agent.epsilon_fraction", own.epsilon_fraction, above=0)
    check_choice("agent.epsilon_schedule", own.epsilon_schedule, ("linear", "exponential"))
    for key in ("buffer_size", "learning_starts"):
        check(
            own[key] % own.num_envs == 0,
            f"agent.{key}: {own[key]} is not divisible by agent.num_envs, {own.num_envs}",
        )
    check(
        own.n_step * own.num_envs <= own.learning_starts <= own.buffer_size,
        f"agent.learning_starts: {own.learning_starts} must be at least n_step times num_envs, {own.n_step * own.num_envs}, "
        f"and at most buffer_size, {own.buffer_size}",
    )
    check_budget(
        config,
        own.learning_starts + dqn.steps_per_update(own),
        "learning_starts and one block of gradient steps",
    )


def check_ppo(config, env: envs.Env) -> None:
    """Raises ConfigError for `config.agent` of PPO."""
    own = config.agent
    for key in ("num_envs", "rollout_steps", "epochs", "minibatches"):
        check_count(f"agent.{key}", own[key])
    check_number("agent.gae_lambda", own.gae_lambda, low=0, high=1)
    check_number("agent.clip", own.clip, above=0)
    for key in ("entropy", "value"):
        check_number(f"agent.{key}", own[key], low=0)
    rows = ppo.steps_per_update(own)
    check(
        rows % own.minibatches == 0,
        f"agent.minibatches: {rows} steps of a rollout ({own.rollout_steps} x {own.num_envs} "
        f"environments) cannot be cut into {own.minibatches} equal minibatches; give a divisor",
    )
    check(
        rows > own.minibatches,
        f"agent.minibatches: {own.minibatches} of {rows} steps are minibatches of one, whose "
        "advantage less its own mean is 0: nothing would be learned; give fewer",
    )
    check_budget(config, rows, "one rollout")
