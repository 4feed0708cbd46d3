"""Figures of texts show bits, n-grams, attention and confusion where a reader looks for them."""

import math

import numpy as np
import pytest
from artists import band, figure_of, labelled, marked, points, row_names, same_colour

from dla_jax.plots import characters, classes
from dla_jax.plots.style import COLOURS

BIT = math.log(2)  # in nats


def test_scores_are_bits_in_the_row_of_the_network_with_the_first_on_top():
    rows = [
        {"label": "gpt", "nats": [1.0 * BIT, 3.0 * BIT], "low": 0.5 * BIT, "high": 3.5 * BIT},
        {"label": "llama", "nats": [1.5 * BIT], "low": -math.inf, "high": math.inf},
    ]
    ngrams = {1: 9.0 * BIT, 2: 3.0 * BIT, 3: 1.2 * BIT}
    (axis,) = figure_of(characters.scores, rows, ngrams, "test").axes
    names = row_names(axis)
    assert list(names.values()) == ["gpt", "llama", "1-gram", "2-gram", "3-gram"]
    assert axis.yaxis_inverted()
    assert {names[y]: x for x, y in marked(axis, "D")} == pytest.approx({"gpt": 2, "llama": 1.5})
    ticks = {names[y]: x for x, y in marked(axis, "|")}
    assert ticks["2-gram"] == pytest.approx(3) and ticks["3-gram"] == pytest.approx(1.2)
    assert math.isnan(ticks["1-gram"])  # too far off; its figure stands
    words = {names[text.xy[1]]: text.get_text() for text in axis.texts}
    assert (words["gpt"], words["llama"]) == ("2.000", "1.500")
    assert [words[f"{order}-gram"] for order in (1, 2, 3)] == ["9.000", "3.000", "1.200"]
    best = [line for line in axis.get_lines() if line.get_linestyle() == ":"]
    assert [points(line)[0][0] for line in best] == pytest.approx([1.2])


def test_learning_curves_tell_training_from_validation():
    found = {
        "step": [10, 20],
        "val": np.array([[3.0, 2.0], [5.0, 4.0]]) * BIT,
        "train_step": [5, 10, 15],
        "train": np.array([[6.0, 5.0, 1.0]]) * BIT,
    }
    (axis,) = figure_of(characters.curves, {"gpt": found}, {2: 4.5 * BIT, 1: 99.0}).axes
    lines = labelled(axis)
    np.testing.assert_allclose(points(lines["validation"]), [(10, 4), (20, 3)])
    np.testing.assert_allclose(points(lines["training"]), [(5, 6), (10, 5), (15, 1)])
    assert same_colour(lines["validation"].get_color(), COLOURS[1])
    np.testing.assert_allclose(band(axis, 1), [[10, 20], [3, 2], [5, 4]])
    (text,) = axis.texts  # that of order 1 lies outside
    assert text.get_text() == "2-gram" and text.xy[1] == pytest.approx(4.5)
    heights = [line.get_ydata() for line in axis.get_lines()]
    assert any(list(height) == pytest.approx([4.5, 4.5]) for height in heights if len(height) == 2)


def test_an_ngram_has_one_character_less_of_context_than_its_order():
    networks = {"bytes": (1.0, np.full(4, 2.0 * BIT)), "pieces": (3.0, np.full(4, 1.0 * BIT))}
    ngrams = {1: 5.0 * BIT, 4: 3.0 * BIT, 2: 4.0 * BIT}
    (axis,) = figure_of(characters.by_context, networks, ngrams, "test").axes
    lines = labelled(axis)
    np.testing.assert_allclose(points(lines["n-grams"]), [(1, 4), (3, 3)])
    assert lines["bytes"].get_xdata() == pytest.approx([1, 2, 3, 4])
    assert lines["pieces"].get_xdata() == pytest.approx([3, 6, 9, 12])  # characters, not tokens
    assert lines["bytes"].get_ydata() == pytest.approx([2] * 4)
    assert lines["pieces"].get_ydata() == pytest.approx([1] * 4)
    assert axis.get_xscale() == "log" and not axis.xaxis_inverted()


def test_attention_has_a_row_a_token_a_column_a_head_and_a_line_a_layer():
    rng = np.random.default_rng(0)
    weights = rng.dirichlet(np.ones(3), size=(2, 2, 3))  # [layer, head, token, attended to]
    axes = figure_of(characters.attention, weights, ["a", " ", "\n"]).axes
    for (layer, head), axis in zip(np.ndindex(2, 2), axes, strict=True):
        (image,) = axis.get_images()
        np.testing.assert_allclose(image.get_array(), np.sqrt(weights[layer, head]))
        assert image.origin == "upper" and axis.yaxis_inverted()  # the first token on top
        assert axis.get_title() == (f"head {head + 1}" if layer == 0 else "")
        assert axis.get_ylabel() == (f"layer {layer + 1}" if head == 0 else "")
    assert row_names(axes[0]) == {0: "a", 1: "␣", 2: "⏎"}


def test_confusion_has_true_classes_as_rows_and_shares_of_them_in_the_cells():
    counts = np.array([[8, 2, 0], [0, 5, 5], [0, 0, 0]])
    (axis,) = figure_of(classes.confusion, {"net": counts}, ["cat", "dog", "eel"]).axes
    (image,) = axis.get_images()
    shares = [[0.8, 0.2, 0.0], [0.0, 0.5, 0.5], [0.0, 0.0, 0.0]]
    np.testing.assert_allclose(image.get_array(), shares)
    assert image.origin == "upper" and axis.yaxis_inverted()
    assert (axis.get_ylabel(), axis.get_xlabel()) == ("true class", "predicted")
    assert row_names(axis) == {0: "cat", 1: "dog", 2: "eel"}
    assert [text.get_text() for text in axis.get_xticklabels()] == ["cat", "dog", "eel"]
    written = {text.get_position(): text.get_text() for text in axis.texts}  # (predicted, true)
    assert written[1, 0] == "20.0" and written[0, 1] == "0.0" and written[2, 1] == "50.0"
