"""What a `config.json` says of a model is read as transformers reads it, or refused in one line; so are heads, tied and not."""

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

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
EMBEDDING = {"gpt2": "transformer.wte.weight", "llama": "model.embed_tokens.weight"}
LENGTHS = np.array([9, 4], np.int32)  # as in tests/make_fixtures.py
needs_torch = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("torch", "transformers"))),
    reason="needs requirements-bench.txt",
)


def published(kind, drop=(), **changes):
    """The `config.json` of a fixture without some keys and with others."""
    found = json.loads((FIXTURES / kind / "config.json").read_text())
    return {key: value for key, value in found.items() if key not in drop} | changes


def tensors_of(kind):
    return safetensors.numpy.load_file(FIXTURES / kind / "model.safetensors")


def write(folder, config, tensors):
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    safetensors.numpy.save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def refused(function, *arguments):
    with pytest.raises(ConfigError) as caught:
        function(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


GPT2_SIZES = {
    "n_positions": "max_position_embeddings",
    "n_layer": "num_hidden_layers",
    "n_head": "num_attention_heads",
    "n_embd": "hidden_size",
}
DISTILBERT_SIZES = {
    "n_layers": "num_hidden_layers",
    "n_heads": "num_attention_heads",
    "dim": "hidden_size",
}
SAME = {  # what is left out of a fixture's config, what is put in, and what that changes in ours
    "gpt2": [
        *(
            ((), {"activation_function": name}, {})
            for name in ("gelu_pytorch_tanh", "gelu_python_tanh", "gelu_accurate", "gelu_fast")
        ),
        (
            (
                "activation_function",
                "n_inner",
                "layer_norm_epsilon",
                "scale_attn_weights",
                "tie_word_embeddings",
            ),
            {},
            {},
        ),
        ((), {"n_inner": 32, "tie_word_embeddings": False}, {"tied": False}),
        (GPT2_SIZES, {other: published("gpt2")[name] for name, other in GPT2_SIZES.items()}, {}),
        ((), {"num_attention_heads": 4}, {"n_head": 4}),  # of two names the general one counts
        (
            (),
            {
                "layer_types": ["full_attention"] * 2,
                "sliding_window": None,
                "is_causal": True,
                "per_layer_config": {},
            },
            {},
        ),
        (
            (),
            {
                "quantization_config": None,
                "pruned_heads": {},
                "reorder_and_upcast_attn": True,
                "n_ctx": 5,
            },
            {},
        ),
    ],
    "llama": [
        (("num_key_value_heads",), {}, {"n_kv_head": 4}),
        ((), {"num_key_value_heads": None}, {"n_kv_head": 4}),
        (("rope_parameters",), {}, {"rope_theta": 10_000.0}),
        (("rope_parameters",), {"rope_theta": 50.0, "rope_scaling": None}, {"rope_theta": 50.0}),
        (
            ("rope_parameters",),
            {"rope_theta": 50, "rope_scaling": {"type": "default"}},
            {"rope_theta": 50},
        ),
        ((), {"rope_parameters": None, "rope_theta": 50.0}, {"rope_theta": 50.0}),
        ((), {"rope_parameters": {}}, {"rope_theta": 10_000.0}),
        ((), {"rope_parameters": {"rope_theta": 50.0}, "rope_theta": 7.0}, {"rope_theta": 50.0}),
        (
            (),
            {"rope_parameters": {"rope_type": "default"}, "rope_theta": 50.0},
            {"rope_theta": 50.0},
        ),
        ((), {"rope_parameters": {"type": "default"}}, {"rope_theta": 10_000.0}),
        (
            (),
            {"rope_parameters": {"rope_type": "default", "type": "linear", "factor": 2.0}},
            {"rope_theta": 10_000.0},
        ),
        (
            (),
            {"rope_scaling": {"rope_type": "default"}},
            {"rope_theta": 10_000.0},
        ),  # and what rope_parameters say is lost
        (
            (),
            {
                "hidden_act": "swish",
                "head_dim": None,
                "pretraining_tp": 2,
                "partial_rotary_factor": 1.0,
            },
            {},
        ),
        (
            ("head_dim", "hidden_act", "attention_bias", "mlp_bias", "rms_norm_eps"),
            {"quantization_config": None},
            {},
        ),
        ((), {"tie_word_embeddings": True, "rms_norm_eps": 1e-2}, {"tied": True, "norm_eps": 1e-2}),
    ],
    "bert": [
        (
            (),
            {
                "hidden_act": "gelu_python",
                "chunk_size_feed_forward": 3,
                "position_embedding_type": "absolute",
            },
            {},
        ),
        (
            (),
            {"hidden_act": "gelu_fast", "pruned_heads": {}, "pad_token_id": None},
            {"activation": "gelu_new"},
        ),
        (
            (),
            {"problem_type": "single_label_classification", "is_causal": True, "sliding_window": 2},
            {},
        ),
        (
            (
                "is_decoder",
                "add_cross_attention",
                "hidden_act",
                "layer_norm_eps",
                "type_vocab_size",
                "pad_token_id",
            ),
            {},
            {},
        ),
    ],
    "roberta": [
        ((), {"hidden_act": "relu", "pad_token_id": 0}, {"activation": "relu", "pad_id": 0})
    ],
    "distilbert": [
        (
            DISTILBERT_SIZES,
            {other: published("distilbert")[name] for name, other in DISTILBERT_SIZES.items()},
            {},
        ),
        ((), {"num_attention_heads": 4}, {"n_head": 4}),
        (
            (),
            {
                "activation": "gelu_python",
                "sinusoidal_pos_embds": True,
                "hidden_act": "relu",
                "layer_norm_eps": 0.1,
            },
            {},
        ),
        (
            (),
            {
                "is_decoder": True,
                "add_cross_attention": True,
                "position_embedding_type": "relative_key",
            },
            {},
        ),
    ],
}
CASES = [
    pytest.param(kind, *row, id=f"{kind}-{i}")
    for kind, rows in SAME.items()
    for i, row in enumerate(rows)
]


@pytest.mark.parametrize(("kind", "drop", "changes", "ours"), CASES)
def test_a_config_is_read_as_it_is_meant(kind, drop, changes, ours):
    plain = pretrained.build(published(kind), FIXTURES / kind)
    model = pretrained.build(published(kind, drop, **changes), FIXTURES / kind)
    assert model == type(model)(plain.config._replace(**ours)) and (not ours or model != plain)


@needs_torch
@pytest.mark.parametrize(("kind", "drop", "changes", "ours"), CASES)
def test_transformers_reads_a_config_so_too(kind, drop, changes, ours, tmp_path):
    import torch
    import transformers

    torch.set_num_threads(1)
    torch.manual_seed(0)
    (tmp_path / "config.json").write_text(json.dumps(published(kind, drop, **changes)))
    decoder = kind in EMBEDDING
    auto = (
        transformers.AutoModelForCausalLM
        if decoder
        else transformers.AutoModelForSequenceClassification
    )
    theirs = auto.from_config(transformers.AutoConfig.from_pretrained(tmp_path)).eval()
    tokens = np.load(FIXTURES / kind / "tokens.npy")
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        text = (
            {} if decoder else {"attention_mask": torch.arange(9) < torch.tensor(LENGTHS)[:, None]}
        )
        expected = theirs(torch.tensor(tokens), **text).logits.numpy()
    tensors = {name: tensor.numpy() for name, tensor in theirs.state_dict().items()}
    write(tmp_path, published(kind, drop, **changes), tensors)
    model, params = (pretrained.load if decoder else pretrained.load_classifier)(tmp_path)[:2]
    found = model.apply({"params": params}, tokens, *(() if decoder else (LENGTHS,)))[0]
    np.testing.assert_allclose(found, expected, atol=2e-5)


EVERY_KIND = {
    "quantization_config": {"quant_method": "fp8"},
    "per_layer_config": {"0": {}},
    "pruned_heads": {"0": [1]},
    "transformers_weights": "other.safetensors",
}
DECODERS = {
    "is_causal": False,
    "sliding_window": 4,
    "attention_chunk_size": 4,
    "layer_types": ["sliding_attention"] * 2,
    "tie_word_embeddings": None,
}
UNKNOWN = {
    "gpt2": DECODERS
    | {
        "add_cross_attention": True,
        "n_inner": 16,
        "activation_function": "gelu",
        "layer_norm_epsilon": 1e-6,
        "scale_attn_weights": False,
        "scale_attn_by_inverse_layer_idx": True,
    },
    "llama": DECODERS
    | {
        "head_dim": 8,
        "attention_bias": True,
        "mlp_bias": True,
        "hidden_act": "gelu",
        "partial_rotary_factor": 0.5,
        "rms_norm_eps": None,
    },
    "bert": {
        "position_embedding_type": "relative_key",
        "is_decoder": True,
        "add_cross_attention": True,
        "hidden_act": "gelu_10",
        "layer_norm_eps": "small",
    },
    "roberta": {
        "position_embedding_type": "relative_key_query",
        "is_decoder": True,
        "hidden_act": "silu",
    },
    "distilbert": {"activation": "silu"},
}


@pytest.mark.parametrize(
    ("kind", "key", "given"),
    [(kind, key, given) for kind in UNKNOWN for key, given in (UNKNOWN[kind] | EVERY_KIND).items()],
)
def test_what_changes_results_and_is_not_understood_is_refused(kind, key, given):
    message = refused(pretrained.build, published(kind, **{key: given}), FIXTURES / kind)
    assert message.startswith(f"{FIXTURES / kind}: {key} is {given!r}; known: ")


@pytest.mark.parametrize(
    ("kind", "changes", "words"),
    [
        (
            "llama",
            {"rope_scaling": {"type": "linear", "factor": 2.0}},
            "rope_scaling is of type 'linear'; known: 'default'",
        ),
        (
            "llama",
            {"rope_parameters": {"rope_type": "llama3", "factor": 8.0}},
            "rope_parameters is of type 'llama3'",
        ),
        ("llama", {"rope_parameters": {"rope_type": None}}, "rope_parameters is of type None"),
        ("llama", {"rope_scaling": {"factor": 2.0}}, "rope_scaling has factor and no rope_type"),
        (
            "llama",
            {"rope_parameters": {"full_attention": {"rope_theta": 5.0}}},
            "rope_parameters has full_attention and no rope_type",
        ),
        (
            "llama",
            {"rope_parameters": {"rope_theta": 5.0, "partial_rotary_factor": 0.5}},
            "partial_rotary_factor is 0.5",
        ),
        ("llama", {"rope_parameters": ["default"]}, "rope_parameters is ['default']"),
        ("llama", {"rope_parameters": {"rope_theta": None}}, "rope_theta is None"),
        ("llama", {"rope_parameters": None, "rope_theta": "x"}, "rope_theta is 'x'"),
        (
            "llama",
            {"num_key_value_heads": 3},
            "num_key_value_heads is 3, which does not divide num_attention_heads, 4",
        ),
        ("llama", {"num_attention_heads": 16, "head_dim": None}, "heads are 1 wide"),
        ("llama", {"num_key_value_heads": 0}, "num_key_value_heads: 0"),
        ("gpt2", {"n_head": 3}, "8 is not divisible by 3"),
        ("gpt2", {"n_layer": "2"}, "n_layer: '2'"),
        ("gpt2", {"hidden_size": None}, "n_embd: None"),
        ("bert", {"type_vocab_size": "2"}, "type_vocab_size: '2'"),
        ("roberta", {"pad_token_id": None}, "pad_token_id: None"),
        ("gpt2", {"model_type": ["gpt2"]}, "of a model ['gpt2']"),
    ],
)
def test_what_cannot_be_is_refused(kind, changes, words):
    message = refused(pretrained.build, published(kind, **changes), FIXTURES / kind)
    assert message.startswith(f"{FIXTURES / kind}: ") and words in message


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"problem_type": "multi_label_classification"},
            "problem_type is 'multi_label_classification'; known: None, 'single_label_classification'",
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
    return np.random.default_rng(0).normal(size=(13, 8)).astype(np.float32)


