import json
import math

import pytest

from dla_jax.config.checks import ConfigError
from dla_jax.evidence.rows import read_rows
from dla_jax.training import record as logs
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


def test_rows_come_back_as_they_were(tmp_path):
    write(tmp_path, *ROWS)
    assert read_rows(tmp_path / "metrics.jsonl") == ROWS
    assert read_rows(tmp_path / "nothing.jsonl") == []


def test_a_line_cut_off_by_a_crash_is_left_out(tmp_path):
    write(tmp_path, *ROWS)
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"run": "b", "st')
    assert read_rows(tmp_path / "metrics.jsonl") == ROWS


def test_on_resume_the_record_is_cut_back_to_the_restored_step(tmp_path):
    write(tmp_path, *ROWS)
    record = Record(tmp_path)
    assert set(record.done) == {"a"}
    assert record.resume("b", 5) == [ROWS[1], ROWS[4]]
    assert record.resume("c", 0) == []
    record.append({"run": "b", "step": 9, "loss": 0.15})
    record.close()
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row for row in lines if row["run"] == "a"] == [ROWS[0], ROWS[2], ROWS[3]]
    assert [(row["step"], row["loss"]) for row in lines if row["run"] == "b"] == [
        (1, 0.1),
        (5, 0.2),
        (9, 0.15),
    ]


def test_a_crash_before_a_run_resumes_loses_none_of_its_rows(tmp_path):
    write(tmp_path, *ROWS)
    Record(tmp_path).close()  # opened again, and killed before anything resumed
    record = Record(tmp_path)
    assert record.resume("b", 5) == [ROWS[1], ROWS[4]]
    record.close()
    assert read_rows(tmp_path / "metrics.jsonl") == ROWS[:-1]


def test_tensorboard_holds_every_scalar_once_after_a_resume(tmp_path):
    from tensorboardX.proto import event_pb2

    write(tmp_path, *ROWS)
    record = Record(tmp_path)
    record.resume("b", 5)
    record.append({"run": "b", "step": 9, "done": True, "loss": 0.2})
    record.close()
    steps = []
    for path in (tmp_path / "tb" / "b").iterdir():
        data, at = path.read_bytes(), 0
        while at < len(data):  # TFRecord: length (8), its crc (4), payload, crc (4)
            length = int.from_bytes(data[at : at + 8], "little")
            event = event_pb2.Event.FromString(data[at + 12 : at + 12 + length])
            steps += [event.step for value in event.summary.value if value.tag == "loss"]
            at += 16 + length
    assert steps == [1, 5, 9]


def test_numbers_that_json_has_none_for_become_none():
    row = {
        "a": math.nan,
        "b": [1.0, -math.inf],
        "c": {"d": (math.inf, 2)},
        "e": 3,
        "f": "nan",
        "g": True,
    }
    assert logs.finite_or_none(row) == {
        "a": None,
        "b": [1.0, None],
        "c": {"d": [None, 2]},
        "e": 3,
        "f": "nan",
        "g": True,
    }


@pytest.mark.parametrize("line", ["garbage", "null", "[1]", "{}"])
def test_a_line_that_is_no_row_is_named(tmp_path, line):
    (tmp_path / "metrics.jsonl").write_text('{"run": "a", "step": 1}\n' + line + "\n")
    with pytest.raises(ConfigError, match="damaged at line 2"):
        logs.read_rows(tmp_path / "metrics.jsonl")
