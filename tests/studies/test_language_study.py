"""The study of language models: what its numbers mean, and that it goes on where it was killed."""

import json
import math

import jax
import numpy as np
import pytest
from launching import copy_as_killed, launch, num_rows, start
from records import last_rows_of, models_of

from configs import dante
from dla_jax.config.workdir import Launch
from dla_jax.data import text
from dla_jax.evidence.rows import read_record
from dla_jax.studies.language.study import STUDY
from dla_jax.trials.arms import check_arms

TIMES = ("seconds", "examples_per_s", "train_seconds", "tokens_per_s")


@pytest.fixture(scope="module")
def finished(smoke):
    return smoke("dante")[0]


def final_rows(workdir):
    return [row for row in last_rows_of(workdir).values() if row["stage"] == "final"]


def summary_of(workdir):
    return json.loads((workdir / "summary.json").read_text())


def test_the_summary_scores_the_test_text_and_the_report_says_who_wins(finished):
    runs = summary_of(finished)["runs"]
    assert {run["scored_on"] for run in runs} == {"test"} and len(runs) == 4
    page = (finished / "report.html").read_text()
    assert " nats more than it on average" in page
    assert "What they write" in page and page.count("<pre>") >= 4
    for network in ("gpt", "llama_4_heads"):
        assert (finished / "figures" / f"attention_{network}.png").exists()
        run = next(run for run in runs if run["group"] == network)
        assert (run["vocab_size"] == 300) == (network == "llama_4_heads")
        assert 0.3 < run["tokens_per_char"] <= 1
        above = run["nats_per_char"] - min(run["ngram_nats_per_char"].values())
        assert run["above_ngram"] == pytest.approx(above)


def test_a_rate_is_chosen_for_who_brings_none(finished):
    summary = summary_of(finished)
    selection = summary["selection"]
    assert {row["group"] for row in selection} == {"llama_4_heads"} and len(selection) == 2
    best = min(selection, key=lambda row: row["val_nats_per_char"])
    used = {run["lr"] for run in summary["runs"] if run["group"] == "llama_4_heads"}
    assert used == {best["lr"]}


def test_every_evaluation_of_a_compared_run_has_a_sample(finished):
    for row in read_record(finished):
        if not row.get("done"):
            evaluated = row["run"].startswith("final/") and "val_nats_per_char" in row
            assert ("sample" in row) == evaluated, row["run"]


def test_the_position_of_a_token_has_its_loss(finished):
    for row in final_rows(finished):
        assert len(row["nats_by_position"]) == 32 and np.isfinite(row["nats_by_position"]).all()
        assert ("attention" in row) == (row["seed"] == 0)
        if row["seed"] == 0:
            num_heads, size = 2 if row["group"] == "gpt" else 4, len(row["attention_tokens"])
            assert np.asarray(row["attention"]).shape == (1, num_heads, size, size)


def test_the_untrained_models_guess(finished):
    """After six steps at a tiny width, a model of characters is about as good as guessing."""
    for row in last_rows_of(finished).values():
        if row["group"] == "gpt":
            assert 3.0 < row["val_nats_per_char"] < math.log(110)


@pytest.mark.slow
def test_killed_and_resumed_it_ends_with_the_same_bits(finished, tmp_path):
    """Also without a checkpoint but where it stops: they change nothing."""
    smoke, seldom = "--config=configs/dante.py:smoke", "--config.checkpoint_every_steps=0"
    # one run after another: it is known which is under way
    alone = "--config.cells_at_a_time=1"
    process = start(smoke, alone, f"--workdir={tmp_path / 'first'}", "--quiet")
    workdir = tmp_path / "run"
    is_time = lambda: num_rows(tmp_path / "first", "final/gpt") >= 4
    copy_as_killed(process, tmp_path / "first", workdir, is_time)
    process.kill()
    process.communicate()
    assert list((workdir / "checkpoints" / "final" / "gpt").rglob("training/*"))
    answer = launch(smoke, seldom, f"--workdir={workdir}", "--quiet")
    assert answer.code == 0, answer.err
    assert not list((workdir / "checkpoints").rglob("training"))
    # The rows at checkpoints are beside those of the runs that had none: the evaluations and the
    # last rows are the same.
    known = {(row["run"], row["step"], row.get("done")): row for row in read_record(workdir)}
    for row in read_record(finished):
        place = row["run"], row["step"], row.get("done")
        if place not in known and row["step"] in (2, 4):
            continue  # of a checkpoint
        for key in row.keys() - {*TIMES, "train_loss", "grad_norm", "clipped_norm"}:
            assert known[place][key] == row[key], (*place, key)
    ours, theirs = models_of(workdir), models_of(finished)
    assert ours.keys() == theirs.keys() and len(ours) == 4
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


def test_a_single_run_that_diverges_ends_with_code_three(tmp_path):
    answer = launch(
        "--config=configs/dante.py:small",
        f"--workdir={tmp_path / 'run'}",
        "--quiet",
        "--config.seeds=0",
        "--config.num_steps=20",
        "--config.sample.num_tokens=0",
        "--config.model.n_layer=1",
        "--config.model.n_embd=16",
        "--config.model.intermediate=16",
        "--config.model.block_size=16",
        "--config.optim.lr=1e35",
        "--config.optim.clip_norm=0",
        "--config.optim.warmup_fraction=0",
    )
    assert answer.code == 3, answer.err
    last_line = answer.err.splitlines()[-1]
    assert "non-finite at step" in last_line and "optim.lr" in last_line


@pytest.mark.parametrize(
    "preset", ["gpt", "llama", "tiny", "small", "shakespeare", "gpt2", "smoke"]
)
def test_every_preset_can_run_on_a_long_text(preset, tmp_path, monkeypatch):
    """All but the text: its checks are those of the embedded one, which is too short for some."""
    config = dante.get_config(preset)
    monkeypatch.setattr(text, "check_windows", lambda *arguments: None)
    if preset in ("llama", "gpt2"):
        config.tokenizer.vocab_size = 300
    check_arms(config, lambda own: None)
    STUDY.check(config, Launch(tmp_path, from_dir=None, data_dir=None, download=False, quiet=True))
    assert all(claim["direction"] in "<>" for claim in config.claims.values())


def test_the_screen_has_one_unit(finished, smoke):
    answer = smoke("dante")[1]
    assert "nats per character" in answer.err and "bits" not in answer.err
    own = next(row for row in final_rows(finished) if row["group"] == "gpt")
    lines = (line.split() for line in answer.err.splitlines())
    shown = next(words for words in lines if words[:1] == ["3-gram"])
    assert shown == ["3-gram", f"{own['ngram_nats_per_char']['3']:.3f}"]
