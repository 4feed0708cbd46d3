"""Keys of configs: old ones are read as today's, and those of `agent` are not carried to arms."""

import copy

import pytest
from ml_collections import ConfigDict

from configs import agents, dqn, ppo, reinforce
from dla_jax.config.old_names import AGENT, AGENTS, with_new_names
from dla_jax.config.overrides import carry

OLD = {
    "experiment": "agents",
    "solved_at": 475.0,
    "gamma": 0.99,
    "agent": {
        "name": "ppo",
        "rollout_steps": 128,
        "epochs": 4,
        "minibatches": 4,
        "clip": 0.2,
        "clip_value": True,
        "entropy": 0.01,
        "value": 0.5,
    },
    "arms": {
        "ppo": {},
        "other": {"solved_at": 400.0, "optim": {"lr": 1e-3}},
        "dqn": {"agent": {"name": "dqn", "period": 50, "period_episodes": 0, "tau": 1.0}},
    },
    "claims": {"a": {"value": "mean_return"}},
}
NEW = {
    "experiment": "agents",
    "solved_return": 475.0,
    "gamma": 0.99,
    "agent": {
        "name": "ppo",
        "num_steps": 128,
        "update_epochs": 4,
        "num_minibatches": 4,
        "clip_eps": 0.2,
        "clip_vloss": True,
        "ent_coef": 0.01,
        "vf_coef": 0.5,
    },
    "arms": {
        "ppo": {},
        "other": {"solved_return": 400.0, "optim": {"lr": 1e-3}},
        "dqn": {
            "agent": {"name": "dqn", "target_period": 50, "target_period_episodes": 0, "tau": 1.0}
        },
    },
    "claims": {"a": {"value": "mean_return"}},
}


def test_old_keys_are_renamed_in_the_whole_and_in_every_arm():
    given = copy.deepcopy(OLD)
    assert with_new_names(given) == NEW
    assert given == OLD, "the given one has changed"


def test_a_config_of_today_comes_back_as_it_is():
    assert with_new_names(NEW) == NEW


@pytest.mark.parametrize("module", [agents, dqn, ppo, reinforce])
def test_no_config_of_today_has_an_old_key(module):
    config = module.get_config("smoke").to_dict()
    assert with_new_names(config) == config
    for own in (config, *config["arms"].values()):
        assert not AGENTS.keys() & own.keys()
        assert not AGENT.keys() & own.get("agent", {}).keys()


def test_the_steps_of_a_rollout_are_not_carried_to_the_arms():
    config = ppo.get_config("smoke")
    config.arms.ppo = ConfigDict({"agent": {"num_steps": 8}})
    config.agent.num_steps = 32
    assert carry(config, {"agent.num_steps"}) == []
    assert config.arms.ppo.agent.num_steps == 8
