"""The benchmark of reinforcement learning compares what is there, and says what is not."""

import importlib.util
import subprocess
import sys
import types

import jax
import numpy as np
import pytest
from launching import ROOT, environment

from bench import page, processes, rl, rl_others
from dla_jax.rl import loop
from dla_jax.training.mesh import data_mesh

PRESENT = ("distrax", "flashbax", "stable_baselines3", "torch", "tyro", "tensorboard")


def job(agent="ppo", runs=1, beside="sb3", path="", steps=20_000):
    return rl.Job(agent, runs, beside, path, steps)


@pytest.fixture
def installed(monkeypatch):
    """Return a list of what is installed, instead of what is."""
    found = list(PRESENT)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name if name in found else None)
    return found


@pytest.fixture
def checkout(tmp_path):
    """Return a folder with the files of a checkout."""
    for name in ("ppo.py", "dqn.py", "wrappers.py"):
        (tmp_path / name).touch()
    return str(tmp_path)


@pytest.fixture
def sections():
    """Return where `started` showed its table."""
    return []


@pytest.fixture
def started(monkeypatch, capsys, sections):
    """Run `main` with measurements that take no time.

    The result is (jobs, the table, its packages, the lines on standard error).
    """
    monkeypatch.setattr(rl.os, "environ", {})

    def start(*words):
        jobs, shown = [], []
        sections.clear()

        def compare(name, job, settings_of, rounds, seconds, sides):
            assert sides == ("ours", job.beside) and settings_of("ours", job) == [{}]
            jobs.append(job)
            pair = {side: {"wall": 2.0, "cpu": 2.0, "compile": 0.0} for side in sides}
            return {"job": job, "pairs": [pair]}

        def show(name, text, write, *packages, section):
            sections.append(section)
            shown.append((text, packages))

        monkeypatch.setattr(processes, "compare", compare)
        monkeypatch.setattr(page, "show", show)
        monkeypatch.setattr(sys, "argv", ["bench.rl", *words])
        rl.main()
        return jobs, *shown[0], capsys.readouterr().err.splitlines()

    return start


@pytest.mark.parametrize(
    "words, told",
    [
        (("--nets=a2c",), "ppo, dqn"),
        (("--rounds=0",), "positive"),
        (("--steps=10000",), "at least 20000"),
        (("--envs=8192",), "at least 1048576, an update of 8192"),
        (("--purejaxrl=/nowhere",), "--purejaxrl=/nowhere: no ppo.py there"),
    ],
)
def test_wrong_input_exits_with_2_and_one_line(words, told, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["bench.rl", *words])
    with pytest.raises(SystemExit) as exit:
        rl.main()
    said = capsys.readouterr().err
    assert exit.value.code == 2 and len(said.splitlines()) == 1 and told in said


def test_it_is_a_program_that_ends_where_its_input_is_wrong():
    command = (sys.executable, "-m", "bench.rl", "--rounds=0")
    how = {"cwd": ROOT, "env": environment(), "timeout": 100}
    answer = subprocess.run(command, capture_output=True, text=True, check=False, **how)
    assert answer.returncode == 2 and "positive" in answer.stderr and not answer.stdout


def test_a_folder_that_lacks_a_file_is_told_and_so_is_nothing_to_compare_with(
    installed, checkout, tmp_path, started, capsys
):
    (tmp_path / "wrappers.py").unlink()
    for words, told in (
        ((f"--purejaxrl={checkout}",), "no wrappers.py there"),
        ((), "nothing to compare with"),
    ):
        installed.clear()
        with pytest.raises(SystemExit) as exit:
            started(*words)
        said = capsys.readouterr().err.splitlines()
        assert exit.value.code == 2 and len(said) == 1 and told in said[0]


