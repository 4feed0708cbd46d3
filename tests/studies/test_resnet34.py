"""Lab C's networks: which blocks have skips, what runs in pairs, and which claims are made."""

import functools
import json

import jax
import large_networks
import numpy as np
import pytest
from launching import launch

from configs import resnet34
from dla_jax.config.checks import ConfigError
from dla_jax.config.info import DataInfo
from dla_jax.config.workdir import Launch
from dla_jax.evidence.weighing import weigh
from dla_jax.studies.architectures.report import cost_and_use
from dla_jax.studies.architectures.study import STUDY
from dla_jax.tasks import image_task
from dla_jax.tasks.image_classifier import count_params
from dla_jax.training.optim import check_optim
from dla_jax.trials.arms import final_trials, own_config, resolve, select_trials

CIFAR10 = DataInfo(tuple("0123456789"), (32, 32, 3), mean=(0.5,) * 3, std=(0.25,) * 3)
LAB_C = "cifar10,as_implemented=true"


@pytest.fixture(autouse=True)
def drawn_networks(monkeypatch):
    """Draw the parameters of networks without compiling anything."""
    monkeypatch.setattr(image_task, "init_model", large_networks.init_model)


def network(argument, name, **changes):
    """Return (config of a network, its module for CIFAR-10, its parameters and state)."""
    own = own_config(resnet34.get_config(argument), name)
    own.model.update(changes)
    model = image_task.make_model(own, CIFAR10)
    how = {"model": model, "shape": CIFAR10.shape, "own": own.model}
    return own, model, *image_task.init_network(jax.random.key(0), **how)


def skips(model_state):
    leaves = jax.tree_util.tree_leaves_with_path(model_state["wiring"])
    return [float(number) for path, leaf in leaves if path[-1].key == "skip" for number in leaf]


@pytest.mark.parametrize(
    ("argument", "name", "blocks", "with_skip"),
    [
        ("cifar10", "resnet", 16, 16),
        ("cifar10", "convnet", 16, 0),
        ("cifar10", "resnet_plain_stage_1", 16, 13),
        ("cifar10", "resnet_bottleneck", 16, 16),
        ("cifar10", "convnet_bottleneck", 16, 0),
        (LAB_C, "resnet", 16, 13),
    ],
)
def test_blocks_have_the_skips_they_should(argument, name, blocks, with_skip):
    found = skips(network(argument, name)[3])
    assert len(found) == blocks and sum(found) == with_skip and set(found) <= {0.0, 1.0}


def test_a_skip_of_every_block_carries_the_signal():
    _, model, params, model_state = network("cifar10", "resnet", depth=14)
    wiring = jax.device_get(model_state["wiring"])
    # With all branches off, only a skip brings an image's difference to the end: each of the 6, in
    # stacks of one block as in those of others, cut alone, stops it.
    off = {stack: part | {"branch": part["branch"] * 0} for stack, part in wiring.items()}
    x = np.random.default_rng(0).random((2, 32, 32, 3), np.float32)

    @jax.jit
    def last_conv(wiring):
        variables = {"params": params, **model_state, "wiring": wiring}
        return model.apply(variables, x, train=False)[1]["last_conv"]

    def spread(wiring):
        first, second = np.asarray(last_conv(wiring))
        return float(np.abs(first - second).max())

    assert spread(off) > 0
    for stack, part in off.items():
        for i in range(len(part["skip"])):
            cut = part | {"skip": np.where(np.arange(len(part["skip"])) == i, 0.0, part["skip"])}
            assert spread(off | {stack: cut}) == 0, (stack, i)


def test_twins_as_intended_differ_in_the_wiring_alone():
    for plain, residual in (("convnet", "resnet"), ("convnet_bottleneck", "resnet_bottleneck")):
        (_, a, p, _), (_, b, q, _) = network("cifar10", plain), network("cifar10", residual)
        assert a == b
        jax.tree.map(np.testing.assert_array_equal, p, q)


def test_the_labs_relu_behind_the_logits_is_there_and_only_there():
    _, usual, params, _ = network("cifar10", "mlp")
    _, clamped, _, _ = network("cifar10", "mlp_relu_logits")
    x = np.random.default_rng(1).random((16, 32, 32, 3), np.float32)
    logits_of = [functools.partial(net.apply, train=False) for net in (usual, clamped)]
    a, b = (np.asarray(jax.jit(apply)({"params": params}, x)[0]) for apply in logits_of)
    assert (a < 0).any() and (a > 0).any()
    np.testing.assert_array_equal(b, np.maximum(a, 0))
    assert network(LAB_C, "mlp_relu_logits")[0].model.relu_logits


@pytest.mark.parametrize("preset", ["cifar10", "digits"])
def test_ten_paired_runs_and_six_of_the_others(preset):
    config = resnet34.get_config(preset)
    arms = resolve(config)
    assert arms["resnet"].seeds == arms["convnet"].seeds == tuple(range(10))
    assert arms["mlp"].seeds == tuple(range(6)) and tuple(config.pair) == ("convnet", "resnet")
    order = [(trial.seed, trial.arm) for trial in final_trials(arms)]
    seeds = [seed for seed, _ in order]
    assert seeds == sorted(seeds)  # what is compared runs side by side
    assert len(set(order)) == len(order) == 2 * 10 + 6 * 6
    assert resnet34.get_config("cifar10").num_epochs == 20


