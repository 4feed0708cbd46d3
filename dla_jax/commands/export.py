"""A fine-tuned classifier of texts as a folder that `transformers` loads."""

import json
import sys
from pathlib import Path

import jax
import numpy as np
from ml_collections import ConfigDict

from dla_jax.config.checks import check
from dla_jax.config.files import expand, write_atomically
from dla_jax.config.workdir import Run, read_config, write_config
from dla_jax.data import tokenize
from dla_jax.evidence import tables
from dla_jax.models import pretrained
from dla_jax.studies.finetune import study
from dla_jax.training.mesh import data_mesh, describe_devices
from dla_jax.trials import finished
from dla_jax.trials.arms import own_config

SPECIAL = {
    "pad_token": ("[PAD]", "<pad>"),
    "cls_token": ("[CLS]", "<s>"),
    "sep_token": ("[SEP]", "</s>"),
    "unk_token": ("[UNK]", "<unk>"),
    "mask_token": ("[MASK]", "<mask>"),
}


def check_config(config, run: Run) -> None:
    """Raises ConfigError for a workdir without a network that can be exported, or a folder that is taken."""
    check(jax.process_count() == 1, "--multihost: one process exports; leave it out")
    check(
        run.from_dir is not None or bool(config.made),
        "--from is missing; give the workdir of a finished study of fine-tuning, as in --from=runs/yahoo",
    )
    check(
        run.from_dir is None or not config.made,
        "--from: this preset makes its own model; leave it out",
    )
    folder = target(config, run)
    check(not folder.exists() or folder.is_dir(), f"folder: {folder} is a file; give a folder")
    again = (run.workdir / "config.json").is_file()  # the same command: the folder is what it made
    check(
        again or not folder.exists() or not any(folder.iterdir()),
        f"folder: {folder} is not empty; give another",
    )
    if config.made:
        study.check_config(config.made, finished.made_run(run))
    else:
        choose(run.from_dir, config.network)


def target(config, run: Run) -> Path:
    """The folder to be made."""
    return expand("folder", config.folder) if config.folder else run.workdir / "exported"


def choose(workdir: Path, network: str) -> dict:
    """The last row of the best run that can be exported.

    Raises:
      ConfigError: there is none.
    """
    config = ConfigDict(read_config(workdir)["config"])

    def score(row):
        pooling = own_config(config, row["group"]).encoder.pooling
        return pooling == "published", row["val_accuracy"]

    row = finished.choose_run(workdir, network, ("finetune",), "fine-tuned classifier", score)
    own = own_config(config, row["group"])
    pooling = own.encoder.pooling
    check(
        pooling == "published",
        f"--from: {row['group']} in {workdir} has encoder.pooling={pooling}, which no class of "
        "transformers has; train with --config.encoder.pooling=published",
    )
    check(
        not own.data.lower,
        f"--from: {row['group']} in {workdir} reads lower-cased texts, which the folder could not say; "
        "train with --config.data.lower=false",
    )
    return row


def run(config, run: Run) -> None:
    """Writes the folder."""
    workdir, folder = finished.workdir_of(config, run, study.run), target(config, run)
    row = choose(workdir, config.network)
    data = read_config(workdir)["data"]
    write_config(
        run.workdir,
        config.to_dict(),
        describe_devices(),
        {"name": str(workdir), "run": row["run"], "fingerprint": data["fingerprint"]},
    )
    found = finished.read_text_classifier(workdir, row, run, data_mesh())
    params = jax.tree.map(np.asarray, found.params)
    pretrained.save(found.model, params, folder, found.class_names)
    write_tokenizer(
        found.body.tokenizer,
        own_config(ConfigDict(read_config(workdir)["config"]), row["group"]),
        folder,
    )
    balanced = tables.balanced_words([row])
    print(
        f"{row['run']} of {workdir}: {100 * row['test_accuracy']:.1f} % on its test part{balanced}",
        file=sys.stderr,
    )
    print(f"written: {folder}", file=sys.stderr)


def write_tokenizer(tokenizer: tokenize.Pieces, config, folder: Path) -> None:
    """Writes the tokenizer as transformers reads it, with the length at which texts are cut."""
    tokenize.save(tokenizer, folder / "tokenizer.json")
    special = {
        name: word
        for name, words in SPECIAL.items()
        for word in words
        if tokenizer.tokenizer.token_to_id(word) is not None
    }
    written = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": config.encoder.max_length,
        **special,
    }
    write_atomically(folder / "tokenizer_config.json", json.dumps(written, indent=1))


def draw(workdir: Path) -> None:
    """Says where the folder is."""
    print(f"exported by: {read_config(workdir)['launches'][-1]['command']}", file=sys.stderr)
