"""One run of a classifier of texts, from the texts to the scores: what fine-tuning and frozen features share."""

import functools
import hashlib
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from ml_collections import FrozenConfigDict
from scipy.special import log_softmax, softmax

from dla_jax.config.checks import check, check_choice, check_count, check_number
from dla_jax.config.workdir import Run
from dla_jax.data import labelled, splits, tokenize
from dla_jax.evidence.rows import brief
from dla_jax.models import hub, pretrained
from dla_jax.models.bert import BertConfig, Encoder
from dla_jax.models.build import DTYPES
from dla_jax.models.gpt import GPT, GPTConfig
from dla_jax.training.mesh import together
from dla_jax.training.metrics import class_scores
from dla_jax.training.optim import check_optim
from dla_jax.training.steps import STEPS

WRONG, EXCERPT = 8, 300  # examples that a run got most wrong, and characters of each


def check_config(config, run: Run) -> None:
    """Raises ConfigError for the keys that all these stories have, but for the data."""
    check(run.from_dir is None, "--from: this study trains its own models; leave it out")
    check_choice("compute_dtype", config.compute_dtype, DTYPES)
    check_number("label_smoothing", config.label_smoothing, low=0, below=1)
    check_choice("class_weight", config.class_weight, splits.CLASS_WEIGHTS)
    check_choice("parallel", config.parallel, tuple(STEPS))
    check(
        config.parallel == "jit" or jax.process_count() == 1,
        "parallel: pmap runs on one host; with --multihost leave it at jit",
    )
    check_optim(config.optim)
    for key in ("num_epochs", "batch_size", "eval_every_epochs", "steps_per_call", "accumulate"):
        check_count(key, config[key])
    for key in ("log_every_steps", "checkpoint_every_steps", "patience", "cells_at_a_time"):
        check_count(key, config[key], low=0)
    parts = config.accumulate * jax.device_count()
    check(
        config.batch_size % parts == 0,
        f"batch_size: {config.batch_size} is not divisible by accumulate times the devices, {parts}",
    )


def check_encoder(encoder, widths) -> None:
    """Raises ConfigError for a `config.encoder` that is not buildable, and for `widths` that do not fit it."""
    check_count("encoder.max_length", encoder.max_length, low=4)
    for width in widths:
        check_count("widths", width)
    check(list(widths) == sorted(set(widths)), f"widths: {widths} must ascend")
    check(
        not widths or widths[-1] < encoder.max_length,
        f"widths: {widths[-1:]} must be less than encoder.max_length, "
        f"{encoder.max_length}, which is the last by itself",
    )
    if not encoder.path:
        for key in ("n_layer", "n_head", "n_embd", "intermediate", "vocab_size"):
            check_count(f"encoder.{key}", encoder[key])
        check(
            encoder.n_embd % encoder.n_head == 0,
            f"encoder.n_embd: {encoder.n_embd} is not divisible by n_head, {encoder.n_head}",
        )


