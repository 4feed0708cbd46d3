"""The study of strange images: what the record holds is what numpy says of the same networks."""

import json
import shutil

import numpy as np
import pytest
from launching import launch
from ml_collections import ConfigDict
from PIL import Image
from records import best_row, last_rows_of

from dla_jax.config.checks import ConfigError
from dla_jax.config.workdir import Launch
from dla_jax.config.written import read_config
from dla_jax.data import images, splits
from dla_jax.data.left_out import left_out_classes, seen_by
from dla_jax.evidence.rows import record_file, record_files
from dla_jax.studies.cam.arrays import read_arrays
from dla_jax.studies.ood import detectors, sets
from dla_jax.studies.ood.measure import AS_IMPLEMENTED, Scores, chosen_settings, measure


@pytest.fixture(scope="module")
def workdir(smoke):
    return smoke("ood")[0]


@pytest.fixture(scope="module")
def first(workdir):
    """Return the network that is best on validation, what it is shown, and the config."""
    config = ConfigDict(read_config(workdir)["config"])
    study = workdir / "study"
    row = best_row(study)
    network = detectors.read_network(study, row, config.layer, tuple(config.detectors))
    shown = sets.sets_of(config, launch_of(study), study, row["seed"])
    return config, network, shown


def launch_of(study):
    fields = dict.fromkeys(Launch._fields)
    return Launch(**fields | {"workdir": study, "data_dir": study, "download": False})


def test_no_image_is_in_two_parts_and_none_of_a_left_out_class_in_any(first):
    _, network, shown = first
    seed = network.row["seed"]
    index = np.concatenate([shown.train.index, shown.val.index, shown.test.index])
    assert len(index) == len(set(index))
    left_out = left_out_classes(seed, num_classes=10, count=2)
    assert not set(images.digits().labels[index]) & set(left_out)
    strange = shown.reported["left_out"]
    pixels = {image.tobytes() for image in strange}
    theirs = np.isin(images.digits().labels, left_out)
    assert pixels <= {image.tobytes() for image in images.digits().images[theirs]}
    names = {"left_out", "gaussian", "permuted", "inverted", "turned", "wrapped_gaussian"}
    assert set(shown.reported) == names and set(shown.tuning) == {"uniform", "blurred"}
    np.testing.assert_array_equal(shown.reported["inverted"], 255 - shown.test.images)


def fitted_on(first, shown, monkeypatch):
    """Return the positions of the images that the detectors of a network are fitted on."""
    config, network, _ = first
    fit, seen = detectors.fit, []

    def watched(network, train, settings):
        seen.append(train.index)
        return fit(network, train, settings)

    monkeypatch.setattr(detectors, "fit", watched)
    logits, _ = detectors.look(network, shown.test.images)
    measure(config, network, shown, logits, keep=False)
    return np.concatenate(seen)


def assert_no_leak(index, shown):
    assert not set(index) & {*shown.val.index, *shown.test.index}


def test_detectors_are_fitted_on_the_training_part_alone(first, monkeypatch):
    _, network, shown = first
    index = fitted_on(first, shown, monkeypatch)
    digits = seen_by(images.digits(), network.row["seed"], 2)
    parts = splits.split(digits, network.row["seed"], 0.2, 0.2)
    assert np.array_equal(np.sort(index), np.sort(parts["train"]))
    assert_no_leak(index, shown)
    half = len(shown.test.index) // 2  # as many images in all: nothing is compiled again
    pairs = zip(shown.train, shown.test, strict=True)
    both = [np.concatenate([own[half:], theirs[:half]]) for own, theirs in pairs]
    leaky = shown._replace(train=type(shown.train)(*both))
    with pytest.raises(AssertionError):
        assert_no_leak(fitted_on(first, leaky, monkeypatch), shown)


def test_settings_are_chosen_on_tuning_sets_and_never_on_what_is_reported():
    """Of two settings the first is better on what is reported, the second on the tuning sets."""
    familiar = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]], np.float32)
    low, high = np.array([[0.0, 0.5], [2.5, 4.0]]), np.array([[2.5, 4.0], [0.0, 0.5]])
    own = Scores(familiar, familiar, {"uniform": high}, {"left_out": low, sets.NOISE: low})
    assert chosen_settings({"odin": own}) == {"odin": 1, AS_IMPLEMENTED: 0}
    turned = own._replace(reported={"left_out": high, sets.NOISE: high})
    assert chosen_settings({"odin": turned})["odin"] == 1
    with pytest.raises(ConfigError, match="no set to choose"):
        chosen_settings({"odin": own._replace(tuning={})})


