"""The record of a study: a file a run, cut back on resume, and mirrored to TensorBoard."""

import math
import subprocess
import sys
from pathlib import Path

import pytest
from board_events import events_in
from launching import ROOT, environment

from dla_jax.config.checks import ConfigError
from dla_jax.evidence.rows import finite_or_none, read_record, read_rows, record_file
from dla_jax.training.record import Record


def write(workdir, *rows):
    record = Record(workdir)
    for row in rows:
        record.append(row)
    record.close()


ROWS = [
    {"run": "a", "step": 1, "loss": 0.5},
    {"run": "b", "step": 1, "loss": 0.1},
    {"run": "a", "step": 2, "loss": 0.4},
    {"run": "a", "step": 2, "done": True, "loss": 0.3},
    {"run": "b", "step": 5, "loss": 0.2},
    {"run": "b", "step": 9, "loss": 0.2},
]
OF_A, OF_B = ([row for row in ROWS if row["run"] == run] for run in "ab")


def test_rows_come_back_as_they_were(tmp_path):
    write(tmp_path, *ROWS)
    assert read_record(tmp_path) == OF_A + OF_B
    assert read_rows(record_file(tmp_path, "a")) == OF_A
    assert read_rows(record_file(tmp_path, "nothing")) == []
    assert read_record(tmp_path / "nothing") == []


def test_a_run_whose_name_has_folders_has_its_file_in_them(tmp_path):
    rows = [{"run": f"final/plain-{depth}/seed0", "step": 1} for depth in (2, 10)]
    write(tmp_path, *rows[::-1])
    path = tmp_path / "record" / "final" / "plain-10" / "seed0.jsonl"
    assert read_rows(path) == rows[1:]
    assert read_record(tmp_path) == rows  # by the numbers in the names


@pytest.mark.skipif(sys.platform != "linux", reason="open files are read from /proc")
def test_a_paused_run_has_no_open_file_and_goes_on(tmp_path):
    record, opened = Record(tmp_path), Path("/proc/self/fd")
    paths_of = lambda: [link.resolve() for link in opened.iterdir()]
    for row in OF_B[:2]:
        record.append(row)
    assert any(tmp_path in path.parents for path in paths_of())
    record.pause("b")
    assert not any(tmp_path in path.parents for path in paths_of())
    record.resume("b", 1)
    record.append(OF_B[2])
    record.close()
    assert read_record(tmp_path) == [OF_B[0], OF_B[2]]


def test_a_line_cut_off_by_a_crash_is_left_out(tmp_path):
    write(tmp_path, *ROWS)
    with open(record_file(tmp_path, "b"), "a") as file:
        file.write('{"run": "b", "st')
    assert read_record(tmp_path) == OF_A + OF_B
    assert set(Record(tmp_path).done) == {"a"}


def test_a_last_row_that_a_crash_cut_off_does_not_finish_its_run_and_harms_no_other(tmp_path):
    write(tmp_path, *ROWS)
    with open(record_file(tmp_path, "b"), "a") as file:
        file.write('{"run": "b", "step": 10, "done": true')
    record = Record(tmp_path)
    assert set(record.done) == {"a"}
    record.append({"run": "c", "step": 1})
    assert record.resume("b", 9) == OF_B
    record.append({"run": "b", "step": 10, "done": True})
    record.close()
    assert read_record(tmp_path) == [
        *OF_A,
        *OF_B,
        {"run": "b", "step": 10, "done": True},
        {"run": "c", "step": 1},
    ]
    assert set(Record(tmp_path).done) == {"a", "b"}


def test_on_resume_the_record_is_cut_back_to_the_restored_step(tmp_path):
    write(tmp_path, *ROWS)
    record = Record(tmp_path)
    assert set(record.done) == {"a"}
    assert record.resume("b", 5) == [ROWS[1], ROWS[4]]
    assert record.resume("c", 0) == []
    record.append({"run": "b", "step": 9, "loss": 0.15})
    record.close()
    rows = read_record(tmp_path)
    assert [row for row in rows if row["run"] == "a"] == [ROWS[0], ROWS[2], ROWS[3]]
    assert [(row["step"], row["loss"]) for row in rows if row["run"] == "b"] == [
        (1, 0.1),
        (5, 0.2),
        (9, 0.15),
    ]


