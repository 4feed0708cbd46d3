"""A workdir of an earlier version, whose record is one file, is drawn, read and never continued."""

import itertools
import json
import shutil

import chex
import numpy as np
import pytest
from launching import assert_refused, launch, launch_many

from dla_jax.config.written import read_config
from dla_jax.evidence.rows import read_record
from dla_jax.studies.study import restore
from dla_jax.trials.finished import choose_classifier

STUDY = "--config=configs/rescnn.py:smoke"
DRAWN = ("summary.json", "report.html")


def record_lines(workdir):
    """Return the lines of all runs as one file held them: the runs took turns."""
    files = sorted((workdir / "record").rglob("*.jsonl"))
    by_run = [path.read_text().splitlines(keepends=True) for path in files]
    turns = itertools.zip_longest(*by_run, fillvalue="")
    return [line for turn in turns for line in turn if line]


def make_old(new, old):
    """Write a finished workdir again as an earlier version did, its report not drawn yet."""
    left_out = shutil.ignore_patterns("record", "figures", ".lock", *DRAWN)
    shutil.copytree(new, old, ignore=left_out)
    (old / "metrics.jsonl").write_text("".join(record_lines(new)))
    written = json.loads((old / "config.json").read_text())
    written["config"]["experiment"] = "depth_study"
    for claim in written["config"]["claims"].values():
        del claim["figures"], claim["example"]
    (old / "config.json").write_text(json.dumps(written, indent=1))
    return old


def contents(workdir):
    """Return what a launch must leave as it is."""
    return {name: (workdir / name).read_bytes() for name in ("metrics.jsonl", "config.json")}


@pytest.fixture(scope="module")
def new(smoke):
    return smoke("rescnn")[0]


@pytest.fixture
def old(new, tmp_path):
    return make_old(new, tmp_path / "old")


@pytest.fixture
def unfinished(old):
    lines = (old / "metrics.jsonl").read_text().splitlines(keepends=True)
    done = [i for i, line in enumerate(lines) if json.loads(line).get("done")]
    # Without the last runs, and in the middle of a line.
    (old / "metrics.jsonl").write_text("".join(lines[: done[3] + 1]) + lines[done[4]][:20])
    return old


def test_it_holds_the_same_rows(new, old):
    def ordered(rows):
        return sorted(rows, key=lambda row: (row["run"], row["step"], "done" in row))

    assert ordered(read_record(old)) == ordered(read_record(new))


def test_it_is_drawn_as_the_new_one_is(new, old):
    before = contents(old)
    answer = launch(f"--workdir={old}", drawn=True)
    assert answer.code == 0, answer.err
    assert contents(old) == before and not (old / "record").exists()
    summaries = [json.loads((path / "summary.json").read_text()) for path in (new, old)]
    for part in ("study", "runs", "selection", "secondary"):
        assert summaries[0][part] == summaries[1][part]
    expected, found = (
        [(claim["name"], claim["verdict"], claim["results"]) for claim in summary["claims"]]
        for summary in summaries
    )
    assert found == expected and len(found) >= 5
    figures = [{path.name for path in (workdir / "figures").iterdir()} for workdir in (new, old)]
    assert figures[0] == figures[1]
    assert (old / "report.html").stat().st_size > 0.9 * (new / "report.html").stat().st_size


def test_its_networks_are_read_as_those_of_the_new_one(new, old):
    for name in DRAWN:
        shutil.copy(new / name, old / name)
    assert read_config(old)["config"]["experiment"] == "depth"
    row = choose_classifier(new, network="")
    assert choose_classifier(old, network="") == row
    expected, found = restore(new, row), restore(old, row)
    assert found._replace(variables=None) == expected._replace(variables=None)
    chex.assert_trees_all_equal(found.variables, expected.variables)
    images = np.zeros((2, *found.shape), np.float32)
    logits, _ = found.model.apply(found.variables, images, train=False)
    assert logits.shape == (2, len(found.class_names))


def test_it_is_refused_by_config_in_one_line(old):
    before = contents(old)
    drawn, refused = launch_many([[f"--workdir={old}"], [STUDY, f"--workdir={old}"]])
    assert drawn.code == 0, drawn.err
    assert_refused(refused, ["earlier version", f"--workdir={old} alone", "another --workdir"])
    assert contents(old) == before and not (old / "record").exists()


def test_an_unfinished_one_is_neither_drawn_nor_continued(unfinished):
    before = contents(unfinished)
    drawn, refused = launch_many([[f"--workdir={unfinished}"], [STUDY, f"--workdir={unfinished}"]])
    assert_refused(drawn, ["earlier version", "is not finished (4 of ", "in another --workdir"])
    assert_refused(refused, ["earlier version", "another --workdir"])
    assert contents(unfinished) == before and not (unfinished / "record").exists()
    assert not any((unfinished / name).exists() for name in DRAWN)
