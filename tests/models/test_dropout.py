"""Dropout: how often numbers stay, that places, keys and layers are independent, its gradient."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from dla_jax.models.dropout import Dropout, kept

KEYS = jax.random.split(jax.random.key(0), 16)


def masks(keep: float, size: int) -> np.ndarray:
    """Return one mask a key: bool [16, size]."""
    return np.stack([kept(key, keep, (size,))[0] for key in KEYS])


@pytest.mark.parametrize("keep", [0.9, 0.5, 0.1, 1 / 3])
def test_numbers_stay_as_often_as_they_should(keep):
    found, rounded = masks(keep, 4 * 5000 + 3), kept(KEYS[0], keep, (8,))[1]
    assert abs(rounded - keep) <= 2**-17 and rounded * 2**16 % 1 == 0
    # In all, for each key, and for each of the four parts that a draw is cut into.
    parts = np.array_split(found[:, :20_000], 4, axis=1)
    for each in (found, *found, *parts):
        assert stats.binomtest(int(each.sum()), each.size, rounded).pvalue > 1e-4


def test_what_is_almost_never_dropped_or_kept_is_so():
    assert kept(KEYS[0], 1 - 2**-20, (4000,))[0].all()
    mask, keep = kept(KEYS[0], 2**-20, (4000,))
    assert keep == 2**-16 and mask.sum() < 5


def test_neighbours_parts_and_keys_are_independent():
    found = masks(0.5, 40_000).astype(float) * 2 - 1
    for shift in (1, 2, 127, 128, 10_000, 20_000, 30_000):  # 10,000: the parts of one draw
        product = found[:, shift:] * found[:, :-shift]
        assert abs(product.mean()) * np.sqrt(product.size) < 4.5
    between = found @ found.T / np.sqrt(found.shape[1])
    assert np.abs(between[np.triu_indices(len(KEYS), 1)]).max() < 4.5


class Layered(nn.Module):
    """Drop from the same input twice: float [2, ...]."""

    @nn.compact
    def __call__(self, x):
        return jnp.stack([Dropout(0.5, deterministic=False)(x) for _ in range(2)])


def test_the_same_key_draws_the_same_and_layers_and_steps_draw_others():
    @jax.jit
    def dropped(step):
        return Layered().apply(
            {}, jnp.ones(4096), rngs={"dropout": jax.random.fold_in(KEYS[0], step)}
        )

    first, again, other = (np.asarray(dropped(step)) for step in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    for one, two in ((first[0], first[1]), (first[0], other[0]), (first[1], other[0])):
        assert abs((one == two).mean() - 0.5) < 4.5 * 0.5 / np.sqrt(one.size)


def test_mean_and_gradient_are_those_of_the_input():
    x = np.linspace(1, 2, 200_000, dtype=np.float32)

    def total(x):
        return Dropout(0.1, deterministic=False).apply({}, x, rngs={"dropout": KEYS[1]}).sum()

    value, gradient = jax.device_get(jax.jit(jax.value_and_grad(total))(x))
    assert value / x.sum() == pytest.approx(1, abs=0.004)
    scale = 2**16 / round(0.9 * 2**16)
    assert set(np.unique(gradient)) == {np.float32(0), np.float32(scale)}
    assert value == pytest.approx(float((gradient * x).sum()), rel=1e-5)


def test_accelerators_draw_as_flax_does(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    x, rngs = jnp.arange(1.0, 1001), {"dropout": KEYS[2]}
    ours, flax = (
        of(0.3, deterministic=False).apply({}, x, rngs=rngs) for of in (Dropout, nn.Dropout)
    )
    np.testing.assert_array_equal(ours, flax)
