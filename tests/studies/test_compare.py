"""Finished studies side by side: their runs, their table, their pairs, and what is refused."""

import json
import shutil

import numpy as np
import pytest
from launching import assert_refused, launch, launch_many
from ml_collections import ConfigDict

from dla_jax.config.checks import ConfigError
from dla_jax.evidence import formatting, stats, verdicts
from dla_jax.studies.compare.report import (
    MARGIN,
    PAIR_HEAD,
    by_data,
    paired,
    table,
    verdict_words,
)
from dla_jax.studies.compare.study import data_of, folders_of, labels


@pytest.fixture(scope="module")
def studies(smoke, tmp_path_factory):
    """Return the folder of two small studies of the same networks, from two initialisations.

    The smoke preset makes them.
    """
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


def own_runs(rows, study):
    return [row for row in rows if row["study"] == study]


def test_every_run_of_both_studies_is_there_with_its_accuracy(compared, studies):
    rows = runs_of(compared[0])

    def accuracies(runs):
        return {(run["group"], run["seed"]): run["test_accuracy"] for run in runs}

    for name in ("short", "long"):
        assert accuracies(own_runs(rows, name)) == accuracies(runs_of(studies / name))
    assert len(rows) == 2 * len(runs_of(studies / "short"))


def test_the_table_has_the_means_the_best_first(compared, studies):
    rows = table(runs_of(compared[0]))
    means = [float(row[3].split(" ")[0]) for row in rows]
    assert means == sorted(means, reverse=True) and len(rows) == 6
    best = next(row for row in rows if row[0] == "long: residual-2")
    values = [
        run["test_accuracy"] for run in runs_of(studies / "long") if run["group"] == "residual-2"
    ]
    assert best[3] == f"{100 * np.mean(values):.1f}"  # two seeds have no interval
    page = (compared[0] / "report.html").read_text()
    assert "long: residual-2" in page and page.count("data:image/png;base64") == 1
    assert "The same network in two studies" in page
    assert "long: residual-2" in compared[1].err


def test_the_same_network_is_compared_seed_by_seed(compared, studies):
    rows = {row[1]: row for row in paired(runs_of(compared[0]))}
    assert set(rows) == {"both-1", "plain-2", "residual-2"}
    by_seed = {
        name: {
            run["seed"]: run["test_accuracy"]
            for run in runs_of(studies / name)
            if run["group"] == "plain-2"
        }
        for name in ("short", "long")
    }
    differences = [by_seed["long"][seed] - by_seed["short"][seed] for seed in by_seed["short"]]
    mean = 100 * np.mean(differences)
    p_expected = formatting.p_value(stats.sign_flip_p(differences))
    verdict, _, studies_of, _, points, p, p_holm, seeds = rows["plain-2"]
    assert (studies_of, p, p_holm) == ("long − short", f"p = {p_expected}", "Holm 1.00")
    assert (seeds, verdict) == ("2 seeds", "not decided (too few seeds)")
    assert float(points.split(" ")[0].replace("−", "-")) == pytest.approx(mean, abs=0.06)
    lines = compared[1].err.splitlines()
    screen = next(line for line in lines if line.strip().startswith("plain-2 "))
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
def test_a_pair_gets_a_verdict_better_or_worse_only_after_correction(differences, verdict):
    contrast = verdicts.judge(differences, ">", MARGIN, bound=1.0)
    assert verdict_words(contrast, 0.049) == verdict and PAIR_HEAD[0] == "verdict"
    decided = verdict in ("better", "worse")
    corrected = "not decided (after correction)" if decided else verdict
    assert verdict_words(contrast, 0.051) == corrected


def test_p_values_of_all_pairs_are_corrected_together():
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
    # By Holm: the smallest of three p times three, the next times two, and none below the one
    # before.
    expected = [3 * p[0], max(3 * p[0], 2 * p[1]), 1.0]
    shown = {row[1]: row[5:7] for row in paired(rows)}
    for (group, words), raw, corrected in zip(shown.items(), p, expected, strict=True):
        corrected_words = formatting.p_value(min(1.0, corrected))
        assert words == [f"p = {formatting.p_value(raw)}", f"Holm {corrected_words}"], group


def changed(rows, study, change):
    """Return rows, those of one study as `change` makes them."""
    return [row | change(row) if row["study"] == study else row for row in rows]


def with_fingerprint(fingerprint):
    return lambda row: {"data": row["data"] | {"fingerprint": fingerprint}}


