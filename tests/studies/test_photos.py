"""configs/predict.py and configs/cam.py on folders of photos, some of which cannot be read."""

import contextlib
import json
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from PIL import Image

from configs import cam
from dla_jax.commands import predict
from dla_jax.config.checks import ConfigError
from dla_jax.config.stop import Interrupted, stop_requested
from dla_jax.config.workdir import Launch
from dla_jax.config.written import write_config
from dla_jax.models.cnn import CNN
from dla_jax.studies.cam import photo_maps
from dla_jax.studies.cam.network_maps import Network
from dla_jax.tasks.image_restored import ImageClassifier

SHAPE, NAMES = (8, 8, 3), ("a", "b", "c")
CORRUPT = 37  # of 70


@pytest.fixture(scope="module")
def classifier():
    """Return a network as it is before its first step."""
    model = CNN(1, 4, 3, (0.5,) * 3, (0.3,) * 3, 0, "none", "he", "float32")
    variables = model.init(jax.random.key(0), np.zeros((1, *SHAPE), np.float32), train=False)
    return ImageClassifier(model, variables, SHAPE, NAMES)


@pytest.fixture(autouse=True)
def its_workdir(monkeypatch, classifier):
    monkeypatch.setattr("dla_jax.commands.predict.restore", lambda workdir, row: classifier)


def make_photos(root, number, corrupt=()):
    root.mkdir()
    rng = np.random.default_rng(0)
    for i in range(number):
        path = root / f"{i:02}.png"
        Image.fromarray(rng.integers(0, 256, (8, 10, 3), np.uint8)).save(path)
        if i in corrupt:
            path.write_bytes(path.read_bytes()[:80])
    return root


@pytest.fixture
def seventy(tmp_path):
    return make_photos(tmp_path / "photos", 70, {CORRUPT})


def launch_in(workdir):
    return Launch(workdir, from_dir=None, data_dir=workdir, download=False, quiet=True)


def answers(root):
    return list(predict.image_answers(SimpleNamespace(image=str(root)), workdir=None, row={}))


def test_one_corrupt_photo_among_seventy_is_named_and_the_others_are_classified(seventy, capsys):
    whole = answers(seventy)
    assert [answer["image"] for answer in whole] == [
        str(seventy / f"{i:02}.png") for i in range(70) if i != CORRUPT
    ]
    first, last = capsys.readouterr().err.splitlines()
    corrupt = seventy / f"{CORRUPT}.png"
    assert first.startswith(f"image: {corrupt} is no image that can be read (")
    assert last == "1 of 70 images could not be read"
    corrupt.unlink()
    assert answers(seventy) == whole and capsys.readouterr().err == ""


def test_what_is_said_of_a_photo_does_not_depend_on_how_many_are_classified_together(
    seventy, monkeypatch, capsys
):
    whole = answers(seventy)
    for i in (32, 33, 34, 35, 36, 38, 39):  # 32 to 39 are a whole part, without a single good one
        (seventy / f"{i}.png").write_bytes(b"")
    monkeypatch.setattr(predict, "AT_A_TIME", 8)
    found = {answer["image"]: answer for answer in answers(seventy)}
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "8 of 70 images could not be read" and len(found) == 62
    for answer in (answer for answer in whole if answer["image"] in found):
        probabilities = pytest.approx(answer["probabilities"], abs=2e-6)
        assert found[answer["image"]]["probabilities"] == probabilities


def test_where_none_can_be_read_nothing_is_answered(tmp_path, monkeypatch, capsys):
    root = make_photos(tmp_path / "photos", 3, {0, 1, 2})
    monkeypatch.setattr("dla_jax.commands.predict.restore", None)  # it is not even read
    for given, words in (
        (root, r"00\.png is no image that can be read \(.*\); nor is any other of 3"),
        (root / "01.png", r"01\.png is no image that can be read \([^;]*\)$"),
    ):
        with pytest.raises(ConfigError, match=words) as caught:
            answers(given)
        assert "\n" not in str(caught.value) and capsys.readouterr().out == ""
        with pytest.raises(ConfigError, match=words):
            photo_maps.check_photos(SimpleNamespace(image=str(given)))


def test_predict_answers_on_standard_output_and_exits_as_usual(
    seventy, tmp_path, monkeypatch, capsys
):
    row = {"run": "x", "test_accuracy": 0.5}
    monkeypatch.setattr(predict, "make_source", lambda *given: tmp_path)
    monkeypatch.setattr(predict, "choose", lambda *given: row)
    monkeypatch.setattr(predict, "read_config", lambda workdir: {"data": {"fingerprint": "0"}})
    monkeypatch.setattr(predict, "write_config", lambda *given: None)
    monkeypatch.setattr(predict, "words_of_unfinished", lambda workdir: ["x is not finished"])
    (seventy / "notes.txt").write_text("x")
    config = SimpleNamespace(image=str(seventy), network="", unfamiliar=False, to_dict=dict)
    predict.run(config, launch_in(tmp_path))
    out, err = capsys.readouterr()
    assert out == (tmp_path / "predictions.jsonl").read_text() and len(out.splitlines()) == 69
    lines = err.splitlines()
    assert lines[0] == "x is not finished"
    assert lines[2] == f"image: {seventy}: 70 images; left out: 1 .txt"
    assert lines[-2] == "1 of 70 images could not be read"


