"""Published weights: from a folder with `config.json` and safetensors to a model, and back."""

import re
from pathlib import Path

import jax
import numpy as np

from dla_jax.config import check
from dla_jax.models import decoders
from dla_jax.models.bert import ACTIVATIONS, BertConfig, Classifier, Encoder
from dla_jax.models.gpt import GPT, GPTConfig
from dla_jax.models.hub import read_json, read_tensors, write_folder
from dla_jax.models.llama import Llama, LlamaConfig

PREFIXES = {"gpt2": "transformer.", "llama": "model.", "bert": "bert.", "roberta": "roberta.", "distilbert": "distilbert."}
# Causal masks, angles and positions, which are no parameters; and heads of tasks that are not ours.
BUFFERS = re.compile(r"\.attn\.(masked_)?bias$|rotary_emb\.inv_freq$|^embeddings\.position_ids$")
OTHER_HEADS = re.compile(r"^(cls|lm_head|vocab_\w+|qa_outputs|pooler|classifier|pre_classifier)(\.|$)")
# Parts of an encoder's layer: ours, BERT's and RoBERTa's name, DistilBERT's.
PARTS = {
    "query": ("attention.self.query", "attention.q_lin"), "key": ("attention.self.key", "attention.k_lin"),
    "value": ("attention.self.value", "attention.v_lin"), "attention_output": ("attention.output.dense", "attention.out_lin"),
    "attention_norm": ("attention.output.LayerNorm", "sa_layer_norm"), "intermediate": ("intermediate.dense", "ffn.lin1"),
    "output": ("output.dense", "ffn.lin2"), "output_norm": ("output.LayerNorm", "output_layer_norm"),
}  # fmt: skip
# Sizes of an encoder in `config.json`, in the order of BertConfig's fields from vocab_size on.
SIZES = {
    "bert": ("vocab_size", "max_position_embeddings", "num_hidden_layers", "num_attention_heads", "hidden_size",
             "intermediate_size"),
    "distilbert": ("vocab_size", "max_position_embeddings", "n_layers", "n_heads", "dim", "hidden_dim"),
}  # fmt: skip
SIZES["roberta"] = SIZES["bert"]
CLASSES = {"bert": "Bert", "roberta": "Roberta", "distilbert": "DistilBert"}


def load(folder: Path, pooler: bool = False) -> tuple[GPT | Llama | Encoder, dict]:
    """The decoder or encoder of a folder and its parameters, float32. `pooler`: whether BERT's is wanted.

    Raises:
      ConfigError: no such folder, another architecture, or tensors that are missing, not expected or of another shape.
    """
    published = read_json(folder / "config.json")
    model = build(published, folder)
    if isinstance(model, Encoder):
        model = Encoder(model.config._replace(pooler=pooler))
    return model, to_params(model, read_tensors(folder), PREFIXES[published["model_type"]])


def load_classifier(folder: Path) -> tuple[Classifier, dict, tuple[str, ...]]:
    """The classifier of a folder, its parameters, and the names of its classes.

    Raises:
      ConfigError: as for `load`, and for a folder that says no classes.
    """
    published = read_json(folder / "config.json")
    encoder = build(published, folder)
    labels = published.get("id2label") or {}
    check(
        isinstance(encoder, Encoder) and len(labels) > 1,
        f"{folder} holds no classifier of texts; its config.json names no classes",
    )
    model = Classifier(with_pooler(encoder.config), len(labels), "published")
    names = tuple(labels[str(i)] for i in range(len(labels)))
    return model, to_params(model, read_tensors(folder), PREFIXES[published["model_type"]]), names


def with_pooler(config: BertConfig) -> BertConfig:
    """The same with a pooler where the family's classifiers have one."""
    return config._replace(pooler=config.family == "bert")


