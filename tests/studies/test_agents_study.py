"""The study of agents: its programs, its rows, and that an interrupted one ends where an uninterrupted one does."""

import json
import time

import numpy as np
import orbax.checkpoint as ocp
import pytest
from launching import launch, start

from configs import agents, dqn, ppo, reinforce
from dla_jax.config.checks import ConfigError
from dla_jax.evidence.rows import read_rows
from dla_jax.studies.agents import checks as agents_checks
from dla_jax.studies.agents import programs as agents_runs
from dla_jax.studies.agents import report as agents_report
from dla_jax.trials.arms import Cell, final_cells, own_config, select_cells

STUDY = (
    "--config=configs/agents.py:smoke",
    "--config.total_steps=6000",
    "--config.num_evaluations=12",
    "--config.solved_return=29.0",
    "--config.checkpoint_every_evaluations=2",
)
TIMES = ("seconds", "env_steps_per_s", "train_seconds")


def rows_of(workdir):
    """The record without times, by run."""
    by_run = {}
    for row in read_rows(workdir / "metrics.jsonl"):
        by_run.setdefault(row["run"], []).append(
            {key: value for key, value in row.items() if key not in TIMES}
        )
    return by_run


def models_of(workdir):
    with ocp.StandardCheckpointer() as checkpointer:
        return {
            str(path.relative_to(workdir)): checkpointer.restore(path.absolute())
            for path in sorted((workdir / "checkpoints").rglob("model"))
        }


def assert_same_study(workdir, expected):
    import jax

    assert rows_of(workdir) == rows_of(expected)
    ours, theirs = models_of(workdir), models_of(expected)
    assert ours.keys() == theirs.keys() and len(ours) == 6
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("agents") / "run"
    answer = launch(*STUDY, f"--workdir={workdir}")
    assert answer.code == 0, answer.err
    return workdir


def test_killed_and_asked_to_stop(uninterrupted, tmp_path):
    """Killed in its middle, then interrupted, then one call at a time: the same bits."""
    workdir, rows = tmp_path / "run", len(read_rows(uninterrupted / "metrics.jsonl"))
    for part, stop in ((0.3, "kill"), (0.6, "terminate")):
        process = start(*STUDY, f"--workdir={workdir}")
        deadline = time.time() + 120
        while process.poll() is None and len(read_rows(workdir / "metrics.jsonl")) < part * rows:
            assert time.time() < deadline, "no progress"
            time.sleep(0.01)
        assert process.poll() is None, "finished before it was stopped"
        getattr(process, stop)()
        process.communicate()
    assert process.returncode == 143
    answer = launch(*STUDY, f"--workdir={workdir}", "--config.cells_at_a_time=1")
    assert answer.code == 0 and "done before" in answer.err, answer.err
    assert_same_study(workdir, uninterrupted)


def test_arms_that_differ_in_numbers_share_a_program():
    config = reinforce.get_config("temperature")
    programs = agents_runs.programs_of(config, final_cells(config))
    assert len(programs) == 6 and len({id(program) for program in programs.values()}) == 1
    config = dqn.get_config("targets")
    assert (
        len(
            {
                id(program)
                for program in agents_runs.programs_of(config, final_cells(config)).values()
            }
        )
        == 1
    )
    config = dqn.get_config(
        "extras"
    )  # double, dueling, n-step and Huber change the program, the time limit does not
    assert (
        len(
            {
                id(program)
                for program in agents_runs.programs_of(config, final_cells(config)).values()
            }
        )
        == 5
    )


def test_what_is_data_in_a_program_reaches_the_method():
    config = ppo.get_config("cartpole")
    cut = agents_runs.make_hyper(own_config(config, "ppo_limit_is_end"), 3e-4)
    assert cut == agents_runs.make_hyper(own_config(config, "ppo"), 3e-4)._replace(bootstrap=0.0)
    assert cut.lr == 3e-4 and cut.gamma == 0.99 and cut.clip_eps == 0.2
    for name, config in (
        ("soft", dqn.get_config("targets")),
        ("lab_c_80", reinforce.get_config("temperature")),
    ):
        own = own_config(config, name)
        hyper = agents_runs.make_hyper(own, 1.0)
        names = {path.removeprefix("agent.") for path in agents_runs.HYPERS[own.agent.name]}
        assert set(hyper._fields) == {"lr"} | {
            name.replace("epsilon_fraction", "epsilon_steps") for name in names
        }


