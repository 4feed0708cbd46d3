"""The study of language models: what its numbers mean, and that it goes on where it was killed."""

import json
import math
import time

import jax
import numpy as np
import pytest
from launching import launch, start
from ml_collections import ConfigDict

from configs import dante
from dla_jax.analysis.ngrams import interpolated
from dla_jax.config.checks import ConfigError
from dla_jax.config.stop import NonFiniteLoss
from dla_jax.config.workdir import Run
from dla_jax.data import text, tokenize
from dla_jax.evidence import weighing
from dla_jax.models import decoders
from dla_jax.studies.language import report as language_report
from dla_jax.studies.language import study as language
from dla_jax.tasks import language_runs
from dla_jax.trials import arms as networks
from dla_jax.trials.arms import own_config

TIMES = ("seconds", "examples_per_s", "train_seconds", "tokens_per_s")


@pytest.fixture(scope="module")
def finished(smoke):
    return smoke("dante")[0]


def rows_of(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def done_of(workdir):
    return [row for row in rows_of(workdir) if row.get("done")]


@pytest.mark.parametrize(
    ("curve", "target", "expected"),
    [
        ([(10, 3.0), (20, 2.0), (30, 1.0)], 1.5, 25.0),
        ([(10, 3.0), (20, 2.0)], 2.0, 20.0),
        ([(10, 3.0)], 4.0, 10.0),
        ([(10, 3.0), (20, 2.0)], 1.9, None),
        ([(10, 2.0), (20, 3.0), (30, 1.0)], 2.5, 10.0),
    ],
)
def test_steps_to_a_target_are_read_off_the_line(curve, target, expected):
    assert language_runs.steps_to(curve, target) == expected


def test_the_last_row_says_what_the_curve_does():
    config = own_config(dante.get_config("tiny"), "gpt")
    config.unlock()
    config.overfits_at = 400
    rows = [
        {"step": step, "val_nats_per_char": nats, "val_nats_per_token": nats, "seconds": step / 10}
        for step, nats in ((100, 3.0), (200, 1.5), (300, 1.7))
    ]
    found = language_runs.run_result(rows, rows[1], config=config, target=2.0, chance=4.0)
    assert found["log2_steps"] == pytest.approx(math.log2(100 + 100 * 1.0 / 1.5)) and found[
        "nats_risen"
    ] == pytest.approx(0.2)
    assert found["over_fits"] == pytest.approx(0.19) and found["reached_target"]
    early = language_runs.run_result(rows, rows[1], config=config, target=3.5, chance=4.0)
    assert early["log2_steps"] == pytest.approx(math.log2(50))  # from guessing at step 0
    never = language_runs.run_result(rows, rows[1], config=config, target=1.0, chance=4.0)
    assert not never["reached_target"] and never["log2_steps"] == math.log2(config.num_steps)
    assert found["best_past_reported"] == pytest.approx(-0.2) and found[
        "tokens_per_s"
    ] == pytest.approx(300 * 8 * 64 / 30)


def test_the_order_that_is_compared_is_chosen_on_validation():
    ngrams = {"val": {"1": 3.0, "2": 1.5, "3": 1.6}, "test": {"1": 3.0, "2": 1.8, "3": 1.7}}
    found = language_runs.scores(1.75, 2.0, ngrams, "test")
    assert found["best_ngram_order"] == 2 and found["above_ngram"] == pytest.approx(-0.05)
    assert found["bits_per_char"] == pytest.approx(1.75 / math.log(2)) and found[
        "perplexity"
    ] == pytest.approx(math.exp(2))


def test_ngrams_are_counted_in_characters_and_scored_behind_what_comes_before():
    whole = "nel mezzo del cammin di nostra vita mi ritrovai per una selva oscura " * 4
    parts = text.split(whole, 0.2, 0.1)
    source = language_runs.Source(parts, len(set(whole)), None, None)
    found = language_runs.ngrams_of(source, 3)
    letters = tokenize.Characters("".join(sorted(set(whole))))
    for part, first in (("val", len(parts["train"])), ("test", len(parts["train"] + parts["val"]))):
        expected = -interpolated(
            letters.encode(whole),
            len(parts["train"]),
            first,
            first + len(parts[part]),
            letters.vocab_size,
            3,
        ).mean(1)
        np.testing.assert_allclose(list(found[part].values()), expected, rtol=1e-12)


def test_the_summary_scores_the_test_text_and_the_report_says_who_wins(finished):
    summary = json.loads((finished / "summary.json").read_text())
    assert {run["scored_on"] for run in summary["runs"]} == {"test"} and len(summary["runs"]) == 4
    page = (finished / "report.html").read_text()
    assert "gpt does not beat it" in page and "What they write" in page and page.count("<pre>") >= 4
    for network in ("gpt", "llama_4_heads"):
        assert (finished / "figures" / f"attention_{network}.png").exists()
        run = next(run for run in summary["runs"] if run["group"] == network)
        assert (run["vocab_size"] == 300) == (network == "llama_4_heads") and 0.3 < run[
            "tokens_per_char"
        ] <= 1
        assert run["above_ngram"] == pytest.approx(
            run["nats_per_char"] - min(run["ngram_nats_per_char"].values())
        )


def test_a_rate_is_chosen_for_who_brings_none(finished):
    summary = json.loads((finished / "summary.json").read_text())
    assert {row["group"] for row in summary["selection"]} == {"llama_4_heads"} and len(
        summary["selection"]
    ) == 2
    best = min(summary["selection"], key=lambda row: row["val_nats_per_char"])
    assert {run["lr"] for run in summary["runs"] if run["group"] == "llama_4_heads"} == {best["lr"]}


def test_every_evaluation_of_a_compared_run_has_a_sample(finished):
    for row in rows_of(finished):
        if not row.get("done"):
            assert ("sample" in row) == (
                row["run"].startswith("final/") and "val_nats_per_char" in row
            ), row["run"]


def test_the_position_of_a_token_has_its_loss(finished):
    for row in done_of(finished):
        if row["stage"] == "final":
            assert len(row["nats_by_position"]) == 32 and np.isfinite(row["nats_by_position"]).all()
            assert ("attention" in row) == (row["seed"] == 0)
            if row["seed"] == 0:
                assert np.asarray(row["attention"]).shape == (
                    1,
                    2 if row["group"] == "gpt" else 4,
                    *[len(row["attention_tokens"])] * 2,
                )


def test_the_untrained_models_guess(finished):
    """After six steps at a tiny width, a model of characters is about as good as guessing."""
    for row in done_of(finished):
        if row["group"] == "gpt":
            assert 3.0 < row["val_nats_per_char"] < math.log(110)


def test_killed_and_resumed_it_ends_with_the_same_bits(finished, tmp_path):
    workdir = tmp_path / "run"
    flags = (
        "--config=configs/dante.py:smoke",
        f"--workdir={workdir}",
        "--config.checkpoint_every_steps=2",
        "--quiet",
    )
    process = start(*flags)
    deadline = time.time() + 120
    while process.poll() is None and time.time() < deadline:
        path = workdir / "metrics.jsonl"
        if path.exists() and path.read_text().count("\n") >= 9:
            break
        time.sleep(0.01)
    assert process.poll() is None
    process.kill()
    process.communicate()
    answer = launch(*flags)
    assert answer.code == 0, answer.err
    assert not list((workdir / "checkpoints").rglob("training"))
    # The rows at checkpoints are beside those of the run that had none: the evaluations and the last rows are the same.
    known = {(row["run"], row["step"], row.get("done")): row for row in rows_of(workdir)}
    for row in rows_of(finished):
        other = known[row["run"], row["step"], row.get("done")]
        for key in row.keys() - {*TIMES, "train_loss", "grad_norm", "clipped_norm"}:
            assert other[key] == row[key], (row["run"], row["step"], key)


def test_a_single_run_that_diverges_ends_with_code_three(tmp_path):
    model = "--config.model."
    answer = launch(
        "--config=configs/dante.py:small",
        f"--workdir={tmp_path / 'run'}",
        "--quiet",
        "--config.seeds=0",
        "--config.num_steps=20",
        "--config.sample.num_tokens=0",
        f"{model}n_layer=1",
        f"{model}n_embd=16",
        f"{model}intermediate=16",
        f"{model}block_size=16",
        "--config.optim.lr=1e35",
        "--config.optim.clip_norm=0",
        "--config.optim.warmup_fraction=0",
    )
    assert answer.code == 3, answer.err
    assert (
        "non-finite at step" in answer.err.splitlines()[-1]
        and "optim.lr" in answer.err.splitlines()[-1]
    )


def test_a_damaged_tokenizer_is_refused(finished, tmp_path):
    path = language_runs.tokenizer_path(tmp_path, "gpt")
    path.parent.mkdir()
    path.write_text("{")
    config = own_config(dante.get_config("smoke"), "gpt")
    with pytest.raises(ConfigError, match="damaged"):
        language_runs.prepare_source(config, Run(tmp_path, None, None, False, True), "gpt")


@pytest.mark.parametrize(
    "preset", ["gpt", "llama", "tiny", "small", "shakespeare", "gpt2", "smoke"]
)
def test_every_preset_can_run_on_a_long_text(preset, tmp_path, monkeypatch):
    """All but the text: its checks are those of the embedded one, which is too short for some."""
    config = dante.get_config(preset)
    monkeypatch.setattr(text, "check_windows", lambda *arguments: None)
    if preset in ("llama", "gpt2"):
        config.tokenizer.vocab_size = 300
    networks.check_networks(config, lambda own: None)
    language.check_config(config, Run(tmp_path, None, None, False, True))
    assert all(claim["direction"] in "<>" for claim in config.claims.values())


def test_sizes_are_those_that_the_labs_report():
    def millions(preset, network, vocab_size):
        model = decoders.build(
            own_config(dante.get_config(preset), network).model, vocab_size, "float32"
        )
        return sum(leaf.size for leaf in jax.tree.leaves(decoders.shapes_of(model))) / 1e6

    assert millions("llama", "llama_4_heads", 5549) == pytest.approx(15.6, abs=0.1)  # "~15M"
    assert millions("gpt", "gpt", 58) == pytest.approx(10.8, abs=0.1)
    assert millions("gpt2", "gpt2", 50_257) == pytest.approx(124, abs=2)


def test_the_report_of_made_up_runs_says_who_does_not_beat_the_ngrams():
    run = {
        "group": "a",
        "best_ngram_order": 2,
        "ngram_nats_per_char": {"1": 3.0, "2": 1.0},
        "above_ngram": -0.1,
    }
    config = ConfigDict({"networks": {"a": {}, "b": {}}})
    words = language_report.verdict_words(
        config, {"runs": [run, run | {"group": "b", "above_ngram": 0.2}]}
    )
    assert "order 2" in words and "a is better than it: 0.100 nats less" in words
    assert "b does not beat it: 0.200 nats more" in words


def test_the_arms_of_a_claim_about_heads_differ_in_heads_alone():
    for preset, vocab_size in (("tiny", 100), ("llama", 5549)):
        config = dante.get_config(preset)
        four, sixteen = (
            own_config(config, name).model.to_dict() for name in ("llama_4_heads", "llama_16_heads")
        )
        differ = {key for key in four if four[key] != sixteen[key]}
        assert differ == {"n_head", "n_kv_head"}
        sizes = [
            sum(
                leaf.size
                for leaf in jax.tree.leaves(
                    decoders.shapes_of(decoders.build(ConfigDict(model), vocab_size, "float32"))
                )
            )
            for model in (four, sixteen)
        ]
        assert sizes[0] == sizes[1]


def test_a_run_whose_validation_is_never_finite_has_diverged():
    config = own_config(dante.get_config("tiny"), "gpt")
    rows = [{"step": 7, "val_nats_per_char": None, "val_nats_per_token": None, "seconds": 1.0}]
    with pytest.raises(NonFiniteLoss, match="step 7"):
        language_runs.run_result(rows, rows[0], config=config, target=2.0, chance=4.0)


def test_a_rise_below_the_threshold_is_no_over_fitting():
    """Six runs that each end a little above their best, as any run does."""
    claim = dante.get_config("small").claims["g_llama_over_fits"].to_dict()
    runs = [
        {
            "group": "llama_4_heads",
            "seed": seed,
            "diverged": False,
            "over_fits": 0.001 * seed - language_runs.RISE,
        }
        for seed in range(6)
    ]
    assert weighing.weigh(claim, runs)["verdict"] == "does not hold"
    assert (
        weighing.weigh(claim, [run | {"over_fits": run["over_fits"] + 0.05} for run in runs])[
            "verdict"
        ]
        == "holds"
    )


def test_the_screen_has_one_unit(finished, smoke):
    answer = smoke("dante")[1]
    assert "nats per character" in answer.err and "bits" not in answer.err
    done = done_of(finished)
    own = next(row for row in done if row["group"] == "gpt" and row["stage"] == "final")
    assert (
        f"3-gram{own['ngram_nats_per_char']['3']:>20.3f}".split()
        == next(
            line for line in answer.err.splitlines() if line.strip().startswith("3-gram")
        ).split()
    )


def test_runs_that_never_reach_the_n_gram_are_cut_off(finished):
    row = next(row for row in done_of(finished) if row["stage"] == "final")
    cut = lambda **changes: language_report.censored_of(
        row | {"reached_target": True, "nats_risen": 0.2} | changes
    )
    assert (
        cut() == [] and cut(reached_target=False) == ["log2_steps"] and cut(nats_risen=None) == []
    )
    assert cut(nats_risen=0.0) == [
        "over_fits",
        "best_past_reported",
    ]  # validation fell to the end: what follows is not known