def check_published(encoder, kinds: tuple, download: bool) -> BertConfig | GPTConfig | None:
    """The config of the published model of a `config.encoder`, None where there is none.

    Raises:
      ConfigError: it is not to be had, none of these `kinds`, or has too few positions; weights or tokenizer do not fit.
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
        f"encoder.max_length: {encoder.max_length} tokens, but {encoder.path} has positions for {most}",
    )
    fingerprint(folder)
    return model.config


@functools.lru_cache(maxsize=16)  # a cache of the hub is searched once
def find(path: str, download: bool) -> Path:
    """The folder of a published model."""
    return hub.find(path, download)


def load(config, run: Run) -> labelled.LabelledTexts:
    """The labelled texts; of several processes the first prepares them while the others wait."""
    read = lambda: read_once(FrozenConfigDict(config.data.to_dict()), run.data_dir, run.download)
    first = together(read if run.first else lambda: None, "read the data")
    return together(lambda: first or read(), "read the data")


@functools.lru_cache(maxsize=1)  # once for the check of a config and its run
def read_once(data: FrozenConfigDict, data_dir: Path, download: bool) -> labelled.LabelledTexts:
    """`labelled.load`."""
    return labelled.load(data, data_dir, download)


def check_data(config, run: Run) -> labelled.LabelledTexts:
    """Reads the labelled texts, and raises ConfigError when they are not to be had or too few for a batch."""
    labelled.check_config(config.data, run.data_dir, run.download)
    texts = load(config, run)
    train = split(config, texts, config.seeds[0])["train"]
    check(
        config.batch_size <= len(train),
        f"batch_size: {config.batch_size} is larger than the training part of "
        f"{texts.name}, {len(train)} texts",
    )
    return texts


def split(config, texts: labelled.LabelledTexts, seed: int) -> dict[str, np.ndarray]:
    """The parts of a seed's data: {"train", "val", "test"}: int32 positions."""
    return splits.split(texts, seed, config.data.val_fraction, config.data.test_fraction)


class ClassNames(NamedTuple):
    """What is left of labelled texts in a finished workdir."""

    class_names: tuple[str, ...]


class Body(NamedTuple):
    """An encoder or decoder without a head: its config, published parameters (None: a random start), and its tokenizer."""

    config: BertConfig | GPTConfig
    params: dict | None
    tokenizer: tokenize.Pieces
    pad_id: int


def load_body(encoder, dtype: str, texts: labelled.LabelledTexts, run: Run) -> Body:
    """The body of a `config.encoder`; one without a path starts at random, with a tokenizer learned from the texts, which the
    workdir keeps.

    Raises:
      ConfigError: weights or tokenizer are missing, damaged, or do not fit.
    """
    if encoder.path:
        folder = find(encoder.path, run.download)
        body = _published(folder, encoder.pooling == "published")
        return body._replace(config=body.config._replace(dtype=dtype))
    path = run.workdir / "tokenizers" / "wordpiece.json"
    learn = lambda: tokenize.save(
        tokenize.train_wordpiece(texts.texts[: texts.test_start], encoder.vocab_size), path
    )
    together(learn if run.first and not path.exists() else lambda: None, "write the tokenizer")
    tokenizer = together(lambda: tokenize.load(path), "read the tokenizer")
    config = BertConfig(
        "bert",
        tokenizer.vocab_size,
        encoder.max_length,
        encoder.n_layer,
        encoder.n_head,
        encoder.n_embd,
        encoder.intermediate,
        type_vocab=2,
        dtype=dtype,
    )
    return Body(config, None, tokenizer, 0)


@functools.lru_cache(maxsize=4)
def _published(folder: Path, pooler: bool) -> Body:
    model, params = pretrained.load(
        folder, pooler=pooler and hub.read_json(folder / "config.json").get("model_type") == "bert"
    )
    tokenizer = tokenize.published(folder, model.config.vocab_size)
    check(
        isinstance(model, GPT) or len(tokenizer.encode("a")) > 2,
        f"the tokenizer of {folder} puts no special tokens around a text, which its model expects",
    )
    return Body(
        model.config, params, tokenizer, 0 if isinstance(model, GPT) else model.config.pad_id
    )


def identity(texts: labelled.LabelledTexts, encoders, run: Run) -> dict:
    """What a workdir remembers: of its texts, and of the published models that it stands on. `encoders`: groups of the config."""
    paths = dict.fromkeys(encoder.path for encoder in encoders if encoder.path)
    return texts.identity | {
        "encoders": {path: fingerprint(find(path, run.download)) for path in paths}
    }


@functools.lru_cache(maxsize=4)
def fingerprint(folder: Path) -> str:
    """16 hex digits over the weights and the tokenizer of a published model."""
    body = _published(folder, False)
    digest = hashlib.sha256(body.tokenizer.dumps().encode())
    for leaf in jax.tree.leaves(body.params):
        digest.update(np.ascontiguousarray(leaf))
    return digest.hexdigest()[:16]


