"""What the claims of the study of gradients ask, on made-up runs, and networks that run at the learning rate of another."""

import numpy as np
import pytest

from configs import gradients as configured
from dla_jax.config.checks import ConfigError
from dla_jax.evidence import weighing
from dla_jax.evidence import verdicts
from dla_jax.studies.architectures import report as architectures_report
from dla_jax.trials import arms as networks


def verdict_of(name, value, **means):
    """The verdict of a claim of the digits study on six runs a network, around the mean of each."""
    claim, noise = (
        configured.get_config("digits").claims[name].to_dict(),
        np.linspace(-0.03, 0.03, 6),
    )
    assert claim["value"] == value
    runs = [
        {"group": group, "seed": seed, "diverged": False, value: mean + noise[(seed + i) % 6]}
        for i, (group, mean) in enumerate(means.items())
        for seed in range(6)
    ]
    return weighing.weigh(claim, runs)["verdict"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a_skip_keeps_the_gradient", "first_layer"),
        ("a_skip_keeps_the_gradient_at_the_start", "start_first_layer"),
    ],
)
def test_what_a_skip_keeps_over_training_and_at_the_start_are_two_claims(name, value):
    assert verdict_of(name, value, residual=0.5, plain=0.1) == "holds"
    assert verdict_of(name, value, residual=0.1, plain=0.5) == "does not hold"


def test_at_one_rate_a_skip_has_to_keep_more_at_either():
    verdict = lambda **means: verdict_of(
        "a_skip_keeps_the_gradient_at_one_rate", "first_layer", **means
    )
    assert verdict(residual=0.5, plain=0.1, residual_same_rate=0.4, plain_same_rate=0.0) == "holds"
    assert (
        verdict(residual=0.5, plain=0.1, residual_same_rate=0.0, plain_same_rate=0.0)
        == "does not hold"
    )
    assert (
        verdict(residual=0.5, plain=0.1, residual_same_rate=0.4, plain_same_rate=0.9)
        == "does not hold"
    )


@pytest.mark.parametrize(
    ("times", "verdict"), [(10.0, "holds"), (3.0, "does not hold"), (0.1, "does not hold")]
)
def test_larger_means_five_times_as_large(times, verdict):
    assert (
        verdict_of("a_skip_makes_it_larger", "first_size", residual=np.log10(times) - 2, plain=-2)
        == verdict
    )


def test_backward_means_towards_the_first_layer():
    verdict = lambda mean: verdict_of(
        "a_skip_makes_it_larger_backward", "first_layer", residual=mean
    )
    assert verdict(0.5) == "holds" and verdict(-0.5) == "does not hold"


def test_the_same_at_every_depth_fails_with_one_depth_that_differs():
    plain = {"plain": -0.5, "plain_10": -0.4, "plain_5": -0.3}
    verdict = lambda **means: verdict_of(
        "f_plain_tends_to_zero_at_every_depth", "last_dense", **means
    )
    assert verdict(**plain) == "holds" and verdict(**plain | {"plain_5": 0.3}) == "does not hold"
    keeps = {"residual": 0.5, "residual_10": 0.4, "residual_5": 0.3}
    verdict = lambda **means: verdict_of("g_residual_does_not_at_any_depth", "last_dense", **means)
    assert (
        verdict(**keeps) == "holds" and verdict(**keeps | {"residual_10": -0.3}) == "does not hold"
    )


def test_a_network_that_borrows_a_rate_runs_at_the_one_chosen_for_the_other_and_searches_none():
    config = configured.get_config("digits")
    cells = networks.select_cells(config)
    groups = {cell.group for cell in cells}
    assert {"plain", "residual"} <= groups and not {
        name for name in groups if networks.lender_of(config, name)
    }
    best = {"plain": 3e-2, "residual": 1e-1}
    done = {
        cell.name: {
            "val_accuracy": 0.9 if cell.lr == best.get(cell.group, 1e-2) else 0.5,
            "val_loss": 1.0,
        }
        for cell in cells
    }
    rates = networks.choose_rates(config, done, classifier_report.rate_score)
    assert (rates["plain_same_rate"], rates["residual_same_rate"]) == (1e-1, 3e-2)
    assert rates["plain_5"] == rates["plain_10"] == 3e-2 and rates["residual_5"] == 1e-1
    assert rates.keys() == set(config.networks)
    config.optim.lr = 0.05  # one rate for the whole study
    assert set(networks.choose_rates(config, {}, classifier_report.rate_score).values()) == {
        0.05,
        0.03,
    }  # 0.03: brought


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda own: own.plain_same_rate.update({"lr_of": "residuel"}),
            r"networks\.plain_same_rate: lr_of.*did you mean 'residual'",
        ),
        (
            lambda own: own.plain_same_rate.update({"lr_of": "plain_same_rate"}),
            "networks.plain_same_rate: lr_of",
        ),
        (
            lambda own: own.plain_same_rate.update({"lr_of": "residual_same_rate"}),
            "networks.plain_same_rate: lr_of",
        ),
        (lambda own: own.plain_same_rate.update({"lrs": (0.1, 0.2)}), "take out its own lrs"),
        (lambda own: own.plain_same_rate.update({"optim": {"lr": 0.1}}), "take out its own lrs"),
    ],
)
def test_a_rate_of_none_is_refused_in_one_line(change, words):
    config = configured.get_config("digits")
    config.unlock()
    change(config.networks)
    with pytest.raises(ConfigError, match=words) as error:
        networks.check_networks(config, lambda own: None)
    assert "\n" not in str(error.value)


def test_the_report_says_whose_rate_it_is():
    config = configured.get_config("digits")
    run = {
        "val_accuracy": 0.9,
        "test_accuracy": 0.9,
        "test_loss": 0.3,
        "diverged": False,
        "num_params": 9,
        "lr": 0.1,
    }
    runs = [run | {"group": name, "seed": seed} for name in config.networks for seed in (0, 1)]
    selection = [
        {"group": "residual", "seed": seed, "lr": lr, "chosen": lr == 0.1, "val_accuracy": lr}
        for lr in (0.01, 0.1)
        for seed in (100, 101)
    ]
    rows = {
        row[0]: row[2]
        for row in architectures_report.network_rows(config, {"runs": runs, "selection": selection})
    }
    assert rows["plain_same_rate"] == "0.1 (that of residual)" and rows["residual"].startswith(
        "0.1 (edge"
    )