def traces_of(workdir, run):
    """Return what would tell that the files of a run were written again."""
    files = [record_file(workdir, run), *(workdir / "tb" / run).iterdir()]
    found = {path: path.stat() for path in files}
    return {path: (stat.st_ino, stat.st_mtime_ns, stat.st_size) for path, stat in found.items()}


def test_a_run_that_is_cut_back_leaves_the_files_of_all_others_as_they_are(tmp_path):
    write(tmp_path, *ROWS, {"run": "c", "step": 3, "loss": 0.3})
    before = {run: traces_of(tmp_path, run) for run in "abc"}
    record = Record(tmp_path)
    record.resume("b", 5)
    record.append({"run": "b", "step": 6, "loss": 0.2})
    record.close()
    assert traces_of(tmp_path, "b") != before["b"]
    assert {run: traces_of(tmp_path, run) for run in "ac"} == {run: before[run] for run in "ac"}


def test_a_crash_before_a_run_resumes_loses_none_of_its_rows(tmp_path):
    write(tmp_path, *ROWS)
    Record(tmp_path).close()  # opened again, and killed before anything resumed
    record = Record(tmp_path)
    assert record.resume("b", 5) == [ROWS[1], ROWS[4]]
    record.close()
    assert read_record(tmp_path) == OF_A + OF_B[:-1]


def test_a_record_that_does_not_write_reads_and_remembers(tmp_path):
    write(tmp_path, *ROWS)
    before = {run: traces_of(tmp_path, run) for run in "ab"}
    record = Record(tmp_path, writes=False)
    assert record.resume("b", 5) == [ROWS[1], ROWS[4]]
    record.append({"run": "b", "step": 9, "done": True})
    record.close()
    assert set(record.done) == {"a", "b"}
    assert {run: traces_of(tmp_path, run) for run in "ab"} == before


# Opens the record, cuts a run back and continues it again and again, while another process does so
# with another run.
WRITER = """
import sys
from pathlib import Path
from dla_jax.training.record import Record

workdir, run = Path(sys.argv[1]), sys.argv[2]
print("ready", flush=True)
sys.stdin.read()
for turn in range(20):
    record = Record(workdir)
    record.resume(run, 3 * turn)
    for step in range(3 * turn + 1, 3 * turn + 8):
        record.append({"run": run, "step": step, "turn": turn})
    if turn == 19:
        record.append({"run": run, "step": 64, "done": True})
    record.close()
"""