@pytest.fixture
def network(classifier):
    return Network({"seed": 0}, classifier.model, classifier.variables, SHAPE, NAMES, "last_conv")


def config_of(root):
    config = cam.get_config("cam")
    config.image = str(root)
    return config


def look(root, workdir, network):
    workdir.mkdir(exist_ok=True)
    photo_maps.look(config_of(root), launch_in(workdir), network)


def test_the_maps_of_seventy_photos_have_numbers_without_a_gap_also_when_gone_on_with(
    seventy, tmp_path, network, monkeypatch, capsys
):
    config, workdir = config_of(seventy), tmp_path / "run"
    photo_maps.check_photos(config)
    kept = photo_maps.fingerprints(config)
    assert list(kept) == [str(seventy / f"{i:02}.png") for i in range(70) if i != CORRUPT]
    asked = []

    def look_at(config, workdir, network, path, number):
        if len(asked) == 40:
            stop_requested.set()
        asked.append((path.name, number))
        return {
            "image": str(path),
            "label": "a",
            "probability": 1.0,
            "top": {"a": 1.0},
            "overlay": number,
        }

    monkeypatch.setattr(photo_maps, "look_at", look_at)
    with contextlib.suppress(Interrupted):
        look(seventy, workdir, network)
    stop_requested.clear()
    assert len(asked) == 41 and "could not be read" not in capsys.readouterr().err
    look(seventy, workdir, network)
    assert asked == [(f"{i + (i >= CORRUPT):02}.png", f"{i:03}") for i in range(69)]  # each once
    out, err = capsys.readouterr()
    assert [json.loads(line)["image"] for line in out.splitlines()] == list(kept)
    first, last = err.splitlines()
    assert f"{CORRUPT}.png is no image that can be read (" in first
    assert last == "1 of 70 images could not be read, or looked at"


def test_the_report_shows_the_photos_that_could_be_looked_at(tmp_path, network, capsys):
    root, workdir = make_photos(tmp_path / "photos", 4, {0}), tmp_path / "run"
    Image.new("RGB", (200, 8)).save(root / "long.png")
    config = config_of(root)
    photo_maps.check_photos(config)
    look(root, workdir, network)
    first, second, _ = capsys.readouterr().err.splitlines()
    assert "00.png is no image" in first
    assert "long.png is 200x8 pixels, more than 16 times as long as wide; cut it" in second
    data = {
        "name": "x",
        "fingerprint": "0",
        "network": "cnn",
        "num_networks": 1,
        "photos": photo_maps.fingerprints(config),
    }
    write_config(workdir, config.to_dict(), ["cpu"], data)
    photo_maps.draw(workdir)
    shown = json.loads((workdir / "summary.json").read_text())["photos"]
    assert [row["image"] for row in shown] == [str(root / f"0{i}.png") for i in (1, 2, 3)]
    kept, overlays = (sorted((workdir / name).iterdir()) for name in ("photos", "overlays"))
    assert [path.name for path in kept] == ["000.npz", "001.npz", "002.npz"]
    assert [path.name[:7] for path in overlays] == ["000-01-", "001-02-", "002-03-"]


def test_an_overlay_of_a_jpeg_has_its_whole_size(tmp_path, network):
    root = tmp_path / "photos"
    root.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (320, 240), "green").save(root / "a.jpg", exif=exif)
    found = photo_maps.look_at(config_of(root), tmp_path, network, root / "a.jpg", "000")
    assert Image.open(found["overlay"]).size == (240, 320)


def test_a_photo_that_was_mended_is_looked_at_again(tmp_path):
    root = make_photos(tmp_path / "photos", 2, {1})
    before = photo_maps.fingerprints(config_of(root))
    Image.new("RGB", (9, 9)).save(root / "01.png")
    assert set(photo_maps.fingerprints(config_of(root))) - set(before) == {str(root / "01.png")}


def test_where_no_photo_can_be_looked_at_the_first_reason_is_given(tmp_path):
    root = make_photos(tmp_path / "photos", 2, {0})
    Image.new("RGB", (200, 8)).save(root / "01.png")
    words = r"00\.png is no image that can be read \(.*\); and 1 more of 2"
    with pytest.raises(ConfigError, match=words) as caught:
        photo_maps.check_photos(config_of(root))
    assert "\n" not in str(caught.value)
