"""Tests the ranking of options by frozen vectors: features, slots, both losses, learning."""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dla_jax.models.mlp import Perceptron
from dla_jax.tasks import choice_ranker
from dla_jax.training.checkpoint import Checkpoints
from dla_jax.training.loop import fit
from dla_jax.training.mesh import data_mesh, put, replicated
from dla_jax.training.task import Plan, Task

RNG = np.random.default_rng(0)
N, SLOTS, WIDTH = 96, 4, 6
CONTEXT = RNG.normal(2.0, 3.0, (N, WIDTH)).astype(np.float32)
OPTION = RNG.normal(-1.0, 2.0, (N, SLOTS, WIDTH)).astype(np.float32)
ANSWERS = RNG.integers(0, SLOTS, N)
# the right option lies near its context
OPTION[np.arange(N), ANSWERS] = CONTEXT + RNG.normal(0.0, 0.3, (N, WIDTH))
DATA = {"context": CONTEXT, "option": OPTION}
ORDER = RNG.permuted(np.tile(np.arange(SLOTS), (N, 1)), axis=1).astype(np.int32)
LABELS = (ANSWERS[:, None] == ORDER).argmax(1).astype(np.int32)
TRAIN = np.arange(64)


def perceptron(*widths):
    return Perceptron(
        widths=widths,
        dropout=0.0,
        dropout_at="every",
        relu_logits=False,
        num_classes=1,
        mean=(0.0,),
        std=(1.0,),
        init_scheme="he",
        dtype="float32",
    )


def start(model, features, standardise=True):
    scale = choice_ranker.scale_of(DATA, TRAIN, standardise)
    return choice_ranker.init_model(jax.random.key(0), model=model, scale=scale, features=features)


def expected_scores(params, features, standardise):
    """Return the scores of a linear model in the order of the source, option by option."""
    u, v = CONTEXT.astype(np.float64), OPTION.astype(np.float64)
    if standardise:
        u = (u - u[:64].mean(0)) / u[:64].std(0)
        v = (v - v[:64].mean((0, 1))) / v[:64].std((0, 1))
    found = np.zeros((N, SLOTS))
    for question, option in np.ndindex(N, SLOTS):
        a, b = u[question], v[question, option]
        x = [*a, *b] + ([*(a * b), *abs(a - b)] if features == "interactions" else [])
        head = params["head"]
        found[question, option] = x @ np.asarray(head["kernel"])[:, 0] + head["bias"][0]
    return found


@pytest.mark.parametrize("standardise", [True, False])
@pytest.mark.parametrize("features", choice_ranker.FEATURES)
def test_scores_are_of_the_features_of_each_option_in_its_slot(features, standardise, monkeypatch):
    monkeypatch.setattr(choice_ranker, "AT_A_TIME", 10)
    model = perceptron()
    params, state = start(model, features, standardise)
    rows = RNG.permutation(N)[:23]
    found = choice_ranker.evaluate(
        params, state, DATA, rows, ORDER[rows], model=model, features=features
    )
    assert found.shape == (23, SLOTS) and found.dtype == jnp.float32
    expected = expected_scores(params, features, standardise)
    np.testing.assert_allclose(found, np.take_along_axis(expected, ORDER, 1)[rows], atol=2e-4)


def by_hand(scores, labels, loss, margin, smoothing):
    """Return the loss of a batch, pair by pair as PyTorch's MarginRankingLoss is averaged."""
    terms = []
    for own, label in zip(scores, labels, strict=True):
        if loss == "margin":
            wrong = [score for slot, score in enumerate(own) if slot != label]
            terms += [max(0.0, -(own[label] - score) + margin) for score in wrong]
        else:
            log_p = own - np.log(np.exp(own).sum())
            terms.append(-(1 - smoothing) * log_p[label] - smoothing * log_p.mean())
    return np.mean(terms)


