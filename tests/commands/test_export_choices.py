"""An exported network of multiple choice gives its scores elsewhere, and its card says of what."""

import json

import jax
import numpy as np
import pytest
from cards import run
from launching import assert_refused, launch
from ml_collections import ConfigDict

from dla_jax.commands.export import classifier
from dla_jax.config.workdir import Launch
from dla_jax.config.written import read_config
from dla_jax.data.choices import load
from dla_jax.studies.study import restore
from dla_jax.tasks.choice_pairs import gather, make_pairs
from dla_jax.training.mesh import data_mesh


@pytest.fixture(scope="module")
def workdir(smoke):
    return smoke("race")[0]


def test_what_reads_all_together_is_exported_and_the_others_are_not(workdir, tmp_path):
    flags = ("--config=configs/export.py", f"--from={workdir}")
    answer = launch(*flags, f"--workdir={tmp_path / 'run'}")
    assert answer.code == 0, answer.err
    folder = tmp_path / "run" / "exported"
    written = json.loads((folder / "config.json").read_text())
    assert written["architectures"] == ["BertForMultipleChoice"]
    tokens = json.loads((folder / "tokenizer_config.json").read_text())
    assert tokens["model_input_names"] == ["input_ids", "token_type_ids", "attention_mask"]
    assert (folder / "tokenizer.json").is_file()
    card = (folder / "README.md").read_text()
    assert "pipeline_tag: multiple-choice\n" in card and "This model alone has no interval" in card
    answer = launch(*flags, "--config.network=softmax", f"--workdir={tmp_path / 'other'}")
    assert_refused(answer, ["softmax", "frozen encoder", "--config.network=cross"])


def test_the_cards_example_gives_the_scores_that_we_give(workdir, tmp_path):
    """With the types of tokens: without them BERT takes the question for a part of the passage."""
    pytest.importorskip("transformers"), pytest.importorskip("torch")
    there = Launch(workdir, from_dir=None, data_dir=workdir, download=False, quiet=True)
    row, folder = classifier.choose(workdir, "cross"), tmp_path / "made"
    code = classifier.write(workdir, row, folder, there).snippet
    # a passage that fits into 32 tokens
    said, names = run(code.replace("Anna baked bread. Otto rode a bicycle.", "Otto."), folder)
    options, scores = names["options"], names["scores"].numpy()
    assert said.strip() == options[scores.argmax()]
    config = ConfigDict(read_config(workdir)["config"])
    asked = load(config.data, workdir, download=False)._replace(
        passages=(names["passage"],),
        questions=(names["question"],),
        options=(tuple(options),),
        answers=np.zeros(1, np.int32),
        passage=np.zeros(1, np.int32),
        level=("",),
    )
    found = restore(workdir, row, launch=there, mesh=data_mesh(jax.devices()[:1]), at_most=1)
    np.testing.assert_allclose(scores, found.logits(asked)[0], atol=1e-5)
    # So small a network hardly tells the types apart: they are compared themselves.
    pairs = make_pairs(found.body.tokenizer, found.body.pad_id, asked, lower=False)
    own = gather(pairs, np.zeros(1, int), np.arange(len(options))[None], 32, 1, (32,))
    read = {name: values.numpy() for name, values in names["read"].items()}
    width = read["input_ids"].shape[1]
    np.testing.assert_array_equal(read["input_ids"], own["token"][0, :, 0, :width])
    np.testing.assert_array_equal(read["token_type_ids"], own["type"][0, :, 0, :width])
    assert set(read["token_type_ids"].flat) == {0, 1}


def test_a_card_says_how_much_of_the_passage_was_read():
    blind, one, three = (classifier.choosing(4, windows, ["A."]) for windows in (0, 1, 3))
    assert "a question, without its passage," in blind.what and "misleads it" in blind.limits[1]
    assert "tokenizer(pairs, truncation=True" in blind.snippet
    assert "a passage and a question" in one.what and "the beginning" in one.limits[1]
    assert one.snippet == three.snippet and "[passage] * len(pairs), pairs" in one.snippet
    assert "up to 3 windows" in three.limits[1] and three.limits[0] == "A."
    for card in (blind, one):
        compile(card.snippet, "example", "exec")
