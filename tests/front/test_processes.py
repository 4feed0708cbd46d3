"""Workers of this machine: how they are started, asked to stop, and what is said of their ends."""

import sys
from errno import ENOSPC
from pathlib import Path

import pytest
from launching import wait_until

from dla_jax.config.checks import ConfigError
from dla_jax.config.flags import TYPED
from dla_jax.config.stop import WorkersEnded, stop_requested
from dla_jax.config.workdir import Launch
from dla_jax.front import processes, workers
from dla_jax.front.processes import Ended, Processes, new_log, shares, start, starts_of

SLEEPER = (
    "import os, signal, sys, time\n"
    "def end(*given):\n"
    "    print('saved', flush=True); sys.exit(143)\n"
    "signal.signal(signal.SIGTERM, end)\n"
    f"print(os.environ['{TYPED}'], flush=True)\n"
    "time.sleep(60)\n"
)


def started(folder, code, number=1):
    command = [sys.executable, "-c", code]
    return Processes(starts_of(command, folder, "the command", number), start)


def launch_in(workdir):
    return Launch(workdir, None, Path(), True, True, command="python launch.py --workers=2")


def test_workers_know_what_was_typed_and_save_when_asked_to_stop(tmp_path):
    team = started(tmp_path, SLEEPER, 2)
    logs = [tmp_path / f"worker{number}.log" for number in (1, 2)]
    wait_until(lambda: all(log.read_text() == "the command\n" for log in logs))
    assert team.under_way() == 2 and team.words() == "2 workers" and team.failed() == []
    team.stop()
    wait_until(lambda: not team.under_way())
    assert team.failed() == [Ended(143, log) for log in logs]
    assert [one.last_line for one in team.failed()] == ["saved", "saved"]


def test_a_stop_that_is_asked_for_reaches_them_while_they_are_watched(tmp_path):
    team = started(tmp_path, SLEEPER)
    wait_until(lambda: (tmp_path / "worker1.log").read_text() == "the command\n")
    stop_requested.set()
    workers.watch(team, launch_in(tmp_path), ["final/a/seed0"])
    assert team.failed()[0].last_line == "saved"


def test_a_second_launch_writes_logs_of_its_own(tmp_path):
    assert [new_log(tmp_path).name for _ in range(3)] == [f"worker{i}.log" for i in (1, 2, 3)]


def why(tmp_path, said, code):
    log = tmp_path / "worker1.log"
    log.write_text(said)
    return workers.why_ended([Ended(code, log)], launch_in(tmp_path))


def test_why_all_ended_is_said_with_the_exit_code_of_one_process(tmp_path, monkeypatch):
    error = why(tmp_path, "devices: 1\nlaunch.py: no data; fetch them\n\n", 2)
    assert isinstance(error, ConfigError) and str(error) == "no data; fetch them"
    error = why(tmp_path, "dla-jax: no data\n", 2)
    assert isinstance(error, ConfigError) and str(error) == "no data"
    error = why(tmp_path, "launch.py: the loss became non-finite at step 3\n", 3)
    assert isinstance(error, WorkersEnded) and error.code == 3 and "step 3" in str(error)
    error = why(tmp_path, "Traceback\nZeroDivisionError: a bug\n", 1)
    assert error.code == 1 and "exit code 1" in str(error) and "a bug" in str(error)
    assert str(tmp_path / "worker1.log") in str(error) and "--workers=2" in str(error)
    error = why(tmp_path, "", -9)
    assert "was killed (signal 9)" in str(error)
    full = type("Usage", (), {"free": 0})
    monkeypatch.setattr("shutil.disk_usage", lambda folder: full)
    assert why(tmp_path, "", 1).errno == ENOSPC


def test_a_log_that_is_not_there_says_nothing(tmp_path):
    assert Ended(1, tmp_path / "none.log").last_line == ""


@pytest.mark.parametrize(
    ("gpus", "number", "devices", "part"),
    [
        ("", 2, [None, None], None),
        ("0,1", 2, ["0", "1"], None),
        ("4,7", 3, ["4", "7", "4"], "0.450"),
        ("GPU-a", 4, ["GPU-a"] * 4, "0.225"),
    ],
)
def test_gpus_are_shared_out(monkeypatch, gpus, number, devices, part):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus)
    found = shares(number)
    assert [own.get("CUDA_VISIBLE_DEVICES") for own in found] == devices
    assert {own.get("XLA_PYTHON_CLIENT_MEM_FRACTION") for own in found} == {part}


def test_without_a_variable_all_gpus_of_the_machine_are_there(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(processes.glob, "glob", lambda pattern: ["/dev/nvidia0", "/dev/nvidia1"])
    assert processes.visible_gpus() == ["0", "1"]
