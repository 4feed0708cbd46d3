"""Directions have the norms of the network's filters, and surfaces are those of a formula."""

import functools

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dla_jax.analysis.landscape import cut, direction, surface
from dla_jax.analysis.loss import cross_entropy, loss_with_batch_statistics
from dla_jax.models.cnn import CNN

X, LABELS = np.random.default_rng(0).random((6, 8, 8, 1), np.float32), np.arange(6) % 3
COMMON = {"num_classes": 3, "mean": (0.0,), "std": (1.0,), "dtype": "float32"}


def cnn(norm="batch"):
    return CNN(depth=4, width=5, norm=norm, pools=1, init_scheme="he", **COMMON)


def filters_of(params):
    """Return {name: float64 [filters, numbers]} of every kernel, filter by filter."""
    found = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        name = jax.tree_util.keystr(path)
        if name.endswith("['kernel']"):
            blocks = leaf if "['block']" in name else leaf[None]
            rows = [np.ravel(block[..., out]) for block in blocks for out in range(leaf.shape[-1])]
            found[name] = np.array(rows, np.float64)
    return found


drawn_direction = jax.jit(direction)


def test_each_filter_of_a_direction_has_the_norm_of_the_networks_own_and_nothing_else_moves():
    params = drawn.variables_of(cnn(), X.shape)["params"]
    params["head"]["kernel"][:, 1] = 0.0
    found = jax.device_get(drawn_direction(jax.random.key(3), params))
    own, ours = filters_of(params), filters_of(found)
    assert [len(rows) for rows in own.values()] == [3 * 5, 3, 5]
    for name, rows in own.items():
        norms = np.linalg.norm(rows, axis=1)
        np.testing.assert_allclose(np.linalg.norm(ours[name], axis=1), norms, rtol=1e-5)
        cosines = (rows * ours[name]).sum(1)[norms > 0] / norms[norms > 0] ** 2
        assert np.all(np.abs(cosines) < 0.99)
    for path, leaf in jax.tree_util.tree_leaves_with_path(found):
        assert np.any(leaf) == (path[-1].key == "kernel"), path


def test_twins_get_the_same_gaussian_numbers_whatever_else_they_have():
    params = drawn.variables_of(cnn(), X.shape)["params"]
    twin = drawn.variables_of(cnn(norm="none"), X.shape, seed=1)["params"]
    assert twin.keys() != params.keys()

    def units(key, params):
        rows = filters_of(jax.device_get(drawn_direction(jax.random.key(key), params)))
        return {name: r / np.linalg.norm(r, axis=1, keepdims=True) for name, r in rows.items()}

    first, second, other = units(3, params), units(3, twin), units(4, params)
    for name, rows in first.items():
        np.testing.assert_allclose(second[name], rows, atol=1e-6)
        assert np.abs(other[name] - rows).max() > 0.1
    everything = np.concatenate([rows[:, :5].ravel() for rows in first.values()])
    assert len(np.unique(everything)) == len(everything)


def test_kernels_of_one_shape_get_numbers_of_their_own():
    params = {name: {"kernel": np.ones((3, 2), np.float32)} for name in ("stem", "head")}
    found = jax.device_get(drawn_direction(jax.random.key(3), params))
    assert np.abs(found["stem"]["kernel"] - found["head"]["kernel"]).min() > 1e-3


CENTRE = {"a": np.array([0.5, -1.0], np.float32), "b": np.float32(2.0)}
FIRST = {"a": np.array([1.0, 0.0], np.float32), "b": np.float32(0.5)}
SECOND = {"a": np.array([0.0, 2.0], np.float32), "b": np.float32(0.0)}
ALPHAS, BETAS = np.linspace(-1, 1, 5), np.linspace(0, 2, 4)


def quadratic(params):
    return jnp.sum(params["a"] ** 2 * jnp.array([1.0, 3.0])) + params["b"]


