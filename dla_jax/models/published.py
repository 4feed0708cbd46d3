"""The `config.json` of a published model, read as transformers reads it.

What would be another model is refused.
"""

import math
from pathlib import Path

from dla_jax.config.checks import check, check_count
from dla_jax.models.bert import ACTIVATIONS, BertConfig, Encoder
from dla_jax.models.gpt import GPT, GPTConfig
from dla_jax.models.llama import Llama, LlamaConfig

PREFIXES = {
    "gpt2": "transformer.",
    "llama": "model.",
    "bert": "bert.",
    "roberta": "roberta.",
    "distilbert": "distilbert.",
}
# Sizes that transformers knows by two names. Where a file has both it takes the general one.
SYNONYMS = {
    "gpt2": {
        "max_position_embeddings": "n_positions",
        "num_hidden_layers": "n_layer",
        "num_attention_heads": "n_head",
        "hidden_size": "n_embd",
    },
    "distilbert": {
        "num_hidden_layers": "n_layers",
        "num_attention_heads": "n_heads",
        "hidden_size": "dim",
    },
}
# Names that transformers has for one function, by ours: they differ in rounding alone.
ACTIVATION_NAMES = {
    "gelu": ("gelu", "gelu_python"),
    "relu": ("relu",),
    "silu": ("silu", "swish"),
    "gelu_new": ("gelu_new", "gelu_pytorch_tanh", "gelu_python_tanh", "gelu_accurate", "gelu_fast"),
}
# Sizes in `config.json`, in the order of the fields of our own config from vocab_size on.
_BERT_SIZES = (
    "vocab_size",
    "max_position_embeddings",
    "num_hidden_layers",
    "num_attention_heads",
    "hidden_size",
    "intermediate_size",
)
SIZES = {
    "gpt2": ("vocab_size", "n_positions", "n_layer", "n_head", "n_embd"),
    "llama": (*_BERT_SIZES[:4], "num_key_value_heads", *_BERT_SIZES[4:]),
    "bert": _BERT_SIZES,
    "roberta": _BERT_SIZES,
    "distilbert": (
        "vocab_size",
        "max_position_embeddings",
        "n_layers",
        "n_heads",
        "dim",
        "hidden_dim",
    ),
}
# Weights in other numbers or another file; layers that differ; heads that are left out.
EVERY_MODEL = {
    "quantization_config": (None,),
    "transformers_weights": (None,),
    "per_layer_config": (None, {}),
    "pruned_heads": (None, {}),
}


def build(published: dict, folder: Path) -> GPT | Llama | Encoder:
    """Make the model of a `config.json`, as transformers reads it.

    Raises:
      ConfigError: another architecture, or a variant of it that this is not.
    """
    kind = published.get("model_type")
    check(
        kind in tuple(PREFIXES),
        f"{folder}: its config.json is of a model {kind!r}; known: {', '.join(PREFIXES)}",
    )
    synonyms = SYNONYMS.get(kind, {})
    published = published | {
        own: published[name] for name, own in synonyms.items() if name in published
    }
    if kind == "llama" and published.get("num_key_value_heads") is None:
        # the first Llama had no groups, nor a word for them
        published["num_key_value_heads"] = published.get("num_attention_heads")
    missing = [key for key in SIZES[kind] if key not in published]
    check(not missing, f"{folder}: its config.json has no {', '.join(missing)}")
    for key in SIZES[kind]:
        check_count(f"{folder}: {key}", published[key])
    sizes = [published[key] for key in SIZES[kind]]
    build_kind = {"gpt2": build_gpt, "llama": build_llama}.get(kind, build_encoder)
    model = build_kind(published, sizes, folder)
    refuse_unknown(published, EVERY_MODEL, folder)
    if not isinstance(model, Encoder):
        # what a token sees: in transformers some count for cached keys alone
        visible = {
            "is_causal": (True,),
            "sliding_window": (None,),
            "attention_chunk_size": (None,),
            "layer_types": (None, ["full_attention"] * model.config.n_layer),
        }
        refuse_unknown(published, visible, folder)
    heads, width = model.config.n_head, model.config.n_embd
    check(width % heads == 0, f"{folder}: a width of {width} is not divisible by {heads} heads")
    return model


def refuse_unknown(published: dict, expected: dict[str, tuple], folder: Path) -> None:
    """Raise ConfigError for a key whose value is not among the expected ones.

    The first of these is meant where the key is absent.
    """
    for key, known in expected.items():
        given = published.get(key, known[0])
        listed = ", ".join(dict.fromkeys(map(repr, known)))
        check(given in known, f"{folder}: {key} is {given!r}; known: {listed}")


def read_number(published: dict, key: str, default: float, folder: Path) -> float:
    """Return a number of a `config.json` that is not negative, `default` where it is not there.

    Raises:
      ConfigError: it is something else.
    """
    found = published.get(key, default)
    check(
        type(found) in (int, float) and 0 <= found < math.inf,
        f"{folder}: {key} is {found!r}; known: numbers from 0 on",
    )
    return found


