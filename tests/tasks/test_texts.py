"""Tests encoders of texts for the training loop: batches, frozen parts, one vector a text."""

import functools
from pathlib import Path

import chex
import drawn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dla_jax.data.tokenize import Encoded
from dla_jax.models import bert, gpt
from dla_jax.models.mlp import Perceptron
from dla_jax.tasks import text_encoder, vector_classifier
from dla_jax.training.checkpoint import Checkpoints
from dla_jax.training.loop import fit
from dla_jax.training.mesh import data_mesh
from dla_jax.training.task import Plan, Task

RNG = np.random.default_rng(0)
LENGTH = RNG.choice([4, 5, 12], 50).astype(np.int32)  # few: the oracle compiles for each
TOKENS = np.where(np.arange(12) < LENGTH[:, None], RNG.integers(1, 20, (50, 12)), 0).astype(
    np.int32
)
ENCODED = Encoded(TOKENS, LENGTH, 3, 0)
LABELS = RNG.integers(0, 3, 50).astype(np.int32)
SMALL = bert.BertConfig("bert", 20, 12, 2, 2, 8, 12, type_vocab=2)
ONE_LAYER = {
    "encoder": bert.Encoder(SMALL._replace(n_layer=1)),
    "decoder": gpt.GPT(gpt.GPTConfig(20, 12, 1, 2, 8)),
}
MODEL = bert.Classifier(ONE_LAYER["encoder"].config, 3, "mean")
DEEPER = bert.Classifier(SMALL, 3, "mean")
TWO_TOKENS, TWO = np.zeros((1, 2), np.int32), np.full(1, 2)
PARAMS = drawn.params_of(MODEL, TWO_TOKENS, TWO, size=0.2)
DEEPER_PARAMS = drawn.params_of(DEEPER, TWO_TOKENS, TWO, size=0.2)


@functools.partial(jax.jit, static_argnames="model")
def each_alone(params, tokens, *, model):
    """Return the hidden states of texts of one length, of which none sees another.

    Args:
      tokens: int32 [B, T], without padding.
    """

    def alone(text):
        length = () if isinstance(model, gpt.GPT) else (jnp.full(1, len(text)),)
        found = model.apply({"params": params}, text[None], *length)
        return (found[1] if isinstance(model, gpt.GPT) else found)["hidden"][0]

    return jax.lax.map(alone, tokens)


@functools.cache
def states_of_each(name):
    """Return (parameters, each text's hidden states without padding or batches), computed once.

    The encoder is the classifier's.
    """
    model, params = ONE_LAYER[name], PARAMS["encoder"]
    if name == "decoder":
        params = drawn.params_of(model, TWO_TOKENS, size=0.2)
    rows = [None] * len(LENGTH)
    for n in np.unique(LENGTH):
        places = np.flatnonzero(n == LENGTH)
        found = np.asarray(each_alone(params, TOKENS[places, :n], model=model))
        for place, row in zip(places, found, strict=True):
            rows[place] = row
    return params, rows


@functools.cache
def logits_of_each():
    """Return the classifier's logits of each text: the head is written out."""
    pooled, head = np.array([h.mean(0) for h in states_of_each("encoder")[1]]), PARAMS["head"]
    inner = np.maximum(pooled @ head["dense"]["kernel"] + head["dense"]["bias"], 0)
    return inner @ head["classifier"]["kernel"] + head["classifier"]["bias"]


@pytest.mark.parametrize(
    ("batch_size", "widths"), [(4, (4, 8, 12)), (8, (12,)), (8, (4, 12)), (64, (4, 8, 12))]
)
def test_logits_are_those_of_each_text_alone(batch_size, widths):
    rows = RNG.permutation(50)[:37]
    found = text_encoder.vectors(
        MODEL, PARAMS, ENCODED, rows, batch_size=batch_size, widths=widths, mesh=data_mesh()
    )
    np.testing.assert_allclose(found, logits_of_each()[rows], atol=1e-5)


