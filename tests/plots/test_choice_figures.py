"""The figure of questions by group: the right points in the right panels, told in words."""

import numpy as np
from artists import band, drawn, labelled

from dla_jax.plots.choices import by_group

NAN = np.nan


def test_a_panel_a_grouping_and_a_line_a_network():
    cross = np.array([[0.8, 0.6], [0.6, 0.4]])
    rule = np.array([[0.2, 0.3], [0.4, NAN]])
    panels = [
        {
            "title": "what is asked",
            "groups": ["why", "how"],
            "curves": {"cross": cross, "r": rule},
            "ordered": False,
        },
        {
            "title": "level",
            "groups": ["high", "low"],
            "curves": {"cross": rule, "r": cross},
            "ordered": True,
        },
    ]
    figure, told = drawn(by_group, panels, 0.25)
    first, second = figure.axes
    assert [axis.get_title("left") for axis in figure.axes] == ["what is asked", "level"]
    lines = labelled(first)
    assert list(lines)[:2] == ["cross", "r"]
    np.testing.assert_allclose(lines["cross"].get_ydata(), [0.7, 0.5])
    assert lines["cross"].get_linestyle() == "None" != labelled(second)["cross"].get_linestyle()
    np.testing.assert_allclose(lines["r"].get_ydata(), [0.3, 0.3])
    np.testing.assert_allclose(labelled(second)["r"].get_ydata(), [0.7, 0.5])
    np.testing.assert_allclose(band(second, 1), [[0, 1], [0.6, 0.4], [0.8, 0.6]])
    np.testing.assert_allclose(lines["cross"].get_xdata(), [-0.175, 0.825])  # kinds beside another
    ranges = first.collections[0].get_segments()
    np.testing.assert_allclose(ranges[1], [[0.825, 0.4], [0.825, 0.6]])
    assert [label.get_text() for label in first.get_xticklabels()] == ["why", "how"]
    assert any(np.allclose(line.get_ydata(), 0.25) for line in first.lines)
    assert told.startswith(
        "what is asked: why cross 70.0 %, r 30.0 %; how cross 50.0 %, r (not finite in 1 of 2 "
        "runs) 30.0 %. level: high r 70.0 %, cross 30.0 %;"
    )
