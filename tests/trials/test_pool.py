"""Jobs run side by side in threads, and the first failure or a stop request ends them."""

import threading
import time

import jax
import pytest

from dla_jax.config.stop import Interrupted, stop_requested
from dla_jax.trials.pool import at_a_time, run_all


def test_all_items_are_worked_on_in_order_and_side_by_side():
    begun, together, lock = [], [], threading.Lock()

    def work(item):
        with lock:
            begun.append(item)
        time.sleep(0.02)
        with lock:
            together.append(threading.active_count())

    run_all(work, range(10), workers=2)
    assert sorted(begun) == list(range(10)) and begun[0] == 0 and begun[-1] >= 8


def test_the_first_failure_stops_the_others_and_is_raised():
    done = []

    def work(item):
        if item == 2:
            raise ZeroDivisionError("cause")
        time.sleep(0.02)
        if stop_requested.is_set():
            raise Interrupted
        done.append(item)

    with pytest.raises(ZeroDivisionError, match="cause"):
        run_all(work, range(50), workers=2)
    assert len(done) < 5


def test_a_stop_request_begins_nothing_new():
    done = []

    def work(item):
        done.append(item)
        stop_requested.set()

    with pytest.raises(Interrupted):
        run_all(work, range(5), workers=1)
    assert done == [0]


def test_nothing_to_do():
    run_all(lambda item: 1 / 0, [], workers=2)


def test_over_several_devices_runs_come_one_after_another():
    assert at_a_time(0) == at_a_time(8) == 1  # four devices in the tests


def test_on_one_cpu_device_a_run_a_core_is_under_way(monkeypatch):
    monkeypatch.setattr(jax, "device_count", lambda: 1)
    monkeypatch.setattr("dla_jax.trials.pool.cpu_cores", lambda: 3)
    assert (at_a_time(0), at_a_time(2)) == (3, 2)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert (at_a_time(0), at_a_time(2)) == (1, 2)
