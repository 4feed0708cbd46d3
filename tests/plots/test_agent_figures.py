"""Figures of agents show each arm's returns, and when its seeds were solved."""

import math

import numpy as np
import pytest
from artists import band, drawn, figure_of, labelled, marked, points, row_names, same_colour

from dla_jax.plots import learning, places
from dla_jax.plots.style import COLOURS


def arm(height):
    return {
        "step": [0, 100],
        "iqm": [height, height + 10],
        "low": [height - 5, height + 4],
        "high": [height + 5, height + 16],
        "seeds": [([0, 100], [height, height + 20]), ([0, 50], [height, height])],
    }


def test_a_panel_has_the_seeds_the_mean_and_the_interval_of_its_arm():
    axes = figure_of(learning.curves, {"dqn": arm(50), "ppo": arm(200)}, 475.0).axes
    for axis, (name, height) in zip(axes, {"dqn": 50, "ppo": 200}.items(), strict=True):
        assert axis.get_title(loc="left") == name
        *seeds, mean, solved = axis.get_lines()
        assert points(seeds[0]) == [(0, height), (100, height + 20)]
        assert points(seeds[1]) == [(0, height), (50, height)] and len(seeds) == 2
        assert points(mean) == [(0, height), (100, height + 10)]
        assert mean.get_linewidth() > max(line.get_linewidth() for line in seeds)
        assert points(solved) == [(0, 475), (1, 475)]
        expected = [[0, 100], [height - 5, height + 4], [height + 5, height + 16]]
        np.testing.assert_allclose(band(axis), expected)
        assert not axis.yaxis_inverted()


def test_together_the_arms_have_their_own_names_and_looks():
    arms = {f"arm {i}": arm(10 * i) for i in range(9)}
    (axis,) = figure_of(learning.together, arms, None).axes
    lines = labelled(axis)
    assert list(lines) == list(arms)
    for i, line in enumerate(lines.values()):
        assert list(line.get_ydata()) == [10 * i, 10 * i + 10]
        np.testing.assert_allclose(band(axis, i)[1], [10 * i - 5, 10 * i + 4])
    looks = {(line.get_color(), line.get_linestyle()) for line in lines.values()}
    assert len(looks) == 9


def test_scores_have_the_whole_training_left_the_best_policy_right_and_the_first_arm_on_top():
    def found(iqm, low, high):
        return {"values": [iqm - 1, iqm + 1], "iqm": iqm, "low": low, "high": high}

    rows = [
        {"label": "ppo", "best": found(400, 300, 450), "whole": found(200, -math.inf, math.inf)},
        {"label": "dqn", "best": None, "whole": found(100, 50, 150)},
    ]
    whole, best = figure_of(learning.scores, rows).axes
    assert best.get_xlabel() == "return of the best policy"
    assert whole.get_xlabel() == "mean return over training"
    names = row_names(whole)
    assert list(names.values()) == ["ppo", "dqn"] and best.yaxis_inverted()
    assert whole.yaxis_inverted()
    centres = [{names[y]: x for x, y in marked(axis, "D")} for axis in (best, whole)]
    assert centres == [{"ppo": 400}, {"ppo": 200, "dqn": 100}]
    assert [x for x, _ in marked(whole, ".")] == [199, 201, 99, 101]
    (bar,) = [line for line in whole.get_lines() if line.get_marker() == "None"]
    assert points(bar) == [(50, 1), (150, 1)]
    assert [(text.get_text(), text.xy[1]) for text in whole.texts] == [("200.0", 0), ("100.0", 1)]


def test_the_share_of_solved_seeds_rises_where_a_seed_is_solved():
    arms = {
        "ppo": {"steps": [300.0, None, 100.0, 200.0], "budget": 500},
        "dqn": {"steps": [None, None], "budget": 400},
    }
    (axis,) = figure_of(learning.solved, arms).axes
    lines = labelled(axis)
    assert list(lines) == ["ppo: 3 of 4", "dqn: 0 of 2"]
    line = lines["ppo: 3 of 4"]
    assert points(line) == [(0, 0), (100, 0.25), (200, 0.5), (300, 0.75), (500, 0.75)]
    assert line.get_drawstyle() == "steps-post"
    assert points(lines["dqn: 0 of 2"]) == [(0, 0), (400, 0)]


def test_an_arm_has_one_colour_in_all_panels_of_what_the_updates_said():
    metrics = {
        "entropy": {"ppo": ([0, 1], [0.7, 0.1])},
        "loss": {"dqn": ([0, 2], [1.0, 0.1]), "ppo": ([0, 1], [5.0, 6.0])},
    }
    figure = figure_of(learning.inside, metrics)
    entropy, loss = figure.axes
    assert entropy.get_title(loc="left") == "entropy of the policy, nats"
    assert entropy.get_yscale() == "linear" and loss.get_yscale() == "log"
    (ppo,), (dqn, again) = entropy.get_lines(), loss.get_lines()
    assert points(ppo) == [(0, 0.7), (1, 0.1)] and points(dqn) == [(0, 1.0), (2, 0.1)]
    assert same_colour(ppo.get_color(), again.get_color())
    assert not same_colour(ppo.get_color(), dqn.get_color())
    legend = figure.legends[0]
    named = zip(legend.get_texts(), legend.get_lines(), strict=True)
    colours = {text.get_text(): line.get_color() for text, line in named}
    assert same_colour(colours["ppo"], ppo.get_color()) and same_colour(colours["dqn"], COLOURS[1])
    assert same_colour(colours["dqn"], dqn.get_color())


def test_an_arm_without_scores_keeps_its_row():
    row = {"label": "ppo", "best": None, "whole": None}
    whole, best = figure_of(learning.scores, [row]).axes
    assert not best.get_lines() and not whole.texts
    assert row_names(whole) == pytest.approx({0: "ppo"})


def test_each_run_is_a_dot_and_the_diagonal_is_one():
    arms = {"a": {"here": [1.0, 5.0], "there": [2.0, 3.0]}, "b": {"here": [9.0], "there": [8.0]}}
    figure, told = drawn(places.two_places, arms, ("Ours", "Theirs"))
    (axis,) = figure.axes
    assert "Ours" in axis.get_xlabel() and "Theirs" in axis.get_ylabel()
    lines_of = labelled(axis)
    assert points(lines_of["a"]) == [(1, 2), (5, 3)] and points(lines_of["b"]) == [(9, 8)]
    assert all(line.get_linestyle() == "None" for line in lines_of.values())
    (diagonal,) = [line for line in axis.get_lines() if line not in lines_of.values()]
    assert all(x == y for x, y in points(diagonal))
    assert axis.get_xlim() == axis.get_ylim() and axis.get_xlim()[0] < 1 < 9 < axis.get_xlim()[1]
    assert "a 3.0 and 2.5; b 9.0 and 8.0" in told and "Below the diagonal: 2 of 3 runs." in told
