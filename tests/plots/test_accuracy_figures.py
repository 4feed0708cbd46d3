"""Figures of accuracies show each value in its row, on its side, in its colour."""

import numpy as np
import pytest
from artists import figure_of, labelled, marked, points, row_names, same_colour
from matplotlib.colors import to_hex

from dla_jax.plots import accuracy, depths
from dla_jax.plots.style import COLOURS, looks_of

BLUE, ORANGE, LIGHT = COLOURS[1], COLOURS[0], COLOURS[5]
NONE = (-np.inf, np.inf)


def forest(*rows):
    """Return the axis of a forest plot of rows (label, mean, low, high, values)."""
    names = ("label", "mean", "low", "high", "values")
    rows = [
        dict(zip(names, row, strict=True)) | {"colour": COLOURS[i]} for i, row in enumerate(rows)
    ]
    return figure_of(accuracy.contrasts, rows, "difference").axes[0]


def centres(axis, names):
    """Return {label: where its diamond lies}; `names`: {height: label}."""
    return {names[y]: x for x, y in marked(axis, "D")}


def bars(axis, names):
    """Return {label: (low, high)} of the intervals."""
    found = {}
    for line in axis.get_lines():
        x, y = line.get_data()
        if line.get_marker() == "None" and len(set(y)) == 1 and y[0] in names:
            found[names[y[0]]] = tuple(x)
    return found


def dots(axis, names):
    """Return {label: values of the dots in its row}."""
    found = {}
    for x, y in marked(axis, "."):
        found.setdefault(names[round(y)], []).append(x)
    return found


HELPS = ("helps", 0.1, 0.05, 0.15, [0.08, 0.12])
HURTS = ("hurts", -0.2, -0.3, -0.1, [-0.25, -0.15])
UNSURE = ("unsure", 0.01, *NONE, [0.01])


def test_a_positive_difference_lies_to_the_right_of_zero_in_its_own_row():
    axis = forest(HELPS, HURTS, UNSURE)
    assert centres(axis, row_names(axis)) == pytest.approx({"helps": 10, "hurts": -20, "unsure": 1})
    low, high = axis.get_xlim()
    assert low < 0 < high  # from left to right
    (zero,) = [line for line in axis.get_lines() if points(line) == [(0, 0), (0, 1)]]
    assert zero.get_transform() == axis.get_xaxis_transform()


def test_dots_intervals_and_words_stand_in_the_row_of_their_contrast():
    axis = forest(HELPS, HURTS, UNSURE)
    names = row_names(axis)
    found = dots(axis, names)
    assert found["helps"] == pytest.approx([8, 12]) and found["hurts"] == pytest.approx([-25, -15])
    found = bars(axis, names)
    assert found.keys() == {"helps", "hurts"}  # two or fewer runs have no interval
    assert found["helps"] == pytest.approx((5, 15)) and found["hurts"] == pytest.approx((-30, -10))
    words = {names[text.xy[1]]: text.get_text() for text in axis.texts}
    assert words["helps"] == "+10.0 [+5.0, +15.0]" and words["hurts"] == "−20.0 [−30.0, −10.0]"
    assert words["unsure"] == "+1.0"


def test_the_first_contrast_is_on_top_and_ticks_have_signs():
    axis = forest(HELPS, HURTS)
    heights = {name: y for y, name in row_names(axis).items()}
    assert heights["helps"] > heights["hurts"] and not axis.yaxis_inverted()
    written = axis.xaxis.get_major_formatter()
    assert [written(x) for x in (-20, 0, 10)] == ["−20", "0", "+10"]


def test_a_contrast_has_the_colour_of_its_arm():
    axis = forest(HELPS, HURTS)
    names = row_names(axis)
    found = {}
    for line in axis.get_lines():
        height = round(line.get_ydata()[0])
        if len(set(np.round(line.get_ydata()))) == 1:  # not the line at zero
            found.setdefault(names[height], set()).add(to_hex(line.get_color()))
    assert found == {"helps": {COLOURS[0].lower()}, "hurts": {COLOURS[1].lower()}}