def build(published: dict, folder: Path) -> GPT | Llama | Encoder:
    """The model of a `config.json`.

    Raises:
      ConfigError: another architecture, or a variant of it that this is not.
    """
    kind = published.get("model_type")
    check(kind in PREFIXES, f"{folder}: its config.json is of a model {kind!r}; known: {', '.join(PREFIXES)}")
    needed = {"gpt2": ("vocab_size", "n_positions", "n_layer", "n_head", "n_embd"),
              "llama": ("vocab_size", "max_position_embeddings", "num_hidden_layers", "num_attention_heads",
                        "num_key_value_heads", "hidden_size", "intermediate_size")} | SIZES  # fmt: skip
    missing = [key for key in needed[kind] if key not in published]
    check(not missing, f"{folder}: its config.json has no {', '.join(missing)}")
    sizes = [published[key] for key in needed[kind]]
    if kind == "gpt2":
        expected = {"n_inner": (None, 4 * published["n_embd"]), "layer_norm_epsilon": (1e-5,),
                    "activation_function": ("gelu_new",), "scale_attn_weights": (True,),
                    "scale_attn_by_inverse_layer_idx": (False,)}  # fmt: skip
        model = GPT(GPTConfig(*sizes))
    elif kind == "llama":
        # Before version 5 of transformers the angle stood alone, and Llama 2's own files left it at 10,000.
        rope = published.get("rope_parameters") or {"rope_theta": published.get("rope_theta", 1e4), "rope_type": "default"}
        check(rope["rope_type"] == "default", f"{folder}: rotary positions of type {rope['rope_type']!r}, known: 'default'")
        expected = {"hidden_act": ("silu",), "attention_bias": (False,), "mlp_bias": (False,), "rope_scaling": (None,)}
        eps, tied = published.get("rms_norm_eps", 1e-6), published.get("tie_word_embeddings", False)
        model = Llama(LlamaConfig(*sizes, rope["rope_theta"], eps, tied))
    else:
        activation = "activation" if kind == "distilbert" else "hidden_act"
        expected = {"position_embedding_type": ("absolute",), "is_decoder": (False,), "add_cross_attention": (False,),
                    activation: ("gelu", *ACTIVATIONS)}  # fmt: skip
        types = 0 if kind == "distilbert" else published.get("type_vocab_size", 2)
        eps = 1e-12 if kind == "distilbert" else published.get("layer_norm_eps", 1e-12)
        pad = published.get("pad_token_id", 1 if kind == "roberta" else 0)
        model = Encoder(BertConfig(kind, *sizes, types, pad or 0, eps, published.get(activation, "gelu")))
    for key, known in expected.items():
        check(
            published.get(key, known[0]) in known,
            f"{folder}: {key} is {published.get(key)!r}; known: {', '.join(map(repr, dict.fromkeys(known)))}",
        )
    return model


def published_name(model, path: str) -> str:
    """The published name of our parameter: `h_0/attn/c_attn/kernel` -> `h.0.attn.c_attn.weight`."""
    path = re.sub(r"(kernel|embedding|scale)$", "weight", path)
    if isinstance(model, GPT | Llama):
        return re.sub(r"^(h|layers)_(\d+)\.", r"\1.\2.", path.replace("/", ".")).replace("lm_head", "lm_head.weight")
    family, parts = model.config.family, path.removeprefix("encoder/").split("/")
    if parts[0] == "head":
        return ".".join((["classifier"] if family == "roberta" else []) + parts[1:])
    if parts[0] == "pooler":
        return f"pooler.dense.{parts[1]}"
    if not parts[0].startswith("layer_"):
        return ".".join(parts)
    stack = "transformer.layer" if family == "distilbert" else "encoder.layer"
    part = PARTS[parts[1]][family == "distilbert"]
    return f"{stack}.{parts[0].removeprefix('layer_')}.{part}.{parts[2]}"


def turned(model, path: str) -> bool:
    """Whether a parameter is stored [out, in], as linear layers are but for GPT-2's."""
    return path.endswith("kernel") and not isinstance(model, GPT)


def path_of(keys) -> str:
    """A path in a tree of parameters as text: `encoder/layer_0/query/kernel`."""
    return "/".join(key.key for key in keys)


