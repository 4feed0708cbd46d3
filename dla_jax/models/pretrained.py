"""Published weights: from a folder with `config.json` and safetensors to a model, and back."""

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
from dla_jax.models.tensor_names import (
    BUFFERS,
    EMBEDDINGS,
    OTHER_HEADS,
    current_name,
    path_of,
    published_name,
    turned,
)

LABELS = ("id2label", "label2id")
# Our decoders begin and end with no token of their own; left out, transformers takes Llama's.
NO_SPECIAL = {"bos_token_id": None, "eos_token_id": None}
# Of RoBERTa: a layer of our head, and what it is called in a model of multiple choice.
CHOICE_NAMES = {"classifier.dense": "roberta.pooler.dense", "classifier.out_proj": "classifier"}
CLASSES = {"bert": "Bert", "roberta": "Roberta", "distilbert": "DistilBert"}


def load(folder: Path, pooler: bool = False) -> tuple[GPT | Llama | Encoder, dict]:
    """Read the decoder or encoder of a folder, and its parameters as float32.

    Args:
      folder: with `config.json` and safetensors.
      pooler: whether BERT's is wanted.

    Raises:
      ConfigError: no such folder, another architecture, or tensors that are missing, not expected
        or of another shape.
    """
    published = read_json(folder / "config.json")
    model = build(published, folder)
    if isinstance(model, Encoder):
        model = Encoder(model.config._replace(pooler=pooler))
    return model, to_params(model, read_tensors(folder), PREFIXES[published["model_type"]])


def load_classifier(folder: Path) -> tuple[Classifier, dict, tuple[str, ...]]:
    """Read the classifier of a folder, its parameters, and the names of its classes.

    Raises:
      ConfigError: as for `load`, and for a folder that names no classes, or classes that do not
        exclude each other.
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
        f"{folder}: id2label has {', '.join(map(str, labels))}; "
        f"known: the numbers from 0 to {len(labels) - 1}",
    )
    refuse_unknown(published, {"problem_type": (None, "single_label_classification")}, folder)
    model = Classifier(with_pooler(encoder.config), len(labels), pooling="published")
    names = tuple(labels[number] for number in numbers)
    return model, to_params(model, read_tensors(folder), PREFIXES[published["model_type"]]), names


def with_pooler(config: BertConfig) -> BertConfig:
    """Return the config with a pooler where the family's classifiers have one."""
    return config._replace(pooler=config.family == "bert")


def shapes_of(model) -> dict:
    """Return the parameters of a model as shapes."""
    if isinstance(model, GPT | Llama):
        return decoders.shapes_of(model)

    def init(tokens):
        return model.init(jax.random.key(tokens[0, 0]), tokens, tokens[:, 0])

    return jax.eval_shape(init, jax.ShapeDtypeStruct((1, 2), "int32"))["params"]


def to_params(model, tensors: dict[str, np.ndarray], prefix: str) -> dict:
    """Return the parameters of a model from published tensors; heads that it has not are left out.

    Of an embedding that is the head too, a file may have either name, or both.

    Raises:
      ConfigError: tensors that are missing, not expected or of another shape, by name.
    """
    found = {current_name(name, prefix): tensor for name, tensor in tensors.items()}
    found = {name: tensor for name, tensor in found.items() if not BUFFERS.search(name)}
    wrong = _tie_head(model, found)
    taken = set()

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
    left = sorted(name for name in found.keys() - taken if not OTHER_HEADS.search(name))
    wrong += [f"{name} is not expected" for name in left]
    listed = "; ".join(wrong[:8]) + (" ..." if len(wrong) > 8 else "")
    check(not wrong, f"weights do not fit {type(model).__name__}: {listed}")
    return params


def _tie_head(model, found: dict[str, np.ndarray]) -> list[str]:
    """Give the head's tensor, where it stands alone, the name of the embedding that it is too.

    Returns:
      What is wrong: of two that differ transformers 5 takes each for itself, older versions the
      embedding alone.
    """
    name = EMBEDDINGS.get(type(model))
    if name is None or not model.config.tied or "lm_head.weight" not in found:
        return []
    head = found["lm_head.weight"]
    if np.array_equal(found.setdefault(name, head), head):
        return []
    return [
        f"lm_head.weight differs from {name}, though they are tied; is tie_word_embeddings false?"
    ]


