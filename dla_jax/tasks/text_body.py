"""The body under a classifier of texts: an encoder or decoder without a head, and its tokenizer."""

import functools
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from dla_jax.config.checks import check, check_rules, count
from dla_jax.config.workdir import Launch
from dla_jax.data import tokenize
from dla_jax.models import hub, pretrained
from dla_jax.models.bert import BertConfig, Encoder
from dla_jax.models.gpt import GPT, GPTConfig
from dla_jax.training.mesh import together

SIZES = {key: count() for key in ("n_layer", "n_head", "n_embd", "intermediate", "vocab_size")}


def check_encoder(encoder, widths: tuple[int, ...]) -> None:
    """Raise ConfigError for a `config.encoder` that cannot be built, or widths that do not fit."""
    check_rules(encoder, {"max_length": count(low=4)}, prefix="encoder.")
    for width in widths:
        count()("widths", width)
    check(list(widths) == sorted(set(widths)), f"widths: {widths} must ascend")
    check(
        not widths or widths[-1] < encoder.max_length,
        f"widths: {widths[-1:]} must be less than encoder.max_length, "
        f"{encoder.max_length}, which is the last by itself",
    )
    if not encoder.path:
        check_rules(encoder, SIZES, prefix="encoder.")
        check(
            encoder.n_embd % encoder.n_head == 0,
            f"encoder.n_embd: {encoder.n_embd} is not divisible by n_head, {encoder.n_head}",
        )


def check_published(encoder, kinds: tuple, download: bool) -> BertConfig | GPTConfig | None:
    """Return the config of the published model of a `config.encoder`, None where there is none.

    Raises:
      ConfigError: it cannot be read, is none of these `kinds`, or has too few positions; weights or
        tokenizer do not fit.
    """
    if not encoder.path:
        return None
    folder = find(encoder.path, download)
    model = pretrained.build(hub.read_json(folder / "config.json"), folder)
    names = {Encoder: "BERT, RoBERTa or DistilBERT", GPT: "GPT-2"}
    check(
        isinstance(model, kinds),
        f"encoder.path: {encoder.path} is a {type(model).__name__}; give "
        f"{' or '.join(names[kind] for kind in kinds)}",
    )
    most = model.config.block_size
    check(
        encoder.max_length <= most,
        f"encoder.max_length: {encoder.max_length} tokens, but {encoder.path} has positions for "
        f"{most}",
    )
    fingerprint(folder)
    return model.config


@functools.lru_cache(maxsize=16)
def find(path: str, download: bool) -> Path:
    """Return the folder of a published model; a cache of the hub is searched once."""
    return hub.find(path, download)


class Body(NamedTuple):
    """An encoder or decoder without a head."""

    config: BertConfig | GPTConfig
    params: dict | None  # published ones; None: a random start
    tokenizer: tokenize.Pieces
    pad_id: int


def load_body(encoder, dtype: str, texts: tuple[str, ...] | None, launch: Launch) -> Body:
    """Return the body of a `config.encoder`.

    One without a path starts at random, with a tokenizer that was learned from the texts.

    Args:
      texts: none of an official test part; None where the workdir has a tokenizer already, or none
        is needed.
      launch: its `workdir` keeps the tokenizer, which the first process writes where it is missing.

    Raises:
      ConfigError: weights or tokenizer are missing, damaged, or do not fit.
    """
    if encoder.path:
        folder = find(encoder.path, launch.download)
        body = _published(folder, pooler=encoder.pooling == "published")
        return body._replace(config=body.config._replace(dtype=dtype))
    path = launch.workdir / "tokenizers" / "wordpiece.json"

    def learn() -> None:
        tokenize.save(tokenize.train_wordpiece(texts, encoder.vocab_size), path)

    missing = texts is not None and launch.first and not path.exists()
    together(learn if missing else lambda: None, "write the tokenizer")
    tokenizer = together(lambda: tokenize.load(path), "read the tokenizer")
    config = BertConfig(
        family="bert",
        vocab_size=tokenizer.vocab_size,
        max_positions=encoder.max_length,
        n_layer=encoder.n_layer,
        n_head=encoder.n_head,
        n_embd=encoder.n_embd,
        intermediate=encoder.intermediate,
        type_vocab=2,
        dtype=dtype,
    )
    return Body(config, params=None, tokenizer=tokenizer, pad_id=0)


@functools.lru_cache(maxsize=4)
def _published(folder: Path, pooler: bool) -> Body:
    is_bert = hub.read_json(folder / "config.json").get("model_type") == "bert"
    model, params = pretrained.load(folder, pooler=pooler and is_bert)
    tokenizer = tokenize.published(folder, model.config.vocab_size)
    check(
        isinstance(model, GPT) or len(tokenizer.encode("a")) > 2,
        f"the tokenizer of {folder} puts no special tokens around a text, which its model expects",
    )
    pad_id = 0 if isinstance(model, GPT) else model.config.pad_id
    return Body(model.config, params, tokenizer, pad_id)


@functools.lru_cache(maxsize=4)
def fingerprint(folder: Path) -> str:
    """Return 16 hex digits over the weights and the tokenizer of a published model."""
    body = _published(folder, pooler=False)
    digest = hashlib.sha256(body.tokenizer.dumps().encode())
    for leaf in jax.tree.leaves(body.params):
        digest.update(np.ascontiguousarray(leaf))
    return digest.hexdigest()[:16]


def encode(body: Body, texts: Sequence[str], encoder, lower: bool) -> tokenize.Encoded:
    """Return texts in tokens, lower-cased if asked, cut to `encoder.max_length`."""
    words = [text.lower() for text in texts] if lower else texts
    return body.tokenizer.encode_all(words, encoder.max_length, body.pad_id)


def encode_all(body: Body, texts: Sequence[str], encoder, lower: bool) -> tokenize.Encoded:
    """Return texts in tokens, and print how many were cut."""
    encoded = encode(body, texts, encoder, lower)
    print(
        f"{len(texts):,} texts of {encoded.length.mean():.0f} tokens on average; "
        f"{encoded.truncated:,} were cut to {encoder.max_length}",
        file=sys.stderr,
    )
    return encoded


def facts_of(encoded: tokenize.Encoded, encoder) -> dict:
    """Return what the record says of texts in tokens: how long they are, and how many were cut."""
    return {
        "truncated": encoded.truncated,
        "max_length": encoder.max_length,
        "tokens_per_text": float(encoded.length.mean()),
    }


def widths_of(config) -> tuple[int, ...]:
    """Return the widths that batches are padded to, the longest last.

    A mean over the padding too needs one width for all.
    """
    widths = () if config.encoder.pooling == "mean_padded" else config.widths
    return (*widths, config.encoder.max_length)