@pytest.mark.parametrize(
    ("name", "how", "widths"),
    [
        ("encoder", "mean", (6, 12)),
        ("encoder", "first", (12,)),
        ("encoder", "last", (12,)),
        ("decoder", "last", (4, 12)),
        pytest.param("decoder", "mean", (6, 12), marks=pytest.mark.slow),
        pytest.param("decoder", "first", (12,), marks=pytest.mark.slow),
        pytest.param("encoder", "last", (4, 12), marks=pytest.mark.slow),
    ],
)
def test_features_are_those_of_each_text_alone(name, how, widths):
    params, hidden = states_of_each(name)
    counted = []
    found = text_encoder.vectors(
        ONE_LAYER[name],
        params,
        ENCODED,
        np.arange(50),
        batch_size=8,
        widths=widths,
        mesh=data_mesh(),
        pooling=how,
        done=counted.append,
    )
    pool = {"mean": lambda h: h.mean(0), "first": lambda h: h[0], "last": lambda h: h[-1]}[how]
    np.testing.assert_allclose(found, np.array([pool(h) for h in hidden]), atol=1e-5)
    assert sum(counted) == 50


def test_the_mean_over_padding_needs_one_width():
    """By lab B's mean a text's vector depends on how far it is padded."""
    model = bert.Classifier(MODEL.config, 3, "mean_padded")

    def find(widths):
        rows, mesh = np.arange(50), data_mesh()
        return text_encoder.vectors(
            model, PARAMS, ENCODED, rows, batch_size=8, widths=widths, mesh=mesh
        )

    short = LENGTH <= 4
    assert np.abs(find((12,)) - find((4, 12)))[short].max() > 1e-3


def test_few_programs_whatever_the_lengths():
    traced = chex.assert_max_traces(lambda token: token, n=3)
    batch_at = text_encoder.make_batch_at(
        ENCODED, LABELS, np.arange(48), seed=0, batch_size=4, widths=(4, 8, 12), alike=True
    )
    shapes = {batch_at(step)["token"].shape for step in range(100)}
    assert shapes == {(4, 4), (4, 8), (4, 12)}
    jitted = jax.jit(traced)
    for step in range(100):
        jitted(batch_at(step)["token"])


@pytest.mark.parametrize("widths", [(12,), (4, 8, 12)])
def test_a_batch_holds_its_texts_and_labels_whole(widths):
    train_rows = RNG.permutation(50)[:40]
    batch_at = text_encoder.make_batch_at(
        ENCODED, LABELS, train_rows, seed=3, batch_size=8, widths=widths, alike=len(widths) > 1
    )
    seen = []
    for step in range(5 * 32):  # 32 epochs: what is grouped by length comes in pools
        batch = batch_at(step)
        for tokens, n, label in zip(batch["token"], batch["length"], batch["label"], strict=True):
            match = [
                row
                for row in train_rows
                if LENGTH[row] == n and (TOKENS[row, :n] == tokens[:n]).all()
            ]
            assert len(match) == 1 and LABELS[match[0]] == label and (tokens[n:] == 0).all()
            seen.append(match[0])
    assert sorted(seen) == sorted(np.tile(train_rows, 32).tolist())
    np.testing.assert_array_equal(batch_at(7)["token"], batch_at(7)["token"])


@pytest.mark.parametrize("frozen_layers", [-1, 0, 1, 2])
def test_frozen_parts_stand_apart_and_come_back(frozen_layers):
    params, state = text_encoder.split_frozen(DEEPER_PARAMS, frozen_layers)
    joined = text_encoder.join_frozen(params, state)
    assert jax.tree.structure(joined) == jax.tree.structure(DEEPER_PARAMS)
    jax.tree.map(np.testing.assert_array_equal, joined, DEEPER_PARAMS)
    held = set(("embeddings", "layer_0", "layer_1")[: frozen_layers + 1])
    assert set(state.get("frozen", {})) == held and not held & set(params["encoder"])


