"""The mirror of a record in W&B: its rows, ids, a run that goes on, and what goes wrong."""

import json
import os
import shutil
import subprocess
import sys
import time

import pytest
from launching import assert_refused, launch

from dla_jax.config.checks import ConfigError
from dla_jax.front import mirror

# W&B in a few lines, which writes what it is told as JSON.
FAKE = """
import json, os, types
env = types.SimpleNamespace(get_project=lambda: None)
Settings = dict

def tell(*what):
    with open(os.environ["TOLD"], "a") as file:
        file.write(json.dumps(what) + "\\n")

class Run:
    def __init__(self, name):
        self.name, self.summary = name, types.SimpleNamespace(update=self.update)
    def update(self, values):
        tell("summary", self.name, values)
    def log(self, values, step):
        tell("log", self.name, step, values)
    def finish(self):
        tell("finish", self.name)

def init(**given):
    tell("init", given["name"], given["id"], given["resume"], given["config"]["optim.lr"])
    if "FAILS" in os.environ:
        raise RuntimeError("no route\\nto W&B")
    return Run(given["name"])
"""
RUN = "final/cnn/seed0"


@pytest.fixture
def workdir(tmp_path):
    """Return a workdir whose study has begun."""
    folder = tmp_path / "work"
    (folder / "record/final/cnn").mkdir(parents=True)
    written = {"config": {"experiment": "architectures", "optim": {"lr": 0.1}, "claims": {}}}
    written |= {"data": {}, "launches": [{"started": "2026-01-01T00:00:00"}]}
    (folder / "config.json").write_text(json.dumps(written))
    return folder


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Put the W&B of a few lines in the place of the true one; return what it was told."""
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake/wandb.py").write_text(FAKE)
    monkeypatch.setattr(mirror, "ROOT", os.pathsep.join([str(tmp_path / "fake"), str(mirror.ROOT)]))
    told = tmp_path / "told.jsonl"
    monkeypatch.setenv("TOLD", str(told))
    return lambda: [json.loads(line) for line in told.read_text().splitlines()]


def write(folder, *rows):
    path = folder / "record" / f"{RUN}.jsonl"
    path.write_text("".join(json.dumps({"run": RUN} | row) + "\n" for row in rows))


def wait_for(condition):
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def row(step, loss):
    return {"step": step, "train_loss": loss, "arm": "cnn", "fine": True}


def test_rows_are_mirrored_as_they_come_and_a_run_that_goes_on_is_the_same(workdir, fake, capsys):
    with mirror.mirrored(workdir, True):
        write(workdir, row(1, 2.0))
        wait_for(lambda: (workdir.parent / "told.jsonl").exists() and len(fake()) > 1)
        write(workdir, row(1, 2.0), row(3, 1.0))
    first, *rest = fake()
    assert first[:2] == ["init", RUN] and first[3:] == ["allow", 0.1]
    assert rest == [
        ["log", RUN, 1, {"train_loss": 2.0}],
        ["log", RUN, 3, {"train_loss": 1.0}],
        ["finish", RUN],
    ]
    done = {"step": 5, "done": True, "test_accuracy": 0.5}
    write(workdir, row(1, 2.0), row(5, 0.5), done)  # cut back to step 1, then to its end
    with mirror.mirrored(workdir, True):
        pass
    again, *rest = fake()[len(fake()) - 5 :]
    assert again == first  # the same id
    assert rest == [
        ["log", RUN, 1, {"train_loss": 2.0}],
        ["log", RUN, 5, {"train_loss": 0.5}],
        ["summary", RUN, {"test_accuracy": 0.5}],
        ["finish", RUN],
    ]
    number = len(fake())
    with mirror.mirrored(workdir, True):
        pass
    assert len(fake()) == number  # it is mirrored, and stays so
    assert capsys.readouterr().err == ""


def test_a_mirror_that_fails_is_told_in_one_line(workdir, fake, capsys, monkeypatch):
    monkeypatch.setenv("FAILS", "1")
    write(workdir, row(1, 2.0))
    with mirror.mirrored(workdir, True):
        pass
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("wandb: RuntimeError: no route to W&B; the record has all of it")


def test_a_mirror_that_hangs_is_ended(workdir, capsys):
    process = subprocess.Popen(("sleep", "100"), stdin=subprocess.PIPE, start_new_session=True)
    mirror.end(process, workdir / "log", wait=0.2)
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("wandb: not all was sent in 0.2 s") and process.poll() is not None


def test_a_study_that_fails_fails_as_it_would(workdir, fake):
    with pytest.raises(ZeroDivisionError), mirror.mirrored(workdir, True):
        1 / 0  # noqa: B018
    with mirror.mirrored(workdir, False):  # not asked for: nothing is started
        assert (workdir / "wandb").exists()


def test_the_mirror_ends_with_a_study_that_is_killed(workdir, fake):
    code = "import pathlib, sys, time; from dla_jax.front import mirror\n"
    code += f"mirror.ROOT = {mirror.ROOT!r}\n"
    code += "print(mirror.start(pathlib.Path(sys.argv[1])).pid, flush=True); time.sleep(100)"
    study = subprocess.Popen((sys.executable, "-c", code, workdir), stdout=subprocess.PIPE)
    number = int(study.stdout.readline())
    study.kill()
    study.wait()

    def ended():
        try:
            with open(f"/proc/{number}/stat") as file:
                return file.read().rpartition(")")[2].split()[0] == "Z"
        except FileNotFoundError:
            return True

    wait_for(ended)


def test_without_the_package_or_a_launch_that_sees_all_it_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(mirror.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"package wandb; install it with: pip install -r"):
        mirror.check_installed()
    assert_refused(launch("--wandb", f"--workdir={tmp_path}"), ["--wandb", "--config"])
    flags = ("--config=configs/own.py:smoke", f"--workdir={tmp_path}", "--wandb", "--join")
    assert_refused(launch(*flags), ["--wandb: one launch mirrors a study", "finished"])


def test_a_finished_study_is_mirrored_offline(smoke, tmp_path):
    """With the package itself: nothing is sent, each run has a folder, and nothing is left."""
    pytest.importorskip("wandb")
    folder = tmp_path / "own"
    shutil.copytree(smoke("own")[0], folder)
    flags = ("--config=configs/own.py:smoke", f"--workdir={folder}", "--wandb", "--quiet")
    answer = launch(*flags, WANDB_MODE="offline", TMPDIR=str(tmp_path))
    assert answer.code == 0 and "wandb: " not in answer.err, answer.err
    runs = (folder / "wandb/mirrored.txt").read_text().splitlines()
    assert sorted(runs) == [
        f"final/{name}/seed{seed}" for name in ("cnn", "own") for seed in (0, 1)
    ]
    offline = [path.name for path in (folder / "wandb").glob("offline-run-*/run-*.wandb")]
    assert len(set(offline)) == 4
