"""A fine-tuned classifier of texts as a folder that `transformers` loads."""

import json
import sys
from pathlib import Path

import jax
import numpy as np
from ml_collections import ConfigDict

from dla_jax.config.checks import check
from dla_jax.config.files import expand, write_atomically
from dla_jax.config.workdir import Launch
from dla_jax.config.written import read_config, write_config
from dla_jax.data import tokenize
from dla_jax.evidence import tables
from dla_jax.models import pretrained
from dla_jax.studies import find, run_experiment, with_like
from dla_jax.studies.study import Command, restore
from dla_jax.training.mesh import data_mesh, describe_devices
from dla_jax.trials.arms import own_config
from dla_jax.trials.finished import (
    CHOICES,
    check_source,
    choose_run,
    made_launch,
    make_source,
    source_words,
)

SPECIAL = {
    "pad_token": ("[PAD]", "<pad>"),
    "cls_token": ("[CLS]", "<s>"),
    "sep_token": ("[SEP]", "</s>"),
    "unk_token": ("[UNK]", "<unk>"),
    "mask_token": ("[MASK]", "<mask>"),
}


def check_config(config, launch: Launch) -> None:
    """Raise ConfigError for a workdir that holds nothing to export, or a folder that is taken."""
    check(jax.process_count() == 1, "--multihost: one process exports; leave it out")
    check_source(config, launch, "fine-tuning", "runs/yahoo")
    folder = target(config, launch)
    check(not folder.exists() or folder.is_dir(), f"folder: {folder} is a file; give a folder")
    # The same command again: the folder is what it made.
    again = (launch.workdir / "config.json").is_file()
    check(
        again or not folder.exists() or not any(folder.iterdir()),
        f"folder: {folder} is not empty; give another",
    )
    if config.made:
        find(config.made.experiment).check(config.made, made_launch(launch))
    else:
        choose(launch.from_dir, config.network)


def target(config, launch: Launch) -> Path:
    """Return the folder to be made."""
    return expand("folder", config.folder) if config.folder else launch.workdir / "exported"


def choose(workdir: Path, network: str) -> dict:
    """Return the last row of the best run that can be exported.

    Raises:
      ConfigError: there is none.
    """
    config = ConfigDict(read_config(workdir)["config"])

    def score(row: dict) -> tuple:
        own = own_config(config, row["group"])
        return is_fine_tuned(own), own.encoder.pooling == "published", row["val_accuracy"]

    known = with_like(("finetune", *CHOICES), workdir)
    row = choose_run(workdir, network, known, "fine-tuned classifier", score)
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


def run(config, launch: Launch) -> None:
    """Write the folder."""
    workdir = make_source(config, launch, run_experiment)
    row, folder = choose(workdir, config.network), target(config, launch)
    written = read_config(workdir)
    fingerprint = written["data"]["fingerprint"]
    identity = {"name": str(workdir), "run": row["run"], "fingerprint": fingerprint}
    write_config(launch.workdir, config.to_dict(), describe_devices(), identity)
    there = launch._replace(workdir=workdir)
    found = restore(workdir, row, launch=there, mesh=data_mesh(), at_most=1)
    params = jax.tree.map(np.asarray, found.params)
    if written["config"]["experiment"] in with_like(CHOICES, workdir):
        pretrained.save_choices(found.model, params, folder)
    else:
        pretrained.save(found.model, params, folder, found.class_names)
    own = own_config(ConfigDict(written["config"]), row["group"])
    write_tokenizer(found.body.tokenizer, own, folder)
    accuracy = f"{100 * row['test_accuracy']:.1f} % on its test part{tables.balanced_words([row])}"
    print(f"{row['run']} of {workdir}: {accuracy}", file=sys.stderr)
    print(f"written: {folder}", file=sys.stderr)


def write_tokenizer(tokenizer: tokenize.Pieces, config, folder: Path) -> None:
    """Write the tokenizer as transformers reads it, with the length at which texts are cut."""
    tokenize.save(tokenizer, folder / "tokenizer.json")
    known = tokenizer.tokenizer.token_to_id
    special = {
        name: word for name, words in SPECIAL.items() for word in words if known(word) is not None
    }
    written = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": config.encoder.max_length,
        **special,
    }
    write_atomically(folder / "tokenizer_config.json", json.dumps(written, indent=1))


def draw(workdir: Path) -> None:
    """Print how the folder was made."""
    print(f"exported by: {read_config(workdir)['launches'][-1]['command']}", file=sys.stderr)


def tell(config, launch: Launch) -> str:
    """Return what would be done, in a line."""
    return f"export {source_words(config, launch, 'classifier')}, to {target(config, launch)}"


COMMAND = Command(check=check_config, tell=tell, run=run, draw=draw)
