"""Published weights: from a folder with `config.json` and safetensors, as Hugging Face lays it out, to a decoder."""

import json
import re
from pathlib import Path

import jax
import numpy as np

from dla_jax.config import ConfigError, check
from dla_jax.models import decoders
from dla_jax.models.gpt import GPT, GPTConfig
from dla_jax.models.llama import Llama, LlamaConfig

PREFIXES = {"gpt2": "transformer.", "llama": "model."}
BUFFERS = re.compile(r"\.attn\.(masked_)?bias$|rotary_emb\.inv_freq$")  # causal masks and angles, which are no parameters


def load(folder: Path) -> tuple[GPT | Llama, dict]:
    """The decoder of a folder and its parameters, float32.

    Raises:
      ConfigError: no such folder, another architecture, or tensors that are missing, not expected or of another shape.
    """
    published = read_json(folder / "config.json")
    model = build(published, folder)
    return model, to_params(model, read_tensors(folder), PREFIXES[published["model_type"]])


def read_json(path: Path) -> dict:
    """A JSON file of a model folder."""
    try:
        return json.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path.parent} is no model folder: {path.name} cannot be read ({error.strerror})") from None
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path} is damaged ({error})") from None


def build(published: dict, folder: Path) -> GPT | Llama:
    """The decoder of a `config.json`.

    Raises:
      ConfigError: another architecture, or a variant of it that this is not.
    """
    kind = published.get("model_type")
    check(kind in PREFIXES, f"{folder}: its config.json is of a model {kind!r}; known: {', '.join(PREFIXES)}")
    try:
        if kind == "gpt2":
            expected = {"n_inner": (None, 4 * published["n_embd"]), "layer_norm_epsilon": (1e-5,),
                        "activation_function": ("gelu_new",), "scale_attn_weights": (True,),
                        "scale_attn_by_inverse_layer_idx": (False,)}  # fmt: skip
            keys = ("vocab_size", "n_positions", "n_layer", "n_head", "n_embd")
            model = GPT(GPTConfig(*(published[key] for key in keys)))
        else:
            # Before version 5 of transformers the angle stood alone, and Llama 2's own files left it at 10,000.
            rope = published.get("rope_parameters") or {"rope_theta": published.get("rope_theta", 1e4), "rope_type": "default"}
            check(rope["rope_type"] == "default", f"{folder}: rotary positions of type {rope['rope_type']!r}, known: 'default'")
            expected = {"hidden_act": ("silu",), "attention_bias": (False,), "mlp_bias": (False,), "rope_scaling": (None,)}
            keys = ("vocab_size", "max_position_embeddings", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
                    "hidden_size", "intermediate_size")  # fmt: skip
            sizes = (published[key] for key in keys)
            model = Llama(LlamaConfig(*sizes, rope["rope_theta"], published["rms_norm_eps"], published["tie_word_embeddings"]))
    except KeyError as error:
        raise ConfigError(f"{folder}: its config.json has no {error}") from None
    for key, known in expected.items():
        check(published.get(key, known[0]) in known, f"{folder}: {key} is {published.get(key)!r}; known: {known[-1]!r}")
    return model


def read_tensors(folder: Path) -> dict[str, np.ndarray]:
    """All tensors of a folder by name: `model.safetensors`, or the files that `model.safetensors.index.json` lists."""
    from safetensors.flax import load_file  # of all back ends the one that knows bfloat16

    index = folder / "model.safetensors.index.json"
    names = sorted(set(read_json(index)["weight_map"].values())) if index.exists() else ["model.safetensors"]
    tensors = {}
    for name in names:
        check((folder / name).is_file(), f"{folder} has no {name}; weights must be safetensors")
        try:
            tensors |= load_file(folder / name)
        except Exception as error:  # safetensors raises its own for a damaged file
            raise ConfigError(f"{folder / name} is damaged ({str(error).splitlines()[0]})") from None
    return {name: np.asarray(tensor, np.float32) for name, tensor in tensors.items()}


def published_name(path: str) -> str:
    """`h_0/attn/c_attn/kernel` -> `h.0.attn.c_attn.weight`."""
    name = re.sub(r"^(h|layers)_(\d+)\.", r"\1.\2.", path.replace("/", "."))
    return re.sub(r"\.(kernel|embedding|scale)$", ".weight", name).replace("lm_head", "lm_head.weight")


def to_params(model: GPT | Llama, tensors: dict[str, np.ndarray], prefix: str) -> dict:
    """The parameters of a decoder from published tensors.

    Linear layers are stored [out, in] and transposed here, but for GPT-2, which stores [in, out].

    Raises:
      ConfigError: tensors that are missing, not expected or of another shape, by name.
    """
    found = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if not BUFFERS.search(name)}
    if "lm_head" not in (shapes := decoders.shapes_of(model)):
        found.pop("lm_head.weight", None)  # tied, though some files hold it twice
    taken, wrong = set(), []

    def take(path, shape):
        path = "/".join(key.key for key in path)
        name = published_name(path)
        taken.add(name)
        if name not in found:
            wrong.append(f"{name} is missing")
            return None
        turned = isinstance(model, Llama) and path.endswith("kernel")
        tensor = found[name].T if turned else found[name]
        if tensor.shape != shape.shape:
            wrong.append(f"{name} is {list(tensor.shape)}, expected {list(shape.shape)}")
        return tensor

    params = jax.tree_util.tree_map_with_path(take, shapes)
    wrong += [f"{name} is not expected" for name in sorted(found.keys() - taken)]
    check(not wrong, f"weights do not fit {type(model).__name__}: {'; '.join(wrong[:8])}{' ...' if len(wrong) > 8 else ''}")
    return params
