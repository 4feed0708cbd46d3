"""A prepared set that is missing is fetched, or it is said at once why it cannot be."""

import http.server
import importlib.util
import socket
import threading
import time
import urllib.request
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from prepared_folder import write
from small_set import tiny_images

from dla_jax.config import connectivity
from dla_jax.config.checks import ConfigError
from dla_jax.data import prepared


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))


def with_tensorflow(monkeypatch, there: bool):
    """Let TensorFlow be there or not, and the library that asks the Hugging Face hub not."""
    find_spec, known = importlib.util.find_spec, {"tensorflow": there or None, "datasets": None}
    answer = lambda name, *rest: known[name] if name in known else find_spec(name, *rest)
    monkeypatch.setattr(importlib.util, "find_spec", answer)


def refused(*arguments, download: bool) -> tuple[str, float]:
    start = time.monotonic()
    with pytest.raises(ConfigError) as caught:
        prepared.check_available(*arguments, download)
    assert "\n" not in str(caught.value)
    return str(caught.value), time.monotonic() - start


def test_a_missing_set_says_where_it_was_looked_for_and_what_to_do(tmp_path, monkeypatch):
    words, _ = refused("cifar10", tmp_path, download=False)
    assert str(tmp_path / "cifar10" / "<version>") in words
    assert "--download" in words
    assert "--data_dir=FOLDER" in words
    with_tensorflow(monkeypatch, there=False)
    words, _ = refused("cifar10", tmp_path, download=True)
    assert "pip install -r requirements-tfds.txt" in words
    assert "pip install -r requirements-hub.txt" in words
    with_tensorflow(monkeypatch, there=True)
    (tmp_path / "file").write_text("")
    words, _ = refused("cifar10", tmp_path / "file", download=True)
    assert "cannot be written" in words


def test_other_formats_need_tensorflow(tmp_path, monkeypatch):
    folder = write(tmp_path)
    for path in list(folder.glob("*array_record*")):
        path.rename(path.with_name(path.name.replace("array_record", "tfrecord")))
    with_tensorflow(monkeypatch, there=False)
    words, _ = refused("cifar10", tmp_path, download=True)
    assert "requirements-tfds.txt" in words and str(folder) in words


@pytest.fixture
def network(monkeypatch):
    """A network without proxies, and hosts that get half a second."""
    assert connectivity.PATIENCE <= 5
    monkeypatch.setattr(connectivity, "PATIENCE", 0.5)
    with_tensorflow(monkeypatch, there=True)
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
        answer = lambda: server.accept()[0].sendall(b"220 mail\r\n\r\n")
        threading.Thread(target=answer, daemon=True).start()
    elif fault == "cannot be looked up":
        monkeypatch.setattr(socket, "getaddrinfo", Mock(side_effect=socket.gaierror(-2, "Name")))
    elif fault == "name server hangs":
        monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: time.sleep(3600))
    words, seconds = refused("cifar10", tmp_path, download=True)
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
            prepared.check_available("cifar10", tmp_path, download=True)
        else:
            assert "(Bad Gateway)" in refused("cifar10", tmp_path, download=True)[0]
    assert asked == ["http://no-such-host.invalid/file"]


@pytest.mark.parametrize("name", prepared.NAMES)
def test_the_address_asked_is_where_tensorflow_datasets_fetches_from(name):
    import tensorflow_datasets as tfds

    root = Path(tfds.__file__).parent
    places = root / "url_checksums" / f"{name}.txt", root / "datasets" / name / "checksums.tsv"
    (sums,) = [place for place in places if place.exists()]
    assert prepared.SOURCES[name] in sums.read_text().split()


def test_a_set_that_is_missing_is_prepared_and_then_read(tmp_path, monkeypatch, network, capsys):
    tiny_images()
    monkeypatch.setitem(prepared.SOURCES, "tiny_images", "data:,")  # an address that always answers
    found = prepared.load("tiny_images", tmp_path, download=True)
    assert len(found.labels) == 32
    assert f"preparing tiny_images in {tmp_path}" in capsys.readouterr().err
    monkeypatch.setattr(prepared, "prepare", None)
    np.testing.assert_array_equal(
        prepared.load("tiny_images", tmp_path, download=True).images, found.images
    )
