"""Lab C's networks: who has which skips, and the study of paired runs."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from launching import launch

from configs import resnet34
from dla_jax.config.checks import ConfigError
from dla_jax.config.workdir import Run
from dla_jax.evidence import weighing
from dla_jax.models.build import build
from dla_jax.studies.architectures import report as architectures_report
from dla_jax.studies.architectures import study as architectures
from dla_jax.tasks import image_classifier as classify
from dla_jax.tasks import image_runs
from dla_jax.trials.arms import final_cells, own_config, seeds_of, select_cells


def network(argument, name):
    """(config of a network, its module for CIFAR-10, its parameters and state)."""
    own = own_config(resnet34.get_config(argument), name)
    model = build(
        own.model,
        depth=own.model.depth,
        skip=own.model.skip,
        norm=own.model.norm,
        init_scheme=own.model.init,
        num_classes=10,
        mean=(0.5,) * 3,
        std=(0.25,) * 3,
        dtype="float32",
    )
    init = lambda key: architectures.init_network(
        key, model=model, shape=(32, 32, 3), own=own.model
    )
    return own, model, *init(jax.random.key(0))


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
        ("cifar10,as_implemented=true", "resnet", 16, 13),
    ],
)
def test_blocks_have_the_skips_they_should(argument, name, blocks, with_skip):
    found = skips(network(argument, name)[3])
    assert len(found) == blocks and sum(found) == with_skip and set(found) <= {0.0, 1.0}


def test_a_skip_of_every_block_carries_the_signal():
    """With all branches off, only a skip brings an image's difference to the end: each of the 16, cut alone, stops it."""
    _, model, params, model_state = network("cifar10", "resnet")
    wiring = model_state["wiring"]
    off = {stack: part | {"branch": part["branch"] * 0} for stack, part in wiring.items()}
    x = jnp.asarray(np.random.default_rng(0).uniform(size=(2, 32, 32, 3)), jnp.float32)
    apply = jax.jit(
        lambda w: model.apply({"params": params, **model_state, "wiring": w}, x, train=False)[1][
            "last_conv"
        ]
    )
    spread = lambda w: float(jnp.abs(apply(w)[0] - apply(w)[1]).max())
    assert spread(off) > 0
    for stack, part in off.items():
        for i in range(len(part["skip"])):
            assert spread(off | {stack: part | {"skip": part["skip"].at[i].set(0.0)}}) == 0, (
                stack,
                i,
            )


def test_twins_as_intended_differ_in_the_wiring_alone():
    for plain, residual in (("convnet", "resnet"), ("convnet_bottleneck", "resnet_bottleneck")):
        (_, a, p, _), (_, b, q, _) = network("cifar10", plain), network("cifar10", residual)
        assert a == b
        jax.tree.map(np.testing.assert_array_equal, p, q)


def test_the_labs_relu_behind_the_logits_is_there_and_only_there():
    (_, usual, params, _), (_, clamped, _, _) = (
        network("cifar10", "mlp"),
        network("cifar10", "mlp_relu_logits"),
    )
    x = jax.random.uniform(jax.random.key(1), (16, 32, 32, 3))
    a, b = (
        usual.apply({"params": params}, x, train=False)[0],
        clamped.apply({"params": params}, x, train=False)[0],
    )
    assert (np.asarray(a) < 0).any()
    np.testing.assert_array_equal(b, np.maximum(a, 0))
    assert network("cifar10,as_implemented=true", "mlp_relu_logits")[0].model.relu_logits


def test_ten_paired_runs_and_six_of_the_others():
    for preset in ("cifar10", "digits"):
        config = resnet34.get_config(preset)
        assert seeds_of(config, "resnet") == seeds_of(config, "convnet") == tuple(range(10))
        assert seeds_of(config, "mlp") == tuple(range(6)) and tuple(config.pair) == (
            "convnet",
            "resnet",
        )
        order = [(cell.seed, cell.group) for cell in final_cells(config)]
        assert [seed for seed, _ in order] == sorted(
            seed for seed, _ in order
        )  # what is compared runs side by side
        assert len(set(order)) == len(order) == 2 * 10 + 6 * 6
    assert resnet34.get_config("cifar10").num_epochs == 20


def test_a_network_may_have_learning_rates_of_its_own():
    config = resnet34.get_config("cifar10")
    tried = {cell.lr for cell in select_cells(config) if cell.group == "mlp"}
    assert tried == {0.01, 0.03, 0.1} and {
        cell.lr for cell in select_cells(config) if cell.group == "resnet"
    } == set(config.lrs)
    lab = resnet34.get_config("cifar10,as_implemented=true")
    assert select_cells(lab) == [] and own_config(lab, "mlp_relu_logits").optim.lr == 0.1


