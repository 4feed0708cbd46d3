"""The encoders of the benchmark as `transformers` has them, embedding and fine-tuned.

Our parameters can be copied into them.
"""

import itertools

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transformers import AutoConfig, AutoModel

from dla_jax.models import bert, pretrained


class Embedder(nn.Module):
    """The mean of a text's hidden states: tokens and mask, int64 [B, T] -> float32 [B, D]."""

    def __init__(self, sizes: bert.BertConfig, attention: str):
        super().__init__()
        published = dict(zip(pretrained.SIZES[sizes.family], sizes[1:], strict=False))
        config = AutoConfig.for_model(
            sizes.family,
            **published,
            hidden_dropout_prob=sizes.dropout,
            attention_probs_dropout_prob=sizes.dropout,
            hidden_act=sizes.activation,
            layer_norm_eps=sizes.eps,
            type_vocab_size=sizes.type_vocab,
            pad_token_id=sizes.pad_id,
        )
        how = {"attn_implementation": attention, "add_pooling_layer": False}
        self.body = AutoModel.from_config(config, **how)

    def forward(self, tokens, mask):
        hidden = self.body(tokens, attention_mask=mask).last_hidden_state.float()
        return (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


class Classifier(nn.Module):
    """An embedder with our head: tokens and mask -> logits float32 [B, num_classes]."""

    def __init__(self, sizes: bert.BertConfig, num_classes: int, attention: str):
        super().__init__()
        self.embedder, self.dropout = Embedder(sizes, attention), nn.Dropout(sizes.dropout)
        self.dense = nn.Linear(sizes.n_embd, sizes.n_embd)
        self.classifier = nn.Linear(sizes.n_embd, num_classes)

    def forward(self, tokens, mask):
        hidden = F.relu(self.dense(self.embedder(tokens, mask)))
        return self.classifier(self.dropout(hidden)).float()


def copy(model: Embedder, sizes: bert.BertConfig, params: dict) -> None:
    """Copy our encoder's parameters into the PyTorch one."""
    tensors = pretrained.to_tensors(bert.Encoder(sizes), params, "")
    load(model.body, {name: np.array(tensor) for name, tensor in tensors.items()})


def copy_classifier(model: Classifier, sizes: bert.BertConfig, params: dict) -> None:
    """Copy our classifier's parameters into the PyTorch one."""
    copy(model.embedder, sizes, params["encoder"])
    for name, leaves in params["head"].items():
        weight, bias = np.array(leaves["kernel"]).T, np.array(leaves["bias"])
        load(model.get_submodule(name), {"weight": weight, "bias": bias})


def load(module: nn.Module, arrays: dict[str, np.ndarray]) -> None:
    """Set a module's parameters, all of them, by their names."""
    module.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})


def to_torch(batch: dict, place: str) -> list[torch.Tensor]:
    """Return tokens, mask and labels where there are any, int64, of a padded batch."""
    mask = np.arange(batch["token"].shape[1]) < batch["length"][:, None]
    arrays = [batch["token"], mask]
    if "label" in batch:
        arrays.append(batch["label"])
    return [torch.from_numpy(np.array(array)).long().to(place) for array in arrays]


def embedder(model: Embedder, batches: list[dict], place: str, compiled: bool):
    """Return a function that embeds all batches: float32 [N, D] on the host."""
    model.to(place, torch.bfloat16 if place == "cuda" else torch.float32).eval()
    apply = torch.compile(model, dynamic=False) if compiled else model
    inputs = [to_torch(batch, place) for batch in batches]

    @torch.inference_mode()
    def once():
        return torch.cat([apply(*pair) for pair in inputs]).cpu()

    return once


def trainer(model: Classifier, batches: list[dict], place: str, lr: float, optim, compiled: bool):
    """Return a function that takes a step of AdamW on the next batch, and returns its loss.

    Steps are clipped and decayed as ours are.
    """
    model.to(place).train()
    apply = torch.compile(model, dynamic=False) if compiled else model
    parameters = list(model.parameters())
    kernels = [parameter for parameter in parameters if parameter.ndim > 1]
    others = [parameter for parameter in parameters if parameter.ndim <= 1]
    groups = [
        {"params": kernels, "weight_decay": optim.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr, (optim.b1, optim.b2), optim.eps, fused=True)
    inputs = itertools.cycle([to_torch(batch, place) for batch in batches])

    def step():
        tokens, mask, label = next(inputs)
        with torch.autocast(place, torch.bfloat16, enabled=place == "cuda"):
            loss = F.cross_entropy(apply(tokens, mask), label)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, optim.clip_norm)
        optimiser.step()
        return loss.detach()

    return step
