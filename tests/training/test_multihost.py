"""Two processes on this machine, joined over loopback, train what one process trains."""

import json
import signal
import socket
import time

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest
from launching import launch, start

from dla_jax.config.workdir import lock_workdir
from dla_jax.evidence.rows import read_record

STUDY = (
    "--config=configs/rescnn.py:smoke",
    "--config.depths=2",
    "--config.arms=residual",
    "--config.side_arms=",
    "--config.optim.lr=1e-2",
    "--config.seeds=0,1",
    "--config.num_epochs=6",
    "--config.eval_every_epochs=6",
    "--config.log_every_steps=10",
    "--quiet",
)


def start_two(workdir):
    """Start the two processes of a launch."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    return [
        start(
            *STUDY,
            "--multihost",
            f"--workdir={workdir}",
            JAX_COORDINATOR_ADDRESS=address,
            JAX_NUM_PROCESSES="2",
            JAX_PROCESS_ID=str(i),
        )
        for i in range(2)
    ]


def answers(processes):
    """Wait for processes, and return [(exit code, standard error)]."""
    texts = [process.communicate()[1] for process in processes]
    return [(process.returncode, text) for process, text in zip(processes, texts, strict=True)]


def models(workdir):
    """Return {run: parameters and state} of all compared nets."""
    found = sorted((workdir / "checkpoints" / "final").glob("*/*/model"))
    read = ocp.StandardCheckpointer().restore
    return {str(path.relative_to(workdir)): read(path.absolute()) for path in found}


def rows(workdir):
    """Return the rows of a record without what differs from run to run, the times."""
    timed = ("second", "per_s")
    return [
        {name: value for name, value in row.items() if not any(word in name for word in timed)}
        for row in read_record(workdir)
    ]


def assert_close(a, b):
    first, second = models(a), models(b)
    assert list(first) == list(second) and len(first) == 2

    def check(x, y):
        np.testing.assert_allclose(x, y, rtol=1e-3, atol=2e-4)

    jax.tree.map(check, first, second)


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("two") / "run"
    return workdir, answers(start_two(workdir))


@pytest.mark.slow
def test_two_processes_equal_one(two, tmp_path):
    workdir, found = two
    assert [code for code, _ in found] == [0, 0], found
    assert launch(*STUDY, f"--workdir={tmp_path / 'one'}", "--config.cells_at_a_time=1").code == 0
    assert_close(workdir, tmp_path / "one")
    for a, b in zip(rows(workdir), rows(tmp_path / "one"), strict=True):
        assert a["run"] == b["run"] and a["step"] == b["step"]
        if "train_loss" in a:
            assert a["train_loss"] == pytest.approx(b["train_loss"], rel=1e-3)


@pytest.mark.slow
def test_the_first_process_alone_writes_and_speaks(two):
    workdir, found = two
    assert "devices: 2 x cpu" in found[0][1] and str(workdir / "report.html") in found[0][1]
    assert [line for line in found[1][1].splitlines() if "Gloo" not in line] == []
    assert (workdir / "report.html").exists()
    assert len(json.loads((workdir / "config.json").read_text())["launches"]) == 1
    names = [row["run"] for row in rows(workdir) if row.get("done")]
    assert len(names) == len(set(names)) == 2


def test_what_one_process_cannot_do_ends_both_in_one_line(tmp_path):
    # The workdir is taken: only the first process sees it.
    with lock_workdir(tmp_path / "run"):
        begun = time.perf_counter()
        found = answers(start_two(tmp_path / "run"))
    assert [code for code, _ in found] == [2, 2] and time.perf_counter() - begun < 100, found
    assert "in use by another process" in found[0][1]
    assert "another process could not take the workdir" in found[1][1]
    assert all("Traceback" not in text for _, text in found)


@pytest.mark.slow
def test_a_signal_to_one_process_stops_both_and_the_same_command_goes_on(two, tmp_path):
    processes = start_two(tmp_path / "run")
    while len(read_record(tmp_path / "run")) < 5:
        assert processes[0].poll() is None
        time.sleep(0.05)
    processes[1].send_signal(signal.SIGTERM)
    found = answers(processes)
    assert {code for code, _ in found} <= {130, 143} and "interrupted" in found[0][1], found
    assert list((tmp_path / "run" / "checkpoints").rglob("training/*"))
    found = answers(start_two(tmp_path / "run"))
    assert [code for code, _ in found] == [0, 0], found
    assert rows(tmp_path / "run") == rows(two[0])
    stopped, uninterrupted = models(tmp_path / "run"), models(two[0])
    jax.tree.map(np.testing.assert_array_equal, stopped, uninterrupted)
