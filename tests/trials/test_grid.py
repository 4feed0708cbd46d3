"""A grid of runs: those that choose rates first, then those that are compared; resumable."""

import pytest

from dla_jax.config.stop import Interrupted, NonFiniteLoss, stop_requested
from dla_jax.training.record import Record
from dla_jax.trials.arms import Trial
from dla_jax.trials.grid import Job, run_grid

RATES = {"a": 0.1, "b": 0.01}
SELECT = [Trial("select", arm, seed, lr) for arm in RATES for lr in (0.1, 0.01) for seed in (8, 9)]
FINAL = [Trial("final", arm, seed, 0.0) for seed in (0, 1) for arm in RATES]


class Grid:
    """A grid whose runs only write that they ran, and what it did in which order."""

    def __init__(self, workdir, together=1):
        self.workdir, self.together = workdir, together
        self.log = []  # ("compile", program), ("run", name, lr), ("choose", runs that are done)
        self.progress = []  # (units done, of all) when a job begins
        self.on_run = lambda trial: None

    def job(self, trials, record):
        def run(given, progress):
            self.progress.append((progress.n, progress.total))
            for trial in given:
                if trial.name in record.done:
                    continue
                self.log.append(("run", trial.name, trial.lr))
                self.on_run(trial)
                record.append({"run": trial.name, "step": 1, "done": True, "lr": trial.lr})
                progress.update(10)

        program = f"{trials[0].stage} {trials[0].arm}"
        compile_it = lambda: self.log.append(("compile", program))
        return Job(trials, units=10 * len(trials), program=program, compile=compile_it, run=run)

    def run(self, side_by_side=1, quiet=True):
        record = Record(self.workdir)

        def make_jobs(trials):
            self.log.append(("make jobs", len(trials)))
            # What is compared stands first: the grid itself has to order the two stages.
            ordered = trials[::-1]
            size = self.together
            groups = [ordered[i : i + size] for i in range(0, len(ordered), size)]
            return [self.job(group, record) for group in groups]

        def choose_rates(done):
            self.log.append(("choose", sorted(done)))
            return RATES

        try:
            run_grid(
                record,
                SELECT,
                FINAL,
                make_jobs=make_jobs,
                choose_rates=choose_rates,
                side_by_side=side_by_side,
                quiet=quiet,
                unit="step",
            )
        finally:
            record.close()

    def of(self, kind):
        return [entry[1:] for entry in self.log if entry[0] == kind]

    @property
    def ran(self):
        return [name for name, _ in self.of("run")]


@pytest.fixture
def grid(tmp_path):
    return Grid(tmp_path)


def names(trials):
    return [trial.name for trial in trials]


@pytest.mark.parametrize("side_by_side", [1, 3])
def test_rates_are_chosen_by_all_selecting_runs_before_any_compared_one(
    grid, side_by_side, monkeypatch
):
    # On the four devices of the tests, runs would come one after another.
    monkeypatch.setattr("dla_jax.trials.grid.at_a_time", lambda configured: configured)
    grid.run(side_by_side)
    assert sorted(grid.ran[: len(SELECT)]) == sorted(names(SELECT))
    assert sorted(grid.ran[len(SELECT) :]) == sorted(names(FINAL))
    assert grid.of("choose") == [(sorted(names(SELECT)),)]
    chosen_at = grid.log.index(("choose", sorted(names(SELECT))))
    assert {entry[0] for entry in grid.log[chosen_at + 1 :]} == {"run"}


def test_runs_of_a_stage_begin_in_the_order_of_their_jobs(grid):
    grid.run()
    assert grid.ran == [*names(SELECT)[::-1], *names(FINAL)[::-1]]


def test_selecting_runs_have_their_own_rate_and_compared_ones_the_chosen_one(grid):
    grid.run()
    rates = dict(grid.of("run"))
    assert {name: rates[name] for name in names(SELECT)} == {
        trial.name: trial.lr for trial in SELECT
    }
    assert {trial.name: rates[trial.name] for trial in FINAL} == {
        trial.name: RATES[trial.arm] for trial in FINAL
    }