def test_everything_that_is_there_is_compared_on_the_cpu_with_one_thread(
    installed, checkout, started
):
    jobs, text, packages, said = started(f"--purejaxrl={checkout}", f"--cleanrl={checkout}")
    assert [found[:3] for found in jobs] == list(rl.AIMS)
    assert not said and "Not measured" not in text
    assert {found.path for found in jobs} == {"", checkout}
    assert {found.steps for found in jobs} == {500_000}
    assert packages == ("gymnax", *PRESENT)
    assert rl.os.environ["OMP_NUM_THREADS"] == "1" and rl.os.environ["JAX_PLATFORMS"] == "cpu"


def test_what_is_absent_is_skipped_with_a_word_in_both_places(installed, checkout, started):
    installed.remove("tyro")
    jobs, text, packages, said = started("--nets=ppo", f"--cleanrl={checkout}")
    assert [str(found) for found in jobs] == ["ppo, 1 run, beside sb3"]
    assert packages == ("gymnax", "stable_baselines3")
    missing = "tyro is missing; pip install -r requirements-bench.txt"
    assert said == [
        "bench.rl: without purejaxrl: no --purejaxrl=PATH is given",
        f"bench.rl: without CleanRL: {missing}",
    ]
    told = [
        "Not measured: purejaxrl, no --purejaxrl=PATH is given.",
        f"Not measured: CleanRL, {missing}.",
    ]
    assert text.split("\n\n")[1:] == told


def test_another_number_of_environments_is_beside_purejaxrl_in_a_table_of_its_own(
    installed, checkout, started, sections
):
    jobs, text, packages, _ = started("--envs=2048", f"--purejaxrl={checkout}")
    assert jobs == [rl.Job("ppo", 1, "purejaxrl", checkout, 500_000, 2048)]
    assert sections == ["rl_many"] and packages == ("gymnax", "distrax", "flashbax")
    assert "| ppo, 2,048 environments | 1 | purejaxrl |" in text and "at least" not in text
    config, hyper = rl.config_of(jobs[0])
    assert config.agent.num_envs == 2048
    assert rl_others.purejaxrl_config(jobs[0], config, hyper)["NUM_ENVS"] == 2048
    started("--nets=ppo", f"--purejaxrl={checkout}")
    assert sections == ["rl"]
    with pytest.raises(SystemExit):
        started("--envs=2048", "--nets=dqn", f"--purejaxrl={checkout}")


def test_the_table_gives_ratios_of_rounds_and_the_rate_with_compilation():
    pair = {
        "ours": {"wall": 4000.0, "cpu": 5000.0, "compile": 5.0},
        "sb3": {"wall": 200.0, "cpu": 500.0, "compile": 0.0},
    }
    slower = pair | {"ours": pair["ours"] | {"cpu": 1000.0}}
    head, rule, row = rl.table([{"job": job(), "pairs": [pair, slower, pair]}], {}).splitlines()
    assert head.count("|") == rule.count("|") == row.count("|")
    assert row == (
        "| ppo | 1 | Stable-Baselines3 | 5,000 (1,000 to 5,000) | 500 (500 to 500) "
        "| 10.00 (2.00 to 10.00) | at least 20 | 4,000 (4,000 to 4,000) | 200 (200 to 200) "
        "| 20.00 (20.00 to 20.00) | 5.0 s / 0.0 s | 2,000 / 200 |"
    )
    both = {"ours": pair["ours"], "purejaxrl": pair["sb3"]}
    four = rl.table([{"job": job(runs=4, beside="purejaxrl"), "pairs": [both]}], {})
    assert "ppo | 4 | purejaxrl" in four and "at least" not in four.splitlines()[-1]
    assert "3,200 / 200 |" in four  # 80,000 / 25 s


def test_whole_runs_are_timed_and_compilation_apart(monkeypatch):
    now, runs = [0.0], []
    monkeypatch.setattr(processes, "spent", lambda: np.array((now[0], now[0] / 2)))

    def prepare():
        now[0] += 7.0

        def once():
            runs.append(1)
            now[0] += 2.0

        return once

    found = rl_others.timed(prepare, 100, 3.0)
    assert found == {"wall": 50.0, "cpu": 100.0, "compile": 7.0} and len(runs) == 2
    assert rl_others.timed(prepare, 100, 0.5)["wall"] == 50.0 and len(runs) == 3  # one at least