def build_gpt(published: dict, sizes: list[int], folder: Path) -> GPT:
    """Make a GPT-2 of these sizes.

    Raises:
      ConfigError: a variant that this is not.
    """
    expected = {
        "n_inner": (None, 4 * published["n_embd"]),
        "layer_norm_epsilon": (1e-5,),
        "activation_function": ACTIVATION_NAMES["gelu_new"],
        "scale_attn_weights": (True,),
        "scale_attn_by_inverse_layer_idx": (False,),
        "add_cross_attention": (False,),
        "tie_word_embeddings": (True, False),
    }
    refuse_unknown(published, expected, folder)
    return GPT(GPTConfig(*sizes, tied=published.get("tie_word_embeddings", True)))


def build_llama(published: dict, sizes: list[int], folder: Path) -> Llama:
    """Make a Llama of these sizes.

    Raises:
      ConfigError: a variant that this is not.
    """
    heads, groups, width = sizes[3:6]
    expected = {
        "hidden_act": ACTIVATION_NAMES["silu"],
        "attention_bias": (False,),
        "mlp_bias": (False,),
        "head_dim": (None, width // heads),
        # Older versions of transformers turned a part of each head; version 5 turns it whole,
        # whatever the factor.
        "partial_rotary_factor": (None, 1.0),
        "tie_word_embeddings": (False, True),
    }
    refuse_unknown(published, expected, folder)
    check(
        heads % groups == 0,
        f"{folder}: num_key_value_heads is {groups}, "
        f"which does not divide num_attention_heads, {heads}",
    )
    check(
        width // heads % 2 == 0,
        f"{folder}: heads are {width // heads} wide; "
        "rotary positions turn pairs, known: even widths",
    )
    config = LlamaConfig(
        *sizes,
        norm_eps=read_number(published, "rms_norm_eps", 1e-6, folder),
        rope_theta=rope_theta(published, folder),
        tied=published.get("tie_word_embeddings", False),
    )
    return Llama(config)


def rope_theta(published: dict, folder: Path) -> float:
    """Return the base of Llama's rotary angles.

    Version 5 of transformers writes `rope_parameters`, older ones `rope_scaling` and beside it
    `rope_theta`; the old names are taken first, as there, and Llama 2's own files have neither.

    Raises:
      ConfigError: angles that are scaled, or not numbers.
    """
    key = "rope_scaling" if published.get("rope_scaling") else "rope_parameters"
    rope = published.get(key) or {}
    check(
        isinstance(rope, dict),
        f"{folder}: {key} is {rope!r}; known: an object with rope_type and rope_theta",
    )
    kind = rope.get("rope_type", rope.get("type", "default"))
    check(kind == "default", f"{folder}: {key} is of type {kind!r}; known: 'default'")
    refuse_unknown(rope, {"partial_rotary_factor": (None, 1.0)}, folder)
    if not {"rope_type", "type"} & rope.keys():
        # transformers warns of a factor and goes on; whoever wrote it meant something by it
        unknown = ", ".join(sorted(rope.keys() - {"rope_theta", "partial_rotary_factor"}))
        check(not unknown, f"{folder}: {key} has {unknown} and no rope_type; known: rope_theta")
    found = {"rope_theta": published.get("rope_theta", 10_000.0)} | rope
    return read_number(found, "rope_theta", 10_000.0, folder)


def build_encoder(published: dict, sizes: list[int], folder: Path) -> Encoder:
    """Make a BERT, RoBERTa or DistilBERT of these sizes.

    Raises:
      ConfigError: a variant that this is not.
    """
    kind = published["model_type"]
    names = {name: own for own in ACTIVATIONS for name in ACTIVATION_NAMES[own]}
    if kind == "distilbert":  # which has no token types, one epsilon, and is never a decoder
        refuse_unknown(published, {"activation": tuple(names)}, folder)
        activation, types, eps = published.get("activation", "gelu"), 0, 1e-12
    else:
        expected = {
            "position_embedding_type": ("absolute",),
            "is_decoder": (False,),
            "add_cross_attention": (False,),
            "hidden_act": tuple(names),
        }
        refuse_unknown(published, expected, folder)
        activation, types = published.get("hidden_act", "gelu"), published.get("type_vocab_size", 2)
        check_count(f"{folder}: type_vocab_size", types, low=0)
        eps = read_number(published, "layer_norm_eps", 1e-12, folder)
    pad = published.get("pad_token_id", 1 if kind == "roberta" else 0)
    if kind == "roberta":  # whose positions are counted from it
        check_count(f"{folder}: pad_token_id", pad, low=0)
    config = BertConfig(
        kind, *sizes, type_vocab=types, pad_id=pad or 0, eps=eps, activation=names[activation]
    )
    return Encoder(config)
