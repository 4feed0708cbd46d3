"""What is given for a whole study reaches the networks and arms that have values of their own."""

import pytest
from ml_collections import ConfigDict

from configs import ag_news, agents, mlp, resnet34, yahoo
from dla_jax.config import overrides
from dla_jax.config.checks import ConfigError
from dla_jax.trials.arms import own_config


def typed(config, **changes):
    """Change a config as a command line does, and return the lines that are said."""
    for key, value in changes.items():
        config[key] = value
    return overrides.carry(config, list(changes))


def test_seeds_and_epochs_reach_networks_that_have_their_own():
    config = resnet34.get_config("digits")
    lines = typed(config, seeds=(0, 1), num_epochs=2)
    assert all(tuple(own_config(config, name).seeds) == (0, 1) for name in config.networks)
    assert len(lines) == 6
    assert all(line.startswith("seeds: 0,1 also for networks.") for line in lines)
    config = ag_news.get_config("docstrings")
    assert own_config(config, "mlp_lab_c").num_epochs == 100
    lines = typed(config, num_epochs=3)
    assert lines == ["num_epochs: 3 also for networks.mlp_lab_c, which had 100"]
    assert {own_config(config, name).num_epochs for name in config.networks} == {3}


def test_epochs_reach_networks_that_all_have_their_own():
    config = mlp.get_config("mnist,as_implemented=true")
    typed(config, num_epochs=1)
    assert {own_config(config, name).num_epochs for name in config.networks} == {1}


def test_rates_stay_what_each_arm_tries():
    config = yahoo.get_config("docstrings")
    assert typed(config, lrs=(1e-3,)) == [] and tuple(own_config(config, "tfidf").lrs) == (1.0,)
    with pytest.raises(
        ConfigError, match=r"--config\.lrs would change nothing, since all arms have their own"
    ):
        overrides.carry(agents.get_config("cartpole"), ["lrs"])


def test_what_was_given_for_one_network_stays():
    config = resnet34.get_config("digits")
    config.seeds, config.networks.mlp.seeds = (0, 1), (5,)
    overrides.carry(config, ["seeds", "networks.mlp.seeds"])
    assert tuple(own_config(config, "mlp").seeds) == (5,)
    assert tuple(own_config(config, "resnet_bottleneck").seeds) == (0, 1)


def test_what_a_network_differs_in_is_left_alone():
    config = ag_news.get_config("docstrings")
    config.optim.lr = 0.5
    assert overrides.carry(config, ["optim.lr"]) == []
    assert own_config(config, "mlp_lab_c").optim.lr == 1e-3
    assert own_config(config, "mlp").optim.lr == 0.5


@pytest.mark.parametrize(
    ("preset", "key"), [("budgets", "total_steps"), ("cartpole", "agent.num_envs")]
)
def test_a_key_that_would_change_nothing_is_refused(preset, key):
    words = f"--config.{key} would change nothing.*--config.arms.NAME.{key}"
    with pytest.raises(ConfigError, match=words):
        overrides.carry(agents.get_config(preset), [key])


def test_a_key_that_one_arm_has_from_the_study_is_taken():
    assert overrides.carry(agents.get_config("cartpole"), ["optim.schedule"]) == []


def test_a_study_without_networks_or_arms_of_its_own_is_left_as_it_is():
    config = ConfigDict({"seeds": (0,), "arms": ("plain", "residual")})
    assert overrides.carry(config, ["seeds", "arms"]) == []
    assert overrides.carry(mlp.get_config("digits"), ["seeds"]) == []
