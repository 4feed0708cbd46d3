"""Several processes at one study end with the bits of one, whatever becomes of some of them."""

import json
import signal

import pytest
from launching import assert_refused, launch, launch_many, num_rows, start, wait_until
from records import TIMES

from dla_jax.config.checks import ConfigError
from dla_jax.config.flags import Sharing, check_sharing
from dla_jax.config.stop import Interrupted, WorkersEnded, stop_requested
from dla_jax.config.workdir import Launch, lock_workdir
from dla_jax.front import processes, request, workers
from dla_jax.front.forks import Forked
from dla_jax.front.sweep import swept

CONFIG = "--config=configs/rescnn.py:smoke"
STUDY = (
    CONFIG,
    "--config.depths=2",
    "--config.arms=plain",
    "--config.side_arms=",
    "--config.lrs=1e-2,3e-3,1e-3",
    "--config.select_seeds=100",
    "--config.num_epochs=3",
    "--config.eval_every_epochs=1",
    "--config.log_every_steps=5",
    "--config.checkpoint_every_steps=12",
    "--config.selection=halving",
)
# Two runs, both at one rate.
SHORT = (
    CONFIG,
    "--config.depths=2",
    "--config.arms=plain",
    "--config.side_arms=",
    "--config.num_epochs=1",
    "--config.optim.lr=1e-2",
    "--config.seeds=0,1",
)


def timeless(value):
    """Return a value without times, also in the dicts and lists that it holds."""
    if isinstance(value, dict):
        return {key: timeless(inner) for key, inner in value.items() if key not in TIMES}
    return list(map(timeless, value)) if isinstance(value, list) else value


def record_of(workdir):
    """Return the rows of each run, without times."""
    return {
        str(path.relative_to(workdir)): [
            timeless(json.loads(line)) for line in path.read_text().splitlines()
        ]
        for path in sorted((workdir / "record").rglob("*.jsonl"))
    }


def wait_for_rows(workdir, count):
    wait_until(lambda: num_rows(workdir) >= count, seconds=120)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("alone") / "run"
    answer = launch(*STUDY, f"--workdir={workdir}")
    assert answer.code == 0, answer.err
    return workdir


def test_workers_of_which_one_is_killed_end_with_the_bits_of_one(alone, tmp_path):
    workdir = tmp_path / "run"
    flags = (*STUDY, f"--workdir={workdir}", "--join", "--quiet")
    killed, other = start(*flags), start(*flags)
    wait_for_rows(workdir, 10)
    killed.kill()
    for process in (killed, other):
        process.communicate()
    assert (killed.returncode, other.returncode) == (-signal.SIGKILL, 0), other.said
    assert record_of(workdir) == record_of(alone)
    # Nor is there anything left of their work that one process would not leave.
    assert not list(workdir.glob("workers/leases")) and not list(workdir.rglob("training"))
    launches = json.loads((workdir / "config.json").read_text())["launches"]
    assert len(launches) == 1  # both were the same
    summaries = [json.loads((folder / "summary.json").read_text()) for folder in (workdir, alone)]
    assert timeless(summaries[0]) == timeless(summaries[1])


def test_while_workers_are_at_work_neither_a_launch_alone_nor_another_study_begins(tmp_path):
    workdir = tmp_path / "run"
    under_way = start(*STUDY, f"--workdir={workdir}", "--join", "--quiet")
    wait_for_rows(workdir, 1)
    other = [word for word in STUDY if "num_epochs" not in word]
    for words in ([*other, "--config.num_epochs=5", "--join"], [*other, "--config.num_epochs=5"]):
        answer = launch(*words, f"--workdir={workdir}")
        assert_refused(answer, ["num_epochs (there 3, now 5)"])
    assert_refused(launch(*STUDY, f"--workdir={workdir}"), ["is in use by another process"])
    under_way.kill()
    under_way.communicate()


def test_a_lock_is_shared_or_had_alone(tmp_path, monkeypatch):
    refused = pytest.raises(ConfigError, match="in use by another process")
    with lock_workdir(tmp_path, shared=True), lock_workdir(tmp_path, shared=True), refused:
        lock_workdir(tmp_path)
    with lock_workdir(tmp_path), refused:
        lock_workdir(tmp_path, shared=True)

    def none(*given):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", none)
    lock_workdir(tmp_path, shared=True).close()
    with pytest.raises(ConfigError, match=r"has no locks .*add --join"):
        lock_workdir(tmp_path)


@pytest.mark.slow
def test_two_studies_that_begin_at_once_do_not_mix(tmp_path):
    workdir = tmp_path / "run"
    flags = (f"--workdir={workdir}", "--join", "--quiet")
    epochs = [f"--config.num_epochs={number}" for number in (1, 2)]
    processes = [start(*SHORT, word, *flags) for word in epochs]
    for process in processes:
        process.communicate()
    codes = [process.returncode for process in processes]
    assert sorted(codes) == [0, 2], [process.said for process in processes]
    written = json.loads((workdir / "config.json").read_text())["config"]
    assert written["num_epochs"] == 1 + codes.index(0)
    assert "num_epochs (there" in processes[codes.index(2)].said[1]


def test_workers_are_started_watched_and_what_they_found_is_said(tmp_path):
    workdir = tmp_path / "run"
    answer = launch(*SHORT, f"--workdir={workdir}", "--workers=2")
    assert answer.code == 0, answer.err
    assert "2 runs, 2 workers" in answer.err and "2.00/2.00" in answer.err
    assert "test accuracy" in answer.err and str(workdir / "report.html") in answer.err
    logs = sorted(path.name for path in (workdir / "workers").iterdir())
    assert logs == ["worker1.log", "worker2.log"]
    (written,) = json.loads((workdir / "config.json").read_text())["launches"]
    assert written["command"].endswith("--workers=2")


