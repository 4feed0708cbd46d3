"""Several processes at one grid make the record of one, each run by one of them."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from dla_jax.config.stop import Interrupted, stop_requested
from dla_jax.evidence.rows import read_record
from dla_jax.training.record import Record
from dla_jax.trials import halving, lease
from dla_jax.trials.arms import Trial, choose_rates, mean_score
from dla_jax.trials.crew import Alone, Crew, forget, leases_folder
from dla_jax.trials.grid import Job, run_grid

RATES, SEEDS = (0.1, 0.2, 0.3, 0.4), (8, 9)
SELECT = [Trial("select", arm, seed, lr) for arm in "ab" for lr in RATES for seed in SEEDS]
FINAL = [Trial("final", arm, seed, 0.0) for seed in range(4) for arm in "ab"]
# Scores at the two cuts: a's best is .3, b's .2.
SCORES = {"a": {0.1: (1, 1), 0.2: (2, 2), 0.3: (3, 9), 0.4: (4, 4)}}
SCORES["b"] = {0.1: (1, 1), 0.2: (3, 9), 0.3: (2, 2), 0.4: (4, 4)}


class Own:
    lender, rates = None, RATES

    def __init__(self, name):
        self.name = name


class Study:
    """Runs of two rows each; each process has its own, as a process of a crew would."""

    def __init__(self, workdir, log, halved=False, crew=None):
        self.workdir, self.log, self.halved, self.crew = workdir, log, halved, crew
        self.record = Record(workdir, check=crew.check if crew else lambda: None)
        self.on_row = lambda trial: None
        self.score = mean_score("score")

    def job(self, trials):
        (trial,) = trials
        results = []

        def run(given, progress):
            (own,) = given
            self.log.append(own.name)
            self.record.resume(own.name, -1)
            self.record.append({"run": own.name, "step": 1})
            self.on_row(own)
            score = SCORES[own.arm][own.lr][1]
            row = {"run": own.name, "step": 2, "done": True, "lr": own.lr, "score": score}
            self.record.append(row)

        def advance(cut, progress):
            while len(results) <= cut:
                self.log.append(f"{trial.name} {len(results)}")
                results.append({"score": SCORES[trial.arm][trial.lr][len(results)]})
            return results

        def end(cut, progress):
            cuts = advance(cut, progress)
            row = {"run": trial.name, "step": len(cuts), "done": True, "cuts": cuts}
            self.record.append(row | cuts[-1])

        return Job([trial], 1, trial.arm, lambda: None, run, advance, end)

    def run(self, side_by_side=1):
        def chosen(done):
            pick = {"pick": halving.chosen_rate} if self.halved else {}
            return choose_rates({arm: Own(arm) for arm in "ab"}, SELECT, done, self.score, **pick)

        run_grid(
            self.record,
            SELECT,
            FINAL,
            make_jobs=lambda trials: [self.job([trial]) for trial in trials],
            choose_rates=chosen,
            side_by_side=side_by_side,
            quiet=True,
            unit="run",
            halved_by=self.score if self.halved else None,
            crew=self.crew,
        )
        self.record.close()


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr("dla_jax.trials.crew.WAIT", 0.01)


@pytest.mark.parametrize("halved", [False, True])
def test_a_crew_makes_the_record_of_one_process_and_each_run_once(tmp_path, halved):
    alone, log = [], []
    Study(tmp_path / "alone", alone, halved).run()
    studies = [Study(tmp_path / "crew", log, halved, Crew(tmp_path / "crew")) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(study.run) for study in studies]:
            future.result()
    assert read_record(tmp_path / "crew") == read_record(tmp_path / "alone")
    # A run that another process brought to a cut is read back, not trained again.
    assert set(log) == set(alone) and (halved or sorted(log) == sorted(alone))
    rates = {row["run"]: row["lr"] for row in read_record(tmp_path / "crew") if "lr" in row}
    assert rates["final/a/seed0"] == 0.3 and rates["final/b/seed3"] == 0.2


def test_what_one_process_left_a_crew_goes_on_with_and_the_other_way_round(tmp_path):
    log = []

    def stop_at(name):
        def stop(trial):
            if trial.name == name:
                stop_requested.set()

        return stop

    first = Study(tmp_path, log)
    first.on_row = stop_at(SELECT[5].name)
    with pytest.raises(Interrupted):
        first.run()
    stop_requested.clear()
    second = Study(tmp_path, log, crew=Crew(tmp_path))
    second.on_row = stop_at(FINAL[2].name)
    with pytest.raises(Interrupted):
        second.run()
    stop_requested.clear()
    second.crew.close()
    Study(tmp_path, log).run()
    assert sorted(log) == sorted(trial.name for trial in [*SELECT, *FINAL])


def test_a_frozen_process_loses_its_run_and_writes_no_row_of_it(tmp_path, monkeypatch):
    monkeypatch.setattr(lease, "machine", lambda: "")
    log, frozen, thawed, lost = [], threading.Event(), threading.Event(), []
    slow = Study(tmp_path, log, crew=Crew(tmp_path, beat=1000, patience=0.5))
    quick = Study(tmp_path, log, crew=Crew(tmp_path, beat=0.05, patience=0.5))

    def freeze(trial):
        if not frozen.is_set():
            lost.append(trial.name)
            frozen.set()
            thawed.wait()

    slow.on_row = freeze
    with ThreadPoolExecutor(2) as pool:
        running = pool.submit(slow.run)
        assert frozen.wait(20)
        other = pool.submit(quick.run)
        other.result()
        thawed.set()
        running.result()
    assert log.count(lost[0]) == 2
    assert len(log) == len(SELECT) + len(FINAL) + 1
    rows = [row for row in read_record(tmp_path) if row["run"] == lost[0]]
    assert [row["step"] for row in rows] == [1, 2]


def test_an_error_is_raised_where_it_happened_and_others_try_again(tmp_path):
    log = []
    failing, other = (Study(tmp_path, log, crew=Crew(tmp_path)) for _ in range(2))

    def fail(trial):
        raise ZeroDivisionError

    failing.on_row = fail
    with pytest.raises(ZeroDivisionError):
        failing.run()
    other.run()
    assert len(read_record(tmp_path)) == 2 * (len(SELECT) + len(FINAL))


def test_over_several_devices_a_worker_makes_one_run_at_a_time(tmp_path, monkeypatch):
    """Else the collectives of its runs would mix, and wait for one another for ever."""
    threads = {1: [], 2: []}
    for devices, own in threads.items():
        monkeypatch.setattr("dla_jax.trials.pool.jax.device_count", lambda n=devices: n)
        study = Study(tmp_path / str(devices), [], crew=Crew(tmp_path / str(devices)))
        study.on_row = lambda trial, own=own: own.append(threading.current_thread())
        study.run(side_by_side=2)
    assert set(threads[2]) == {threading.main_thread()}
    assert threading.main_thread() not in threads[1]


def test_the_first_goes_alone_and_the_others_after_it(tmp_path):
    crews, inside, most = [Crew(tmp_path) for _ in range(4)], [], []

    def go(crew):
        with crew.after_first("data"):
            inside.append(crew)
            most.append((len(inside), crew.kept("data")))
            time.sleep(0.1)
            inside.remove(crew)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(go, crews))
    assert [count for count, kept in most if kept is None] == [1]
    assert max(count for count, kept in most if kept) > 1  # and not one after another


def test_one_at_a_time_is_within(tmp_path):
    crews, inside, most = [Crew(tmp_path) for _ in range(4)], [], []

    def go(crew):
        with crew.alone("config"):
            inside.append(crew)
            most.append(len(inside))
            time.sleep(0.02)
            inside.remove(crew)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(go, crews))
    assert most == [1] * 4


def test_what_is_kept_comes_back_and_leases_are_forgotten(tmp_path):
    crew, alone = Crew(tmp_path), Alone()
    value = [{"score": 0.1, "nan": None}]
    for team in (crew, alone):
        assert team.kept("a/b") is None
        team.keep("a/b", value)
        assert team.kept("a/b") == value
    assert Crew(tmp_path).kept("a/b") == value
    forget(tmp_path)
    assert not leases_folder(tmp_path).exists()


def test_a_task_of_one_process_alone_goes_to_another_when_that_one_ends(tmp_path):
    first, second = Crew(tmp_path), Crew(tmp_path)
    assert [crew.has_task("look") for crew in (first, second, first, second)] == [1, 0, 1, 0]
    first.close()
    assert second.has_task("look") and second.has_task("look")


def test_a_frozen_process_has_its_task_no_more_when_another_took_over(tmp_path, monkeypatch):
    monkeypatch.setattr(lease, "machine", lambda: "")
    frozen, other = Crew(tmp_path, beat=1000, patience=0.2), Crew(tmp_path, 0.05, patience=0.2)
    assert frozen.has_task("look") and not other.has_task("look")
    time.sleep(0.3)
    assert other.has_task("look") and not frozen.has_task("look")
    other.close()


def test_a_process_goes_on_with_the_program_that_it_has_compiled(tmp_path):
    jobs = [
        Job([Trial("final", program, seed, 0.1)], 1, program, None, None)
        for seed, program in enumerate("abcabcabc")
    ]
    crew, done, compiled = Crew(tmp_path), [], []

    def work(job):
        crew.prepare(job.program, job.program, lambda: compiled.append(job.program))
        done.append(job)

    def name_of(job):
        return job.trials[0].name

    crew.each(work, jobs, 1, name_of, lambda job: job in done)
    crew.close()
    assert [job.program for job in done] == [program for program in compiled for _ in range(3)]
    assert sorted(compiled) == ["a", "b", "c"]
    seeds = [job.trials[0].seed for job in done]
    assert all(seeds[i : i + 3] == sorted(seeds[i : i + 3]) for i in (0, 3, 6))


def test_processes_begin_with_programs_of_their_own(tmp_path):
    jobs = [Job([], 1, program, None, None) for program in range(20)]
    first, second = Crew(tmp_path), Crew(tmp_path)
    orders = [sorted(jobs, key=crew._place) for crew in (first, second, first)]
    assert orders[0] == orders[2] != orders[1]
