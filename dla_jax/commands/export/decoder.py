"""A language model for `transformers`: a GPT as GPT2LMHeadModel, a Llama as LlamaForCausalLM."""

import json
from pathlib import Path

import jax
import numpy as np

from dla_jax.commands.export.card import Model
from dla_jax.commands.generate import choose_model, read_model
from dla_jax.config.files import write_atomically
from dla_jax.config.workdir import Launch
from dla_jax.data import tokenize
from dla_jax.data.characters import Characters
from dla_jax.evidence.formatting import count
from dla_jax.models import pretrained
from dla_jax.models.llama import Llama
from dla_jax.tasks.language_restored import LanguageModel

STUDIES = ("language",)
MOST = 100  # tokens that the card's example writes
WRITE = """\
from transformers import AutoModelForCausalLM, AutoTokenizer

folder = "."  # where this card lies
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder)
read = tokenizer({prompt}, return_tensors="pt")
tokens = model.generate(**read, do_sample=True, temperature=0.8, max_new_tokens={more})
print(tokenizer.decode(tokens[0]))
"""


def choose(workdir: Path, network: str) -> dict:
    """Return the last row of the run that is best on validation, of one network or of all.

    Raises:
      ConfigError: there is none.
    """
    return choose_model(workdir, network)


def write(workdir: Path, row: dict, folder: Path, launch: Launch) -> Model:
    """Write a run's network and tokenizer; return what the card says of them."""
    del launch
    found = read_model(workdir, row)
    config = found.model.config
    pretrained.save(found.model, jax.tree.map(np.asarray, found.params), folder)
    write_tokenizer(found.tokenizer, config.block_size, folder)
    kind = "Llama" if isinstance(found.model, Llama) else "GPT-2"
    return Model(
        library="transformers",
        task="text-generation",
        what=f"A language model of {kind}'s architecture: {count(config.n_layer, 'layer')}, "
        f"{count(config.n_head, 'head')}, width {config.n_embd}, {tokens_words(found.tokenizer)}.",
        snippet=example(found, row["prompt"]),
        limits=limits(found),
    )


def example(found: LanguageModel, prompt: str) -> str:
    """Return the card's example: it begins as the study's samples do, and stays in the context."""
    block = found.model.config.block_size
    tokens = found.tokenizer.encode(prompt)[: block // 2]
    more = str(min(MOST, block - len(tokens)))
    return WRITE.replace("{more}", more).replace("{prompt}", repr(found.tokenizer.decode(tokens)))


def tokens_words(tokenizer: Characters | tokenize.Pieces) -> str:
    """Return what the tokens are: `103 characters`."""
    kind = "characters" if isinstance(tokenizer, Characters) else "byte pairs"
    return f"{tokenizer.vocab_size} {kind}"


def limits(found: LanguageModel) -> list[str]:
    """Return what a user of the model has to know."""
    config = found.model.config
    llama = isinstance(found.model, Llama)
    beyond = "writes on at positions that it never saw" if llama else "raises an error"
    said = [
        f"Its context is {config.block_size} tokens, prompt and continuation together. Beyond, our "
        f"own `generate` goes on with the last ones, `transformers` {beyond}."
    ]
    if isinstance(found.tokenizer, Characters):
        said.append(
            "A character that the training text has not raises an error: there is no token for it."
        )
    if config.dropout and llama:
        said.append(
            f"It was trained with dropout {config.dropout:g} of embeddings, attention weights and "
            "what each part adds; `LlamaConfig` has but that of attention weights, which matters "
            "to those who train it further."
        )
    return said


def write_tokenizer(tokenizer: Characters | tokenize.Pieces, block_size: int, folder: Path) -> None:
    """Write the tokenizer as transformers reads it."""
    if isinstance(tokenizer, Characters):
        tokenizer = tokenize.Pieces(tokenizer.published())
    tokenize.save(tokenizer, folder / "tokenizer.json")
    written = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": block_size,
        # Decoded, a text is what it was, with a space before a comma where there was one.
        "clean_up_tokenization_spaces": False,
        # No token types: GPT-2 would add the vector of token 0 to every position.
        "model_input_names": ["input_ids", "attention_mask"],
    }
    write_atomically(folder / "tokenizer_config.json", json.dumps(written, indent=1))
