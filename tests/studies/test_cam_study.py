"""configs/cam.py: maps of test images and of photos, whether they are right, and what is refused."""

import json
import shutil

import jax
import numpy as np
import pytest
from launching import launch, launch_many
from PIL import Image

from dla_jax.config.checks import ConfigError
from dla_jax.data import images
from dla_jax.evidence import stats
from dla_jax.models.resnet import ResNet
from dla_jax.plots import maps
from dla_jax.studies.cam import measure as cam_runs
from dla_jax.studies.cam import report as cam_report
from dla_jax.studies.cam import study as cam
from dla_jax.trials import finished as trained

WORK = ("examples.npz", "canvas.npz", "metrics.jsonl")


def done_rows(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def study(smoke):
    return smoke("cam")[0] / "study"


@pytest.fixture(scope="module")
def three_nets(tmp_path_factory):
    """Maps of three nets of configs/cam.py:digits, 100 images each."""
    workdir = tmp_path_factory.mktemp("cam") / "run"
    answer = launch(
        "--config=configs/cam.py:digits",
        "--config.made.optim.lr=3e-3",
        "--config.made.seeds=0,1,2",
        "--quiet",
        f"--workdir={workdir}",
    )
    assert answer.code == 0, answer.err
    return workdir


def test_maps_of_trained_nets_beat_noise(three_nets, capsys):
    found = {row["run"]: row for row in done_rows(three_nets)}
    for score, sign in (("insertion_auc", 1), ("deletion_auc", -1)):
        differences = [
            sign * (found[f"cam/seed{s}"][score] - found[f"random/seed{s}"][score])
            for s in range(3)
        ]
        low, high = stats.t_interval(differences)
        with capsys.disabled():
            print(
                f"\n{score}, better than noise by {np.mean(differences):.3f} [{low:.3f}, {high:.3f}], 3 nets, 100 images each"
            )
        assert np.mean(differences) > 0.02 and min(differences) > 0
    assert all(len(row["insertion_aucs"]) == 100 for row in found.values())
    # What does not look at the network cannot change when it forgets; what does, does.
    assert all(
        found[f"{method}/seed0"]["likeness_curve"] == [1] * 7 for method in ("edges", "random")
    )
    for method in ("cam", "grad_cam", "another_image"):
        assert found[f"{method}/seed0"]["likeness_curve"][0] == pytest.approx(1)
        assert all(abs(found[f"{method}/seed{s}"]["likeness_forgotten"]) < 0.5 for s in range(3))
    # The images on a canvas of the colour that convolutions see beyond an edge are mostly known again.
    assert np.mean([found[f"cam/seed{s}"]["canvas_accuracy"] for s in range(3)]) > 0.5


def test_each_picture_is_of_its_own_image_and_class(three_nets):
    shown, data = cam_report.read_arrays(three_nets / "examples.npz"), images.digits()
    np.testing.assert_array_equal(shown["image"], data.images[shown["index"]])
    np.testing.assert_array_equal(shown["label"], data.labels[shown["index"]])
    row = cam.networks_of(three_nets / "study", "")[0]
    network = cam_runs.read_network(three_nets / "study", row, "last_conv")
    kernel, bias = (
        np.asarray(network.variables["params"]["head"][name]) for name in ("kernel", "bias")
    )
    predicted = shown["p"].argmax(-1)
    assert (predicted != shown["label"]).sum() >= 4 and (predicted == shown["label"]).sum() >= 8
    for i, image in enumerate(shown["image"]):  # alone: no other image is in the batch
        logits, features = network.model.apply(
            network.variables, image[None] / np.float32(255), train=False
        )
        by_hand = np.einsum("hwd,dc->chw", features["last_conv"][0], kernel)
        assert (
            shown["classes"][i, 0] == predicted[i] and shown["classes"][i, -1] == shown["label"][i]
        )
        np.testing.assert_allclose(
            shown["maps"][i], by_hand[shown["classes"][i]], atol=1e-4 * np.abs(by_hand).max()
        )
        np.testing.assert_allclose(by_hand.mean((1, 2)) + bias, logits[0], rtol=1e-4, atol=1e-4)
        folder = "right" if predicted[i] == shown["label"][i] else "wrong"
        picture = Image.open(
            three_nets / "overlays" / folder / f"{shown['index'][i]}-{predicted[i]}.png"
        )
        heat = by_hand[predicted[i]] / np.abs(by_hand[predicted[i]]).max()
        difference = np.asarray(picture, int) - np.asarray(
            maps.overlay(maps.picture(image, 256), heat), int
        )
        assert picture.size == (256, 256) and np.abs(difference).max() <= 2
    assert len(list((three_nets / "overlays").rglob("*.png"))) == 16


def test_it_is_drawn_again_from_its_record_alone(smoke, tmp_path):
    before, copy = smoke("cam")[0], tmp_path / "copy"
    shutil.copytree(before, copy)
    for gone in ("study", "figures", "overlays"):
        shutil.rmtree(copy / gone)
    (copy / "summary.json").unlink()
    assert launch(f"--workdir={copy}").code == 0
    for path in [
        *before.glob("figures/*.png"),
        *before.glob("overlays/*/*.png"),
        before / "summary.json",
    ]:
        assert (copy / path.relative_to(before)).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("kept", [3, 10])  # rows; seven methods a network
def test_stopped_anywhere_it_goes_on_to_the_same_record(kept, smoke, tmp_path):
    before, copy = smoke("cam")[0], tmp_path / "copy"
    shutil.copytree(before, copy)
    lines = (before / "metrics.jsonl").read_text().splitlines(keepends=True)
    (copy / "metrics.jsonl").write_text("".join(lines[:kept]) + lines[kept][:20])
    for name in WORK[:2] if kept < 7 else ():
        (copy / name).unlink()
    unfinished = launch(f"--workdir={copy}")
    assert unfinished.code == 2 and "is not finished" in unfinished.err
    answer = launch("--config=configs/cam.py:smoke", f"--workdir={copy}", "--quiet")
    assert answer.code == 0, answer.err
    for name in (*WORK, "summary.json"):
        old, new = ((folder / name).read_bytes() for folder in (before, copy))
        assert new == old or name.endswith(".npz")  # whose archive holds the time
    for name in WORK[:2]:
        old, new = (cam_report.read_arrays(folder / name) for folder in (before, copy))
        assert old.keys() == new.keys() and all(np.array_equal(old[key], new[key]) for key in old)


@pytest.fixture(scope="module")
def photos(tmp_path_factory, study):
    """(workdir, lines) of photos of all kinds: name -> what the network says."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    colour = Image.fromarray(rng.integers(0, 256, (37, 61, 3), np.uint8)).resize(
        (122, 74), Image.Resampling.BILINEAR
    )
    colour.save(folder / "colour.png")
    colour.convert("L").save(folder / "grey.webp", lossless=True)
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned by 90 degrees clockwise
    colour.transpose(Image.Transpose.ROTATE_90).save(folder / "turned.png", exif=turned)
    colour.convert("RGBA").save(folder / "opaque.png")
    clear = np.zeros((31, 50, 4), np.uint8)
    Image.fromarray(clear).save(folder / "transparent.png")
    Image.new("RGB", (50, 31), "white").save(folder / "white.png")
    Image.new("L", (1, 1), 200).save(folder / "pixel.png")
    Image.new("RGB", (3, 40), (9, 200, 30)).save(folder / "narrow.jpg")
    Image.fromarray(rng.integers(0, 65536, (20, 30), np.uint16)).save(folder / "deep.png")
    workdir = folder / ".run"
    answer = launch(
        "--config=configs/cam.py",
        f"--from={study}",
        f"--config.image={folder}",
        f"--workdir={workdir}",
        "--quiet",
    )
    assert answer.code == 0, answer.err
    lines = [json.loads(line) for line in answer.out.splitlines()]
    return workdir, {line["image"].rsplit("/", 1)[1]: line for line in lines}


def test_photos_of_all_kinds_are_read_as_they_are_seen(photos):
    workdir, found = photos
    assert len(found) == 9
    for name in ("turned.png", "opaque.png"):
        assert found[name]["top"] == found["colour.png"]["top"]
    assert found["transparent.png"]["top"] == found["white.png"]["top"]
    assert found["grey.webp"]["top"] == pytest.approx(
        found["colour.png"]["top"], abs=0.02
    )  # grey before or after shrinking
    sizes = {
        "colour.png": (122, 74),
        "turned.png": (122, 74),
        "grey.webp": (122, 74),
        "pixel.png": (1, 1),
        "narrow.jpg": (3, 40),
        "deep.png": (30, 20),
        "transparent.png": (50, 31),
    }
    for name, size in sizes.items():
        assert Image.open(found[name]["overlay"]).size == size
    summary = json.loads((workdir / "summary.json").read_text())
    assert len(summary["photos"]) == 9 and (workdir / "figures" / "photos01.png").is_file()


def test_photos_are_gone_on_with_and_not_looked_at_twice(photos, study):
    workdir, found = photos
    record, last = workdir / "metrics.jsonl", list(found.values())[-1]
    lines = record.read_text().splitlines(keepends=True)
    times = {path: path.stat().st_mtime_ns for path in sorted((workdir / "photos").iterdir())}
    record.write_text("".join(lines[:-1]))
    folder = last["image"].rsplit("/", 1)[0]
    again = (
        "--config=configs/cam.py",
        f"--from={study}",
        f"--config.image={folder}",
        f"--workdir={workdir}",
        "--quiet",
    )
    answer = launch(*again)
    assert answer.code == 0 and record.read_text() == "".join(lines)
    assert [json.loads(line) for line in answer.out.splitlines()] == list(found.values())
    assert [path.stat().st_mtime_ns == before for path, before in times.items()] == [True] * 8 + [
        False
    ]
    Image.new("RGB", (9, 9)).save(f"{folder}/zzz.png")
    assert launch(*again).code == 2  # other photos, another workdir
    (workdir.parent / "zzz.png").unlink()


def test_the_top_five_are_those_of_the_network(photos, study):
    _, found = photos
    network = cam_runs.read_network(study, cam.networks_of(study, "")[0], "last_conv")
    for name, size in (
        ("colour.png", (13, 8)),
        ("white.png", (13, 8)),
        ("pixel.png", (8, 8)),
        ("narrow.jpg", (8, 107)),
    ):
        photo = (
            Image.open(found[name]["image"]).convert("RGB").resize(size, Image.Resampling.BILINEAR)
        )
        x = (np.asarray(photo) @ np.array([0.299, 0.587, 0.114])).round()[None, ..., None].astype(
            np.float32
        ) / 255
        p = np.asarray(jax.nn.softmax(network.model.apply(network.variables, x, train=False)[0]))[0]
        best = np.argsort(-p)[:5]
        assert list(found[name]["top"]) == [str(label) for label in best] and found[name][
            "label"
        ] == str(best[0])
        np.testing.assert_allclose(list(found[name]["top"].values()), p[best], atol=2e-5)


def test_scale_makes_a_finer_map_of_a_larger_input(photos, study, tmp_path):
    workdir, found = photos
    answer = launch(
        "--config=configs/cam.py",
        f"--from={study}",
        f"--config.image={found['colour.png']['image']}",
        "--quiet",
        f"--workdir={tmp_path / 'run'}",
        "--config.scale=2",
    )
    assert answer.code == 0, answer.err
    order = list(found).index("colour.png")
    small, large = (
        cam_report.read_arrays(path / "photos" / f"{i:03}.npz")["heat"].shape
        for path, i in ((workdir, order), (tmp_path / "run", 0))
    )
    assert small == (8, 13) and large == (16, 26)


def test_wrong_input_is_one_line_and_exit_code_2(smoke, study, tmp_path):
    empty, text, long = tmp_path / "empty", tmp_path / "text.png", tmp_path / "long.png"
    empty.mkdir(), text.write_text("no image")
    Image.new("RGB", (100, 2)).save(long)
    cam_study, where = "--config=configs/cam.py", f"--from={study}"
    wrong = {
        (cam_study,): ["--from is missing", "--from=runs/try1"],
        ("--config=configs/cam.py:smoke", where): ["--from", "leave it out"],
        (cam_study, f"--from={smoke('dante')[0]}"): [
            "no classifier of images, but language",
            "depth",
        ],
        (cam_study, f"--from={smoke('mlp')[0]}"): ["has no convolution", "--config.network="],
        (cam_study, f"--from={tmp_path}"): ["no workdir of this project"],
        (cam_study, where, f"--config.image={text}"): [str(text), "no image that can be read"],
        (cam_study, where, f"--config.image={empty}"): [
            "no image (.jpg, .jpeg, .jfif, .png, .webp, .bmp, .gif, .tif, .tiff) in",
            "give another folder, or a file",
        ],
        (cam_study, where, "--config.image=nowhere.jpg"): ["no file or folder nowhere.jpg"],
        (cam_study, where, f"--config.image={long}"): ["100x2 pixels", "cut it"],
        (cam_study, where, f"--config.image={tmp_path}"): ["long.png is 100x2", "and 1 more of 2"],
        (cam_study, where, "--config.num_shown=1"): ["another_image needs two images"],
        (cam_study, where, "--config.layer=blocks/9"): [
            "layer: unknown 'blocks/9'",
            "known: blocks/0, last_conv",
        ],
        (cam_study, where, "--config.layer=blocks/0"): [
            "cam, random_cam, another_image need",
            "cam.py:method=grad_cam",
        ],
        (cam_study, where, "--config.methods=cam,gradcam"): [
            "methods: unknown 'gradcam'",
            "did you mean 'grad_cam'",
        ],
        (cam_study, where, "--config.methods=edges,cam"): [
            "methods: edges is the first",
            "give cam or grad_cam or hires_cam",
        ],
        (cam_study, where, "--config.network=residual"): [
            "network: unknown 'residual'",
            "residual-2",
        ],
        (cam_study, where, "--config.num_scored=0"): ["num_scored"],
        (cam_study, where, "--config.scale=0.5"): ["scale: 0.5 must be at least 1"],
        (cam_study, where, "--config.canvas=3"): ["canvas", "rows, columns"],
        ("--config=configs/cam.py:method=gradcam", where): ["method", "did you mean 'grad_cam'"],
        ("--config=configs/cam.py:smoke", "--config.layer=nonsense"): ["layer: unknown 'nonsense'"],
        ("--config=configs/cam.py:smoke", "--config.layer=blocks/0"): [
            "cam, random_cam, another_image need"
        ],
        ("--config=configs/cam.py:smoke", "--config.network=plain-9"): [
            "network: unknown 'plain-9'"
        ],
        (cam_study, where, "--config.experiment=cam_photos"): ["experiment: unknown 'cam_photos'"],
    }
    for (command, words), answer in zip(
        wrong.items(), launch_many([list(command) for command in wrong]), strict=True
    ):
        assert answer.code == 2 and len(answer.err.splitlines()) == 1, (command, answer)
        assert all(word in answer.err for word in words), answer.err


def test_forgetting_compiles_nothing_anew(study):
    network = cam_runs.read_network(study, cam.networks_of(study, "")[0], "last_conv")
    x, classes = np.zeros((3, 8, 8, 1), np.uint8), np.zeros(3, np.int32)
    look = lambda variables: cam_runs.all_maps(
        network, variables, x, classes, jax.random.key(0), ("cam",)
    )
    look(network.variables)
    before = cam_runs.maps_of._cache_size()
    assert [look(variables)["cam"].shape for variables in cam_runs.forgetting(network)] == [
        (3, 8, 8)
    ] * 3
    assert cam_runs.maps_of._cache_size() == before


def test_a_map_of_one_place_is_refused_with_the_layers_to_choose(monkeypatch, tmp_path):
    model = ResNet(34, 10, (0.3,), (0.4,), False, True, False, "he", "float32")
    variables = jax.eval_shape(
        lambda: model.init(jax.random.key(0), np.zeros((1, 8, 8, 1), np.float32), train=False)
    )
    made = trained.ImageClassifier(model, variables, (8, 8, 1), tuple("0123456789"))
    monkeypatch.setattr(trained, "read_image_classifier", lambda workdir, row: made)
    with pytest.raises(ConfigError, match="last_conv of net is 1x1, which is no map") as error:
        cam_runs.read_network(tmp_path, {"group": "net"}, "last_conv")
    assert (
        "--config.layer=blocks3b/4 (2x2) or --config.layer=blocks2b/2 (4x4) or --config.layer=blocks1b/1 (8x8)"
        in str(error.value)
    )
    assert cam_runs.read_network(tmp_path, {"group": "net"}, "blocks3b/4").layer == "blocks3b/4"


def test_the_same_images_with_other_pixels_are_refused(smoke, tmp_path):
    copy = tmp_path / "study"
    shutil.copytree(smoke("cam")[0] / "study", copy)
    config = (copy / "config.json").read_text()
    (copy / "config.json").write_text(
        config.replace(images.digits().identity["fingerprint"], "0" * 16)
    )
    answer = launch("--config=configs/cam.py", f"--from={copy}", f"--workdir={tmp_path / 'run'}")
    assert answer.code == 2 and "others than when" in answer.err and not (tmp_path / "run").exists()
