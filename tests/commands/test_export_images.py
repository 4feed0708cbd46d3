"""A network for images computes in ONNX what it computes here, and its card has its intervals."""

import json
import shutil

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cards import example_of, run, run_example
from launching import ROOT, assert_refused, launch
from PIL import Image
from scipy import stats as scipy_stats

from dla_jax.commands.export import card, image, onnx_graph
from dla_jax.config.checks import ConfigError
from dla_jax.models.cnn import CNN
from dla_jax.models.labs import LabA, LabB
from dla_jax.models.mlp import MLP, Perceptron
from dla_jax.models.resnet import ResNet
from dla_jax.studies.study import restore
from dla_jax.trials.finished import choose_classifier

DATA = {"num_classes": 4, "mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.25), "dtype": "float32"}
BLOCKS = DATA | {"init_scheme": "he", "norm": "batch", "scalars": "none"}
RESNET = DATA | {"init_scheme": "he", "bottleneck": False, "shortcut": True}
EXPORT = "--config=configs/export.py"


class Other(nn.Module):
    """What networks of one's own may have and ours have not."""

    @nn.compact
    def __call__(self, x, train):
        h = nn.gelu(nn.Conv(8, (3, 3), kernel_dilation=2)(x), approximate=False)
        h = nn.avg_pool(h, (2, 2), (2, 2), padding="SAME")
        h = nn.silu(nn.Conv(8, (3, 3), feature_group_count=8)(nn.LayerNorm()(h)))
        h = nn.softplus(h).reshape(len(h), -1, 8)
        h = (jax.nn.softmax(h @ h.swapaxes(1, 2)) @ h).mean(1)
        h = jnp.concatenate([h, nn.elu(h), jnp.clip(h, 0.1, 0.2)], -1)
        return nn.Dense(4)(h), {}


NETWORKS = {
    "cnn": CNN(depth=4, width=8, pools=1, **BLOCKS),
    "mlp": MLP(depth=4, width=16, **BLOCKS),
    "perceptron": Perceptron((16, 8), 0.2, "every", relu_logits=True, init_scheme="he", **DATA),
    "resnet": ResNet(depth=14, projection=False, **RESNET),
    "resnet with projections": ResNet(depth=8, projection=True, **RESNET),
    "bottlenecks": ResNet(depth=11, projection=True, **RESNET | {"bottleneck": True}),
    "preactivation": ResNet(depth=8, projection=True, preactivation=True, **RESNET),
    "fixup": ResNet(
        depth=8,
        projection=False,
        norm="none",
        scalars="fixup",
        **RESNET | {"init_scheme": "fixup"},
    ),
    "lab a": LabA(depth=2, residual=True, width=16, **DATA),
    "lab a, plain": LabA(depth=2, residual=False, width=16, **DATA),
    "lab b": LabB(depth=9, as_implemented=True, projection=True, **DATA),
    "other": Other(),
}


def drawn(model, shape):
    """Return variables none of which is at its start, so that a wrong use of one shows."""
    made = jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.zeros(shape), train=False))
    rng = np.random.default_rng(0)
    return jax.tree.map(
        lambda leaf: (0.1 + rng.normal(size=leaf.shape) ** 2 / 10).astype(np.float32), made
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_the_graph_has_the_logits_of_the_network(name):
    onnx = pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    model, side = NETWORKS[name], 32 if name == "lab b" else 9
    images = np.random.default_rng(1).random((3, side, side, 3), np.float32)
    variables = drawn(model, images.shape)

    def logits_of(images):
        return model.apply(variables, images, train=False)[0]

    graph = onnx_graph.to_onnx(logits_of, images.shape[1:], {"a": "b"})
    onnx.checker.check_model(graph, full_check=True)
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    assert session.get_modelmeta().custom_metadata_map == {"a": "b"}
    expected = np.asarray(jax.jit(logits_of)(images))
    assert np.ptp(expected, 0).max() > 0, "the logits do not depend on the images"
    for part in (slice(0, 1), slice(0, 3)):
        (found,) = session.run(None, {"images": images[part]})
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found, expected[part], atol=1e-5 * scale, rtol=1e-5)


