"""Tests drawing tokens against numpy, and writing with a cache against reading all again."""

import functools

import chex
import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dla_jax.data import tokenize
from dla_jax.models.gpt import GPT, GPTConfig
from dla_jax.models.llama import Llama, LlamaConfig
from dla_jax.tasks import sampling
from dla_jax.tasks.sampling import Sampler

MODELS = {
    "gpt": GPT(GPTConfig(17, 12, 2, 4, 16)),
    "llama": Llama(LlamaConfig(17, 12, 1, 4, 2, 16, 24)),
}
truncate, draw = jax.jit(sampling.truncate), jax.jit(sampling.draw)


def by_hand(logits, temperature, top_k, top_p):
    """Return the probabilities of one row, by sorting and adding up."""
    p = np.exp((logits - logits.max()).astype(np.float64) / temperature)
    order = sorted(range(len(p)), key=lambda i: (-logits[i], i))
    kept = order[: top_k or len(order)]
    total, nucleus = sum(p[i] for i in kept), []
    for i in kept:
        nucleus.append(i)
        if sum(p[j] for j in nucleus) / total >= top_p:
            break
    found = np.zeros(len(p))
    found[nucleus] = p[nucleus] / p[nucleus].sum()
    return found


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("top_k", [0, 1, 3, 100])
@pytest.mark.parametrize("top_p", [1.0, 0.9, 0.25, 1e-6])
def test_truncation_against_numpy(temperature, top_k, top_p):
    logits = np.random.default_rng(0).normal(size=(6, 8)).astype(np.float32)
    logits[0] = 0.0  # all equal, two of them exactly a quarter
    logits[1, 3:6] = logits[1].max() + 1  # ties on top
    kept = np.exp(np.asarray(truncate(logits, Sampler(temperature, top_k, top_p)), np.float64))
    for row, own in zip(kept / kept.sum(-1, keepdims=True), logits, strict=True):
        np.testing.assert_allclose(row, by_hand(own, temperature, top_k, top_p), atol=1e-6)


def test_tokens_are_drawn_as_often_as_they_are_probable():
    logits = np.random.default_rng(1).normal(size=(1, 6)).astype(np.float32)
    tokens = draw(jax.random.key(0), logits.repeat(40_000, 0), Sampler(0.7, 5, 0.95))
    expected = by_hand(logits[0], 0.7, 5, 0.95)
    shares = np.bincount(tokens, minlength=6) / 40_000
    np.testing.assert_allclose(shares, expected, atol=0.012)  # 5 standard errors
    assert (expected == 0).any()


def test_a_tiny_temperature_is_nearly_zero():
    logits = jnp.asarray([[10.0, 30.0, 20.0], [40.0, 50.0, 60.0]])
    assert draw(jax.random.key(0), logits, Sampler(2e-38, 0, 1.0)).tolist() == [1, 2]


def test_temperature_zero_takes_the_most_probable():
    logits = jnp.asarray([[0.0, 3.0, 1.0], [2.0, 0.0, 1.0]])
    tokens = draw(jax.random.key(0), logits, Sampler(0.0, 0, 1.0))
    np.testing.assert_array_equal(tokens, [1, 0])


@functools.cache
def params_of(model):
    """Draw parameters of which every part matters, once."""
    return drawn.params_of(model, np.zeros((1, 2), np.int32), size=0.2)


@functools.partial(jax.jit, static_argnames="model")
def drawn_after(params, padded, length, key, step, sampler, *, model):
    """Return the token drawn after the first `length` of a text [1, block_size]."""
    logits = model.apply({"params": params}, padded)[0][:, length - 1]
    return sampling.draw(jax.random.fold_in(key, step), logits, sampler)[0]


def read_all_again(model, params, prompt, num_tokens, key, sampler):
    """Return what the same policy writes without a cache.

    Every token comes from a pass over the whole context, and padding behind it, which is not seen.
    """
    context, written = list(prompt)[-model.config.block_size :], []
    for step in range(num_tokens):
        padded = np.zeros((1, model.config.block_size), np.int32)
        padded[0, : len(context)] = context
        token = int(drawn_after(params, padded, len(context), key, step, sampler, model=model))
        if len(context) == model.config.block_size:
            context = context[-(model.config.block_size // 2) :]
        context.append(token)
        written.append(token)
    return written


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("length", [1, 5, 12, 20])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_cache_writes_what_reading_everything_again_would(name, length, temperature):
    """Token by token, beyond the context length too, where the last half is read again."""
    model, params = MODELS[name], params_of(MODELS[name])
    prompt, key = np.random.default_rng(length).integers(0, 17, length), jax.random.key(3)
    expected = read_all_again(model, params, prompt, 40, key, Sampler(temperature))
    found = sampling.sample(model, params, prompt, 40, 1, key, Sampler(temperature))
    assert found.tolist() == [expected]
    assert len(set(expected)) > 5 * temperature  # the most probable ones soon repeat


LONGER = GPT(MODELS["gpt"].config._replace(block_size=80, n_layer=1))


def test_pieces_make_the_same_text_as_one_call():
    model, params = MODELS["gpt"], params_of(MODELS["gpt"])
    pieces = list(sampling.stream(model, params, [1], 65, 1, jax.random.key(0), Sampler()))
    widths = [piece.shape[1] for piece in pieces]
    assert widths == [11, *[6] * 9]  # as much as is free in the context
    wide = sampling.stream(LONGER, params_of(LONGER), [1, 2], 70, 2, jax.random.key(0), Sampler())
    assert [piece.shape for piece in wide] == [(2, 32), (2, 32), (2, 6)]
    shorter = sampling.sample(model, params, [1], 35, 1, jax.random.key(0), Sampler())
    np.testing.assert_array_equal(np.concatenate(pieces, 1)[:, :35], shorter)


def test_seeds_differ_and_samples_of_one_seed_too():
    params = params_of(LONGER)
    one, again, other = (
        sampling.sample(LONGER, params, [1, 2], 30, 2, jax.random.key(seed), Sampler())
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other) and not np.array_equal(one[0], one[1])


def test_other_prompts_and_samplers_compile_nothing_new():
    model = Llama(MODELS["llama"].config._replace(intermediate=16))  # of which nothing is compiled
    params = params_of(model)
    read, went_on = sampling.read._cache_size(), sampling.go_on._cache_size()
    for prompt, sampler in (
        ([1] * 9, Sampler()),
        (list(range(11)), Sampler(0.5, 3, 0.9)),
        (list(range(14)), Sampler(0.0)),
    ):
        sampling.sample(model, params, prompt, 33, 1, jax.random.key(0), sampler)
    assert sampling.read._cache_size() == read + 1
    assert sampling.go_on._cache_size() == went_on + 1


def test_half_a_character_waits_for_the_rest():
    pairs = tokenize.train_pairs("abc abc " * 9, 256)
    tokens = pairs.encode("aè𝄞b�")
    assert len(tokens) > 5
    texts = list(sampling.as_text(iter(tokens[:, None]), pairs.decode))
    assert "".join(texts) == "aè𝄞b�" and "è" in texts
    assert all("�" not in text for text in texts[:-1])
    assert "".join(sampling.as_text(iter([tokens[:2]]), pairs.decode)) == "a�"  # cut off for good


def test_shapes():
    model, params = MODELS["gpt"], params_of(MODELS["gpt"])
    context = np.zeros((1, 12), np.int32)
    writing = sampling.read(params, context, np.int32(4), model=model, width=8)
    chex.assert_shape(writing.logits, (1, 17))
    assert int(writing.length) == 4 and len(writing.cache) == 2
