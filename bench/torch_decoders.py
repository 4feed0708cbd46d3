"""The decoders of the benchmark in PyTorch, trained and sampled from.

Our parameters can be copied into them.
"""

import re

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


def attend(q, k, v, cache, start: int):
    """Return causal attention: [B, H, T, D] -> [B, T, H * D].

    `cache`: keys and values, [B, H, S, D], of which `start` are filled; a text of more than one
    token starts at 0.
    """
    if cache is not None:
        stop = start + q.shape[2]
        cache[0][:, :, start:stop], cache[1][:, :, start:stop] = k, v
        k, v = cache[0][:, :, :stop], cache[1][:, :, :stop]
    found = F.scaled_dot_product_attention(q, k, v, is_causal=q.shape[2] > 1)
    return found.transpose(1, 2).flatten(2)


class Decoder(nn.Module):
    """The part that GPT and Llama share: sizes and the cache."""

    def __init__(self, config):
        super().__init__()
        self.config = config

    def empty_cache(self, batch: int) -> list:
        """Return a cache for `block_size` positions."""
        config, like = self.config, next(self.parameters())
        shape = batch, config.n_head, config.block_size, config.n_embd // config.n_head
        return [(like.new_zeros(shape), like.new_zeros(shape)) for _ in range(config.n_layer)]


class GPTAttention(nn.Module):
    """Attention with queries, keys and values by one dense layer."""

    def __init__(self, config):
        super().__init__()
        self.n_head = config.n_head
        self.c_attn = nn.Linear(config.n_embd, 3 * config.n_embd)
        self.c_proj = nn.Linear(config.n_embd, config.n_embd)

    def forward(self, x, cache, start):
        q, k, v = self.c_attn(x).unflatten(-1, (3, self.n_head, -1)).permute(2, 0, 3, 1, 4)
        return self.c_proj(attend(q, k, v, cache, start))


class GPTMLP(nn.Module):
    """Two dense layers, GELU between."""

    def __init__(self, config):
        super().__init__()
        self.c_fc = nn.Linear(config.n_embd, 4 * config.n_embd)
        self.c_proj = nn.Linear(4 * config.n_embd, config.n_embd)

    def forward(self, x):
        return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))


class GPTBlock(nn.Module):
    """Attention and MLP, each added to its input."""

    def __init__(self, config):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(config.n_embd), nn.LayerNorm(config.n_embd)
        self.attn, self.mlp = GPTAttention(config), GPTMLP(config)

    def forward(self, x, cache, start):
        x = x + self.attn(self.ln_1(x), cache, start)
        return x + self.mlp(self.ln_2(x))


class GPT(Decoder):
    """GPT-2 without dropout: tokens int64 [B, T] -> logits [B, T, V]."""

    def __init__(self, config):
        super().__init__(config)
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.wpe = nn.Embedding(config.block_size, config.n_embd)
        self.h = nn.ModuleList(GPTBlock(config) for _ in range(config.n_layer))
        self.ln_f = nn.LayerNorm(config.n_embd)

    def forward(self, tokens, cache=None, start=0):
        x = self.wte(tokens) + self.wpe.weight[start : start + tokens.shape[1]]
        for i, block in enumerate(self.h):
            x = block(x, cache and cache[i], start)
        return F.linear(self.ln_f(x), self.wte.weight)


def rotate(x, cos, sin):
    """Turn the pairs (i, i + D / 2) of [B, H, T, D]."""
    first, second = x.chunk(2, -1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), -1)


class LlamaAttention(nn.Module):
    """Attention with as many heads of keys as of queries."""

    def __init__(self, config):
        super().__init__()
        self.n_head = config.n_head
        width = config.n_embd
        self.q_proj, self.k_proj = (nn.Linear(width, width, bias=False) for _ in range(2))
        self.v_proj, self.o_proj = (nn.Linear(width, width, bias=False) for _ in range(2))

    def forward(self, x, angles, cache, start):
        found = [dense(x) for dense in (self.q_proj, self.k_proj, self.v_proj)]
        q, k, v = (each.unflatten(-1, (self.n_head, -1)).transpose(1, 2) for each in found)
        return self.o_proj(attend(rotate(q, *angles), rotate(k, *angles), v, cache, start))


