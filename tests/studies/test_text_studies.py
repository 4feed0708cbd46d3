"""The studies of texts from end to end: their record, their baseline, predictions on one's own texts, exports, resuming."""

import json
import time

import numpy as np
import pytest
from launching import launch, start
from ml_collections import ConfigDict
from sklearn.metrics import f1_score

from configs import ag_news, yahoo
from dla_jax.config.checks import ConfigError
from dla_jax.config.workdir import Run
from dla_jax.data import labelled
from dla_jax.models import pretrained
from dla_jax.studies.features import study as features
from dla_jax.studies.finetune import study as finetune
from dla_jax.tasks import text_classifier as text_runs
from dla_jax.trials import finished as trained


def done_rows(workdir):
    rows = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return {row["run"]: row for row in rows if row.get("done")}


@pytest.mark.parametrize("name", ["yahoo", "ag_news"])
def test_the_scores_agree_with_one_another(name, smoke):
    for run, row in done_rows(smoke(name)[0]).items():
        if row["stage"] == "select":
            continue
        counts = np.array(row["confusion"])
        assert counts.shape == (4, 4) and counts.sum() == 1200  # a fifth of 6,000
        assert row["test_accuracy"] == pytest.approx(np.trace(counts) / counts.sum()), run
        labels, found = (
            np.concatenate(
                [np.full(counts[i, j], (i, j)[axis]) for i in range(4) for j in range(4)]
            )
            for axis in (0, 1)
        )
        assert row["macro_f1"] == pytest.approx(
            f1_score(labels, found, average="macro", zero_division=0)
        )
        assert all(example["label"] != example["predicted"] for example in row["wrong"])
        assert sorted(row["wrong"], key=lambda example: -example["probability"]) == row["wrong"]


def test_the_baseline_learns_and_is_the_same_in_both_studies(smoke):
    """On the same splits: nothing of it depends on the encoder."""
    rows = [done_rows(smoke(name)[0]) for name in ("yahoo", "ag_news")]
    for seed in (0, 1):
        both = [found[f"final/tfidf/seed{seed}"]["test_accuracy"] for found in rows]
        assert both[0] == both[1] > 0.8
    assert rows[0]["final/tfidf/seed0"]["confusion"] != rows[0]["final/tfidf/seed1"]["confusion"]


def predictions(*arguments, stdin=None):
    import subprocess
    import sys

    from launching import ROOT, environment

    answer = subprocess.run(
        (sys.executable, "launch.py", "--config=configs/predict.py", *arguments),
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        input=stdin,
    )
    assert answer.returncode == 0, answer.stderr
    return [json.loads(line) for line in answer.stdout.splitlines()], answer


@pytest.mark.parametrize(
    ("name", "network"),
    [("yahoo", "corrected"), ("yahoo", "lab_b_setting"), ("ag_news", "mlp"), ("ag_news", "linear")],
)
def test_predictions_are_those_of_the_study(name, network, smoke, tmp_path):
    workdir = smoke(name)[0]
    runs = [
        row
        for row in done_rows(workdir).values()
        if row["group"] == network and row["stage"] == "final"
    ]
    best = max(runs, key=lambda row: row["val_accuracy"])
    file = tmp_path / "texts.txt"
    file.write_text("".join(example["text"] + "\n" for example in best["wrong"]))
    found, answer = predictions(
        f"--from={workdir}",
        f"--config.network={network}",
        f"--config.file={file}",
        f"--workdir={tmp_path / 'run'}",
    )
    assert best["run"] in answer.stderr and len(found) == len(best["wrong"]) > 0
    for line, example in zip(found, best["wrong"], strict=True):
        assert line["text"] == example["text"] and line["label"] == example["predicted"]
        assert line["probability"] == pytest.approx(example["probability"], abs=2e-4)
        assert sum(line["probabilities"].values()) == pytest.approx(1, abs=1e-5) and set(
            line["probabilities"]
        ) == {
            "jax",
            "numpy",
            "scipy",
            "sklearn",
        }
    again = launch(f"--workdir={tmp_path / 'run'}")
    assert [json.loads(line) for line in again.out.splitlines()] == found


