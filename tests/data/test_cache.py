"""What was decoded once is kept, whole or not at all, where it may be written."""

import os
import shutil
import threading

import numpy as np
import pytest

from dla_jax.data import cache
from dla_jax.data.cache import Decoded, cached, channel_stats, content_key

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (20, 4, 5, 3)).astype(np.uint8)
LABELS = RNG.integers(0, 2, 20).astype(np.int32)
WHOLE = Decoded(IMAGES, LABELS, ("a", "b"), *channel_stats(IMAGES[:15]), 15)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "dla_jax" / "data"


class Decoder:
    """Counts how often it is asked."""

    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return WHOLE


def read(source, decode, key="k"):
    return cached(source, key, decode, ("a", "b"), 15)


def assert_whole(found):
    np.testing.assert_array_equal(found.images, IMAGES)
    np.testing.assert_array_equal(found.labels, LABELS)
    assert found[2:] == WHOLE[2:]


def test_what_was_decoded_once_is_memory_mapped_beside_the_data(tmp_path, home):
    decode = Decoder()
    assert_whole(read(tmp_path, decode))
    again = read(tmp_path, decode)
    assert_whole(again)
    assert decode.calls == 1
    assert isinstance(again.images, np.memmap)
    assert not again.images.flags.writeable
    assert (tmp_path / ".dla_jax" / "k" / "images.npy").is_file() and not home.exists()
    read(tmp_path, decode, key="other")
    assert decode.calls == 2


@pytest.mark.parametrize("test_start", [15, 0, None])
def test_where_the_test_part_begins_is_kept_too(tmp_path, test_start):
    for _ in range(2):  # the second time from the cache
        found = cached(tmp_path, "k", lambda: WHOLE._replace(test_start=test_start), ("a", "b"))
        assert found.test_start == test_start and (tmp_path / ".dla_jax" / "k").is_dir()


def test_a_read_only_folder_is_left_alone_and_the_users_cache_used(tmp_path, home):
    source, decode = tmp_path / "data", Decoder()
    source.mkdir()
    source.chmod(0o555)  # also for root, who could write there
    for _ in range(2):
        assert_whole(read(source, decode))
    assert decode.calls == 1
    assert not (source / ".dla_jax").exists()
    assert (home / "k" / "images.npy").is_file()


@pytest.mark.parametrize(
    "damage", ["truncated", "empty", "longer", "foreign", "missing", "shorter"]
)
def test_a_damaged_cache_is_made_again_where_it_was(tmp_path, home, damage):
    decode = Decoder()
    read(tmp_path, decode)
    folder = tmp_path / ".dla_jax" / "k"
    whole = (folder / "images.npy").read_bytes()
    changed = {
        "truncated": whole[: len(whole) // 2],
        "empty": b"",
        "longer": whole + b"!",
        "foreign": b"not an array",
    }
    if damage in changed:
        (folder / "images.npy").write_bytes(changed[damage])
    elif damage == "missing":
        (folder / "std.npy").unlink()
    else:
        np.save(folder / "labels.npy", LABELS[:3])
    assert_whole(read(tmp_path, decode))
    assert_whole(read(tmp_path, decode))
    assert decode.calls == 2 and (folder / "images.npy").read_bytes() == whole and not home.exists()


def test_where_nothing_can_be_kept_one_line_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cache, "_write", lambda folder, arrays: False)
    decode = Decoder()
    assert_whole(read(tmp_path, decode))
    assert_whole(read(tmp_path, decode))
    assert decode.calls == 2 and len(capsys.readouterr().err.splitlines()) == 2


def test_a_full_disk_leaves_no_half_written_cache(tmp_path, monkeypatch, home):
    def full(file, array):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.np, "save", full)
    assert_whole(read(tmp_path, Decoder()))
    assert list((tmp_path / ".dla_jax").iterdir()) == [] == list(home.iterdir())


def test_what_a_killed_process_leaves_behind_is_not_taken_for_a_cache(tmp_path, monkeypatch):
    save = np.save

    def killed(file, array):
        if array.shape == LABELS.shape:
            raise SystemExit  # images are written, labels not
        save(file, array)

    monkeypatch.setattr(cache.np, "save", killed)
    with pytest.raises(SystemExit):
        read(tmp_path, Decoder())
    monkeypatch.undo()
    assert len(list((tmp_path / ".dla_jax").iterdir())) == 1
    decode = Decoder()
    for _ in range(2):
        assert_whole(read(tmp_path, decode))
    assert decode.calls == 1


def test_others_may_read_a_cache_beside_shared_data(tmp_path):
    mask = os.umask(0o022)
    try:
        read(tmp_path, Decoder())
    finally:
        os.umask(mask)
    folder = tmp_path / ".dla_jax" / "k"
    assert folder.stat().st_mode & 0o777 == 0o755
    assert sorted(path.stem for path in folder.iterdir()) == sorted(cache.ARRAYS)
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o644}


def test_an_empty_variable_means_the_usual_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(cache, "_writable", lambda folder: False)
    read(tmp_path / "data", Decoder())
    assert (tmp_path / ".cache" / "dla_jax" / "data" / "k" / "images.npy").is_file()


def test_several_at_once_agree(tmp_path):
    found, start = [], threading.Barrier(8)

    def work():
        start.wait()
        found.append(read(tmp_path, Decoder()))

    threads = [threading.Thread(target=work) for _ in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(found) == 8
    [assert_whole(each) for each in found]
    assert [path.name for path in (tmp_path / ".dla_jax").iterdir()] == ["k"]


def test_the_key_depends_on_names_bytes_and_settings_but_not_on_the_place(tmp_path, monkeypatch):
    def write(folder, **files):
        shutil.rmtree(tmp_path / folder, ignore_errors=True)
        (tmp_path / folder).mkdir()
        [(tmp_path / folder / name).write_bytes(data) for name, data in files.items()]
        return tmp_path / folder

    key = lambda folder, settings="": content_key(folder, folder.iterdir(), settings)
    base = key(write("one", a=b"1", b=b"2"))
    assert len(base) == 16 and key(write("two", b=b"2", a=b"1")) == base
    others = {
        key(write("one", a=b"1", b=b"3")),
        key(write("one", a=b"1", c=b"2")),
        key(write("one", a=b"12", b=b"")),
        key(write("one", a=b"1")),
        key(write("one", a=b"1", b=b"2"), "64"),
    }
    assert len(others) == 5 and base not in others
    (write("one", a=b"1") / "b").symlink_to("nowhere")
    # What cannot be opened is for the decoder to complain about.
    assert key(tmp_path / "one") not in {base, *others}
    change = key(write("one", a=b"1", b=b"2"))
    monkeypatch.setattr(cache, "VERSION", cache.VERSION + 1)
    assert change == base != key(tmp_path / "one")


@pytest.mark.parametrize("block", [1, 7 * 60, 1 << 22])  # one image, some, all at a time
def test_channel_statistics_are_numpys(monkeypatch, block):
    monkeypatch.setattr(cache, "BLOCK", block)
    mean, std = channel_stats(IMAGES)
    np.testing.assert_allclose(mean, (IMAGES / 255).mean((0, 1, 2)), atol=5.1e-5)
    np.testing.assert_allclose(std, (IMAGES / 255).std((0, 1, 2)), atol=5.1e-5)
