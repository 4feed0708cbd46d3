"""Workers as tasks: what submitit is asked for, how a task saves, waits its turn and goes on."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from launching import launch, wait_until

from dla_jax.config.checks import ConfigError
from dla_jax.config.flags import TYPED, Sharing
from dla_jax.front import cluster
from dla_jax.front.cluster import Task, Tasks, states_of
from dla_jax.front.processes import Ended, Start

# Ends at once when it is started again; the first time it waits for the signal that asks to save.
STUB = """
import os, signal, sys, time
mark = sys.argv[1]
if os.path.exists(mark):
    print("goes on"); sys.exit(0)
def save(*given):
    open(mark, "w").close(); print("saved"); sys.exit(143)
signal.signal(signal.SIGTERM, save)
print("at work", flush=True)
time.sleep(60)
"""


def stub(folder):
    return [sys.executable, "-c", STUB, str(folder / "mark")]


def said(path):
    return path.read_text() if path.exists() else ""


def at_work(path):
    wait_until(lambda: "at work\n" in said(path))  # unbuffered, the end of the line comes later


@pytest.fixture
def signals():
    """Put back what signals do, which a task changes."""
    numbers = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def when_at_work(log, number):
    def send():
        at_work(log)
        os.kill(os.getpid(), number)

    threading.Thread(target=send, daemon=True).start()


def test_a_task_that_is_ended_asks_its_worker_to_save(tmp_path, signals):
    log = tmp_path / "log"
    when_at_work(log, signal.SIGTERM)
    assert Task(Start(stub(tmp_path), log, {}))() == 143
    assert said(log).split("\n")[:2] == ["at work", "saved"]


def test_a_task_whose_time_is_over_saves_and_goes_on_as_another(tmp_path, signals):
    pytest.importorskip("submitit", reason="submitit: requirements-cluster.txt")
    log, found = tmp_path / "log", []
    task = Task(Start(stub(tmp_path), log, {}))
    signal.signal(signal.SIGUSR2, lambda *given: found.append(task.checkpoint()))
    when_at_work(log, signal.SIGUSR2)
    assert task() == 143 and (tmp_path / "mark").exists()
    (submission,) = found
    assert submission.function() == 0 and "goes on" in said(log)


def test_tasks_of_this_machine_go_on_after_they_were_interrupted(tmp_path):
    """By submitit's own executor, and its own signal, as Slurm sends it before a task's end."""
    pytest.importorskip("submitit", reason="submitit: requirements-cluster.txt")
    team = Tasks(stub(tmp_path), tmp_path, "typed", Sharing(submit="local", tasks=1))
    at_work(tmp_path / "worker1.log")
    assert team.under_way() == 1 and team.words() == "1 tasks"
    controller = team.job
    children = Path(f"/proc/{controller}/task/{controller}/children")
    os.kill(int(children.read_text()), signal.SIGUSR2)
    wait_until(lambda: not team.under_way())
    assert said(tmp_path / "worker1.log").split() == ["at", "work", "saved", "goes", "on"]
    assert team.failed() == []


def test_tasks_of_this_machine_save_when_asked_to_stop(tmp_path):
    pytest.importorskip("submitit", reason="submitit: requirements-cluster.txt")
    team = Tasks(stub(tmp_path), tmp_path, "typed", Sharing(submit="local", tasks=2))
    logs = [tmp_path / f"worker{number}.log" for number in (1, 2)]
    for log in logs:
        at_work(log)
    team.stop()
    wait_until(lambda: not team.under_way())
    assert team.failed() == [Ended(143, log) for log in logs]


def test_a_study_is_run_by_tasks_of_this_machine(tmp_path):
    pytest.importorskip("submitit", reason="submitit: requirements-cluster.txt")
    words = "--config.depths=2 --config.arms=plain --config.side_arms= --config.optim.lr=1e-2"
    flags = (*words.split(), "--config.seeds=0,1", "--config.num_epochs=1")
    workdir = tmp_path / "run"
    shared = ("--submit=local", "--tasks=2", f"--workdir={workdir}")
    answer = launch("--config=configs/rescnn.py:smoke", *flags, *shared)
    assert answer.code == 0, answer.err
    assert "2 runs, 2 workers" in answer.err and str(workdir / "report.html") in answer.err


def test_slurm_is_told_what_was_typed():
    parameters = Tasks._parameters
    slurm, local = Tasks.__new__(Tasks), Tasks.__new__(Tasks)
    slurm._slurm, local._slurm = True, False
    given = Sharing(submit="slurm", tasks=16, gpus=1, cpus=4, minutes=30, partition="gpu")
    assert parameters(slurm, given) == {
        "name": "dla_jax",
        "timeout_min": 30,
        "cpus_per_task": 4,
        "gpus_per_node": 1,
        "slurm_partition": "gpu",
        "slurm_setup": ["export SRUN_CPUS_PER_TASK=4"],
    }
    least = parameters(local, Sharing(submit="local", tasks=2))
    assert least == {"name": "dla_jax", "timeout_min": 60, "cpus_per_task": 1}
    devices = [local._own(given, number)["CUDA_VISIBLE_DEVICES"] for number in range(2)]
    assert devices == ["0", "1"] and slurm._own(given, 0) == {}


@pytest.mark.parametrize(
    ("code", "out", "err", "states"),
    [
        (0, "RUNNING\nPENDING\n", "", ["RUNNING", "PENDING"]),
        (0, "", "", []),
        (1, "", "slurm_load_jobs error: Invalid job id specified", []),
        (1, "", "slurm_load_jobs error: Unable to contact slurm controller", ["UNKNOWN"]),
    ],
)
def test_slurm_says_which_tasks_are_left(monkeypatch, code, out, err, states):
    answer = subprocess.CompletedProcess((), code, out, err)
    monkeypatch.setattr(subprocess, "run", lambda *words, **more: answer)
    assert states_of("7") == states


def test_without_submitit_or_slurm_it_says_what_brings_them(monkeypatch):
    slurm = Sharing(submit="slurm", tasks=2)
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(ConfigError, match=r"needs submitit; .*requirements-cluster\.txt"):
        cluster.check_cluster(slurm)
    monkeypatch.setitem(sys.modules, "submitit", type(sys)("submitit"))
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(ConfigError, match="there is no sbatch here"):
        cluster.check_cluster(slurm)
    monkeypatch.setattr("shutil.which", lambda name: name)
    cluster.check_cluster(slurm)
    with pytest.raises(ConfigError, match="--minutes: 4 is too short"):
        cluster.check_cluster(slurm._replace(minutes=4))


def test_a_worker_knows_what_was_typed(tmp_path, signals):
    command = [sys.executable, "-c", f"import os; print(os.environ['{TYPED}'])"]
    assert Task(Start(command, tmp_path / "log", {TYPED: "the command"}))() == 0
    assert said(tmp_path / "log") == "the command\n"
