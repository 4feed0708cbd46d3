"""Finished studies side by side."""

import json
import shutil

import numpy as np
import pytest
from launching import launch, launch_many

from dla_jax.commands import compare
from dla_jax.config.checks import ConfigError
from dla_jax.evidence import formatting, stats, verdicts


@pytest.fixture(scope="module")
def studies(smoke, tmp_path_factory):
    """Two small studies of the same networks, from two initialisations: those that the smoke preset makes."""
    folder = tmp_path_factory.mktemp("studies")
    for name, made in (("short", "he"), ("long", "torch_default")):
        shutil.copytree(smoke("compare")[0] / "studies" / made, folder / name)
    return folder


@pytest.fixture(scope="module")
def compared(studies):
    answer = launch(
        "--config=configs/compare.py",
        f"--config.runs={studies / 'short'},{studies / 'long'}",
        f"--workdir={studies / 'both'}",
    )
    assert answer.code == 0, answer.err
    return studies / "both", answer


def runs_of(folder):
    return json.loads((folder / "summary.json").read_text())["runs"]


def test_every_run_of_both_studies_is_there_with_its_accuracy(compared, studies):
    rows = runs_of(compared[0])
    for name in ("short", "long"):
        found = {
            (row["group"], row["seed"]): row["test_accuracy"]
            for row in rows
            if row["study"] == name
        }
        assert found == {
            (run["group"], run["seed"]): run["test_accuracy"] for run in runs_of(studies / name)
        }
    assert len(rows) == 2 * len(runs_of(studies / "short"))


def test_the_table_has_the_means_the_best_first(compared, studies):
    table = compare.table(runs_of(compared[0]))
    means = [float(row[3].split(" ")[0]) for row in table]
    assert means == sorted(means, reverse=True) and len(table) == 10
    best = next(row for row in table if row[0] == "long: residual-2")
    values = [
        run["test_accuracy"] for run in runs_of(studies / "long") if run["group"] == "residual-2"
    ]
    assert best[3] == f"{100 * np.mean(values):.1f}"  # two seeds have no interval
    page = (compared[0] / "report.html").read_text()
    assert (
        "long: residual-2" in page
        and page.count("data:image/png;base64") == 1
        and "The same network in two studies" in page
    )
    assert "long: residual-2" in compared[1].err


def test_the_same_network_is_compared_seed_by_seed(compared, studies):
    rows = {row[0]: row for row in compare.paired(runs_of(compared[0]))}
    assert set(rows) == {"both-1", "plain-2", "plain-4", "residual-2", "residual-4"}
    by_seed = {
        name: {
            run["seed"]: run["test_accuracy"]
            for run in runs_of(studies / name)
            if run["group"] == "plain-2"
        }
        for name in ("short", "long")
    }
    differences = [by_seed["long"][seed] - by_seed["short"][seed] for seed in by_seed["short"]]
    mean, p_expected = (
        100 * np.mean(differences),
        formatting.p_value(stats.sign_flip_p(differences)),
    )
    _, studies_of, _, points, p, p_holm, seeds, verdict = rows["plain-2"]
    assert (studies_of, p, p_holm, seeds) == (
        "long − short",
        f"p = {p_expected}",
        "Holm 1.00",
        "2 seeds",
    )
    assert verdict == "not decided (too few seeds)"
    assert float(points.split(" ")[0].replace("−", "-")) == pytest.approx(mean, abs=0.06)
    screen = next(
        line for line in compared[1].err.splitlines() if line.strip().startswith("plain-2 ")
    )
    assert "long − short" in screen and points in screen and "not decided" in screen


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [
        ([0.03, 0.04, 0.035, 0.03, 0.045, 0.04], "better"),
        ([-0.03, -0.04, -0.035, -0.03, -0.045, -0.04], "worse"),
        ([0.001, -0.001, 0.0005, 0.0002, -0.0005, 0.0008], "no difference (within the margin)"),
        ([0.001, 0.0011, 0.0009, 0.001, 0.0012, 0.001], "no difference (too small to matter)"),
        ([0.03, -0.04, 0.035, 0.03, -0.045, 0.04], "not decided"),
        ([0.0] * 6, "not decided (the runs do not vary)"),
    ],
)
def test_a_pair_gets_a_verdict(differences, verdict):
    assert (
        compare.pair_words(verdicts.judge(differences, ">", compare.MARGIN, bound=1.0), 0.5)[-1]
        == verdict
    )


