"""Our parameters and the published tensors: what each is called, and which way it lies."""

import re

from dla_jax.models.gpt import GPT
from dla_jax.models.llama import Llama

# Causal masks, angles and positions, which are no parameters; and heads of tasks that are not ours.
BUFFERS = re.compile(r"\.attn\.(masked_)?bias$|rotary_emb\.inv_freq$|^embeddings\.position_ids$")
OTHER_HEADS = re.compile(
    r"^(cls|lm_head|vocab_\w+|qa_outputs|pooler|classifier|pre_classifier)(\.|$)"
)
EMBEDDINGS = {GPT: "wte.weight", Llama: "embed_tokens.weight"}  # which may be the head too
OLD_NORMS = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
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


def current_name(name: str, prefix: str) -> str:
    """Return a tensor's name without the prefix, and with a norm's parameters as now called."""
    name = name.removeprefix(prefix)
    for old, new in OLD_NORMS.items():
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name


def published_name(model, path: str) -> str:
    """Return the published name of our parameter.

    `h_0/attn/c_attn/kernel` becomes `h.0.attn.c_attn.weight`.
    """
    path = re.sub(r"(kernel|embedding|scale)$", "weight", path)
    if isinstance(model, GPT | Llama):
        name = re.sub(r"^(h|layers)_(\d+)\.", r"\1.\2.", path.replace("/", "."))
        return name.replace("lm_head", "lm_head.weight")
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
    """Tell whether a parameter is stored [out, in], as linear layers are except GPT-2's."""
    return path.endswith("kernel") and not isinstance(model, GPT)


def path_of(keys) -> str:
    """Return a path in a tree of parameters as text: `encoder/layer_0/query/kernel`."""
    return "/".join(key.key for key in keys)
