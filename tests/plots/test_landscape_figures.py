"""Figures of the loss around trained weights: the right way up, on one scale, with what is nan."""

import math
from unittest import mock

import numpy as np
from artists import band, drawn, figure_of, labelled, points
from mpl_toolkits.mplot3d import Axes3D

from dla_jax.plots import landscapes
from dla_jax.plots.style import looks_of

ALPHAS = np.linspace(-1, 1, 9)
BETAS = np.linspace(-0.5, 0.5, 5)
ACROSS = np.exp(np.tile(ALPHAS[:, None], (1, 5)))  # grows with alpha alone
UP = np.exp(3 * np.tile(BETAS, (9, 1)))  # with beta alone
LOOKS = looks_of(["plain", "residual"])


def level_lines(axis) -> list[np.ndarray]:
    """Return the corners [n, 2] of each line of the last contours of a panel."""
    return [path.vertices for path in axis.collections[-1].get_paths() if len(path.vertices)]


def test_contours_have_alpha_to_the_right_and_one_scale():
    figure, told = drawn(landscapes.contours, {"a_net": ACROSS, "up": UP}, ALPHAS, BETAS)
    across, up, bar = figure.axes
    assert [axis.get_title(loc="left") for axis in (across, up)] == ["a net", "up"]
    assert across.get_xlabel() == "first direction" and across.get_ylabel() == "second direction"
    levels = across.collections[-1].levels
    assert len(level_lines(across)) > 4 and len(level_lines(up)) > 4
    for line, level in zip(level_lines(across), levels, strict=True):
        np.testing.assert_allclose(line[:, 0], level * math.log(10), atol=1e-5)  # straight up
        assert set(line[:, 1]) >= {-0.5, 0.5}
    for line, level in zip(level_lines(up), up.collections[-1].levels, strict=True):
        np.testing.assert_allclose(line[:, 1], level * math.log(10) / 3, atol=1e-5)
    filled = [axis.collections[0] for axis in (across, up)]
    for each in filled:
        np.testing.assert_allclose([each.norm.vmin, each.norm.vmax], np.log10(np.exp([-1.5, 1.5])))
    np.testing.assert_array_equal(filled[0].levels, filled[1].levels)
    assert bar.get_ylabel() == "loss"
    np.testing.assert_allclose(bar.get_ylim(), np.exp([-1.5, 1.5]))
    for axis in (across, up):
        (star,) = [line for line in axis.get_lines() if line.get_marker() == "*"]
        assert points(star) == [(0, 0)]
    assert "a net 1, 1 and 2.7, 0 local minima; up 1, 1 and 4.5, 0 local minima." in told


def test_a_corner_that_explodes_does_not_hide_the_rest():
    wild = np.where(np.add.outer(ALPHAS, BETAS) > 1.4, 1e30, ACROSS)
    figure = figure_of(landscapes.contours, {"a": wild}, ALPHAS, BETAS)
    filled = figure.axes[0].collections[0]
    assert filled.norm.vmax < 1.5 and filled.norm.vmin == np.log10(wild.min())
    assert figure.axes[1].get_ylim()[1] < 30


def test_local_minima_are_counted():
    x, y = np.meshgrid(np.linspace(-1, 1, 41), np.linspace(-1, 1, 41), indexing="ij")
    bowl, double = 1 + x**2 + y**2, 1 + (x**2 - 0.25) ** 2 + y**2
    slope = 1 + x**2 + y / 1000  # a valley that falls all the way
    networks = {"bowl": bowl, "double": double, "slope": slope, "turned": slope.T}
    told = drawn(landscapes.contours, networks, x[:, 0], y[0])[1]
    assert "bowl 1, 1.7 and 3, 1 local minimum; double 1.1," in told
    assert told.count("2 local minima;") == 1 and told.count("0 local minima") == 2


def test_surfaces_are_log10_of_the_loss_over_alpha_and_beta():
    with mock.patch.object(Axes3D, "plot_surface", autospec=True) as surface:
        networks = {"a_net": ACROSS, "up": UP}
        figure, told = drawn(landscapes.surfaces, networks, ALPHAS, BETAS)
        assert told == drawn(landscapes.contours, networks, ALPHAS, BETAS)[1]
    for call, axis, loss in zip(surface.call_args_list, figure.axes, (ACROSS, UP), strict=False):
        own, x, y, heights = call.args
        assert own is axis
        np.testing.assert_allclose(x, np.tile(ALPHAS[:, None], (1, 5)))
        np.testing.assert_allclose(y, np.tile(BETAS, (9, 1)))
        np.testing.assert_allclose(heights, np.log10(loss))
        ends = np.log10(np.exp([-1.5, 1.5]))
        np.testing.assert_allclose(axis.get_zlim(), ends)
        np.testing.assert_allclose([call.kwargs["norm"].vmin, call.kwargs["norm"].vmax], ends)
    assert surface.call_count == 2
    texts = [text.get_text() for text in figure.axes[0].get_zticklabels()]
    heights = figure.axes[0].get_zticks()
    np.testing.assert_allclose([float(text) for text in texts], 10.0**heights, rtol=0.05)


def test_cuts_are_medians_within_their_range():
    runs = np.array([[4.0, 1.0, 2.0], [8.0, 2.0, 4.0], [90.0, math.nan, math.inf]])
    networks = {"plain": 10 * runs, "residual": runs}
    figure, told = drawn(landscapes.cuts, networks, [-0.5, 0, 0.5], LOOKS)
    (axis,) = figure.axes
    assert axis.get_yscale() == "log"
    for which, (label, factor) in enumerate((("plain", 10), ("residual", 1))):
        line = labelled(axis)[label]
        assert (line.get_color(), line.get_marker()) == LOOKS[label]
        assert points(line) == [(-0.5, 8 * factor), (0, 1.5 * factor), (0.5, 3 * factor)]
        expected = np.array([[4, 1, 2], [90, 2, 4]]) * factor
        np.testing.assert_allclose(band(axis, which), [[-0.5, 0, 0.5], *expected])
    assert told == (
        "Loss at the trained weights, at −0.5 and at 0.5: plain 15, 80 and 30 (not finite in 1 of "
        "3 runs); residual 1.5, 8 and 3 (not finite in 1 of 3 runs)."
    )


def test_what_is_not_finite_is_drawn_without_a_crash(tmp_path):
    path, corner = tmp_path / "odd.png", np.add.outer(ALPHAS, BETAS) > 0.9
    networks = {
        "unknown": np.full_like(ACROSS, math.nan),
        "nan": np.where(corner, math.nan, ACROSS),
        "overflow": np.where(corner, math.inf, ACROSS),
        "zero": np.zeros_like(ACROSS),
    }
    for plot in (landscapes.contours, landscapes.surfaces):
        told = plot(networks, ALPHAS, BETAS, path)
        assert path.exists() and "unknown unknown, unknown and unknown;" in told
        assert "where it did not overflow" in told
        path.unlink()
    nothing = {"plain": np.full((2, 9), math.nan), "residual": np.zeros((1, 9))}
    assert "residual 0, 0 and 0" in landscapes.cuts(nothing, ALPHAS, LOOKS, path)
    figure = figure_of(landscapes.contours, {"overflow": networks["overflow"]}, ALPHAS, BETAS)
    grey, filled = figure.axes[0].get_facecolor(), figure.axes[0].collections[0]
    assert grey[:3] == (0.85, 0.85, 0.85) and filled.norm.vmax < 0.5  # by the finite ones
