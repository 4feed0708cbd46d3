"""Tests what the training loop takes of a decoder: losses by hand, batches in parts, devices."""

import functools
from pathlib import Path

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dla_jax.data import text, tokenize
from dla_jax.models.gpt import GPT, GPTConfig
from dla_jax.models.llama import Llama, LlamaConfig
from dla_jax.tasks import language_model
from dla_jax.training import steps
from dla_jax.training.checkpoint import Checkpoints
from dla_jax.training.loop import fit, stack_batches
from dla_jax.training.mesh import data_mesh, put, replicated
from dla_jax.training.task import Plan, Task, no_trace

LETTERS = tokenize.Characters("abcdefgh")
TEXT = "".join(np.random.default_rng(0).choice(list("abcdefgh"), 400))
TOKENS = text.encode_parts(text.split(TEXT, 0.2, 0.1), LETTERS.encode)
MODEL = Llama(LlamaConfig(8, 16, 2, 2, 1, 16, 24))
ONE_LAYER = Llama(MODEL.config._replace(n_layer=1))


def state_of(model, lr=0.01, mesh=None):
    tx = optax.inject_hyperparams(lambda lr: optax.chain(optax.sgd(lr)))(lr=lr)
    init_fn = lambda key: (params_of(model), {})
    return tx, *steps.init_state(init_fn, tx, seed=0, lr=lr, mesh=mesh or data_mesh())


@functools.partial(jax.jit, static_argnames="model")
def logits_of(params, tokens, *, model):
    """Return the logits of one text, [T, V]."""
    return model.apply({"params": params}, tokens[None])[0][0]


def log_p(model, params, window):
    """Return the log-probabilities of the tokens of one window except the first."""
    logits = np.asarray(logits_of(params, window[:-1], model=model), np.float64)
    logits -= np.log(np.exp(logits).sum(-1, keepdims=True))
    return logits[np.arange(len(window) - 1), window[1:]]


@functools.cache
def params_of(model):
    """Draw parameters, once."""
    return drawn.params_of(model, np.zeros((1, 2), np.int32), size=0.1)


@pytest.mark.parametrize("part", ["val", pytest.param("test", marks=pytest.mark.slow)])
def test_evaluation_is_the_mean_over_all_tokens_by_hand(part):
    mesh = data_mesh()
    _, state, _ = state_of(ONE_LAYER, mesh=mesh)
    index, mask = text.part_index(TOKENS, part, 16, 4)
    tokens, num_chars = put(TOKENS.tokens, replicated(mesh)), TOKENS.num_chars[part]
    evaluate = language_model.make_evaluate(ONE_LAYER, tokens, mesh, index, mask, num_chars, part)
    found, (first, stop) = evaluate(state), TOKENS.bounds[part]
    params, nats, places = params_of(ONE_LAYER), [], []
    for start in range(first - 1, stop - 1, 16):
        own = -log_p(ONE_LAYER, params, TOKENS.tokens[start : min(start + 17, stop)])
        nats += own.tolist()
        places += range(len(own))
    assert len(nats) == stop - first
    assert found[f"{part}_nats_per_token"] == pytest.approx(np.mean(nats), rel=1e-5)
    # Here a token is a character.
    assert found[f"{part}_nats_per_char"] == pytest.approx(np.mean(nats), rel=1e-5)
    for place in range(16):
        expected = np.mean([value for value, at in zip(nats, places, strict=True) if at == place])
        assert found[f"{part}_nats_by_position"][place] == pytest.approx(expected, rel=1e-4)


def test_nats_per_character_count_characters_not_tokens():
    whole = "nel mezzo del cammin di nostra vita mi ritrovai per una selva oscura " * 8
    parts = text.split(whole, 0.3, 0.0)
    pairs = tokenize.train_pairs(parts["train"], 270)
    tokens, mesh = text.encode_parts(parts, pairs.encode), data_mesh()
    model = GPT(GPTConfig(270, 16, 1, 2, 16))
    _, state, _ = state_of(model, mesh=mesh)
    evaluate = language_model.make_evaluate(
        model,
        put(tokens.tokens, replicated(mesh)),
        mesh,
        *text.part_index(tokens, "val", 16, 4),
        tokens.num_chars["val"],
        "val",
    )
    found, (first, stop) = evaluate(state), tokens.bounds["val"]
    assert stop - first < len(parts["val"])
    assert found["val_nats_per_char"] * len(parts["val"]) == pytest.approx(
        found["val_nats_per_token"] * (stop - first), rel=1e-6
    )


def test_the_loss_is_the_mean_of_the_windows_by_hand():
    params = params_of(ONE_LAYER)
    windows = TOKENS.tokens[text.train_index(0, 0, 3, TOKENS, 16)]
    loss_fn = jax.jit(language_model.make_loss(ONE_LAYER))
    loss, _ = loss_fn(params, {}, {"token": windows}, jax.random.key(0))
    expected = -np.mean([log_p(ONE_LAYER, params, window) for window in windows])
    assert float(loss) == pytest.approx(expected, rel=1e-5)


