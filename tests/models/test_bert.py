"""Encoders give the logits that transformers stored, and each of their parts counts."""

import functools
from pathlib import Path

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dla_jax.models import bert, pretrained
from dla_jax.models.bert import BertConfig, Classifier, pool

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
LENGTHS = np.array([9, 4], np.int32)  # as in tests/make_fixtures.py


@functools.cache
def stored(family):
    """Return (model, params, tokens, logits that transformers computes)."""
    folder = FIXTURES / family
    model, params, names = pretrained.load_classifier(folder)
    assert names == ("cat", "dog", "hen")
    return model, params, np.load(folder / "tokens.npy"), np.load(folder / "logits.npy")


@functools.partial(jax.jit, static_argnames=("model", "train"))
def apply(params, tokens, lengths, types=None, *, model, **options):
    """Return (logits, features) of texts."""
    return model.apply({"params": params}, tokens, lengths, types, **options)


def error_of(model, params, tokens, expected):
    # Traced anew in each call: a test changes what a model computes.
    logits = jax.jit(lambda params: model.apply({"params": params}, tokens, LENGTHS)[0])
    return float(np.abs(logits(params) - expected).max())


@pytest.mark.parametrize("family", bert.FAMILIES)
def test_stored_weights_give_the_stored_logits(family):
    model, params, tokens, expected = stored(family)
    np.testing.assert_allclose(apply(params, tokens, LENGTHS, model=model)[0], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("family", "change"),
    [
        ("roberta", {"family": "bert"}),  # whose positions begin at 0
        ("roberta", {"pad_id": 0}),
        pytest.param("roberta", {"eps": 1e-1}, marks=pytest.mark.slow),
        ("bert", {"eps": 1e-1}),
        ("bert", {"activation": "relu"}),
        pytest.param("distilbert", {"activation": "relu"}, marks=pytest.mark.slow),
        ("distilbert", {"n_head": 1}),
    ],
)
def test_stored_logits_tell_a_wrong_model(family, change, monkeypatch):
    model, params, tokens, expected = stored(family)
    wrong = model.config._replace(**change)
    if "family" in change:  # the positions alone: the head stays RoBERTa's
        right, plain = bert.positions_of, wrong
        monkeypatch.setattr(bert, "positions_of", lambda config, *rest: right(plain, *rest))
        wrong = model.config
    wrong_model = Classifier(wrong, 3, pooling="published")
    assert error_of(wrong_model, params, tokens, expected) > 1e-3


def test_a_text_is_read_to_its_end_and_no_further():
    model, params, tokens, expected = stored("bert")
    wrong = np.asarray(apply(params, tokens, np.full(2, 9, np.int32), model=model)[0])
    assert np.abs(wrong - expected).max() > 1e-3 and np.abs(wrong[0] - expected[0]).max() < 1e-5


@pytest.mark.parametrize(
    "family", ["bert", "roberta", pytest.param("distilbert", marks=pytest.mark.slow)]
)
def test_padding_changes_nothing(family):
    model, params, tokens, _ = stored(family)
    wide = np.pad(tokens[1:, :4], ((1, 0), (0, 5)), constant_values=7)
    short = apply(params, tokens[1:, :4], LENGTHS[1:], model=model)[0]
    found = apply(params, wide, LENGTHS, model=model)[0]
    short, found = jax.device_get((short, found))
    np.testing.assert_allclose(short[0], found[1], atol=1e-6)


def test_every_token_sees_every_other():
    model, params, tokens, _ = stored("bert")
    hidden = lambda x: np.asarray(apply(params, x, LENGTHS, model=model)[1]["hidden"])
    changed = tokens.copy()
    changed[0, 8] = tokens[0, 8] % 11 + 2
    moved = np.abs(hidden(changed) - hidden(tokens)).max(-1) > 1e-4
    assert moved[0].all() and not moved[1].any()


def test_token_types_count():
    model, params, tokens, _ = stored("bert")
    types = np.zeros_like(tokens)
    logits = lambda types: np.asarray(apply(params, tokens, LENGTHS, types, model=model)[0])
    np.testing.assert_array_equal(logits(types), logits(None))
    types[:, 5:] = 1
    assert np.abs(logits(types) - logits(None)).max() > 1e-4


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("mean", lambda h, n: h[:n].mean(0)),
        ("mean_padded", lambda h, n: h.mean(0)),
        ("first", lambda h, n: h[0]),
        ("last", lambda h, n: h[n - 1]),
    ],
)
def test_pooling_by_hand(how, expected):
    hidden = np.random.default_rng(0).normal(size=(3, 6, 4)).astype(np.float32)
    lengths = np.array([6, 1, 4], np.int32)
    find = jax.jit(pool, static_argnames="how")
    found = find({"hidden": hidden}, lengths, how=how)
    for row, h, n in zip(found, hidden, lengths, strict=True):
        np.testing.assert_allclose(row, expected(h, n), atol=1e-6)


def test_what_stands_in_the_padding_stays_out_of_a_mean():
    hidden = np.full((1, 3, 2), np.nan, np.float32)
    hidden[0, 0] = 1.0
    found = pool({"hidden": jnp.asarray(hidden)}, jnp.array([1]), how="mean")
    np.testing.assert_array_equal(found, [[1.0, 1.0]])


SMALL = BertConfig("bert", 20, 10, 2, 2, 8, 12, type_vocab=2)
TOKENS, SHORT = np.arange(10).reshape(2, 5), np.array([5, 3])


@functools.cache
def params_of(model):
    """Draw parameters, once."""
    return drawn.params_of(model, TOKENS, SHORT, size=0.2)


@pytest.mark.parametrize("frozen_layers", [-1, pytest.param(0, marks=pytest.mark.slow), 1, 2])
def test_the_gradient_stops_at_frozen_layers(frozen_layers):
    model = Classifier(SMALL, 3, pooling="mean")

    @jax.jit
    @jax.grad
    def gradient(params):
        logits, _ = model.apply({"params": params}, TOKENS, SHORT, frozen_layers=frozen_layers)
        return logits[:, 0].sum()

    moves = {
        name: any(np.any(leaf) for leaf in jax.tree.leaves(part))
        for name, part in jax.device_get(gradient(params_of(model)))["encoder"].items()
    }
    assert moves == {
        "embeddings": frozen_layers < 0,
        "layer_0": frozen_layers < 1,
        "layer_1": frozen_layers < 2,
    }


def test_dropout_is_there_in_training_alone():
    model = Classifier(SMALL._replace(n_layer=1, dropout=0.5), 3, pooling="mean")

    def drop(seed, train):
        options = {"train": train, "rngs": {"dropout": jax.random.key(seed)}}
        return np.asarray(apply(params_of(model), TOKENS, SHORT, model=model, **options)[0])

    np.testing.assert_array_equal(drop(0, train=False), drop(1, train=False))
    np.testing.assert_array_equal(drop(1, train=True), drop(1, train=True))
    assert np.abs(drop(1, train=True) - drop(2, train=True)).max() > 1e-4


def test_bfloat16_is_near():
    model, params, tokens, expected = stored("bert")
    coarse = Classifier(model.config._replace(dtype="bfloat16"), 3, pooling="published")
    rough = apply(params, tokens, LENGTHS, model=coarse)[0]
    assert rough.dtype == jnp.float32 and 0 < np.abs(rough - expected).max() < 0.1
