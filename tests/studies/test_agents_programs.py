"""Programs of agents: which arms share one, what is data in it, when runs are evaluated."""

import importlib.util

import numpy as np
import pytest

from configs import agents, dqn, ppo, reinforce
from dla_jax.config.checks import ConfigError
from dla_jax.studies.agents import programs
from dla_jax.studies.agents.checks import check_config
from dla_jax.studies.agents.figures import unpacked
from dla_jax.studies.agents.judging import remarks
from dla_jax.studies.agents.programs import (
    HYPERS,
    batch_size,
    batches_of,
    make_hyper,
    points_of,
    programs_of,
)
from dla_jax.studies.agents.training import Evaluation, row_of
from dla_jax.trials.arms import final_trials, own_config, resolve, select_trials


@pytest.mark.parametrize(
    ("config", "arms", "different"),
    [
        (reinforce.get_config("temperature"), 6, 1),
        (dqn.get_config("targets"), 5, 1),
        # Double, dueling, n-step and Huber change the program, the time limit does not.
        (dqn.get_config("extras"), 6, 5),
    ],
)
def test_arms_that_differ_in_numbers_share_a_program(config, arms, different):
    programs = programs_of(resolve(config))
    assert len(programs) == arms
    assert len({id(program) for program in programs.values()}) == different


def test_a_later_study_of_a_process_has_the_agents_that_are_traced():
    config = agents.get_config("smoke")
    first = programs_of(resolve(config))
    config.seeds, config.gamma = (7,), 0.5
    second = programs_of(resolve(config))
    config.total_steps *= 2
    third = programs_of(resolve(config))
    for name, program in first.items():
        assert second[name].agent is program.agent is not third[name].agent
        assert second[name].env is program.env and second[name].config.gamma == 0.5


def test_agents_of_ones_own_environment_are_not_kept(monkeypatch):
    kept, config = {}, ppo.get_config("one")
    monkeypatch.setattr(programs, "_AGENTS", kept)
    programs_of(resolve(config))
    assert len(kept) == 1
    config.env.name, config.env.max_steps = "docs.examples.walk:Walk", 32
    (first,), (second,) = (programs_of(resolve(config)).values() for _ in range(2))
    assert len(kept) == 1 and first.env != second.env


def test_what_is_data_in_a_program_reaches_the_method():
    config = ppo.get_config("cartpole")
    cut = make_hyper(own_config(config, "ppo_limit_is_end"), 3e-4)
    assert cut == make_hyper(own_config(config, "ppo"), 3e-4)._replace(bootstrap=0.0)
    assert cut.lr == 3e-4 and cut.gamma == 0.99 and cut.clip_eps == 0.2


@pytest.mark.parametrize(
    ("name", "config"),
    [("soft", dqn.get_config("targets")), ("lab_c_80", reinforce.get_config("temperature"))],
)
def test_all_that_is_data_in_a_program_reaches_the_method(name, config):
    own = own_config(config, name)
    names = {path.removeprefix("agent.") for path in HYPERS[own.agent.name]}
    steps = {name.replace("epsilon_fraction", "epsilon_steps") for name in names}
    assert set(make_hyper(own, 1.0)._fields) == {"lr"} | steps


@pytest.mark.parametrize(
    ("config", "steps"),
    [(dqn.get_config("targets"), 100_000), (agents.get_config("cartpole"), 100_000)],
)
def test_exploration_is_shortened_with_the_budget(config, steps):
    # A tenth of the steps must not leave a policy that plays at random to the end.
    arm = next(name for name in config.arms if own_config(config, name).agent.name == "dqn")
    assert make_hyper(own_config(config, arm), 1e-3).epsilon_steps == steps
    config.total_steps //= 10
    assert make_hyper(own_config(config, arm), 1e-3).epsilon_steps == steps / 10


@pytest.mark.parametrize(
    ("module", "changes", "words"),
    [
        (ppo, {"num_minibatches": 512}, "512 of 512 steps are minibatches of one"),
        (ppo, {"num_envs": 1, "num_steps": 8}, None),
        (reinforce, {"num_envs": 1, "normalise": "batch"}, "over a single step"),
        (reinforce, {"num_envs": 2, "normalise": "batch"}, None),
        (reinforce, {"num_envs": 2, "normalise": "episode"}, "over a single step"),
        (reinforce, {"num_envs": 1, "normalise": "none", "baseline": "mean"}, "over a single step"),
        (reinforce, {"num_envs": 1, "normalise": "none", "baseline": "value"}, None),
    ],
)
def test_a_batch_that_nothing_can_be_learned_from_is_refused(module, changes, words):
    # An advantage less the mean of one is 0: the study would run, and learn nothing, silently.
    config = module.get_config("one")
    config.runs_at_once *= 4
    config.agent.update(changes)
    config.env.max_steps = 1 if module is reinforce else 0
    own = own_config(config, next(iter(config.arms)))
    if words is None:
        check_config(own)
        return
    with pytest.raises(ConfigError, match=words):
        check_config(own)


def first_program(config):
    return next(iter(programs_of(resolve(config)).values()))


@pytest.mark.parametrize("preset", ["cartpole", "acrobot", "pendulum", "breakout", "breakout_gpu"])
def test_every_evaluation_lies_within_the_budget(preset):
    config = ppo.get_config(preset)
    program = first_program(config)
    points, steps_per_update = points_of(program), program.agent.steps_per_update
    assert points[0] == (0, 0) and len(points) == config.num_evaluations + 1
    spent = sum(point.updates for point in points) * steps_per_update
    assert spent == points[-1].env_steps <= config.total_steps < spent + steps_per_update


