"""A study that was stopped, politely or not, ends bit for bit where an uninterrupted one does."""

import random
import shutil
import signal
import time

import numpy as np
import pytest
from jax.tree_util import tree_leaves_with_path
from launching import copy_as_killed, launch, num_rows, start, wait_until
from records import models_of, rows_of

STUDY = (
    "--config=configs/rescnn.py:smoke",
    "--config.depths=2",
    "--config.arms=plain+batch",
    "--config.side_arms=",
    "--config.num_epochs=4",
    "--config.eval_every_epochs=2",
    "--config.log_every_steps=15",
    "--config.checkpoint_every_steps=19",
    "--config.steps_per_call=8",
    "--config.cells_at_a_time=2",
    "--config.patience=3",
    "--config.optim.schedule=one_cycle",
    "--config.optim.warmup_fraction=0.3",
)


def files_of(workdir):
    return sorted((workdir / "record").rglob("*.jsonl"))


def assert_same_study(workdir, expected):
    assert rows_of(workdir) == rows_of(expected)
    ours, theirs = models_of(workdir), models_of(expected)
    assert ours.keys() == theirs.keys() and len(ours) == 2
    for name, model in ours.items():
        for (path, a), (_, b) in zip(
            tree_leaves_with_path(model), tree_leaves_with_path(theirs[name]), strict=True
        ):
            np.testing.assert_array_equal(a, b, err_msg=f"{name}{path}")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("uninterrupted") / "run"
    answer = launch(*STUDY, f"--workdir={workdir}", warm=True)
    assert answer.code == 0, answer.err
    return workdir


def wait_for_rows(process, workdir, count):
    wait_until(lambda: process.poll() is not None or num_rows(workdir) >= count, seconds=120)


def leave_as_killed(study, workdir, goal):
    """Begin or go on with a study, and leave what a kill soon after so many rows would.

    The last launch of a test is of a new process: what this one knows is no help.
    """
    copy, later = workdir.with_name("killed"), random.Random(goal).uniform(0, 0.1)
    process = start(*study, f"--workdir={workdir}", warm=True)
    copy_as_killed(process, workdir, copy, lambda: num_rows(workdir) >= goal, later)
    process.terminate()
    _, err = process.communicate()
    assert process.returncode in (0, 143), err
    assert copy.exists() and not (copy / "summary.json").exists(), err  # it had not finished
    assert num_rows(copy) >= goal
    shutil.rmtree(workdir)
    copy.rename(workdir)


def test_killed_while_rates_are_chosen_and_while_nets_are_compared(uninterrupted, tmp_path):
    """Also one cell at a time instead of two, and with other lengths of the compiled calls."""
    workdir = tmp_path / "run"
    alone = (*STUDY, "--config.cells_at_a_time=1", "--config.steps_per_call=9")
    process = start(*STUDY, f"--workdir={workdir}", warm=True)
    wait_for_rows(process, workdir, 3)
    time.sleep(random.Random(3).uniform(0, 0.1))
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL and num_rows(workdir) >= 3
    leave_as_killed(alone, workdir, 30)
    answer = launch(*alone, f"--workdir={workdir}")
    assert answer.code == 0 and "done before" in answer.err, answer.err
    assert_same_study(workdir, uninterrupted)


def test_asked_to_stop(tmp_path):
    """By one signal, then by the other; the same command goes on, and comes to the same end."""
    long = (  # hundreds of rows a run, so that those under way are in their middle
        "--config=configs/rescnn.py:smoke",
        "--config.depths=2",
        "--config.arms=residual",
        "--config.side_arms=",
        "--config.optim.lr=1e-2",
        "--config.num_epochs=24",
        "--config.cells_at_a_time=2",
        "--config.eval_every_epochs=8",
        "--config.log_every_steps=5",
        "--config.checkpoint_every_steps=0",
    )
    workdir, whole = tmp_path / "run", tmp_path / "whole"
    for number, code, warm in ((signal.SIGINT, 130, True), (signal.SIGTERM, 143, False)):
        process = start(*long, f"--workdir={workdir}", warm=warm)
        wait_for_rows(process, workdir, num_rows(workdir) + 20)
        process.send_signal(number)
        err = process.communicate()[1]
        assert process.returncode == code, err
        last = err.splitlines()[-1]
        assert last.startswith("launch.py: interrupted; go on with: python launch.py")
        assert str(workdir) in err
        assert "Traceback" not in err
        saved = list((workdir / "checkpoints").rglob("training/*"))
        assert saved, "the runs under way were not saved"
    for place, warm in ((workdir, False), (whole, True)):
        answer = launch(*long, f"--workdir={place}", warm=warm)
        assert answer.code == 0, answer.err

    # A row stands where a run was stopped, so compare what does not depend on it.
    def done(path):
        return {run: rows[-1] for run, rows in rows_of(path).items()}

    assert done(workdir) == done(whole)


def test_a_finished_study_says_so_and_is_drawn_again(uninterrupted):
    before = rows_of(uninterrupted)
    (uninterrupted / "report.html").unlink()
    answer = launch(*STUDY, f"--workdir={uninterrupted}")
    assert answer.code == 0 and "finished" in answer.err
    assert (uninterrupted / "report.html").exists()
    (uninterrupted / "report.html").unlink()
    answer = launch(f"--workdir={uninterrupted}")
    assert answer.code == 0 and (uninterrupted / "report.html").exists()
    assert rows_of(uninterrupted) == before


def test_another_config_is_refused_with_the_keys_named(uninterrupted):
    changed = [word for word in STUDY if "num_epochs" not in word]
    answer = launch(
        *changed,
        "--config.num_epochs=13",
        "--config.log_every_steps=5",
        f"--workdir={uninterrupted}",
    )
    assert answer.code == 2 and "num_epochs (there 4, now 13)" in answer.err
    assert "log_every_steps" not in answer.err


def test_an_unfinished_study_is_not_drawn(uninterrupted, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(uninterrupted, workdir)
    first, *others = files_of(workdir)
    cut = first.read_text().splitlines(keepends=True)[:-1]
    first.write_text("".join(cut))  # without the row that says that the run is done
    for path in others[len(others) // 2 :]:
        path.unlink()
    finished, all_runs = len(others) // 2, len(others) + 1
    answer = launch(f"--workdir={workdir}")
    assert answer.code == 2 and f"is not finished ({finished} of {all_runs} runs)" in answer.err
    page = (workdir / "report.html").read_text()
    assert f"Not finished: {finished} of {all_runs} runs" in page
    assert "report.html shows what there is" in answer.err
