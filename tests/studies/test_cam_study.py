"""configs/cam.py: maps of test images, whether they are right, and how a study is gone on with."""

import shutil

import jax
import numpy as np
import pytest
from launching import LOOPS, launch
from PIL import Image

from dla_jax.config.checks import ConfigError
from dla_jax.data import images
from dla_jax.evidence import stats
from dla_jax.evidence.rows import read_record, record_file, record_files
from dla_jax.models.resnet import ResNet
from dla_jax.plots import maps
from dla_jax.studies.cam import network_maps
from dla_jax.studies.cam.arrays import read_arrays
from dla_jax.studies.image_networks import networks_of
from dla_jax.tasks.image_restored import ImageClassifier

KEPT = ("examples.npz", "canvas.npz")


@pytest.fixture(scope="module")
def three_nets(tmp_path_factory):
    """Return the workdir with maps of three nets of configs/cam.py:digits, 100 images each."""
    workdir = tmp_path_factory.mktemp("cam") / "run"
    answer = launch(
        "--config=configs/cam.py:digits",
        "--config.made.optim.lr=3e-3",
        "--config.made.seeds=0,1,2",
        "--config.made.num_epochs=8",
        "--config.num_steps=8",
        "--quiet",
        f"--workdir={workdir}",
        **LOOPS,
    )
    assert answer.code == 0, answer.err
    return workdir


@pytest.mark.slow
def test_maps_of_trained_nets_beat_noise(three_nets, capsys):
    rows = read_record(three_nets)
    found = {row["run"].removeprefix("final/"): row for row in rows}
    assert len(found) == len(rows) == 3 * len(network_maps.METHODS)
    for score, sign in (("insertion_auc", 1), ("deletion_auc", -1)):
        differences = [
            sign * (found[f"cam/seed{s}"][score] - found[f"random/seed{s}"][score])
            for s in range(3)
        ]
        mean, (low, high) = np.mean(differences), stats.t_interval(differences)
        with capsys.disabled():
            better = f"{mean:.3f} [{low:.3f}, {high:.3f}]"
            print(f"\n{score}, better than noise by {better}, 3 nets, 100 images each")
        assert mean > 0.02 and min(differences) > 0
    assert all(len(row["insertion_aucs"]) == 100 for row in found.values())
    for method in ("cam", "grad_cam", "another_image"):
        assert all(abs(found[f"{method}/seed{s}"]["likeness_forgotten"]) < 0.5 for s in range(3))
    # On a canvas of the colour that convolutions see beyond an edge most images are known again.
    assert np.mean([found[f"cam/seed{s}"]["canvas_accuracy"] for s in range(3)]) > 0.5


def test_what_does_not_look_at_the_network_cannot_change_when_it_forgets(smoke):
    rows = read_record(smoke("cam")[0])
    for row in (row for row in rows if row["group"] in ("edges", "random")):
        assert set(row["likeness_curve"]) == {1}
    for row in (row for row in rows if row["group"] in ("cam", "grad_cam", "another_image")):
        first, *later = row["likeness_curve"]
        assert first == pytest.approx(1) and min(later) < 0.99


def test_each_picture_is_of_its_own_image_and_class(smoke):
    workdir = smoke("cam")[0]
    shown, data = read_arrays(workdir / "examples.npz"), images.digits()
    np.testing.assert_array_equal(shown["image"], data.images[shown["index"]])
    np.testing.assert_array_equal(shown["label"], data.labels[shown["index"]])
    row = networks_of(workdir / "study", "")[0]
    network = network_maps.read_network(workdir / "study", row, "last_conv")
    head = network.variables["params"]["head"]
    kernel, bias = np.asarray(head["kernel"]), np.asarray(head["bias"])
    predicted = shown["p"].argmax(-1)
    wrong = predicted != shown["label"]
    assert wrong.sum() == (~wrong).sum() == 2
    for i, image in enumerate(shown["image"]):  # alone: no other image is in the batch
        logits, features = network.model.apply(
            network.variables, image[None] / np.float32(255), train=False
        )
        by_hand = np.einsum("hwd,dc->chw", features["last_conv"][0], kernel)
        classes = shown["classes"][i]
        assert classes[0] == predicted[i] and classes[-1] == shown["label"][i]
        atol = 1e-4 * np.abs(by_hand).max()
        np.testing.assert_allclose(shown["maps"][i], by_hand[classes], atol=atol)
        np.testing.assert_allclose(by_hand.mean((1, 2)) + bias, logits[0], rtol=1e-4, atol=1e-4)
        folder = workdir / "overlays" / ("wrong" if wrong[i] else "right")
        picture = Image.open(folder / f"{shown['index'][i]}-{predicted[i]}.png")
        heat = by_hand[predicted[i]] / np.abs(by_hand[predicted[i]]).max()
        expected = maps.overlay(maps.picture(image, 256), heat)
        difference = np.asarray(picture, int) - np.asarray(expected, int)
        assert picture.size == (256, 256) and np.abs(difference).max() <= 2
    assert len(list((workdir / "overlays").rglob("*.png"))) == 4