def test_what_it_cannot_write_is_named():
    pytest.importorskip("onnx")
    for function, said in {
        lambda x: jnp.sort(x.reshape(len(x), -1)): "the network has a sort, which",
        lambda x: x.sum((0, 1, 2, 3)).reshape(1, 1): "a reduce_sum over the images",
        lambda x: jax.lax.map(lambda one: one.sum((0, 1)), x): "a scan over its activations",
        lambda x: jax.lax.reduce(
            x, np.float32(0), lambda a, b: a * b + a, (1, 2)
        ): "the network has a reduce, which",
        lambda x: x.reshape(-1, 4): "a reshape that mixes images",
        lambda x: x[::-1].reshape(len(x), -1): "the network has a rev, which",
        lambda x: x[1:].reshape(len(x) - 1, -1): "a slice of the images",
        lambda x: jnp.concatenate(
            [jnp.ones((len(x), 2)), x.sum((1, 2))], 1
        ): "a concatenate of a constant for each image",
    }.items():
        with pytest.raises(ConfigError, match=said):
            onnx_graph.to_onnx(function, (4, 4, 2), {})


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setattr(onnx_graph.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="needs onnx and onnxruntime; pip install -r") as error:
        onnx_graph.check_packages()
    named = str(error.value).rpartition(" ")[2]
    assert (ROOT / named).is_file()


@pytest.fixture(scope="module")
def exported(smoke, tmp_path_factory):
    pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    base = tmp_path_factory.mktemp("images")
    answer = launch(
        EXPORT,
        f"--from={smoke('rescnn')[0]}",
        f"--config.folder={base / 'my_model'}",
        f"--workdir={base / 'run'}",
    )
    assert answer.code == 0, answer.err
    return base / "my_model"


def test_an_export_has_the_networks_logits_on_the_test_images(exported, smoke):
    import onnxruntime
    from sklearn.datasets import load_digits

    workdir = smoke("rescnn")[0]
    found = restore(workdir, choose_classifier(workdir, ""))
    session = onnxruntime.InferenceSession(exported / "model.onnx")
    images = (load_digits().images / 16).astype(np.float32)[..., None]
    (logits,) = session.run(None, {"images": images})
    expected = found.model.apply(found.variables, images, train=False)[0]
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    facts = session.get_modelmeta().custom_metadata_map
    assert json.loads(facts["class_names"]) == list("0123456789")


def test_a_graph_with_other_logits_is_refused(exported):
    graph = (exported / "model.onnx").read_bytes()
    with pytest.raises(ConfigError, match="has other logits than the network"):
        image.check_same(graph, lambda images: np.ones((len(images), 10)), (8, 8, 1))
    with pytest.raises(ConfigError, match="onnxruntime cannot run the network's graph"):
        image.check_same(graph, lambda images: np.ones((len(images), 10)), (9, 8, 1))


def test_logits_that_are_no_numbers_or_too_few_are_refused():
    pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")

    def right(x):
        return x.sum((1, 2))

    def check_same(function, logits_of):
        graph = onnx_graph.to_onnx(function, (4, 4, 2), {}).SerializeToString()
        return image.check_same(graph, logits_of, (4, 4, 2))

    assert check_same(right, right) < 1e-5
    with pytest.raises(ConfigError, match="other logits than the network, by up to nan"):
        check_same(lambda x: right(jnp.log(x - 2)), right)
    with pytest.raises(ConfigError, match="logits that are no numbers"):
        check_same(right, lambda x: np.nan * right(x))
    with pytest.raises(ConfigError, match=r"of 3 images .* the shape \(1, 2\), and .* \(3, 2\)"):
        check_same(lambda x: jnp.zeros((len(x), 2)), lambda x: np.zeros((len(x), 2)))


@pytest.mark.parametrize("channels", [1, 3])
def test_the_example_turns_a_photo_upright(channels, tmp_path):
    """Cameras write how they were held: orientation 6 is to be turned clockwise by a quarter."""
    pixels = np.zeros((40, 40, 3), np.uint8)
    pixels[:, :20] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "photo.jpg", exif=exif)
    lines = image.snippet((8, 8, channels)).splitlines()
    used = [line for line in lines if line.startswith(("photo = ", "images = "))]
    code = "import numpy as np\nfrom PIL import Image, ImageOps\n" + "\n".join(used)
    found = run(code, tmp_path)[1]["images"]
    assert found.shape == (1, 8, 8, channels) and found.dtype == np.float32
    assert found[0, :3].min() > 0.9 and found[0, 5:].max() < 0.1


