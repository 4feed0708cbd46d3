"""GPT-2 and Llama compute what PyTorch computes with the same weights, and refuse other weights."""

import importlib.util
import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

from dla_jax.config.checks import ConfigError
from dla_jax.models import pretrained
from dla_jax.models.llama import Llama
from dla_jax.tasks import sampling

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
needs_torch = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("torch", "transformers"))),
    reason="needs requirements-bench.txt",
)


def stored(name):
    """Return the tokens and logits of a fixture, as tests/make_fixtures.py writes them."""
    return tuple(np.load(FIXTURES / name / f"{part}.npy") for part in ("tokens", "logits"))


def logits_of(model, params, tokens):
    """Return the logits of texts, [B, T, V]."""
    logits = jax.jit(lambda params: model.apply({"params": params}, tokens)[0])(params)
    return np.asarray(logits)


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_stored_weights_give_the_stored_logits(name):
    model, params = pretrained.load(FIXTURES / name)
    tokens, expected = stored(name)
    np.testing.assert_allclose(logits_of(model, params, tokens), expected, atol=1e-5)


def test_stored_logits_tell_a_wrong_model():
    model, params = pretrained.load(FIXTURES / "llama")
    tokens, expected = stored("llama")
    for change in ({"rope_theta": 10_000.0}, {"norm_eps": 1e-2}):
        wrong = Llama(model.config._replace(**change))
        assert np.abs(logits_of(wrong, params, tokens) - expected).max() > 1e-3, change


def theirs(name):
    """Draw a decoder of transformers, larger than the stored one."""
    import torch
    import transformers

    torch.manual_seed(1)
    if name == "gpt2":
        sizes = {"vocab_size": 97, "n_positions": 40, "n_embd": 48, "n_layer": 3, "n_head": 6}
        config = transformers.GPT2Config(**sizes, bos_token_id=0, eos_token_id=0)
        return transformers.GPT2LMHeadModel(config).eval()
    config = transformers.LlamaConfig(
        vocab_size=97,
        max_position_embeddings=40,
        hidden_size=48,
        intermediate_size=80,
        num_hidden_layers=3,
        num_attention_heads=6,
        num_key_value_heads=2,
    )
    return transformers.LlamaForCausalLM(config).eval()


@needs_torch
@pytest.mark.parametrize("name", ["gpt2", "llama"])
@pytest.mark.parametrize("sharded", [False, True])
def test_parity_with_transformers(name, sharded, tmp_path):
    import torch

    decoder = theirs(name)
    decoder.save_pretrained(tmp_path, max_shard_size="50KB" if sharded else "1GB")
    assert (tmp_path / "model.safetensors.index.json").exists() == sharded
    model, params = pretrained.load(tmp_path)
    tokens = np.random.default_rng(0).integers(0, 97, (3, 40))
    with torch.no_grad():
        expected = decoder(torch.tensor(tokens)).logits.numpy()
    np.testing.assert_allclose(logits_of(model, params, tokens), expected, atol=1e-5)
    # greedy, with cached keys and values
    prompt = tokens[0, :8]
    greedy = {"do_sample": False, "pad_token_id": 0, "eos_token_id": None}
    with torch.no_grad():
        written = decoder.generate(torch.tensor(prompt[None]), max_new_tokens=30, **greedy)
    coldest = sampling.Sampler(0.0)
    prompt, key = prompt.astype(np.int32), jax.random.key(0)
    sizes = {"num_tokens": 30, "num_samples": 1}
    ours = sampling.sample(model, params, prompt, **sizes, key=key, sampler=coldest)
    np.testing.assert_array_equal(ours[0], written[0, 8:].numpy())


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
