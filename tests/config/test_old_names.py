"""Configs of earlier versions get today's names, and their claims keep their meaning."""

import copy

import numpy as np
import pytest

from configs import cam, compare, dante, export, gradients, image_base, rescnn, resnet34, yahoo
from dla_jax.config.old_names import AGENT, AGENTS, ATTACK, BOUNDS, with_new_names
from dla_jax.evidence.claims import alone, claim
from dla_jax.evidence.verdicts import FAILS, HOLDS, OPEN
from dla_jax.evidence.weighing import weigh

# As reports of earlier versions computed the old values, solved for today's ones.
TODAY = {
    "beyond_guessing": ("above_guessing", lambda old: old + 0.05),
    "above_vanishing": ("first_layer", lambda old: old - 1),
    "start_above_vanishing": ("start_first_layer", lambda old: old - 1),
    "below_exploding": ("first_layer", lambda old: 1 - old),
    "start_below_exploding": ("start_first_layer", lambda old: 1 - old),
    "last_dense": ("last_dense_change", lambda old: old - 1),
    "bounded": ("largest_norm", lambda old: 2 - old),
}
# Old values of eight runs, which lie on the sides of the bound, and the verdicts by direction.
RUNS = {
    "above": (np.linspace(0.1, 0.4, 8), {">": HOLDS, "<": FAILS, "=": FAILS}),
    "below": (np.linspace(-0.4, -0.1, 8), {">": FAILS, "<": HOLDS, "=": FAILS}),
    "around": (np.linspace(-0.2, 0.3, 8), {">": OPEN, "<": OPEN, "=": OPEN}),
    "near": (np.linspace(-0.001, 0.002, 8), {">": FAILS, "<": FAILS, "=": HOLDS}),
    "one far off": (np.append(np.linspace(0.1, 0.4, 7), -10), {">": OPEN, "<": OPEN, "=": OPEN}),
}


def old_claim(name, direction):
    """Return a claim as configs held it that knew no threshold."""
    unit = "points" if name == "beyond_guessing" else "decades"
    written = claim(
        "x is so",
        "hypothesis",
        "nothing",
        alone("x"),
        direction=direction,
        value=name,
        unit=unit,
        margin=0.01,
    )
    del written["threshold"]
    return written


def mapped(written):
    config = {"experiment": "gradients", "claims": {"a": written}}
    return with_new_names(config)["claims"]["a"]


def runs_of(value, numbers):
    return [
        {"group": "x", "seed": seed, "diverged": False, value: float(number)}
        for seed, number in enumerate(numbers)
    ]


def weighed_before_and_now(name, direction, numbers):
    """Return the only contrast of an old claim, and of what it is today, by made-up runs."""
    value, today = TODAY[name]
    before = weigh(old_claim(name, direction), runs_of(name, numbers))
    now = weigh(mapped(old_claim(name, direction)), runs_of(value, today(numbers)))
    assert before["verdict"] == before["results"][0]["verdict"]
    assert now["verdict"] == now["results"][0]["verdict"]
    return before["results"][0], now["results"][0]


def test_every_bound_is_tested():
    assert TODAY.keys() == BOUNDS.keys()
    assert {turns for _, _, turns in BOUNDS.values()} == {True, False}


@pytest.mark.parametrize("direction", [">", "<", "="])
@pytest.mark.parametrize("side", RUNS)
@pytest.mark.parametrize("name", TODAY)
def test_a_claim_keeps_its_verdict(name, side, direction):
    numbers, verdicts = RUNS[side]
    before, now = weighed_before_and_now(name, direction, numbers)
    assert before["verdict"] == now["verdict"] == verdicts[direction]
    assert now["p"] == pytest.approx(before["p"], rel=1e-9)
    assert abs(now["mean"]) == pytest.approx(abs(before["mean"]), abs=1e-12)
    assert abs(now["median"]) == pytest.approx(abs(before["median"]), abs=1e-12)
    assert now["in_favour"] == before["in_favour"]


@pytest.mark.parametrize("name", ["bounded", "last_dense"])  # turned, and not
def test_a_side_turned_wrongly_is_noticed(name, monkeypatch):
    value, threshold, turns = BOUNDS[name]
    monkeypatch.setitem(BOUNDS, name, (value, threshold, not turns))
    for side, direction in (("above", ">"), ("above", "<"), ("below", ">"), ("below", "<")):
        before, now = weighed_before_and_now(name, direction, RUNS[side][0])
        assert {before["verdict"], now["verdict"]} == {HOLDS, FAILS}


@pytest.mark.parametrize("name", ["bounded", "last_dense"])
def test_a_wrong_threshold_is_noticed(name, monkeypatch):
    value, threshold, turns = BOUNDS[name]
    monkeypatch.setitem(BOUNDS, name, (value, -threshold, turns))
    pairs = [weighed_before_and_now(name, ">", numbers) for numbers, _ in RUNS.values()]
    assert any(before["verdict"] != now["verdict"] for before, now in pairs)


