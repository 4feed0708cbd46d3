"""Interpolated n-grams equal their definition, written out with dictionaries."""

import collections

import numpy as np
import pytest

from dla_jax.analysis.ngrams import interpolated


def by_hand(train, context, token, order, vocab_size):
    """Return p(token | the last order - 1 of context), by Witten and Bell's recursion."""
    if order == 0:
        return 1 / vocab_size
    history = tuple(context[len(context) - order + 1 :]) if order > 1 else ()
    if len(context) < order - 1:
        return by_hand(train, context, token, order - 1, vocab_size)
    followers = collections.Counter(
        train[i] for i in range(order - 1, len(train)) if tuple(train[i - order + 1 : i]) == history
    )
    below = by_hand(train, context, token, order - 1, vocab_size)
    if not followers:
        return below
    count, kinds = followers.total(), len(followers)
    return (followers[token] + kinds * below) / (count + kinds)


@pytest.mark.parametrize("seed", range(3))
def test_against_dictionaries(seed):
    rng = np.random.default_rng(seed)
    tokens = rng.integers(0, 5, 90) * rng.integers(0, 2, 90)
    found = interpolated(tokens, 60, 55, 90, 6, 4)
    for order in range(1, 5):
        for i in range(55, 90):
            expected = by_hand(tokens[:60].tolist(), tokens[:i].tolist(), tokens[i], order, 6)
            p = np.exp(found[order - 1, i - 55])
            assert p == pytest.approx(expected, rel=1e-12), (order, i)


def test_the_first_tokens_of_a_text_have_shorter_contexts():
    tokens = np.array([0, 1, 0, 1, 1])
    found = interpolated(tokens, 5, 0, 5, 2, 3)
    assert found[2, 0] == found[0, 0] and found[2, 1] == found[1, 1] and found[2, 2] != found[1, 2]


@pytest.mark.parametrize("context", [[], [0], [1, 2], [3, 3, 3], [2, 0, 1, 1]])
def test_probabilities_sum_to_one(context):
    train = np.random.default_rng(0).integers(0, 4, 200)
    total = np.zeros(5)
    for token in range(5):  # 4 was never seen
        tokens = np.concatenate([train, context, [token]]).astype(int)
        total += np.exp(interpolated(tokens, 200, len(tokens) - 1, len(tokens), 5, 5)[:, 0])
    np.testing.assert_allclose(total, 1, rtol=1e-12)


def test_longer_contexts_help_where_the_text_has_them():
    tokens = np.tile([0, 0, 1, 1], 100)  # the next token is known from the two before it
    nats = -interpolated(tokens, 360, 360, 400, 2, 3).mean(1)
    assert nats[0] == pytest.approx(np.log(2), abs=0.01) and nats[1] > 0.5 and nats[2] < 0.02
