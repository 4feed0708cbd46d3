"""Tests the text from a trained workdir: one seed, one text; errors name what is wrong."""

import json
import shutil

import pytest
from launching import assert_refused, launch, launch_many
from records import last_rows_of


@pytest.fixture(scope="module")
def trained(smoke):
    return smoke("dante")[0]


@pytest.fixture(scope="module")
def own(smoke):
    return smoke("generate")


@pytest.mark.slow  # cam, ood and adversarial make their study first too
def test_the_smoke_preset_makes_a_model_and_writes(own):
    workdir, answer = own
    samples = [json.loads(line) for line in (workdir / "samples.jsonl").read_text().splitlines()]
    assert len(samples) == 2 and samples[0]["text"] != samples[1]["text"]
    assert answer.out == "".join(f"{sample['prompt']}{sample['text']}\n" for sample in samples)
    assert (workdir / "study" / "report.html").exists() and "nats per character" in answer.err


def test_the_same_seed_writes_the_same(trained, tmp_path):
    flags = [
        "--config=configs/generate.py",
        f"--from={trained}",
        "--config.num_tokens=70",
        "--config.network=gpt",
        "--config.prompt=the ",
    ]
    first = launch(*flags, f"--workdir={tmp_path / 'a'}")  # a new process, the others a warm one
    again, other, cold = (
        launch(*flags, f"--workdir={tmp_path / name}", *more, warm=True)
        for name, *more in (("b",), ("c", "--config.seed=1"), ("d", "--config.temperature=0"))
    )
    assert first.code == again.code == other.code == 0, first.err
    assert first.out == again.out and first.out.startswith("the ") and len(first.out) == 4 + 70 + 1
    assert first.out != other.out and cold.out != first.out
    assert launch(f"--workdir={tmp_path / 'a'}").out == first.out  # it is shown again
    assert not any((tmp_path / name / "checkpoints").exists() for name in "abcd")


def test_without_a_network_the_run_that_is_best_on_validation_writes(trained, tmp_path):
    flags = ("--config=configs/generate.py", f"--from={trained}", "--config.num_tokens=3")
    answer = launch(*flags, f"--workdir={tmp_path / 'x'}")
    assert answer.code == 0, answer.err
    finals = [row for row in last_rows_of(trained).values() if row["stage"] == "final"]
    best, *others = sorted(finals, key=lambda row: row["val_nats_per_char"])
    assert best["run"] in answer.err and not any(row["run"] in answer.err for row in others)


def test_what_is_wrong_is_named(trained, smoke, tmp_path):
    flags = ["--config=configs/generate.py", f"--workdir={tmp_path / 'x'}"]
    depth = smoke("rescnn")[0]
    answers = launch_many(
        [
            [*flags, f"--from={trained}", "--config.network=gpt", "--config.prompt=ab漢"],
            [*flags, f"--from={trained}", "--config.network=gbt"],
            [*flags, f"--from={depth}"],
            [*flags, f"--from={tmp_path}"],
        ]
    )
    expected = (
        ["never saw '漢'"],
        ["network", "did you mean 'gpt'"],
        ["no language model", "depth"],
        ["no workdir"],
    )
    for answer, words in zip(answers, expected, strict=True):
        assert_refused(answer, words)
    assert not (tmp_path / "x").exists()


@pytest.mark.slow  # test_surroundings.py asks what stands for it
def test_a_workdir_that_made_its_study_inside_stands_for_it(own, tmp_path):
    answer = launch(
        "--config=configs/generate.py",
        f"--from={own[0]}",
        f"--workdir={tmp_path / 'x'}",
        "--config.num_tokens=3",
    )
    assert answer.code == 0 and answer.out, answer.err
    assert f"made its study in {own[0] / 'study'}" in answer.err


def test_a_missing_model_is_named(trained, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(trained, copy)
    shutil.rmtree(copy / "checkpoints")
    answer = launch("--config=configs/generate.py", f"--from={copy}", f"--workdir={tmp_path / 'x'}")
    assert answer.code == 2 and "no trained model" in answer.err
