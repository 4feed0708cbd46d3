"""Write tests/fixtures: tiny models with random weights, and their logits by transformers.

transformers computes them with PyTorch.

python tests/make_fixtures.py      # needs requirements-bench.txt
"""

from pathlib import Path

import numpy as np
import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    RobertaConfig,
    RobertaForSequenceClassification,
)

FOLDER = Path(__file__).parent / "fixtures"
SIZES = {
    "vocab_size": 13,
    "max_position_embeddings": 11,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "hidden_size": 8,
    "intermediate_size": 12,
    "id2label": {0: "cat", 1: "dog", 2: "hen"},
}
CONFIGS = {
    "gpt2": GPT2Config(
        vocab_size=13,
        n_positions=9,
        n_embd=8,
        n_layer=2,
        n_head=2,
        bos_token_id=None,
        eos_token_id=None,
    ),
    "llama": LlamaConfig(
        vocab_size=13,
        max_position_embeddings=9,
        hidden_size=16,
        intermediate_size=20,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        rope_parameters={"rope_type": "default", "rope_theta": 100.0},
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
    ),
    "bert": BertConfig(**SIZES, pad_token_id=0),
    "roberta": RobertaConfig(**SIZES, pad_token_id=1, type_vocab_size=1, layer_norm_eps=1e-5),
    "distilbert": DistilBertConfig(
        vocab_size=13,
        max_position_embeddings=11,
        n_layers=2,
        n_heads=2,
        dim=8,
        hidden_dim=12,
        id2label=SIZES["id2label"],
        pad_token_id=0,
    ),
}
MODELS = {
    "gpt2": GPT2LMHeadModel,
    "llama": LlamaForCausalLM,
    "bert": BertForSequenceClassification,
    "roberta": RobertaForSequenceClassification,
    "distilbert": DistilBertForSequenceClassification,
}
LENGTHS = np.array([9, 4])  # tokens of each text that an encoder reads; the rest is padding


def make(name, config, folder):
    """Save a model whose every tensor is random, and the logits of two texts."""
    torch.manual_seed(0)
    model = MODELS[name](config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        decoder, mask = name in ("gpt2", "llama"), {}
        tokens = torch.randint(0 if decoder else 2, config.vocab_size, (2, 9))
        if not decoder:
            text = torch.arange(9) < torch.tensor(LENGTHS)[:, None]
            tokens = torch.where(text, tokens, config.pad_token_id)
            mask = {"attention_mask": text.long()}
        logits = model(tokens, **mask).logits
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    np.save(folder / "tokens.npy", tokens.numpy().astype(np.int32))
    np.save(folder / "logits.npy", logits.numpy())


if __name__ == "__main__":
    for name, config in CONFIGS.items():
        make(name, config, FOLDER / name)
