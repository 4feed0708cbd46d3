"""What a set of the Hugging Face hub takes on which disks is counted before it is fetched."""

import types
from pathlib import Path

from hub_library import image_data, refusal

from dla_jax.data import hub_ask, hub_disk, hub_sets, images

PHOTOS = hub_sets.named("hub:me/photos", columns=("image",), label="label", kind="images", size=4)


def asked(tmp_path):
    return refusal(images.check_config, image_data("hub:me/photos"), tmp_path, True)


def test_the_librarys_folders_are_where_it_has_them(tmp_path, monkeypatch):
    for name in ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_DATASETS_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    cache = Path("/home/me/.cache/huggingface")
    assert hub_disk.caches() == (cache / "hub", cache / "datasets")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert hub_disk.caches()[0] == Path("/x/huggingface/hub")
    monkeypatch.setenv("HF_HOME", "~/hf")
    assert hub_disk.caches() == (Path("/home/me/hf/hub"), Path("/home/me/hf/datasets"))
    monkeypatch.setenv("HF_DATASETS_CACHE", "/d")
    monkeypatch.setenv("HF_HUB_CACHE", "$HOME/h")
    assert hub_disk.caches() == (Path("/home/me/h"), Path("/d"))


def test_what_is_counted_is_what_is_still_to_be_written(hub, tmp_path):
    cifar = hub_sets.SETS["cifar10"]
    files = {"plain_text/train.parquet": 100, "plain_text/test.parquet": 20}
    about, data = hub_ask.About("a" * 40, files), tmp_path / "data"
    home, decoded = tmp_path / "home", 60_000 * 32 * 32 * 3
    expected = {home / "hub": 120, home / "datasets": 120, data: decoded}
    assert hub_disk.needs(cifar, about, data) == expected
    come = hub_disk.cache_of(cifar) / "snapshots" / about.commit / "plain_text" / "test.parquet"
    come.parent.mkdir(parents=True)
    come.touch()
    assert hub_disk.needs(cifar, about, data) == expected | {home / "hub": 100}
    news = hub_sets.SETS["ag_news_subset"]  # texts take more than their compressed files
    assert hub_disk.needs(news, about, data)[data] == 360
    known = about._replace(num_bytes=170, num_examples=9)  # by its card
    assert hub_disk.needs(news, known, data) == {
        home / "hub": 120,
        home / "datasets": 170,
        data: 170,
    }
    assert hub_disk.needs(PHOTOS, known, data)[data] == 9 * 4 * 4 * 3


def test_a_folder_that_cannot_be_written_is_found_before_anything_is_fetched(hub, tmp_path):
    hub({})
    (tmp_path / "data").write_text("")
    data = image_data("hub:me/photos")
    message = refusal(images.check_config, data, tmp_path / "data", True)
    assert f"{tmp_path}/data cannot be written; give other folders with --data_dir" in message


def test_folders_of_one_disk_have_to_hold_their_sum(hub, tmp_path, monkeypatch):
    usage = types.SimpleNamespace(free=10**9)
    monkeypatch.setattr(hub_disk.shutil, "disk_usage", lambda path: usage)
    hub({}, num_bytes=334_000_000)  # three times that
    message = asked(tmp_path)
    assert "needs about 1.0 GB on the disk of" in message and "1.0 GB are free" in message
    assert message.count(str(tmp_path)) == 1 and "$HF_DATASETS_CACHE" in message
    hub({}, num_bytes=333_000_000)
    images.check_config(image_data("hub:me/photos"), tmp_path, True)
