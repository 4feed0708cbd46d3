"""Pictures and figures of heat maps have their colours, places and orders."""

import numpy as np
import pytest
from artists import band, figure_of, labelled, marked, points, row_names, same_colour
from matplotlib.colors import to_rgb
from PIL import Image

from dla_jax.plots import maps
from dla_jax.plots.style import COLOURS


def test_what_speaks_for_the_class_is_orange_what_speaks_against_it_blue():
    grey = Image.new("RGB", (3, 1), (100, 100, 100))
    found = np.asarray(maps.overlay(grey, np.array([[1.0, 0.0, -1.0]])), int)[0]
    mixed = lambda colour: np.round(0.8 * np.array(colour) + 0.2 * 100)
    np.testing.assert_allclose(found[0], mixed(maps.FOR), atol=1)
    np.testing.assert_array_equal(found[1], (100, 100, 100))
    np.testing.assert_allclose(found[2], mixed(maps.AGAINST), atol=1)
    assert maps.FOR[0] > maps.FOR[2] and maps.AGAINST[2] > maps.AGAINST[0]


def test_the_top_of_a_map_lies_over_the_top_of_the_image():
    found = np.asarray(maps.overlay(Image.new("RGB", (2, 2)), np.array([[1.0, 0.0], [0.0, 0.0]])))
    assert found[0, 0].sum() > 0 and found[0, 1].sum() == found[1].sum() == 0


def test_a_picture_repeats_the_pixels_of_the_image():
    image = np.arange(6, dtype=np.uint8).reshape(2, 3, 1)
    found = np.asarray(maps.picture(image, 7))
    assert found.shape == (4, 6, 3)
    np.testing.assert_array_equal(found[..., 0], image[..., 0].repeat(2, 0).repeat(2, 1))


def test_a_grid_has_its_pictures_row_by_row_under_the_names_of_the_columns():
    cell = lambda value: {"picture": np.full((2, 2, 3), value, np.uint8), "title": ""}
    rows = [[cell(1), cell(2)], [cell(3)]]
    axes = figure_of(maps.grid, rows, columns=["grad_cam", "noise"]).axes
    shown = [axis.get_images()[0].get_array()[0, 0, 0] for axis in axes if axis.get_images()]
    assert shown == [1, 2, 3] and not axes[3].get_images()
    assert [axis.get_title() for axis in axes[:2]] == ["grad cam", "noise"]
    assert axes[2].get_title() == ""


def test_a_grid_writes_the_title_of_each_picture_above_it():
    rows = [[{"picture": np.zeros((2, 2, 3)), "title": text} for text in ("cat $5", "dog")]]
    axes = figure_of(maps.grid, rows).axes
    assert [axis.get_title() for axis in axes] == ["cat $5", "dog"]


def faithful(another=None):
    """Return the axes of two methods' insertion, deletion and forgetting, over two networks."""
    shares = np.array([0.0, 0.5, 1.0])
    rising, falling = np.array([[0.0, 0.4, 1.0], [0.2, 0.6, 1.0]]), np.array([[1.0, 0.2, 0.0]] * 2)
    curves = {
        "insertion": {"grad_cam": rising, "edges": rising / 2},
        "deletion": {"grad_cam": falling, "edges": falling / 2},
    }
    forgotten = {"grad_cam": np.array([[1.0, 0.5], [1.0, 0.1]]), "edges": np.ones((2, 2))}
    return figure_of(maps.faithfulness, curves, shares, forgotten, another).axes


def test_insertion_and_deletion_stand_under_their_names_with_what_is_better():
    insertion, deletion, _ = faithful()
    assert insertion.get_title(loc="left") == "insertion: higher is better"
    assert deletion.get_title(loc="left") == "deletion: lower is better"
    found = points(labelled(insertion)["grad cam"])
    np.testing.assert_allclose(found, [(0, 0.1), (0.5, 0.5), (1, 1)])
    np.testing.assert_allclose(labelled(insertion)["edges"].get_ydata(), [0.05, 0.25, 0.5])
    np.testing.assert_allclose(labelled(deletion)["grad cam"].get_ydata(), [1, 0.2, 0])
    np.testing.assert_allclose(band(insertion), [[0, 0.5, 1], [0, 0.4, 1], [0.2, 0.6, 1]])
    assert len(insertion.collections) == 1  # only the first method has its range


def test_forgetting_runs_from_the_trained_network_to_one_that_forgot_all():
    *_, axis = faithful(another=0.3)
    lines = labelled(axis)
    assert points(lines["grad cam"]) == [(0, 1.0), (1, pytest.approx(0.3))]
    assert points(lines["edges"]) == [(0, 1.0), (1, 1.0)]
    assert [(0, 0.3), (1, 0.3)] in [points(line) for line in axis.get_lines()]
    assert axis.texts[0].get_text() == "another trained net" and axis.texts[0].xy == (1, 0.3)


