"""The command line: its exit codes, how fast it answers, and what it leaves."""

import os
import subprocess
import sys
import time

import pytest
from launching import ROOT, environment, launch, launch_many
from ml_collections import ConfigDict

from dla_jax.config.command_line import split_words_of
from dla_jax.config.stop import Interrupted, NonFiniteLoss
from launch import main

CONFIG = "--config=configs/rescnn.py:smoke"


def test_names_in_groups_are_split_at_commas():
    """As --config.data.text_columns=title,content is written."""
    config = ConfigDict(
        {"arms": ("a,b",), "data": {"columns": ("title,content",), "sizes": (1, 2)}, "none": None}
    )
    split_words_of(config)
    assert config.to_dict() == {
        "arms": ("a", "b"),
        "data": {"columns": ("title", "content"), "sizes": (1, 2)},
        "none": None,
    }


def test_who_reads_nothing_of_the_help_is_no_error():
    read, write = os.pipe()
    os.close(read)
    words = (sys.executable, "launch.py", "--config=configs/rescnn.py", "--help")
    answer = subprocess.run(words, cwd=ROOT, stdout=write, stderr=subprocess.PIPE, timeout=60)
    os.close(write)
    assert (answer.returncode, answer.stderr) == (0, b"")


def test_who_reads_one_line_of_many_is_no_error(tmp_path):
    flags = f"--config=configs/gpt2.py:smoke --workdir={tmp_path / 'run'}"
    answer = subprocess.run(
        f"{sys.executable} launch.py {flags} | head -1",
        shell=True,
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert answer.stdout.count("\n") == 1
    assert "Traceback" not in answer.stderr and "BrokenPipe" not in answer.stderr


def test_wrong_input_and_a_dry_run_leave_no_workdir(tmp_path):
    before, workdir = sorted(tmp_path.parent.iterdir()), tmp_path / "new"
    wrong = [CONFIG, "--config.num_epochs=0", f"--workdir={workdir}"]
    short = [CONFIG, "--dry_run", "--config.seeds=0", f"--workdir={workdir}"]
    refused, told = launch_many([wrong, short])
    assert refused.code == 2
    assert told.code == 0 and told.err == "" and "22 runs: 14 choose" in told.out
    assert not workdir.exists() and sorted(tmp_path.parent.iterdir()) == before


def test_a_batch_that_the_devices_cannot_share_is_refused():
    answer = launch(CONFIG, "--config.batch_size=30", JAX_NUM_CPU_DEVICES="4")
    assert answer.code == 2 and "30 is not divisible by 4 devices" in answer.err
    assert len(answer.err.splitlines()) == 1


def test_help_is_fast_and_a_success():
    times = []
    for _ in range(3):
        start = time.perf_counter()
        answer = launch("--help")
        times.append(time.perf_counter() - start)
        assert answer.code == 0 and "configs/rescnn.py" in answer.out and "--workdir" in answer.out
    assert min(times) < 1  # 0.1 s on an idle machine


@pytest.mark.parametrize(
    ("words", "code", "late"),
    [
        (["--help"], 0, {"absl", "ml_collections", "jax"}),
        ([CONFIG, "--config.num_epoch=3"], 2, {"jax"}),
    ],
)
def test_it_answers_before_the_imports_that_take_time(words, code, late):
    typed = (
        f"import runpy, sys; sys.argv = ['launch.py', *{words}]\n"
        "try: runpy.run_path('launch.py', run_name='__main__')\n"
        f"except SystemExit as exit: print(exit.code, sorted({late} & set(sys.modules)))"
    )
    how = {"cwd": ROOT, "env": environment(), "capture_output": True, "text": True, "check": True}
    answer = subprocess.run((sys.executable, "-c", typed), **how)
    assert answer.stdout.splitlines()[-1] == f"{code} []"


class Failing:
    """Runs `main` as if the study failed with an error."""

    def __init__(self, monkeypatch, workdir):
        self.monkeypatch, self.workdir, self.keep_heap = monkeypatch, workdir, False
        self.typed = "launch.py"

    def run(self, error):
        def fail(config, workdir):
            raise error

        given = {"config": object(), "workdir": str(self.workdir), "keep_heap": self.keep_heap}
        flags = type("Flags", (), given)
        self.monkeypatch.setattr(sys, "argv", [self.typed, CONFIG, f"--workdir={self.workdir}"])
        self.monkeypatch.setattr("launch.start", fail)
        self.monkeypatch.setattr("launch.FLAGS", flags)
        main(sys.argv)

    def exit_code(self, error):
        with pytest.raises(SystemExit) as left:
            self.run(error)
        return left.value.code


@pytest.fixture
def failing(monkeypatch, tmp_path):
    return Failing(monkeypatch, tmp_path / "run")


@pytest.mark.parametrize("keep", [True, False])
def test_freed_memory_is_kept_where_the_flag_says_so(failing, monkeypatch, keep):
    kept = []
    monkeypatch.setattr("dla_jax.front.heap.keep_freed_memory", lambda: kept.append(True))
    failing.keep_heap = keep
    assert failing.exit_code(NonFiniteLoss(1)) == 3 and kept == [True] * keep


def test_a_diverged_run_exits_with_3(failing, capsys):
    assert failing.exit_code(NonFiniteLoss(17)) == 3
    err = capsys.readouterr().err
    assert "step 17" in err and str(failing.workdir) in err


def test_who_stops_dla_jax_goes_on_with_dla_jax(failing, capsys):
    failing.typed = "dla-jax"
    assert failing.exit_code(Interrupted()) == 130
    again = f"dla-jax {CONFIG} --workdir={failing.workdir}"
    assert capsys.readouterr().err == f"dla-jax: interrupted; go on with: {again}\n"


def test_a_full_disk_says_so(failing, monkeypatch, capsys):
    monkeypatch.setattr(os, "_exit", sys.exit)
    assert failing.exit_code(OSError(28, "No space left on device")) == 1
    err = capsys.readouterr().err
    assert "no space left" in err and str(failing.workdir) in err and len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("number", "words", "said"),
    [
        (122, "Disk quota exceeded", "disk quota is used up"),
        (30, "Read-only file system", "cannot be written any more (Read-only file system)"),
        (13, "Permission denied", "cannot be written any more (Permission denied)"),
    ],
)
def test_a_workdir_that_cannot_be_written_any_more_says_so(
    failing, monkeypatch, capsys, number, words, said
):
    monkeypatch.setattr(os, "_exit", sys.exit)
    path = str(failing.workdir / "record" / "a.jsonl")
    assert failing.exit_code(OSError(number, words, path)) == 1
    err = capsys.readouterr().err
    assert said in err and "go on with" in err and len(err.splitlines()) == 1


def test_what_another_file_forbids_is_no_fault_of_the_workdir(failing):
    with pytest.raises(PermissionError):
        failing.run(PermissionError(13, "Permission denied", "/elsewhere"))


def test_an_error_of_the_program_keeps_its_traceback(failing):
    with pytest.raises(ZeroDivisionError):
        failing.run(ZeroDivisionError("a bug"))
