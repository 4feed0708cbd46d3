"""What a `config.json` says of a model is read as transformers reads it, or refused in one line."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from dla_jax.config.checks import ConfigError
from dla_jax.models import pretrained
from dla_jax.models.published import build

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
LENGTHS = np.array([9, 4], np.int32)  # as in tests/make_fixtures.py
needs_torch = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("torch", "transformers"))),
    reason="needs requirements-bench.txt",
)
ROPE = ("rope_parameters",)
TWO_TYPES = {"rope_type": "default", "type": "linear", "factor": 2.0}


def published(kind, drop=(), **changes):
    """Return the `config.json` of a fixture without some keys and with others."""
    found = json.loads((FIXTURES / kind / "config.json").read_text())
    return {key: value for key, value in found.items() if key not in drop} | changes


def write(folder, config, tensors):
    """Write a folder of a model, and return it."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    safetensors.numpy.save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def refused(kind, **changes):
    """Return the one line with which a fixture's config is refused for its changes."""
    with pytest.raises(ConfigError) as caught:
        build(published(kind, **changes), FIXTURES / kind)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def case(ours=None, drop=(), **changes):
    """Say what is left out of a fixture's config, what is put in, and what that changes in ours."""
    return drop, changes, ours or {}


def renamed(kind, names):
    """Make the case of a config with other names for its sizes."""
    own = published(kind)
    return case(drop=tuple(names), **{other: own[name] for name, other in names.items()})


SAME = {
    "gpt2": [
        case(activation_function="gelu_pytorch_tanh"),
        case(activation_function="gelu_python_tanh"),
        case(activation_function="gelu_accurate"),
        case(activation_function="gelu_fast"),
        case(drop=("activation_function", "n_inner", "layer_norm_epsilon")),
        case(drop=("scale_attn_weights", "tie_word_embeddings")),
        case({"tied": False}, n_inner=32, tie_word_embeddings=False),
        renamed(
            "gpt2",
            {
                "n_positions": "max_position_embeddings",
                "n_layer": "num_hidden_layers",
                "n_head": "num_attention_heads",
                "n_embd": "hidden_size",
            },
        ),
        case({"n_head": 4}, num_attention_heads=4),  # of two names the general one counts
        case(layer_types=["full_attention"] * 2, sliding_window=None, is_causal=True),
        case(quantization_config=None, per_layer_config={}, pruned_heads={}),
        case(reorder_and_upcast_attn=True, n_ctx=5),
    ],
    "llama": [
        case({"n_kv_head": 4}, drop=("num_key_value_heads",)),
        case({"n_kv_head": 4}, num_key_value_heads=None),
        case({"rope_theta": 10_000.0}, drop=("rope_parameters",)),
        case({"rope_theta": 50.0}, drop=ROPE, rope_theta=50.0, rope_scaling=None),
        case({"rope_theta": 50}, drop=ROPE, rope_theta=50, rope_scaling={"type": "default"}),
        case({"rope_theta": 50.0}, rope_parameters=None, rope_theta=50.0),
        case({"rope_theta": 10_000.0}, rope_parameters={}),
        case({"rope_theta": 50.0}, rope_parameters={"rope_theta": 50.0}, rope_theta=7.0),
        case({"rope_theta": 50.0}, rope_parameters={"rope_type": "default"}, rope_theta=50.0),
        case({"rope_theta": 10_000.0}, rope_parameters={"type": "default"}),
        case({"rope_theta": 10_000.0}, rope_parameters=TWO_TYPES),
        # and what rope_parameters say is lost
        case({"rope_theta": 10_000.0}, rope_scaling={"rope_type": "default"}),
        case(hidden_act="swish", head_dim=None, pretraining_tp=2, partial_rotary_factor=1.0),
        case(drop=("head_dim", "hidden_act", "attention_bias"), quantization_config=None),
        case(drop=("mlp_bias", "rms_norm_eps")),
        case({"tied": True, "norm_eps": 1e-2}, tie_word_embeddings=True, rms_norm_eps=1e-2),
    ],
    "bert": [
        case(hidden_act="gelu_python", chunk_size_feed_forward=3),
        case(position_embedding_type="absolute"),
        case({"activation": "gelu_new"}, hidden_act="gelu_fast", pruned_heads={}),
        case(pad_token_id=None),
        case(problem_type="single_label_classification", is_causal=True, sliding_window=2),
        case(drop=("is_decoder", "add_cross_attention", "hidden_act")),
        case(drop=("layer_norm_eps", "type_vocab_size", "pad_token_id")),
    ],
    "roberta": [
        case({"activation": "relu", "pad_id": 0}, hidden_act="relu", pad_token_id=0),
    ],
    "distilbert": [
        renamed(
            "distilbert",
            {
                "n_layers": "num_hidden_layers",
                "n_heads": "num_attention_heads",
                "dim": "hidden_size",
            },
        ),
        case({"n_head": 4}, num_attention_heads=4),
        case(activation="gelu_python", sinusoidal_pos_embds=True),
        case(hidden_act="relu", layer_norm_eps=0.1),
        case(is_decoder=True, add_cross_attention=True),
        case(position_embedding_type="relative_key"),
    ],
}
CASES = [
    pytest.param(kind, *row, id=f"{kind}-{i}")
    for kind, rows in SAME.items()
    for i, row in enumerate(rows)
]