@pytest.mark.parametrize("argument", ["cifar10", "cifar10,as_implemented=true", "digits", "smoke"])
def test_every_claim_is_about_networks_that_are_there(argument):
    config = resnet34.get_config(argument)
    assert len(config.claims) >= 4 and set(config.reported) == set(config.networks)
    for claim in config.claims.values():
        assert {group for terms in claim.contrasts for _, group in terms} <= set(config.networks)


def test_cost_and_use_are_what_they_say():
    found = architectures_report.cost_and_use({"seconds_per_epoch": 8.0, "test_accuracy": 0.93}, 10)
    assert found == {"beyond_guessing": pytest.approx(0.78), "log2_seconds": 3.0}
    assert (
        architectures_report.cost_and_use({"seconds_per_epoch": None, "test_accuracy": 0.1}, 10)[
            "log2_seconds"
        ]
        is None
    )


@pytest.mark.parametrize(
    ("accuracies", "verdict"),
    [
        ((0.1,) * 6, "holds"),
        ((0.09, 0.1, 0.11, 0.1, 0.12, 0.1), "holds"),
        ((0.3, 0.32, 0.29, 0.31, 0.3, 0.3), "does not hold"),
    ],
)
def test_an_mlp_that_guesses_is_called_useless_and_one_that_does_not_is_not(accuracies, verdict):
    runs = [
        {
            "group": "mlp",
            "seed": seed,
            "diverged": False,
            "test_accuracy": value,
            "seconds_per_epoch": 1.0,
        }
        for seed, value in enumerate(accuracies)
    ]
    runs = [run | architectures_report.cost_and_use(run, 10) for run in runs]
    claim = resnet34.get_config("cifar10").claims.e_mlp_useless_as_intended.to_dict()
    assert weighing.weigh(claim, runs)["verdict"] == verdict


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda c: c.networks.resnet.model.update({"depth": 35}),
            r"networks\.resnet: model\.depth: there is no ResNet of depth 35",
        ),
        (
            lambda c: c.networks.resnet_bottleneck.model.update({"depth": 12}),
            "ResNet with bottlenecks of depth 12; give 9n",
        ),
        (
            lambda c: c.networks.resnet.model.update({"plain_stages": (4,)}),
            "plain_stages: there is no stage 4; 1 to 3",
        ),
        (
            lambda c: c.networks.mlp.update({"seeds": (0, 100)}),
            r"networks\.mlp: select_seeds: \[100\]",
        ),
        (lambda c: c.networks.mlp.update({"lrs": ()}), r"networks\.mlp: lrs is empty"),
    ],
)
def test_errors_name_the_network(change, words, tmp_path):
    config = resnet34.get_config("smoke")
    config.unlock()
    change(config)
    with pytest.raises(ConfigError, match=words):
        architectures.check_config(config, Run(tmp_path, None, tmp_path, False, True))


def test_the_labs_own_recipe_trains_on_small_images(tmp_path):
    """Preset cifar10,as_implemented=true on digits: every network of it (that BatchNorm freezes: test_gradient_study.py)."""
    answer = launch(
        "--config=configs/resnet34.py:cifar10,as_implemented=true",
        f"--workdir={tmp_path / 'run'}",
        "--quiet",
        "--config.data.name=digits",
        "--config.data.test_fraction=0.2",
        "--config.num_epochs=1",
        "--config.seeds=0",
        "--config.freeze_norm_after_epochs=0",
        "--config.batch_size=512",
        "--config.networks.resnet.model.depth=8",
        "--config.networks.convnet.model.depth=8",
        "--config.networks.resnet_bottleneck.model.depth=11",
        "--config.networks.resnet_bottleneck.seeds=0",
        "--config.networks.mlp_relu_logits.seeds=0",
    )
    assert answer.code == 0, answer.err
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    params = {run["group"]: run["num_params"] for run in summary["runs"]}
    assert params["resnet"] > params["convnet"] and len(params) == 4
    lab = own_config(resnet34.get_config("cifar10,as_implemented=true"), "resnet")
    assert lab.freeze_norm_after_epochs == 1 and image_runs.optim.check_optim(lab.optim) is None
    assert (
        classify.count_params(network("cifar10,as_implemented=true", "resnet")[1], (32, 32, 3))
        == 21_282_122
    )
