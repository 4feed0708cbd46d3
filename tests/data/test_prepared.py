import hashlib
import http.server
import importlib.util
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from prepared_folder import LABELS, TEST, TRAIN, write

import dla_jax.config.connectivity as reach
from dla_jax.config.checks import ConfigError
from dla_jax.data import prepared

DATA = os.environ.get("DLA_DATA_DIR")
real_data = pytest.mark.skipif(
    not (DATA and Path(DATA, "tfds", "cifar10").is_dir()),
    reason="needs DLA_DATA_DIR with prepared sets in tfds/",
)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize(("shards", "block"), [(1, 1000), (2, 5), (4, 23)])
def test_what_is_read_is_what_was_written_training_part_first(tmp_path, monkeypatch, shards, block):
    write(tmp_path, shards=shards)
    monkeypatch.setattr(prepared, "BLOCK", block)
    for _ in range(2):  # from the record, then from the cache
        found = prepared.load("cifar10", tmp_path, False)
        np.testing.assert_array_equal(found.images, np.concatenate([TRAIN, TEST]))
        np.testing.assert_array_equal(
            found.labels, np.concatenate([LABELS["train"], LABELS["test"]])
        )
        assert found.images.dtype == np.uint8 and found.labels.dtype == np.int32
        assert found.class_names == ("a", "b b", "c") and found.test_start == 23
        np.testing.assert_allclose(
            found.mean, (TRAIN / 255).mean((0, 1, 2)), atol=5.1e-5
        )  # of the training part alone
        np.testing.assert_allclose(found.std, (TRAIN / 255).std((0, 1, 2)), atol=5.1e-5)


def test_the_newest_version_is_taken_by_number(tmp_path):
    for version in ("3.0.2", "3.0.10", "2.9.9"):
        write(tmp_path, version=version)
    (tmp_path / "cifar10" / "4.0.0.incomplete").mkdir()
    assert (
        prepared.find("cifar10", tmp_path).name == "3.0.10"
        and prepared.find("mnist", tmp_path) is None
    )


def test_neither_tensorflow_nor_from_the_cache_tensorflow_datasets_is_imported(tmp_path):
    write(tmp_path)
    decoy = (
        tmp_path / "decoy" / "tensorflow" / "__init__.py"
    )  # found before the real one; an import of it fails
    decoy.parent.mkdir(parents=True)
    decoy.write_text("raise AssertionError('TensorFlow is imported')")
    code = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from dla_jax.data import prepared
