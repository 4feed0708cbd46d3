"""A lease is had by one process at a time, and goes on to others when its owner is no more."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from launching import ROOT

from dla_jax.trials import lease
from dla_jax.trials.lease import Leases, Lost

# Takes leases, says how many, and lives on.
TAKER = """
import sys, time
from pathlib import Path
from dla_jax.trials.lease import Leases
leases = Leases(Path(sys.argv[1]), beat=0.05)
names = [f"run{i}" for i in range(int(sys.argv[2]))]
print(*[name for name in names if leases.take(name)], flush=True)
sys.stdin.read()
"""


def start_taker(folder, number):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen((sys.executable, "-c", TAKER, folder, str(number)), cwd=ROOT, **pipes)


def end(process):
    process.kill()
    process.wait()
    process.stdin.close(), process.stdout.close()


def wait_until(what, seconds=20):
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def elsewhere(monkeypatch):
    """Let each process seem to be on a machine of its own: only their leases tell who lives."""
    monkeypatch.setattr(lease, "machine", lambda: "")


def test_of_many_threads_one_takes_each_lease(tmp_path):
    number, threads = 30, 8
    crews, barrier = [Leases(tmp_path) for _ in range(threads)], threading.Barrier(threads)

    def take_all(leases):
        barrier.wait()
        return [name for name in range(number) if leases.take(str(name))]

    with ThreadPoolExecutor(threads) as pool:
        taken = [name for found in pool.map(take_all, crews) for name in found]
    assert sorted(taken) == list(range(number))


def test_of_several_processes_one_takes_each_lease_and_a_killed_ones_are_free(tmp_path):
    first, second = start_taker(tmp_path, 40), start_taker(tmp_path, 40)
    taken = [process.stdout.readline().split() for process in (first, second)]
    assert sorted(taken[0] + taken[1]) == sorted(f"run{i}" for i in range(40))
    leases = Leases(tmp_path)
    assert not any(leases.take(f"run{i}") for i in range(40))
    end(first)
    assert [f"run{i}" for i in range(40) if leases.take(f"run{i}")] == sorted(
        taken[0], key=lambda name: int(name[3:])
    )
    end(second)


def test_of_many_that_take_over_from_a_dead_owner_one_gets_it(tmp_path):
    dead = start_taker(tmp_path, 1)
    dead.stdout.readline()
    end(dead)
    crews, barrier = [Leases(tmp_path) for _ in range(8)], threading.Barrier(8)

    def take(leases):
        barrier.wait()
        return leases.take("run0")

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(take, crews)) == 1


def test_a_released_lease_is_free_and_a_held_one_is_not(tmp_path):
    mine, other = Leases(tmp_path), Leases(tmp_path)
    assert mine.take("a/b") and not other.take("a/b") and not mine.take("a/b")
    mine.check("a/b")
    mine.release("a/b")
    assert other.take("a/b")
    with pytest.raises(Lost):
        mine.check("a/b")
    mine.close()
    other.check("a/b")


def test_an_owner_elsewhere_that_beats_keeps_its_lease_and_a_silent_one_loses_it(
    tmp_path, elsewhere
):
    mine = Leases(tmp_path, beat=0.02, patience=0.5)
    other = Leases(tmp_path, beat=0.02, patience=0.5)
    assert mine.take("run")
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        assert not other.take("run")
        time.sleep(0.05)
    mine._closed.set()  # it beats no more
    since = time.monotonic()
    wait_until(lambda: other.take("run"))
    assert 0.3 < time.monotonic() - since < 5
    with pytest.raises(Lost):
        mine.check("run")
    mine.release("run")
    assert not Leases(tmp_path).take("run")


def test_a_frozen_owner_is_taken_over_from_and_learns_so(tmp_path, monkeypatch):
    """As a host that hangs: it is stopped, and goes on when another has its lease."""
    frozen = start_taker(tmp_path, 1)
    frozen.stdout.readline()
    monkeypatch.setattr(lease, "machine", lambda: "another")
    os.kill(frozen.pid, signal.SIGSTOP)
    other = Leases(tmp_path, patience=0.3)
    wait_until(lambda: other.take("run0"))
    os.kill(frozen.pid, signal.SIGCONT)
    time.sleep(0.3)  # it touches what it had
    other.check("run0")
    assert not Leases(tmp_path).take("run0")
    end(frozen)


def test_who_has_not_touched_looks_before_it_writes(tmp_path, elsewhere):
    mine, other = Leases(tmp_path, beat=100, patience=0.4), Leases(tmp_path, patience=0.4)
    assert mine.take("run")
    wait_until(lambda: other.take("run"))
    with pytest.raises(Lost):
        mine.check("run")


def test_a_lease_that_is_not_written_whole_is_left_in_peace_for_a_while(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "1").write_text('{"machi')
    leases = Leases(tmp_path, patience=0.3)
    assert not leases.take("run")
    wait_until(lambda: leases.take("run"))
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["1", "2"]


def test_another_process_of_the_same_number_is_not_the_owner(tmp_path):
    here = lease.this_process()
    assert not lease.has_ended(here)
    assert lease.has_ended(here | {"began": "1"})
    assert not lease.has_ended(here | {"began": "1", "machine": "another"})
    assert not lease.has_ended({})


def test_a_zombie_has_ended():
    process = subprocess.Popen((sys.executable, "-c", ""))
    wait_until(lambda: lease.began(process.pid) == "")
    process.wait()


def test_a_folder_that_is_removed_meanwhile_is_no_error(tmp_path, monkeypatch):
    """As by the process that finished the study, while another asks for what is left."""
    leases, listdir = Leases(tmp_path), os.listdir

    def removed_before(folder):
        os.rmdir(folder)
        return listdir(folder)

    monkeypatch.setattr("dla_jax.trials.lease.os.listdir", removed_before)
    assert not leases.take("a")
    monkeypatch.undo()
    assert leases.take("a")
    leases.close()