def test_texts_come_from_standard_input(smoke, tmp_path):
    found, _ = predictions(
        f"--from={smoke('yahoo')[0]}",
        f"--workdir={tmp_path / 'run'}",
        stdin="Return the sum.\nFit  the model.\n",
    )
    assert [line["text"] for line in found] == ["Return the sum.", "Fit  the model."]
    one, _ = predictions(
        f"--from={smoke('yahoo')[0]}",
        f"--workdir={tmp_path / 'one'}",
        "--config.text=Return the sum.",
    )
    assert one[0]["label"] == found[0]["label"] and one[0]["probability"] == pytest.approx(
        found[0]["probability"], abs=1e-4
    )


def test_images_are_classified_as_in_the_study(smoke, tmp_path):
    """The very test images, as PNG files: the share that is right is the study's test accuracy."""
    from PIL import Image

    from dla_jax.data import images, splits

    workdir = smoke("rescnn")[0]
    row = trained.choose_classifier(workdir, "")
    digits = images.digits()
    config = ConfigDict(json.loads((workdir / "config.json").read_text())["config"])
    test = splits.split(digits, row["seed"], config.data.val_fraction, config.data.test_fraction)[
        "test"
    ]
    for i in test:
        Image.fromarray(digits.images[i, ..., 0]).save(tmp_path / f"{i:04}.png")
    found, _ = predictions(
        f"--from={workdir}", f"--config.image={tmp_path}", f"--workdir={tmp_path / 'run'}"
    )
    right = [
        line["label"] == str(digits.labels[i]) for line, i in zip(found, sorted(test), strict=True)
    ]
    assert np.mean(right) == pytest.approx(row["test_accuracy"], abs=1e-6)


def test_an_export_says_what_the_study_says(tmp_path):
    answer = launch("--config=configs/export.py:smoke", f"--workdir={tmp_path / 'run'}", "--quiet")
    assert answer.code == 0, answer.err
    folder, study = tmp_path / "run" / "exported", tmp_path / "run" / "study"
    model, params, names = pretrained.load_classifier(folder)
    assert names == ("jax", "numpy", "scipy", "sklearn")
    row = trained.choose_classifier(study, "published_head")
    from dla_jax.data import tokenize

    tokenizer = tokenize.published(folder, model.config.vocab_size)
    encoded = tokenizer.encode_all([example["text"] for example in row["wrong"]], 32)
    logits = np.asarray(model.apply({"params": params}, encoded.tokens, encoded.length)[0])
    assert [names[i] for i in logits.argmax(1)] == [
        example["predicted"] for example in row["wrong"]
    ]
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("torch")
    say = transformers.pipeline("text-classification", str(folder), top_k=1)
    found = [
        lines[0] for lines in say([example["text"] for example in row["wrong"]], truncation=True)
    ]
    assert [line["label"] for line in found] == [example["predicted"] for example in row["wrong"]]
    np.testing.assert_allclose(
        [line["score"] for line in found],
        [example["probability"] for example in row["wrong"]],
        atol=1e-3,
    )


def test_gpt2_shows_tokens_and_writes(tmp_path):
    answer = launch("--config=configs/gpt2.py:smoke", f"--workdir={tmp_path / 'run'}")
    assert answer.code == 0, answer.err
    lines = answer.out.splitlines()
    assert lines[0] == "This is an example sentence to encode into tokens." and lines[1].startswith(
        "9 words, "
    )
    assert lines[2] == "decoded, it comes back as it was" and "\nOnce upon a time" in answer.out
    again = launch("--config=configs/gpt2.py:smoke", f"--workdir={tmp_path / 'run'}")
    assert again.out == answer.out


def test_killed_and_resumed_it_ends_with_the_same_bits(tmp_path):
    from test_resume import models_of, rows_of, wait_for_rows

    study = (
        "--config=configs/yahoo.py:smoke",
        "--quiet",
        "--config.seeds=0",
        "--config.log_every_steps=10",
        "--config.cells_at_a_time=1",
        "--config.checkpoint_every_steps=15",
        "--config.lrs=1e-3,",
        "--config.num_epochs=2",
    )
    assert launch(*study, f"--workdir={tmp_path / 'whole'}").code == 0
    workdir = tmp_path / "killed"
    process = start(*study, f"--workdir={workdir}")
    wait_for_rows(process, workdir, 5)
    time.sleep(0.2)
    killed = process.poll() is None
    process.kill()
    process.communicate()
    assert killed and launch(*study, f"--workdir={workdir}").code == 0
    assert rows_of(workdir) == rows_of(tmp_path / "whole")
    ours, theirs = models_of(workdir), models_of(tmp_path / "whole")
    assert ours.keys() == theirs.keys() and len(ours) == 2
    import jax

    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