def test_dqn_counts_the_steps_before_its_first_update():
    config = dqn.get_config("targets")
    points = points_of(first_program(config))
    spent = 1000 + sum(point.updates for point in points) * 500
    assert points[-1].env_steps == spent <= config.total_steps


def test_batches_hold_every_run_once_and_waste_little():
    assert batch_size([16], 4, 1) == 4 and batch_size([3], 4, 1) == 3
    assert batch_size([6, 6], 4, 1) == 3 and batch_size([5], 4, 4) == 4
    config = agents.get_config("smoke")
    arms = resolve(config)
    trials = [*select_trials(arms, tuple(config.select_seeds)), *final_trials(arms)]
    batches = batches_of(trials, programs_of(arms))
    held = [trial.name for batch in batches for trial in batch.trials]
    assert sorted(held) == sorted(trial.name for trial in trials)
    for batch in batches:
        assert len({trial.stage for trial in batch.trials}) == 1
        assert len(batch.trials) <= batch.size


METRICS = {
    "episodes": np.array([4.0, 0.0]),
    "return_sum": np.array([80.0, 0.0]),
    "length_sum": np.array([40.0, 0.0]),
    "loss": np.array([0.5, 0.0]),
    "updates": np.array([3, 0]),
}
RETURNS = np.array([[10.0, 30.0], [5.0, 7.0]])


def rows_at_a_point(metrics, returns):
    """Return the rows of the runs of a batch in which actions at random have return 9."""
    found = Evaluation(metrics, returns, env_steps=np.array([60, 70]), rate=1.0, seconds=1.0)
    return [row_of(found, n, chance=9.0) for n in range(len(returns))]


def test_a_run_that_was_not_updated_has_nothing_to_say_of_its_updates():
    row, quiet = rows_at_a_point(METRICS, RETURNS)
    assert row["eval_return"] == 20 and row["finite"] and row["loss"] == 0.5
    assert row["train_return"] == 20 and row["train_length"] == 10 and row["env_steps"] == 60
    # No update, no episode.
    assert quiet["finite"] and quiet["loss"] is None and quiet["train_return"] is None
    assert quiet["eval_return"] == 6


@pytest.mark.parametrize(
    ("metrics", "returns"),
    [
        (METRICS | {"loss": np.array([np.nan, 0.0])}, RETURNS),
        (METRICS, np.array([[np.nan, 30.0], [5.0, 7.0]])),
    ],
)
def test_an_evaluation_that_is_no_number_counts_as_chance(metrics, returns):
    row, other = rows_at_a_point(metrics, returns)
    assert row["eval_return"] == 9.0 and not row["finite"]
    assert other["eval_return"] == 6 and other["finite"]


def test_images_are_packed_into_the_record_and_back():
    channels = np.random.default_rng(0).random((7, 10, 10, 4)) > 0.7
    channels[0, 0, 0] = True
    packed = channels @ (1 << np.arange(4))
    np.testing.assert_array_equal(unpacked(packed.tolist()), channels)
    vectors = np.random.default_rng(1).normal(size=(5, 4))
    np.testing.assert_array_equal(unpacked(vectors.tolist()), vectors)


PRESETS = [
    *(ppo.get_config(preset) for preset in ("cartpole", "acrobot", "pendulum", "breakout")),
    *(dqn.get_config(preset) for preset in ("targets", "gamma", "extras", "one")),
    *(reinforce.get_config(preset) for preset in ("temperature", "baselines", "gamma", "one")),
    *(agents.get_config(preset) for preset in ("cartpole", "budgets")),
]
LUNAR = [
    *(dqn.get_config(preset) for preset in ("lunar_targets", "lunar_gamma")),
    *(reinforce.get_config(f"lunar{more}") for more in ("", "_baseline", "_temperature", "_gamma")),
    *(module.get_config("lunar") for module in (agents, ppo)),
]


@pytest.mark.parametrize("config", PRESETS + LUNAR)
def test_every_preset_is_one_that_can_run(config):
    if importlib.util.find_spec("Box2D") is None:
        config = config.copy_and_resolve_references()
        config.env.judge = ""  # without what requirements-box2d.txt installs
    config.runs_at_once *= 4  # tests have four devices
    for arm in config.arms:
        check_config(own_config(config, arm))
    for claim in config.claims.values():
        assert {group for terms in claim.contrasts for _, group in terms} <= set(config.arms)


@pytest.mark.parametrize("config", LUNAR)
def test_what_is_trained_in_our_lander_is_judged_on_box2d(config):
    for arm in config.arms:
        env = own_config(config, arm).env
        assert (env.name, env.judge) == ("LunarLanderJax-v0", "LunarLander-v3")
    values = {claim.value for claim in config.claims.values()}
    assert "judged_return" in values and values <= {"judged_return", "log2_solved"}


def test_what_is_judged_is_counted_before_it_runs():
    config = ppo.get_config("lunar")
    runs = len(config.seeds) * len(config.arms)
    (line,) = remarks(config)
    assert line.startswith(f"{runs} runs judged on gymnasium's LunarLander-v3")
    assert f"{2 * runs * config.test_episodes:,} episodes" in line
    config.env.judge = ""
    (line,) = remarks(config)
    assert "env.judge is empty" in line and "not run" in line


def test_actions_that_stick_are_refused_where_it_is_judged():
    config = ppo.get_config("cartpole")
    config.runs_at_once, config.env.judge, config.env.sticky = 4, "CartPole-v1", 0.25
    with pytest.raises(ConfigError, match=r"env\.sticky: 0\.25.*give 0"):
        check_config(own_config(config, "ppo"))
    config.env.sticky = 0.0
    check_config(own_config(config, "ppo"))
