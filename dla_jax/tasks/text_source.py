"""A text as language models read it: split, in tokens, and with n-grams of its training part."""

import functools
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ml_collections import FrozenConfigDict

from dla_jax.analysis.ngrams import interpolated
from dla_jax.config.checks import check
from dla_jax.config.workdir import Launch
from dla_jax.data import characters, text, tokenize
from dla_jax.training.mesh import put, replicated, together

PROMPT_LENGTH = 24  # characters of the default prompt; tokens of any prompt whose attention is kept


class Source(NamedTuple):
    """A text as a model reads it."""

    parts: dict[str, str]
    alphabet: int  # different characters of the whole text
    tokenizer: object
    tokens: text.Tokens


def read_text(config) -> text.Text:
    """Return the text of a config."""
    check(
        config.data.path != "",
        "data.path is empty; give a text file, or leave it out for the embedded text",
    )
    return text.load(config.data.path or "")


def make_source(config, saved: Path | None = None) -> Source:
    """Return the text of a config in tokens.

    Args:
      saved: the file of a tokenizer; where it exists, its tokens are used.
    """
    tokenizer = tokenize.load(saved) if saved and saved.exists() else None
    return _make_source(
        read_text(config),
        config.data.val_fraction,
        config.data.test_fraction,
        FrozenConfigDict(config.tokenizer.to_dict()),
        tokenizer,
    )


@functools.lru_cache(maxsize=8)  # networks share it, and the check of a config with its run
def _make_source(
    whole: text.Text, val_fraction: float, test_fraction: float, config, tokenizer
) -> Source:
    parts = text.split(whole.text, val_fraction, test_fraction)
    short = [name for name in ("train", "val") if len(parts[name]) < 2]
    check(
        not short,
        f"data.path: {whole.name} has {len(whole.text)} characters, too few to split; "
        "give a longer text",
    )
    tokenizer = tokenizer or tokenize.train(config, whole.text, parts["train"])
    tokens = text.encode_parts(parts, tokenizer.encode)
    return Source(parts, len(set(whole.text)), tokenizer, tokens)


def prepare_source(config, launch: Launch, network: str) -> Source:
    """Return the text in tokens of the workdir's tokenizer.

    The first process makes and writes that tokenizer when it is not there.
    """
    saved = tokenizer_path(launch.workdir, network)
    missing = launch.first and not saved.exists()

    def write() -> None:
        if missing:
            tokenize.save(make_source(config).tokenizer, saved)

    together(write, "write the tokenizer")
    return together(lambda: make_source(config, saved), "read the tokenizer")


def tokenizer_path(workdir: Path, network: str) -> Path:
    """Return where the tokenizer of a network is saved."""
    return workdir / "tokenizers" / f"{network}.json"


def put_tokens(source: Source, mesh) -> dict:
    """Return the whole text on every device: {"token": int32 [N]}."""
    return put({"token": source.tokens.tokens}, replicated(mesh))


def tokens_per_char(tokens: text.Tokens, part: str) -> float:
    """Return the number of tokens of a part divided by that of its characters."""
    first, stop = tokens.bounds[part]
    return (stop - first) / tokens.num_chars[part]


def prompt_of(source: Source, prompt: str) -> np.ndarray:
    """Return a prompt in tokens; "" stands for the beginning of the validation text."""
    return source.tokenizer.encode(prompt or source.parts["val"][:PROMPT_LENGTH])


@functools.lru_cache(maxsize=8)
def ngram_scores(
    train: str, before: str, scored: str, alphabet: int, max_order: int
) -> dict[str, float]:
    """Return {order: nats per character} of n-grams.

    Args:
      train: the text that they are counted in.
      before: what stands between that and the scored text.
      scored: the text that they are scored on.
      alphabet: number of characters that there are.
    """
    points = np.unique(characters.code_points(train + before + scored), return_inverse=True)
    first = len(train) + len(before)
    log_p = interpolated(points[1], len(train), first, first + len(scored), alphabet, max_order)
    return {str(order): float(-row.mean()) for order, row in enumerate(log_p, 1)}


def ngrams_of(source: Source, max_order: int) -> dict[str, dict[str, float]]:
    """Return {part: {order: nats per character}} of the parts that are scored."""
    parts, alphabet = source.parts, source.alphabet
    found = {"val": ngram_scores(parts["train"], "", parts["val"], alphabet, max_order)}
    if parts["test"]:
        found["test"] = ngram_scores(
            parts["train"], parts["val"], parts["test"], alphabet, max_order
        )
    return found
