"""What figures show in words: the higher is said to be the higher, and what is unknown unknown."""

import math
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from dla_jax.plots import (
    accuracy,
    characters,
    classes,
    depths,
    layers,
    learning,
    maps,
    training,
    words,
)
from dla_jax.plots.style import looks_of, plt

PLAIN, RESIDUAL = np.array([0.50, 0.52]), np.array([0.90, 0.94])
NONE = (-math.inf, math.inf)
LOOKS = looks_of(["plain", "residual"])


def said(plot, *arguments):
    """Return what a function of dla_jax/plots says of the figure that it draws, without a file."""
    with mock.patch.object(sys.modules[plot.__module__], "save", lambda figure, path: None):
        told = plot(*arguments, Path("not written"))
    plt.close("all")
    return told


def test_values_are_ranked_and_the_unknown_comes_last():
    values = {"a": 0.1, "b": 0.9, "c": math.nan}
    assert words.ranked(values, words.percent) == "b 90.0 %, a 10.0 %, c unknown"
    assert words.ranked(values, words.percent, smallest=True) == "a 10.0 %, b 90.0 %, c unknown"
    many = words.ranked({str(i): i for i in range(10)}, str)
    assert many.startswith("9 9, 8 8") and many.endswith("2 2, 2 more")
    assert words.times(3.0, 2.0) == "1.5 times" and words.times(1.0, 0.0) == "unknown"
    assert words.digits(1234.4) == "1,234" and words.digits(0.00123) == "0.0012"


@pytest.mark.parametrize("turned", [False, True])
def test_the_net_that_is_higher_at_depth_is_named_first(turned):
    main = {"plain": {5: (RESIDUAL, NONE), 20: (RESIDUAL if turned else PLAIN, NONE)}}
    main |= {"residual": {5: (RESIDUAL, NONE), 20: (PLAIN if turned else RESIDUAL, NONE)}}
    told = said(depths.accuracy_against_depth, main, {}, 0.1, LOOKS)
    first, second = ("plain", "residual") if turned else ("residual", "plain")
    assert f"At depth 20, the highest first: {first} 92.0 %, {second} 51.0 %." in told
    lower = "51.0 %" if not turned else "92.0 %"
    assert f"plain 92.0 % at 5, {lower} at 20" in told


def test_differences_keep_their_sign():
    row = {"low": 0.1, "high": 0.3, "values": [0.2, 0.2], "colour": "0.3"}
    rows = [{"label": "worse", "mean": -0.2} | row, {"label": "better", "mean": 0.2} | row]
    told = said(accuracy.contrasts, rows, "difference to plain")
    assert told.startswith("Difference to plain, the largest first: better +20.0 [+10.0")
    assert told.index("better +20.0") < told.index("worse −20.0")


def test_a_pair_says_in_how_many_runs_the_second_is_higher():
    values = {"plain": PLAIN, "residual": np.array([0.90, 0.42])}
    told = said(accuracy.pair, values, NONE, {"plain": PLAIN, "residual": RESIDUAL})
    assert told.startswith("Test accuracy of residual is higher than that of plain in 1 of 2 runs")
    assert "lower in 1; on average +15.0 points." in told


def test_networks_are_ranked_by_accuracy_and_by_loss():
    rows = [{"label": "a", "accuracy": PLAIN, "loss": [2.0]}]
    rows += [{"label": "b", "accuracy": RESIDUAL, "loss": [0.5]}]
    told = said(accuracy.networks, rows, {"accuracy": [NONE, NONE], "loss": [NONE, NONE]})
    assert "highest first: b 92.0 %, a 51.0 %." in told and "b 0.500, a 2.000." in told


def test_training_says_where_the_curves_end():
    curve = {"epoch": np.arange(1, 3), "colour": 0, "dashed": False}
    plain = curve | {"train_loss": [[2.0, 1.5]], "val_accuracy": [[0.9, 0.5]]}
    residual = curve | {"train_loss": [[2.0, 0.5]], "val_accuracy": [[0.1, 0.8]]}
    told = said(training.training_curves, {"plain": plain, "residual": residual})
    assert "highest first: residual 80.0 %, plain 50.0 %." in told
    assert "lowest first: residual 0.5, plain 1.5." in told


def test_a_network_with_a_run_without_evaluations_ends_unknown():
    look = {"colour": 0, "dashed": False}
    none = look | {"epoch": [], "train_loss": [[], []], "val_accuracy": [[], []]}
    some = look | {"epoch": [1], "train_loss": [[0.5]], "val_accuracy": [[0.8]]}
    told = said(training.training_curves, {"diverged": none, "residual": some})
    assert "highest first: residual 80.0 %, diverged unknown." in told
    assert "lowest first: residual 0.5, diverged unknown." in told


def test_layers_say_how_the_first_lies_beside_the_last():
    vanishing, dead = np.array([[0.01, 0.1, 1.0]] * 2), np.array([[0.0, 0.0, 1.0]] * 2)
    maps_of = {"plain": (np.array([0, 9]), vanishing), "dead": (np.array([0, 9]), dead)}
    told = said(layers.heat_maps, maps_of, "gradient norm")
    assert "plain 0.01 times at step 0, 0.01 times at step 9;" in told
    assert "dead unknown at step 0, unknown at step 9, 66.7 % of the map exactly zero" in told
    told = said(
        layers.layer_profiles, {"": {"plain": vanishing, "residual": 3 - vanishing}}, "norm", LOOKS
    )
    assert "first layer over last: plain 0.01 times, residual 1.5 times." in told


def test_losses_are_ranked_the_lowest_first():
    row = {"nats": [1.0, 1.2], "low": -math.inf, "high": math.inf}
    told = said(characters.scores, [row | {"label": "gpt"}], {2: 0.9, 3: 1.5}, "test text")
    assert [told.index(name) for name in ("2-gram", "gpt", "3-gram")] == sorted(
        told.index(name) for name in ("2-gram", "gpt", "3-gram")
    )


def test_a_confusion_is_that_of_the_true_class_for_the_other():
    told = said(classes.confusion, {"net": np.array([[8, 2], [1, 9]])}, ["cat", "dog"])
    assert told == "net: 85.0 % right; most often wrong: 20.0 % of cat are taken for dog."


def test_returns_are_ranked_at_the_last_evaluation():
    def arm(*iqm):
        iqm = np.array(iqm)
        return {"step": [0, 1], "iqm": iqm, "low": iqm, "high": iqm, "seeds": [([0, 1], iqm)]}

    told = said(learning.together, {"dqn": arm(90.0, 10.0), "ppo": arm(5.0, 50.0)}, None)
    assert told.endswith("highest first: ppo from 5.0 to 50.0, dqn from 90.0 to 10.0.")
    assert learning.last_known([1.0, 2.0, math.nan]) == 2.0


def test_areas_are_best_where_insertion_is_high_and_deletion_low():
    rows = [{"label": "random", "insertion": [0.4], "deletion": [0.4]}]
    rows += [{"label": "cam", "insertion": [0.8], "deletion": [0.2]}]
    told = said(maps.aucs, rows)
    assert "insertion curve, the best first: cam 80.0 %, random 40.0 %." in told
    assert "deletion curve, the best first: cam 20.0 %, random 40.0 %." in told