def test_areas_stand_in_the_row_of_their_method_with_the_first_on_top():
    rows = [
        {"label": "grad_cam", "insertion": [0.8, 0.6], "deletion": [0.1, 0.3]},
        {"label": "noise", "insertion": [0.4], "deletion": [0.5]},
    ]
    left, right = figure_of(maps.aucs, rows).axes
    names = row_names(left)
    assert list(names.values()) == ["grad cam", "noise"] and left.yaxis_inverted()
    assert "insertion" in left.get_xlabel() and "deletion" in right.get_xlabel()
    means = [{names[y]: x for x, y in marked(axis, "D")} for axis in (left, right)]
    assert means[0] == pytest.approx({"grad cam": 0.7, "noise": 0.4})
    assert means[1] == pytest.approx({"grad cam": 0.2, "noise": 0.5})


def test_photos_stand_beside_their_maps_with_the_most_probable_class_on_top():
    photo, overlay = np.full((2, 2, 3), 7, np.uint8), np.full((2, 2, 3), 9, np.uint8)
    top = [("goat", 0.75), ("deer", 0.25)]
    row = {"picture": photo, "overlay": overlay, "name": "my photo", "top": top}
    left, middle, bars = figure_of(maps.photos, [row]).axes
    assert (
        left.get_images()[0].get_array()[0, 0, 0] == 7 and left.get_title(loc="left") == "my photo"
    )
    assert middle.get_images()[0].get_array()[0, 0, 0] == 9
    assert middle.get_title(loc="left") == "goat"
    assert row_names(bars) == {0: "goat", 1: "deer"} and bars.yaxis_inverted()
    lengths = {round(bar.get_y() + bar.get_height() / 2): bar.get_width() for bar in bars.patches}
    assert lengths == {0: 0.75, 1: 0.25}
    assert [text.get_text() for text in bars.texts] == ["0.750", "0.250"]


PROBABILITY = [[0.0, 0.25], [0.5, 1.0]]


def canvas_of(names, predicted):
    """Return the axes of a canvas 8 high and 12 wide, with a right and a wrong box."""
    predicted = np.array(predicted)
    image = np.arange(96, dtype=np.uint8).reshape(8, 12, 1)
    boxes = [(1, 2, 4, True), (3, 6, 4, False)]
    sure, probability = np.full(predicted.shape, 0.5), np.array(PROBABILITY)
    shown = (image, boxes, 1, probability, names[0], predicted, sure, names)
    plain, warm, best, *_ = figure_of(maps.canvas, *shown).axes  # then the bars of colours
    return plain, warm, best


def test_a_canvas_has_its_boxes_where_they_were_put_blue_where_they_were_found():
    plain, warm, _ = canvas_of(["cat", "dog"], [[0, 1], [-1, 1]])
    right, wrong = plain.patches
    assert right.get_xy() == (1.5, 0.5) and wrong.get_xy() == (5.5, 2.5)  # (left, top)
    assert right.get_width() == right.get_height() == 4
    assert same_colour(right.get_edgecolor(), COLOURS[5])
    assert same_colour(wrong.get_edgecolor(), COLOURS[0])
    assert plain.get_images()[0].get_array()[2, 3, 0] == 2 * 12 + 3
    heat = warm.get_images()[1]
    np.testing.assert_array_equal(heat.get_array(), PROBABILITY)
    assert heat.get_extent() == [1, 10, 6, 1]  # the first place at the top left
    assert warm.get_title(loc="left") == "probability of cat" and warm.yaxis_inverted()


@pytest.mark.parametrize("count", [2, 10, 18])
def test_each_class_of_a_canvas_has_a_colour_of_its_own_and_what_is_not_named_is_grey(count):
    names = [f"class {i}" for i in range(count)]
    _, _, best = canvas_of(names, [[0, count - 1], [-1, 1]])
    image = best.get_images()[1]
    colours = [tuple(image.cmap(image.norm(i))[:3]) for i in range(count)]
    assert len(set(colours)) == count and image.norm.vmin == -0.5
    assert image.norm.vmax == count - 0.5
    grey = to_rgb("0.5")
    assert image.cmap(image.norm(-1))[:3] == pytest.approx(grey) and grey not in colours
    np.testing.assert_array_equal(image.get_array(), [[0, count - 1], [-1, 1]])
    np.testing.assert_allclose(image.get_alpha(), 0.25)  # less sure, paler


def test_a_slug_is_a_part_of_a_name():
    assert maps.slug("a b/c?.png") == "a-b-c-.png" and maps.slug("") == "photo"
