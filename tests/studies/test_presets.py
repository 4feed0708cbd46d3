"""The presets of configs/rescnn.py: the labs' and papers' own networks, on any images."""

import json

import jax
import large_networks
import numpy as np
import pytest
from launching import launch

from configs.rescnn import get_config
from dla_jax.config.info import DataInfo
from dla_jax.studies.depth.arms import arms_of, claims_of, reference_of
from dla_jax.tasks import image_task
from dla_jax.tasks.image_classifier import count_params

IMAGES = DataInfo(tuple("0123456789"), shape=(32, 32, 3), mean=(0.5,) * 3, std=(0.25,) * 3)


def modules(argument):
    """Return {(kind, depth): module} of a preset, for images of 32x32x3."""
    found = {}
    for arm in arms_of(get_config(argument)).values():
        kind, _, depth = arm.name.rpartition("-")
        found[kind, int(depth)] = image_task.make_model(arm.config, IMAGES)
    return found


def size_of(module):
    return count_params(module, IMAGES.shape)


@pytest.mark.parametrize("argument", ["cifar10", "lab_a", "lab_b", "he", "resnet18"])
def test_the_twins_of_a_preset_as_intended_have_the_same_module_and_parameters(argument):
    found = modules(argument)
    plain = {depth: module for (kind, depth), module in found.items() if kind == "plain"}
    for depth, module in plain.items():
        assert module == found["residual", depth]
    sizes = set(map(size_of, found.values()))
    assert plain and len(sizes) >= len(get_config(argument).depths)


def test_the_papers_nets_have_its_number_of_parameters():
    found = modules("he")
    millions = {depth: size_of(found["residual", depth]) / 1e6 for depth in (20, 32, 44, 56, 110)}
    assert {depth: round(number, 2) for depth, number in millions.items()} == {
        20: 0.27,
        32: 0.46,
        44: 0.66,
        56: 0.85,
        110: 1.73,
    }
    assert get_config("he,as_implemented=true").optim.lr == 0.1


@pytest.mark.parametrize("lab", ["lab_a", "lab_b"])
def test_the_twins_of_a_lab_as_implemented_differ_in_more_than_the_skip(lab):
    found = modules(f"{lab},as_implemented=true")
    deepest = max(depth for _, depth in found)
    assert size_of(found["plain", deepest]) != size_of(found["residual", deepest])


@pytest.mark.parametrize("config", ["lab_b", "he"])
def test_every_block_of_a_residual_net_has_a_skip_and_none_of_its_plain_twin(config, monkeypatch):
    monkeypatch.setattr(image_task, "init_model", large_networks.init_model)
    config = get_config(config)
    config.compute_dtype = "float32"
    depth = reference_of(config)
    for kind, value in (("plain", 0), ("residual", 1)):
        own = arms_of(config)[f"{kind}-{depth}"].config
        model = image_task.make_model(own, IMAGES)
        how = {"model": model, "shape": IMAGES.shape, "own": own.model}
        _, model_state = image_task.init_network(jax.random.key(0), **how)
        leaves = jax.tree_util.tree_leaves_with_path(model_state["wiring"])
        skips = np.concatenate([leaf for path, leaf in leaves if path[-1].key == "skip"])
        np.testing.assert_array_equal(skips, value * np.ones({9: 4, 20: 9}[depth]))


@pytest.mark.parametrize(
    "argument",
    [
        "",
        "cifar10",
        "lab_a",
        "lab_a,as_implemented=true",
        "lab_b",
        "he",
        "resnet18",
        "cifar10,depth=50",
    ],
)
def test_every_claim_of_a_preset_is_in_its_grid(argument):
    config = get_config(argument)
    arms = set(arms_of(config))
    assert len(config.claims) >= 5
    for claim in claims_of(config).values():
        for terms in claim["contrasts"]:
            assert {name for _, name in terms} <= arms


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Return a folder of three classes of 24 pictures, 32x32, told apart by their colour."""
    from PIL import Image

    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for channel, name in enumerate(("red", "green", "blue")):
        (folder / name).mkdir()
        for i in range(24):
            pixels = rng.integers(0, 120, (32, 32, 3)).astype(np.uint8)
            pixels[..., channel] += 100
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return folder


@pytest.mark.parametrize(
    ("preset", "depths", "arms", "size", "epochs"),
    [
        pytest.param("cifar10", "2", "plain,residual", 16, 3, marks=pytest.mark.slow),
        ("he", "8", "residual", 16, 3),
        pytest.param(
            "lab_b,as_implemented=true", "9", "residual", 32, 1, marks=pytest.mark.slow
        ),  # it has many channels
        # its networks are looked at by tests/models/test_labs.py, their training by "he"
        pytest.param(
            "lab_a,as_implemented=true", "1", "plain,residual", 16, 3, marks=pytest.mark.slow
        ),
    ],
)
def test_the_presets_train_on_ones_own_images(photos, tmp_path, preset, depths, arms, size, epochs):
    answer = launch(
        f"--config=configs/rescnn.py:{preset}",
        "--config.data.name=folder",
        f"--config.data.path={photos}",
        f"--config.data.size={size}",
        "--config.data.val_fraction=0.2",
        "--config.data.test_fraction=0.2",
        f"--config.depths={depths}",
        f"--config.arms={arms}",
        "--config.side_arms=",
        "--config.seeds=0",
        "--config.optim.lr=1e-3",
        "--config.batch_size=8",
        f"--config.num_epochs={epochs}",
        "--config.steps_per_call=4",
        "--quiet",
        f"--workdir={tmp_path / 'run'}",
        XDG_CACHE_HOME=str(tmp_path),
    )
    assert answer.code == 0, answer.err
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert len(summary["runs"]) == len(depths.split(",")) * len(arms.split(","))
    assert not any(run["diverged"] for run in summary["runs"])
    assert max(run["test_accuracy"] for run in summary["runs"]) > 0.6  # chance is a third
    data = json.loads((tmp_path / "run" / "config.json").read_text())["data"]
    assert data["name"] == "folder" and data["num_examples"] == 72 and data["num_classes"] == 3