class LlamaMLP(nn.Module):
    """A gated dense layer."""

    def __init__(self, config):
        super().__init__()
        self.gate_proj = nn.Linear(config.n_embd, config.intermediate, bias=False)
        self.up_proj = nn.Linear(config.n_embd, config.intermediate, bias=False)
        self.down_proj = nn.Linear(config.intermediate, config.n_embd, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class LlamaLayer(nn.Module):
    """Attention and MLP, each added to its input."""

    def __init__(self, config):
        super().__init__()
        norm = lambda: nn.RMSNorm(config.n_embd, config.norm_eps)
        self.input_layernorm, self.post_attention_layernorm = norm(), norm()
        self.self_attn, self.mlp = LlamaAttention(config), LlamaMLP(config)

    def forward(self, x, angles, cache, start):
        x = x + self.self_attn(self.input_layernorm(x), angles, cache, start)
        return x + self.mlp(self.post_attention_layernorm(x))


class Llama(Decoder):
    """Llama 2 with a tied head, without dropout: tokens int64 [B, T] -> logits [B, T, V]."""

    def __init__(self, config):
        super().__init__(config)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.n_embd)
        self.layers = nn.ModuleList(LlamaLayer(config) for _ in range(config.n_layer))
        self.norm = nn.RMSNorm(config.n_embd, config.norm_eps)
        half = config.n_embd // config.n_head // 2
        places = torch.arange(config.block_size).float()
        angles = torch.outer(places, config.rope_theta ** (-torch.arange(half) / half))
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())

    def forward(self, tokens, cache=None, start=0):
        x, stop = self.embed_tokens(tokens), start + tokens.shape[1]
        angles = self.cos[start:stop], self.sin[start:stop]
        for i, layer in enumerate(self.layers):
            x = layer(x, angles, cache and cache[i], start)
        return F.linear(self.norm(x), self.embed_tokens.weight)


def make(config) -> Decoder:
    """Return the network of our module's config."""
    return (Llama if hasattr(config, "intermediate") else GPT)(config)


def copy(model: Decoder, params: dict, path: str = "") -> None:
    """Copy our parameters into the PyTorch network.

    Its parts have our names, except the numbers of layers.
    """
    for name, value in params.items():
        if isinstance(value, dict):
            copy(model, value, f"{path}.{name}".lstrip("."))
            continue
        layer = model.get_submodule(re.sub(r"^(h|layers)_(\d+)", r"\1.\2", path))
        array, into = np.array(value, np.float32), layer.bias if name == "bias" else layer.weight
        with torch.no_grad():
            into.copy_(torch.from_numpy(array.T if name == "kernel" else array))


@torch.inference_mode()
def write(
    model: Decoder, prompt: torch.Tensor, num_tokens: int, temperature: float
) -> torch.Tensor:
    """Return what follows a prompt: int64 [P] -> [num_tokens], by a cache that is never full.

    At temperature 0 that is the most probable token each time.
    """
    cache, tokens = model.empty_cache(1), []
    logits = model(prompt[None], cache, 0)[:, -1].float()
    for i in range(num_tokens):
        if temperature:
            drawn = torch.multinomial(F.softmax(logits / temperature, -1), 1)
        else:
            drawn = logits.argmax(-1, keepdim=True)
        tokens.append(drawn)
        if i + 1 < num_tokens:
            logits = model(drawn, cache, len(prompt) + i)[:, -1].float()
    return torch.cat(tokens, 1)[0]


def trainer(model: Decoder, tokens: torch.Tensor, batch_size: int, compiled: bool):
    """Return a function that takes one step of AdamW on windows of the text, clipped as ours."""
    length, place = model.config.block_size, tokens.device.type
    parameters = list(model.parameters())
    apply = torch.compile(model, mode="max-autotune") if compiled else model
    optimiser = torch.optim.AdamW(parameters, 1e-3, (0.9, 0.99), 1e-8, weight_decay=0.1, fused=True)
    order = torch.randperm(len(tokens) - length, device=place)
    window, taken = torch.arange(length + 1, device=place), 0

    def step():
        nonlocal taken
        at = taken * batch_size % (len(order) - batch_size)
        batch = tokens[order[at : at + batch_size, None] + window]
        with torch.autocast(place, torch.bfloat16, enabled=place == "cuda"):
            loss = F.cross_entropy(apply(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        taken += 1

    return step
