"""Writes tests/fixtures: tiny decoders with random weights and the logits that transformers computes with PyTorch.

python tests/make_fixtures.py      # needs requirements-bench.txt
"""

from pathlib import Path

import numpy as np
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

FOLDER = Path(__file__).parent / "fixtures"
CONFIGS = {
    "gpt2": GPT2Config(vocab_size=13, n_positions=9, n_embd=8, n_layer=2, n_head=2, bos_token_id=None, eos_token_id=None),
    "llama": LlamaConfig(vocab_size=13, max_position_embeddings=9, hidden_size=16, intermediate_size=20, num_hidden_layers=2,
                         num_attention_heads=4, num_key_value_heads=2, rope_parameters={"rope_type": "default", "rope_theta": 100.0},
                         bos_token_id=None, eos_token_id=None, pad_token_id=None),
}  # fmt: skip
MODELS = {"gpt2": GPT2LMHeadModel, "llama": LlamaForCausalLM}


def make(name, config, folder):
    """Saves a model whose every tensor is random, and the logits of two texts."""
    torch.manual_seed(0)
    model = MODELS[name](config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        tokens = torch.randint(0, config.vocab_size, (2, 9))
        logits = model(tokens).logits
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    np.save(folder / "tokens.npy", tokens.numpy().astype(np.int32))
    np.save(folder / "logits.npy", logits.numpy())


if __name__ == "__main__":
    for name, config in CONFIGS.items():
        make(name, config, FOLDER / name)