def test_a_network_may_have_learning_rates_of_its_own():
    config = resnet34.get_config("cifar10")
    selected = select_trials(resolve(config), tuple(config.select_seeds))
    tried = {name: {t.lr for t in selected if t.arm == name} for name in ("mlp", "resnet")}
    assert tried == {"mlp": {0.01, 0.03, 0.1}, "resnet": set(config.lrs)}
    lab = resnet34.get_config(LAB_C)
    assert select_trials(resolve(lab), tuple(lab.select_seeds)) == []
    assert own_config(lab, "mlp_relu_logits").optim.lr == 0.1


@pytest.mark.parametrize("argument", ["cifar10", LAB_C, "digits", "smoke"])
def test_every_claim_is_about_networks_that_are_there(argument):
    config = resnet34.get_config(argument)
    assert len(config.claims) >= 4 and set(config.reported) == set(config.networks)
    for claim in config.claims.values():
        assert {group for terms in claim.contrasts for _, group in terms} <= set(config.networks)


def test_cost_and_use_are_what_they_say():
    found = cost_and_use({"seconds_per_epoch": 8.0, "test_accuracy": 0.93}, 10)
    assert found == {"above_guessing": pytest.approx(0.83), "log2_seconds": 3.0}
    useless = resnet34.get_config("cifar10").claims.e_mlp_useless_as_intended
    assert found["above_guessing"] - useless.threshold == pytest.approx(0.78)
    unknown = cost_and_use({"seconds_per_epoch": None, "test_accuracy": 0.1}, 10)
    assert unknown["log2_seconds"] is None


@pytest.mark.parametrize(
    ("accuracies", "verdict"),
    [
        ((0.1,) * 6, "holds"),
        ((0.09, 0.1, 0.11, 0.1, 0.12, 0.1), "holds"),
        ((0.3, 0.32, 0.29, 0.31, 0.3, 0.3), "does not hold"),
    ],
)
def test_an_mlp_that_guesses_is_called_useless_and_one_that_does_not_is_not(accuracies, verdict):
    same = {"group": "mlp", "diverged": False, "seconds_per_epoch": 1.0}
    runs = [same | {"seed": seed, "test_accuracy": value} for seed, value in enumerate(accuracies)]
    runs = [run | cost_and_use(run, 10) for run in runs]
    claim = resnet34.get_config("cifar10").claims.e_mlp_useless_as_intended.to_dict()
    assert weigh(claim, runs)["verdict"] == verdict


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        (
            "resnet",
            {"model": {"depth": 35}},
            r"networks\.resnet: model\.depth: there is no ResNet of depth 35",
        ),
        (
            "resnet_bottleneck",
            {"model": {"depth": 12}},
            "ResNet with bottlenecks of depth 12; give 9n",
        ),
        (
            "resnet",
            {"model": {"plain_stages": (4,)}},
            "plain_stages: there is no stage 4; 1 to 3",
        ),
        ("mlp", {"seeds": (0, 100)}, r"networks\.mlp: select_seeds: \[100\]"),
        ("mlp", {"lrs": ()}, r"networks\.mlp: lrs is empty"),
    ],
)
def test_errors_name_the_network(name, change, words, tmp_path):
    config = resnet34.get_config("digits")
    with config.unlocked():
        config.networks[name].update(change)
    given = Launch(tmp_path, from_dir=None, data_dir=tmp_path, download=False, quiet=True)
    with pytest.raises(ConfigError, match=words):
        STUDY.check(config, given)


@pytest.mark.slow
def test_the_labs_own_recipe_trains_on_small_images(tmp_path):
    # Every network of the preset, on digits. That BatchNorm freezes: test_gradient_runs.py.
    answer = launch(
        f"--config=configs/resnet34.py:{LAB_C}",
        f"--workdir={tmp_path / 'run'}",
        "--quiet",
        "--config.data.name=digits",
        "--config.data.val_fraction=0.3",
        "--config.data.test_fraction=0.4",
        "--config.num_epochs=1",
        "--config.seeds=0",
        "--config.freeze_norm_after_epochs=0",
        "--config.batch_size=32",
        "--config.data.num_examples=150",
        "--config.networks.resnet.model.depth=8",
        "--config.networks.convnet.model.depth=8",
        # with resnet's blocks, whose program it then shares
        "--config.networks.resnet_bottleneck.model.bottleneck=False",
        "--config.networks.resnet_bottleneck.model.depth=8",
        "--config.networks.resnet_bottleneck.seeds=0",
        "--config.networks.mlp_relu_logits.seeds=0",
    )
    assert answer.code == 0, answer.err
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    params = {run["group"]: run["num_params"] for run in summary["runs"]}
    assert params["resnet"] > params["convnet"] and len(params) == 4


def test_the_labs_own_recipe_freezes_norms_after_an_epoch():
    lab = own_config(resnet34.get_config(LAB_C), "resnet")
    assert lab.freeze_norm_after_epochs == 1 and check_optim(lab.optim) is None
    assert count_params(network(LAB_C, "resnet")[1], (32, 32, 3)) == 21_282_122