def test_gpt2_has_a_head_of_its_own_where_it_is_not_tied(head, tmp_path):
    tokens = np.load(FIXTURES / "gpt2" / "tokens.npy")
    folder = write(
        tmp_path,
        published("gpt2", tie_word_embeddings=False),
        tensors_of("gpt2") | {"lm_head.weight": head},
    )
    model, params = pretrained.load(folder)
    logits, features = model.apply({"params": params}, tokens)
    np.testing.assert_allclose(logits, np.asarray(features["hidden"]) @ head.T, atol=1e-5)
    tied = np.load(FIXTURES / "gpt2" / "logits.npy")
    np.testing.assert_allclose(
        np.asarray(features["hidden"]) @ params["wte"]["embedding"].T, tied, atol=1e-5
    )
    assert (logits.argmax(-1) != tied.argmax(-1)).mean() > 0.5


def test_an_export_keeps_a_head_of_its_own(head, tmp_path):
    folder = write(
        tmp_path / "one",
        published("gpt2", tie_word_embeddings=False),
        tensors_of("gpt2") | {"lm_head.weight": head},
    )
    model, params = pretrained.load(folder)
    pretrained.save(model, params, tmp_path / "two")
    again, found = pretrained.load(tmp_path / "two")
    assert again == model and not again.config.tied
    jax.tree.map(np.testing.assert_array_equal, found, params)
    written = safetensors.numpy.load_file(tmp_path / "two" / "model.safetensors")
    np.testing.assert_array_equal(written["lm_head.weight"], head)
    assert (
        json.loads((tmp_path / "two" / "config.json").read_text())["tie_word_embeddings"] is False
    )


