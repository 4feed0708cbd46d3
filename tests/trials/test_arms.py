"""Arms are resolved from a config; trials are made of them, and learning rates chosen."""

import math

import pytest
from ml_collections import ConfigDict

from dla_jax.config.checks import ConfigError
from dla_jax.trials.arms import (
    Arm,
    Trial,
    check_arms,
    choose_rates,
    final_trials,
    mean_score,
    own_config,
    resolve,
    select_trials,
)


def arm(name, seeds=(0, 1), rates=(0.1, 0.01), **more):
    return Arm(name, ConfigDict(), seeds, rates, **more)


def by_name(*arms):
    return {given.name: given for given in arms}


def config_of(networks, **changes):
    config = {
        "seeds": (0, 1),
        "select_seeds": (8, 9),
        "lrs": (0.1, 0.01),
        "optim": {"name": "adam", "lr": None},
        "model": {"name": "mlp", "widths": (8,), "norm": "none"},
        "claims": {},
        "networks": networks,
    }
    return ConfigDict(config | changes)


def test_an_arm_is_the_study_with_what_it_overrides():
    config = config_of(
        {
            "base": {},
            "wide": {"model": {"widths": (16,)}, "seeds": (0,), "lrs": (0.3,)},
            "cnn": {"model": {"name": "cnn", "width": 4}},
            "fixed": {"optim": {"lr": 0.2}},
            "borrows": {"lr_of": "wide"},
        }
    )
    arms = resolve(config)
    assert list(arms) == ["base", "borrows", "cnn", "fixed", "wide"]  # as a ConfigDict has them
    assert arms["base"][2:] == ((0, 1), (0.1, 0.01), None, 0.0)
    assert arms["wide"].seeds == (0,) and arms["wide"].rates == (0.3,)
    assert arms["wide"].config.model.to_dict() == {"name": "mlp", "widths": (16,), "norm": "none"}
    # Another family has other keys.
    assert arms["cnn"].config.model.to_dict() == {"name": "cnn", "width": 4}
    assert arms["fixed"].rates == (0.2,) and arms["fixed"].config.optim.name == "adam"
    assert arms["borrows"].lender == "wide"
    assert not {"networks", "claims"} & set(own_config(config, "base"))
    assert config.model.widths == (8,) and config.optim.lr is None  # the study's own stays


def test_runs_are_named_by_stage_arm_rate_and_seed():
    assert Trial("select", "plain-5", 8, 0.01).name == "select/plain-5/lr0.01-seed8"
    assert Trial("final", "plain-5", 0, 0.01).name == "final/plain-5/seed0"
    assert Trial("final", "plain-5", 0, 0.0).name == "final/plain-5/seed0"


def test_only_arms_with_several_rates_of_their_own_choose_the_dearest_first():
    arms = by_name(
        arm("cheap", cost=1),
        arm("single", rates=(0.1,), cost=9),
        arm("borrows", lender="dear", cost=8),
        arm("dear", cost=5),
        arm("alike", cost=1),
    )
    trials = select_trials(arms, (8, 9))
    expected = [(0.1, 8), (0.1, 9), (0.01, 8), (0.01, 9)]
    assert [trial.arm for trial in trials[::4]] == ["dear", "cheap", "alike"]
    for first in (0, 4, 8):
        assert [(trial.lr, trial.seed) for trial in trials[first : first + 4]] == expected
    assert {trial.stage for trial in trials} == {"select"}
    assert select_trials(arms, ()) == []


def test_final_runs_go_seed_by_seed_the_dearest_first():
    arms = by_name(
        arm("cheap", seeds=(0, 1, 2), cost=1),
        arm("dear", seeds=(0, 2), cost=5),
        arm("alike", seeds=(3, 0), cost=1),
    )
    trials = final_trials(arms)
    assert [(trial.seed, trial.arm) for trial in trials] == [
        (0, "dear"),
        (0, "cheap"),
        (0, "alike"),
        (1, "cheap"),
        (2, "dear"),
        (2, "cheap"),
        (3, "alike"),
    ]
    assert {(trial.stage, trial.lr) for trial in trials} == {("final", 0.0)}


def chosen(arms, scores, seeds=(8, 9)):
    """Return the chosen rates where the runs of an arm at a rate reach `scores[arm, rate]`."""
    selected = select_trials(arms, seeds)
    done = {}
    for trial in selected:
        spread = 0.5 if trial.seed == seeds[0] else -0.5  # which the mean takes out
        done[trial.name] = {"score": scores[trial.arm, trial.lr] + spread}
    return choose_rates(arms, selected, done, mean_score("score"))