def to_tensors(model, params: dict, prefix: str) -> dict[str, np.ndarray]:
    """Invert `to_params`: tensors by published name, a head's without the prefix."""
    tensors = {}
    for keys, leaf in jax.tree_util.tree_leaves_with_path(params):
        path = path_of(keys)
        array = np.asarray(leaf, np.float32)
        bare = path.startswith(("head/", "lm_head"))
        name = ("" if bare else prefix) + published_name(model, path)
        tensors[name] = array.T if turned(model, path) else array
    return tensors


def save(
    model: Classifier | GPT | Llama, params: dict, folder: Path, class_names: tuple[str, ...] = ()
) -> None:
    """Write a folder that `load`, `load_classifier` and transformers read.

    It holds a decoder, or a classifier with its class names.

    Raises:
      ConfigError: a classifier with a pooling that transformers has no class for.
    """
    if isinstance(model, GPT):
        published = _config_of_gpt(model)
    elif isinstance(model, Llama):
        published = _config_of_llama(model)
    else:
        check_published_head(model)
        published = _config_of_classifier(model.config, class_names)
    tensors = to_tensors(model, params, PREFIXES[published["model_type"]])
    write_folder(folder, published, tensors)


def save_choices(model: Classifier, params: dict, folder: Path) -> None:
    """Write a folder that transformers reads as a model of multiple choice.

    Of RoBERTa that has BERT's pooler, where its other classifiers have a layer of the head.

    Args:
      model: of one class, the score of an option.

    Raises:
      ConfigError: a pooling that transformers has no class for.
    """
    check_published_head(model)
    family = model.config.family
    published = _config_of_classifier(model.config, ())
    published = {key: value for key, value in published.items() if key not in LABELS}
    published["architectures"] = [f"{CLASSES[family]}ForMultipleChoice"]
    tensors = to_tensors(model, params, PREFIXES[family])
    names = CHOICE_NAMES if family == "roberta" else {}
    for old, new in names.items():
        for part in ("weight", "bias"):
            tensors[f"{new}.{part}"] = tensors.pop(f"{old}.{part}")
    write_folder(folder, published, tensors)


def check_published_head(model: Classifier) -> None:
    """Raise ConfigError for a classifier with a pooling that transformers has no class for."""
    check(
        model.pooling == "published",
        f"model.pooling: {model.pooling} has no class in transformers; "
        "train with model.pooling=published",
    )


def _config_of_gpt(model: GPT) -> dict:
    config = model.config
    return {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        **dict(zip(SIZES["gpt2"], config, strict=False)),
        **dict.fromkeys(("attn_pdrop", "embd_pdrop", "resid_pdrop"), config.dropout),
        "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5,
        **NO_SPECIAL,
        "tie_word_embeddings": config.tied,
    }


def _config_of_llama(model: Llama) -> dict:
    config = model.config
    return {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        **dict(zip(SIZES["llama"], config, strict=False)),
        "attention_dropout": config.dropout,  # of ours the only one that transformers' Llama has
        "hidden_act": "silu",
        "rms_norm_eps": config.norm_eps,
        "rope_theta": config.rope_theta,
        **NO_SPECIAL,
        "tie_word_embeddings": config.tied,
    }


def _config_of_classifier(config: BertConfig, class_names: tuple[str, ...]) -> dict:
    if config.family == "distilbert":
        own = {
            "activation": config.activation,
            "dropout": config.dropout,
            "attention_dropout": config.dropout,
            "seq_classif_dropout": config.dropout,
        }
    else:
        own = {
            "hidden_act": config.activation,
            "layer_norm_eps": config.eps,
            "type_vocab_size": config.type_vocab,
            "hidden_dropout_prob": config.dropout,
            "attention_probs_dropout_prob": config.dropout,
            "classifier_dropout": config.dropout,
        }
    return {
        "model_type": config.family,
        "architectures": [f"{CLASSES[config.family]}ForSequenceClassification"],
        **dict(zip(SIZES[config.family], config[1:], strict=False)),
        **own,
        "pad_token_id": config.pad_id,
        "id2label": {str(i): name for i, name in enumerate(class_names)},
        "label2id": {name: i for i, name in enumerate(class_names)},
    }
