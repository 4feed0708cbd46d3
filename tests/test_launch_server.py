"""A process that runs several command lines keeps its programs and what it read, no flags."""

import os
import shutil
import signal
from pathlib import Path

import pytest
from launching import start, wait_until

GENERATE = "--config=configs/generate.py"


def refused(*arguments, warm=True):
    """Return the process of a command line that is refused at once, and its standard error."""
    process = start(GENERATE, "--workdir=nowhere", *arguments, warm=warm)
    err = process.communicate()[1]
    assert process.returncode == 2, err
    return process, err


def threads_of(process):
    return os.listdir(f"/proc/{process.pid}/task")


def state_of(process):
    """Return one letter, Z once it has ended and nobody has asked how."""
    return Path(f"/proc/{process.pid}/stat").read_text().split()[2]


def test_a_warm_command_line_has_the_process_of_the_one_before_and_others_have_their_own():
    first, second = refused()[0], refused()[0]
    assert first.pid == second.pid != refused(warm=False)[0].pid
    with pytest.raises(ProcessLookupError):
        os.kill(refused(warm=False)[0].pid, 0)


def test_no_flag_is_kept(tmp_path):
    given = (f"--from={tmp_path / 'none'}", "--config.temperature=-1", "--quiet")
    assert "temperature" in refused(*given)[1]
    assert "--from is missing" in refused()[1]


def test_a_signal_that_comes_too_late_does_no_harm():
    first, said = refused()
    os.kill(first.pid, signal.SIGTERM)
    second = refused()
    assert (second[0].pid, second[1]) == (first.pid, said)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="asks Linux whether it has ended")
def test_a_process_that_was_killed_while_it_waited_is_not_used_again():
    first, said = refused()
    os.kill(first.pid, signal.SIGKILL)
    wait_until(lambda: threads_of(first) == [str(first.pid)] and state_of(first) == "Z")
    second = refused()
    assert second[0].pid != first.pid and second[1] == said


def test_figures_are_drawn_where_that_is_asked_for_and_else_no_two_are_alike(smoke, tmp_path):
    """By turns in one process: a test that compares figures that are not drawn fails."""
    finished, copy = smoke("own")[0], tmp_path / "run"
    shutil.copytree(finished, copy)

    def figures_of(workdir):
        return {path.name: path.read_bytes() for path in (workdir / "figures").glob("*.png")}

    def redraw(drawn):
        (copy / "report.html").unlink()
        line = ("--config=configs/own.py:smoke", f"--workdir={copy}")
        process = start(*line, warm=True, drawn=drawn)
        assert process.communicate() and process.returncode == 0, process.said
        return figures_of(copy)

    blank, drawn, other = map(redraw, (False, True, False))
    assert drawn == figures_of(finished) and blank.keys() == other.keys() == drawn.keys()
    for name, png in blank.items():
        assert png != other[name] and len(png) < 0.5 * len(drawn[name]), name
