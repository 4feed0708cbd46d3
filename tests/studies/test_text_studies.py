"""The studies of texts from end to end: records, baseline, predictions, exports, resuming."""

import json

import jax
import numpy as np
import pytest
from cards import example_of, run_example
from launching import copy_as_killed, launch, num_rows, start
from ml_collections import ConfigDict
from PIL import Image
from records import last_rows_of, models_of, rows_of
from sklearn.metrics import f1_score

from dla_jax.data import images, splits, tokenize
from dla_jax.models import pretrained
from dla_jax.trials.finished import choose_classifier

PACKAGES = ("jax", "numpy", "scipy", "sklearn")  # the classes of the embedded texts


def final_rows(workdir, network):
    rows = last_rows_of(workdir).values()
    return [row for row in rows if row["group"] == network and row["stage"] == "final"]


@pytest.mark.parametrize("name", ["yahoo", "ag_news"])
def test_the_scores_agree_with_one_another(name, smoke):
    for run, row in last_rows_of(smoke(name)[0]).items():
        if row["stage"] == "select":
            continue
        counts = np.array(row["confusion"])
        assert counts.shape == (4, 4) and counts.sum() == 160  # a fifth of 800
        assert row["test_accuracy"] == pytest.approx(np.trace(counts) / counts.sum()), run
        labels, found = (np.repeat(place.ravel(), counts.ravel()) for place in np.indices((4, 4)))
        f1 = f1_score(labels, found, average="macro", zero_division=0)
        assert row["macro_f1"] == pytest.approx(f1)
        assert all(example["label"] != example["predicted"] for example in row["wrong"])
        assert sorted(row["wrong"], key=lambda example: -example["probability"]) == row["wrong"]


def test_the_baseline_learns_and_is_the_same_in_both_studies(smoke):
    """On the same splits: nothing of it depends on the encoder."""
    rows = [last_rows_of(smoke(name)[0]) for name in ("yahoo", "ag_news")]
    for seed in (0, 1):
        both = [found[f"final/tfidf/seed{seed}"]["test_accuracy"] for found in rows]
        assert both[0] == both[1] > 0.6  # chance is a quarter
    assert rows[0]["final/tfidf/seed0"]["confusion"] != rows[0]["final/tfidf/seed1"]["confusion"]


def predictions(*arguments, stdin=""):
    """Return the lines that configs/predict.py prints, and the answer of its process."""
    answer = launch("--config=configs/predict.py", *arguments, stdin=stdin, warm=not stdin)
    assert answer.code == 0, answer.err
    return [json.loads(line) for line in answer.out.splitlines()], answer


