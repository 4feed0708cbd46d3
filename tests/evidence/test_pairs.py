"""Pairs that nobody made a claim of: their verdicts, their correction, how they are told."""

import itertools

import pytest

from dla_jax.evidence import pairs, stats, verdicts

ACCURACY = pairs.Measure("test_accuracy", "points", 0.005, "test accuracy")
EFFECTS = {
    "a": [0.0] * 8,
    "b": [0.03, 0.04, 0.05, 0.03, 0.04, 0.06, 0.05, 0.03],
    "c": [0.01, -0.02, 0.03, -0.03, 0.02, -0.01, 0.0, 0.02],
    "d": [0.001, -0.001, 0.0005, 0.0002, -0.0005, 0.0008, -0.0003, 0.0001],
}
RUNS = [
    {"group": group, "seed": seed, "test_accuracy": 0.5 + effect, "diverged": False}
    for group, found in EFFECTS.items()
    for seed, effect in enumerate(found)
]


def test_every_pair_has_its_verdict_corrected_for_all():
    asked = [(first, "a") for first in "bcd"]
    judged = pairs.judge(asked, RUNS, ACCURACY)
    p = [stats.sign_flip_p(EFFECTS[first]) for first in "bcd"]
    # By Holm: the smallest of three times three, the next times two, never below the one before.
    order = sorted(range(3), key=p.__getitem__)
    expected, least = [0.0] * 3, 0.0
    for rank, i in enumerate(order):
        least = expected[i] = min(1.0, max(least, (3 - rank) * p[i]))
    assert [pair.p_holm for pair in judged] == pytest.approx(expected)
    assert [pair.verdict for pair in judged] == [
        "better",
        "not decided",
        "no difference (within the margin)",
    ]
    words = pairs.answer(judged, "b", "on validation (x)", 4, ACCURACY)
    assert words.startswith("Of 4 arms b is the best on validation (x); of 3 pairs 1 is shown to ")
    assert "differ (b better than a by 4.1 points [" in words
    assert words.endswith("), 1 is shown not to, 1 is not decided.")


def test_of_a_loss_less_is_better():
    less = pairs.Measure("test_accuracy", "nats/char", 0.01, "loss", better="<")
    [pair] = pairs.judge([("b", "a")], RUNS, less)
    assert pair.verdict == "worse" and pair.contrast.mean > 0
    assert "b worse than a by 0.041 nats/char [" in pairs.apart_words(pair, less.unit)
    [pair] = pairs.judge([("a", "b")], RUNS, less)
    assert pair.verdict == "better" and pair.contrast.mean < 0


def test_more_pairs_take_more_seeds():
    """Eight seeds give p = 2 / 256: enough for six pairs, and not for seven."""
    first, *others = names = "abcdefgh"
    seeds = dict.fromkeys(names, tuple(range(8)))
    six, seven = [(name, first) for name in others[:6]], [(name, first) for name in others]
    assert not pairs.remarks(six, seeds)
    [line] = pairs.remarks(seven, seeds)
    assert "8 seeds can tell none of 7 pairs apart" in line and "9 seeds are needed" in line
    for number, n in itertools.product((1, 6, 7, 400), (6, 8, 9, 14)):
        flips = [1.0] * n
        enough = stats.holm([stats.sign_flip_p(flips)] * number)[0] < 0.05
        assert enough == (n >= pairs.seeds_needed(number)), (number, n)


def test_the_best_possible_pairs_are_found_just_where_the_seeds_are_enough():
    runs = [
        {"group": group, "seed": seed, "test_accuracy": 0.5 + 0.1 * i + 0.001 * seed * i}
        | {"diverged": False}
        for i, group in enumerate("abc")
        for seed in range(7)
    ]
    asked = [("b", "a"), ("c", "a"), ("c", "b")]
    assert pairs.seeds_needed(3) == 7
    assert [pair.verdict for pair in pairs.judge(asked, runs, ACCURACY)] == ["better"] * 3
    fewer = [run for run in runs if run["seed"] < 6]
    found = [pair.verdict for pair in pairs.judge(asked, fewer, ACCURACY)]
    assert found == [pairs.AFTER_CORRECTION] * 3


def test_a_pair_without_a_common_seed_is_left_out():
    runs = [run for run in RUNS if (run["group"] == "a") == (run["seed"] < 4)]
    assert pairs.judge([("b", "a")], runs, ACCURACY) == []
    words = pairs.answer([], "b", "on validation", 2, ACCURACY)
    assert "no two arms have a seed in common" in words
    assert verdicts.OPEN in pairs.AFTER_CORRECTION
