"""The sentence that answers a study says what the rule decides, and no more."""

import pytest

from configs.claims.mlp import ON_MNIST
from dla_jax.evidence import answers, weighing
from dla_jax.studies.study import Finished

WORDS = {"more": "a is {size} better", "less": "a is {size} worse", "asked": "whether a is better"}


def runs_of(**values):
    return [
        {"group": arm, "seed": seed, "test_accuracy": value, "diverged": False}
        for arm, found in values.items()
        for seed, value in enumerate(found)
    ]


def summary_of(*claims, **values):
    return {"runs": runs_of(**values), "claims": claims}


def said(a, b, *claims, **options):
    found = answers.contrast(summary_of(*claims, a=a, b=b), ((1.0, "a"), (-1.0, "b")), **options)
    return answers.shown(found, **WORDS)


HIGH, LOW = [0.90, 0.91, 0.92, 0.90, 0.91, 0.92], [0.80, 0.79, 0.81, 0.80, 0.79, 0.80]


def test_what_is_decided_is_said_with_its_sign_and_interval():
    assert said(HIGH, LOW).startswith("a is 11.2 points [10.")
    assert said(HIGH, LOW).endswith("] better") and "−" not in said(HIGH, LOW)
    assert said(LOW, HIGH).startswith("a is 11.2 points [10.") and said(LOW, HIGH).endswith("worse")


def test_what_is_open_is_said_to_be_open():
    mixed = [0.90, 0.70, 0.95, 0.75, 0.80, 0.85]
    assert said(mixed, LOW).startswith("whether a is better is not decided (+")
    assert said(HIGH[:1], LOW[:1]).endswith("not decided (+10.0 points, too few seeds)")
    assert said(HIGH, []) == "whether a is better is not decided (no run of b has a value)"
    assert said([None, 0.9], [0.8]) == "whether a is better is not decided (no seed in common)"
    unknown = "whether a is better is not decided (no run of a or b has a value)"
    assert said([None], [None]) == unknown


def test_a_difference_within_the_margin_is_too_small_to_matter():
    near = [value + shift for value, shift in zip(HIGH, (1, 2, 1, 2, 1, 2), strict=True)]
    close = [value + 1e-4 * (i % 3 + 1) for i, value in enumerate(HIGH)]
    assert said(close, HIGH).startswith("the difference is too small to matter (0.0 points")
    assert said(close, HIGH, margin=1e-6).endswith("better")
    assert said(near, HIGH).endswith("better")


def test_the_margin_is_that_of_the_claim_that_compares_the_same():
    close = [value + 0.003 + 1e-4 * (i % 3) for i, value in enumerate(HIGH)]

    def claim(margin, *terms, value="test_accuracy"):
        return {"value": value, "margin": margin, "contrasts": (terms,)}

    same, turned = ((1.0, "a"), (-1.0, "b")), ((1.0, "b"), (-1.0, "a"))
    other, fine, coarse = ((1.0, "a"),), 0.002, 0.02
    small = "the difference is too small to matter (+0.3"
    assert said(close, HIGH).startswith(small)  # no claim: the default
    assert said(close, HIGH, claim(fine, *same)).startswith("a is 0.3")
    assert said(close, HIGH, claim(coarse, *other), claim(fine, *turned)).startswith("a is 0.3")
    assert said(close, HIGH, claim(fine, *other)).startswith("a is 0.3")
    assert said(close, HIGH, claim(fine, *same, value="test_loss")).startswith(small)
    assert said(HIGH, LOW, claim(0.2, [1.0, "b"], [-1.0, "a"])).startswith("the difference is too")


def test_mnist_is_answered_as_its_claims_are_judged():
    wide = [value + 0.0035 + 1e-4 * (i % 3) for i, value in enumerate(HIGH)]
    runs = runs_of(mlp_256_256=wide, mlp_128_64=HIGH)
    claim = weighing.weigh(ON_MNIST["b_wider_helps"], runs)
    found = Finished(None, {}, None, {}, {}, {}, {"runs": runs, "claims": [claim]})
    assert claim["verdict"] == "holds"
    words = answers.two_accuracies(found, "mlp_256_256", "mlp_128_64")
    assert ": mlp_256_256 is 0.4 points [" in words and words.endswith("] better.")


def test_decades_are_said_as_factors():
    found = answers.contrast(summary_of(a=[1.0]), ((1.0, "a"),), unit="decades")
    assert answers.size(found) == "10 times" and answers.size(found, side=-1.0) == "0.1 times"


@pytest.mark.parametrize(
    ("centre", "low", "high", "words"),
    [
        (3.25, 3.11, 3.4, "1,778 times [1,288, 2,512]"),
        (1.998, 1.9, 2.1, "100 times [79, 126]"),
        (-2.0, -2.1, -1.9, "0.01 times [0.0079, 0.013]"),
    ],
)
def test_factors_are_written_in_two_digits_or_whole(centre, low, high, words):
    assert answers.factor(centre, low, high) == words


def test_runs_are_counted_with_those_that_diverged():
    three, two = runs_of(a=[0.1] * 3), runs_of(b=[0.1] * 2)
    assert answers.counted(three) == "3 seeds" and answers.counted(three, three) == "3 seeds"
    assert answers.counted(three, two) == "3 and 2 seeds"
    two[0]["diverged"] = True
    assert answers.counted(two[:1]) == "1 seed; 1 of 1 run diverged and count as chance"
    assert answers.fraction(three) == "10.0 % [10.0, 10.0]"


@pytest.mark.parametrize(("first", "expected"), [(0.9, ["a", "b"]), (0.2, ["b", "a"])])
def test_the_best_comes_first(first, expected):
    runs = {"a": [{"val_accuracy": first}], "b": [{"val_accuracy": 0.5}]}

    class Found:
        def runs_of(arm):
            return runs[arm]

    assert answers.ranked(Found, ["b", "a"]) == expected