def test_wrong_flags_of_workers_are_refused_in_one_line(tmp_path):
    cases = {
        "--workers=0": "--workers: 0 is not above 0; give 1 or more",
        "--workers=31": "--workers: 31 for the 30 runs of this study; give at most as many",
        "--workers=2 --join": "--workers and --join: each is a way to run a study",
        "--join --multihost": "--join and --multihost: each is a way to run a study",
        "--submit=pbs --tasks=2": "--submit: unknown 'pbs'; known: slurm, local",
        "--submit=local": "--tasks is missing; say how many, as in --tasks=16",
        "--tasks=2": "--tasks is of the tasks that --submit starts",
        "--gpus=1 --workers=2": "--gpus is of the tasks that --submit starts",
        "--submit=local --tasks=2 --partition=gpu": "--partition is of Slurm",
        "--submit=slurm --tasks=2 --gpus=-1": "--gpus: -1 is below 0",
    }
    lines = [[CONFIG, f"--workdir={tmp_path / 'run'}", *words.split()] for words in cases]
    for answer, said in zip(launch_many(lines), cases.values(), strict=True):
        assert_refused(answer, [said])
    assert not (tmp_path / "run").exists()


def test_to_join_needs_a_study_to_join():
    with pytest.raises(ConfigError, match="--join needs --workdir"):
        check_sharing(Sharing(join=True), multihost=False, has_config=True, has_workdir=False)


class Nobody:
    """Workers of which none is started; once a stop is requested, some seem to be at work."""

    def __init__(self, starts, start):
        self.start, self.stopped, self.looks = start, 0, 0

    def under_way(self):
        self.looks += 1
        return int(stop_requested.is_set() and self.looks < 4)

    def stop(self):
        self.stopped += 1

    def words(self):
        return ""

    def failed(self):
        return []


@pytest.fixture
def run_nobody(tmp_path, monkeypatch):
    """Return a function that runs such workers, and the list of those that it ran."""
    asked = request.read("configs/own.py:smoke", {})
    request.prepare(asked, {})
    asked = swept(asked, "networks.own.optim.lr=1e-3,1e-2")
    launch = Launch(tmp_path / "run", None, tmp_path, False, True, command="the command")
    heard, teams = [], []

    def begin(*given):
        assert heard, "a signal would leave them at work"
        teams.append(Nobody(*given))
        return teams[-1]

    def run(listen, forks):
        monkeypatch.setattr(workers, "can_fork", lambda: forks)
        listens = lambda: heard.append(listen())
        workers.run(asked, launch, [], Sharing(workers=2), [], listens, print)

    monkeypatch.setattr(workers, "Processes", begin)
    monkeypatch.setattr(workers, "forked", lambda work, *given: work(*given))
    monkeypatch.setattr(workers, "LOOK", 0)
    return run, teams


@pytest.mark.parametrize("forks", [True, False])
def test_that_the_seeds_are_too_few_is_said_before_workers_start(run_nobody, capsys, forks):
    run, teams = run_nobody
    with pytest.raises(WorkersEnded, match="every worker ended; go on with: the command"):
        run(lambda: None, forks)
    assert "compared: 2 seeds can tell none of 1 pair apart" in capsys.readouterr().err
    (team,) = teams
    assert team.start.func is Forked if forks else team.start is processes.start
    assert not team.stopped


def test_workers_are_asked_to_stop_once_and_it_is_an_interruption(run_nobody):
    run, teams = run_nobody
    with pytest.raises(Interrupted):
        run(stop_requested.set, forks=True)
    assert [team.stopped for team in teams] == [1]


@pytest.mark.slow
def test_workers_that_a_launch_started_save_when_it_is_asked_to_stop(alone, tmp_path):
    workdir = tmp_path / "run"
    process = start(*STUDY, f"--workdir={workdir}", "--workers=2", "--quiet")
    wait_for_rows(workdir, 10)

    def said():
        return [path.read_text() for path in (workdir / "workers").glob("*.log")]

    wait_until(lambda: all("choose learning rates" in log for log in said()))
    process.terminate()
    _, err = process.communicate()
    assert process.returncode == 143 and "interrupted; go on with: python launch.py" in err, err
    assert list(workdir.rglob("training")), "what was under way is saved"
    assert len(said()) == 2 and all("interrupted; go on with" in log for log in said()), said()
    answer = launch(*STUDY, f"--workdir={workdir}", "--workers=2", "--quiet")
    assert answer.code == 0, answer.err
    written = [row["step"] for rows in record_of(workdir).values() for row in rows]
    assert len(written) == len([row for rows in record_of(alone).values() for row in rows])


def test_what_trains_nothing_has_no_workers(tmp_path):
    config = ("--config=configs/compare.py:smoke", f"--workdir={tmp_path / 'run'}")
    for flag in ("--workers=2", "--join"):
        assert_refused(launch(*config, flag), ["trains nothing itself", flag.partition("=")[0]])
    assert_refused(launch(f"--workdir={tmp_path}", "--workers=2"), ["--config"])


def test_what_the_workers_refuse_is_said_once(tmp_path):
    """As data that are not there; with the exit code that one process would have."""
    flags = (CONFIG, "--config.data.name=mnist", f"--data_dir={tmp_path}", "--nodownload")
    answer = launch(*flags, f"--workdir={tmp_path / 'run'}", "--workers=2")
    assert_refused(answer, ["mnist"])