def test_networks_stand_in_the_order_given_with_accuracy_left_and_loss_right():
    rows = [
        {"label": "small", "accuracy": [0.8, 0.9], "loss": [0.5, 0.7]},
        {"label": "diverged", "accuracy": [0.1, 0.1], "loss": []},
        {"label": "large", "accuracy": [0.95], "loss": [0.2]},
    ]
    intervals = {"accuracy": [(0.7, 1.0), (0.1, 0.1), NONE], "loss": [(0.4, 0.8), NONE]}
    left, right = figure_of(accuracy.networks, rows, intervals).axes
    names = row_names(left)  # the right panel shares them
    assert list(names.values()) == ["small", "diverged", "large"]
    assert left.get_shared_y_axes().joined(left, right)
    assert left.yaxis_inverted() and right.yaxis_inverted()  # so the first is on top
    assert (left.get_xlabel(), right.get_xlabel()) == ("test accuracy", "test loss (nats)")
    expected = {"small": 0.85, "diverged": 0.1, "large": 0.95}
    assert centres(left, names) == pytest.approx(expected)
    assert centres(right, names) == pytest.approx({"small": 0.6, "large": 0.2})
    assert dots(right, names) == {"small": [0.5, 0.7], "large": [0.2]}
    assert bars(left, names) == {"small": (0.7, 1.0), "diverged": (0.1, 0.1)}
    assert bars(right, names) == {"small": (0.4, 0.8)}


def pair_of(first, second, bounds=NONE, seconds=None):
    values = {"plain_net": np.array(first), "residual_net": np.array(second)}
    return figure_of(accuracy.pair, values, bounds, seconds or {"a": [], "b": []}).axes


def test_a_pair_is_blue_where_the_second_is_better_and_orange_where_it_is_worse():
    slopes, _, _ = pair_of([0.5, 0.8, 0.7], [0.6, 0.7, 0.7])
    better, worse, equal, mean = slopes.get_lines()
    assert points(better) == [(0, 0.5), (1, 0.6)] and same_colour(better.get_color(), BLUE)
    assert points(worse) == [(0, 0.8), (1, 0.7)] and same_colour(worse.get_color(), ORANGE)
    assert same_colour(equal.get_color(), "0.6")
    assert mean.get_label() == "mean"
    np.testing.assert_allclose(points(mean), [(0, 2 / 3), (1, 2 / 3)])
    assert slopes.get_xticks().tolist() == [0, 1]
    assert [text.get_text() for text in slopes.get_xticklabels()] == ["plain net", "residual net"]


def test_the_differences_of_a_pair_are_the_second_minus_the_first_in_points():
    _, differences, _ = pair_of([0.5, 0.8], [0.6, 0.75], bounds=(-0.1, 0.2))
    assert differences.get_ylabel() == "residual net minus plain net, points"
    assert [y for _, y in marked(differences, ".")] == pytest.approx([10, -5])
    assert [y for _, y in marked(differences, "D")] == pytest.approx([2.5])
    verticals = [line for line in differences.get_lines() if points(line)[0][0] == 0.3]
    assert any(line.get_ydata() == pytest.approx([-10, 20]) for line in verticals)
    assert not differences.yaxis_inverted()


def test_the_seconds_of_a_pair_stand_above_the_network_s_name():
    seconds = {"plain_no_addition": [1.0, 3.0, 2.0], "residual": [5.0]}
    *_, times = pair_of([0.5], [0.6], seconds=seconds)
    names = [text.get_text() for text in times.get_xticklabels()]
    assert names == ["plain\nno addition", "residual"] and times.get_xticks().tolist() == [0, 1]
    found = {0: [], 1: []}
    for x, y in marked(times, "."):
        found[round(x)].append(y)
    assert found == {0: [1.0, 3.0, 2.0], 1: [5.0]}
    medians = [points(line) for line in times.get_lines() if line.get_marker() == "None"]
    assert medians == [[(-0.2, 2.0), (0.2, 2.0)], [(0.8, 5.0), (1.2, 5.0)]]


MAIN = {
    "plain": {5: ([0.9, 0.8], (0.7, 0.95)), 20: ([0.2, 0.4], (0.1, 0.5))},
    "residual": {5: ([0.88], NONE), 20: ([0.9, 0.96], (0.8, 1.0))},
}
LOOKS = looks_of(["plain", "residual", "norm", "init"])
SIDE = {"norm": {20: ([0.6], NONE)}, "init": {20: ([0.7], NONE)}}


