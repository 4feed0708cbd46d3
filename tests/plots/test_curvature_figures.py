"""Figures of gradients along the input, and of the eigenvalues of the Hessian."""

import math

import numpy as np
import pytest
from artists import band, drawn, labelled, points, row_names

from dla_jax.plots import gradient_walks, spectra
from dla_jax.plots.style import looks_of

LOOKS = looks_of(["plain", "residual_2"])
GRID = np.linspace(-2, 2, 64)
NAN = math.nan


def test_walks_are_over_their_root_mean_square_and_smooth_is_told_from_rough():
    smooth, rough = 1e-6 * np.cos(GRID), np.where(np.arange(64) % 2, 3.0, -3.0)
    networks = {
        "plain": {"grid": GRID, "gradient": rough},
        "residual_2": {"grid": GRID, "gradient": smooth},
    }
    figure, told = drawn(gradient_walks.walks, networks, LOOKS)
    left, right = figure.axes
    np.testing.assert_allclose(left.get_lines()[0].get_ydata(), rough / 3)
    (line,) = right.get_lines()
    np.testing.assert_allclose(line.get_xdata(), GRID)
    shown = line.get_ydata()
    assert np.mean(shown**2) == pytest.approx(1)
    np.testing.assert_allclose(shown / shown.max(), smooth / smooth.max())
    assert line.get_color() == LOOKS["residual_2"][0]
    near = np.sum(smooth[1:] * smooth[:-1]) / 63 / (np.sum(smooth**2) / 64)
    assert f"plain −1.00, residual 2 {near:.2f}." in told
    assert right.get_title(loc="left") == f"residual 2 (lag 1: {near:.2f})"
    assert gradient_walks.neighbours([2.0, 2.0, 2.0]) == pytest.approx(1)  # linear: constant


def test_autocorrelations_have_a_line_a_depth_and_darker_is_deeper():
    runs = np.array([[1.0, 0.8, 0.6], [1.0, 0.6, 0.2], [1.0, NAN, NAN]])
    panels = {"plain": {20: runs - 0.5, 2: runs}, "looks_linear": {2: np.ones((3, 3))}}
    figure, told = drawn(gradient_walks.autocorrelations, panels, [0, 2, 4])
    plain, linear = figure.axes
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["plain", "looks linear"]
    shallow, deep = labelled(plain)["2"], labelled(plain)["20"]
    np.testing.assert_allclose(shallow.get_ydata(), [1, 0.7, 0.4])
    np.testing.assert_allclose(deep.get_ydata(), [0.5, 0.2, -0.1])
    assert list(deep.get_xdata()) == [0, 2, 4]
    assert sum(deep.get_color()[:3]) < sum(shallow.get_color()[:3])
    np.testing.assert_array_equal(labelled(linear)["2"].get_color(), shallow.get_color())
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["2", "20"]
    colours = [line.get_color() for line in legend.get_lines()]
    np.testing.assert_array_equal(colours, [shallow.get_color(), deep.get_color()])
    lost = " (not finite in 1 of 3 runs)"
    assert told == (
        f"Autocorrelation of dy/dx at lag 2: plain 0.70 at depth 2{lost}, 0.20 at depth 20{lost}; "
        "looks linear 1.00 at depth 2."
    )


def test_eigenvalues_along_training_are_medians_and_may_be_negative():
    runs = np.array([[1.0, 10.0], [2.0, 40.0], [6.0, NAN]])
    networks = {
        "plain": {"step": [0, 50], "value": runs},
        "residual_2": {"step": [0, 50], "value": runs / 2},
    }
    figure, told = drawn(spectra.along_training, networks, LOOKS)
    (axis,) = figure.axes
    assert axis.get_yscale() == "log" and axis.get_xlabel() == "step"
    assert points(labelled(axis)["plain"]) == [(0, 2), (50, 25)]
    np.testing.assert_allclose(band(axis), [[0, 50], [1, 10], [6, 40]])
    assert labelled(axis)["residual 2"].get_color() == LOOKS["residual_2"][0]
    lost = " (not finite in 1 of 3 runs)"
    assert f"plain 2 at step 0, 25 at step 50{lost}; residual 2 1 at step 0, 12 at step" in told
    networks["plain"] = {"step": [0], "value": [[-3.0]]}
    figure, told = drawn(spectra.along_training, networks, LOOKS)
    assert figure.axes[0].get_yscale() == "symlog" and "plain −3 at step 0;" in told


