"""What the claims of the study of gradients ask, and networks that run at another's rate."""

from pathlib import Path

import numpy as np
import pytest

from configs import gradients
from dla_jax.config.checks import ConfigError
from dla_jax.evidence.weighing import weigh
from dla_jax.studies.architectures.report import measured_rows
from dla_jax.studies.study import Finished
from dla_jax.tasks.classifier import rate_score
from dla_jax.trials.arms import check_arms, choose_rates, resolve, select_trials


def verdict_of(name, value, **means):
    """Return the verdict of a claim of the digits study on six runs a network, around its mean."""
    claim = gradients.get_config("digits").claims[name].to_dict()
    noise = np.linspace(-0.03, 0.03, 6)
    assert claim["value"] == value
    runs = [
        {"group": group, "seed": seed, "diverged": False, value: mean + noise[(seed + i) % 6]}
        for i, (group, mean) in enumerate(means.items())
        for seed in range(6)
    ]
    return weigh(claim, runs)["verdict"]


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


@pytest.mark.parametrize(
    ("residual_same_rate", "plain_same_rate", "verdict"),
    [(0.4, 0.0, "holds"), (0.0, 0.0, "does not hold"), (0.4, 0.9, "does not hold")],
)
def test_at_one_rate_a_skip_has_to_keep_more_at_either(
    residual_same_rate, plain_same_rate, verdict
):
    found = verdict_of(
        "a_skip_keeps_the_gradient_at_one_rate",
        "first_layer",
        residual=0.5,
        plain=0.1,
        residual_same_rate=residual_same_rate,
        plain_same_rate=plain_same_rate,
    )
    assert found == verdict


@pytest.mark.parametrize(
    ("times", "verdict"), [(10.0, "holds"), (3.0, "does not hold"), (0.1, "does not hold")]
)
def test_larger_means_five_times_as_large(times, verdict):
    size = np.log10(times) - 2
    found = verdict_of("a_skip_makes_it_larger", "first_size", residual=size, plain=-2)
    assert found == verdict


@pytest.mark.parametrize(("mean", "verdict"), [(0.5, "holds"), (-0.5, "does not hold")])
def test_backward_means_towards_the_first_layer(mean, verdict):
    assert verdict_of("a_skip_makes_it_larger_backward", "first_layer", residual=mean) == verdict


@pytest.mark.parametrize(
    ("name", "means", "other"),
    [
        (
            "f_plain_tends_to_zero_at_every_depth",
            {"plain": -1.5, "plain_10": -1.4, "plain_5": -1.3},
            {"plain_5": -0.7},
        ),
        (
            "g_residual_does_not_at_any_depth",
            {"residual": -0.5, "residual_10": -0.6, "residual_5": -0.7},
            {"residual_10": -1.3},
        ),
    ],
)
def test_the_same_at_every_depth_fails_with_one_depth_that_differs(name, means, other):
    assert verdict_of(name, "last_dense_change", **means) == "holds"
    assert verdict_of(name, "last_dense_change", **means | other) == "does not hold"


def test_a_network_that_borrows_a_rate_runs_at_the_one_chosen_for_the_other_and_searches_none():
    config = gradients.get_config("digits")
    arms = resolve(config)
    trials = select_trials(arms, tuple(config.select_seeds))
    searched = {trial.arm for trial in trials}
    assert {"plain", "residual"} <= searched
    assert all(arms[name].lender is None for name in searched)
    best = {"plain": 3e-2, "residual": 1e-1}

    def last_row(trial):
        is_best = trial.lr == best.get(trial.arm, 1e-2)
        return {"val_accuracy": 0.9 if is_best else 0.5, "val_loss": 1.0}

    done = {trial.name: last_row(trial) for trial in trials}
    rates = choose_rates(arms, trials, done, rate_score)
    assert (rates["plain_same_rate"], rates["residual_same_rate"]) == (1e-1, 3e-2)
    assert rates["plain_5"] == rates["plain_10"] == 3e-2 and rates["residual_5"] == 1e-1
    assert rates.keys() == set(config.networks)


def test_one_rate_may_be_given_for_the_whole_study():
    config = gradients.get_config("digits")
    config.optim.lr = 0.05
    arms = resolve(config)
    assert select_trials(arms, tuple(config.select_seeds)) == []
    rates = choose_rates(arms, [], {}, rate_score)
    assert set(rates.values()) == {0.05, 0.03}  # 0.03: brought


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"lr_of": "residuel"},
            r"networks\.plain_same_rate: lr_of.*did you mean 'residual'",
        ),
        ({"lr_of": "plain_same_rate"}, r"networks\.plain_same_rate: lr_of"),
        ({"lr_of": "residual_same_rate"}, r"networks\.plain_same_rate: lr_of"),
        ({"lrs": (0.1, 0.2)}, "take out its own lrs"),
        ({"optim": {"lr": 0.1}}, "take out its own lrs"),
    ],
)
def test_a_rate_of_none_is_refused_in_one_line(change, words):
    config = gradients.get_config("digits")
    with config.unlocked():
        config.networks.plain_same_rate.update(change)
    with pytest.raises(ConfigError, match=words) as error:
        check_arms(config, check_own=lambda own: None)
    assert "\n" not in str(error.value)


def test_the_report_says_whose_rate_it_is():
    config = gradients.get_config("digits")
    run = {"val_accuracy": 0.9, "test_accuracy": 0.9, "test_loss": 0.3}
    run |= {"diverged": False, "num_params": 9, "lr": 0.1}
    selection = [
        {"group": "residual", "seed": seed, "lr": lr, "chosen": lr == 0.1, "val_accuracy": lr}
        for lr in (0.01, 0.1)
        for seed in (100, 101)
    ]
    runs = [run | {"group": name, "seed": seed} for name in config.networks for seed in (0, 1)]
    found = Finished(
        workdir=Path(),
        written={},
        config=config,
        arms=resolve(config),
        rows={},
        done={},
        summary={"runs": runs, "selection": selection},
    )
    rates = {row[0]: row[2] for row in measured_rows(found)}
    assert rates["plain_same_rate"] == "0.1 (that of residual)"
    assert rates["residual"].startswith("0.1 (edge")
