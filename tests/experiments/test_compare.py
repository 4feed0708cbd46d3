"""Finished studies side by side."""

import json
import shutil

import numpy as np
import pytest
from launching import launch, launch_many

from dla_jax.config import ConfigError
from dla_jax.experiments import compare


@pytest.fixture(scope="module")
def studies(smoke, tmp_path_factory):
    """Two small studies of the same networks, from two initialisations: those that the smoke preset makes."""
    folder = tmp_path_factory.mktemp("studies")
    for name, made in (("short", "he"), ("long", "torch_default")):
        shutil.copytree(smoke("compare")[0] / "studies" / made, folder / name)
    return folder


@pytest.fixture(scope="module")
def compared(studies):
    answer = launch("--config=configs/compare.py", f"--config.runs={studies / 'short'},{studies / 'long'}",
                    f"--workdir={studies / 'both'}")  # fmt: skip
    assert answer.code == 0, answer.err
    return studies / "both", answer


def runs_of(folder):
    return json.loads((folder / "summary.json").read_text())["runs"]


def test_every_run_of_both_studies_is_there_with_its_accuracy(compared, studies):
    rows = runs_of(compared[0])
    for name in ("short", "long"):
        found = {(row["group"], row["seed"]): row["test_accuracy"] for row in rows if row["study"] == name}
        assert found == {(run["group"], run["seed"]): run["test_accuracy"] for run in runs_of(studies / name)}
    assert len(rows) == 2 * len(runs_of(studies / "short"))


def test_the_table_has_the_means_the_best_first(compared, studies):
    table = compare.table(runs_of(compared[0]))
    means = [float(row[3].split(" ")[0]) for row in table]
    assert means == sorted(means, reverse=True) and len(table) == 10
    best = next(row for row in table if row[0] == "long: residual-2")
    values = [run["test_accuracy"] for run in runs_of(studies / "long") if run["group"] == "residual-2"]
    assert best[3].startswith(f"{100 * np.mean(values):.1f} [")
    page = (compared[0] / "report.html").read_text()
    assert "long: residual-2" in page and page.count("data:image/png;base64") == 1 and "The same network in two studies" in page
    assert "long: residual-2" in compared[1].err


def test_the_same_network_is_compared_seed_by_seed(compared, studies):
    rows = {row[0]: row for row in compare.paired(runs_of(compared[0]))}
    assert set(rows) == {"both-1", "plain-2", "plain-4", "residual-2", "residual-4"}
    by_seed = {name: {run["seed"]: run["test_accuracy"] for run in runs_of(studies / name) if run["group"] == "plain-2"}
               for name in ("short", "long")}  # fmt: skip
    mean = 100 * np.mean([by_seed["long"][seed] - by_seed["short"][seed] for seed in by_seed["short"]])
    assert rows["plain-2"][1] == "long − short" and rows["plain-2"][4] == "2"
    assert float(rows["plain-2"][2].split(" ")[0].replace("−", "-")) == pytest.approx(mean, abs=0.06)


def test_studies_on_other_data_are_not_compared_seed_by_seed(compared):
    rows = runs_of(compared[0])
    other = [row | {"data": row["data"] | {"fingerprint": "other"}} if row["study"] == "long" else row for row in rows]
    assert compare.paired(rows) and compare.paired(other) == []
    written = {"data": {"fingerprint": "f"}, "config": {"data": {"name": "digits", "val_fraction": 0.2, "test_fraction": 0.2}}}
    changed = {"data": {"fingerprint": "f"}, "config": {"data": {"name": "digits", "val_fraction": 0.2, "test_fraction": 0.3}}}
    assert compare.data_of(written) == compare.data_of(written) != compare.data_of(changed)


def test_it_is_drawn_again_from_its_record_alone(compared, studies, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(compared[0], copy)
    (copy / "summary.json").unlink()
    assert launch(f"--workdir={copy}").code == 0
    assert runs_of(copy) == runs_of(compared[0])


def test_names_are_as_short_as_they_may_be():
    assert compare.labels(["a/x/run", "b/x/run", "b/y/run"]) == ["a/x/run", "b/x/run", "b/y/run"]
    assert compare.labels(["runs/try1", "runs/try2/"]) == ["try1", "try2"]
    with pytest.raises(ConfigError, match="given twice"):
        compare.labels(["runs/try1", "runs/../runs/try1"])


def test_wrong_input_is_named_in_one_line(studies, compared, tmp_path):
    unfinished, damaged, foreign = tmp_path / "unfinished", tmp_path / "damaged", tmp_path / "foreign"
    for folder in (unfinished, damaged, foreign):
        folder.mkdir()
        shutil.copy(studies / "short" / "config.json", folder)
    (damaged / "summary.json").write_text('{"runs": 3}')
    (foreign / "summary.json").write_text('{"runs": [{"group": "ppo", "seed": 0, "eval_return": 500.0}]}')
    cases = [((), "runs is empty"), ((f"{tmp_path}/none",), "is no workdir of this project"), ((unfinished,), "is not finished"),
             ((damaged,), "is damaged"), ((foreign,), "holds no test accuracies"),
             ((studies / "short", studies / "short"), "is given twice"),
             ((studies / "short", compared[0]), "is a comparison itself")]  # fmt: skip
    lines = [["--config=configs/compare.py", f"--config.runs={','.join(map(str, given))}", f"--workdir={tmp_path / 'out'}"]
             for given, _ in cases]  # fmt: skip
    for (_, words), answer in zip(cases, launch_many(lines), strict=True):
        assert answer.code == 2 and words in answer.err and len(answer.err.strip().splitlines()) == 1, answer.err
    assert not (tmp_path / "out").exists()