@functools.cache
def three_steps(model, accumulate=1, num_devices=4, parallel="jit"):
    """Return parameters, losses and gradient norms of three steps of eight windows."""
    mesh = jax.make_mesh(
        (num_devices,),
        ("data",),
        devices=jax.devices()[:num_devices],
        axis_types=data_mesh().axis_types,
    )
    tx, state, key = state_of(model, 0.5, mesh)
    batches = stack_batches(
        lambda step: {"index": text.train_index(0, step, 8, TOKENS, 16)}, 0, 3, 3
    )
    data = put({"token": TOKENS.tokens}, replicated(mesh))
    state, series, _ = steps.STEPS[parallel](
        state,
        data,
        batches,
        3,
        key,
        loss_fn=language_model.make_loss(model),
        tx=tx,
        trace=no_trace,
        accumulate=accumulate,
        mesh=mesh,
    )
    losses, norms = np.asarray(series["train_loss"]), np.asarray(series["grad_norm"])
    return jax.device_get(state.params), losses, norms


@pytest.mark.parametrize(
    ("accumulate", "num_devices", "parallel"),
    [
        pytest.param(1, 4, "jit", marks=pytest.mark.slow),
        pytest.param(8, 1, "jit", marks=pytest.mark.slow),
        (2, 4, "jit"),
        pytest.param(1, 4, "pmap", marks=pytest.mark.slow),
        (2, 4, "pmap"),
    ],
)
def test_parts_and_devices_take_the_same_steps(accumulate, num_devices, parallel):
    expected, losses, norms = three_steps(ONE_LAYER, 1, 1)
    params, own_losses, own_norms = three_steps(ONE_LAYER, accumulate, num_devices, parallel)
    np.testing.assert_allclose(own_losses, losses, rtol=1e-5)
    np.testing.assert_allclose(own_norms, norms, rtol=1e-4)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-6), params, expected)
    assert losses[2] < losses[0]


def test_each_part_has_a_key_of_its_own():
    model = Llama(ONE_LAYER.config._replace(dropout=0.5))
    params, key = params_of(model), jax.random.key(1)
    windows = TOKENS.tokens[text.train_index(0, 0, 8, TOKENS, 16)]
    loss_fn = language_model.make_loss(model)

    @jax.jit
    def found(params):
        return steps._gradient(params, {}, {"token": windows}, key, loss_fn, 4)[0][0]

    @jax.jit
    def by_hand(params, keys):
        parts = jnp.stack([windows[i::4] for i in range(4)])
        own = lambda part, key: loss_fn(params, {}, {"token": part}, key)[0]
        return jax.lax.map(lambda pair: own(*pair), (parts, keys)).mean()

    folded = jnp.stack([jax.random.fold_in(key, i) for i in range(4)])
    loss = float(found(params))
    assert loss == pytest.approx(float(by_hand(params, folded)), rel=1e-6)
    assert loss != pytest.approx(float(by_hand(params, jnp.stack([key] * 4))), rel=1e-4)


def test_a_decoder_learns_eight_windows_by_heart():
    model, mesh = Llama(ONE_LAYER.config._replace(n_embd=32)), data_mesh()
    tx = optax.inject_hyperparams(lambda lr: optax.adam(lr))(lr=0.0)
    index = text.train_index(0, 0, 8, TOKENS, 16)
    task = Task(
        init_fn=functools.partial(language_model.init_model, model=model),
        loss_fn=language_model.make_loss(model),
        tx=tx,
        batch_at=lambda step: {"index": index},
        evaluate=lambda state: {"x": 0.0},
        better=lambda row: 0.0,
        plan=Plan(150, (150,), 0, 0, 50, 0),
        data=put({"token": TOKENS.tokens}, replicated(mesh)),
        mesh=mesh,
        batch_size=8,
        test=lambda state: {},
        result=lambda rows, best: {},
        diverged={},
        facts={},
    )
    _, rows = fit(task, seed=0, lr=1e-2, checkpoints=Checkpoints(Path("/nonexistent")))
    assert rows[-1]["train_loss"] < 0.75 * np.log(8)  # the mean over 149 steps
    assert rows[0]["train_loss"] == pytest.approx(np.log(8), abs=0.1)


def test_attention_maps_are_of_one_text():
    maps = language_model.attention_maps(params_of(MODEL), TOKENS.tokens[:10], model=MODEL)
    assert maps.shape == (2, 2, 10, 10)
    np.testing.assert_allclose(maps.sum(-1), 1, atol=1e-5)
    assert (np.triu(np.asarray(maps), 1) == 0).all()