def test_largest_eigenvalues_are_a_row_a_network():
    networks = {"plain": np.array([30.0, 50.0, 90.0]), "residual_2": np.array([5.0, NAN, 7.0])}
    figure, told = drawn(spectra.largest_eigenvalues, networks, LOOKS)
    (axis,) = figure.axes
    assert row_names(axis) == {0: "plain", 1: "residual 2"} and axis.yaxis_inverted()
    dots = [line for line in axis.get_lines() if line.get_marker() == "."]
    np.testing.assert_allclose(dots[0].get_xdata(), networks["plain"])
    np.testing.assert_allclose(dots[1].get_xdata(), networks["residual_2"])
    marks = [points(line)[0] for line in axis.get_lines() if line.get_marker() != "."]
    assert marks == [(50, 0), (6, 1)]
    assert told.endswith("plain 50, residual 2 (not finite in 1 of 3 runs) 6.")


def bump(grid, centre):
    return np.exp(-((grid - centre) ** 2) / 0.02) / math.sqrt(0.02 * math.pi)


def test_densities_share_their_axes_and_say_how_far_they_reach():
    wide, narrow = np.linspace(-5, 40, 901), np.linspace(-1, 4, 501)
    networks = {
        "plain": {"grid": wide, "density": np.stack([bump(wide, 0), bump(wide, 30)])},
        "residual_2": {"grid": narrow, "density": np.stack([bump(narrow, 2), bump(narrow, NAN)])},
    }
    figure, told = drawn(spectra.densities, networks, LOOKS)
    top, bottom = figure.axes
    assert top.get_yscale() == bottom.get_yscale() == "log"
    assert top.get_xlim() == bottom.get_xlim() and top.get_ylim() == bottom.get_ylim()
    line = top.get_lines()[0]
    np.testing.assert_allclose(line.get_xdata(), wide)
    np.testing.assert_allclose(line.get_ydata(), (bump(wide, 0) + bump(wide, 30)) / 2)
    np.testing.assert_allclose(bottom.get_lines()[0].get_ydata(), bump(narrow, 2))
    assert top.get_title(loc="right") == "plain" and bottom.get_title(loc="right") == "residual 2"
    # To a millionth of the peak: sqrt(0.02 ln 1e6) = 0.53 to either side; of half the peak 0.51.
    assert "plain from −0.5 to 30; residual 2 from 1.5 to 2.5 (not finite in 1 of 2 runs)" in told


def test_odd_cases_are_drawn(tmp_path):
    path = tmp_path / "odd.png"
    networks = {
        "plain": {"grid": GRID, "gradient": np.where(GRID > 1, NAN, GRID)},
        "overflow": {"grid": GRID, "gradient": np.where(GRID > 1, math.inf, GRID)},
        "residual_2": {"grid": GRID, "gradient": 0 * GRID},
    }
    told = gradient_walks.walks(networks, LOOKS | {"overflow": LOOKS["plain"]}, path)
    unknown = "plain unknown, overflow unknown, residual 2 unknown."
    assert path.exists() and told.endswith(unknown)
    told = gradient_walks.autocorrelations({"plain": {2: np.full((1, 2), NAN)}}, [0, 1], path)
    assert "unknown at depth 2 (not finite in 1 of 1 runs)" in told
    nothing = {
        "plain": {"step": [7], "value": [[NAN]]},
        "residual_2": {"step": [7], "value": [[0]]},
    }
    told = spectra.along_training(nothing, LOOKS, path)
    assert told.endswith(
        "plain unknown at step 7 (not finite in 1 of 1 runs); residual 2 0 at step 7."
    )
    assert "plain (not finite in 1 of 1 runs) unknown" in spectra.largest_eigenvalues(
        {"plain": np.array([NAN])}, LOOKS, path
    )
    flat = {"plain": {"grid": GRID, "density": np.full((1, 64), NAN)}}
    assert "plain unknown" in spectra.densities(flat, LOOKS, path)
