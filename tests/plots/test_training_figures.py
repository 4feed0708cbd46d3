"""Figures of training show each network's loss and accuracy, and the rate that was chosen."""

import numpy as np
import pytest
from artists import band, figure_of, labelled, same_colour

from dla_jax.plots import training
from dla_jax.plots.style import COLOURS, MANY_COLOURS


def curve(losses, accuracies, colour, dashed=False):
    look = {"colour": colour, "dashed": dashed}
    return {"epoch": [1, 2], "train_loss": losses, "val_accuracy": accuracies} | look


def test_learning_curves_are_means_of_the_runs_within_their_range():
    falling, rising = [[2.0, 1.0], [4.0, 3.0]], [[0.1, 0.5], [0.3, 0.9]]
    curves = {"a_net": curve(falling, rising, 0), "other": curve(rising, falling, 2, dashed=True)}
    loss, score = figure_of(training.training_curves, curves).axes
    assert loss.get_ylabel() == "training loss (nats)" and loss.get_yscale() == "log"
    assert score.get_ylabel() == "validation accuracy" and score.get_yscale() == "linear"
    first, second = labelled(loss)["a net"], labelled(score)["a net"]
    assert first.get_xdata() == pytest.approx([1, 2])
    assert first.get_ydata() == pytest.approx([3, 2])
    assert second.get_ydata() == pytest.approx([0.2, 0.7])
    np.testing.assert_allclose(band(loss), [[1, 2], [2, 1], [4, 3]])
    np.testing.assert_allclose(band(score), [[1, 2], [0.1, 0.5], [0.3, 0.9]])


def test_a_curve_has_the_colour_and_the_line_that_it_asks_for():
    values = [[0.5, 0.4]]
    curves = {"solid": curve(values, values, 2), "dashed": curve(values, values, 9, dashed=True)}
    for axis in figure_of(training.training_curves, curves).axes:
        found = labelled(axis)
        assert same_colour(found["solid"].get_color(), COLOURS[2])
        assert same_colour(found["dashed"].get_color(), MANY_COLOURS[9])
        assert found["solid"].get_linestyle() == "-" and found["dashed"].get_linestyle() == "--"


def test_the_ring_is_around_the_rate_that_was_chosen():
    rates = [0.001, 0.01, 0.1]
    grid = {
        "plain": {20: (rates, [0.1, 0.2, 0.3]), 5: (rates, [0.6, 0.9, 0.7])},
        "residual": {5: (rates, [0.7, 0.8, 0.9]), 20: (rates, [0.95, 0.8, 0.9])},
    }
    chosen = {("plain", 5): 0.01, ("plain", 20): 0.1, ("residual", 5): 0.1, ("residual", 20): 0.001}
    axes = figure_of(training.learning_rate_grid, grid, chosen).axes
    for axis, arm in zip(axes, grid, strict=True):
        assert axis.get_title(loc="left") == arm and axis.get_xscale() == "log"
        lines = labelled(axis)
        assert list(lines) == ["depth 5", "depth 20"]
        rings = [line for line in axis.get_lines() if line.get_markersize() == 9]
        for depth, ring in zip((5, 20), rings, strict=True):
            line = lines[f"depth {depth}"]
            assert line.get_ydata().tolist() == grid[arm][depth][1]
            at = rates.index(chosen[arm, depth])
            assert ring.get_data() == ([rates[at]], [grid[arm][depth][1][at]])
            np.testing.assert_array_equal(ring.get_color(), line.get_color())


def test_the_deeper_net_has_the_brighter_line():
    grid = {"plain": {depth: ([0.1], [0.5]) for depth in (20, 5, 10)}}
    chosen = {("plain", depth): 0.1 for depth in (5, 10, 20)}
    (axis,) = figure_of(training.learning_rate_grid, grid, chosen).axes
    lines = labelled(axis)
    brightness = [np.sum(line.get_color()[:3]) for line in lines.values()]
    assert list(lines) == ["depth 5", "depth 10", "depth 20"]
    assert brightness == sorted(brightness)


def test_rates_that_were_tried_are_named_and_no_others_in_all_panels():
    grid = {"plain": {5: ([1e-3, 3e-3], [0.7, 0.8])}, "residual": {5: ([3e-3, 1e-2], [0.8, 0.9])}}
    figure = figure_of(
        training.learning_rate_grid, grid, {("plain", 5): 3e-3, ("residual", 5): 0.01}
    )
    figure.canvas.draw()
    for axis in figure.axes:
        assert [label.get_text() for label in axis.get_xticklabels()] == ["0.001", "0.003", "0.01"]
        assert not [label for label in axis.get_xticklabels(minor=True) if label.get_text()]
    assert figure.axes[0].get_xlim() == figure.axes[1].get_xlim()