def test_the_examples_run(exported):
    Image.new("RGB", (20, 30), "white").save(exported / "photo.jpg")
    said = run_example(example_of((exported / "README.md").read_text()), exported)
    assert said.strip() in list("0123456789")
    page = (ROOT / "docs" / "usage.md").read_text()
    lines = page.partition("    import json\n")[2].partition("\n\nThe writer")[0].splitlines()
    code = "\n".join(["import json", *(line.removeprefix("    ") for line in lines)])
    assert run_example(code, exported.parent).startswith("['")


def test_a_network_of_bfloat16_is_written_in_float32(smoke, tmp_path):
    workdir = shutil.copytree(smoke("rescnn")[0], tmp_path / "run")
    config = json.loads((workdir / "config.json").read_text())
    config["config"]["compute_dtype"] = "bfloat16"
    (workdir / "config.json").write_text(json.dumps(config))
    row = choose_classifier(workdir, "")
    assert restore(workdir, row).model.dtype == "bfloat16"
    found, before = (image.in_float32(each, row) for each in (workdir, smoke("rescnn")[0]))
    assert found.model == before.model and found.model.dtype == "float32"
    assert "trained and scored in bfloat16; here it is float32" in " ".join(
        card.limits(card.read(workdir), row)
    )


MODEL = card.Model("onnx", "image-classification", "What it is.", "print()\n", ["A limit."])


@pytest.fixture(scope="module")
def written(smoke):
    """Return the study as a card reads it, and the last row of its best run."""
    workdir = smoke("rescnn")[0]
    return card.read(workdir), choose_classifier(workdir, "")


def test_the_card_has_wilsons_interval_of_one_network(written, tmp_path):
    found, row = written
    card.write(tmp_path, found, row, MODEL)
    text = (tmp_path / "README.md").read_text()
    n = sum(row["class_counts"])
    right = round(n * row["test_accuracy"])
    own = scipy_stats.binomtest(right, n).proportion_ci(method="wilson")
    shown = f"{100 * right / n:.1f} [{100 * own.low:.1f}, {100 * own.high:.1f}]"
    assert f"| this model, seed {row['seed']} | {shown} |" in text
    assert f"its {n} test examples" in text and "Fewer than 3 seeds give none" in text
    assert "What it is." in text and "- A limit.\n" in text and "1,797 examples" in text
    assert "attack" not in text


def test_the_card_has_students_interval_of_several_seeds(written):
    found, row = written
    values = [0.9, 0.92, 0.97, 0.93]
    runs = [
        {"group": row["group"], "test_accuracy": value, "diverged": i == 3}
        for i, value in enumerate(values)
    ]
    text = card.scores(found._replace(summary=found.summary | {"runs": runs}), row)
    interval = scipy_stats.ttest_1samp(values, 0).confidence_interval()
    shown = f"93.0 [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"
    assert f"| mean of 4 seeds | {shown} |" in text
    assert "1 run of the network diverged, counted as chance" in text and "Fewer" not in text


def test_the_cards_head_names_a_set_of_the_hub(written):
    found, row = written
    assert "datasets" not in card.head(found, row, MODEL)
    arm = found.arms[row["group"]]
    config = arm.config.copy_and_resolve_references()
    config.attack.name = "pgd"
    there = found._replace(arms={row["group"]: arm._replace(config=config)})
    repos = {"hub:ylecun/mnist@main": "ylecun/mnist", "mnist": "ylecun/mnist", "race": "ehovy/race"}
    for config.data.name, repo in repos.items():
        assert f'\ndatasets:\n- "{repo}"\n' in card.head(there, row, MODEL)
    assert "\nattack.name=pgd\n" in card.training(there, row)


def test_without_the_packages_nothing_is_written(smoke, tmp_path):
    if all(map(onnx_graph.importlib.util.find_spec, ("onnx", "onnxruntime"))):
        pytest.skip("they are here")
    answer = launch(EXPORT, f"--from={smoke('rescnn')[0]}", f"--workdir={tmp_path / 'run'}")
    assert_refused(answer, ["needs onnx", "pip install -r requirements-onnx.txt"])
    assert not (tmp_path / "run").exists()
