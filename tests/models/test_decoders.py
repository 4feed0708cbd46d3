"""GPT-2 and Llama are causal, and equal with and without a cache."""

import functools

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from dla_jax.config.checks import ConfigError
from dla_jax.models.decoders import build, check_model
from dla_jax.models.gpt import GPT, GPTConfig
from dla_jax.models.llama import Llama, LlamaConfig

MODELS = {
    "gpt": GPT(GPTConfig(17, 12, 2, 4, 16)),
    "llama": Llama(LlamaConfig(17, 12, 2, 4, 2, 16, 24)),
}


@pytest.fixture(params=MODELS)
def model(request):
    return MODELS[request.param]


@functools.cache
def random_params(model):
    """Draw parameters of which every part matters, once."""
    return drawn.params_of(model, np.zeros((1, 2), np.int32), size=0.3)


@functools.partial(jax.jit, static_argnames=("model", "train"))
def apply(params, tokens, cache=None, start=0, *, model, **options):
    """Return (logits, features) of the tokens."""
    return model.apply({"params": params}, tokens, cache=cache, start=start, **options)


def one_layer(model, **changes):
    """Make the model of the first layer alone, which the same parameters serve."""
    return type(model)(model.config._replace(n_layer=1, **changes))


def some_tokens(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 17, shape).astype(np.int32)


def test_no_token_sees_a_later_one(model):
    params, tokens = random_params(model), some_tokens((2, 12))
    logits = np.asarray(apply(params, tokens, model=model)[0])
    for place in range(1, 12):
        other = tokens.copy()
        other[:, place] = (tokens[:, place] + 1) % 17
        changed = np.asarray(apply(params, other, model=model)[0])
        np.testing.assert_array_equal(changed[:, :place], logits[:, :place])
        # and every later one sees this one
        assert (np.abs(changed[:, place:] - logits[:, place:]).max(-1) > 1e-4).all()


def test_order_matters(model):
    # Without positions, the last token of one layer would not know in which order the others came.
    params, tokens = random_params(model), np.tile(np.arange(12, dtype=np.int32), (2, 1))
    tokens[1, [1, 4]] = 4, 1
    logits, other = np.asarray(apply(params, tokens, model=one_layer(model))[0])[:, -1]
    assert np.abs(logits - other).max() > 1e-2


@pytest.mark.parametrize(
    "pieces", [(1,) * 12, (5, 1, 1, 5), pytest.param((12,), marks=pytest.mark.slow)]
)
def test_a_cache_changes_nothing(model, pieces):
    params, tokens = random_params(model), some_tokens((2, 12))
    whole, features = apply(params, tokens, model=model)
    cache, start = model.empty_cache(2), 0
    for length in pieces:
        here = slice(start, start + length)
        part, held = apply(params, tokens[:, here], cache, start, model=model)
        np.testing.assert_allclose(part, whole[:, here], atol=2e-5)
        cache, start = held["cache"], start + length
    check = lambda filled, own: np.testing.assert_allclose(filled, own, atol=2e-5)
    jax.tree.map(check, cache, features["cache"])


def test_grouped_queries_equal_repeated_heads():
    grouped = one_layer(MODELS["llama"])
    repeated = Llama(grouped.config._replace(n_kv_head=4))
    params, tokens = random_params(grouped), some_tokens((2, 12))

    def repeat(path, leaf):
        if not {"k_proj", "v_proj"} & {key.key for key in path}:
            return leaf
        # each head serves the two queries behind it
        return leaf.reshape(16, 2, 4).repeat(2, axis=1).reshape(16, 16)

    repeated_params = jax.tree_util.tree_map_with_path(repeat, params)
    expected = apply(repeated_params, tokens, model=repeated)[0]
    np.testing.assert_allclose(apply(params, tokens, model=grouped)[0], expected, atol=1e-5)


def test_bfloat16_computes_coarsely_and_answers_in_float32(model):
    params, tokens = random_params(model), some_tokens((2, 12))
    logits, features = apply(params, tokens, model=one_layer(model, dtype="bfloat16"))
    exact = np.asarray(apply(params, tokens, model=one_layer(model))[0])
    logits = np.asarray(logits)
    assert logits.dtype == jnp.float32 and features["hidden"].dtype == jnp.bfloat16
    assert features["attention"][0].dtype == jnp.float32
    cosine = (logits * exact).sum() / np.sqrt((logits**2).sum() * (exact**2).sum())
    assert cosine > 0.99 and np.abs(logits - exact).max() > 1e-4


def test_dropout_is_there_in_training_alone(model):
    dropping, tokens = one_layer(model, dropout=0.5), some_tokens((2, 12))
    params = random_params(model)

    def drop(seed, train):
        rngs = {"dropout": jax.random.key(seed)}
        return np.asarray(apply(params, tokens, model=dropping, train=train, rngs=rngs)[0])

    plain = apply(params, tokens, model=one_layer(model))[0]
    np.testing.assert_array_equal(drop(0, train=False), plain)
    np.testing.assert_array_equal(drop(1, train=True), drop(1, train=True))
    assert np.abs(drop(1, train=True) - drop(2, train=True)).max() > 1e-2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "gpt3"}, "did you mean 'gpt'"),
        ({"n_embd": 10}, "n_embd"),
        ({"n_kv_head": 3}, "n_kv_head"),
        ({"n_head": 8, "n_kv_head": 8, "n_embd": 24}, "even width"),
        ({"block_size": 1}, "block_size"),
        ({"dropout": 1.0}, "dropout"),
        ({"width": 3}, "unknown ['width']"),
    ],
)
def test_a_decoder_that_cannot_be_is_refused(change, words):
    model = {
        "name": "llama",
        "block_size": 8,
        "n_layer": 1,
        "n_head": 4,
        "n_embd": 16,
        "dropout": 0.0,
        "n_kv_head": 2,
        "intermediate": 24,
        "rope_theta": 1e4,
        "tied": True,
    }
    check_model(ConfigDict(model))
    assert build(ConfigDict(model), vocab_size=9, dtype="float32").config.vocab_size == 9
    with pytest.raises(ConfigError) as error:
        check_model(ConfigDict(model | change))
    assert words in str(error.value)