def test_p_values_of_all_pairs_are_corrected_together():
    """By Holm: the smallest of three p times three, the next times two, and none below the one before."""
    effects = {
        "a": [0.03, 0.04, 0.05, 0.03, 0.04, 0.06, 0.05],
        "b": [0.03, 0.04, 0.05, 0.03, 0.04, 0.06, -0.001],
        "c": [0.01, -0.02, 0.03, -0.03, 0.02, -0.01, 0.0],
    }
    rows = [
        {
            "study": study,
            "group": group,
            "seed": seed,
            "test_accuracy": 0.5 + (study == "second") * effect,
            "num_params": 1,
            "data": {"name": "digits"},
        }
        for group, found in effects.items()
        for seed, effect in enumerate(found)
        for study in ("first", "second")
    ]
    p = [stats.sign_flip_p(found) for found in effects.values()]
    expected = [3 * p[0], max(3 * p[0], 2 * p[1]), 1.0]
    shown = {row[0]: row[4:6] for row in compare.paired(rows)}
    for (group, words), raw, corrected in zip(shown.items(), p, expected, strict=True):
        assert words == [
            f"p = {formatting.p_value(raw)}",
            f"Holm {formatting.p_value(min(1.0, corrected))}",
        ], group


def test_networks_of_other_sizes_are_compared_too(compared):
    rows = [
        row | {"num_params": row["num_params"] * (3 if row["study"] == "long" else 1)}
        for row in runs_of(compared[0])
    ]
    found = {row[0]: row for row in compare.paired(rows)}
    size = next(
        row["num_params"] for row in rows if row["group"] == "plain-2" and row["study"] == "short"
    )
    assert found["plain-2"][2] == f"{size:,} and {3 * size:,}"


def test_two_data_sets_of_one_name_are_ranked_apart(compared):
    rows = runs_of(compared[0])
    assert [title for title, _, _ in compare.by_data(rows)] == ["digits"]
    other = [
        row | {"data": row["data"] | {"fingerprint": "0123456789abcdef"}}
        if row["study"] == "long"
        else row
        for row in rows
    ]
    (first, one, short), (second, two, long) = compare.by_data(other)
    assert {row["study"] for row in short} == {"short"} and {row["study"] for row in long} == {
        "long"
    }
    assert second == "digits of 1,797 examples, 01234567" and first != second and one != two


def test_patterns_and_commas_in_paths(tmp_path):
    from ml_collections import ConfigDict

    for name in ("run1", "run2", "a,b", "other", "cam/study"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "config.json").write_text("{}")
    folders = lambda *names: compare.folders_of(
        ConfigDict({"runs": ",".join(f"{tmp_path}/{name}" for name in names)})
    )
    names = lambda found: [str(path.relative_to(tmp_path)) for path in found]
    assert names(folders("run*")) == ["run1", "run2"] and names(folders("a,b", "run2")) == [
        "a,b",
        "run2",
    ]
    assert names(folders("run1", "a,b")) == ["run1", "a,b"] and names(folders("cam")) == [
        "cam/study"
    ]
    assert names(folders("none")) == ["none"]  # refused where it is read
    assert len(folders(*(f"try{i}" for i in range(300)))) == 300  # longer than a path may be
    with pytest.raises(ConfigError, match="no workdir matches"):
        folders("x*")


def test_studies_on_other_data_are_not_compared_seed_by_seed(compared):
    rows = runs_of(compared[0])
    other = [
        row | {"data": row["data"] | {"fingerprint": "other"}} if row["study"] == "long" else row
        for row in rows
    ]
    assert compare.paired(rows) and compare.paired(other) == []
    written = {
        "data": {"fingerprint": "f"},
        "config": {"data": {"name": "digits", "val_fraction": 0.2, "test_fraction": 0.2}},
    }
    changed = {
        "data": {"fingerprint": "f"},
        "config": {"data": {"name": "digits", "val_fraction": 0.2, "test_fraction": 0.3}},
    }
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
    unfinished, damaged, foreign = (
        tmp_path / "unfinished",
        tmp_path / "damaged",
        tmp_path / "foreign",
    )
    for folder in (unfinished, damaged, foreign):
        folder.mkdir()
        shutil.copy(studies / "short" / "config.json", folder)
    (damaged / "summary.json").write_text('{"runs": 3}')
    (foreign / "summary.json").write_text(
        '{"runs": [{"group": "ppo", "seed": 0, "eval_return": 500.0}]}'
    )
    cases = [
        ((), "runs is empty"),
        ((f"{tmp_path}/none",), "is no workdir of this project"),
        ((unfinished,), "is not finished"),
        ((damaged,), "is damaged"),
        ((foreign,), "holds no test accuracies"),
        ((studies / "short", studies / "short"), "is given twice"),
        ((studies / "short", compared[0]), "is a comparison itself"),
    ]
    lines = [
        [
            "--config=configs/compare.py",
            f"--config.runs={','.join(map(str, given))}",
            f"--workdir={tmp_path / 'out'}",
        ]
        for given, _ in cases
    ]
    for (_, words), answer in zip(cases, launch_many(lines), strict=True):
        assert (
            answer.code == 2 and words in answer.err and len(answer.err.strip().splitlines()) == 1
        ), answer.err
    assert not (tmp_path / "out").exists()
