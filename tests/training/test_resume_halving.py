"""Rates by halving: a study that is stopped in a rung ends as an uninterrupted one, bit for bit."""

import jax
import pytest
from launching import assert_refused, launch, num_rows
from records import TIMES, models_of, rows_of
from test_resume import STUDY as FULL
from test_resume import leave_as_killed

from dla_jax.trials import halving

HALVED = (
    *FULL,
    "--config.selection=halving",
    "--config.num_epochs=6",
    "--config.lrs=1e-3,3e-3,1e-2",
)
STUDY = (*HALVED, "--config.eval_every_epochs=1", "--config.patience=0")


def untimed(row):
    """Return a last row without the times in it, also at its cuts."""
    kept = {key: value for key, value in row.items() if key not in TIMES}
    return kept | ({"cuts": [untimed(cut) for cut in row["cuts"]]} if "cuts" in row else {})


def record_of(workdir):
    return {run: [untimed(row) for row in rows] for run, rows in rows_of(workdir).items()}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("uninterrupted") / "run"
    answer = launch(*STUDY, f"--workdir={workdir}", warm=True)
    assert answer.code == 0, answer.err
    return workdir


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("full") / "run"
    few = ("--config.selection=full", "--config.seeds=0")  # what is looked at are other seeds
    answer = launch(*STUDY, f"--workdir={workdir}", *few, warm=True)
    assert answer.code == 0, answer.err
    return workdir


def test_runs_are_those_of_a_full_grid_as_far_as_they_go(uninterrupted, full):
    """They have the schedule of the whole run: the first rows of a longer one."""
    ours, theirs = record_of(uninterrupted), record_of(full)
    selected = [run for run in ours if run.startswith("select/")]
    assert selected == [run for run in theirs if run.startswith("select/")]
    steps = {}
    for run in selected:
        *rows, last = ours[run]
        assert rows == theirs[run][: len(rows)] and len(rows) < len(theirs[run]) - 1
        assert last["step"] == rows[-1]["step"] and last["whole_steps"] == theirs[run][-1]["step"]
        evaluations = [row["step"] for row in theirs[run] if "val_accuracy" in row][:-1]
        stops = halving.cuts(last["whole_steps"], evaluations)
        assert [cut["step"] for cut in last["cuts"]] == list(stops)[: len(last["cuts"])]
        for cut in last["cuts"]:
            seen = [row for row in rows if "val_accuracy" in row and row["step"] <= cut["step"]]
            assert cut["val_accuracy"] == max(row["val_accuracy"] for row in seen)
        steps.setdefault(run.split("/")[1], []).append(last["step"] == stops[1])
    assert {arm: sum(far) for arm, far in steps.items()} == dict.fromkeys(steps, 2)


@pytest.mark.slow
def test_killed_in_a_rung(uninterrupted, tmp_path):
    workdir = tmp_path / "run"
    for goal in (6, 18):  # 12 rows lead to the first cut, 12 more to the second
        leave_as_killed(STUDY, workdir, goal)
        assert num_rows(workdir, "final") == 0  # rates are not chosen yet
    answer = launch(*STUDY, f"--workdir={workdir}")
    assert answer.code == 0, answer.err
    assert record_of(workdir) == record_of(uninterrupted)
    ours, theirs = models_of(workdir), models_of(uninterrupted)
    assert ours.keys() == theirs.keys() and len(ours) == 2
    for name, model in ours.items():
        pairs = zip(jax.tree.leaves(model), jax.tree.leaves(theirs[name]), strict=True)
        assert all(leaf.tobytes() == other.tobytes() for leaf, other in pairs), name


def test_nothing_of_the_runs_that_choose_is_left(uninterrupted):
    assert not list((uninterrupted / "checkpoints").rglob("training/*"))


def test_the_report_says_how_rates_were_chosen(uninterrupted):
    report = (uninterrupted / "report.html").read_text()
    assert "by successive halving: 3 runs began, 2 went on from the first cut" in report
    assert "3, of which 2 at 84 % of steps" in report


def test_another_selection_is_another_study(uninterrupted):
    answer = launch(*STUDY, f"--workdir={uninterrupted}", "--config.selection=full")
    assert_refused(answer, ["selection (there halving, now full)", "another --workdir"])


def test_a_selection_that_there_is_not_is_refused(tmp_path):
    answer = launch(*STUDY, f"--workdir={tmp_path / 'run'}", "--config.selection=third")
    assert_refused(answer, ["selection: unknown 'third'", "known: full, halving"])
    assert not (tmp_path / "run").exists()