@pytest.mark.parametrize(
    ("config", "steps"),
    [(dqn.get_config("targets"), 100_000), (agents.get_config("cartpole"), 100_000)],
)
def test_exploration_is_shortened_with_the_budget(config, steps):
    """A tenth of the steps must not leave a policy that plays at random to the end."""
    arm = next(name for name in config.arms if own_config(config, name).agent.name == "dqn")
    assert agents_runs.make_hyper(own_config(config, arm), 1e-3).epsilon_steps == steps
    config.total_steps //= 10
    assert agents_runs.make_hyper(own_config(config, arm), 1e-3).epsilon_steps == steps / 10


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
    """An advantage less the mean of one is 0: the study would run, and learn nothing, without a word."""
    config = module.get_config("one")
    config.runs_at_once *= 4
    config.agent.update(changes)
    config.env.max_steps = 1 if module is reinforce else 0
    own = own_config(config, next(iter(config.arms)))
    if words is None:
        agents_checks.check_config(own)
        return
    with pytest.raises(ConfigError, match=words):
        agents_checks.check_config(own)


@pytest.mark.parametrize("preset", ["cartpole", "acrobot", "pendulum", "breakout", "breakout_gpu"])
def test_every_evaluation_lies_within_the_budget(preset):
    config = ppo.get_config(preset)
    program = next(iter(agents_runs.programs_of(config, final_cells(config)).values()))
    points = agents_runs.points_of(program)
    assert points[0] == (0, 0) and len(points) == config.num_evaluations + 1
    spent = sum(point.updates for point in points) * program.agent.steps_per_update
    assert (
        spent == points[-1].env_steps <= config.total_steps < spent + program.agent.steps_per_update
    )


def test_dqn_counts_the_steps_before_its_first_update():
    config = dqn.get_config("targets")
    program = next(iter(agents_runs.programs_of(config, final_cells(config)).values()))
    points = agents_runs.points_of(program)
    assert (
        points[-1].env_steps
        == 1000 + sum(point.updates for point in points) * 500
        <= config.total_steps
    )


def test_batches_hold_every_run_once_and_waste_little():
    assert agents_runs.batch_size([16], 4, 1) == 4 and agents_runs.batch_size([3], 4, 1) == 3
    assert agents_runs.batch_size([6, 6], 4, 1) == 3 and agents_runs.batch_size([5], 4, 4) == 4
    config = agents.get_config("smoke")
    cells = [*select_cells(config), *final_cells(config)]
    batches = agents_runs.batches_of(cells, agents_runs.programs_of(config, cells))
    assert sorted(cell.name for batch in batches for cell in batch.cells) == sorted(
        cell.name for cell in cells
    )
    assert all(
        len({cell.stage for cell in batch.cells}) == 1 and len(batch.cells) <= batch.size
        for batch in batches
    )


def test_an_evaluation_that_is_no_number_counts_as_chance():
    metrics = {
        "episodes": np.array([4.0, 0.0]),
        "return_sum": np.array([80.0, 0.0]),
        "length_sum": np.array([40.0, 0.0]),
        "loss": np.array([0.5, 0.0]),
        "updates": np.array([3, 0]),
    }
    returns = np.array([[10.0, 30.0], [5.0, 7.0]])
    row = agents_runs.row_of(metrics, returns, 0, 9.0)
    assert (
        row["eval_return"] == 20
        and row["finite"]
        and row["loss"] == 0.5
        and row["train_return"] == 20
        and row["train_length"] == 10
    )
    quiet = agents_runs.row_of(metrics, returns, 1, 9.0)  # no update, no episode: nothing to say
    assert (
        quiet["finite"]
        and quiet["loss"] is None
        and quiet["train_return"] is None
        and quiet["eval_return"] == 6
    )
    for broken in (metrics | {"loss": np.array([np.nan, 0.0])}, metrics):
        returns[0, 0] = np.nan if broken is metrics else 10.0
        row = agents_runs.row_of(broken, returns, 0, 9.0)
        assert row["eval_return"] == 9.0 and not row["finite"]


def test_images_are_packed_into_the_record_and_back():
    channels = np.random.default_rng(0).random((7, 10, 10, 4)) > 0.7
    channels[0, 0, 0] = True
    packed = channels @ (1 << np.arange(4))
    np.testing.assert_array_equal(agents_report.unpacked(packed.tolist()), channels)
    vectors = np.random.default_rng(1).normal(size=(5, 4))
    np.testing.assert_array_equal(agents_report.unpacked(vectors.tolist()), vectors)


@pytest.mark.parametrize(
    "config",
    [ppo.get_config(preset) for preset in ("cartpole", "acrobot", "pendulum", "breakout")]
    + [dqn.get_config(preset) for preset in ("targets", "gamma", "extras", "one")]
    + [reinforce.get_config(preset) for preset in ("temperature", "baselines", "gamma", "one")]
    + [agents.get_config(preset) for preset in ("cartpole", "budgets")],
)
def test_every_preset_is_one_that_can_run(config):
    config.runs_at_once *= 4  # tests have four devices
    for arm in config.arms:
        agents_checks.check_config(own_config(config, arm))
    groups = set(config.arms)
    for claim in config.claims.values():
        assert {group for terms in claim.contrasts for _, group in terms} <= groups