def encode(body: Body, texts: labelled.LabelledTexts, encoder, lower: bool) -> tokenize.Encoded:
    """The texts in tokens; how many were cut is said on the screen and in the report."""
    words = [text.lower() for text in texts.texts] if lower else texts.texts
    encoded = body.tokenizer.encode_all(words, encoder.max_length, body.pad_id)
    print(
        f"{len(words):,} texts of {encoded.length.mean():.0f} tokens on average; {encoded.truncated:,} were cut to "
        f"{encoder.max_length}",
        file=sys.stderr,
    )
    return encoded


def widths_of(config) -> tuple[int, ...]:
    """The widths that batches are padded to, the longest last; a mean over the padding too needs one width for all."""
    return (
        *(() if config.encoder.pooling == "mean_padded" else config.widths),
        config.encoder.max_length,
    )


def scores(logits: np.ndarray, labels: np.ndarray, prefix: str) -> dict[str, float]:
    """{"<prefix>_loss": nats, "<prefix>_accuracy"} of logits float [N, C] and labels int32 [N]."""
    loss = -np.take_along_axis(log_softmax(logits.astype(np.float64), 1), labels[:, None], 1).mean()
    return {
        f"{prefix}_loss": float(loss),
        f"{prefix}_accuracy": float((logits.argmax(1) == labels).mean()),
    }


def details(logits: np.ndarray, rows: np.ndarray, texts: labelled.LabelledTexts) -> dict:
    """Return what the report shows of a test part: macro F1, the accuracy of each class, the confusion matrix, and what was most
    surely taken for something else.

    Args:
      logits: float [N, C].
      rows: int32 [N], which of the texts they are.
    """
    from sklearn.metrics import confusion_matrix, f1_score

    labels, found = texts.labels[rows], logits.argmax(1)
    p = softmax(logits, 1).max(1)
    worst = [i for i in np.argsort(-p, kind="stable") if found[i] != labels[i]][:WRONG]
    wrong = [
        {
            "text": texts.texts[rows[i]][:EXCERPT],
            "label": texts.class_names[labels[i]],
            "predicted": texts.class_names[found[i]],
            "probability": round(float(p[i]), 4),
        }
        for i in worst
    ]
    confusion = confusion_matrix(labels, found, labels=range(len(texts.class_names)))
    return {
        "macro_f1": float(f1_score(labels, found, average="macro", zero_division=0)),
        "wrong": wrong,
        **class_scores(np.diag(confusion), confusion.sum(1)),
        **brief({"confusion": confusion}),
    }


def unscored(texts: labelled.LabelledTexts) -> dict:
    """Return what stands for the scores of a run whose loss became non-finite: those of guessing, each class as probable."""
    num_classes = len(texts.class_names)
    share = np.bincount(texts.labels, minlength=num_classes) / len(
        texts.labels
    )  # a guess is right in so many of a class
    chance = dict.fromkeys(("val_accuracy", "test_accuracy", "balanced_accuracy"), 1 / num_classes)
    loss = {
        "test_loss": math.log(num_classes),
        "val_loss": None,
    }  # of rates that guess alike one that diverged comes last
    unknown = dict.fromkeys(
        ("examples_per_s", "seconds_per_epoch", "confusion", "class_counts", "class_accuracy")
    )
    return (
        chance
        | loss
        | {"macro_f1": float(np.mean(2 * share / (1 + num_classes * share))), "wrong": []}
        | unknown
    )


def test_of(
    state_logits: Callable, config, texts: labelled.LabelledTexts, rows: np.ndarray
) -> Callable:
    """state -> the scores of the test part. `state_logits`: (state, rows) -> float32 [len(rows), C]."""

    def test(state):
        logits = state_logits(state, rows)
        return scores(logits, texts.labels[rows], "test") | details(logits, rows, texts)

    return test
