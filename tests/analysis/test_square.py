"""The Square attack sees logits alone, spends the queries it is given, and misleads a network."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from attacked import LABELS, X, accuracy, net

from dla_jax.analysis.square import side_of, square
from dla_jax.config.checks import ConfigError

EPSILON = 0.1


@jax.custom_jvp
def black_box(x):
    return net(x)


@black_box.defjvp
def _no_gradient(primals, tangents):
    raise AssertionError("the attack asked for a gradient")


@jax.jit
def attacked(key, epsilon, num_queries):
    return square(black_box, X, LABELS, key, epsilon, num_queries)


def test_it_finds_adversaries_without_a_gradient_and_more_with_more_queries():
    left = [accuracy(attacked(jax.random.key(0), EPSILON, count)) for count in (1, 20, 300)]
    print(left)
    assert accuracy(X) > 0.9 and left[0] > left[1] > left[2] + 0.2
    assert accuracy(attacked(jax.random.key(0), 1.0, 300)) == 0


def test_every_pixel_is_moved_by_epsilon_as_far_as_the_image_goes():
    found = np.asarray(attacked(jax.random.key(1), EPSILON, 300))
    edges = np.stack([np.clip(X - EPSILON, 0, 1), np.clip(X + EPSILON, 0, 1)])
    assert np.abs(found - edges).min(0).max() < 1e-6


def test_an_image_that_fools_is_left_alone():
    first, later = (np.asarray(attacked(jax.random.key(2), EPSILON, n)) for n in (1, 200))
    fooled = net(first, np).argmax(1) != LABELS
    assert 0 < fooled.sum() < len(X)
    np.testing.assert_array_equal(first[fooled], later[fooled])
    assert np.all((first != later)[~fooled].any((1, 2, 3)))


def test_the_squares_get_smaller_as_in_the_paper():
    after = (0, 10, 11, 51, 201, 501, 1001, 2001, 4001, 6001, 8001)
    side = jax.jit(side_of, static_argnums=(2, 3))
    found = [int(side(i, 10_000, (32, 32), 0.8)) for i in after]
    halvings = (0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
    assert found == [max(1, round((0.8 * 1024 / 2**k) ** 0.5)) for k in halvings]
    assert int(side(3, 1000, (32, 32), 0.8)) == found[2]  # stretched to fewer queries
    assert int(side(0, 100, (4, 30), 1.0)) == 4  # an image is not larger than itself


def test_it_spends_its_queries_and_stops_where_all_images_fool():
    calls = []

    def forward(slope, x):
        """Classify as 1 where the mean of an image is above one half; or never, at slope 0."""
        jax.debug.callback(lambda: calls.append(1))
        score = slope * (x.mean((1, 2, 3)) - 0.5) - (slope == 0)
        return jnp.stack([-score, score], 1)

    @jax.jit
    def attack(slope, key):
        x, labels = np.full((4, 6, 6, 1), 0.49, np.float32), np.zeros(4, np.int32)
        return square(functools.partial(forward, slope), x, labels, key, 0.2, 37)

    jax.block_until_ready(attack(0.0, jax.random.key(0)))
    jax.effects_barrier()
    assert len(calls) == 37
    calls.clear()
    found = np.asarray(attack(1.0, jax.random.key(0)))
    jax.effects_barrier()
    assert 0 < len(calls) < 37 and np.all(found.mean((1, 2, 3)) > 0.5)


def test_after_stripes_a_square_has_one_sign_a_channel_and_goes_anywhere():
    seen = []

    def forward(x):
        jax.debug.callback(lambda x: seen.append(np.asarray(x)), x, ordered=True)
        return jnp.stack([jnp.ones(len(x)), jnp.zeros(len(x))], 1)

    x = np.full((300, 8, 8, 2), 0.5, np.float32)
    jax.jit(lambda key: square(forward, x, jnp.zeros(300, int), key, 0.1, 2, p_init=0.14))(
        jax.random.key(0)
    )
    jax.effects_barrier()
    stripes = seen[0] - x
    np.testing.assert_allclose(np.abs(stripes), 0.1, rtol=1e-5)
    np.testing.assert_array_equal(stripes, np.broadcast_to(stripes[:, :1], x.shape))
    assert abs(np.mean(stripes[:, 0] > 0) - 0.5) < 0.03
    changed = seen[0] != seen[1]
    rows, columns = changed.any((2, 3)), changed.any((1, 3))
    assert rows.sum(1).max() == 3 and columns.sum(1).max() == 3  # sqrt(0.14 * 64) = 2.99
    assert rows.any(0).all() and columns.any(0).all()
    for before, after, mask in zip(seen[0], seen[1], changed.any(-1), strict=True):
        for channel in range(2):
            assert len(np.unique(after[mask][:, channel])) <= 2
            inside = after[..., channel][mask & (before[..., channel] != after[..., channel])]
            assert len(np.unique(inside)) <= 1


def test_a_fraction_that_is_none_is_refused():
    for p_init in (0.0, 1.5):
        with pytest.raises(ConfigError, match=f"p_init={p_init}; give more than 0, at most 1"):
            square(net, X, LABELS, jax.random.key(0), 0.1, 10, p_init=p_init)