@pytest.mark.parametrize(("kind", "drop", "changes", "ours"), CASES)
def test_a_config_is_read_as_it_is_meant(kind, drop, changes, ours):
    plain = build(published(kind), FIXTURES / kind)
    model = build(published(kind, drop, **changes), FIXTURES / kind)
    assert model == type(model)(plain.config._replace(**ours)) and (not ours or model != plain)


def theirs(kind, folder):
    """Draw the model of a folder's config as transformers makes it."""
    import torch
    import transformers

    torch.set_num_threads(1)
    torch.manual_seed(0)
    if kind in ("gpt2", "llama"):
        auto = transformers.AutoModelForCausalLM
    else:
        auto = transformers.AutoModelForSequenceClassification
    model = auto.from_config(transformers.AutoConfig.from_pretrained(folder)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


@needs_torch
@pytest.mark.parametrize(("kind", "drop", "changes", "ours"), CASES)
def test_transformers_reads_a_config_so_too(kind, drop, changes, ours, tmp_path):
    import torch

    config = published(kind, drop, **changes)
    (tmp_path / "config.json").write_text(json.dumps(config))
    their_model = theirs(kind, tmp_path)
    tensors = {name: tensor.numpy() for name, tensor in their_model.state_dict().items()}
    write(tmp_path, config, tensors)
    tokens = np.load(FIXTURES / kind / "tokens.npy")
    inputs = {"input_ids": torch.tensor(tokens)}
    if kind in ("gpt2", "llama"):
        model, params = pretrained.load(tmp_path)
        found, _ = model.apply({"params": params}, tokens)
    else:
        inputs["attention_mask"] = torch.arange(9) < torch.tensor(LENGTHS)[:, None]
        model, params, _ = pretrained.load_classifier(tmp_path)
        found, _ = model.apply({"params": params}, tokens, LENGTHS)
    with torch.no_grad():
        expected = their_model(**inputs).logits.numpy()
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
    message = refused(kind, **{key: given})
    assert message.startswith(f"{FIXTURES / kind}: {key} is {given!r}; known: ")


FULL = {"full_attention": {"rope_theta": 5.0}}
LINEAR = {"type": "linear", "factor": 2.0}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0}
HALF = {"rope_theta": 5.0, "partial_rotary_factor": 0.5}


@pytest.mark.parametrize(
    ("kind", "changes", "words"),
    [
        ("llama", {"rope_scaling": LINEAR}, "rope_scaling is of type 'linear'; known: 'default'"),
        ("llama", {"rope_parameters": LLAMA3}, "rope_parameters is of type 'llama3'"),
        ("llama", {"rope_parameters": {"rope_type": None}}, "rope_parameters is of type None"),
        ("llama", {"rope_scaling": {"factor": 2.0}}, "rope_scaling has factor and no rope_type"),
        ("llama", {"rope_parameters": FULL}, "rope_parameters has full_attention and no rope_type"),
        ("llama", {"rope_parameters": HALF}, "partial_rotary_factor is 0.5"),
        ("llama", {"rope_parameters": ["default"]}, "rope_parameters is ['default']"),
        ("llama", {"rope_parameters": {"rope_theta": None}}, "rope_theta is None"),
        ("llama", {"rope_parameters": None, "rope_theta": "x"}, "rope_theta is 'x'"),
        ("llama", {"num_key_value_heads": 3}, "3, which does not divide num_attention_heads, 4"),
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
    message = refused(kind, **changes)
    assert message.startswith(f"{FIXTURES / kind}: ") and words in message