prepared.load("cifar10", Path(sys.argv[1]), False)
print([name for name in ("jax", "tensorflow_datasets") if name in sys.modules])
"""
    command = (sys.executable, "-c", code, str(tmp_path), str(decoy.parents[1]))
    answers = [
        subprocess.run(
            command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
        )
        for _ in range(2)
    ]
    assert [answer.stdout.strip() for answer in answers] == ["['tensorflow_datasets']", "[]"]
    assert not any(answer.stderr for answer in answers)


@pytest.mark.parametrize(
    "damage", ["truncated", "half", "flipped", "missing", "info", "features", "fewer", "labels"]
)
def test_a_damaged_folder_is_named_in_one_line(tmp_path, damage):
    folder = write(tmp_path)
    shard = next(folder.glob("*train*00000*"))
    whole = shard.read_bytes()
    changed = {
        "truncated": whole[:100],
        "half": whole[: len(whole) // 2],
        "flipped": whole[:300] + b"!" + whole[301:],
    }
    if damage in changed:
        shard.write_bytes(changed[damage])
    elif damage == "features":
        (folder / "features.json").write_text("[]")
    elif damage == "labels":  # more of them than names
        (folder / "label.labels.txt").write_text("a\nb b\n")
    elif damage == "missing":
        shard.unlink()
    elif damage == "info":
        (folder / "dataset_info.json").write_text("{")
    else:
        info = json.loads((folder / "dataset_info.json").read_text())
        info["splits"][0]["shardLengths"][0] = "99"
        (folder / "dataset_info.json").write_text(json.dumps(info))
    with pytest.raises(ConfigError) as caught:
        prepared.load("cifar10", tmp_path, False)
    assert (
        str(folder) in str(caught.value)
        and "\n" not in str(caught.value)
        and "--data_dir=FOLDER" in str(caught.value)
    )
    assert not (folder / ".dla_jax").exists()


def with_tensorflow(monkeypatch, there: bool):
    find_spec = importlib.util.find_spec
    answer = lambda name, *rest: there or None if name == "tensorflow" else find_spec(name, *rest)
    monkeypatch.setattr(importlib.util, "find_spec", answer)


def refused(*arguments) -> tuple[str, float]:
    start = time.monotonic()
    with pytest.raises(ConfigError) as caught:
        prepared.check_available(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value), time.monotonic() - start


def test_a_missing_set_says_where_it_was_looked_for_and_what_to_do(tmp_path, monkeypatch):
    words, _ = refused("cifar10", tmp_path, False)
    assert (
        str(tmp_path / "cifar10" / "<version>") in words
        and "--download" in words
        and "--data_dir=FOLDER" in words
    )
    with_tensorflow(monkeypatch, False)
    words, _ = refused("cifar10", tmp_path, True)
    assert "pip install -r requirements-tfds.txt" in words
    with_tensorflow(monkeypatch, True)
    (tmp_path / "file").write_text("")
    words, _ = refused("cifar10", tmp_path / "file", True)
    assert "cannot be written" in words


def test_other_formats_need_tensorflow(tmp_path, monkeypatch):
    folder = write(tmp_path)
    [
        path.rename(path.with_name(path.name.replace("array_record", "tfrecord")))
        for path in folder.glob("*array_record*")
    ]
    with_tensorflow(monkeypatch, False)
    words, _ = refused("cifar10", tmp_path, True)
    assert "requirements-tfds.txt" in words and str(folder) in words


@pytest.fixture
def network(monkeypatch):
    """A network without proxies, and hosts that get half a second."""
    assert reach.PATIENCE <= 5
    monkeypatch.setattr(reach, "PATIENCE", 0.5)
    with_tensorflow(monkeypatch, True)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return lambda url: monkeypatch.setitem(prepared.SOURCES, "cifar10", url)


@pytest.mark.parametrize(
    "fault", ["refuses", "swallows", "is no HTTP", "cannot be looked up", "name server hangs"]
)
def test_without_a_network_it_fails_at_once(tmp_path, monkeypatch, network, fault):
    server = socket.create_server(("127.0.0.1", 0))  # takes the connection, and never answers
    network(f"http://127.0.0.1:{9 if fault == 'refuses' else server.getsockname()[1]}/file")
    if fault == "is no HTTP":
        threading.Thread(
            target=lambda: server.accept()[0].sendall(b"220 mail\r\n\r\n"), daemon=True
        ).start()
    elif fault == "cannot be looked up":
        monkeypatch.setattr(
            socket,
            "getaddrinfo",
            lambda *a, **k: (_ for _ in ()).throw(socket.gaierror(-2, "Name unknown")),
        )
    elif fault == "name server hangs":
        monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: time.sleep(3600))
    words, seconds = refused("cifar10", tmp_path, True)
    assert seconds < 2 and "cannot be fetched" in words and "--data_dir" in words
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("status", [200, 502])
def test_a_proxy_is_asked_and_believed(tmp_path, monkeypatch, network, status):
    asked = []

    class Proxy(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            pass

    network("http://no-such-host.invalid/file")
    monkeypatch.setattr(urllib.request, "_opener", None)  # which has looked for proxies before
    with http.server.HTTPServer(("127.0.0.1", 0), Proxy) as proxy:
        threading.Thread(target=proxy.handle_request, daemon=True).start()
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.server_port}")
        if status == 200:
            prepared.check_available("cifar10", tmp_path, True)
        else:
            assert "(Bad Gateway)" in refused("cifar10", tmp_path, True)[0]
    assert asked == ["http://no-such-host.invalid/file"]


@pytest.mark.parametrize("name", prepared.NAMES)
def test_the_address_asked_is_where_tensorflow_datasets_fetches_from(name):
    import tensorflow_datasets as tfds

    sums = Path(tfds.__file__).parent / "url_checksums" / f"{name}.txt"
    assert prepared.SOURCES[name] in sums.read_text().split()


def test_preparing_writes_what_is_read(tmp_path):
    """A set that this test defines, with images of its own: nothing is fetched."""
    tiny_images()
    prepared.prepare("tiny_images", tmp_path)
    found = prepared.load("tiny_images", tmp_path, False)
    order = [int((image == TRAIN).all((1, 2, 3)).argmax()) for image in found.images[:23]]
    assert sorted(order) == list(range(23)) and found.class_names == (
        "a",
        "b",
        "c",
    )  # it shuffles while it writes
    np.testing.assert_array_equal(found.labels[:23], LABELS["train"][order])
    assert sorted(found.labels[23:]) == sorted(LABELS["test"])
    assert (tmp_path / "tiny_images" / "1.0.0" / ".dla_jax").is_dir()
    with pytest.raises(ConfigError, match="could not be prepared") as caught:
        prepared.prepare("no_such_set", tmp_path)
    assert "\n" not in str(caught.value)


def test_a_set_that_is_missing_is_prepared_and_then_read(tmp_path, monkeypatch, network, capsys):
    tiny_images()
    monkeypatch.setitem(prepared.SOURCES, "tiny_images", "data:,")  # an address that always answers
    found = prepared.load("tiny_images", tmp_path, True)
    assert (
        len(found.labels) == 32
        and f"preparing tiny_images in {tmp_path}" in capsys.readouterr().err
    )
    monkeypatch.setattr(prepared, "prepare", None)
    np.testing.assert_array_equal(prepared.load("tiny_images", tmp_path, True).images, found.images)


def test_with_tensorflow_its_own_format_is_read_in_the_same_order(tmp_path):
    tfds = tiny_images(
        repeat=5
    )  # more than the 16 examples of a file that TensorFlow takes before it turns to the next
    for kind in ("tfrecord", "array_record"):
        two_files = tfds.download.DownloadConfig(num_shards=2)
        tfds.builder(
            "tiny_images", data_dir=tmp_path / kind, file_format=kind
        ).download_and_prepare(download_config=two_files)
    theirs, ours = (
        prepared.load("tiny_images", tmp_path / kind, False)
        for kind in ("tfrecord", "array_record")
    )
    np.testing.assert_array_equal(theirs.images, ours.images)
    np.testing.assert_array_equal(theirs.labels, ours.labels)
    assert theirs[2:] == ours[2:] and len(ours.labels) == 5 * 32
    path = prepared.find("tiny_images", tmp_path / "tfrecord") / "dataset_info.json"
    info = json.loads(path.read_text())
    info["splits"][0]["shardLengths"][-1] = str(int(info["splits"][0]["shardLengths"][-1]) + 1)
    path.write_text(json.dumps(info))
    with pytest.raises(ConfigError, match="prepare it again"):  # an example is missing
        prepared.load("tiny_images", tmp_path / "tfrecord", False)


def tiny_images(repeat: int = 1):
    """Defines a set with images of this test's own: nothing is fetched. Returns tensorflow_datasets."""
    pytest.importorskip("tensorflow", reason="preparing needs requirements-tfds.txt")
    import tensorflow_datasets as tfds

    tfds.core.registered._DATASET_REGISTRY.pop("tiny_images", None)

    class TinyImages(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            features = {
                "image": tfds.features.Image(shape=(6, 5, 3)),
                "label": tfds.features.ClassLabel(names=["a", "b", "c"]),
            }
            return tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict(features)
            )

        def _split_generators(self, dl_manager):
            return {
                "train": self._generate_examples("train", TRAIN),
                "test": self._generate_examples("test", TEST),
            }

        def _generate_examples(self, split, images):
            for i in range(len(images) * repeat):
                yield (
                    i,
                    {
                        "image": images[i % len(images)],
                        "label": int(LABELS[split][i % len(images)]),
                    },
                )

    return tfds


