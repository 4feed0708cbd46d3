"""Attention and rotary positions, against numpy."""

import jax
import numpy as np
import pytest

from dla_jax.models.attention import attend, causal, rotate

turn = jax.jit(rotate)


def test_attention_against_numpy():
    rng = np.random.default_rng(0)
    q, k, v = (rng.normal(size=size) for size in ((1, 3, 4, 5), (1, 6, 2, 5), (1, 6, 2, 5)))
    find = jax.jit(lambda q, k, v: attend(q, k, v, causal(3, 6, start=3)))
    out, weights = jax.device_get(find(*(np.float32(x) for x in (q, k, v))))
    for head, i in np.ndindex(4, 3):
        seen = 4 + i
        scores = k[0, :seen, head // 2] @ q[0, i, head] / np.sqrt(5)
        expected = np.exp(scores) / np.exp(scores).sum()
        np.testing.assert_allclose(weights[0, head, i, :seen], expected, atol=1e-6)
        assert (weights[0, head, i, seen:] == 0).all()
        mixed = expected @ v[0, :seen, head // 2]
        np.testing.assert_allclose(out[0, i, 5 * head : 5 * head + 5], mixed, atol=1e-6)


@pytest.mark.parametrize("length", [pytest.param(40, marks=pytest.mark.slow), 64, 70, 300])
def test_ordered_rows_in_blocks_are_those_of_one_product(length):
    rng, shapes = np.random.default_rng(length), ((2, length, 4, 8), *[(2, length, 2, 8)] * 2)
    given = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
    along = [rng.normal(size=shape) for shape in ((2, length, 32), (2, 4, length, length))]

    def found(q, k, v, along, ordered):  # `along` is given: constants of its size take seconds
        every = attend(q, k, v, causal(length, length), ordered=ordered)
        return sum((one * other).sum() for one, other in zip(every, along, strict=True)), every

    of = jax.jit(jax.value_and_grad(found, (0, 1, 2), has_aux=True), static_argnums=4)
    (_, blocks), gradients = jax.device_get(of(*given, along, True))
    (_, whole), expected = jax.device_get(of(*given, along, False))
    for one, other in zip((*blocks, *gradients), (*whole, *expected), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)
    assert (np.triu(blocks[1], 1) == 0).all()


def test_blocks_leave_out_what_lies_behind_them():
    shapes = [jax.ShapeDtypeStruct((2, 128, 4, 8), "float32")] * 3

    def work(ordered):
        find = lambda *given: attend(*given, causal(128, 128), ordered=ordered)[0]
        return jax.jit(find).lower(*shapes).compile().cost_analysis()["flops"]

    assert work(True) < 0.8 * work(False)


def test_rotary_positions_are_a_product_with_complex_numbers():
    x, theta = np.random.default_rng(0).normal(size=(2, 5, 3, 8)).astype(np.float32), 100.0
    as_complex = x[..., :4] + 1j * x[..., 4:]
    angles = (7 + np.arange(5))[:, None] * theta ** (-2 * np.arange(4) / 8)
    turned = as_complex * np.exp(1j * angles)[None, :, None]
    found = turn(x, 7, theta)
    np.testing.assert_allclose(found, np.concatenate([turned.real, turned.imag], -1), atol=1e-5)


def test_rotary_scores_depend_on_the_distance_alone():
    q, k = np.random.default_rng(0).normal(size=(2, 1, 1, 1, 8)).astype(np.float32)
    at = lambda x, place: np.asarray(turn(x, place, 100.0)).ravel()
    scores = [at(q, 3 + shift) @ at(k, 1 + shift) for shift in (0, 4, 11)]
    np.testing.assert_allclose(scores, scores[0], atol=1e-4)
    assert abs(at(q, 3) @ at(k, 2) - scores[0]) > 1e-3