def test_the_summary_of_a_study(uninterrupted):
    summary = json.loads((uninterrupted / "summary.json").read_text())
    assert [run["group"] for run in summary["runs"]] == ["reinforce"] * 2 + ["dqn"] * 2 + [
        "ppo"
    ] * 2
    assert {row["group"] for row in summary["selection"]} == {"ppo"} and sum(
        row["chosen"] for row in summary["selection"]
    ) == 1
    chosen = next(row["lr"] for row in summary["selection"] if row["chosen"])
    assert {run["lr"] for run in summary["runs"] if run["group"] == "ppo"} == {chosen}
    for run in summary["runs"]:
        rows = rows_of(uninterrupted)[f"final/{run['group']}/seed{run['seed']}"][:-1]
        due, taken, returns = (
            [row[name] for row in rows] for name in ("step", "env_steps", "eval_return")
        )
        assert (due[1:] == taken[1:]) == (run["group"] != "reinforce")
        first = next((n for n, value in enumerate(returns) if value >= 29.0), None)
        assert run["solved_at"] == (None if first is None else taken[first])
        assert first in (None, 0) or run["solved_after"] == taken[first - 1] < run["solved_at"]
        assert run["mean_return"] == pytest.approx(
            np.mean(np.interp(due[1:], taken, returns))
        ) and run["num_params"] == (4 + 1) * 16 * (1 if run["group"] == "dqn" else 2) + 17 * (
            2 if run["group"] == "dqn" else 3
        )
    assert {Cell("final", run["group"], run["seed"], 0.0).name for run in summary["runs"]} <= set(
        rows_of(uninterrupted)
    )


def done_rows(config, **values):
    """The last rows of a made-up study: values[arm] = (solved_at, return) of each seed."""
    return {
        f"final/{arm}/seed{seed}": {
            "stage": "final",
            "run": f"final/{arm}/seed{seed}",
            "done": True,
            "group": arm,
            "seed": seed,
            "lr": 1e-3,
            "diverged": False,
            "solved_at": solved,
            "log2_solved": float(np.log2(solved or config.total_steps)),
            "eval_return": value,
            "late_return": value,
            "mean_return": value,
            "last_return": value,
            "random_return": 20.0,
        }
        for arm, runs in values.items()
        for seed, (solved, value) in enumerate(runs)
    }


def verdicts_of(config, **values):
    config.select_seeds, config.lrs = (), (1e-3,)
    found = agents_report.summarise(config, done_rows(config, **values))
    return {
        claim["name"]: (claim["verdict"], claim["results"][0]["reason"])
        for claim in found["claims"]
    }, found


def test_runs_that_never_solve_it_are_no_evidence_that_arms_are_alike():
    config = ppo.get_config("cartpole")
    never = [(None, 20.0)] * 16
    found, summary = verdicts_of(config, ppo=never, ppo_limit_is_end=never)
    assert set(found.values()) == {("not decided", "the runs do not vary")}
    assert all(run["censored"] == ["log2_solved"] for run in summary["runs"])
    nearly = [(config.total_steps - 1, 20.0)] * 8 + never[:8]
    found, _ = verdicts_of(config, ppo=nearly, ppo_limit_is_end=never)
    assert found["b_bootstrap_is_faster"] == ("not decided", "runs were cut off at the budget")
    solved = [(100_000 + seed, 500.0 + seed / 100) for seed in range(16)]
    other = [(100_000 - seed, 500.0 - seed / 100) for seed in range(16)]
    found, _ = verdicts_of(config, ppo=solved, ppo_limit_is_end=other)
    assert set(found.values()) == {
        ("does not hold", ""),
        ("does not hold", "too small to matter"),
    }  # slower, and hardly better


def test_two_seeds_that_solve_nothing_decide_nothing():
    found, _ = verdicts_of(
        ppo.get_config("smoke"), ppo=[(None, -900.0)] * 2, ppo_limit_is_end=[(None, -900.0)] * 2
    )
    assert set(found.values()) == {("not decided", "too few seeds")}


def test_an_environment_in_which_every_episode_returns_the_same_is_named():
    config = ppo.get_config("cartpole")
    config.select_seeds, config.lrs = (), (1e-3,)
    summary = agents_report.summarise(
        config, done_rows(config, ppo=[(None, 20.0)] * 3, ppo_limit_is_end=[(None, 21.0)] * 3)
    )
    (line,) = agents_report.nothing_to_learn(config, summary)
    assert line.startswith("ppo: every episode has return 20") and "nothing to learn" in line


def test_an_environment_without_a_picture_is_named():
    config = ppo.get_config("cartpole")
    config.env.name = "Reacher-misc"
    assert agents_report.undrawn_environments(config) == ["Reacher-misc"]
    assert "No episode of Reacher-misc is drawn" in agents_report.undrawn_words(["Reacher-misc"])
    assert agents_report.undrawn_environments(ppo.get_config("cartpole")) == []