def shapes_of(model) -> dict:
    """The parameters of a model as shapes."""
    if isinstance(model, GPT | Llama):
        return decoders.shapes_of(model)
    tokens = jax.ShapeDtypeStruct((1, 2), "int32")
    return jax.eval_shape(lambda tokens: model.init(jax.random.key(tokens[0, 0]), tokens, tokens[:, 0]), tokens)["params"]


def to_params(model, tensors: dict[str, np.ndarray], prefix: str) -> dict:
    """The parameters of a model from published tensors; heads that the model has not are left out.

    Raises:
      ConfigError: tensors that are missing, not expected or of another shape, by name.
    """
    found = {re.sub(r"LayerNorm\.gamma$", "LayerNorm.weight", re.sub(r"LayerNorm\.beta$", "LayerNorm.bias", name)): tensor
             for name, tensor in ((name.removeprefix(prefix), tensor) for name, tensor in tensors.items())
             if not BUFFERS.search(name)}  # fmt: skip
    taken, wrong = set(), []

    def take(keys, shape):
        path = path_of(keys)
        name = published_name(model, path)
        taken.add(name)
        if name not in found:
            wrong.append(f"{name} is missing")
            return None
        tensor = found[name].T if turned(model, path) else found[name]
        if tensor.shape != shape.shape:
            wrong.append(f"{name} is {list(tensor.shape)}, expected {list(shape.shape)}")
        return tensor

    params = jax.tree_util.tree_map_with_path(take, shapes_of(model))
    # A head of another task is no part of the body; GPT-2's and Llama's own is in some files though it is tied.
    wrong += [f"{name} is not expected" for name in sorted(found.keys() - taken) if not OTHER_HEADS.search(name)]
    check(not wrong, f"weights do not fit {type(model).__name__}: {'; '.join(wrong[:8])}{' ...' if len(wrong) > 8 else ''}")
    return params


def to_tensors(model, params: dict, prefix: str) -> dict[str, np.ndarray]:
    """The inverse of `to_params`: tensors by published name, a classifier's head without the prefix."""

    def entry(keys, leaf):
        path = path_of(keys)
        array = np.asarray(leaf, np.float32)
        bare = path.startswith(("head/", "lm_head"))
        return ("" if bare else prefix) + published_name(model, path), array.T if turned(model, path) else array

    leaves = jax.tree_util.tree_leaves_with_path(params)
    return dict(entry(keys, leaf) for keys, leaf in leaves)


def save(model: Classifier | GPT, params: dict, folder: Path, class_names: tuple[str, ...] = ()) -> None:
    """Writes a folder that `load`, `load_classifier` and transformers read: GPT-2's, or a classifier's with its class names.

    Raises:
      ConfigError: a classifier with a pooling that transformers has no class for.
    """
    if isinstance(model, GPT):
        sizes = dict(zip(("vocab_size", "n_positions", "n_layer", "n_head", "n_embd"), model.config, strict=False))
        ids = {"bos_token_id": None, "eos_token_id": None}
        published = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]} | sizes | ids
        write_folder(folder, published, to_tensors(model, params, PREFIXES["gpt2"]))
        return
    config = model.config
    check(
        model.pooling == "published",
        f"model.pooling: {model.pooling} has no class in transformers; train with model.pooling=published",
    )
    rate = config.dropout
    keys = {"activation": config.activation, "dropout": rate, "attention_dropout": rate, "seq_classif_dropout": rate}
    if config.family != "distilbert":
        keys = {"hidden_act": config.activation, "layer_norm_eps": config.eps, "type_vocab_size": config.type_vocab,
                "hidden_dropout_prob": rate, "attention_probs_dropout_prob": rate, "classifier_dropout": rate}  # fmt: skip
    published = {
        "model_type": config.family, "architectures": [f"{CLASSES[config.family]}ForSequenceClassification"],
        **dict(zip(SIZES[config.family], config[1:], strict=False)), **keys, "pad_token_id": config.pad_id,
        "id2label": {str(i): name for i, name in enumerate(class_names)},
        "label2id": {name: i for i, name in enumerate(class_names)},
    }  # fmt: skip
    write_folder(folder, published, to_tensors(model, params, PREFIXES[config.family]))
