"""The `config.json` of a published model, read as transformers reads it; what would be another model is refused."""

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
# Sizes that transformers knows by two names, of which it takes the general one where a file has both.
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
# Sizes of an encoder in `config.json`, in the order of BertConfig's fields from vocab_size on.
SIZES = {
    "bert": (
        "vocab_size",
        "max_position_embeddings",
        "num_hidden_layers",
        "num_attention_heads",
        "hidden_size",
        "intermediate_size",
    ),
    "distilbert": (
        "vocab_size",
        "max_position_embeddings",
        "n_layers",
        "n_heads",
        "dim",
        "hidden_dim",
    ),
}
SIZES["roberta"] = SIZES["bert"]


def build(published: dict, folder: Path) -> GPT | Llama | Encoder:
    """The model of a `config.json`, as transformers reads it.

    Raises:
      ConfigError: another architecture, or a variant of it that this is not.
    """
    kind = published.get("model_type")
    check(
        kind in tuple(PREFIXES),
        f"{folder}: its config.json is of a model {kind!r}; known: {', '.join(PREFIXES)}",
    )
    published = published | {
        own: published[name] for name, own in SYNONYMS.get(kind, {}).items() if name in published
    }
    if (
        kind == "llama" and published.get("num_key_value_heads") is None
    ):  # the first Llama had no groups, nor a word for them
        published["num_key_value_heads"] = published.get("num_attention_heads")
    needed = {
        "gpt2": ("vocab_size", "n_positions", "n_layer", "n_head", "n_embd"),
        "llama": (
            "vocab_size",
            "max_position_embeddings",
            "num_hidden_layers",
            "num_attention_heads",
            "num_key_value_heads",
            "hidden_size",
            "intermediate_size",
        ),
    } | SIZES
    missing = [key for key in needed[kind] if key not in published]
    check(not missing, f"{folder}: its config.json has no {', '.join(missing)}")
    sizes = [published[key] for key in needed[kind]]
    for key, size in zip(needed[kind], sizes, strict=True):
        check_count(f"{folder}: {key}", size)
    if kind == "gpt2":
        model = build_gpt(published, sizes, folder)
    else:
        model = (
            build_llama(published, sizes, folder)
            if kind == "llama"
            else build_encoder(published, sizes, folder)
        )
    # Weights in other numbers or another file; layers that differ; heads that are left out.
    others = {
        "quantization_config": (None,),
        "transformers_weights": (None,),
        "per_layer_config": (None, {}),
        "pruned_heads": (None, {}),
    }
    if not isinstance(
        model, Encoder
    ):  # what a token sees: in transformers some count for cached keys alone
        others |= {
            "is_causal": (True,),
            "sliding_window": (None,),
            "attention_chunk_size": (None,),
            "layer_types": (None, ["full_attention"] * model.config.n_layer),
        }
    refuse_unknown(published, others, folder)
    heads, width = model.config.n_head, model.config.n_embd
    check(width % heads == 0, f"{folder}: a width of {width} is not divisible by {heads} heads")
    return model


def refuse_unknown(published: dict, expected: dict[str, tuple], folder: Path) -> None:
    """Raises ConfigError for a key whose value is not among the expected ones, of which the first is meant by its absence."""
    for key, known in expected.items():
        given = published.get(key, known[0])
        check(
            given in known,
            f"{folder}: {key} is {given!r}; known: {', '.join(dict.fromkeys(map(repr, known)))}",
        )


def read_number(published: dict, key: str, default: float, folder: Path) -> float:
    """A number of a `config.json` that is not negative, `default` where it is not there.

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
    """GPT-2 of these sizes."""
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
    return GPT(GPTConfig(*sizes, published.get("tie_word_embeddings", True)))


def build_llama(published: dict, sizes: list[int], folder: Path) -> Llama:
    """Llama of these sizes."""
    heads, groups, width = sizes[3:6]
    # A part of each head was turned by older versions of transformers; version 5 turns it whole, whatever the factor.
    expected = {
        "hidden_act": ACTIVATION_NAMES["silu"],
        "attention_bias": (False,),
        "mlp_bias": (False,),
        "head_dim": (None, width // heads),
        "partial_rotary_factor": (None, 1.0),
        "tie_word_embeddings": (False, True),
    }
    refuse_unknown(published, expected, folder)
    check(
        heads % groups == 0,
        f"{folder}: num_key_value_heads is {groups}, which does not divide num_attention_heads, {heads}",
    )
    check(
        width // heads % 2 == 0,
        f"{folder}: heads are {width // heads} wide; rotary positions turn pairs, known: even widths",
    )
    eps = read_number(published, "rms_norm_eps", 1e-6, folder)
    return Llama(
        LlamaConfig(
            *sizes, rope_theta(published, folder), eps, published.get("tie_word_embeddings", False)
        )
    )


def rope_theta(published: dict, folder: Path) -> float:
    """The base of Llama's rotary angles.

    Version 5 of transformers writes `rope_parameters`, older ones `rope_scaling` and beside it `rope_theta`; the old names are
    taken first, as there, and Llama 2's own files have neither.

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
    # Without a type transformers warns of a factor and goes on; whoever wrote it meant something by it.
    unknown = (
        sorted(rope.keys() - {"rope_theta", "partial_rotary_factor"})
        if not {"rope_type", "type"} & rope.keys()
        else []
    )
    check(
        not unknown, f"{folder}: {key} has {', '.join(unknown)} and no rope_type; known: rope_theta"
    )
    return read_number(
        {"rope_theta": published.get("rope_theta", 10_000.0)} | rope, "rope_theta", 10_000.0, folder
    )


def build_encoder(published: dict, sizes: list[int], folder: Path) -> Encoder:
    """BERT, RoBERTa or DistilBERT of these sizes."""
    kind, names = (
        published["model_type"],
        {name: own for own in ACTIVATIONS for name in ACTIVATION_NAMES[own]},
    )
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
    return Encoder(BertConfig(kind, *sizes, types, pad or 0, eps, names[activation]))
