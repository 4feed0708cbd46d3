"""Tests what the reports say of rare classes."""

import json

import numpy as np

from dla_jax.evidence import tables


def runs_of(*class_accuracy, counts=(190, 10)):
    return [
        {
            "group": "net",
            "seed": seed,
            "lr": 0.1,
            "num_params": 5,
            "val_accuracy": 0.95,
            "test_accuracy": 0.95,
            "test_loss": 0.2,
            "diverged": False,
            "train_seconds": 1.0,
            "examples_per_s": 9.0,
            "class_counts": list(counts),
            "class_accuracy": list(found),
            "balanced_accuracy": float(np.mean([value for value in found if value is not None])),
        }
        for seed, found in enumerate(class_accuracy)
    ]


def test_a_net_that_always_names_the_larger_class_is_seen_through():
    """190 to 10 pictures of noise: 95 % right, and nothing learned."""
    runs = runs_of((1.0, 0.0), (1.0, 0.0), (1.0, 0.0))
    row = dict(zip(tables.MEASURES, tables.measures(runs), strict=True))
    assert row["test % [95 % interval]"] == "95.0 [95.0, 95.0]" and row["balanced %"] == "50.0"
    (section,) = tables.class_section(["common", "rare"], {"net": runs})
    assert "largest class, common, has 95.0 %" in section["text"] and "of 50.0 %" in section["text"]
    assert section["table"] == {
        "head": ["class", "test examples", "net"],
        "rows": [["rare", "10.0", "0.0"], ["common", "190.0", "100.0"]],
    }


def test_accuracies_in_tables_do_not_leave_0_to_100_per_cent():
    runs = runs_of((1.0, 0.0), (1.0, 0.0))
    for run, value in zip(runs, (0.2, 1.0), strict=True):
        run["test_accuracy"] = value
    assert tables.measures(runs)[2] == "60.0"  # two runs have no interval
    assert tables.accuracy_words([0.2, 1.0, 0.9]) == "70.0 [0.0, 100.0]"


def test_a_class_that_is_not_tested_and_records_of_before():
    (section,) = tables.class_section(["a", "b"], {"net": runs_of((0.5, None), counts=(10, 0))})
    assert section["table"]["rows"] == [["b", "0.0", "not tested"], ["a", "10.0", "50.0"]]
    old = [
        {key: value for key, value in run.items() if not key.startswith(("class_", "balanced"))}
        for run in runs_of((1, 0))
    ]
    assert tables.class_section(["a", "b"], {"net": old}) == []
    assert "not kept" in tables.measures(old)


def test_many_classes_show_the_rarest():
    counts = np.arange(100, 0, -1)
    (section,) = tables.class_section(
        [f"c{i}" for i in range(100)], {"net": runs_of([0.5] * 100, counts=counts)}
    )
    rows = section["table"]["rows"]
    assert len(rows) == 20 and rows[0][0] == "c99" and "20 rarest of 100" in section["text"]


def test_a_study_of_images_tells_its_classes_apart(smoke):
    workdir = smoke("rescnn")[0]
    runs = json.loads((workdir / "summary.json").read_text())["runs"]
    for run in runs:
        examples = sum(run["class_counts"])
        correct = np.dot(run["class_accuracy"], run["class_counts"])
        assert abs(correct / examples - run["test_accuracy"]) < 1e-6 and examples == 360
        assert abs(np.mean(run["class_accuracy"]) - run["balanced_accuracy"]) < 1e-9
    assert "Class by class" in (workdir / "report.html").read_text()


def test_the_screen_shows_what_a_rare_class_hides():
    runs = runs_of((1.0, 0.0), (1.0, 0.0))
    assert tables.balanced_words(runs) == ", balanced 50.0"
    (line,) = tables.largest_words(runs)
    assert line.split() == ["always", "the", "largest", "class", "95.0"]
    even = runs_of((0.9, 0.8), counts=(100, 90))
    assert tables.balanced_words(even) == "" and tables.largest_words(even) == []