def test_a_new_gpt_is_tied_unless_it_is_said():
    tied, own = (
        pretrained.shapes_of(GPT(GPTConfig(13, 9, 1, 2, 8, tied=tied))) for tied in (True, False)
    )
    assert "lm_head" not in tied and own.pop("lm_head").shape == (13, 8) and own == tied
    assert GPTConfig(13, 9, 1, 2, 8).tied


def tied_file(kind, prefixed=True):
    """(config, tensors) of a model whose embedding is its head, and which the file has once."""
    tensors = {
        name: tensor for name, tensor in tensors_of(kind).items() if name != "lm_head.weight"
    }
    cut = "" if prefixed else pretrained.PREFIXES[kind]
    return published(kind, tie_word_embeddings=True), {
        name.removeprefix(cut): tensor for name, tensor in tensors.items()
    }


@pytest.mark.parametrize("kind", EMBEDDING)
@pytest.mark.parametrize("prefixed", [True, False])
def test_a_tied_matrix_may_be_stored_as_head_alone_or_twice(kind, prefixed, tmp_path):
    config, tensors = tied_file(kind, prefixed)
    _, expected = pretrained.load(write(tmp_path, config, tensors))
    assert "lm_head" not in expected
    name = EMBEDDING[kind] if prefixed else EMBEDDING[kind].removeprefix(pretrained.PREFIXES[kind])
    matrix = tensors[name]
    for stored in ({"lm_head.weight": matrix}, {"lm_head.weight": matrix, name: matrix}):
        rest = {other: tensor for other, tensor in tensors.items() if other != name}
        _, found = pretrained.load(write(tmp_path, config, rest | stored))
        jax.tree.map(np.testing.assert_array_equal, found, expected)
    del tensors[name]
    short = EMBEDDING[kind].removeprefix(pretrained.PREFIXES[kind])
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
@pytest.mark.parametrize("stored", ["both", "head"])
@pytest.mark.parametrize("kind", EMBEDDING)
def test_heads_against_transformers(kind, stored, tmp_path):
    """`both`: not tied, and exported again; `head`: tied, but the file has the head's name alone."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(1)
    config, tensors = tied_file(kind)
    matrix = tensors[EMBEDDING[kind]]
    if stored == "both":
        config["tie_word_embeddings"] = False
        tensors["lm_head.weight"] = (
            np.random.default_rng(0).normal(size=matrix.shape).astype(np.float32)
        )
    else:
        tensors["lm_head.weight"] = tensors.pop(EMBEDDING[kind])
    folder = write(tmp_path / "one", config, tensors)
    tokens = np.load(FIXTURES / kind / "tokens.npy")
    model, params = pretrained.load(folder)
    found = model.apply({"params": params}, tokens)[0]
    if kind == "gpt2":
        pretrained.save(model, params, tmp_path / "two")
    for place in (tmp_path / "one", tmp_path / "two") if kind == "gpt2" else (folder,):
        theirs, info = AutoModelForCausalLM.from_pretrained(place, output_loading_info=True)
        assert not any(info.values())
        with torch.no_grad():
            np.testing.assert_allclose(
                found, theirs.eval()(torch.tensor(tokens)).logits.numpy(), atol=1e-5
            )
