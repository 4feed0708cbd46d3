"""Figures of gradients have the layers in the network's order, and the steps in that of time."""

import numpy as np
import pytest
from artists import figure_of, labelled, points, row_names, same_colour

from dla_jax.plots import layers, slips
from dla_jax.plots.style import COLOURS


def test_a_heat_map_has_the_first_layer_at_the_bottom_and_the_first_step_on_the_left():
    values = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])  # two steps of three layers
    axis = figure_of(layers.heat_maps, {"plain_5": ([1, 40], values)}, "norm").axes[0]
    (image,) = axis.get_images()
    shown = np.asarray(image.get_array())
    np.testing.assert_array_equal(shown, values.T)
    assert image.origin == "lower" and not axis.yaxis_inverted() and not axis.xaxis_inverted()
    assert image.get_extent() == [-0.5, 1.5, -0.5, 2.5]  # cell (layer, step) around (step, layer)
    assert row_names(axis) == {0: "stem", 1: "1", 2: "head"}
    assert axis.get_xticks().tolist() == [0, 1]
    assert [text.get_text() for text in axis.get_xticklabels()] == ["init", "40"]
    assert axis.get_title(loc="left") == "plain 5"


def test_heat_maps_share_a_scale_on_which_what_overflowed_is_large_and_zero_has_no_colour():
    calm, wild = np.full((2, 2), 1e-3), np.array([[1.0, np.inf], [0.0, np.nan]])
    maps = {"calm": ([0, 1], calm), "wild": ([0, 1], wild)}
    figure = figure_of(layers.heat_maps, maps, "norm")
    first, second = (axis.get_images()[0] for axis in figure.axes[:2])
    assert first.norm is second.norm
    shown = second.get_array()  # [layers, steps]
    assert shown.mask.tolist() == [[False, True], [False, False]]
    assert shown[1, 0] == shown[1, 1] == second.norm.vmax > first.get_array().max()


def test_profiles_are_geometric_means_in_the_order_of_the_layers():
    runs = np.array([[1.0, 10.0, 0.0], [4.0, 1000.0, 1.0]])
    panels = {"start": {"a_net": runs, "b": 2 * runs}, "end": {"a_net": 3 * runs}}
    looks = {"a_net": ("#123456", "^"), "b": ("#654321", "s")}
    left, right = figure_of(layers.layer_profiles, panels, "norm", looks).axes
    a, b, same = labelled(left)["a net"], labelled(left)["b"], labelled(right)["a net"]
    for drawn, name in ((a, "a_net"), (b, "b"), (same, "a_net")):
        assert (drawn.get_color(), drawn.get_marker()) == looks[name]
    line = labelled(left)["a net"]
    assert list(line.get_xdata()) == [0, 1, 2]
    np.testing.assert_allclose(line.get_ydata(), [2, 100, np.nan])  # a zero has no logarithm
    np.testing.assert_allclose(labelled(left)["b"].get_ydata(), [4, 200, np.nan])
    np.testing.assert_allclose(labelled(right)["a net"].get_ydata(), [6, 300, np.nan])
    assert left.get_title(loc="left") == "start" and right.get_title(loc="left") == "end"
    assert "0: stem" in left.get_xlabel() and left.get_yscale() == "log"


def test_first_steps_are_counted_from_one_and_only_the_first_network_has_its_runs():
    runs = np.array([[1.0, 2.0, 4.0], [4.0, 2.0, 1.0]])
    (axis,) = figure_of(layers.first_steps, {"digits": {"a": runs, "b": runs}}).axes
    assert len(axis.get_lines()) == 2 + 1 + 1
    for line in labelled(axis).values():
        assert list(line.get_xdata()) == [1, 2, 3]
        np.testing.assert_allclose(line.get_ydata(), [2, 2, 2])


def histograms_of(**networks):
    """Return the axes of histograms with bins up to |g| of 2^-3, 2^-2, 2^-1, 2^0."""
    limits = {"steps": [0, 10], "limits": [-3, -2, -1, 0]}
    return figure_of(layers.histograms, {name: found | limits for name, found in networks.items()})