def test_accuracy_against_depth_shows_means_with_intervals_under_the_arm_s_name():
    (axis,) = figure_of(depths.accuracy_against_depth, MAIN, {}, 0.1, LOOKS).axes
    found = labelled(axis)
    assert list(found) == ["plain", "residual"]
    line, _, (ends,) = found["plain"].lines
    x, y = line.get_data()
    assert np.round(x).tolist() == [5, 20] and y == pytest.approx([0.85, 0.3])
    low_and_high = [segment[:, 1] for segment in ends.get_segments()]
    np.testing.assert_allclose(low_and_high, [(0.7, 0.95), (0.1, 0.5)])
    _, _, (ends,) = found["residual"].lines
    np.testing.assert_allclose(ends.get_segments()[0][:, 1], 0.88)  # no interval: no length
    assert not axis.yaxis_inverted() and not axis.xaxis_inverted()


def test_each_run_is_a_dot_at_its_depth_in_the_colour_of_its_arm():
    (axis,) = figure_of(depths.accuracy_against_depth, MAIN, {}, 0.1, LOOKS).axes
    colours = {name: found.lines[0].get_color() for name, found in labelled(axis).items()}
    shown = {name: [] for name in MAIN}
    for line in axis.get_lines():
        if line.get_marker() == ".":
            (name,) = [name for name in colours if same_colour(colours[name], line.get_color())]
            shown[name] += [(5 if x < 10 else 20, y) for x, y in points(line)]
    assert shown["plain"] == [(5, 0.9), (5, 0.8), (20, 0.2), (20, 0.4)]
    assert shown["residual"] == [(5, 0.88), (20, 0.9), (20, 0.96)]


def test_the_other_explanations_stand_to_the_right_in_colours_of_their_own():
    left, right = figure_of(depths.accuracy_against_depth, MAIN, SIDE, 0.1, LOOKS).axes
    assert left.get_title(loc="left") == "plain and residual"
    assert right.get_title(loc="left") == "other explanations"
    arms = labelled(left) | labelled(right)
    assert list(arms) == ["plain", "residual", "norm", "init"]
    assert {arm: found.lines[0].get_color() for arm, found in arms.items()} == {
        arm: colour for arm, (colour, _) in LOOKS.items()
    }
    for axis in (left, right):
        (chance,) = [line for line in axis.get_lines() if points(line) == [(0, 0.1), (1, 0.1)]]
        assert chance.get_linestyle() == ":"
    assert [text.get_text() for text in left.get_xticklabels()] == ["5", "20"]
    assert left.xaxis.get_majorticklocs().tolist() == [5, 20]


def test_the_name_of_an_arm_stands_beside_its_last_mean_with_a_line_of_its_colour():
    left, right = figure_of(depths.accuracy_against_depth, MAIN, SIDE, 0.1, LOOKS).axes
    names = {text.get_text(): text for axis in (left, right) for text in axis.texts}
    assert names.keys() - {"chance"} == LOOKS.keys()
    ends = {"plain": 0.3, "residual": 0.93, "norm": 0.6, "init": 0.7}
    for arm, height in ends.items():
        words = names[arm]
        assert round(words.xy[0]) in (19, 20, 21) and words.xy[1] == pytest.approx(height)
        assert words.xyann == pytest.approx((1.04, height))
        assert same_colour(words.arrow_patch.get_edgecolor(), LOOKS[arm][0])
        assert words.get_fontsize() >= 7


def test_plain_and_residual_are_drawn_thicker_than_the_other_explanations():
    left, right = figure_of(depths.accuracy_against_depth, MAIN, SIDE, 0.1, LOOKS).axes
    widths = {
        arm: found.lines[0].get_linewidth()
        for arm, found in (labelled(left) | labelled(right)).items()
    }
    assert min(widths["plain"], widths["residual"]) > 1.5 * max(widths["norm"], widths["init"])


@pytest.mark.parametrize(
    ("heights", "expected"),
    [
        ([0.1, 0.5], [0.1, 0.5]),
        ([0.10, 0.12, 0.5], [0.10, 0.17, 0.5]),
        ([0.97, 0.98, 0.99], [0.86, 0.93, 1.0]),
    ],
)
def test_names_that_would_cover_one_another_are_moved_apart(heights, expected):
    assert depths._apart(heights, gap=0.07, top=1.0) == pytest.approx(expected)


def test_no_two_of_twelve_arms_share_a_colour_and_no_two_of_more_a_look():
    looks = looks_of(map(str, range(30)))
    assert len({to_hex(colour) for colour, _ in list(looks.values())[:12]}) == 12
    assert len(set(looks.values())) == 30