def test_the_rest_of_a_claim_and_other_claims_stay_as_they_are():
    old, other = old_claim("bounded", ">"), old_claim("test_accuracy", ">")
    given = {"experiment": "gradients", "seeds": [0], "claims": {"a": old, "b": other}}
    before = copy.deepcopy(given)
    found = with_new_names(given)
    changed = {"value": "largest_norm", "threshold": 2.0, "direction": "<"}
    assert found == before | {"claims": {"a": before["claims"]["a"] | changed, "b": other}}
    assert given == before, "the given one has changed"
    assert with_new_names(found) == found


@pytest.mark.parametrize(
    ("old", "new"),
    [("depth_study", "depth"), ("depth", "depth"), ("gradients", "gradients")],
)
def test_an_experiment_has_todays_name(old, new):
    assert with_new_names({"experiment": old, "depths": [1, 5]}) == {
        "experiment": new,
        "depths": [1, 5],
    }


@pytest.mark.parametrize(("old", "new"), (AGENTS | AGENT).items())
def test_a_key_of_agents_is_renamed_in_studies_of_agents_alone(old, new):
    def config(key, experiment):
        own = {key: 7} if old in AGENTS else {"agent": {"name": "x", key: 7}}
        return {"experiment": experiment} | own | {"arms": {"a": own, "b": {}}}

    assert with_new_names(config(old, "agents")) == config(new, "agents")
    assert with_new_names(config(old, "depth")) == config(old, "depth")


def test_reinforce_played_all_episodes_side_by_side_before_it_could_do_otherwise():
    own, arms = {"name": "reinforce", "num_envs": 8}, {"a": {"agent": {"name": "dqn"}}}
    before = {"experiment": "agents", "agent": own, "arms": arms | {"b": {"agent": own}}}
    found = with_new_names(before)
    assert found["agent"] == found["arms"]["b"]["agent"] == own | {"side_by_side": 0}
    assert found["arms"]["a"]["agent"] == {"name": "dqn"}
    today = before | {"agent": own | {"side_by_side": 4}}
    assert with_new_names(today)["agent"]["side_by_side"] == 4


def test_studies_of_a_grid_chose_rates_by_a_full_one_before_there_was_another_way():
    cases = [(rescnn, "quick"), (resnet34, "digits"), (dante, "tiny"), (yahoo, "quick")]
    for module, preset in cases:
        today = module.get_config(preset).to_dict()
        before = {key: value for key, value in today.items() if key != "selection"}
        assert today["selection"] == "full" and with_new_names(before) == with_new_names(today)
        halved = today | {"selection": "halving"}
        assert with_new_names(halved)["selection"] == "halving"
    digits = rescnn.get_config("digits").to_dict()
    assert digits.pop("selection") == "halving" and with_new_names(digits)["selection"] == "full"
    others = ({"experiment": "agents"}, {"experiment": "mine.study:STUDY"})
    for own in others:  # which have no such key
        assert "selection" not in with_new_names(own | {"select_seeds": [100], "data": {}})


def test_studies_of_images_get_the_keys_that_came_later_as_they_are_by_default():
    assert image_base.image_attack().to_dict() == ATTACK
    for module, preset in ((rescnn, "he"), (resnet34, "digits"), (gradients, "digits")):
        today = module.get_config(preset).to_dict()
        before = copy.deepcopy(today)
        del before["attack"], before["data"]["left_out"], before["data"]["test_path"]
        del before["data"]["num_examples"]
        models = [own for own in before.get("networks", {}).values() if "model" in own]
        for own in [*models, *([before] if "model" in before else [])]:
            own["model"].pop("preactivation", None)
        assert before != today and with_new_names(before) == today
    kept = today | {"data": today["data"] | {"left_out": 2}}
    assert with_new_names(kept)["data"]["left_out"] == 2


def made_or_alone(config):
    """Return the studies that one makes first, or the study itself."""
    if "made" not in config:
        return [config]
    made = config["made"]
    return [made] if "experiment" in made else list(made.values())


def test_studies_of_texts_and_those_that_are_made_first_get_keys_that_came_later():
    for module in (yahoo, cam, export, compare):
        before = module.get_config("smoke").to_dict()
        for study in made_or_alone(before):
            del study["data"]["num_examples"]
        given, today = copy.deepcopy(before), copy.deepcopy(before)
        for study in made_or_alone(today):
            study["data"]["num_examples"] = 0
        assert with_new_names(before) == today and with_new_names(today) == today
        assert before == given, "the given one has changed"
    for other in (None, {}, 3, {"a": 3}, {"a": {"x": 1}}):  # of a kind of one's own
        assert with_new_names({"experiment": "own", "made": other})["made"] == other
    race = {"experiment": "choices", "data": {"num_train": 0}}
    assert with_new_names(race) == race
