import jax.numpy as jnp
import numpy as np
from scipy.special import log_softmax
from sklearn.metrics import accuracy_score, log_loss

from dla_jax.metrics import accuracy, cross_entropy, masked_sums

RNG = np.random.default_rng(0)
LOGITS, LABELS = RNG.normal(0, 3, (50, 7)).astype(np.float32), RNG.integers(0, 7, 50).astype(np.int32)


def test_loss_and_accuracy_equal_scikit_learns():
    probabilities = np.exp(log_softmax(LOGITS.astype(float), -1))
    np.testing.assert_allclose(cross_entropy(LOGITS, LABELS).mean(), log_loss(LABELS, probabilities, labels=range(7)), rtol=1e-5)
    np.testing.assert_allclose(accuracy(LOGITS, LABELS), accuracy_score(LABELS, LOGITS.argmax(-1)), rtol=1e-6)


def test_the_loss_is_computed_in_float32():
    assert cross_entropy(jnp.asarray(LOGITS, jnp.bfloat16), LABELS).dtype == jnp.float32


def test_padding_counts_for_nothing_even_when_its_logits_overflow():
    padded = np.concatenate([LOGITS, np.full((6, 7), np.inf, np.float32)])
    labels, mask = np.pad(LABELS, (0, 6)), np.concatenate([np.ones(50), np.zeros(6)]).astype(np.float32)
    sums = masked_sums(padded, labels, mask)
    np.testing.assert_allclose(sums["loss"], cross_entropy(LOGITS, LABELS).sum(), rtol=1e-5)
    assert sums["count"] == 50 and sums["accuracy"] == (LOGITS.argmax(-1) == LABELS).sum()