@pytest.mark.parametrize("chunk", [1, 3, 20, 100])
def test_the_surface_of_a_quadratic_is_its_formula_with_the_first_direction_down_the_rows(chunk):
    @jax.jit
    def plane_and_lines(centre):
        line = functools.partial(cut, quadratic, centre, chunk=chunk)
        plane = surface(quadratic, centre, FIRST, SECOND, ALPHAS, BETAS, chunk=chunk)
        return plane, line(SECOND, BETAS), line(FIRST, ALPHAS)

    found, right_line, down_line = plane_and_lines(CENTRE)
    down, right = np.meshgrid(ALPHAS, BETAS, indexing="ij")
    expected = (0.5 + down) ** 2 + 3 * (2 * right - 1) ** 2 + 2 + 0.5 * down
    assert found.shape == (5, 4) and found.dtype == jnp.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_allclose(right_line, expected[2], rtol=1e-5)
    np.testing.assert_allclose(down_line, expected[:, 0], rtol=1e-5)


def test_a_larger_surface_is_no_larger_program():
    calls = []

    def loss(params):
        calls.append(params)
        return quadratic(params)

    def size(points):
        draw = functools.partial(surface, loss, CENTRE, FIRST, SECOND)
        program = jax.make_jaxpr(draw)(np.zeros(points), np.zeros(points))
        return len(program.eqns)

    assert size(3) == size(40)
    assert len(calls) == 2


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_the_middle_is_the_loss_with_statistics_of_the_batch(norm):
    model = cnn(norm)
    variables = drawn.variables_of(model, X.shape)
    params = variables["params"]
    noise = np.random.default_rng(1)
    some = lambda leaf: 0.3 * noise.standard_normal(leaf.shape).astype(np.float32)
    first, second = jax.tree.map(some, params), jax.tree.map(some, params)
    moved = jax.tree.map(lambda p, d, e: p - 0.4 * d + 0.3 * e, params, first, second)

    @jax.jit
    def found_and_expected(params, first, second, both):
        loss = loss_with_batch_statistics(model.apply, variables | {"params": None}, X, LABELS)
        steps = jnp.array([-0.4, 0.0, 0.3])

        def logits(params):
            of = variables | {"params": params}
            return model.apply(of, X, train=True, mutable=["batch_stats"])[0][0]

        grid = surface(loss, params, first, second, steps, steps)
        return grid, loss(params), jax.vmap(logits)(both)

    both = jax.tree.map(lambda *leaves: np.stack(leaves), params, moved)
    grid, middle, logits = jax.device_get(found_and_expected(params, first, second, both))
    expected = []
    for values in logits.astype(np.float64):
        right = values[np.arange(6), LABELS]
        expected.append((np.log(np.exp(values).sum(-1)) - right).mean())
    np.testing.assert_allclose(grid[1, 1], middle, rtol=1e-6)
    np.testing.assert_allclose([grid[1, 1], grid[0, 2]], expected, rtol=1e-4)
    assert np.abs(grid - middle).max() > 0.01


def test_steps_of_zero_leave_the_parameters_as_they_are():
    params = drawn.variables_of(cnn(), X.shape)["params"]
    kernel = lambda params: params["head"]["kernel"][2, 1]
    along = jax.tree.map(np.ones_like, params)
    zero = np.zeros(1, np.float32)
    plane = jax.jit(functools.partial(surface, kernel))(params, along, along, zero, zero)
    line = jax.jit(functools.partial(cut, kernel))(params, along, zero)
    assert np.ravel(plane) == np.ravel(line) == kernel(params)


def test_cross_entropy_is_in_nats_and_does_not_overflow():
    logits = np.array([[0.0, np.log(3.0)], [1e4, -1e4]], np.float32)
    found = jax.jit(cross_entropy)(logits, np.array([1, 1]))
    np.testing.assert_allclose(found, (np.log(4 / 3) + 2e4) / 2, rtol=1e-6)
