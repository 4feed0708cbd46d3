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
    slips,
    training,
    words,
)
from dla_jax.plots.style import looks_of, plt
from dla_jax.studies.cam.figures import draw_methods

PLAIN, RESIDUAL = np.array([0.50, 0.52]), np.array([0.90, 0.94])
NONE = (-math.inf, math.inf)
BIT = math.log(2)  # in nats
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
    assert words.digits(99.6) == "100" and words.digits(99.4) == "99"
    assert words.digits(math.inf) == "overflowed" and words.digits(math.nan) == "unknown"


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


def test_a_chosen_rate_is_that_of_its_depth_and_not_the_largest():
    rates, heights = [0.001, 0.01, 0.1], [0.1, 0.2, 0.3]
    grid = {"plain": {20: (rates, heights), 5: (rates, heights)}}
    told = said(training.learning_rate_grid, grid, {("plain", 5): 0.01, ("plain", 20): 0.001})
    assert told == "Chosen learning rates: plain 0.01 at depth 5, 0.001 at depth 20."


def test_the_first_stage_lies_over_the_last():
    means = np.array([[1.0, 5.0, 10.0], [6.0, 5.0, 2.0]])
    told = said(layers.stages, {"a_net": {"epoch": [1, 2], "mean_abs": means, "var": means**2}})
    assert told.endswith(": a net 0.1 times after the first epoch, 3 times after the last.")


def test_the_last_steps_lie_over_the_first():
    runs = np.array([[4.0, 4.0, *[9.0] * 16, 1.0, 1.0]] * 2)
    told = said(layers.first_steps, {"plain": {"a_net": runs}, "residual": {"b": runs[:, ::-1]}})
    assert told.endswith("last tenth over first: a net 0.25 times, b 4 times.")


def test_histograms_say_where_a_gradient_starts_and_where_it_ends():
    low, high, none = [0.9, 0.1, 0.0, 0.0], [0.0, 0.0, 0.1, 0.9], [math.nan] * 4
    found = {"steps": [0, 10, 20], "limits": [-30, -20, -10, 0]}
    found |= {"first": [low, none, high], "last": [high, low, none]}
    told = said(layers.histograms, {"a_net": found})
    assert "a net, first convolution, −9.0 at the start and 0.0 at the end;" in told
    assert "a net, last convolution, 0.0 at the start and unknown at the end." in told


def test_clipping_says_the_largest_norm_that_is_known_and_what_overflowed():
    def clipped(*before):
        return {"before": np.array(before), "after": np.array([1.0, 0.5]), "threshold": 1.0}

    networks = {"a_net": clipped(5.0, math.nan), "b": clipped(math.inf, 3.0, 2.0)}
    networks |= {"c": clipped(math.nan, math.nan), "d": clipped(math.inf, math.nan)}
    told = said(layers.clipping, networks)
    assert told.startswith("Largest gradient norm before and after clipping: a net 5 and 1;")
    assert "b 3 where it did not overflow and 1; c unknown and 1; d overflowed and 1." in told


def test_a_map_of_a_dead_or_overflowed_network_is_drawn_all_the_same():
    dead, lost = (([0, 9], np.full((2, 3), value)) for value in (0.0, math.nan))
    told = said(layers.heat_maps, {"dead": dead, "lost": lost}, "norm")
    assert "dead unknown at step 0, unknown at step 9, 100.0 % of the map exactly zero;" in told
    assert told.endswith("lost unknown at step 0, unknown at step 9.")


def test_slips_say_which_way_each_moves_the_picture():
    means = np.array([[9.0, 9.0], [0.1, 9.0]])
    curves = {"epoch": [1, 2], "mean_abs": means, "var": np.array([[math.nan, 9.0], [0.02, 9.0]])}
    panels = {
        "swapped": {"plain": curves},
        "scaled": {"plain": {"limits": [-2, -1], "first": [[0.25, 0.5]]}},
        "clipped_once": {"before": [5.0, math.nan], "after": [1.0, 1.0], "threshold": 1.0},
        "frozen": {"a_net": ([1, 2], [[0.9, 0.2]]), "b": ([1, 2], [[0.1, 0.8]])},
    }
    panels["clipped_once"]["labels"] = ("a", "b")
    told = said(slips.mistakes, panels, 1000.0)
    assert "(a) plain: what is logged as the mean over the mean, at the end: 0.2 times;" in told
    assert "(b) plain: 1,000 times too large;" in told
    assert "norm 5 where clipping came before the loop, 1 where each step is clipped;" in told
    assert told.endswith("highest first: b 80.0 %, a net 20.0 %.")
    curves["var"] = np.full((2, 2), math.nan)
    assert "over the mean, at the end: unknown;" in said(slips.mistakes, panels, 1000.0)


