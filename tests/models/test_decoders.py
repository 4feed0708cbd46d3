"""GPT-2 and Llama: causal, equal with and without a cache, and equal to what PyTorch computes with the same weights."""

import importlib.util
import json
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dla_jax.config.checks import ConfigError
from dla_jax.models import pretrained
from dla_jax.models.attention import attend, causal, rotate
from dla_jax.models.decoders import build, check_model
from dla_jax.models.gpt import GPT, GPTConfig
from dla_jax.models.layers import fast_dot_general
from dla_jax.models.llama import Llama, LlamaConfig
from dla_jax.tasks import sampling

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
MODELS = {
    "gpt": GPT(GPTConfig(17, 12, 2, 4, 16)),
    "llama": Llama(LlamaConfig(17, 12, 2, 4, 2, 16, 24)),
}
needs_torch = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("torch", "transformers"))),
    reason="needs requirements-bench.txt",
)


@pytest.fixture(params=MODELS)
def model(request):
    return MODELS[request.param]


def random_params(model, seed=0):
    """Parameters of size one, so that every part matters."""
    params = model.init(jax.random.key(seed), jnp.zeros((1, 2), jnp.int32))["params"]
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(seed + 1), len(leaves))
    return tree.unflatten(
        [
            leaf + 0.3 * jax.random.normal(key, leaf.shape)
            for key, leaf in zip(keys, leaves, strict=True)
        ]
    )


def some_tokens(shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).integers(0, 17, shape), jnp.int32)


def test_no_token_sees_a_later_one(model):
    params, tokens = random_params(model), some_tokens((1, 12))
    logits = model.apply({"params": params}, tokens)[0]
    for place in range(1, 12):
        changed = model.apply(
            {"params": params}, tokens.at[0, place].set((tokens[0, place] + 1) % 17)
        )[0]
        np.testing.assert_array_equal(changed[:, :place], logits[:, :place])
        assert (
            np.abs(changed[:, place:] - logits[:, place:]).max(-1) > 1e-4
        ).all()  # and every later one sees this one


def test_order_matters(model):
    """Without positions, the last token would not know in which order the others came."""
    params, tokens = random_params(model), jnp.arange(8, dtype=jnp.int32)[None]
    swapped = tokens.at[0, jnp.array([1, 4])].set(tokens[0, jnp.array([4, 1])])
    logits, other = (model.apply({"params": params}, text)[0][0, -1] for text in (tokens, swapped))
    assert np.abs(logits - other).max() > 1e-2


@pytest.mark.parametrize("pieces", [(1,) * 12, (5, 1, 1, 5), (12,)])
def test_a_cache_changes_nothing(model, pieces):
    params, tokens = random_params(model), some_tokens((2, 12))
    whole, features = model.apply({"params": params}, tokens)
    cache, start = model.empty_cache(2), 0
    for length in pieces:
        part, held = model.apply(
            {"params": params}, tokens[:, start : start + length], cache=cache, start=start
        )
        np.testing.assert_allclose(part, whole[:, start : start + length], atol=2e-5)
        cache, start = held["cache"], start + length
    for filled, own in zip(jax.tree.leaves(cache), jax.tree.leaves(features["cache"]), strict=True):
        np.testing.assert_allclose(filled, own, atol=2e-5)


def test_rotary_positions_are_a_product_with_complex_numbers():
    x, theta = np.random.default_rng(0).normal(size=(2, 5, 3, 8)).astype(np.float32), 100.0
    as_complex = x[..., :4] + 1j * x[..., 4:]
    angles = (7 + np.arange(5))[:, None] * theta ** (-2 * np.arange(4) / 8)
    turned = as_complex * np.exp(1j * angles)[None, :, None]
    found = rotate(jnp.asarray(x), 7, theta)
    np.testing.assert_allclose(found, np.concatenate([turned.real, turned.imag], -1), atol=1e-5)


def test_rotary_scores_depend_on_the_distance_alone():
    q, k = np.random.default_rng(0).normal(size=(2, 1, 1, 1, 8)).astype(np.float32)
    at = lambda x, place: rotate(jnp.asarray(x), place, 100.0).ravel()
    scores = [at(q, 3 + shift) @ at(k, 1 + shift) for shift in (0, 4, 11)]
    np.testing.assert_allclose(scores, scores[0], atol=1e-4)
    assert abs(at(q, 3) @ at(k, 2) - scores[0]) > 1e-3


