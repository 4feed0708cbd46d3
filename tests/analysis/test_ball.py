"""The balls of attacks: projections are numpy's, steps have length 1, starts are uniform."""

import jax
import numpy as np
import pytest
from attacked import ROUNDING, drawn, project_by_hand, radius_of

from dla_jax.analysis import ball

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("norm", ball.NORMS)
def test_projections_are_those_of_numpy(norm):
    delta = RNG.standard_normal((6, 3, 4, 2)).astype(np.float32)
    delta[0] = 0
    project = jax.jit(ball.project, static_argnames="norm")
    own = np.array([1, 0, 0.5, 3, 1e-3, 10], np.float32)
    for epsilon in (0.0, 0.7, 100.0, own):
        radius = np.broadcast_to(epsilon, 6).reshape(6, 1, 1, 1)
        expected = project_by_hand(delta.astype(np.float64), radius, norm)
        np.testing.assert_allclose(project(delta, epsilon, norm=norm), expected, rtol=1e-5)


def test_a_step_has_length_1_whatever_the_gradient_s_and_none_where_that_is_0():
    gradient, direction = (
        RNG.standard_normal((4, 3, 2, 1)),
        jax.jit(ball.direction, static_argnums=1),
    )
    expected = gradient / np.sqrt((gradient**2).sum((1, 2, 3), keepdims=True))
    scales = np.array([1, 1e-30, 1e30, 0]).reshape(4, 1, 1, 1)
    found = direction(np.float32(gradient * scales), "l2")
    np.testing.assert_allclose(found[:3], expected[:3], rtol=1e-5)
    np.testing.assert_array_equal(found[3], 0 * gradient[3])
    np.testing.assert_array_equal(direction(gradient, "linf"), np.sign(gradient))


@pytest.mark.parametrize("norm", ball.NORMS)
def test_starts_are_uniform_in_the_ball(norm):
    x = np.full((4000, 2, 1, 2), 0.5, np.float32)
    delta = np.asarray(drawn(jax.random.key(0), x, 0.25, norm=norm) - x).reshape(4000, 4) / 0.25
    radius = radius_of(delta, norm)
    np.testing.assert_allclose(delta.mean(0), 0, atol=0.04)
    # The fraction of the volume within a radius r is r^4, that is uniform in [0, 1].
    np.testing.assert_allclose(
        np.quantile(radius**4, [0.25, 0.5, 0.75]), [0.25, 0.5, 0.75], atol=0.04
    )
    assert radius.max() <= 1 + ROUNDING