def test_an_arm_gets_the_rate_whose_runs_score_highest_on_average():
    arms = by_name(arm("a"), arm("b"))
    scores = {("a", 0.1): 1.0, ("a", 0.01): 2.0, ("b", 0.1): 1.25, ("b", 0.01): 1.0}
    assert chosen(arms, scores) == {"a": 0.01, "b": 0.1}


@pytest.mark.parametrize("rates", [(0.1, 0.01, 0.03), (0.01, 0.03, 0.1), (0.03, 0.1, 0.01)])
def test_of_rates_that_score_alike_the_smallest_is_taken(rates):
    arms = by_name(arm("a", rates=rates))
    scores = dict.fromkeys((("a", rate) for rate in rates), 1.0)
    assert chosen(arms, scores) == {"a": 0.01}
    assert chosen(arms, scores | {("a", 0.01): 0.5}) == {"a": 0.03}


def test_an_arm_with_a_lender_runs_at_the_rate_that_this_one_chose():
    arms = by_name(
        arm("borrows", lender="lends"),
        arm("lends"),
        arm("fixed", rates=(0.5,)),
        arm("fixed_too", rates=(0.7,), lender="fixed"),
    )
    rates = chosen(arms, {("lends", 0.1): 0.0, ("lends", 0.01): 1.0})
    assert rates == {"borrows": 0.01, "lends": 0.01, "fixed": 0.5, "fixed_too": 0.5}


def test_where_nothing_is_chosen_each_arm_runs_at_its_first_rate():
    arms = by_name(arm("a", rates=(0.3,)), arm("measured", rates=(0.0,)))
    assert choose_rates(arms, [], {}, score=None) == {"a": 0.3, "measured": 0.0}


def test_a_score_may_be_a_tuple_and_may_count_against_a_value():
    arms = by_name(arm("a"))
    selected = select_trials(arms, (8,))
    done = {trial.name: {"loss": trial.lr, "accuracy": 0.5} for trial in selected}

    def score(rows):
        return rows[0]["accuracy"], -rows[0]["loss"]

    assert choose_rates(arms, selected, done, score) == {"a": 0.01}
    assert choose_rates(arms, selected, done, mean_score("loss")) == {"a": 0.1}
    assert choose_rates(arms, selected, done, mean_score("loss", sign=-1.0)) == {"a": 0.01}
    assert mean_score("loss")([{"loss": 1.0}, {"loss": 3.0}]) == 2.0
    assert math.isnan(mean_score("loss")([{"loss": math.nan}, {"loss": 3.0}]))


WRONG = [
    (config_of({}), "networks is empty; give at least one"),
    (config_of({"a": {}}, seeds=(0, 0)), "seeds: .*twice"),
    (config_of({"a": {}}, select_seeds=()), "select_seeds"),
    (config_of({"a": {"lrs": (0.0,)}}), r"networks\.a: lrs"),
    (config_of({"a": {}, "b": {"seeds": (8,)}}), r"networks\.b: select_seeds: \[8\] are also"),
    (config_of({"a": {}, "b": {"lr_of": "c"}}), r"networks\.b: lr_of: unknown 'c'.*known: a"),
    (config_of({"a": {}, "b": {"lr_of": "b"}}), r"networks\.b: lr_of: unknown 'b'.*known: a"),
    (
        config_of({"a": {}, "b": {"lr_of": "a"}, "c": {"lr_of": "b"}}),
        r"networks\.c: lr_of: unknown 'b'.*known: a",
    ),
    (
        config_of({"a": {}, "b": {"lr_of": "a", "lrs": (0.1,)}}),
        r"networks\.b: lr_of: it runs at the rate of a; take out its own lrs",
    ),
    (
        config_of({"a": {}, "b": {"lr_of": "a", "optim": {"lr": 0.1}}}),
        r"networks\.b: lr_of: it runs at the rate of a",
    ),
]


@pytest.mark.parametrize(("config", "words"), WRONG)
def test_arms_that_make_no_comparison_are_refused_by_name(config, words):
    with pytest.raises(ConfigError, match=words):
        check_arms(config, lambda own: None)


def test_each_arm_is_checked_by_its_study_with_its_own_config():
    seen = []

    def check_own(own):
        seen.append(own.model.widths)
        if own.model.widths == (0,):
            raise ConfigError("model.widths: 0 must be at least 1")

    config = config_of({"a": {}, "b": {"model": {"widths": (0,)}}})
    with pytest.raises(ConfigError, match=r"^networks\.b: model\.widths: 0 must be at least 1$"):
        check_arms(config, check_own)
    assert seen == [(8,), (0,)]