def test_grouped_queries_equal_repeated_heads():
    grouped = MODELS["llama"]
    repeated = Llama(grouped.config._replace(n_kv_head=4))
    params, tokens = random_params(grouped), some_tokens((2, 9))

    def repeat(path, leaf):
        if not {"k_proj", "v_proj"} & {key.key for key in path}:
            return leaf
        return (
            leaf.reshape(16, 2, 4).repeat(2, axis=1).reshape(16, 16)
        )  # each head serves the two queries behind it

    expected = repeated.apply({"params": jax.tree_util.tree_map_with_path(repeat, params)}, tokens)[
        0
    ]
    np.testing.assert_allclose(grouped.apply({"params": params}, tokens)[0], expected, atol=1e-5)


def test_attention_against_numpy():
    rng = np.random.default_rng(0)
    q, k, v = (
        rng.normal(size=(1, 3, 4, 5)),
        rng.normal(size=(1, 6, 2, 5)),
        rng.normal(size=(1, 6, 2, 5)),
    )
    out, weights = attend(*(jnp.asarray(x, jnp.float32) for x in (q, k, v)), causal(3, 6, start=3))
    for head in range(4):
        for i in range(3):
            scores = np.array(
                [q[0, i, head] @ k[0, j, head // 2] / np.sqrt(5) for j in range(3 + i + 1)]
            )
            expected = np.exp(scores) / np.exp(scores).sum()
            np.testing.assert_allclose(weights[0, head, i, : 4 + i], expected, atol=1e-6)
            assert (weights[0, head, i, 4 + i :] == 0).all()
            np.testing.assert_allclose(
                out[0, i, 5 * head : 5 * head + 5], expected @ v[0, : 4 + i, head // 2], atol=1e-6
            )


def test_the_fast_dense_layer_has_the_gradients_of_the_plain_one():
    rng = np.random.default_rng(0)
    x, kernel, g = (
        jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in ((2, 7, 5), (5, 3), (2, 7, 3))
    )
    dimensions = (((2,), (0,)), ((), ()))
    found, pull = jax.vjp(lambda x, kernel: fast_dot_general(x, kernel, dimensions), x, kernel)
    expected, plain_pull = jax.vjp(
        lambda x, kernel: jax.lax.dot_general(x, kernel, dimensions), x, kernel
    )
    np.testing.assert_allclose(found, expected, atol=1e-6)
    for own, other in zip(pull(g), plain_pull(g), strict=True):
        np.testing.assert_allclose(own, other, atol=1e-5)


def test_bfloat16_computes_coarsely_and_answers_in_float32(model):
    params, tokens = random_params(model), some_tokens((2, 12))
    coarse = type(model)(model.config._replace(dtype="bfloat16"))
    logits, features = coarse.apply({"params": params}, tokens)
    exact = np.asarray(model.apply({"params": params}, tokens)[0])
    assert logits.dtype == jnp.float32 and features["hidden"].dtype == jnp.bfloat16
    assert features["attention"][0].dtype == jnp.float32
    cosine = (logits * exact).sum() / np.sqrt((logits**2).sum() * (exact**2).sum())
    assert cosine > 0.99 and np.abs(logits - exact).max() > 1e-4


def test_dropout_is_there_in_training_alone(model):
    dropping, tokens = type(model)(model.config._replace(dropout=0.5)), some_tokens((2, 12))
    params = random_params(model)
    apply = lambda seed, train: dropping.apply(
        {"params": params}, tokens, train=train, rngs={"dropout": jax.random.key(seed)}
    )[0]
    np.testing.assert_array_equal(apply(0, False), model.apply({"params": params}, tokens)[0])
    np.testing.assert_array_equal(apply(1, True), apply(1, True))
    assert np.abs(apply(1, True) - apply(2, True)).max() > 1e-2


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_stored_weights_give_the_stored_logits(name):
    """The logits are those of transformers with PyTorch: tests/make_fixtures.py."""
    model, params = pretrained.load(FIXTURES / name)
    tokens, expected = (
        np.load(FIXTURES / name / "tokens.npy"),
        np.load(FIXTURES / name / "logits.npy"),
    )
    np.testing.assert_allclose(model.apply({"params": params}, tokens)[0], expected, atol=1e-5)


def test_stored_logits_tell_a_wrong_model():
    model, params = pretrained.load(FIXTURES / "llama")
    tokens, expected = (
        np.load(FIXTURES / "llama" / "tokens.npy"),
        np.load(FIXTURES / "llama" / "logits.npy"),
    )
    for change in ({"rope_theta": 10_000.0}, {"norm_eps": 1e-2}):
        wrong = Llama(model.config._replace(**change))
        assert np.abs(wrong.apply({"params": params}, tokens)[0] - expected).max() > 1e-3, change


@needs_torch
@pytest.mark.parametrize("name", ["gpt2", "llama"])
@pytest.mark.parametrize("sharded", [False, True])
def test_parity_with_transformers(name, sharded, tmp_path):
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaForCausalLM
    from transformers import LlamaConfig as TheirLlamaConfig

    torch.manual_seed(1)
    if name == "gpt2":
        theirs = GPT2LMHeadModel(
            GPT2Config(
                vocab_size=97,
                n_positions=40,
                n_embd=48,
                n_layer=3,
                n_head=6,
                bos_token_id=0,
                eos_token_id=0,
            )
        )
    else:
        theirs = LlamaForCausalLM(
            TheirLlamaConfig(
                vocab_size=97,
                max_position_embeddings=40,
                hidden_size=48,
                intermediate_size=80,
                num_hidden_layers=3,
                num_attention_heads=6,
                num_key_value_heads=2,
            )
        )
    theirs.eval().save_pretrained(tmp_path, max_shard_size="50KB" if sharded else "1GB")
    assert (tmp_path / "model.safetensors.index.json").exists() == sharded
    model, params = pretrained.load(tmp_path)
    tokens = np.random.default_rng(0).integers(0, 97, (3, 40))
    with torch.no_grad():
        expected = theirs(torch.tensor(tokens)).logits.numpy()
    np.testing.assert_allclose(model.apply({"params": params}, tokens)[0], expected, atol=1e-5)
    with torch.no_grad():
        written = theirs.generate(
            torch.tensor(tokens[:1, :8]),
            max_new_tokens=30,
            do_sample=False,
            pad_token_id=0,
            eos_token_id=None,
        )
    ours = sampling.sample(
        model,
        params,
        tokens[0, :8].astype(np.int32),
        30,
        1,
        jax.random.key(0),
        sampling.Sampler(0.0),
    )
    np.testing.assert_array_equal(
        ours[0], written[0, 8:].numpy()
    )  # greedy, with cached keys and values


def test_gpt2_is_exported_as_it_is_read(tmp_path):
    model, params = pretrained.load(FIXTURES / "gpt2")
    pretrained.save(model, params, tmp_path)
    again, found = pretrained.load(tmp_path)
    assert again == model
    jax.tree.map(np.testing.assert_array_equal, found, params)


def broken_folder(tmp_path, change):
    folder = tmp_path / "model"
    shutil.copytree(FIXTURES / "gpt2", folder)
    change(folder)
    return folder


def edit_config(**changes):
    def change(folder):
        found = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(found | changes))

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda folder: (folder / "config.json").unlink(), "no model folder"),
        (lambda folder: (folder / "config.json").write_text("{"), "damaged"),
        (lambda folder: (folder / "model.safetensors").unlink(), "must be safetensors"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"1234567890"), "damaged"),
        (edit_config(model_type="mamba"), "'mamba'"),
        (edit_config(activation_function="relu"), "activation_function"),
        (edit_config(n_layer=3), "h.2.ln_1.bias is missing"),
        (edit_config(n_layer=1), "h.1.attn.c_attn.bias is not expected"),
        (edit_config(vocab_size=14), "wte.weight is [13, 8], expected [14, 8]"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(change, words, tmp_path):
    with pytest.raises(ConfigError, match=words.replace("[", r"\[").replace(".", r"\.")):
        pretrained.load(broken_folder(tmp_path, change))


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
    from ml_collections import ConfigDict

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
    assert build(ConfigDict(model), 9, "float32").config.vocab_size == 9
    with pytest.raises(ConfigError) as error:
        check_model(ConfigDict(model | change))
    assert words in str(error.value)