def test_two_processes_that_write_different_runs_do_not_disturb_each_other(tmp_path):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    writers = [
        subprocess.Popen(
            (sys.executable, "-c", WRITER, str(tmp_path), run), cwd=ROOT, env=environment(), **pipes
        )
        for run in ("final/x/seed0", "final/x/seed1")
    ]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.close()  # both begin
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0]
    for writer in writers:
        writer.stdout.close()
    for run in ("final/x/seed0", "final/x/seed1"):
        rows = read_rows(record_file(tmp_path, run))
        assert [row["step"] for row in rows] == [*range(1, 65), 64]
        assert all(row["run"] == run for row in rows) and rows[-1]["done"]
        turns = [min((step - 1) // 3, 19) for step in range(1, 65)]
        assert [row["turn"] for row in rows[:-1]] == turns
    assert not list(tmp_path.rglob("*.tmp"))
    assert set(Record(tmp_path).done) == {"final/x/seed0", "final/x/seed1"}


def test_tensorboard_holds_every_scalar_once_after_a_resume(tmp_path):
    write(tmp_path, *ROWS)
    record = Record(tmp_path)
    record.resume("b", 5)
    record.append({"run": "b", "step": 9, "done": True, "loss": 0.2})
    record.close()
    events = events_in(tmp_path / "tb" / "b")
    assert [event.step for event in events for value in event.summary.value] == [1, 5, 9]


def test_tensorboard_gets_what_its_own_writer_writes(tmp_path):
    from tensorboardX import SummaryWriter

    counts, limits = [1, 2, 0], [0.5, 1.0, 1.5]
    row = {"run": "a", "step": 3, "loss": 0.25, "n": 2, "diverged": False, "sample": "x\ny"}
    row |= {"layer_histogram": [counts], "histogram_limits": limits, "env_steps": 70}
    write(tmp_path, row)
    with SummaryWriter(str(tmp_path / "theirs")) as writer:
        writer.add_scalar("loss", 0.25, 70)
        writer.add_scalar("n", 2, 70)
        writer.add_text("sample", "    x\n    y", 70)
        writer.add_histogram_raw(
            "layer_histogram/000", 0.5, 1.5, 3, 1.75, 1.1875, limits, counts, 70
        )
        writer.add_scalar("env_steps", 70, 70)
    (ours,), theirs = events_in(tmp_path / "tb" / "a"), events_in(tmp_path / "theirs")
    assert list(ours.summary.value) == [event.summary.value[0] for event in theirs]
    assert {event.step for event in theirs} == {ours.step} and ours.wall_time > 1.7e9


def test_tensorboard_sees_a_run_under_way(tmp_path, monkeypatch):
    monkeypatch.setattr("dla_jax.training.record.FLUSH_SECONDS", -1)
    record = Record(tmp_path)
    record.append({"run": "a", "step": 3, "loss": 0.25})
    assert [event.step for event in events_in(tmp_path / "tb" / "a")] == [3]
    record.close()


def test_numbers_that_json_has_none_for_become_none():
    row = {
        "a": math.nan,
        "b": [1.0, -math.inf],
        "c": {"d": (math.inf, 2)},
        "e": 3,
        "f": "nan",
        "g": True,
    }
    assert finite_or_none(row) == {
        "a": None,
        "b": [1.0, None],
        "c": {"d": [None, 2]},
        "e": 3,
        "f": "nan",
        "g": True,
    }


@pytest.mark.parametrize("line", ["garbage", "null", "[1]", "{}"])
def test_a_line_that_is_no_row_is_named(tmp_path, line):
    path = record_file(tmp_path, "a")
    path.parent.mkdir()
    path.write_text('{"run": "a", "step": 1}\n' + line + "\n")
    with pytest.raises(ConfigError, match="damaged at line 2"):
        read_rows(path)
    with pytest.raises(ConfigError, match=r"a\.jsonl is damaged at line 2"):
        read_record(tmp_path)


@pytest.mark.parametrize("line", ["garbage", "null", "[1]", "{}"])
def test_a_last_line_that_is_no_row_is_named_when_the_record_is_opened(tmp_path, line):
    path = record_file(tmp_path, "a")
    path.parent.mkdir()
    path.write_text('{"run": "a", "step": 1}\n' + line + "\n")
    with pytest.raises(ConfigError, match=r"a\.jsonl is damaged"):
        Record(tmp_path)


def test_a_full_disk_while_rows_are_written(tmp_path):
    """/dev/full refuses every byte, as a full disk does."""
    record, path = Record(tmp_path), record_file(tmp_path, "a")
    path.parent.mkdir()
    path.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device"):
        record.append({"run": "a", "step": 1})


def test_a_record_that_does_not_write_goes_by_what_it_did_itself(tmp_path):
    first, other = Record(tmp_path), Record(tmp_path, writes=False)
    last = {"run": "a", "step": 2, "done": True}
    first.append(last)
    assert first.look("a") and Record(tmp_path).look("a") and not other.look("a")
    other.append(last)
    assert other.look("a")
    first.close()
