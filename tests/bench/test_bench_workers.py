"""The bench of workers sees a row that is lost, stands twice or differs, and no time."""

import json
import subprocess
import sys

import pytest
from launching import ROOT

from bench.workers import same


def study(folder, rows):
    path = folder / "record" / "final" / "a" / "seed0.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


ROWS = [{"step": 1, "train_loss": 0.5, "seconds": 1.0}, {"step": 2, "cuts": [{"seconds": 2.0}]}]


def test_times_are_no_difference(tmp_path):
    other = [ROWS[0] | {"seconds": 3.0}, {"step": 2, "cuts": [{"seconds": 9.0}]}]
    words = same(study(tmp_path / "a", other), study(tmp_path / "b", ROWS))
    assert words == "1 runs, 2 rows, all equal"


@pytest.mark.parametrize(
    "rows", [ROWS[:1], [*ROWS, ROWS[1]], [ROWS[0] | {"train_loss": 0.5000001}, ROWS[1]], []]
)
def test_a_row_that_is_lost_doubled_or_different_is_one(tmp_path, rows):
    words = same(study(tmp_path / "a", rows), study(tmp_path / "b", ROWS))
    assert words == "of 1 runs 1 DIFFER: record/final/a/seed0.jsonl"


def test_wrong_flags_are_refused(tmp_path):
    words = (sys.executable, "-m", "bench.workers", "--kills=-1")
    answer = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert answer.returncode == 2 and len(answer.stderr.splitlines()) == 1
