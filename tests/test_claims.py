"""Every claim asks what its words say: the numbers beside it lie on the side that it claims."""

import functools
import importlib
import math
import re

import pytest

from bench.statements import presets
from dla_jax.config.checks import ConfigError
from dla_jax.config.command_line import config_names

VARIANTS = (
    "",
    ",as_implemented=true",
    ",depth=50",
    ",as_implemented=true,depth=120",
    ",method=grad_cam",
    ",method=hires_cam",
)
WITHOUT_CLAIMS = {"compare", "export", "generate", "gpt2", "predict"}
NAMES = sorted(set(config_names()) - WITHOUT_CLAIMS)
# {(config, lab, claim): why}: claims that are put to a lab's own networks although its own figures
# speak against them.
AGAINST = {
    ("rescnn", "lab B", "a_skip_makes_depth_pay"): "with skips 88.20 % at 9 layers, 87.96 % at 48",
    ("rescnn", "lab B", "b_residual_gains_always"): "with skips 89.51 % at 17, 87.96 % at 48",
    ("rescnn", "lab B", "b_residual_gains"): "with skips 88.20 % at 9 layers, 87.96 % at 48",
    ("rescnn", "lab D", "a_skip_makes_depth_pay"): "ResNet-18 and -34 both about 90.5 %",
    ("rescnn", "lab D", "b_residual_gains_always"): "ResNet-18 and -34 both about 90.5 %",
    ("rescnn", "lab D", "b_residual_gains"): "ResNet-18 and -34 both about 90.5 %",
    ("rescnn", "lab D", "e_skip_hurts_shallow"): "ResNet-18 90.5 %, VGG-16 83 %",
}
# How a number in the words of a report may be meant, beside as it stands.
MEANT_AS = {
    "points": lambda number: number / 100,  # as a fraction, where a threshold is one
    "decades": lambda number: math.log10(number),
}
ERRORS = "He et al. 2015, arXiv:1512.03385"  # reports errors, and the claims are about accuracies


@functools.cache
def claims_of(name):
    """{(argument, name of the claim): claim} of all presets of a config."""
    module, found = importlib.import_module(f"configs.{name}"), {}
    for argument in (preset + variant for preset in presets(name) for variant in VARIANTS):
        try:
            config = module.get_config(argument)
        except ConfigError:
            continue
        for claim, entry in config.claims.to_dict().items():
            found[argument, claim] = entry
    return found


def numbers_of(claim):
    return dict(claim["figures"] or claim["example"])


def groups_of(claim):
    return {group for terms in claim["contrasts"] for _, group in terms}


def bears_out(claim, numbers):
    """Whether numbers of its groups, instead of runs, make a claim true."""
    found = [
        sum(weight * numbers[group] for weight, group in terms) - claim["threshold"]
        for terms in claim["contrasts"]
    ]
    sides = {
        ">": lambda number: number > 1e-9,
        "<": lambda number: number < -1e-9,
        "=": lambda number: abs(number) < claim["margin"],
    }
    return all(map(sides[claim["direction"]], found))


def key_of(name, place, claim):
    return name, claim["source"].partition(",")[0], place[1]


def written(claim):
    """Every number in the words of a report, without signs."""
    return [float(number) for number in re.findall(r"\d+(?:\.\d+)?|\.\d+", claim["reported"])]


def stands_there(claim, figure):
    """Whether the words of a report have a figure, as it stands or meant in the claim's unit."""
    if claim["source"] == ERRORS:
        return any(figure == 100 - number for number in written(claim))
    meant = MEANT_AS.get(claim["unit"], float)
    return any(figure in (number, meant(number)) for number in written(claim))


@pytest.mark.parametrize("name", NAMES)
def test_a_claim_has_figures_or_an_example_with_a_number_for_each_group(name):
    assert claims_of(name)
    for place, claim in claims_of(name).items():
        assert bool(claim["figures"]) != bool(claim["example"]), place
        assert groups_of(claim) <= numbers_of(claim).keys(), place
        assert all(map(math.isfinite, numbers_of(claim).values())), place


@pytest.mark.parametrize("name", NAMES)
def test_a_claim_asks_for_the_side_that_its_source_saw(name):
    for place, claim in claims_of(name).items():
        assert claim["contrasts"], place
        expected = key_of(name, place, claim) not in AGAINST
        assert bears_out(claim, numbers_of(claim)) == expected, (place, claim["statement"])


@pytest.mark.parametrize("name", NAMES)
def test_figures_stand_in_what_was_reported(name):
    for place, claim in claims_of(name).items():
        assert not (claim["figures"] and claim["source"].startswith("hypothesis")), place
        for group, figure in claim["figures"]:
            assert stands_there(claim, figure), (place, group, figure, claim["reported"])


def test_every_exception_is_one_of_figures():
    asked = {
        key_of(name, place, claim)
        for name in NAMES
        for place, claim in claims_of(name).items()
        if claim["figures"]
    }
    assert AGAINST.keys() <= asked


def flipped(claim):
    return claim | {"direction": {">": "<", "<": ">"}[claim["direction"]]}


def swapped(claim):
    contrasts = [[(-weight, group) for weight, group in terms] for terms in claim["contrasts"]]
    return claim | {"contrasts": contrasts}


@pytest.mark.parametrize(
    ("name", "place", "mistake"),
    [
        ("rescnn", ("digits", "c_plain_loses"), flipped),
        ("rescnn", ("lab_b", "d_skip_helps_deep"), swapped),
        ("dante", ("tiny", "d_heads_lower_loss"), flipped),
        ("mlp", ("lab_b", "f_recipe_fails"), flipped),
        ("gradients", ("digits", "a_skip_makes_it_larger"), swapped),
    ],
)
def test_a_claim_turned_round_is_caught(name, place, mistake):
    claim = claims_of(name)[place]
    assert bears_out(claim, numbers_of(claim)) and not bears_out(mistake(claim), numbers_of(claim))


@pytest.mark.parametrize(("bottleneck", "expected"), [(0.943, True), (0.96, False), (0.92, False)])
def test_a_claim_of_equality_needs_numbers_within_its_margin(bottleneck, expected):
    claim = claims_of("resnet34")["digits", "g_deeper"]
    assert bears_out(claim, {"resnet_bottleneck": bottleneck, "resnet": 0.94}) == expected