@real_data
@pytest.mark.parametrize(
    ("name", "shape", "per_class", "mean", "std"),
    [
        ("cifar10", (60000, 32, 32, 3), 5000, (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
        ("mnist", (70000, 28, 28, 1), 5421, (0.1307,), (0.3081,)),
    ],
)
def test_the_real_sets_are_what_they_are_known_to_be(name, shape, per_class, mean, std):
    found = prepared.load(name, Path(DATA, "tfds"), False)
    assert (
        found.images.shape == shape
        and found.test_start == shape[0] - 10000
        and len(found.class_names) == 10
    )
    assert np.bincount(found.labels[: found.test_start]).min() == per_class
    np.testing.assert_allclose(found.mean, mean, atol=1e-4)
    np.testing.assert_allclose(found.std, std, atol=1e-4)
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(prepared.find(name, Path(DATA, "tfds")))
    source = builder.as_data_source("train")
    again = prepared.load(name, Path(DATA, "tfds"), False)  # from the cache
    for position in (0, 777, found.test_start - 1):
        digests = {
            hashlib.sha256(image.tobytes()).hexdigest()
            for image in (found.images[position], again.images[position], source[position]["image"])
        }
        assert len(digests) == 1 and found.labels[position] == source[position]["label"]
    np.testing.assert_array_equal(
        found.images[found.test_start], builder.as_data_source("test")[0]["image"]
    )
