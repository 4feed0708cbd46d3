"""Tests what the record says of a language model: its scores, its curve, and n-grams beside it."""

import math

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from configs import dante
from dla_jax.analysis.ngrams import interpolated
from dla_jax.config.checks import ConfigError
from dla_jax.config.stop import NonFiniteLoss
from dla_jax.config.workdir import Launch
from dla_jax.data import text, tokenize
from dla_jax.models import decoders
from dla_jax.tasks import text_source
from dla_jax.tasks.language_task import run_result, scores_of, steps_to
from dla_jax.trials.arms import own_config


def num_params(model, vocab_size):
    shapes = decoders.shapes_of(decoders.build(model, vocab_size, "float32"))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


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
    assert steps_to(curve, target) == expected


def test_the_last_row_says_what_the_curve_does():
    config = own_config(dante.get_config("tiny"), "gpt")
    rows = [
        {"step": step, "val_nats_per_char": nats, "val_nats_per_token": nats, "seconds": step / 10}
        for step, nats in ((100, 3.0), (200, 1.5), (300, 1.7))
    ]

    def result(target):
        return run_result(rows, rows[1], config=config, target=target, chance=4.0)

    found = result(target=2.0)
    assert found["log2_steps"] == pytest.approx(math.log2(100 + 100 * 1.0 / 1.5))
    assert found["nats_risen"] == pytest.approx(0.2) and found["reached_target"]
    assert found["tokens_per_s"] == pytest.approx(300 * 8 * 64 / 30)
    early = result(target=3.5)
    assert early["log2_steps"] == pytest.approx(math.log2(50))  # from guessing at step 0
    never = result(target=1.0)
    assert not never["reached_target"] and never["log2_steps"] == math.log2(config.num_steps)


def test_a_run_whose_validation_is_never_finite_has_diverged():
    config = own_config(dante.get_config("tiny"), "gpt")
    rows = [{"step": 7, "val_nats_per_char": None, "val_nats_per_token": None, "seconds": 1.0}]
    with pytest.raises(NonFiniteLoss, match="step 7"):
        run_result(rows, rows[0], config=config, target=2.0, chance=4.0)


def test_the_order_that_is_compared_is_chosen_on_validation():
    ngrams = {"val": {"1": 3.0, "2": 1.5, "3": 1.6}, "test": {"1": 3.0, "2": 1.8, "3": 1.7}}
    found = scores_of(1.75, 2.0, ngrams, "test")
    assert found["best_ngram_order"] == 2 and found["above_ngram"] == pytest.approx(-0.05)
    assert found["bits_per_char"] == pytest.approx(1.75 / math.log(2))
    assert found["perplexity"] == pytest.approx(math.exp(2))


def test_ngrams_are_counted_in_characters_and_scored_behind_what_comes_before():
    whole = "nel mezzo del cammin di nostra vita mi ritrovai per una selva oscura " * 4
    parts = text.split(whole, 0.2, 0.1)
    source = text_source.Source(parts, len(set(whole)), tokenizer=None, tokens=None)
    found = text_source.ngrams_of(source, 3)
    letters = tokenize.Characters("".join(sorted(set(whole))))
    tokens, train = letters.encode(whole), len(parts["train"])
    for part, first in (("val", train), ("test", train + len(parts["val"]))):
        stop = first + len(parts[part])
        expected = -interpolated(tokens, train, first, stop, letters.vocab_size, 3).mean(1)
        np.testing.assert_allclose(list(found[part].values()), expected, rtol=1e-12)


def test_a_damaged_tokenizer_is_refused(tmp_path):
    path = text_source.tokenizer_path(tmp_path, "gpt")
    path.parent.mkdir()
    path.write_text("{")
    config = own_config(dante.get_config("smoke"), "gpt")
    launch = Launch(tmp_path, from_dir=None, data_dir=None, download=False, quiet=True)
    with pytest.raises(ConfigError, match="damaged"):
        text_source.prepare_source(config, launch, "gpt")


def test_sizes_are_those_that_the_labs_report():
    def millions(preset, network, vocab_size):
        model = own_config(dante.get_config(preset), network).model
        return num_params(model, vocab_size) / 1e6

    assert millions("llama", "llama_4_heads", 5549) == pytest.approx(15.6, abs=0.1)  # "~15M"
    assert millions("gpt", "gpt", 58) == pytest.approx(10.8, abs=0.1)
    assert millions("gpt2", "gpt2", 50_257) == pytest.approx(124, abs=2)


@pytest.mark.parametrize(("preset", "vocab_size"), [("tiny", 100), ("llama", 5549)])
def test_the_arms_of_a_claim_about_heads_differ_in_heads_alone(preset, vocab_size):
    config = dante.get_config(preset)
    four, sixteen = (
        own_config(config, name).model.to_dict() for name in ("llama_4_heads", "llama_16_heads")
    )
    assert {key for key in four if four[key] != sixteen[key]} == {"n_head", "n_kv_head"}
    sizes = [num_params(ConfigDict(model), vocab_size) for model in (four, sixteen)]
    assert sizes[0] == sizes[1]
