"""The table of a large grid: its record is read and drawn, its operations are counted."""

import sys

import pytest

from bench import large_grid
from configs import rescnn
from dla_jax.trials.lease import Leases


@pytest.fixture(scope="module")
def counter():
    return large_grid.Counter()


@pytest.fixture
def small(monkeypatch):
    get_config = rescnn.get_config
    monkeypatch.setattr(large_grid.rescnn, "get_config", lambda argument: get_config("smoke"))


def test_a_study_of_so_many_runs_has_its_seeds_from_those_that_choose_no_rate(small):
    config, runs = large_grid.config_of(200)
    assert 200 <= runs < 220 and runs == len(large_grid.trials_of(config))
    assert set(config.select_seeds).isdisjoint(config.seeds)


def test_a_lease_takes_five_operations_and_one_that_is_taken_three(counter, tmp_path):
    mine, other = Leases(tmp_path), Leases(tmp_path)
    assert large_grid.timed(lambda: mine.take("run"), counter)[2] == 3  # mkdir, list, make
    assert large_grid.timed(lambda: mine.check("run"), counter)[2] == 0
    assert large_grid.timed(lambda: other.take("run"), counter)[2] == 3  # mkdir, list, read
    assert large_grid.timed(lambda: mine.release("run"), counter)[2] == 1
    mine.close()


@pytest.mark.slow
def test_the_table_counts_what_a_worker_asks_of_the_disk(small):
    rows = {row[0]: row for row in large_grid.measure(trials=60, workers=5)}
    config, runs = large_grid.config_of(60)
    files = int(rows["the record written"][1].split()[0])
    assert files == runs
    left = large_grid.trials_of(config)[runs // 2 :]
    *taken, got = left[:5]
    # A look at each run that is not done, and three operations for each of four that are taken. The
    # one that is got has a folder to be made, maybe in another: two operations each beside the
    # three that take it; then a last look, and one to give it back.
    folders = 1 + (got.arm not in {trial.arm for trial in taken})
    found = rows[f"a worker finds its next run, {len(left)} not done, 4 others at work"]
    assert found[1] == f"{len(left) + 4 * 3 + 3 + 2 * folders + 1 + 1} operations"
    waits = rows["a worker that waits looks once, 4 others at work"]
    assert waits[1] == f"{4 + 4 * 3} operations"
    assert float(rows["the whole report is drawn"][2]) > 0


def test_too_many_workers_are_refused(small, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["large_grid", "--trials=60", "--workers=50"])
    with pytest.raises(SystemExit) as ended:
        large_grid.main()
    assert ended.value.code == 2 and "a quarter of runs" in capsys.readouterr().err