@pytest.mark.parametrize(
    ("name", "network"),
    [("yahoo", "corrected"), ("yahoo", "lab_b_setting"), ("ag_news", "mlp"), ("ag_news", "linear")],
)
def test_predictions_are_those_of_the_study(name, network, smoke, tmp_path):
    workdir = smoke(name)[0]
    best = max(final_rows(workdir, network), key=lambda row: row["val_accuracy"])
    file = tmp_path / "texts.txt"
    file.write_text("".join(example["text"] + "\n" for example in best["wrong"]))
    found, answer = predictions(
        f"--from={workdir}",
        f"--config.network={network}",
        f"--config.file={file}",
        f"--workdir={tmp_path / 'run'}",
    )
    assert best["run"] in answer.err and len(found) == len(best["wrong"]) > 0
    for line, example in zip(found, best["wrong"], strict=True):
        assert line["text"] == example["text"] and line["label"] == example["predicted"]
        assert line["probability"] == pytest.approx(example["probability"], abs=2e-4)
        assert sum(line["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert set(line["probabilities"]) == set(PACKAGES)
    again = launch(f"--workdir={tmp_path / 'run'}")
    assert [json.loads(line) for line in again.out.splitlines()] == found


def test_texts_come_from_standard_input(smoke, tmp_path):
    workdir = smoke("yahoo")[0]
    found, _ = predictions(
        f"--from={workdir}",
        f"--workdir={tmp_path / 'run'}",
        stdin="Return the sum.\nFit  the model.\n",
    )
    assert [line["text"] for line in found] == ["Return the sum.", "Fit  the model."]
    one, _ = predictions(
        f"--from={workdir}", f"--workdir={tmp_path / 'one'}", "--config.text=Return the sum."
    )
    assert one[0]["label"] == found[0]["label"]
    assert one[0]["probability"] == pytest.approx(found[0]["probability"], abs=1e-4)


def test_images_are_classified_as_in_the_study(smoke, tmp_path):
    """The very test images, as PNG files: the share that is right is the study's test accuracy."""
    workdir = smoke("rescnn")[0]
    row = choose_classifier(workdir, network="")
    digits = images.digits()
    config = ConfigDict(json.loads((workdir / "config.json").read_text())["config"])
    fractions = config.data.val_fraction, config.data.test_fraction
    test = sorted(splits.split(digits, row["seed"], *fractions)["test"])
    for i in test:
        Image.fromarray(digits.images[i, ..., 0]).save(tmp_path / f"{i:04}.png")
    found, _ = predictions(
        f"--from={workdir}", f"--config.image={tmp_path}", f"--workdir={tmp_path / 'run'}"
    )
    right = [line["label"] == str(digits.labels[i]) for line, i in zip(found, test, strict=True)]
    assert np.mean(right) == pytest.approx(row["test_accuracy"], abs=1e-6)


def test_an_export_says_what_the_study_says(tmp_path):
    workdir = f"--workdir={tmp_path / 'run'}"
    answer = launch("--config=configs/export.py:smoke", workdir, "--quiet")
    assert answer.code == 0, answer.err
    folder, study = tmp_path / "run" / "exported", tmp_path / "run" / "study"
    model, params, names = pretrained.load_classifier(folder)
    assert names == PACKAGES
    wrong = choose_classifier(study, network="published_head")["wrong"]
    texts = [example["text"] for example in wrong]
    predicted = [example["predicted"] for example in wrong]
    encoded = tokenize.published(folder, model.config.vocab_size).encode_all(texts, 32)
    logits = np.asarray(model.apply({"params": params}, encoded.tokens, encoded.length)[0])
    assert [names[i] for i in logits.argmax(1)] == predicted
    card = (folder / "README.md").read_text()
    assert "pipeline_tag: text-classification\n" in card and ", ".join(PACKAGES) in card
    assert "configs/export.py:smoke" in card and "cut to 32 tokens" in card
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("torch")
    assert any(name in run_example(example_of(card), folder) for name in PACKAGES)
    say = transformers.pipeline("text-classification", str(folder), top_k=1)
    found = [lines[0] for lines in say(texts, truncation=True)]
    assert [line["label"] for line in found] == predicted
    np.testing.assert_allclose(
        [line["score"] for line in found],
        [example["probability"] for example in wrong],
        atol=1e-3,
    )


def test_gpt2_shows_tokens_and_writes(tmp_path):
    answer = launch("--config=configs/gpt2.py:smoke", f"--workdir={tmp_path / 'run'}")
    assert answer.code == 0, answer.err
    lines = answer.out.splitlines()
    assert lines[0] == "This is an example sentence to encode into tokens."
    assert lines[1].startswith("9 words, ")
    assert lines[2] == "decoded, it comes back as it was" and "\nOnce upon a time" in answer.out
    again = launch("--config=configs/gpt2.py:smoke", f"--workdir={tmp_path / 'run'}")
    assert again.out == answer.out


@pytest.fixture
def few_texts(tmp_path):
    """Return a CSV file of 300 texts of two topics."""
    words = {"cooking": "bake boil fry stir", "cycling": "pedal brake chain wheel"}
    lines = [
        f"{topic},{' '.join(np.random.default_rng(i).permutation(words[topic].split()))} {i}"
        for i in range(150)
        for topic in words
    ]
    (tmp_path / "texts.csv").write_text("\n".join(["topic,title", *lines]))
    return tmp_path / "texts.csv"


@pytest.mark.slow
def test_killed_and_resumed_it_ends_with_the_same_bits(few_texts, tmp_path):
    study = (
        "--config=configs/yahoo.py:smoke",
        "--config.data.name=csv",
        f"--config.data.path={few_texts}",
        "--config.data.label_column=topic",
        "--config.data.text_columns=title",
        "--config.data.test_fraction=0.2",
        "--config.data.num_examples=0",
        "--config.batch_size=8",
        "--quiet",
        "--config.seeds=0",
        "--config.log_every_steps=10",
        "--config.cells_at_a_time=1",
        "--config.checkpoint_every_steps=15",
        "--config.lrs=1e-3,",
        "--config.num_epochs=2",
    )
    whole, workdir = tmp_path / "whole", tmp_path / "killed"
    process = start(*study, f"--workdir={whole}")
    copy_as_killed(process, whole, workdir, lambda: num_rows(whole) >= 5)
    _, err = process.communicate()
    assert process.returncode == 0, err
    assert list((workdir / "checkpoints").rglob("training/*"))
    assert launch(*study, f"--workdir={workdir}").code == 0
    assert rows_of(workdir) == rows_of(whole)
    ours, theirs = models_of(workdir), models_of(whole)
    assert ours.keys() == theirs.keys() and len(ours) == 2
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)
