"""Figures of attacks: the right curves, rows and cells, and words that rank them rightly."""

import math
from itertools import pairwise

import numpy as np
import pytest
from artists import band, drawn, figure_of, labelled, marked, points, row_names, same_colour
from matplotlib.patches import Rectangle

from dla_jax.plots import attacks
from dla_jax.plots.attack_training import while_trained
from dla_jax.plots.style import COLOURS

NAN = math.nan
EPSILON = np.array([0, 4, 8, 16]) / 255
STANDARD = np.array([[1.0, 0.5, 0.1, 0.0], [0.9, 0.3, 0.1, 0.0]])
PGD = np.array([[0.9, 0.8, 0.7, 0.4], [0.8, 0.8, 0.5, 0.2]])
OTHER = np.array([[0.7, 0.3, 0.2, 0.1], [0.7, 0.3, NAN, NAN]])


def tick_texts(axis) -> list[str]:
    return [label.get_text() for label in axis.get_xticklabels()]


def legend_names(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_curves_show_means_and_ranges_and_both_units():
    panels = [
        {"title": "FGSM", "epsilon": EPSILON, "curves": {"standard": STANDARD, "pgd": PGD}},
        {
            "title": "as implemented",
            "epsilon": EPSILON[1:],
            "curves": {"my_way": OTHER[:, 1:], "pgd": PGD[:, 1:]},
            "dashed": {"my_way"},
        },
    ]
    figure, told = drawn(attacks.accuracy_curves, panels)
    left, right = figure.axes
    lines = labelled(left)
    assert list(lines) == ["standard", "PGD"]
    np.testing.assert_allclose(lines["standard"].get_data(), [EPSILON, [0.95, 0.4, 0.1, 0]])
    np.testing.assert_allclose(lines["PGD"].get_data(), [EPSILON, [0.85, 0.8, 0.6, 0.3]])
    np.testing.assert_allclose(band(left, 0), [EPSILON, STANDARD[1], STANDARD[0]])
    np.testing.assert_allclose(band(left, 1), [EPSILON, PGD[1], PGD[0]])
    np.testing.assert_allclose(labelled(right)["my way"].get_ydata(), [0.3, 0.2, 0.1])
    assert labelled(right)["my way"].get_linestyle() == "--"
    assert labelled(right)["PGD"].get_linestyle() == lines["PGD"].get_linestyle() == "-"
    assert left.get_ylim() == right.get_ylim() == (0, 1)
    assert tick_texts(left) == ["0\n0", "0.016\n4", "0.031\n8", "0.063\n16"]
    np.testing.assert_allclose(left.get_xticks(), EPSILON)
    assert legend_names(figure) == ["standard", "PGD", "my way"]
    assert told == (
        "Mean accuracy, the highest first. FGSM: at ε 0 (0/255) standard 95.0 %, PGD 85.0 %; at "
        "ε 0.031 (8/255) PGD 60.0 %, standard 10.0 %; at ε 0.063 (16/255) PGD 30.0 %, standard "
        "0.0 %. as implemented: at ε 0.016 (4/255) PGD 80.0 %, my way (not finite in 1 of 2 runs) "
        "30.0 %; at ε 0.031 (8/255) PGD 60.0 %, my way (not finite in 1 of 2 runs) 20.0 %; at "
        "ε 0.063 (16/255) PGD 30.0 %, my way (not finite in 1 of 2 runs) 10.0 %."
    )


def test_a_label_looks_the_same_in_every_panel_and_differs_by_colour_and_marker():
    look = lambda line: (line.get_color(), line.get_marker())
    pgd = {"title": "a", "epsilon": EPSILON, "curves": {"pgd": PGD}}
    every = {"title": "b", "epsilon": EPSILON, "curves": {"odd": OTHER, "trades": PGD, "pgd": PGD}}
    left, right = figure_of(attacks.accuracy_curves, [pgd, every]).axes
    alone = figure_of(attacks.accuracy_curves, [pgd]).axes[0]
    among = labelled(right)
    assert look(among["PGD"]) == look(labelled(left)["PGD"]) == look(labelled(alone)["PGD"])
    assert len({look(line)[0] for line in among.values()}) == 3
    assert len({look(line)[1] for line in among.values()}) == 3


def test_of_many_lines_the_first_the_highest_and_the_lowest_have_a_band():
    shift = {"first": 0.5, "low": 0.1, "between": 0.4, "high": 0.8, "dead": NAN}
    curves = {name: np.array([[at, at], [at + 0.1, at + 0.1]]) for name, at in shift.items()}
    panels = [{"title": "PGD", "epsilon": [0, 0.1], "curves": curves}]
    figure, told = drawn(attacks.accuracy_curves, panels)
    (axis,) = figure.axes
    lows = [band(axis, i)[1].tolist() for i in range(len(axis.collections))]
    assert lows == [[0.5, 0.5], [0.1, 0.1], [0.8, 0.8]]
    assert "the first, the highest and the lowest" in figure._supxlabel.get_text()
    assert "at ε 0.1 (25.5/255) high 85.0 %, first 55.0 %, between 45.0 %, low 15.0 %, dead" in told


@pytest.mark.parametrize("count", [1, 2])
def test_labels_of_ticks_do_not_touch(count):
    epsilon = np.array([0, 1, 2, 4, 8, 12, 16]) / 255
    panel = {"title": "PGD", "epsilon": epsilon, "curves": {"pgd": np.ones((1, 7))}}
    figure = figure_of(attacks.accuracy_curves, [panel] * count)
    figure.canvas.draw()
    for axis in figure.axes:
        boxes = [label.get_window_extent() for label in axis.get_xticklabels()]
        assert all(a.x1 < b.x0 for a, b in pairwise(boxes))
        assert {0, 16 / 255} <= set(axis.get_xticks()) <= set(epsilon) and len(boxes) >= 5


def test_both_units():
    assert attacks.in_both_units(8 / 255) == "0.031 (8/255)"
    assert attacks.in_both_units(np.float32(0.1)) == "0.1 (25.5/255)"
    assert attacks.in_both_units(0.0004) == "0.0004 (0.1/255)"
    assert attacks.in_both_units(0) == "0 (0/255)" and attacks.in_both_units(1) == "1 (255/255)"


ROWS = {
    "standard": {"clean": np.array([1.0, 0.9]), "apgd_ce": np.array([0.0, 0.1])},
    "fgsm_lab_b": {"clean": np.array([0.9, 0.9]), "apgd_ce": np.array([0.3, 0.1])},
    "my_own": {"clean": np.array([0.8, NAN]), "apgd_ce": np.array([0.6, NAN])},
}
INTERVALS = {
    "standard": {"clean": (0.85, 1.05), "apgd_ce": (-0.05, 0.15)},
    "fgsm_lab_b": {"clean": (0.88, 0.92), "apgd_ce": (0.05, 0.35)},
    "my_own": {"clean": (NAN, NAN), "apgd_ce": (-math.inf, math.inf)},
}


def test_there_is_a_panel_an_attack_and_a_row_a_network():
    figure, told = drawn(attacks.by_attack, ROWS, INTERVALS, ["clean", "apgd_ce"])
    axes = figure.axes
    assert [axis.get_title(loc="left") for axis in axes] == ["clean", "APGD, cross-entropy"]
    assert row_names(axes[0]) == {0: "standard", 1: "FGSM, lab B's", 2: "my own"}
    for axis, attack in zip(axes, ("clean", "apgd_ce"), strict=True):
        dots = [line for line in axis.get_lines() if line.get_marker() == "."]
        bars = [points(line) for line in axis.get_lines() if line.get_marker() == "None"]
        for y, each in enumerate(ROWS.values()):
            np.testing.assert_array_equal(dots[y].get_xdata(), each[attack])
            assert np.abs(dots[y].get_ydata() - y).max() < 0.5
        known = list(INTERVALS.values())[:2]
        assert bars == [[(x, y) for x in each[attack]] for y, each in enumerate(known)]
        means = [np.nanmean(each[attack]) for each in ROWS.values()]
        np.testing.assert_allclose(marked(axis, "D"), list(zip(means, range(3), strict=True)))
        assert axis.get_xlim()[0] < 0 and axis.get_xlim()[1] > 1
        assert axis.get_ylim() == (2.5, -0.5)  # the first on top
    texts = [[text.get_text() for text in axis.texts] for axis in axes]
    assert texts == [["95.0", "90.0", "80.0"], ["5.0", "20.0", "60.0"]]
    best = [[same_colour(text.get_color(), COLOURS[0]) for text in axis.texts] for axis in axes]
    assert best == [[True, False, False], [False, False, True]]
    assert told == (
        "Mean accuracy under each attack, the highest first. clean: standard 95.0 %, FGSM lab B's "
        "90.0 %, my own (not finite in 1 of 2 runs) 80.0 %. APGD cross-entropy: my own (not finite "
        "in 1 of 2 runs) 60.0 %, FGSM lab B's 20.0 %, standard 5.0 %."
    )


def test_all_attacks_are_drawn_in_their_order():
    names = list(attacks.NAMES)[::-1]
    values = {"trades": {name: np.array([0.1 * i]) for i, name in enumerate(names)}}
    bounds = {"trades": dict.fromkeys(names, (NAN, NAN))}
    figure = figure_of(attacks.by_attack, values, bounds, names)
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    assert titles == list(attacks.NAMES.values())[::-1]
    found = [marked(axis, "D")[0][0] for axis in figure.axes]
    np.testing.assert_allclose(found, 0.1 * np.arange(9))
    figure = figure_of(attacks.by_attack, values, bounds, names[:4])
    assert [axis.get_visible() for axis in figure.axes] == [True] * 4 + [False] * 2


# Of three networks: the last one withstands, and images made for it harm the others.
TRANSFER = np.array([[0.0, 0.9, 0.4], [0.8, 0.1, 0.5], [0.95, 0.85, 0.6]])


def test_rows_are_networks_that_are_tested_and_columns_those_attacked():
    names = ["standard", "rs_fgsm", "my_own"]
    figure, told = drawn(attacks.transfer, TRANSFER, names)
    (axis,) = figure.axes
    (image,) = axis.images
    np.testing.assert_array_equal(image.get_array(), TRANSFER)
    assert (image.norm.vmin, image.norm.vmax, image.origin) == (0, 1, "upper")
    texts = ["standard", "FGSM, random start", "my own"]
    assert row_names(axis) == dict(enumerate(texts)) and tick_texts(axis) == texts
    assert "made for" in figure._supxlabel.get_text() and "of" in figure._supylabel.get_text()
    written = {text.get_position(): text.get_text() for text in axis.texts}
    assert written == {(j, i): f"{100 * value:.1f}" for (i, j), value in np.ndenumerate(TRANSFER)}
    frames = [patch.get_xy() for patch in axis.patches if isinstance(patch, Rectangle)]
    assert frames == [(-0.5, -0.5), (0.5, 0.5), (1.5, 1.5)]
    assert told == (
        "Accuracy on images made for the network itself, the lowest first: standard 0.0 %, FGSM "
        "random start 10.0 %, my own 60.0 %. Mean accuracy of the other networks on images made "
        "for one, the lowest first: my own 45.0 %, standard 87.5 %, FGSM random start 87.5 %. Mean "
        "accuracy of one on images made for the others, the lowest first: standard 65.0 %, FGSM "
        "random start 65.0 %, my own 90.0 %."
    )


def test_a_signed_map_is_white_at_zero_blue_below_and_orange_above():
    values = np.zeros((2, 3, 2), np.float32)
    values[0, 0], values[0, 1], values[0, 2] = (1, 1), (-3, -1), (5, -5)
    values[1, 0] = NAN
    picture = attacks.signed(values)
    assert picture.shape == (2, 3, 3) and picture.dtype == np.uint8
    assert picture[0, 1].tolist() == [0, 130, 255]  # the largest: all blue
    assert picture[0, 0].tolist() == [255, 168, 128]  # half way from white to orange (255, 80, 0)
    assert (picture[0, 2] == 255).all() and (picture[1, 1:] == 255).all()
    assert (picture[1, 0] == 128).all()
    np.testing.assert_array_equal(attacks.signed(8 * values), picture)
    turned = attacks.signed(-values)
    assert turned[0, 1].tolist() == [255, 80, 0] and turned[0, 0, 0] < turned[0, 0, 2] == 255
    assert (attacks.signed(np.zeros((2, 2, 1))) == 255).all()


def test_one_network_one_epsilon_and_nothing_finite_are_drawn(tmp_path):
    path = tmp_path / "odd.png"
    curves = {"pgd": np.array([[0.5], [0.7]]), "dead": np.full((2, 1), NAN)}
    told = attacks.accuracy_curves([{"title": "x", "epsilon": [0.1], "curves": curves}], path)
    runs = "dead (not finite in 2 of 2 runs) unknown"
    assert told.endswith(f"x: at ε 0.1 (25.5/255) PGD 60.0 %, {runs}.")
    dead = {f"net {i}": np.full((1, 2), NAN) for i in range(4)}
    panel = {"title": "y", "epsilon": [0, 0.1], "curves": dead}
    told = attacks.accuracy_curves([panel], path, y="share of images")
    assert told.startswith("Mean share of images") and told.count("unknown") == 8
    told = attacks.by_attack({"pgd": {"pgd": [NAN]}}, {"pgd": {"pgd": (NAN, NAN)}}, ["pgd"], path)
    assert told.endswith("PGD: PGD (not finite in 1 of 1 runs) unknown.")
    told = attacks.transfer(np.array([[NAN]]), ["pgd"], path)
    assert told.endswith("itself, the lowest first: PGD unknown.") and path.exists()


def test_training_has_a_panel_a_way_with_a_line_a_measure():
    pgd = np.array([[0.2, 0.6, 0.1], [0.4, 0.4, NAN]])
    panel = {"step": np.array([10, 20, 30]), "clean": pgd + 0.3, "fgsm": pgd + 0.2, "pgd": pgd}
    figure, told = drawn(while_trained, {"fgsm": panel, "my_way": panel})
    left, right = figure.axes
    assert [axis.get_title("left") for axis in figure.axes] == ["FGSM", "my way"]
    lines = labelled(left)
    assert list(lines) == ["clean images", "under FGSM", "under PGD"]
    np.testing.assert_allclose(lines["under PGD"].get_data(), [[10, 20, 30], [0.3, 0.5, 0.1]])
    np.testing.assert_allclose(lines["clean images"].get_ydata(), [0.6, 0.8, 0.4])
    np.testing.assert_allclose(band(left, 2), [[10, 20, 30], [0.2, 0.4, 0.1], [0.4, 0.6, 0.1]])
    assert left.get_ylim() == right.get_ylim() == (0, 1.04)
    assert told.startswith(
        "FGSM: at the end clean images 40.0 %, under FGSM 30.0 %, under PGD 10.0 %; best mean "
        "under PGD 50.0 %. my way: "
    )