def test_the_record_holds_the_scores_of_the_scores(first, workdir):
    config, network, shown = first
    logits, _ = detectors.look(network, shown.test.images)
    strange, _ = detectors.look(network, shown.reported["turned"])

    def softmax(values):
        values = np.exp(values - values.max(1, keepdims=True))
        return (values / values.sum(1, keepdims=True)).max(1)

    familiar, turned = softmax(logits), softmax(strange)
    wins = (familiar[:, None] > turned).mean() + 0.5 * (familiar[:, None] == turned).mean()
    row = last_rows_of(workdir)[f"final/msp/seed{network.row['seed']}"]
    assert row["sets"]["turned"]["auroc"] == pytest.approx(wins, abs=2e-3)
    far = np.mean([row["sets"][name]["auroc"] for name in config.far])
    assert row["far_auroc"] == pytest.approx(far)
    assert row["near_auroc"] == row["sets"]["left_out"]["auroc"]
    assert row["strangeness_test"] == pytest.approx(np.mean(1 - familiar), abs=1e-5)
    level = np.sort(familiar)[::-1][int(np.ceil(0.95 * len(familiar))) - 1]
    passed = np.mean(turned >= level)
    assert row["sets"]["turned"]["fpr95"] == pytest.approx(passed, abs=2 / len(turned))
    kept = read_arrays(workdir / "scores.npz")
    np.testing.assert_allclose(kept["msp/test"], familiar, atol=1e-5)
    np.testing.assert_allclose(kept["msp/turned"], turned, atol=1e-5)


def test_odin_without_perturbation_at_temperature_one_is_the_softmax(first):
    _, network, shown = first
    settings = {"odin": [{"temperature": 1.0, "epsilon": 0.0}], "msp": [{}]}
    found = detectors.score(network, detectors.Fitted(None, None, ()), shown.test.images, settings)
    np.testing.assert_allclose(found["odin"], found["msp"], atol=1e-6)


def test_batches_give_what_single_images_give(first):
    config, network, shown = first
    settings = detectors.settings_of(config)
    fitted = detectors.fit(network, shown.train, settings)
    many = detectors.score(network, fitted, shown.test.images[:5], settings)
    for i in range(5):
        one = detectors.score(network, fitted, shown.test.images[i : i + 1], settings)
        for name, values in one.items():
            np.testing.assert_allclose(many[name][:, i], values[:, 0], rtol=2e-3, atol=2e-4)


def test_settings_are_in_the_order_of_their_scores(first):
    config, network, shown = first
    settings = detectors.settings_of(config)
    fitted = detectors.fit(network, shown.train, settings)
    images_ = shown.test.images[:5]
    every = detectors.score(network, fitted, images_, settings)
    for name in ("odin", "knn"):
        for i, setting in enumerate(settings[name]):
            alone = {name: [setting]}
            own = detectors.score(
                network, detectors.fit(network, shown.train, alone), images_, alone
            )
            np.testing.assert_allclose(every[name][i], own[name][0], rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module", params=["rescnn", pytest.param("mlp", marks=pytest.mark.slow)])
def read(request, smoke, tmp_path_factory):
    """Return the workdir, and the flags, of networks that were read and left out no class."""
    folder = tmp_path_factory.mktemp("photos")
    for i in range(3):
        Image.new("RGB", (9, 9), (80 * i, 20, 200)).save(folder / f"{i}.png")
    flags = ("--config=configs/ood.py", f"--from={smoke(request.param)[0]}", "--quiet")
    small = ("--config.settings.temperatures=1,10", "--config.settings.epsilons=0,0.01")
    sets = ("--config.far=turned,folder", f"--config.folder={folder}", "--config.num_images=30")
    flags += (*small, *sets, "--config.detectors=msp,odin,knn")
    workdir = tmp_path_factory.mktemp("ood") / "run"
    answer = launch(*flags, f"--workdir={workdir}", warm=True, drawn=True)
    assert answer.code == 0, answer.err
    return workdir, flags, answer


def test_networks_of_a_study_that_left_out_no_class_have_no_near_set(read):
    workdir, _, answer = read
    assert "left out no class" in answer.err
    row = next(iter(last_rows_of(workdir).values()))
    assert row["near_auroc"] is None and set(row["sets"]) == {"turned", "folder", sets.NOISE}
    claims = json.loads((workdir / "summary.json").read_text())["claims"]
    by_name = {claim["name"]: claim["verdict"] for claim in claims}
    assert by_name["i_odin_near"] == "not run" and by_name["j_odin_far"] != "not run"


def test_what_was_stopped_goes_on_to_the_same_record(read, tmp_path):
    workdir, flags, _ = read
    copy = tmp_path / "copy"
    shutil.copytree(workdir, copy)
    runs = list(record_files(copy))
    record_file(copy, runs[-1]).write_text(record_file(copy, runs[-1]).read_text()[:30])
    record_file(copy, runs[0]).unlink()
    answer = launch(*flags, f"--workdir={copy}", warm=True, drawn=True)
    assert answer.code == 0, answer.err
    for path in (*record_files(workdir).values(), *workdir.glob("figures/*.png")):
        assert (copy / path.relative_to(workdir)).read_bytes() == path.read_bytes()


def test_the_smoke_shows_each_figure(workdir):
    figures = {path.stem for path in (workdir / "figures").iterdir()}
    names = "detectors scores_msp scores_knn curves_near curves_far coverage odin classes surest"
    assert figures >= set(names.split())
    page = (workdir / "report.html").read_text()
    assert "as implemented and as intended" in page and "There is no strange image in it" in page


def test_fitted_images_are_of_all_classes(first):
    *_, shown = first
    few = sets.drawn_evenly(shown.train, 16, np.random.default_rng(0))
    assert np.array_equal(np.bincount(few.labels), np.full(8, 2))
    assert set(few.index) < set(shown.train.index)
