"""Published encoders are read and exported without loss, and other weights are refused."""

import importlib.util
import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

from dla_jax.config.checks import ConfigError
from dla_jax.models import bert, hub, pretrained
from dla_jax.models.bert import Classifier, Encoder

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None or importlib.util.find_spec("transformers") is None,
    reason="needs PyTorch and transformers: pip install -r requirements-bench.txt",
)


@pytest.mark.parametrize("family", bert.FAMILIES)
def test_an_export_loads_back_bit_equal(family, tmp_path):
    model, params, _ = pretrained.load_classifier(FIXTURES / family)
    pretrained.save(model, params, tmp_path / "model", ("red", "green", "blue"))
    again, found, names = pretrained.load_classifier(tmp_path / "model")
    assert again == model and names == ("red", "green", "blue")
    jax.tree.map(np.testing.assert_array_equal, found, params)
    # an encoder alone takes no notice of the head
    body, of_body = pretrained.load(tmp_path / "model")
    assert body == Encoder(model.config._replace(pooler=False))
    assert set(of_body) == set(params["encoder"]) - {"pooler"}


def test_a_pooling_that_transformers_has_not_is_not_exported(tmp_path):
    model, params, _ = pretrained.load_classifier(FIXTURES / "bert")
    pooled = Classifier(model.config, 3, pooling="mean")
    with pytest.raises(ConfigError, match=r"model.pooling: mean has no class"):
        pretrained.save(pooled, params, tmp_path / "model", ("a", "b", "c"))
    assert not (tmp_path / "model").exists()


def edited(tmp_path, family, edit=None, **config):
    """Copy a fixture with another config, and other tensors."""
    folder = tmp_path / "model"
    shutil.copytree(FIXTURES / family, folder)
    published = json.loads((folder / "config.json").read_text()) | config
    tensors = hub.read_tensors(folder)
    hub.write_folder(folder, published, edit(tensors) if edit else tensors)
    return folder


def renamed(old, new):
    return lambda tensors: {name.replace(old, new): tensor for name, tensor in tensors.items()}


LAYER = "encoder.layer.{}.attention.output.LayerNorm.bias is {}"
EMBEDDING = r"embeddings.word_embeddings.weight is \[13, 8\], expected \[14, 8\]"
QUERY = "encoder.layer.0.attention.self.query.weight is missing"


@pytest.mark.parametrize(
    ("edit", "config", "words"),
    [
        (None, {"num_hidden_layers": 3}, LAYER.format(2, "missing")),
        (None, {"num_hidden_layers": 1}, LAYER.format(1, "not expected")),
        (None, {"vocab_size": 14}, EMBEDDING),
        (renamed("query.weight", "query.wait"), {}, QUERY),
        (None, {"model_type": "t5"}, "'t5'"),
        (None, {"hidden_act": "silu"}, "hidden_act"),
        (None, {"position_embedding_type": "relative_key"}, "position_embedding_type"),
        (None, {"is_decoder": True}, "is_decoder"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(edit, config, words, tmp_path):
    with pytest.raises(ConfigError, match=words):
        pretrained.load(edited(tmp_path, "bert", edit, **config))


def test_old_names_of_norms_and_buffers_are_known(tmp_path):
    def edit(tensors):
        old = renamed("LayerNorm.weight", "LayerNorm.gamma")(tensors)
        old = renamed("LayerNorm.bias", "LayerNorm.beta")(old)
        assert not old.keys() & {name for name in tensors if "LayerNorm" in name}
        return old | {"bert.embeddings.position_ids": np.arange(11)}

    _, found = pretrained.load(edited(tmp_path, "bert", edit))
    _, expected = pretrained.load(FIXTURES / "bert")
    jax.tree.map(np.testing.assert_array_equal, found, expected)


@pytest.mark.parametrize("family", bert.FAMILIES)
def test_names_without_prefix_are_known(family, tmp_path):
    _, expected = pretrained.load(FIXTURES / family)
    _, found = pretrained.load(edited(tmp_path, family, renamed(pretrained.PREFIXES[family], "")))
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_a_folder_without_classes_is_no_classifier(tmp_path):
    with pytest.raises(ConfigError, match="names no classes"):
        pretrained.load_classifier(edited(tmp_path, "bert", id2label={}))


SIZES = {
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "hidden_size": 48,
    "intermediate_size": 80,
}
DISTILBERT_SIZES = {"n_layers": 3, "n_heads": 6, "dim": 48, "hidden_dim": 80}


def theirs(family):
    """Draw a classifier of transformers, larger than the stored one."""
    import torch
    import transformers

    torch.manual_seed(1)
    name = pretrained.CLASSES[family]
    config = getattr(transformers, f"{name}Config")(
        vocab_size=97,
        max_position_embeddings=40,
        num_labels=5,
        pad_token_id=1 if family == "roberta" else 0,
        **(DISTILBERT_SIZES if family == "distilbert" else SIZES),
    )
    return getattr(transformers, f"{name}ForSequenceClassification")(config).eval()


@needs_torch
@pytest.mark.parametrize("family", bert.FAMILIES)
@pytest.mark.parametrize("sharded", [False, True])
def test_parity_with_transformers(family, sharded, tmp_path):
    import torch

    model = theirs(family)
    model.save_pretrained(tmp_path, max_shard_size="50KB" if sharded else "1GB")
    assert (tmp_path / "model.safetensors.index.json").exists() == sharded
    lengths = np.array([38, 17, 1])
    text = np.arange(38) < lengths[:, None]
    drawn = np.random.default_rng(0).integers(2, 97, (3, 38))
    tokens = np.where(text, drawn, model.config.pad_token_id)
    inputs = {"input_ids": torch.tensor(tokens), "attention_mask": torch.tensor(text)}
    with torch.no_grad():
        answer = model(**inputs, output_hidden_states=True)
    expected = answer.hidden_states[-1].numpy()[text]
    ours, params, _ = pretrained.load_classifier(tmp_path)
    logits, features = ours.apply({"params": params}, tokens, lengths)
    np.testing.assert_allclose(logits, answer.logits.numpy(), atol=1e-5)
    np.testing.assert_allclose(features["hidden"][text], expected, atol=1e-5)
    if family == "roberta":  # negative control: positions from 0
        wrong = Encoder(ours.config._replace(family="bert", pooler=False))
        found = wrong.apply({"params": params["encoder"]}, tokens, lengths)["hidden"]
        assert np.abs(found[text] - expected).max() > 1e-3


@needs_torch
@pytest.mark.parametrize("family", bert.FAMILIES)
def test_transformers_loads_an_export(family, tmp_path):
    import torch

    model = theirs(family)
    model.save_pretrained(tmp_path / "theirs")
    ours, params, _ = pretrained.load_classifier(tmp_path / "theirs")
    pretrained.save(ours, params, tmp_path / "ours", tuple("abcde"))
    again, info = type(model).from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not any(info.values()) and again.config.id2label == dict(enumerate("abcde"))
    assert again.config.label2id["e"] == 4
    pairs = zip(model.state_dict().items(), again.state_dict().items(), strict=True)
    for (name, a), (_, b) in pairs:
        assert torch.equal(a, b), name