def test_networks_of_other_sizes_are_compared_too(compared):
    rows = runs_of(compared[0])
    larger = changed(rows, "long", lambda row: {"num_params": row["num_params"] * 3})
    found = {row[1]: row for row in paired(larger)}
    short = own_runs(rows, "short")
    size = next(row["num_params"] for row in short if row["group"] == "plain-2")
    assert found["plain-2"][3] == f"{size:,} and {3 * size:,}"


def test_two_data_sets_of_one_name_are_ranked_apart(compared):
    rows = runs_of(compared[0])
    assert [title for title, _, _ in by_data(rows)] == ["digits"]
    other = changed(rows, "long", with_fingerprint("0123456789abcdef"))
    (first, one, short), (second, two, long) = by_data(other)
    assert {row["study"] for row in short} == {"short"}
    assert {row["study"] for row in long} == {"long"}
    assert second == "digits of 1,797 examples, 01234567" and first != second and one != two


def test_patterns_and_commas_in_paths(tmp_path):
    for name in ("run1", "run2", "a,b", "other", "cam/study"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "config.json").write_text("{}")

    def folders(*names):
        found = folders_of(ConfigDict({"runs": ",".join(f"{tmp_path}/{name}" for name in names)}))
        return [str(path.relative_to(tmp_path)) for path in found]

    assert folders("run*") == ["run1", "run2"]
    assert folders("a,b", "run2") == ["a,b", "run2"]
    assert folders("run1", "a,b") == ["run1", "a,b"] and folders("cam") == ["cam/study"]
    assert folders("none") == ["none"]  # refused where it is read
    assert len(folders(*(f"try{i}" for i in range(300)))) == 300  # longer than a path may be
    with pytest.raises(ConfigError, match="no workdir matches"):
        folders("x*")


def test_studies_on_other_data_are_not_compared_seed_by_seed(compared):
    rows = runs_of(compared[0])
    assert paired(rows) and paired(changed(rows, "long", with_fingerprint("other"))) == []

    def written(test_fraction):
        data = {"name": "digits", "val_fraction": 0.2, "test_fraction": test_fraction}
        return {"data": {"fingerprint": "f"}, "config": {"data": data}}

    assert data_of(written(0.2)) == data_of(written(0.2)) != data_of(written(0.3))


def test_it_is_drawn_again_from_its_record_alone(compared, studies, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(compared[0], copy)
    (copy / "summary.json").unlink()
    assert launch(f"--workdir={copy}").code == 0
    assert runs_of(copy) == runs_of(compared[0])


def test_names_are_as_short_as_they_may_be():
    assert labels(["a/x/run", "b/x/run", "b/y/run"]) == ["a/x/run", "b/x/run", "b/y/run"]
    assert labels(["runs/try1", "runs/try2/"]) == ["try1", "try2"]
    with pytest.raises(ConfigError, match="given twice"):
        labels(["runs/try1", "runs/../runs/try1"])


def test_wrong_input_is_named_in_one_line(studies, compared, tmp_path):
    names = ("unfinished", "damaged", "foreign")
    unfinished, damaged, foreign = (tmp_path / name for name in names)
    for folder in (unfinished, damaged, foreign):
        folder.mkdir()
        shutil.copy(studies / "short" / "config.json", folder)
    (damaged / "summary.json").write_text('{"runs": 3}')
    runs = [{"group": "ppo", "seed": 0, "eval_return": 500.0}]
    (foreign / "summary.json").write_text(json.dumps({"runs": runs}))
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
        assert answer.code == 2 and words in answer.err, answer.err
        assert len(answer.err.strip().splitlines()) == 1, answer.err
    assert not (tmp_path / "out").exists()


def test_which_pairs_are_judged_is_one_of_three(studies, compared):
    runs = f"--config.runs={studies / 'short'},{studies / 'long'}"
    wrong = launch("--config=configs/compare.py", runs, "--config.pairs=bests")
    assert_refused(wrong, ["pairs", "did you mean 'best'"])
    right = ("--config=configs/compare.py", runs, "--config.pairs=best")
    found = launch(*right, f"--workdir={studies / 'best'}")
    assert found.code == 0 and "the best network beside the others, seed by seed" in found.err
    assert "of 5 pairs not decided in 5" in found.err
    page = (studies / "best" / "report.html").read_text()
    assert "whatever their widths and sizes" in page and "Holm" in page
