"""The page of an unfinished study: drawn at every moment, of what is there, without a verdict."""

import importlib
import json
import re
import shutil
import subprocess
import sys

import pytest

from dla_jax.config.written import read_config
from dla_jax.evidence.rows import record_file, record_files
from dla_jax.studies import modules, so_far
from dla_jax.studies.begun import frame_of
from dla_jax.trials.arms import Trial

# A config of each kind of study.
KINDS = {
    "adversarial": "adversarial",
    "ag_news": "features",
    "agents": "agents",
    "cam": "cam",
    "dante": "language",
    "gradients": "gradients",
    "ood": "ood",
    "own": "architectures",
    "race": "choices",
    "rescnn": "depth",
    "why": "why",
    "yahoo": "finetune",
}


# Those of networks that were trained before, or of photos, are commands too.
MEASURING = {"adversarial": "ATTACKED", "cam": "MAPS", "ood": "OOD"}


def study_of(experiment):
    module = importlib.import_module(modules()[experiment])
    return getattr(module, MEASURING.get(experiment, "STUDY"))


def cut(path, rows):
    """Keep so many rows of a run, and half of the next one."""
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:rows]) + lines[rows][: len(lines[rows]) // 2])


def moments(workdir):
    """Yield after each cut how many runs of the record are done: later moments come first."""
    files = list(record_files(workdir).values())
    cut(files[-1], len(files[-1].read_text().splitlines()) - 1)
    yield len(files) - 1
    half = len(files) // 2
    for path in files[half + 1 :]:
        path.unlink()
    cut(files[half], 0)
    yield half
    shutil.rmtree(workdir / "record")
    yield 0


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_is_drawn_at_every_moment(name, smoke, tmp_path):
    workdir, copy = smoke(name)[0], tmp_path / "copy"
    shutil.copytree(workdir / "record", copy / "record")
    shutil.copy(workdir / "config.json", copy)
    experiment = read_config(workdir)["config"]["experiment"]
    assert experiment == KINDS[name]
    study, all_runs = study_of(experiment), len(record_files(workdir))
    for done in moments(copy):
        so_far.draw(frame_of(study, copy))
        page = (copy / "report.html").read_text()
        assert f"Not finished: {done} of {all_runs} run" in page
        assert 'class="verdict' not in page and "not decided" not in page
        assert '<meta http-equiv="refresh" content="60">' in page

    assert {path.name for path in copy.iterdir()} == {"config.json", "report.html"}
    assert "refresh" not in (workdir / "report.html").read_text()


def test_every_kind_stands_here():
    with_runs = {name for name in modules() if hasattr(study_of(name), "jobs")}
    assert with_runs == set(KINDS.values())


TRIALS = [
    *(Trial("select", "a", 9, lr) for lr in (0.1, 0.2)),
    *(Trial("final", arm, seed, 0.0) for seed in (0, 1, 2) for arm in "ab"),
]
DONE = {"diverged": False, "lr": 0.2, "step": 4}


def frame(workdir, trials=TRIALS):
    return so_far.Frame(
        workdir=str(workdir),
        title="A study",
        question="Which?",
        command="python launch.py --workdir=there",
        value="val_accuracy",
        trials=[list(trial) for trial in trials],
        claims=["a is better than b"],
        facts={"devices": "one"},
    )


def write(workdir, trial, *rows, **last):
    path = record_file(workdir, trial.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"step": step, "train_loss": loss} for step, loss in rows]
    rows += [{"done": True} | DONE | last] if last else []
    path.write_text("".join(json.dumps({"run": trial.name} | row) + "\n" for row in rows))


@pytest.fixture
def begun(tmp_path):
    first, second = TRIALS[2], TRIALS[4]  # seeds 0 and 1 of a
    write(tmp_path, TRIALS[0], val_accuracy=0.25, step=3)
    write(tmp_path, first, (2, 1.0), (4, 0.5), val_accuracy=0.5)
    write(tmp_path, second, (2, 1.0), val_accuracy=0.7, diverged=True)
    write(tmp_path, TRIALS[6], (2, 3.0), (4, float("nan")))
    return tmp_path


def test_the_tables_hold_what_is_done_and_dashes_elsewhere(begun):
    runs = so_far.read_runs(frame(begun))
    assert so_far.arm_rows(frame(begun), runs) == [
        ["a", "2 of 3", "1", "0.2", "1", "0.6"],
        ["b", "0 of 3", "0", "–", "–", "–"],
    ]
    assert so_far.rate_rows(frame(begun), runs, "a", TRIALS[:2]) == [
        ["a", "0.1", "1 of 1", "3", "0.25"],
        ["a", "0.2", "0 of 1", "–", "–"],
    ]
    assert so_far.answer(runs).startswith("Not finished: 3 of 8 runs done, 1 under way; ")


def test_the_curves_are_those_of_the_rows(begun):
    runs = so_far.read_runs(frame(begun))
    panels = so_far.panels_of("val_accuracy", runs, runs.of("final"))
    lines = [([2, 4], [1.0, 0.5]), ([2], [1.0]), ([2], [3.0])]  # no nan is drawn
    assert panels == {"train_loss": {"a": lines}}
    assert so_far.panels_of("val_accuracy", runs, runs.of("select")) == {}
    so_far.draw(frame(begun))
    page = (begun / "report.html").read_text()
    assert "Training loss where the runs are now, the highest first: a 1.5." in page
    assert "a is better than b" in page and "python launch.py --workdir=there" in page


def test_of_many_arms_the_curves_are_drawn_too(tmp_path):
    trials = [Trial("final", f"arm{number}", 0, 0.0) for number in range(40)]
    for number, trial in enumerate(trials):
        write(tmp_path, trial, *((step, 1.0 + number) for step in range(1, 400)))
    so_far.draw(frame(tmp_path, trials))
    page = (tmp_path / "report.html").read_text()
    assert "the highest first: arm39 40, arm38 39" in page and "32 more." in page


def test_a_study_that_is_finished_meanwhile_keeps_its_report(begun, monkeypatch):
    (begun / "report.html").write_text("the finished one")
    sections = so_far.sections

    def finish(*given):
        for trial in TRIALS:
            write(begun, trial, val_accuracy=0.5)
        return sections(*given)

    monkeypatch.setattr(so_far, "sections", finish)
    so_far.draw(frame(begun))
    assert (begun / "report.html").read_text() == "the finished one"


def test_a_study_that_is_finished_while_a_slow_disk_writes_keeps_its_report(begun, monkeypatch):
    (begun / "report.html").write_text("the finished one")

    def slow(number):
        monkeypatch.undo()
        for trial in TRIALS:
            write(begun, trial, val_accuracy=0.5)

    monkeypatch.setattr("dla_jax.config.files.os.fsync", slow)
    so_far.draw(frame(begun))
    assert (begun / "report.html").read_text() == "the finished one"


def test_drawing_apart_imports_no_jax():
    code = "import dla_jax.studies.so_far, sys; print({'jax', 'flax', 'orbax'} & set(sys.modules))"
    found = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()", found.stdout


def test_the_time_of_drawing_stands_on_the_page(begun):
    so_far.draw(frame(begun))
    page = (begun / "report.html").read_text()
    assert re.search(r"Drawn \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", page)
