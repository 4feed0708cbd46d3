"""What the Hugging Face hub does not have, or has otherwise, is answered in one line."""

import datetime
import io
import json
import time

import pytest
from hub_library import COLOURS, COMMIT, image_data, parts_of, refusal
from PIL import Image

from dla_jax.config.checks import ConfigError
from dla_jax.data import hub_fetch, hub_folder, hub_rows, hub_sets, images, prepared


def test_what_is_not_as_it_should_be_is_one_line(hub, small, tmp_path):
    small("cifar10", 4, 2)
    right = {"label": hub_sets.SETS["cifar10"].class_names}
    for parts, names, words in [
        (
            parts_of("img"),
            right,
            [
                "{'train': 5, 'test': 2} examples, and should have",
                "home/datasets/uoft-cs___cifar10",
            ],
        ),
        (
            parts_of("img"),
            {"label": right["label"][::-1]},
            ["are truck, ship", "should be airplane"],
        ),
        (parts_of("image"), right, ["no column 'img' (did you mean 'image'?) in train"]),
        (parts_of("img", "name"), right, ["no column 'label' in train; it has img, name\n"]),
        ({"validation": parts_of("img")["train"]}, right, ["has no part train, but validation"]),
        (
            parts_of("img", labels=[0, 1, 2, 0, 1, 2], train=4)
            | {"test": parts_of("img", colours=COLOURS[:, :4])["test"]},
            right,
            ["image 0 of uoft-cs/cifar10, test, has the shape (4, 5, 3), and those before it (6"],
        ),
    ]:
        hub(parts, names=names)
        message = refusal(prepared.find_or_prepare, "cifar10", tmp_path, True)
        assert all(word in f"{message}\n" for word in ["uoft-cs/cifar10", *words]), message
    assert not list(tmp_path.glob("hub/*/*")), "nothing unfinished is left"


def test_without_a_network_it_is_said_at_once(hub, tmp_path, monkeypatch):
    hub.unplug("Name or service not known")
    start = time.monotonic()
    message = refusal(images.check_config, image_data("hub:me/photos"), tmp_path, True)
    assert time.monotonic() - start < 2
    assert "cannot be reached (Name or service not known)" in message
    assert "--data_dir=FOLDER" in message
    message = refusal(prepared.check_available, "cifar10", tmp_path, True)
    assert "huggingface.co cannot be reached" in message and not list(tmp_path.iterdir())
    monkeypatch.setattr(hub_fetch, "is_installed", lambda: False)
    message = refusal(prepared.check_available, "yahoo_answers_topics", tmp_path, True)
    assert "requirements-hub.txt" in message and "TensorFlow" not in message


@pytest.mark.parametrize(
    ("name", "said", "words"),
    [
        ("hub:photos", {}, "hub:photos is not of the form hub:OWNER/NAME"),
        ("hub:me/", {}, "is not of the form"),
        ("hub:../photos", {}, "is not of the form"),
        ("hub:mé/photos", {}, "is not of the form"),
        (
            "hub:me/photos",
            {"num_bytes": 10**16},
            "me/photos needs about 30000000.0 GB on the disk of",
        ),
    ],
)
def test_what_is_no_set_or_too_large_is_one_line(hub, tmp_path, name, said, words):
    hub(parts_of(), **said)
    assert words in refusal(images.check_config, image_data(name), tmp_path, True)


def test_it_is_said_how_to_get_the_library(hub, tmp_path, monkeypatch):
    data = image_data("hub:me/photos")
    hub.unplug()
    message = refusal(images.check_config, data, tmp_path, False)
    assert message.endswith("or fetch it with --download")
    monkeypatch.setattr(hub_fetch, "is_installed", lambda: False)
    message = refusal(images.check_config, data, tmp_path, True)
    assert "pip install -r requirements-hub.txt" in message


def test_columns_of_another_kind_are_one_line(hub, tmp_path):
    train, hub_set = parts_of()["train"], image_data("hub:me/photos", test_fraction=0.2)
    for label, words in ((0.5, "holds double"), ([1, 2], "holds List")):
        hub({"train": train | {"label": [label] * 5}}, names={})
        message = refusal(images.load, hub_set, tmp_path, True)
        assert f"column label of me/photos {words}, and not classes: names, texts or" in message
        assert message.endswith(
            "it has image, label; name another with --config.data.label_column=COLUMN"
        )
    hub({"train": train}, names={})
    message = refusal(
        images.load, image_data("hub:me/photos", image_column="label"), tmp_path, True
    )
    assert "holds int64, and not images;" in message and "data.image_column=COLUMN" in message
    palette = io.BytesIO()
    Image.new("P", (4, 4)).save(palette, "PNG")
    wanted = hub_sets.SETS["cifar10"]
    with pytest.raises(ValueError, match="its mode is P, and L or RGB is needed"):
        hub_rows.decoded({"bytes": palette.getvalue(), "path": None}, wanted.size)


def test_sets_of_other_columns_have_folders_of_their_own(tmp_path):
    def folder(name, columns):
        found = hub_sets.named(name, columns=columns, label="y", kind="texts")
        return hub_folder.place_of(found, tmp_path)

    asked = [("hub:o/n", ("a", "b")), ("hub:o/n:a", ("b",)), ("hub:o/n@old", ("a", "b"))]
    assert len({folder(*each) for each in asked}) == 3
    assert hub_sets.named("hub:o/n:c@v1", columns=(), label="", kind="texts")[:2] == ("o/n", "c")
    assert hub_sets.named("hub:o/n:c@v1", columns=(), label="", kind="texts").revision == "v1"


def test_what_another_process_has_not_finished_is_not_read(tmp_path):
    wanted = hub_sets.named("hub:o/n", columns=("a",), label="y", kind="texts")
    half = hub_folder.place_of(wanted, tmp_path) / f".{COMMIT}-0123"
    half.mkdir(parents=True)
    (half / "set.json").write_text("")
    assert hub_folder.find(wanted, tmp_path) is None
    dates = [{"a": datetime.date(2026, 11, 29)}]
    with pytest.raises(TypeError):
        hub_folder.write(wanted, tmp_path, hub_folder.Rows(COMMIT, (), {"train": 1}, dates))
    assert [path.name for path in half.parent.iterdir()] == [half.name], "nothing new is left"


def test_a_folder_that_is_damaged_is_named(hub, tmp_path):
    hub(parts_of())
    data = image_data("hub:me/photos")
    images.load(data, tmp_path, download=True)
    (folder,) = tmp_path.glob(f"hub/*/{COMMIT}")
    about = json.loads((folder / "set.json").read_text())
    assert about["commit"] == COMMIT and about["sizes"] == {"train": 5, "test": 2}
    for path, content in {
        "labels.npy": b"",
        "images.npy": b"\x93NUMPY",
        "set.json": b"{",
    }.items():
        kept = (folder / path).read_bytes()
        (folder / path).write_bytes(content)
        with pytest.raises(ConfigError, match=r"is damaged \(.*\); remove it, and it is fetched"):
            images.load(data, tmp_path, download=True)
        (folder / path).write_bytes(kept)
    assert hub_folder.read_images(folder).commit == COMMIT
    (folder / "set.json").unlink()
    with pytest.raises(ConfigError, match=r"is damaged: it has no set.json; remove it"):
        images.load(data, tmp_path, download=True)
