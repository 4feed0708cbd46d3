"""Published weights: from a folder with `config.json` and safetensors to a model, and back."""

import re
from pathlib import Path

import jax
import numpy as np

from dla_jax.config.checks import check
from dla_jax.models import decoders
from dla_jax.models.bert import BertConfig, Classifier, Encoder
from dla_jax.models.gpt import GPT
from dla_jax.models.hub import read_json, read_tensors, write_folder
from dla_jax.models.llama import Llama
from dla_jax.models.published import PREFIXES, SIZES, build, refuse_unknown

# Causal masks, angles and positions, which are no parameters; and heads of tasks that are not ours.
BUFFERS = re.compile(r"\.attn\.(masked_)?bias$|rotary_emb\.inv_freq$|^embeddings\.position_ids$")
OTHER_HEADS = re.compile(
    r"^(cls|lm_head|vocab_\w+|qa_outputs|pooler|classifier|pre_classifier)(\.|$)"
)
EMBEDDINGS = {GPT: "wte.weight", Llama: "embed_tokens.weight"}  # which may be the head too
# Parts of an encoder's layer: ours, BERT's and RoBERTa's name, DistilBERT's.
PARTS = {
    "query": ("attention.self.query", "attention.q_lin"),
    "key": ("attention.self.key", "attention.k_lin"),
    "value": ("attention.self.value", "attention.v_lin"),
    "attention_output": ("attention.output.dense", "attention.out_lin"),
    "attention_norm": ("attention.output.LayerNorm", "sa_layer_norm"),
    "intermediate": ("intermediate.dense", "ffn.lin1"),
    "output": ("output.dense", "ffn.lin2"),
    "output_norm": ("output.LayerNorm", "output_layer_norm"),
}
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
      ConfigError: as for `load`, and for a folder that says no classes, or classes that do not exclude each other.
    """
    published = read_json(folder / "config.json")
    encoder = build(published, folder)
    labels = published.get("id2label") or {}
    check(
        isinstance(encoder, Encoder) and len(labels) > 1,
        f"{folder} holds no classifier of texts; its config.json names no classes",
    )
    numbers = [str(i) for i in range(len(labels))]
    check(
        isinstance(labels, dict) and set(labels) == set(numbers),
        f"{folder}: id2label has {', '.join(map(str, labels))}; known: the numbers from 0 to {len(labels) - 1}",
    )
    refuse_unknown(published, {"problem_type": (None, "single_label_classification")}, folder)
    model = Classifier(with_pooler(encoder.config), len(labels), "published")
    names = tuple(labels[number] for number in numbers)
    return model, to_params(model, read_tensors(folder), PREFIXES[published["model_type"]]), names


def with_pooler(config: BertConfig) -> BertConfig:
    """The same with a pooler where the family's classifiers have one."""
    return config._replace(pooler=config.family == "bert")


def published_name(model, path: str) -> str:
    """The published name of our parameter: `h_0/attn/c_attn/kernel` -> `h.0.attn.c_attn.weight`."""
    path = re.sub(r"(kernel|embedding|scale)$", "weight", path)
    if isinstance(model, GPT | Llama):
        return re.sub(r"^(h|layers)_(\d+)\.", r"\1.\2.", path.replace("/", ".")).replace(
            "lm_head", "lm_head.weight"
        )
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
    return jax.eval_shape(
        lambda tokens: model.init(jax.random.key(tokens[0, 0]), tokens, tokens[:, 0]), tokens
    )["params"]


def to_params(model, tensors: dict[str, np.ndarray], prefix: str) -> dict:
    """The parameters of a model from published tensors; heads that the model has not are left out.

    Of an embedding that is the head too, a file may have either name, or both.

    Raises:
      ConfigError: tensors that are missing, not expected or of another shape, by name.
    """
    found = {
        re.sub(
            r"LayerNorm\.gamma$",
            "LayerNorm.weight",
            re.sub(r"LayerNorm\.beta$", "LayerNorm.bias", name),
        ): tensor
        for name, tensor in (
            (name.removeprefix(prefix), tensor) for name, tensor in tensors.items()
        )
        if not BUFFERS.search(name)
    }
    taken, wrong = set(), []
    name = EMBEDDINGS.get(type(model))
    if name and model.config.tied and "lm_head.weight" in found:
        # Of two that differ transformers 5 takes each for itself, older versions the embedding alone.
        head = found["lm_head.weight"]
        if not np.array_equal(found.setdefault(name, head), head):
            wrong.append(
                f"lm_head.weight differs from {name}, though they are tied; is tie_word_embeddings false?"
            )

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
    # A head of another task is no part of the body.
    wrong += [
        f"{name} is not expected"
        for name in sorted(found.keys() - taken)
        if not OTHER_HEADS.search(name)
    ]
    check(
        not wrong,
        f"weights do not fit {type(model).__name__}: {'; '.join(wrong[:8])}{' ...' if len(wrong) > 8 else ''}",
    )
    return params


def to_tensors(model, params: dict, prefix: str) -> dict[str, np.ndarray]:
    """The inverse of `to_params`: tensors by published name, a classifier's head without the prefix."""

    def entry(keys, leaf):
        path = path_of(keys)
        array = np.asarray(leaf, np.float32)
        bare = path.startswith(("head/", "lm_head"))
        return ("" if bare else prefix) + published_name(model, path), array.T if turned(
            model, path
        ) else array

    leaves = jax.tree_util.tree_leaves_with_path(params)
    return dict(entry(keys, leaf) for keys, leaf in leaves)


def save(
    model: Classifier | GPT, params: dict, folder: Path, class_names: tuple[str, ...] = ()
) -> None:
    """Writes a folder that `load`, `load_classifier` and transformers read: GPT-2's, or a classifier's with its class names.

    Raises:
      ConfigError: a classifier with a pooling that transformers has no class for.
    """
    if isinstance(model, GPT):
        sizes = dict(
            zip(
                ("vocab_size", "n_positions", "n_layer", "n_head", "n_embd"),
                model.config,
                strict=False,
            )
        )
        ids = {"bos_token_id": None, "eos_token_id": None}
        published = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]} | sizes | ids
        published["tie_word_embeddings"] = model.config.tied
        write_folder(folder, published, to_tensors(model, params, PREFIXES["gpt2"]))
        return
    config = model.config
    check(
        model.pooling == "published",
        f"model.pooling: {model.pooling} has no class in transformers; train with model.pooling=published",
    )
    rate = config.dropout
    keys = {
        "activation": config.activation,
        "dropout": rate,
        "attention_dropout": rate,
        "seq_classif_dropout": rate,
    }
    if config.family != "distilbert":
        keys = {
            "hidden_act": config.activation,
            "layer_norm_eps": config.eps,
            "type_vocab_size": config.type_vocab,
            "hidden_dropout_prob": rate,
            "attention_probs_dropout_prob": rate,
            "classifier_dropout": rate,
        }
    published = {
        "model_type": config.family,
        "architectures": [f"{CLASSES[config.family]}ForSequenceClassification"],
        **dict(zip(SIZES[config.family], config[1:], strict=False)),
        **keys,
        "pad_token_id": config.pad_id,
        "id2label": {str(i): name for i, name in enumerate(class_names)},
        "label2id": {name: i for i, name in enumerate(class_names)},
    }
    write_folder(folder, published, to_tensors(model, params, PREFIXES[config.family]))
