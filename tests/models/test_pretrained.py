"""Heads of published models: of classifiers, and of decoders, tied to the embedding or not."""

import importlib.util
import json
from pathlib import Path

import jax
import numpy as np
import pytest
import safetensors.numpy

from dla_jax.config.checks import ConfigError
from dla_jax.models import pretrained
from dla_jax.models.gpt import GPT, GPTConfig
from dla_jax.models.published import PREFIXES

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
EMBEDDING = {"gpt2": "transformer.wte.weight", "llama": "model.embed_tokens.weight"}
needs_torch = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("torch", "transformers"))),
    reason="needs requirements-bench.txt",
)


def published(kind, **changes):
    """Return the `config.json` of a fixture with other values."""
    return json.loads((FIXTURES / kind / "config.json").read_text()) | changes


def tensors_of(kind):
    """Read the tensors of a fixture."""
    return safetensors.numpy.load_file(FIXTURES / kind / "model.safetensors")


def write(folder, config, tensors):
    """Write a folder of a model, and return it."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    safetensors.numpy.save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def refused(load, folder):
    """Return the one line with which a folder is refused."""
    with pytest.raises(ConfigError) as caught:
        load(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"problem_type": "multi_label_classification"},
            "problem_type is 'multi_label_classification'; "
            "known: None, 'single_label_classification'",
        ),
        ({"problem_type": "regression"}, "problem_type is 'regression'"),
        (
            {"id2label": {"1": "cat", "2": "dog", "3": "hen"}},
            "id2label has 1, 2, 3; known: the numbers from 0 to 2",
        ),
        ({"id2label": ["cat", "dog", "hen"]}, "id2label has cat, dog, hen"),
    ],
)
def test_a_classifier_of_another_kind_is_refused(changes, words, tmp_path):
    folder = write(tmp_path, published("bert", **changes), tensors_of("bert"))
    message = refused(pretrained.load_classifier, folder)
    assert message.startswith(f"{folder}: ") and words in message
    assert pretrained.load(folder)[0].config.n_layer == 2  # the encoder alone is as good as any


@pytest.fixture(scope="module")
def head():
    """Draw the matrix of a head."""
    return np.random.default_rng(0).normal(size=(13, 8)).astype(np.float32)


def write_untied(folder, head):
    """Write a GPT-2 with a head of its own."""
    tensors = tensors_of("gpt2") | {"lm_head.weight": head}
    return write(folder, published("gpt2", tie_word_embeddings=False), tensors)


def test_gpt2_has_a_head_of_its_own_where_it_is_not_tied(head, tmp_path):
    tokens = np.load(FIXTURES / "gpt2" / "tokens.npy")
    model, params = pretrained.load(write_untied(tmp_path, head))
    logits, features = jax.device_get(jax.jit(model.apply)({"params": params}, tokens))
    np.testing.assert_allclose(logits, features["hidden"] @ head.T, atol=1e-5)
    tied = np.load(FIXTURES / "gpt2" / "logits.npy")
    by_embedding = features["hidden"] @ params["wte"]["embedding"].T
    np.testing.assert_allclose(by_embedding, tied, atol=1e-5)
    assert (logits.argmax(-1) != tied.argmax(-1)).mean() > 0.5


def test_an_export_keeps_a_head_of_its_own(head, tmp_path):
    model, params = pretrained.load(write_untied(tmp_path / "one", head))
    pretrained.save(model, params, tmp_path / "two")
    again, found = pretrained.load(tmp_path / "two")
    assert again == model and not again.config.tied
    jax.tree.map(np.testing.assert_array_equal, found, params)
    written = safetensors.numpy.load_file(tmp_path / "two" / "model.safetensors")
    np.testing.assert_array_equal(written["lm_head.weight"], head)
    config = json.loads((tmp_path / "two" / "config.json").read_text())
    assert config["tie_word_embeddings"] is False


def test_a_new_gpt_is_tied_unless_it_is_said():
    tied, own = (
        pretrained.shapes_of(GPT(GPTConfig(13, 9, 1, 2, 8, tied=tied))) for tied in (True, False)
    )
    assert "lm_head" not in tied and own.pop("lm_head").shape == (13, 8) and own == tied
    assert GPTConfig(13, 9, 1, 2, 8).tied


def tied_file(kind, prefixed=True):
    """Return (config, tensors) of a model whose embedding is its head, and stored once."""
    tensors = tensors_of(kind)
    tensors.pop("lm_head.weight", None)
    cut = "" if prefixed else PREFIXES[kind]
    tensors = {name.removeprefix(cut): tensor for name, tensor in tensors.items()}
    return published(kind, tie_word_embeddings=True), tensors


@pytest.mark.parametrize(
    ("kind", "prefixed"),
    [
        ("gpt2", False),
        ("llama", True),
        pytest.param("gpt2", True, marks=pytest.mark.slow),
        pytest.param("llama", False, marks=pytest.mark.slow),
    ],
)
def test_a_tied_matrix_may_be_stored_as_head_alone_or_twice(kind, prefixed, tmp_path):
    config, tensors = tied_file(kind, prefixed)
    _, expected = pretrained.load(write(tmp_path, config, tensors))
    assert "lm_head" not in expected
    short = EMBEDDING[kind].removeprefix(PREFIXES[kind])
    name = EMBEDDING[kind] if prefixed else short
    matrix = tensors[name]
    for stored in ({"lm_head.weight": matrix}, {"lm_head.weight": matrix, name: matrix}):
        rest = {other: tensor for other, tensor in tensors.items() if other != name}
        _, found = pretrained.load(write(tmp_path, config, rest | stored))
        jax.tree.map(np.testing.assert_array_equal, found, expected)
    del tensors[name]
    assert f"{short} is missing" in refused(pretrained.load, write(tmp_path, config, tensors))


@pytest.mark.parametrize("kind", EMBEDDING)
def test_heads_that_contradict_the_config_are_refused_by_name(kind, tmp_path):
    config, tensors = tied_file(kind)
    untied = write(tmp_path, config | {"tie_word_embeddings": False}, tensors)
    assert "lm_head.weight is missing" in refused(pretrained.load, untied)
    twice = tensors | {"lm_head.weight": tensors[EMBEDDING[kind]] + 1}
    message = refused(pretrained.load, write(tmp_path, config, twice))
    assert "lm_head.weight differs from" in message and "tie_word_embeddings" in message


@needs_torch
@pytest.mark.parametrize("untied", [True, False])
@pytest.mark.parametrize("kind", EMBEDDING)
def test_heads_against_transformers(kind, untied, tmp_path):
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(1)
    config, tensors = tied_file(kind)
    if untied:
        config["tie_word_embeddings"] = False
        shape = tensors[EMBEDDING[kind]].shape
        own = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        tensors["lm_head.weight"] = own
    else:  # tied, and the file has the head's name alone
        tensors["lm_head.weight"] = tensors.pop(EMBEDDING[kind])
    folders = [write(tmp_path / "one", config, tensors)]
    tokens = np.load(FIXTURES / kind / "tokens.npy")
    model, params = pretrained.load(folders[0])
    found = model.apply({"params": params}, tokens)[0]
    if kind == "gpt2":  # which can be exported again
        pretrained.save(model, params, tmp_path / "two")
        folders.append(tmp_path / "two")
    for folder in folders:
        theirs, info = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
        assert not any(info.values())
        with torch.no_grad():
            expected = theirs.eval()(torch.tensor(tokens)).logits.numpy()
        np.testing.assert_allclose(found, expected, atol=1e-5)