RUN = Run(None, None, None, False, True)


@pytest.mark.parametrize(
    ("study", "changes", "words"),
    [
        (yahoo, {"encoder.max_length": 2}, "encoder.max_length"),
        (yahoo, {"widths": (64, 32)}, "must ascend"),
        (yahoo, {"widths": (128,)}, "less than encoder.max_length"),
        (yahoo, {"encoder.pooling": "max"}, "encoder.pooling"),
        (yahoo, {"steps_per_call": 2}, "leave it at 1"),
        (yahoo, {"model.frozen_layers": 2}, "give at most that"),
        (yahoo, {"model.dropout": 1.0}, "model.dropout"),
        (yahoo, {"encoder.n_head": 3}, "not divisible by n_head"),
        (yahoo, {"batch_size": 10_000}, "larger than the training part"),
        (yahoo, {"accumulate": 3}, "not divisible by accumulate"),
        (yahoo, {"encoder.path": "nowhere/at/all"}, "there is no folder nowhere/at/all"),
        (yahoo, {"data.test_fraction": 0.7}, "data.test_fraction"),
        (ag_news, {"model.widths": (0,)}, "model.widths"),
        (ag_news, {"encoder.pooling": "published"}, "no pooler"),
        (ag_news, {"encoder.seed": -1}, "encoder.seed"),
        (ag_news, {"embed_batch_size": 0}, "embed_batch_size"),
        (
            ag_news,
            {"networks.linear.model.strengths": (1.0, 1.0)},
            "networks.linear: model.strengths: 1.0 is given twice",
        ),
        (ag_news, {"networks.linear.model.tolerance": 0.0}, "model.tolerance"),
        (ag_news, {"networks.linear.model.max_iter": 0}, "model.max_iter"),
        (ag_news, {"networks.linear.model.name": "tfidf"}, "tfidf has the keys"),
        (yahoo, {"networks.tfidf.model.strengths": ()}, "model.strengths is empty"),
    ],
)
def test_what_cannot_be_run_is_refused(study, changes, words, monkeypatch):
    texts = tuple(f"{name} number {i}" for i in range(100) for name in "ab")
    made = labelled.LabelledTexts(
        "made", texts, np.tile([0, 1], 100).astype(np.int32), ("a", "b"), None
    )
    monkeypatch.setattr(labelled, "docstrings_of", lambda: made)
    text_runs.read_once.cache_clear()
    config = study.get_config("smoke")
    config.batch_size = 32
    for key, value in changes.items():
        config[key.split(".")[0]] if "." not in key else None
        config.update_from_flattened_dict({key: value})
    with pytest.raises(ConfigError) as error:
        {yahoo: finetune, ag_news: features}[study].check_config(config, RUN)
    assert words in str(error.value)
    text_runs.read_once.cache_clear()


def test_a_diverged_run_scores_what_guessing_does():
    """Closed forms of the loss, and scikit-learn's F1 where each class is taken for every class equally often."""
    labels = np.repeat([0, 1, 2, 3], [48, 24, 8, 4]).astype(np.int32)
    found = text_runs.unscored(
        labelled.LabelledTexts("made", ("",) * 84, labels, tuple("abcd"), None)
    )
    guessed = np.concatenate([np.arange(count) % 4 for count in (48, 24, 8, 4)])
    assert found["test_loss"] == pytest.approx(np.log(4)) and found["val_loss"] is None
    assert (
        found["test_accuracy"]
        == found["val_accuracy"]
        == found["balanced_accuracy"]
        == 0.25
        == np.mean(guessed == labels)
    )
    assert found["macro_f1"] == pytest.approx(f1_score(labels, guessed, average="macro"))
