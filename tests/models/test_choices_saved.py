"""A cross-encoder of choices as a folder that transformers reads, in all three families."""

import json

import jax
import numpy as np
import pytest
import safetensors.numpy

from dla_jax.config.checks import ConfigError
from dla_jax.models import pretrained
from dla_jax.models.bert import BertConfig, Classifier

HEADS = {
    "bert": {"bert.pooler.dense", "classifier"},
    "roberta": {"roberta.pooler.dense", "classifier"},
    "distilbert": {"pre_classifier", "classifier"},
}
CLASS = {"bert": "Bert", "roberta": "Roberta", "distilbert": "DistilBert"}


def made(family, folder):
    """Save a tiny cross-encoder with random parameters; return it with them."""
    sizes = {"vocab_size": 30, "n_layer": 1, "n_head": 2, "n_embd": 8, "intermediate": 12}
    sizes |= {"max_positions": 20, "type_vocab": {"bert": 2, "roberta": 1, "distilbert": 0}[family]}
    config = BertConfig(family=family, pooler=family == "bert", **sizes)
    config = config._replace(pad_id=1 if family == "roberta" else 0)
    model = Classifier(config, 1, "published")
    rng = np.random.default_rng(0)
    shapes = pretrained.shapes_of(model)
    params = jax.tree.map(lambda leaf: rng.normal(0, 0.5, leaf.shape).astype("f4"), shapes)
    pretrained.save_choices(model, params, folder)
    return model, params


@pytest.mark.parametrize("family", HEADS)
def test_the_folder_names_class_and_head_as_transformers_does(family, tmp_path):
    _, params = made(family, tmp_path)
    written = json.loads((tmp_path / "config.json").read_text())
    assert written["architectures"] == [f"{CLASS[family]}ForMultipleChoice"]
    assert not {"id2label", "label2id"} & set(written)
    tensors = safetensors.numpy.load_file(tmp_path / "model.safetensors")
    body = f"{family}.e" if family != "distilbert" else "distilbert."
    head = {name for name in tensors if not name.startswith(body)}
    assert head == {f"{name}.{part}" for name in HEADS[family] for part in ("weight", "bias")}
    assert tensors["classifier.weight"].shape == (1, 8)
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == sum(
        tensor.size for tensor in tensors.values()
    )


def test_another_pooling_is_refused(tmp_path):
    model, params = made("bert", tmp_path)
    with pytest.raises(ConfigError, match="mean has no class in transformers"):
        pretrained.save_choices(Classifier(model.config, 1, "mean"), params, tmp_path / "other")


@pytest.mark.parametrize("family", HEADS)
def test_transformers_gives_the_same_scores(family, tmp_path):
    torch = pytest.importorskip("torch", reason="needs requirements-bench.txt")
    transformers = pytest.importorskip("transformers", reason="needs requirements-bench.txt")
    model, params = made(family, tmp_path)
    theirs = transformers.AutoModelForMultipleChoice.from_pretrained(str(tmp_path)).eval()
    rng = np.random.default_rng(1)
    token, length = rng.integers(3, 30, (4, 12)), np.array([12, 9, 5, 12])
    token = np.where(np.arange(12) < length[:, None], token, model.config.pad_id)
    mask = torch.from_numpy(np.arange(12) < length[:, None]).long()
    with torch.no_grad():
        expected = theirs(
            input_ids=torch.from_numpy(token)[None], attention_mask=mask[None]
        ).logits.numpy()
    found = model.apply({"params": params}, token, length)[0]
    np.testing.assert_allclose(found[:, 0], expected[0], atol=1e-5)