def test_each_program_is_compiled_once_and_before_any_run(grid, capsys):
    grid.run()
    programs = ["final a", "final b", "select a", "select b"]
    assert sorted(program for (program,) in grid.of("compile")) == programs
    kinds = [entry[0] for entry in grid.log]
    assert kinds[:5] == ["make jobs", *["compile"] * 4] and "compile" not in kinds[5:]
    err = capsys.readouterr().err
    assert "12 runs: 8 choose learning rates, 4 are compared\n" in err
    assert "4 programs compiled" in err


def test_a_job_without_a_program_compiles_nothing(grid, monkeypatch, capsys):
    whole = grid.job
    monkeypatch.setattr(grid, "job", lambda *given: whole(*given)._replace(program=None))
    grid.run()
    assert grid.of("compile") == [] and len(grid.ran) == 12
    assert "compiled" not in capsys.readouterr().err


def write_done(workdir, trials):
    record = Record(workdir)
    for trial in trials:
        record.append({"run": trial.name, "step": 1, "done": True, "lr": trial.lr})
    record.close()


def test_done_runs_are_not_run_again(grid, tmp_path, capsys):
    done = [*SELECT, FINAL[1], FINAL[3]]  # those of b
    write_done(tmp_path, done)
    grid.run(quiet=False)
    assert grid.ran == [FINAL[2].name, FINAL[0].name]
    assert grid.of("compile") == [("final a",)]  # nor are programs compiled that no run needs
    assert set(grid.of("choose")[0][0]) == set(names(done))
    assert grid.progress == [(100, 120), (110, 120)]
    assert ", 10 of them done before" in capsys.readouterr().err


def test_selecting_continues_where_it_stopped(grid, tmp_path):
    write_done(tmp_path, SELECT[2:])
    grid.run()
    assert grid.ran == [*names(SELECT[:2])[::-1], *names(FINAL)[::-1]]
    assert grid.of("choose") == [(sorted(names(SELECT)),)]


def test_a_job_of_several_runs_is_begun_while_one_of_them_is_left(tmp_path):
    grid = Grid(tmp_path, together=2)
    write_done(tmp_path, [*SELECT, *FINAL[:3]])
    grid.run()
    assert grid.ran == [FINAL[3].name]
    assert dict(grid.of("run"))[FINAL[3].name] == RATES["b"]


def test_a_finished_study_makes_no_jobs(grid, tmp_path, capsys):
    write_done(tmp_path, [*SELECT, *FINAL])
    grid.run()
    assert grid.log == []
    assert "the study is finished; drawing its report again" in capsys.readouterr().err


@pytest.mark.parametrize("last", [SELECT[3], FINAL[1]])
def test_a_stop_request_lets_what_is_under_way_end_and_begins_nothing(grid, last):
    def stop_there(trial):
        if trial.name == last.name:
            stop_requested.set()

    grid.on_run = stop_there
    with pytest.raises(Interrupted):
        grid.run()
    before = list(grid.ran)
    assert before[-1] == last.name
    assert len(grid.of("choose")) == (last.stage == "final")
    assert set(Record(grid.workdir).done) == set(before)  # what was under way is done
    stop_requested.clear()
    grid.on_run = lambda trial: None
    grid.run()
    assert sorted(grid.ran) == sorted(names([*SELECT, *FINAL]))  # each once
    assert grid.ran[: len(before)] == before


def test_a_stop_request_before_the_first_run_begins_none(grid):
    stop_requested.set()
    with pytest.raises(Interrupted):
        grid.run()
    assert grid.ran == [] and grid.of("choose") == []


@pytest.mark.parametrize("error", [NonFiniteLoss(3), ZeroDivisionError("cause")])
def test_a_run_that_fails_ends_the_grid_before_the_next_stage(grid, error):
    def fail(trial):
        if trial.name == SELECT[5].name:
            raise error

    grid.on_run = fail
    with pytest.raises(type(error)):
        grid.run()
    assert grid.ran == names(SELECT)[:4:-1] and grid.of("choose") == []
    assert SELECT[5].name not in Record(grid.workdir).done