def test_it_is_drawn_again_from_its_record_alone(smoke, tmp_path):
    before, copy = smoke("cam")[0], tmp_path / "copy"
    shutil.copytree(before, copy)
    for gone in ("study", "figures", "overlays"):
        shutil.rmtree(copy / gone)
    (copy / "summary.json").unlink()
    assert launch(f"--workdir={copy}", drawn=True).code == 0
    figures, overlays = before.glob("figures/*.png"), before.glob("overlays/*/*.png")
    for path in [*figures, *overlays, before / "summary.json"]:
        assert (copy / path.relative_to(before)).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("kept", [3, 10])  # runs; seven methods a network
@pytest.mark.slow
def test_stopped_anywhere_it_goes_on_to_the_same_record(kept, smoke, tmp_path):
    before, copy = smoke("cam")[0], tmp_path / "copy"
    shutil.copytree(before, copy)
    seeds = [row["seed"] for row in networks_of(before / "study", "")]
    runs = [f"final/{method}/seed{seed}" for seed in seeds for method in network_maps.METHODS]
    assert set(runs) == record_files(before).keys() and len(runs) > kept
    cut_off, *missing = (record_file(copy, run) for run in runs[kept:])
    cut_off.write_text(cut_off.read_text()[:20])
    for path in missing:
        path.unlink()
    for name in KEPT if kept < 7 else ():
        (copy / name).unlink()
    unfinished = launch(f"--workdir={copy}")
    assert unfinished.code == 2 and "is not finished" in unfinished.err
    answer = launch("--config=configs/cam.py:smoke", f"--workdir={copy}", "--quiet", warm=True)
    assert answer.code == 0, answer.err
    assert record_files(copy).keys() == record_files(before).keys()
    for path in (*record_files(before).values(), before / "summary.json"):
        assert (copy / path.relative_to(before)).read_bytes() == path.read_bytes()
    for name in KEPT:  # their archives hold the time
        old, new = (read_arrays(folder / name) for folder in (before, copy))
        assert old.keys() == new.keys() and all(np.array_equal(old[key], new[key]) for key in old)


def test_forgetting_compiles_nothing_anew(smoke):
    study = smoke("cam")[0] / "study"
    network = network_maps.read_network(study, networks_of(study, "")[0], "last_conv")
    x, classes = np.zeros((3, 8, 8, 1), np.uint8), np.zeros(3, np.int32)

    def look(variables):
        key = jax.random.key(0)
        return network_maps.all_maps(network, variables, x, classes, key, methods=("cam",))

    look(network.variables)
    before = network_maps.maps_of._cache_size()
    shapes = [look(variables)["cam"].shape for variables in network_maps.forgetting(network)]
    assert shapes == [(3, 8, 8)] * 3
    assert network_maps.maps_of._cache_size() == before


def test_a_map_of_one_place_is_refused_with_the_layers_to_choose(monkeypatch, tmp_path):
    model = ResNet(
        depth=34,
        num_classes=10,
        mean=(0.3,),
        std=(0.4,),
        bottleneck=False,
        shortcut=True,
        projection=False,
        init_scheme="he",
        dtype="float32",
    )

    def init():
        return model.init(jax.random.key(0), np.zeros((1, 8, 8, 1), np.float32), train=False)

    made = ImageClassifier(model, jax.eval_shape(init), (8, 8, 1), tuple("0123456789"))
    monkeypatch.setattr("dla_jax.studies.cam.network_maps.restore", lambda workdir, row: made)
    with pytest.raises(ConfigError, match="last_conv of net is 1x1, which is no map") as error:
        network_maps.read_network(tmp_path, {"group": "net"}, "last_conv")
    larger = ("blocks3b/4 (2x2)", "blocks2b/2 (4x4)", "blocks1b/1 (8x8)")
    assert " or ".join(f"--config.layer={layer}" for layer in larger) in str(error.value)
    assert network_maps.read_network(tmp_path, {"group": "net"}, "blocks3b/4").layer == "blocks3b/4"