@pytest.mark.parametrize(
    ("loss", "margin", "smoothing"),
    [("margin", 1.0, 0.0), ("margin", 0.2, 0.5), ("softmax", 1.0, 0.2)],
)
def test_losses_are_those_by_hand(loss, margin, smoothing):
    model = perceptron()
    params, state = start(model, "pair")
    rows = np.arange(16)
    batch = {name: leaf[rows] for name, leaf in DATA.items()}
    batch |= {"order": ORDER[rows], "label": LABELS[rows]}
    loss_fn = choice_ranker.make_loss(model, loss, margin, "pair", smoothing)
    assert loss_fn is choice_ranker.make_loss(model, loss, margin, "pair", smoothing)
    value, (_, metrics) = jax.jit(loss_fn)(params, state, batch, jax.random.key(0))
    scores = np.take_along_axis(expected_scores(params, "pair", standardise=True), ORDER, 1)[rows]
    expected = by_hand(scores, LABELS[rows], loss, margin, smoothing)
    assert float(value) == pytest.approx(expected, rel=1e-4) and expected > 0.1
    assert float(metrics["train_accuracy"]) == np.mean(scores.argmax(1) == LABELS[rows])


def test_the_margin_loss_is_nil_beyond_the_margin_and_the_margin_where_all_are_alike():
    labels = np.array([1, 0])
    apart = jnp.array([[0.0, 1.5, -2.0], [3.0, 1.4, 2.0]])
    np.testing.assert_allclose(choice_ranker.margin_loss(apart, labels, 1.0), [0, 0])
    np.testing.assert_allclose(
        choice_ranker.margin_loss(apart, labels, 2.0), [0.25, 0.7], rtol=1e-5
    )
    np.testing.assert_allclose(choice_ranker.margin_loss(jnp.ones((2, 3)), labels, 0.3), [0.3] * 2)


def test_a_batch_names_its_questions_slots_and_answers():
    rows = RNG.permutation(N)[:40]
    batch_at = choice_ranker.make_batch_at(ORDER, LABELS, rows, seed=2, batch_size=8)
    batches = [batch_at(step) for step in range(5)]
    index = np.concatenate([batch["index"] for batch in batches])
    assert sorted(index) == sorted(rows)
    np.testing.assert_array_equal(np.concatenate([b["order"] for b in batches]), ORDER[index])
    np.testing.assert_array_equal(np.concatenate([b["label"] for b in batches]), LABELS[index])


# test_losses_are_those_by_hand has both
@pytest.mark.parametrize("loss", ["margin", pytest.param("softmax", marks=pytest.mark.slow)])
def test_it_learns_which_option_lies_near_its_context(loss):
    model, mesh = perceptron(16), data_mesh()
    data = put(DATA, replicated(mesh))
    scale = choice_ranker.scale_of(DATA, TRAIN, standardise=True)
    task = Task(
        init_fn=functools.partial(
            choice_ranker.init_model, model=model, scale=scale, features="interactions"
        ),
        loss_fn=choice_ranker.make_loss(model, loss, 1.0, "interactions", 0.0),
        tx=optax.inject_hyperparams(lambda lr: optax.adam(lr))(lr=0.0),
        batch_at=choice_ranker.make_batch_at(ORDER, LABELS, TRAIN, seed=0, batch_size=32),
        plan=Plan(150, log_every_steps=50),
        data=data,
        mesh=mesh,
        batch_size=32,
    )
    state, rows = fit(task, seed=0, lr=1e-2, checkpoints=Checkpoints(Path("/nonexistent")))
    assert rows[-1]["train_loss"] < 0.2 * rows[0]["train_loss"], rows
    new = np.arange(64, N)
    found = choice_ranker.evaluate(
        state.params, state.model_state, data, new, ORDER[new], model=model, features="interactions"
    )
    assert np.mean(np.asarray(found).argmax(1) == LABELS[new]) > 0.8