def test_the_area_is_that_over_the_share_of_pixels():
    curves = {
        "insertion": {
            "random": np.array([[0.0, 0.0, 1.0]]),
            "grad_cam": np.array([[0.0, 1.0, 1.0]]),
        },
        "deletion": {
            "random": np.array([[1.0, 1.0, 0.0]]),
            "grad_cam": np.array([[1.0, 0.0, 0.0]]),
        },
    }
    forgotten = {"grad_cam": np.array([[1.0, 0.2]]), "random": np.array([[1.0, 0.9]])}
    told = said(maps.faithfulness, curves, np.array([0.0, 0.2, 1.0]), forgotten, None)
    assert "insertion curve, the higher the better: grad cam 90.0 %, random 40.0 %." in told
    assert "deletion curve, the lower the better: grad cam 10.0 %, random 60.0 %." in told
    assert told.endswith("Likeness of grad cam to itself, all forgotten: 0.20.")


def test_methods_are_ranked_by_how_like_the_first_they_are():
    heat = np.random.default_rng(0).normal(size=(2, 4, 4))
    shown = {"image": np.zeros((2, 4, 4, 1), np.uint8), "method_grad_cam": heat}
    shown |= {"method_opposite": -heat, "method_the_same": 2 * heat}
    with mock.patch.object(maps, "grid"):
        told = draw_methods(("grad_cam", "opposite", "the_same"), shown, Path("not written"))
    assert "with the maps of grad cam, the most alike first: the same 1.00, opposite −1.00." in told


def test_the_loss_is_told_behind_the_shortest_context_and_the_longest():
    nats = np.linspace(3.0, 1.0, 8) * BIT
    told = said(characters.by_context, {"gpt": (2.0, nats)}, {2: 2.0}, "test text")
    assert told.endswith(": gpt 3.00 behind a context of 2, 1.00 behind one of 16.")


def test_validation_is_told_at_its_best_and_at_the_end():
    found = {"step": [10, 20, 30], "val": np.array([[3.0, 2.0, 2.5]]) * BIT}
    found |= {"train_step": [10], "train": np.array([[3.0]])}
    without = found | {"step": [], "val": np.zeros((1, 0))}
    told = said(characters.curves, {"gpt": found, "none": without}, {2: 2.0})
    assert told.endswith("text: gpt 2.000 at its best, step 20, 2.500 last; none unknown.")


def test_attention_is_told_of_the_tokens_that_have_three_others_to_choose_from():
    rows = [[1.0, 0, 0, 0], [0.9, 0.1, 0, 0], [0.2, 0.3, 0.5, 0], [0.1, 0.1, 0.3, 0.5]]
    told = said(characters.attention, np.array([[rows]]), list("abcd"))
    assert "itself 50.0 %, the token before 30.0 %, the first token 15.0 %;" in told
    assert told.endswith("even attention would give each 29.2 %.")
    few = said(characters.attention, np.array([[[[1.0, 0.0], [0.5, 0.5]]]]), ["a", "b"])
    assert few == "Too few tokens to tell what they attend to."


def test_scores_begin_with_the_return_over_training():
    def found(iqm):
        return {"values": [iqm], "iqm": iqm, "low": -math.inf, "high": math.inf}

    rows = [{"label": "ppo", "best": found(400.0), "whole": found(100.0)}]
    rows += [{"label": "dqn", "best": found(300.0), "whole": found(200.0)}]
    told = said(learning.scores, [*rows, {"label": "none", "best": None, "whole": None}])
    assert told == (
        "Mean return over training, the highest first: dqn 200.0, ppo 100.0. "
        "Return of the best policy, the highest first: ppo 400.0, dqn 300.0."
    )


def test_seeds_that_are_solved_are_counted():
    arms = {"ppo": {"steps": [100, None, 300, 200], "budget": 500}}
    told = said(learning.solved, arms | {"dqn": {"steps": [None] * 2, "budget": 500}})
    assert told == "Seeds solved: ppo 3 of 4 by 300 steps, dqn 0 of 2."


def test_updates_are_told_at_their_last_known_value():
    entropy = {"ppo": ([1, 2, 3], [0.1, 0.7, math.nan]), "a2c": ([1, 2], [0.9, 0.2])}
    told = said(learning.inside, {"entropy": entropy, "other": {"ppo": ([1], [math.nan])}})
    assert told == "At the end: entropy of the policy, nats: ppo 0.7, a2c 0.2; other: ppo unknown."


def test_more_may_be_named():
    values = {str(i): i for i in range(10)}
    assert words.ranked(values, str, most=9).endswith("2 2, 1 1, 1 more")
    assert words.ranked(values, str, most=10).endswith("1 1, 0 0")
