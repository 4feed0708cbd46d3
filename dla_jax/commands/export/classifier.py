"""A fine-tuned classifier of texts, or a network that chooses answers, for `transformers`."""

import json
from pathlib import Path

import jax
import numpy as np
from ml_collections import ConfigDict

from dla_jax.commands.export.card import Model
from dla_jax.config.checks import check
from dla_jax.config.files import write_atomically
from dla_jax.config.workdir import Launch
from dla_jax.config.written import read_config
from dla_jax.data import tokenize
from dla_jax.models import pretrained
from dla_jax.studies import with_like
from dla_jax.studies.study import restore
from dla_jax.training.mesh import data_mesh
from dla_jax.trials.arms import own_config
from dla_jax.trials.finished import CHOICES, choose_run

STUDIES = ("finetune", *CHOICES)
SPECIAL = {
    "pad_token": ("[PAD]", "<pad>"),
    "cls_token": ("[CLS]", "<s>"),
    "sep_token": ("[SEP]", "</s>"),
    "unk_token": ("[UNK]", "<unk>"),
    "mask_token": ("[MASK]", "<mask>"),
}
CLASSIFY = """\
from transformers import pipeline

folder = "."  # where this card lies
classify = pipeline("text-classification", folder)
print(classify("A text to classify.", truncation=True))
"""
CHOOSE = """\
import torch
from transformers import AutoModelForMultipleChoice, AutoTokenizer

folder = "."  # where this card lies
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForMultipleChoice.from_pretrained(folder).eval()
passage, question = "Anna baked bread. Otto rode a bicycle.", "Who baked?"
options = {options}
pairs = [f"{question} {option}" for option in options]
{read}
with torch.no_grad():
    scores = model(**{name: values[None] for name, values in read.items()}).logits[0]
print(options[scores.argmax()])
"""
# How an option's text is read: behind the passage, or alone.
WITH_PASSAGE = """\
read = tokenizer(
    [passage] * len(pairs), pairs, truncation="only_first", padding=True, return_tensors="pt"
)"""
ALONE = """\
read = tokenizer(pairs, truncation=True, padding=True, return_tensors="pt")  # no passage"""


def choose(workdir: Path, network: str) -> dict:
    """Return the last row of the best run that can be exported.

    Raises:
      ConfigError: there is none.
    """
    config = ConfigDict(read_config(workdir)["config"])

    def score(row: dict) -> tuple:
        own = own_config(config, row["group"])
        return is_fine_tuned(own), own.encoder.pooling == "published", row["val_accuracy"]

    row = choose_run(workdir, network, with_like(STUDIES, workdir), "fine-tuned classifier", score)
    own = own_config(config, row["group"])
    check(
        is_fine_tuned(own),
        f"--from: {row['group']} in {workdir} ranks vectors of a frozen encoder, which no class of "
        "transformers does; name a network that reads all together, as in --config.network=cross",
    )
    pooling = own.encoder.pooling
    check(
        pooling == "published",
        f"--from: {row['group']} in {workdir} has encoder.pooling={pooling}, which no class of "
        "transformers has; train with --config.encoder.pooling=published",
    )
    check(
        not own.data.lower,
        f"--from: {row['group']} in {workdir} reads lower-cased texts, which the folder could not "
        "say; train with --config.data.lower=false",
    )
    return row


def is_fine_tuned(own) -> bool:
    """Return whether an arm is an encoder that was trained itself. `own`: its config."""
    return own.model.name in ("encoder", "cross")


def write(workdir: Path, row: dict, folder: Path, launch: Launch) -> Model:
    """Write a run's network and tokenizer; return what the card says of them."""
    written = read_config(workdir)
    there = launch._replace(workdir=workdir)
    found = restore(workdir, row, launch=there, mesh=data_mesh(), at_most=1)
    params = jax.tree.map(np.asarray, found.params)
    own = own_config(ConfigDict(written["config"]), row["group"])
    length = own.encoder.max_length
    limits = [f"It was trained and scored on texts cut to {length} tokens."]
    if written["config"]["experiment"] in with_like(CHOICES, workdir):
        pretrained.save_choices(found.model, params, folder)
        model = choosing(written["data"]["num_options"], own.model.num_windows, limits)
    else:
        pretrained.save(found.model, params, folder, found.class_names)
        names = ", ".join(found.class_names)
        model = Model(
            library="transformers",
            task="text-classification",
            what=f"A classifier of texts. Its classes: {names}.",
            snippet=CLASSIFY,
            limits=[*limits, "It names one of its classes for every text, also for one of none."],
        )
    types = found.model.config.type_vocab > 1
    write_tokenizer(found.body.tokenizer, length, types, folder)
    return model


def choosing(num_options: int, num_windows: int, limits: list[str]) -> Model:
    """Return what the card says of a network that chooses answers.

    Args:
      num_windows: of the passage, as `model.num_windows` has them; 0: it reads the question alone.
    """
    letters = json.dumps([f"{name}." for name in ("Anna", "Otto", "Both", "Neither")[:num_options]])
    what = "a passage and a question" if num_windows else "a question, without its passage,"
    if num_windows == 0:
        limits = [*limits, "It was trained without passages: one that it is given misleads it."]
    elif num_windows == 1:
        limits = [
            *limits,
            "Of a long passage it was scored on the beginning, as much for every option; the "
            "example cuts it for each option alone, so that its scores are slightly others.",
        ]
    else:
        limits = [
            *limits,
            f"Its scores are of up to {num_windows} windows of a long passage, the best of which "
            "counts for each option. The example reads the beginning alone.",
        ]
    return Model(
        library="transformers",
        task="multiple-choice",
        what=f"It reads {what} with each of {num_options} options, and scores each. The option "
        "stands in the question's first gap `_`, or behind it.",
        snippet=CHOOSE.replace("{options}", letters).replace(
            "{read}", WITH_PASSAGE if num_windows else ALONE
        ),
        limits=limits,
    )


def write_tokenizer(tokenizer: tokenize.Pieces, length: int, types: bool, folder: Path) -> None:
    """Write the tokenizer as transformers reads it.

    Args:
      length: tokens that texts are cut to.
      types: whether the network tells a second text by its token type, as BERT does.
    """
    known = tokenizer.tokenizer.token_to_id
    special = {
        name: word for name, words in SPECIAL.items() for word in words if known(word) is not None
    }
    tokenize.save(tokenizer, folder / "tokenizer.json")
    written = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": length,
        # Version 5 gives types where they are named, version 4 else also to DistilBERT.
        "model_input_names": ["input_ids", *["token_type_ids"] * types, "attention_mask"],
        **special,
    }
    write_atomically(folder / "tokenizer_config.json", json.dumps(written, indent=1))
