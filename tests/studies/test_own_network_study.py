"""A network and images of one's own: trained, told apart when they change, predicted with."""

import ast
import json
import shlex
import shutil

import numpy as np
import pytest
from launching import ROOT, assert_refused, launch
from PIL import Image

EXAMPLE = ROOT / "docs" / "examples" / "shapes.py"
DATA = "--config.data.name=mine:shapes"
STUDY = (
    "--config=configs/own.py:smoke",
    "--config.model.name=mine:Net",
    DATA,
    "--config.model.arguments=width=4",
    "--config.data.test_fraction=0",
    "--config.networks.cnn.model.width=2",
    "--config.networks.cnn.model.depth=2",
    "--config.num_epochs=5",
    "--config.seeds=0",
    "--quiet",
    "--workdir=run",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with the example's module, and the study that was started there."""
    folder = tmp_path_factory.mktemp("mine")
    code = EXAMPLE.read_text().replace("+= 100", "+= LEVELS")
    (folder / "mine.py").write_text(
        code.replace("import numpy", "from levels import LEVELS\nimport numpy")
    )
    (folder / "levels.py").write_text("LEVELS = 100\n")
    pixels = np.full((12, 12, 3), 75, np.uint8)
    pixels[2:10, 2:10, 1] += 100
    Image.fromarray(pixels).save(folder / "green.png")
    answer = launch(*STUDY, folder=folder)
    assert answer.code == 0, answer.err
    return folder


def written(folder):
    return json.loads((folder / "run" / "config.json").read_text())


def test_it_is_trained_and_described(folder):
    summary = json.loads((folder / "run" / "summary.json").read_text())
    runs = {run["group"]: run for run in summary["runs"]}
    assert runs["own"]["test_accuracy"] > 0.25  # chance is one of nine
    # 3x3 convolutions of 3 to 4 to 8 channels, two norms, a dense layer
    assert runs["own"]["num_params"] == 27 * 4 + 36 * 8 + 2 * (4 + 8) + 9 * 8 + 9
    data = written(folder)["data"]
    assert data["name"] == "mine:shapes" and data["test_start"] == 900
    assert data["num_examples"] == 1350 and data["class_names"][0] == "red disc"
    assert len(data["code of mine:Net"]) == 16 and data["num_classes"] == 9
    page = (folder / "run" / "report.html").read_text()
    assert "Networks on mine:shapes" in page and data["code of mine:Net"] in page


def test_without_a_name_it_is_said_that_a_dense_layer_stands_in(folder, smoke, tmp_path):
    said = "own: no network was named, and one dense layer (dla_jax.models.linear:Linear) stands in"
    answer = launch("--config=configs/own.py:smoke", "--dry_run", folder=tmp_path)
    assert answer.code == 0 and said in answer.out and "--config.model.name=" in answer.out
    workdir, answer = smoke("own")
    lines = answer.err.splitlines()
    assert lines[0].startswith("devices") and lines[1].startswith(said)
    assert said in (workdir / "report.html").read_text()
    assert "no network was named" not in (folder / "run" / "report.html").read_text()


def test_the_command_of_the_example_would_run(tmp_path):
    docstring = ast.get_docstring(ast.parse(EXAMPLE.read_text()))
    command = docstring.partition("python launch.py ")[2].partition("\n\n")[0]
    words = shlex.split(command.replace("\\\n", ""))
    answer = launch(*words, "--dry_run", f"--workdir={tmp_path / 'run'}")
    assert answer.code == 0 and "16 are compared" in answer.out, answer


def test_photos_are_classified_by_it_until_its_code_is_another(folder):
    ask = ("--config=configs/predict.py", "--from=run", "--config.image=green.png")
    answer = launch(*ask, "--config.network=own", folder=folder)
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["label"].startswith("green")
    for name, place in (("mine.py", "its own file"), ("levels.py", "levels.py")):
        original = (folder / name).read_text()
        (folder / name).write_text(original + "\n# more\n")
        changed = launch(*ask, "--config.network=own", folder=folder)
        (folder / name).write_text(original)
        assert changed.code == 2 and changed.out == "", changed.err
        assert "mine:Net has changed since the model in" in (said := changed.err.splitlines()[-1])
        assert f"was trained ({place}); train it again" in said


def test_exported_it_says_what_predict_says(folder):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    for words in (
        ("predict.py", "--config.image=green.png", "--workdir=predicted"),
        ("export.py", "--config.folder=onnx"),
    ):
        config, *flags = words
        line = (f"--config=configs/{config}", "--from=run", "--config.network=own", *flags)
        assert launch(*line, folder=folder).code == 0
    network = onnxruntime.InferenceSession(folder / "onnx" / "model.onnx")
    image = np.asarray(Image.open(folder / "green.png"), np.float32) / 255
    (logits,) = network.run(None, {"images": np.stack([image] * 2)})
    p = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum(1, keepdims=True)
    expected = json.loads((folder / "predicted" / "predictions.jsonl").read_text())["probabilities"]
    np.testing.assert_allclose(p, [list(expected.values())] * 2, atol=2e-6)
    card = (folder / "onnx" / "README.md").read_text()
    assert written(folder)["data"]["code of mine:Net"] in card


def test_what_needs_features_or_blocks_refuses_it_in_a_line(folder):
    for words, said in {
        ("cam.py",): ["own is a network of one's own, which gives no features", "no map"],
        ("ood.py",): ["own is a network of one's own", "no features"],
        ("predict.py", "--config.image=green.png", "--config.unfamiliar=true"): ["no features"],
        ("why.py", "--config.pair=own,cnn"): ["pair: own", "configs/own.py"],
    }.items():
        network = [] if "why" in words[0] else ["--config.network=own"]
        answer = launch(
            f"--config=configs/{words[0]}", "--from=run", *network, *words[1:], folder=folder
        )
        assert_refused(answer, said)


def test_studies_of_blocks_refuse_it_in_a_line(folder):
    for config in ("rescnn", "mlp", "gradients"):
        flags = (f"--config=configs/{config}.py:smoke", "--config.model.name=mine:Net")
        answer = launch(*flags, folder=folder)
        assert_refused(answer, ["mine:Net is a network of one's own", "configs/own.py"])


def test_what_is_wrong_with_it_is_one_line(folder):
    own = ("--config=configs/own.py:smoke", "--config.model.name=mine:Net")
    for flags, words in {
        ("--config.model.name=mine:Not",): ["networks.own: model.name: mine has no Not"],
        ("--config.model.arguments=depth=3",): ["model.arguments: mine:Net has no field depth"],
        ("--config.data.name=mine:Net",): ["data.name: mine:Net raised TypeError"],
        ("--config.data.name=mine:shape",): ["mine has no shape (did you mean 'shapes'?)"],
        ("--config.data.name=mine:shapes",): ["data.test_fraction: 0.2 with mine:shapes"],
    }.items():
        assert_refused(launch(*own, *flags, folder=folder), words)


def test_a_study_goes_on_unless_its_code_or_its_images_are_others(folder, tmp_path):
    shutil.copytree(folder / "run", tmp_path / "run")
    code, of_levels = (folder / "mine.py").read_text(), (folder / "levels.py").read_text()
    for text, levels, words in [
        (code, of_levels, []),
        (code + "\n# more\n", of_levels, ["begun on other data (code of mine:Net was"]),
        (code, of_levels + "# more\n", ["begun on other data (code of mine:Net in levels.py was"]),
        (code, of_levels.replace("100", "99"), ["fingerprint was", "in levels.py was"]),
    ]:
        (tmp_path / "mine.py").write_text(text)
        (tmp_path / "levels.py").write_text(levels)
        answer = launch(*STUDY, folder=tmp_path)
        if words:
            assert answer.code == 2 and all(word in answer.err for word in words), answer.err
        else:
            assert answer.code == 0 and "done before" in answer.err, answer.err