def train(monkeypatch, begun, *, model, steps, mesh, frozen_layers=-1, encoder=None):
    """Train a classifier whose random parameters are `begun`.

    To draw them in a compiled program takes as long as the training. The smoke of yahoo begins with
    drawn ones, and that of ag_news draws its encoder.
    """
    monkeypatch.setattr(text_encoder, "init_encoder", lambda key, *, model: begun)
    rows = np.arange(8)
    batch_at = text_encoder.make_batch_at(
        ENCODED, LABELS, rows, seed=0, batch_size=8, widths=(12,), alike=False
    )
    init_fn = functools.partial(
        text_encoder.init_classifier, model=model, encoder=encoder, frozen_layers=frozen_layers
    )
    task = Task(
        init_fn=init_fn,
        loss_fn=text_encoder.make_loss(model, frozen_layers, 0.0),
        tx=optax.inject_hyperparams(lambda lr: optax.adam(lr))(lr=0.0),
        batch_at=batch_at,
        evaluate=lambda state: {"x": 0.0},
        better=lambda row: 0.0,
        plan=Plan(steps, (steps,), 10, 0, 1, 0),
        data={},
        mesh=mesh,
        batch_size=8,
        test=lambda state: {},
        result=lambda rows, best: {},
        diverged={},
        facts={},
    )
    return fit(task, seed=0, lr=1e-2, checkpoints=Checkpoints(Path("/nonexistent")))


def test_a_classifier_learns_eight_texts_by_heart(monkeypatch):
    wider = bert.Classifier(SMALL._replace(n_layer=1, n_embd=32, intermediate=64), 3, "mean")
    begun = drawn.params_of(wider, TWO_TOKENS, TWO, size=0.05)
    alone = data_mesh(jax.devices()[:1])  # four CPU devices would take longer for its many steps
    _, rows = train(monkeypatch, begun, model=wider, steps=80, mesh=alone)
    assert rows[0]["train_loss"] > 0.8, rows
    assert rows[-1]["train_loss"] < 0.05 and rows[-1]["train_accuracy"] == 1.0, rows


def test_what_is_frozen_does_not_move_and_the_rest_does(monkeypatch):
    encoder, begun = DEEPER_PARAMS["encoder"], jax.tree.map(lambda leaf: leaf / 2, DEEPER_PARAMS)
    how = {"model": DEEPER, "steps": 3, "frozen_layers": 1, "encoder": encoder}
    state, _ = train(monkeypatch, begun, mesh=data_mesh(), **how)
    whole = text_encoder.join_frozen(state.params, state.model_state)["encoder"]
    for name in ("embeddings", "layer_0"):
        jax.tree.map(np.testing.assert_array_equal, whole[name], encoder[name])
    query = whole["layer_1"]["query"]["kernel"]
    assert np.abs(query - encoder["layer_1"]["query"]["kernel"]).max() > 1e-3


def test_the_loss_is_cross_entropy_of_the_logits():
    batch = {"token": TOKENS[:4], "length": LENGTH[:4], "label": LABELS[:4]}
    loss_fn = jax.jit(text_encoder.make_loss(MODEL, -1, 0.0))
    loss, _ = loss_fn(PARAMS, {}, batch, jax.random.key(0))
    logits = logits_of_each()[:4].astype(np.float64)
    expected = np.mean(
        [
            np.log(np.exp(row).sum()) - row[label]
            for row, label in zip(logits, LABELS[:4], strict=True)
        ]
    )
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_vectors_are_standardised_by_the_training_part():
    x = RNG.normal(3.0, 2.0, (40, 5)).astype(np.float32)
    model = Perceptron(
        widths=(),
        dropout=0.0,
        dropout_at="every",
        relu_logits=False,
        num_classes=3,
        mean=(0.0,),
        std=(1.0,),
        init_scheme="he",
        dtype="float32",
    )
    params, state = vector_classifier.init_model(
        jax.random.key(0), model=model, scale=vector_classifier.scale_of(x[:30], standardise=True)
    )
    found = vector_classifier.evaluate(
        params, state, jnp.asarray(x), np.arange(30, 40), model=model
    )
    scaled = (x[30:] - x[:30].mean(0)) / x[:30].std(0)
    np.testing.assert_allclose(
        found, scaled @ params["head"]["kernel"] + params["head"]["bias"], atol=1e-4
    )
    _, plain = vector_classifier.init_model(
        jax.random.key(0), model=model, scale=vector_classifier.scale_of(x[:30], standardise=False)
    )
    np.testing.assert_allclose(
        vector_classifier.evaluate(params, plain, jnp.asarray(x), np.arange(10), model=model),
        x[:10] @ params["head"]["kernel"] + params["head"]["bias"],
        atol=1e-4,
    )