def test_histograms_have_the_first_convolution_above_the_last_and_large_gradients_on_top():
    first = [[0.0, 0.1, 0.2, 0.0], [0.0, 0.0, 0.3, 0.1]]
    last = [[0.0, 0.5, 0.0, 0.0], [0.0, 0.0, 0.0, 0.5]]
    figure = histograms_of(a_net={"first": first, "last": last}, b={"first": last, "last": first})
    axes = np.array(figure.axes[:4]).reshape(2, 2)
    titles = [[axis.get_title(loc="left") for axis in row] for row in axes]
    assert titles[0] == ["a net: first convolution", "b: first convolution"]
    assert titles[1] == ["a net: last convolution", "b: last convolution"]
    for axis, values in zip(axes.flat, (first, last, last, first), strict=True):
        (mesh,) = axis.collections
        np.testing.assert_allclose(
            mesh.get_array().filled(0), np.transpose(values)
        )  # [bins, steps]
        edges = mesh.get_coordinates()[:, 0, 1]
        np.testing.assert_allclose(edges, np.log10(2) * np.array([-4.0, -3, -2, -1, 0]))
        assert mesh.get_coordinates()[0, :, 0].tolist() == [-0.5, 0.5, 1.5]
        assert not axis.yaxis_inverted()
    assert [text.get_text() for text in axes[1, 0].get_xticklabels()] == ["init", "10"]


def stage_values(factor):
    mean = factor * np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])  # three epochs, two stages
    return {"epoch": [0, 1, 2], "mean_abs": mean, "var": mean**2}


def test_stages_show_means_above_variances_stage_by_stage():
    found = {"a_net": stage_values(1.0), "b": stage_values(2.0)}
    axes = np.array(figure_of(layers.stages, found).axes).reshape(2, 2)
    assert axes[0, 0].get_ylabel() == "mean |gradient|"
    assert axes[1, 0].get_ylabel() == "variance of the gradient"
    assert [axis.get_title(loc="left") for axis in axes[0]] == ["a net", "b"]
    for column, values in zip(axes.T, found.values(), strict=True):
        for axis, key in zip(column, ("mean_abs", "var"), strict=True):
            lines = labelled(axis)
            assert list(lines) == ["stage 1", "stage 2"]
            for i, line in enumerate(lines.values()):
                np.testing.assert_allclose(line.get_ydata(), values[key][:, i])
                assert list(line.get_xdata()) == [0, 1, 2]


def test_clipping_tells_before_from_after():
    found = {"before": [5.0, 0.5], "after": [1.0, 0.5], "threshold": 1.0}
    (axis,) = figure_of(layers.clipping, {"a_net": found}).axes
    lines = labelled(axis)
    assert points(lines["before"]) == [(1, 5.0), (2, 0.5)]
    assert points(lines["after"]) == [(1, 1.0), (2, 0.5)]
    assert [(0, 1.0), (1, 1.0)] in [points(line) for line in axis.get_lines()]  # the threshold


def test_mistakes_are_shown_beside_what_is_right():
    histogram = {"limits": [-2, -1], "first": [[0.25, 0.5]]}
    clipped = {"before": [5.0], "after": [1.0], "threshold": 1.0, "labels": ("a_net", "b")}
    panels = {
        "swapped": {"a": stage_values(1.0)},
        "scaled": {"a": histogram},
        "clipped_once": clipped,
        "frozen": {"a_net": ([1, 2], [[0.2, 0.4], [0.4, 0.8]])},
    }
    swapped, scaled, once, frozen = figure_of(slips.mistakes, panels, 1000.0).axes
    lines = labelled(swapped)
    np.testing.assert_allclose(lines["a: mean |g|"].get_ydata(), [1, 2, 3])
    np.testing.assert_allclose(lines["a: logged as mean"].get_ydata(), [1, 4, 9])
    assert lines["a: logged as mean"].get_linestyle() == "--"
    true, shifted = labelled(scaled)["a: true"], labelled(scaled)["a: scaled"]
    np.testing.assert_allclose(true.get_xdata(), np.log10(2) * np.array([-2, -1]))
    np.testing.assert_allclose(shifted.get_xdata() - true.get_xdata(), 3)  # larger: to the right
    assert points(labelled(once)["clipped once, before training"]) == [(1, 5.0)]
    assert points(labelled(once)["clipped in every step"]) == [(1, 1.0)]
    assert once.texts[0].get_text() == "a net / b"
    mean = labelled(frozen)["a net"]
    assert mean.get_ydata() == pytest.approx([0.3, 0.6]) and len(frozen.get_lines()) == 3
    assert same_colour(mean.get_color(), COLOURS[0])
    titles = [axis.get_title(loc="left")[:3] for axis in (swapped, scaled, once, frozen)]
    assert titles == ["(a)", "(b)", "(c)", "(d)"]


def test_mistakes_may_have_empty_panels():
    nothing = {"swapped": {}, "scaled": {}, "clipped_once": None, "frozen": {}}
    axes = figure_of(slips.mistakes, nothing, 2.0).axes
    assert len(axes) == 4 and not any(axis.get_lines() for axis in axes)
