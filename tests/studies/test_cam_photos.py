"""configs/cam.py on one's own photos: how they are read, named and gone on with."""

import json

import jax
import numpy as np
import pytest
from launching import launch
from PIL import Image

from dla_jax.evidence.rows import record_file, record_files
from dla_jax.studies.cam import network_maps
from dla_jax.studies.cam.arrays import read_arrays
from dla_jax.studies.image_networks import networks_of


@pytest.fixture(scope="module")
def study(smoke):
    return smoke("cam")[0] / "study"


def look(study, image, workdir, *more):
    """Make the maps of a photo, or a folder of them, with the networks of a study."""
    return launch(
        "--config=configs/cam.py",
        f"--from={study}",
        f"--config.image={image}",
        f"--workdir={workdir}",
        "--quiet",
        *more,
        drawn=True,
    )


def make_photos(folder):
    """Write photos of all kinds."""
    rng = np.random.default_rng(0)
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


@pytest.fixture(scope="module")
def photos(tmp_path_factory, study):
    """Return (workdir, {name: what the network says}) of photos of all kinds."""
    folder = tmp_path_factory.mktemp("photos")
    make_photos(folder)
    workdir = folder / ".run"
    answer = look(study, folder, workdir)
    assert answer.code == 0, answer.err
    lines = [json.loads(line) for line in answer.out.splitlines()]
    return workdir, {line["image"].rsplit("/", 1)[1]: line for line in lines}


def test_photos_of_all_kinds_are_read_as_they_are_seen(photos):
    workdir, found = photos
    assert len(found) == 9
    top = {name: line["top"] for name, line in found.items()}
    assert top["turned.png"] == top["opaque.png"] == top["colour.png"]
    assert top["transparent.png"] == top["white.png"]
    # Grey before or after shrinking.
    assert top["grey.webp"] == pytest.approx(top["colour.png"], abs=0.02)
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
    record = {path: path.read_text() for path in record_files(workdir).values()}
    assert list(record) == [record_file(workdir, f"photo/{i:03}") for i in range(9)]
    times = {path: path.stat().st_mtime_ns for path in sorted((workdir / "photos").iterdir())}
    list(record)[-1].unlink()
    folder = workdir.parent
    answer = look(study, folder, workdir)
    assert answer.code == 0, answer.err
    assert {path: path.read_text() for path in record_files(workdir).values()} == record
    assert [json.loads(line) for line in answer.out.splitlines()] == list(found.values())
    kept = [path.stat().st_mtime_ns == before for path, before in times.items()]
    assert kept == [True] * 8 + [False]
    Image.new("RGB", (9, 9)).save(folder / "zzz.png")
    assert look(study, folder, workdir).code == 2  # other photos, another workdir
    (folder / "zzz.png").unlink()


def test_the_top_five_are_those_of_the_network(photos, study):
    _, found = photos
    network = network_maps.read_network(study, networks_of(study, "")[0], "last_conv")
    sizes = {
        "colour.png": (13, 8),
        "white.png": (13, 8),
        "pixel.png": (8, 8),
        "narrow.jpg": (8, 107),
    }
    for name, size in sizes.items():
        photo = Image.open(found[name]["image"]).convert("RGB")
        pixels = np.asarray(photo.resize(size, Image.Resampling.BILINEAR))
        grey = (pixels @ np.array([0.299, 0.587, 0.114])).round()
        x = grey[None, ..., None].astype(np.float32) / 255
        logits, _ = network.model.apply(network.variables, x, train=False)
        p = np.asarray(jax.nn.softmax(logits))[0]
        best, top = np.argsort(-p)[:5], found[name]["top"]
        assert list(top) == [str(label) for label in best]
        assert found[name]["label"] == str(best[0])
        np.testing.assert_allclose(list(top.values()), p[best], atol=2e-5)


def test_scale_makes_a_finer_map_of_a_larger_input(photos, study, tmp_path):
    workdir, found = photos
    image = found["colour.png"]["image"]
    answer = look(study, image, tmp_path / "run", "--config.scale=2")
    assert answer.code == 0, answer.err
    number = list(found).index("colour.png")
    small = read_arrays(workdir / "photos" / f"{number:03}.npz")["heat"]
    large = read_arrays(tmp_path / "run" / "photos" / "000.npz")["heat"]
    assert small.shape == (8, 13) and large.shape == (16, 26)