@pytest.mark.parametrize(
    ("agent", "steps", "taken"),
    [pytest.param("ppo", 2000, 1536, marks=pytest.mark.slow), ("dqn", 1190, 1100)],
)
def test_our_runs_take_the_steps_that_are_counted(agent, steps, taken, monkeypatch):
    # as the benchmark has it
    monkeypatch.setattr(loop, "data_mesh", lambda: data_mesh(jax.devices()[:1]))
    monkeypatch.setitem(rl.DQN["agent"], "learning_starts", 100)
    prepare, units = rl.our_runs(job(agent, runs=2, steps=steps))
    states, metrics = prepare()()
    assert units == 2 * taken and np.all(np.asarray(states.env_steps) == taken)
    assert metrics["episodes"].shape == (2,)
    assert np.all(np.asarray(states.hyper.bootstrap) == 1.0)


def test_the_other_sides_get_our_numbers():
    told = rl_others.purejaxrl_config(job("dqn"), *rl.config_of(job("dqn")))
    assert (told["TRAINING_INTERVAL"], told["TARGET_UPDATE_INTERVAL"]) == (10, 500)
    assert told["LEARNING_STARTS"] == 10_000
    told = rl_others.purejaxrl_config(job("ppo"), *rl.config_of(job("ppo")))
    assert (told["NUM_ENVS"], told["NUM_STEPS"], told["MAX_GRAD_NORM"]) == (4, 128, 0.5)
    assert told["ANNEAL_LR"] is True
    assert isinstance(told["TOTAL_TIMESTEPS"], int)


def test_cleanrl_counts_what_a_longer_run_takes_beyond_a_shorter(monkeypatch):
    asked, now = [], [0.0]

    def run(command, **rest):
        asked.append(int(command[-1].removeprefix("--total-timesteps=")))
        now[0] += 4.0 + asked[-1] / 1000  # imports, then steps
        return types.SimpleNamespace(returncode=0, stderr="")

    monkeypatch.setattr(rl_others.subprocess, "run", run)
    monkeypatch.setattr(rl_others, "spent_by_children", lambda: np.array((now[0], now[0] / 2)))
    compared = job(beside="cleanrl", path="x")
    found = rl_others.SIDES["cleanrl"](compared, *rl.config_of(job()), 4.0)
    assert found == pytest.approx({"wall": 1000.0, "cpu": 2000.0, "compile": 0.0})
    assert asked[0] == 1024 and asked[1] > 10_000


def test_a_script_of_cleanrl_that_fails_ends_with_its_last_line(tmp_path):
    (tmp_path / "ppo.py").write_text("raise ValueError('of the script')")
    compared = job(beside="cleanrl", path=str(tmp_path))
    with pytest.raises(SystemExit, match="ValueError: of the script"):
        rl_others.cleanrl(compared, *rl.config_of(job()), 0.1)


def test_vector_environments_tell_of_ended_episodes_as_gymnasium_0_29_does(tmp_path):
    script = tmp_path / "ppo.py"
    script.write_text("""
import gymnasium as gym
import numpy as np
make = lambda: gym.wrappers.RecordEpisodeStatistics(gym.make("CartPole-v1"))
envs = gym.vector.SyncVectorEnv([make, make])
envs.reset(seed=0)
for _ in range(40):
    obs, reward, terminated, truncated, infos = envs.step(np.array([1, 1]))
    if "final_info" in infos:
        for info, over in zip(infos["final_info"], terminated, strict=True):
            assert (info is not None) == over
            assert not over or info["episode"]["r"] == info["episode"]["l"] > 5
        assert abs(obs[terminated]).max() <= 0.05  # of the next episode
        print("ended")
""")
    command = (sys.executable, "-m", "bench.rl_others", str(script))
    how = {"cwd": ROOT, "env": environment(), "timeout": 100}
    answer = subprocess.run(command, capture_output=True, text=True, check=False, **how)
    assert answer.returncode == 0 and "ended" in answer.stdout, answer.stderr
